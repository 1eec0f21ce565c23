"""Groups of training examples against queries: members' scores are added up as they stream by."""

from __future__ import annotations

import numpy as np
import torch

from hessinf.data import Dataset
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.groups import Groups
from hessinf.interpreters.query_scoring import predicts_changes
from hessinf.interpreters.score_stream import evaluating, query_blocks, score_stream
from hessinf.scores import GroupInfluence
from hessinf.scores.loss_change import loss_change_if_removed
from hessinf.scores.top_k import require_finite


def group_influence(interpreter: FittedMethod, queries: Dataset, groups: Groups) -> GroupInfluence:
    """Score groups of training examples for queries.

    Parameters
    ----------
    interpreter
        Fitted.
    queries
        The test data.
    groups
        Of training indices.

    Returns
    -------
    GroupInfluence
    """
    require_rest(groups, len(interpreter.train_data))
    blocks = []
    with evaluating(interpreter):
        for batch in query_blocks(interpreter, queries):
            sums = GroupSums(interpreter, groups, batch.size)
            for scores, _ in score_stream(interpreter, batch):
                sums(sums.count, scores)
            blocks.append(sums.influence())
    changes = [block.loss_changes for block in blocks if block.loss_changes is not None]
    return GroupInfluence(
        groups.names,
        blocks[0].sizes,
        np.concatenate([block.scores for block in blocks]),
        np.concatenate(changes) if changes else None,
    )


def require_rest(groups: Groups, count: int) -> None:
    """Refuse groups without which nothing would be left.

    Parameters
    ----------
    groups
        Of training indices.
    count
        N.
    """
    for name, size in zip(groups.names, groups.sizes, strict=True):
        if size == count:
            raise InterpreterError(
                f'group "{name}" holds all {count} training examples: without it, there would be '
                "nothing to train on"
            )


class GroupSums:
    """The sums of the scores of groups, for a block of queries; called with scores as they come.

    Parameters
    ----------
    interpreter
        Says in which precision results are, and what loss changes follow from scores.
    groups
        Of training indices.
    num_queries
        Q.
    """

    def __init__(self, interpreter: FittedMethod, groups: Groups, num_queries: int) -> None:
        self.interpreter = interpreter
        self.groups = groups
        members = [
            (index, group) for group, indices in enumerate(groups.members) for index in indices
        ]
        table = torch.tensor(sorted(members))  # [M, 2]: training index and group
        self._places, self._owners = table[:, 0].contiguous(), table[:, 1]  # [M]
        self._sums = torch.zeros(num_queries, len(groups.names), dtype=torch.float64)  # [Q, G]
        self._total = torch.zeros(num_queries, dtype=torch.float64)  # [Q]
        self.count = 0
        """How many training examples were scored."""

    def __call__(self, first_index: int, scores: torch.Tensor) -> None:
        """Take in the scores ``[Q, B]`` of the training examples from ``first_index`` on."""
        require_finite(scores, first_index)
        stop = first_index + scores.shape[1]
        bounds = torch.tensor([first_index, stop])
        first, last = torch.searchsorted(self._places, bounds).tolist()
        # On the CPU, where numbers are added in the same order each time.
        wide = scores.double().cpu()  # [Q, B]
        chosen = wide[:, self._places[first:last] - first_index]
        self._sums.index_add_(1, self._owners[first:last], chosen)
        self._total += wide.sum(dim=1)
        self.count = stop

    def influence(self) -> GroupInfluence:
        """Return what the groups do to the queries of the block."""
        scores = self._sums.numpy()  # [Q, G]
        sizes = np.array(self.groups.sizes)  # [G]
        precision = _precision(self.interpreter)
        changes = None
        if predicts_changes(self.interpreter):
            means = (self._total / self.count).numpy()[:, None]  # [Q, 1]
            changes = loss_change_if_removed(
                scores, means, self.count, self.interpreter.training_reduction, sizes
            ).astype(precision)
        return GroupInfluence(self.groups.names, sizes, scores.astype(precision), changes)


def _precision(interpreter: FittedMethod) -> str:
    half = interpreter.model.dtype in (torch.bfloat16, torch.float16)
    return "float32" if half else str(interpreter.model.dtype).removeprefix("torch.")
