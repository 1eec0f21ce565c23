"""Scores split by the tokens of training examples: which words of a text helped, or harmed.

``score[q, i] = f_qᵀ ∇ℓ_i``, and the gradient of example i is a sum over the positions at which
layers were used, so the score is one too. See :mod:`hessinf.gradients.position_products`.

References
----------
Grosse et al., Studying Large Language Model Generalization with Influence Functions, 2023, §3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batch, batches
from hessinf.data.instance import Instance
from hessinf.gradients import Gradients
from hessinf.gradients.position_gradients import PositionGradients
from hessinf.gradients.position_products import PositionProducts
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.inner_products import require_inner_products
from hessinf.interpreters.input_gradients import as_dict
from hessinf.interpreters.query_scoring import as_array
from hessinf.interpreters.score_stream import block_factors, evaluating, query_blocks
from hessinf.runtime.progress import bar


@dataclass(frozen=True, eq=False)
class TokenInfluence:
    """Scores of n training examples for Q queries, split by token.

    Parameters
    ----------
    positions
        ``[Q, n, S]``: what each position of the training example contributes to the score. Where
        examples differ in length, the shorter ones are padded with zeros.
    rest
        ``[Q, n]``: what comes from layers that are not used position by position, such as a linear
        layer behind the mean over positions.
    lengths
        ``[n]``: how many positions each example has.
    """

    positions: np.ndarray
    rest: np.ndarray
    lengths: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """The scores ``[Q, n]``: everything added up."""
        total: np.ndarray = self.positions.sum(axis=2) + self.rest
        return total


def token_influence(
    interpreter: FittedMethod, queries: Dataset, train_indices: Sequence[int] | None
) -> TokenInfluence:
    """Split scores by token; see :meth:`InfluenceInterpreter.token_influence`."""
    data = interpreter.train_data
    train = data if train_indices is None else data.subset(train_indices)
    if not len(train):
        raise InterpreterError("train_indices is empty, expected at least one training index")
    splitter = TokenSplitter(interpreter, train)
    lengths = np.array([splitter.length_of(instance) for instance in train.instances])
    splitter.require_memory(len(queries), len(train), int(lengths.max()))
    dtype = splitter.dtype
    positions = torch.zeros(len(queries), len(train), int(lengths.max()), dtype=dtype)
    rest = torch.zeros(len(queries), len(train), dtype=dtype)
    with evaluating(interpreter), bar(stage="token influence", total=len(queries)) as shown:
        start = 0
        for batch in query_blocks(interpreter, queries):
            factors = [block_factors(part, batch) for part, _ in parts(interpreter)]
            for row, places, some, others in splitter.split(
                factors, [range(len(train))] * batch.size
            ):
                positions[start + row, places, : some.shape[1]] = some
                rest[start + row, places] = others
            start += batch.size
            shown.update(batch.size)
    return TokenInfluence(as_array(positions), as_array(rest), lengths)


class TokenSplitter:
    """Splits the scores of training examples by their tokens.

    Parameters
    ----------
    interpreter
        Any.
    train
        The training examples.

    Raises
    ------
    InterpreterError
        When the method's scores are no inner products, or examples have no tokens.
    """

    def __init__(self, interpreter: FittedMethod, train: Dataset) -> None:
        require_inner_products(interpreter, "token influence")
        self.interpreter = interpreter
        self.train = train
        self.sequence = _sequence(train)
        model = interpreter.model
        self.dtype = torch.float32 if model.dtype.itemsize == 2 else model.dtype

    def length_of(self, instance: Instance) -> int:
        """Count the positions of an example."""
        return len(as_dict(instance.inputs)[self.sequence[0]])

    def split(
        self, factors: Sequence[Gradients], lists: Sequence[Iterable[int]]
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Split the scores of some examples for each of Q queries.

        Parameters
        ----------
        factors
            Of the queries, for each part of the interpreter.
        lists
            For each query, the places of the examples.

        Yields
        ------
        tuple
            A query's place, places of b of its examples ``[b]``, what each of their positions
            contributes ``[b, S]``, and the rest ``[b]``. All models must be evaluating.
        """
        wanted: dict[int, list[int]] = {}
        for row, places in enumerate(lists):
            for place in places:
                wanted.setdefault(place, []).append(row)
        order = sorted(wanted)
        size = self.interpreter.memory_plan.batch_size
        for first in range(0, len(order), size):
            places = order[first : first + size]
            rows: dict[int, list[int]] = {}
            for number, place in enumerate(places):
                for row in wanted[place]:
                    rows.setdefault(row, []).append(number)
            yield from self._of_batch(factors, places, rows)

    def _of_batch(
        self, factors: Sequence[Gradients], places: Sequence[int], rows: Mapping[int, Sequence[int]]
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Go through the models for one batch of examples, in the lists of some queries."""
        weights = [weight for _, weight in parts(self.interpreter)]
        products = [self._products(part, places) for part, _ in parts(self.interpreter)]
        for row, numbers in rows.items():
            chosen = torch.tensor(numbers)  # [b]
            total: list[torch.Tensor] = []
            for own, weight, product in zip(factors, weights, products, strict=True):
                direction = {name: own[name][row] for name in own}
                found = [weight * one.to(self.dtype).cpu() for one in product(direction, chosen)]
                total = [a + b for a, b in zip(total, found, strict=True)] if total else found
            positions, rest = total
            examples = torch.tensor(places)[chosen]  # [b]
            self._require_finite(row, examples, positions, rest)
            yield row, examples, positions, rest

    def _products(self, part: FittedMethod, places: Sequence[int]) -> PositionProducts:
        model = part.model
        some = self.train.subset(places)
        batch: Batch = next(iter(batches(some, len(some), device=model.device, dtype=model.dtype)))
        return PositionGradients(model, part.objective.losses)(batch, self.sequence)

    def _require_finite(
        self, row: int, examples: torch.Tensor, positions: torch.Tensor, rest: torch.Tensor
    ) -> None:
        finite = positions.isfinite().all(dim=1) & rest.isfinite()  # [b]
        if not bool(finite.all()):
            example = int(examples[int((~finite).nonzero()[0])])
            raise InterpreterError(
                f"the token influence of training example {example} on query {row} of the block "
                "is not finite; is damping too small for the precision?"
            )

    def require_positions(self, places: Sequence[int]) -> None:
        """Go through the models with a few examples, so that errors come before a long run."""
        for part, _ in parts(self.interpreter):
            self._products(part, places)

    def require_memory(self, num_queries: int, num_train: int, length: int) -> None:
        """Refuse results that are too large."""
        size = num_queries * num_train * (length + 1) * self.dtype.itemsize / 2**30
        limit = self.interpreter.memory_limit
        if size > limit:
            raise InterpreterError(
                f"the token influence of {num_train:,} training examples of up to {length:,} "
                f"tokens on {num_queries:,} queries takes {size:,.1f} GiB, and memory_limit is "
                f"{limit:g} GiB; choose fewer train_indices or queries, or raise memory_limit"
            )


def _sequence(train: Dataset) -> tuple[str, ...]:
    """Name the inputs with something for each token; first the tokens themselves."""
    found = as_dict(train.instances[0].inputs)
    tokens = [name for name, value in found.items() if _holds_tokens(value)]
    if not tokens:
        kinds = ", ".join(
            (f'"{name}": ' if name else "") + _kind(value) for name, value in found.items()
        )
        raise InterpreterError(
            "token influence needs inputs with tokens, whole numbers [S]; those of the training "
            f"data are {kinds}"
        )
    first = tokens[0]
    others = [name for name, value in found.items() if name not in tokens and value.ndim]
    for instance in train.instances:
        lengths = {name: len(x) for name, x in as_dict(instance.inputs).items() if x.ndim}
        for name in tokens:
            if lengths[name] != lengths[first]:
                raise InterpreterError(
                    f'token influence needs to know which inputs are tokens; "{instance.id}" has '
                    f'{lengths[first]} whole numbers in "{first}" and {lengths[name]} in "{name}"'
                )
        others = [name for name in others if lengths.get(name) == lengths[first]]
    return (*tokens, *others)


def _holds_tokens(value: torch.Tensor) -> bool:
    whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
    return whole and value.ndim == 1


def _kind(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
