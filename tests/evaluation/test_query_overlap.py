from __future__ import annotations

import re

import pytest
import torch

from hessinf.data import Dataset
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.query_overlap import overlap_warning, queries_in_training


def dataset(rows: list[list[float]], ids: list[str] | None = None) -> Dataset:
    return Dataset.from_columns(
        torch.tensor(rows), torch.tensor([i % 2 for i in range(len(rows))]), ids=ids
    )


TRAIN = dataset([[0.0, 1], [2, 3], [4, 5], [2, 3]], ["a", "b", "c", "d"])


def test_new_queries_are_not_warned_of_whatever_their_ids() -> None:
    assert overlap_warning(TRAIN, dataset([[0.0, 2], [2, 4]], ["a", "b"])) is None


def test_the_training_example_of_the_same_id_is_named_first() -> None:
    queries = dataset([[2.0, 3], [9, 9], [2, 3]], ["d", "x", "y"])
    assert queries_in_training(TRAIN, queries) == {0: 3, 2: 1}
    assert overlap_warning(TRAIN, queries) == (
        '2 of 3 queries have the inputs of a training example ("d" is training example "d", "y" is '
        'training example "b"): the models have seen them; take test data that were not trained on'
    )


def test_all_of_them_under_their_own_ids_are_refused() -> None:
    message = (
        'all 2 queries are training examples ("b" is training example "b", "a" is training example '
        '"a"): the models have seen them, and scores would be judged on examples explaining '
        "themselves; take test data that were not trained on (test_data_path)"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(message)}$"):
        overlap_warning(TRAIN, dataset([[2.0, 3], [0, 1]], ["b", "a"]))


def test_all_of_them_under_other_ids_are_warned_of() -> None:
    # Few different inputs, as in XOR: the same inputs need not be the same examples.
    warning = overlap_warning(TRAIN, dataset([[2.0, 3], [0, 1]], ["x", "y"]))
    assert warning is not None
    assert warning.startswith("2 of 2 queries have the inputs of a training example (")


def test_the_precision_counts() -> None:
    doubles = Dataset.from_columns(torch.tensor([[0.0, 1.0]], dtype=torch.float64), torch.ones(1))
    assert queries_in_training(TRAIN, doubles) == {}


def test_inputs_that_are_a_dict() -> None:
    def sentences(tokens: list[list[int]], ids: list[str]) -> Dataset:
        inputs = {"tokens": torch.tensor(tokens), "mask": torch.ones(len(tokens), 2)}
        return Dataset.from_columns(inputs, torch.zeros(len(tokens)), ids=ids)

    train = sentences([[1, 2], [3, 4]], ["a", "b"])
    assert queries_in_training(train, sentences([[3, 4], [4, 3]], ["x", "y"])) == {0: 1}
