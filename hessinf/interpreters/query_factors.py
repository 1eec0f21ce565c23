"""Influence factors of queries, kept by themselves: scored against any training examples.

``f_q = (C + λI)⁻¹ ∇m_q`` depends on the training data that the curvature was learnt from only
through ``C``. Beside any other example, ``⟨f_q, ∇ℓ⟩`` says what training on that one too would do.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from safetensors.torch import save_file

from hessinf.data import Dataset, as_dataset
from hessinf.execution import LocalExecutor
from hessinf.gradients import FunctionalModel, Gradients
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.fitted_state import (
    CHECKPOINTS,
    FORMAT,
    TENSORS,
    differences,
    fingerprint,
    model_hash,
    read_record,
    read_tensors,
    require_function,
)
from hessinf.interpreters.inner_products import require_inner_products
from hessinf.interpreters.query_scoring import as_array
from hessinf.interpreters.score_stream import block_factors, evaluating, query_blocks
from hessinf.interpreters.training_access import TrainingAccess
from hessinf.models import Model, Objective, as_objective
from hessinf.models.checkpoint import load_checkpoint
from hessinf.registry.plan import as_json
from hessinf.runtime.files import replace_directory, write_json_atomically
from hessinf.scores.contraction import InnerProducts
from hessinf.scores.top_k import require_finite

RECORD = "influence_factors.json"


@dataclass(frozen=True, eq=False)
class ModelFactors:
    """The factors of one model: the given one, or that of a checkpoint.

    Parameters
    ----------
    model
        As a function of θ.
    factors
        ``[Q, P]``.
    weight
        What its scores are multiplied with before they are added up.
    """

    model: FunctionalModel
    factors: torch.Tensor
    weight: float


class _OtherTrainingData(TrainingAccess):
    """Training examples that have nothing to do with those an interpreter was fitted to."""

    def __init__(
        self,
        model: FunctionalModel,
        objective: Objective,
        data: Dataset,
        batch_size: int | Literal["auto"],
        memory_limit: float,
    ) -> None:
        self.model = model
        self.objective = objective
        self.train_data = data
        self.weight_decay = 0.0
        self.batch_size = batch_size
        self.memory_limit = memory_limit
        self.executor = LocalExecutor()


class InfluenceFactors:
    """The influence factors of Q queries, for any training examples.

    :meth:`InfluenceInterpreter.influence_factors` makes them.

    Parameters
    ----------
    parts
        For each model, its factors.
    objective
        The loss of training examples.
    facts
        What they came from: method, arguments, hashes of model, training data and queries.
    query_ids
        The id of each query.
    checkpoints
        Where the weights of each part come from; none for the given model alone.
    batch_size, memory_limit
        As of an interpreter.
    """

    def __init__(
        self,
        parts: Sequence[ModelFactors],
        objective: Objective,
        facts: dict[str, Any],
        query_ids: Sequence[str],
        checkpoints: Sequence[str] = (),
        batch_size: int | Literal["auto"] = "auto",
        memory_limit: float = 4.0,
    ) -> None:
        self.parts = tuple(parts)
        self.objective = objective
        self.facts = facts
        self.query_ids = tuple(query_ids)
        self.checkpoints = tuple(checkpoints)
        self.batch_size: int | Literal["auto"] = batch_size
        self.memory_limit = memory_limit

    def __len__(self) -> int:
        """Count the queries."""
        return len(self.query_ids)

    def scores(self, train_data: Any) -> np.ndarray:
        """Score any training examples for the queries.

        Parameters
        ----------
        train_data
            N' examples, in any form that an interpreter takes. The curvature stays that of the
            training data that the interpreter was fitted to.

        Returns
        -------
        numpy.ndarray
            ``[Q, N']``, in the precision of the model; positive = helpful.
        """
        data = as_dataset(train_data)
        data.check(training=False)
        first, *others = (part.weight * self._of_part(part, data) for part in self.parts)
        return as_array(sum(others, first))  # [Q, N']

    def _of_part(self, part: ModelFactors, data: Dataset) -> torch.Tensor:
        access = _OtherTrainingData(
            part.model, self.objective, data, self.batch_size, self.memory_limit
        )
        self.objective.check_targets(data, out_features=access.out_features)
        products = InnerProducts(Gradients.from_flat(part.factors, part.model.layout))
        found = []
        start = 0
        with part.model.evaluating():
            stage = f"scores of {len(self)} queries"
            for gradients, _ in access.train_pass(stage, factored=True):
                scores = products(gradients)  # [Q, B]
                require_finite(scores, start)
                found.append(scores)
                start += gradients.count
        return torch.cat(found, dim=1)  # [Q, N']

    def save(self, folder: str | Path) -> None:
        """Keep the factors, with a fingerprint of the model that they belong to.

        Parameters
        ----------
        folder
            A directory, which is replaced as a whole.
        """
        tensors = {f"factors.{place}": part.factors.cpu() for place, part in enumerate(self.parts)}
        record = {
            "format": FORMAT,
            "fingerprint": self.facts,
            "dtype": str(self.parts[0].model.dtype).removeprefix("torch."),
            "query_ids": list(self.query_ids),
            "weights": [part.weight for part in self.parts],
            CHECKPOINTS: list(self.checkpoints),
        }
        with replace_directory(Path(folder)) as unfinished:
            save_file(tensors, str(unfinished / TENSORS))
            write_json_atomically(unfinished / RECORD, record)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        model: torch.nn.Module | Model,
        *,
        objective: Any = None,
        checkpoints: Sequence[str] | None = None,
        device: str | torch.device = "cpu",
        batch_size: int | Literal["auto"] = "auto",
        memory_limit: float = 4.0,
    ) -> Self:
        """Read what :meth:`save` kept.

        Parameters
        ----------
        folder
            What :meth:`save` wrote.
        model
            The model that was explained: its weights are compared.
        objective
            The loss of training examples; needed where it is a function, as it was else.
        checkpoints
            Where the weights of checkpoints lie now, where they do not lie as they did.
        device, batch_size, memory_limit
            As of an interpreter.

        Raises
        ------
        InterpreterError
            When the folder holds no factors, or the model is another.
        """
        folder = Path(folder)
        record = read_record(folder, RECORD)
        facts = record["fingerprint"]
        require_function(facts["objective"], folder, given=objective is not None)
        module = model.module if isinstance(model, Model) else model
        paths = tuple(record[CHECKPOINTS] if checkpoints is None else checkpoints)
        options = {
            "params_to_freeze": tuple(facts["arguments"]["params_to_freeze"]),
            "device": device,
            "dtype": getattr(torch, record["dtype"]),
        }
        models = [
            FunctionalModel(module if path is None else _at(module, path), **options)
            for path in paths or (None,)
        ]
        found: dict[str, Any] = {"model": model_hash(FunctionalModel(module, **options))}
        if paths:
            found[CHECKPOINTS] = [model_hash(one) for one in models]
        saved = {name: facts[name] for name in ("model", CHECKPOINTS) if name in facts}
        different = differences(found, saved)
        if different:
            raise InterpreterError(
                f"the influence factors in {folder} belong to another model:\n  "
                + "\n  ".join(different)
            )
        tensors = read_tensors(folder, "and compute them again")
        # Copied, since tensors of a file lie where they lie: products at other alignments differ
        # in the last bit.
        return cls(
            [
                ModelFactors(one, tensors[f"factors.{place}"].to(device, copy=True), weight)
                for place, (one, weight) in enumerate(zip(models, record["weights"], strict=True))
            ],
            as_objective(facts["objective"] if objective is None else objective),
            facts,
            record["query_ids"],
            paths,
            batch_size,
            memory_limit,
        )


def _at(module: torch.nn.Module, path: str) -> torch.nn.Module:
    own = copy.deepcopy(module)
    load_checkpoint(own, path)
    return own


def influence_factors(interpreter: FittedMethod, test_data: Any) -> InfluenceFactors:
    """Compute influence factors; see :meth:`InfluenceInterpreter.influence_factors`."""
    require_inner_products(interpreter, "influence factors")
    queries = interpreter.check_queries(test_data)
    found: list[list[torch.Tensor]] = [[] for _ in parts(interpreter)]
    with evaluating(interpreter):
        for batch in query_blocks(interpreter, queries):
            for own, (part, _) in zip(found, parts(interpreter), strict=True):
                own.append(block_factors(part, batch).flatten())  # [Q, P]
    facts = {
        **fingerprint(interpreter),
        "measurement": as_json(interpreter.measurement),
        "queries": queries.fingerprint(),
    }
    return InfluenceFactors(
        [
            ModelFactors(part.model, torch.cat(own).contiguous(), weight)
            for own, (part, weight) in zip(found, parts(interpreter), strict=True)
        ],
        interpreter.objective,
        facts,
        queries.ids,
        interpreter.checkpoints,
        interpreter.batch_size,
        interpreter.memory_limit,
    )
