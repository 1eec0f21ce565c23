from __future__ import annotations

from itertools import pairwise
from typing import Any

from hessinf.interpreters.memory_plan import LARGEST_BATCH, MemoryPlan, plan_memory


def plan(**changed: Any) -> MemoryPlan:
    given: dict[str, Any] = {
        "memory_limit": 4.0,
        "batch_size": None,
        "num_train": 100_000,
        "num_parameters": 10_000,
        "bytes_per_number": 4,
        "activation_bytes": 1_000,
        "on_cpu": False,
    }
    return plan_memory(**{**given, **changed})


def test_a_batch_is_never_larger_than_the_data_or_what_is_useful() -> None:
    assert plan().batch_size == LARGEST_BATCH
    assert plan(num_train=37).batch_size == 37


def test_larger_gradients_make_smaller_batches() -> None:
    sizes = [plan(num_parameters=count).batch_size for count in (10**5, 10**6, 10**7, 10**9)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1
    for count, size in zip((10**6, 10**7), sizes[1:], strict=False):
        # Four copies of each gradient stay within a quarter of the limit.
        assert size * 4 * count * 4 <= 2**30


def test_what_the_user_asks_for_is_kept() -> None:
    assert plan(batch_size=5000).batch_size == 5000


def test_vectors_at_once() -> None:
    assert plan(num_parameters=12).vectors_at_once == 12
    assert plan(activation_bytes=10**9).vectors_at_once == 1
    assert plan(on_cpu=True).vectors_at_once <= plan().vectors_at_once


def test_gradients_are_kept_where_they_fit_into_a_quarter() -> None:
    assert not plan().keep_train_gradients  # 4 GB
    assert plan(num_train=20_000).keep_train_gradients  # 0.8 GB
    assert not plan(num_train=20_000, memory_limit=1.0).keep_train_gradients


def test_more_memory_never_makes_less_of_anything() -> None:
    plans = [plan(memory_limit=limit, num_parameters=10**6) for limit in (0.1, 1, 10, 100)]
    for less, more in pairwise(plans):
        assert less.batch_size <= more.batch_size
        assert less.keep_train_gradients <= more.keep_train_gradients
