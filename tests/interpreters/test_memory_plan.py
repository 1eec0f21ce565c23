from __future__ import annotations

from itertools import pairwise
from typing import Any

from hessinf.interpreters.memory_plan import (
    FEWEST_FACTORED,
    LARGEST_BATCH,
    LARGEST_FACTORED_BATCH,
    LARGEST_QUERY_BATCH,
    MemoryPlan,
    plan_factored_batch,
    plan_memory,
    plan_queries,
)


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


def test_more_memory_never_makes_less_of_anything() -> None:
    plans = [plan(memory_limit=limit, num_parameters=10**6) for limit in (0.1, 1, 10, 100)]
    for less, more in pairwise(plans):
        assert less.batch_size <= more.batch_size


def factored(**changed: Any) -> int:
    given: dict[str, Any] = {
        "memory_limit": 4.0,
        "num_train": 100_000,
        "numbers_formed": 0,
        "bytes_per_number": 4,
        "activation_bytes": 1_000,
        "on_cpu": False,
    }
    return plan_factored_batch(**{**given, **changed})


def test_factors_take_activations_only() -> None:
    assert factored() == LARGEST_FACTORED_BATCH
    assert factored(num_train=37) == 37
    assert factored(activation_bytes=10**6) == 2**30 // (6 * 10**6)
    assert factored(numbers_formed=10**6) == 2**30 // (4 * 4 * 10**6 + 6 * 1_000)
    assert factored(activation_bytes=10**10) == 1


def test_factors_on_a_cpu_stay_in_its_caches_unless_they_are_too_few() -> None:
    assert factored(on_cpu=True, activation_bytes=100_000) == (32 << 20) // 100_000
    assert factored(on_cpu=True, activation_bytes=2_000_000) == FEWEST_FACTORED
    assert factored(on_cpu=True, activation_bytes=100 << 20) == 1


def queries(**changed: Any) -> int:
    given: dict[str, Any] = {
        "memory_limit": 4.0,
        "models": 1,
        "num_parameters": 1_000_000,
        "bytes_per_number": 4,
    }
    return plan_queries(**{**given, **changed})


def test_factors_of_queries_take_an_eighth() -> None:
    assert queries() == 2**29 // 4_000_000
    assert queries(num_parameters=1_000) == LARGEST_QUERY_BATCH
    assert queries(models=3) == 2**29 // 12_000_000
    assert queries(bytes_per_number=8) == 2**29 // 8_000_000
    assert queries(memory_limit=1e-6) == 1
