"""Queries that are training examples: a score for them is mostly a score of an example for itself.

A model remembers what it was trained on. Ground truth on such queries measures how well it does
without its own training example, which every method predicts, and says nothing of others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hessinf.data import Dataset
from hessinf.evaluation.errors import EvaluationError
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data import Instance
else:
    torch = lazy_import("torch")

SHOWN = 3


def overlap_warning(train: Dataset, queries: Dataset) -> str | None:
    """Look for queries that models are trained on, and refuse when all of them are.

    Returns
    -------
    str or None
        A warning; None where all queries are new.

    Raises
    ------
    EvaluationError
        When every query has the inputs and the id of a training example.
    """
    same = queries_in_training(train, queries)
    if not same:
        return None
    count, total = len(same), len(queries)
    places = ", ".join(
        f'"{queries.ids[query]}" is training example "{train.ids[index]}"'
        for query, index in list(same.items())[:SHOWN]
    ) + (", ..." if count > SHOWN else "")
    if count == total and all(queries.ids[query] == train.ids[at] for query, at in same.items()):
        raise EvaluationError(
            f"all {total:,} queries are training examples ({places}): the models have seen them, "
            "and scores would be judged on examples explaining themselves; take test data that "
            "were not trained on (test_data_path)"
        )
    return (
        f"{count:,} of {total:,} queries have the inputs of a training example ({places}): the "
        "models have seen them; take test data that were not trained on"
    )


def queries_in_training(train: Dataset, queries: Dataset) -> dict[int, int]:
    """Find queries whose inputs are those of a training example, number for number.

    Returns
    -------
    dict of int to int
        The place of such a query, and that of a training example: one with the query's id, where
        there is one, else the first.
    """
    places: dict[bytes, list[int]] = {}
    for index, digest in enumerate(_digests(train)):
        places.setdefault(digest, []).append(index)
    found = {}
    for query, digest in enumerate(_digests(queries)):
        if digest in places:
            same_id = (index for index in places[digest] if train.ids[index] == queries.ids[query])
            found[query] = next(same_id, places[digest][0])
    return found


def _digests(dataset: Dataset) -> Iterator[bytes]:
    for instance in dataset.instances:
        yield _digest(instance)


def _digest(instance: Instance) -> bytes:
    inputs = instance.inputs
    named = sorted(inputs.items()) if isinstance(inputs, dict) else [("", inputs)]
    digest = hashlib.sha256()
    for name, tensor in named:
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().tobytes())
    return digest.digest()
