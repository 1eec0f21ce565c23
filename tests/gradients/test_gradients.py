"""``Gradients`` is a mapping with arithmetic, and layouts go both ways."""

from __future__ import annotations

import pytest
import torch

from hessinf.gradients import Gradients, ParameterLayout


def blocks(count: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    shapes = {"weight": (2, 4), "bias": (2,), "scale": (), "nothing": (0, 3)}
    return {
        name: torch.randn(count, *shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def flat(values: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(
        [
            torch.cat([block[row].reshape(-1) for block in values.values()])
            for row in range(len(values["bias"]))
        ]
    )


LAYOUT = ParameterLayout({name: block.shape[1:] for name, block in blocks().items()})


class TestLayout:
    def test_sizes(self) -> None:
        assert LAYOUT.sizes == (8, 2, 1, 0)
        assert LAYOUT.size == 11

    @pytest.mark.parametrize("leading", [(), (3,), (2, 3), (0,)])
    def test_round_trip(self, leading: tuple[int, ...]) -> None:
        vector = torch.randn(*leading, 11)
        parts = LAYOUT.unflatten(vector)
        assert {name: tuple(part.shape) for name, part in parts.items()} == {
            name: (*leading, *shape) for name, shape in LAYOUT.shapes.items()
        }
        assert torch.equal(LAYOUT.flatten(parts, leading=len(leading)), vector)

    def test_parts_are_views(self) -> None:
        vector = torch.zeros(2, 11)
        LAYOUT.unflatten(vector)["bias"].fill_(1.0)
        assert float(vector.sum()) == 4.0

    def test_order_is_the_layouts(self) -> None:
        values = blocks()
        reordered = dict(reversed(values.items()))
        assert torch.equal(LAYOUT.flatten(reordered, leading=1), flat(values))


class TestGradients:
    def test_mapping(self) -> None:
        values = blocks()
        gradients = Gradients(values)
        assert list(gradients) == ["weight", "bias", "scale", "nothing"]
        assert len(gradients) == 4
        assert gradients["bias"] is values["bias"]
        assert "bias" in gradients
        assert "other" not in gradients
        assert dict(gradients.items()) == values
        assert gradients.count == 3
        assert gradients == gradients
        assert gradients != Gradients(values)
        assert repr(gradients).startswith("<Gradients: weight [3, 2, 4], bias [3, 2], scale [3]")
        with pytest.raises(KeyError):
            gradients["other"]

    def test_arithmetic(self) -> None:
        left, right = blocks(), {name: block + 1 for name, block in blocks().items()}
        one, other = Gradients(left), Gradients(right)
        for found, expected in (
            (one + other, flat(left) + flat(right)),
            (one - other, flat(left) - flat(right)),
            (one * 2.5, flat(left) * 2.5),
            (2.5 * one, flat(left) * 2.5),
            (-one, -flat(left)),
        ):
            assert torch.equal(found.flatten(), expected)
        assert torch.equal(one.flatten(), flat(left))

    def test_dot(self) -> None:
        left, right = blocks(3), blocks(5)
        expected = torch.tensor(
            [[float((a * b).sum()) for b in flat(right)] for a in flat(left)], dtype=torch.float64
        )
        found = Gradients(left).dot(Gradients(right))
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)

    def test_other_blocks_are_refused(self) -> None:
        one, other = Gradients(blocks()), Gradients({"weight": torch.ones(3, 2, 4)})
        text = r"blocks differ: \['weight', 'bias', 'scale', 'nothing'\] and \['weight'\]"
        for operation in (Gradients.dot, Gradients.__add__, Gradients.__sub__):
            with pytest.raises(KeyError, match=text):
                operation(one, other)
            with pytest.raises(KeyError, match="blocks differ"):
                operation(other, one)

    def test_flat_and_like(self) -> None:
        values = blocks()
        gradients = Gradients.from_flat(flat(values), LAYOUT)
        assert all(torch.equal(gradients[name], block) for name, block in values.items())
        other = gradients.like(torch.arange(22.0).reshape(2, 11))
        assert other["weight"].shape == (2, 2, 4)
        assert other["scale"].tolist() == [10.0, 21.0]

    @pytest.mark.parametrize("flattened", [False, True])
    def test_select(self, flattened: bool) -> None:
        gradients = Gradients(blocks(5))
        if flattened:
            gradients.flatten()
        for places in (slice(1, 3), torch.tensor([4, 0])):
            found = gradients.select(places)
            assert torch.equal(found.flatten(), flat(blocks(5))[places])
            assert torch.equal(found["scale"], blocks(5)["scale"][places])
