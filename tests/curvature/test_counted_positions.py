"""The rule by which positions count, on gradients made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hessinf.curvature.counted_positions import CountedPositions
from hessinf.gradients.layers import Usage


def usage(
    gradient: Sequence[Sequence[float]], space: tuple[int, ...] | None, **changed: Any
) -> Usage:
    """One output of a layer, its gradient given by column and position, for one example."""
    rows = torch.tensor(gradient)[:, None, :, None]  # [K, 1, S, 1]
    inputs = torch.ones(1, rows.shape[2], 2)
    return Usage("layer", "rows", rows, inputs, None, space, **changed)


def counted(*usages: Usage) -> list[list[int]]:
    """By usage, which positions count once all are seen."""
    positions = CountedPositions()
    calls = [positions.add(one) for one in usages]
    return [positions.of([call], torch.zeros(1, call.number))[0].int().tolist() for call in calls]


class TestRule:
    def test_a_layer_without_positions_counts(self) -> None:
        assert counted(usage([[0.0]], None), usage([[0.0]], ())) == [[1], [0]]

    def test_places_of_images_and_volumes_count(self) -> None:
        nothing = [[0.0] * 6]
        assert counted(usage(nothing, (2, 3)), usage(nothing, (1, 2, 3))) == [[1] * 6] * 2

    def test_tokens_count_where_any_layer_has_a_gradient_in_any_column(self) -> None:
        first = usage([[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], ())
        second = usage([[0.0, 0.0, 0.0, 0.0], [-1e-30, 0.0, 0.0, 0.0]], ())
        assert counted(first, second) == [[1, 1, 0, 0]] * 2

    def test_layers_with_other_numbers_of_positions_say_nothing(self) -> None:
        shorter = usage([[1.0, 1.0]], ())
        image = usage([[1.0, 1.0, 1.0]], (1, 3))
        assert counted(usage([[0.0, 1.0, 0.0]], ()), shorter, image)[0] == [0, 1, 0]

    def test_lines_count_up_to_the_last_gradient(self) -> None:
        line = usage([[0.0, 1.0, 0.0, 0.0, 0.0]], (5,))
        assert counted(line) == [[1, 1, 0, 0, 0]]
        tokens = usage([[0.0, 0.0, 0.0, 1.0, 0.0]], ())
        assert counted(line, tokens) == [[1, 1, 1, 1, 0], [0, 1, 0, 1, 0]]

    def test_several_lines_of_an_example_have_an_end_each(self) -> None:
        lines = usage([[0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]], (3,))
        assert counted(lines) == [[1, 1, 0, 1, 0, 0, 0, 0, 0]]

    def test_rows_that_get_no_gradient_do_not_count(self) -> None:
        ids = torch.tensor([[3, 1, 3, 0]])
        gradient = torch.tensor([1.0, 1.0, 0.0, 0.0])[None, None, :, None]  # [1, 1, 4, 1]
        embedding = Usage("table", "columns", ids, gradient, None, (), padding_idx=3)
        later = usage([[0.0, 0.0, 1.0, 1.0]], ())
        assert counted(embedding, later) == [[0, 1, 0, 1], [1, 1, 1, 1]]
