"""Which parameters make up one block."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from hessinf.curvature.blocks import columns_of, count, parameter_blocks
from hessinf.gradients import FunctionalModel, ParameterLayout

NAMES = ("0.weight", "0.bias", "2.weight", "2.bias", "4.inner.weight")


def names_of(module: nn.Module) -> tuple[str, ...]:
    return tuple(FunctionalModel(module).parameters)


class TestByLayer:
    def test_the_module_that_owns_a_parameter(self) -> None:
        assert parameter_blocks(NAMES, "layer") == {
            "0": ("0.weight", "0.bias"),
            "2": ("2.weight", "2.bias"),
            "4.inner": ("4.inner.weight",),
        }

    def test_the_model_itself(self) -> None:
        assert parameter_blocks(names_of(nn.Linear(3, 2)), "layer") == {
            "(model)": ("weight", "bias")
        }

    def test_a_parametrized_layer_is_one(self) -> None:
        module = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 2)))
        (names,) = parameter_blocks(names_of(module), "layer").values()
        assert set(names) == {
            "0.bias",
            "0.parametrizations.weight.original0",
            "0.parametrizations.weight.original1",
        }
        alone = parameter_blocks(names_of(parametrizations.weight_norm(nn.Linear(3, 2))), "layer")
        assert list(alone) == ["(model)"]

    def test_attention_has_two(self) -> None:
        module = nn.ModuleDict({"attention": nn.MultiheadAttention(4, 2)})
        assert parameter_blocks(names_of(module), "layer") == {
            "attention": ("attention.in_proj_weight", "attention.in_proj_bias"),
            "attention.out_proj": ("attention.out_proj.weight", "attention.out_proj.bias"),
        }

    def test_a_tied_parameter_belongs_to_its_first_name(self) -> None:
        module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5))
        module[1].weight = module[0].weight
        assert parameter_blocks(names_of(module), "layer") == {
            "0": ("0.weight",),
            "1": ("1.bias",),
        }


def test_by_parameter() -> None:
    assert parameter_blocks(NAMES, "parameter") == {name: (name,) for name in NAMES}


class TestUserBlocks:
    def test_regular_expressions(self) -> None:
        blocks = {"rest": ["^4", r"2\.bias"], "weights": [r"^[02]\.weight$"], "first": [r"^0\.b"]}
        assert parameter_blocks(NAMES, blocks) == {
            "weights": ("0.weight", "2.weight"),
            "first": ("0.bias",),
            "rest": ("2.bias", "4.inner.weight"),
        }

    @pytest.mark.parametrize(
        ("blocks", "text"),
        [
            (
                {"a": ["^0"], "b": ["2.weight"]},
                "blocks leave out 2.bias, 4.inner.weight; every parameter belongs to one block: "
                "add them to one, or freeze them with params_to_freeze",
            ),
            (
                {"a": ["^0", "^4"], "b": ["weight", "^2"]},
                "blocks overlap: 0.weight (a, b); 4.inner.weight (a, b); every parameter belongs "
                "to one block: make the regular expressions narrower",
            ),
            (
                {"a": ["."], "b": ["embeding"]},
                'blocks.b: "embeding" matches no parameter; there are: 0.weight, 0.bias, 2.weight, '
                "2.bias, 4.inner.weight",
            ),
            ({"a": ["."], "b": []}, "blocks.b has no regular expression; leave the block out"),
            ({"a": "."}, 'blocks.a must be a list of regular expressions; write {"a": ["."]}'),
            (
                {"a": ["("]},
                "blocks.a: '(' is no regular expression: missing ), unterminated subpattern at "
                "position 0",
            ),
            (
                "module",
                'blocks must be "layer", "parameter" or {"name": ["regular expression", ...]}, '
                "found 'module'",
            ),
            (
                {},
                'blocks must be "layer", "parameter" or {"name": ["regular expression", ...]}, '
                "found {}",
            ),
        ],
    )
    def test_what_is_no_division_is_refused(self, blocks: Any, text: str) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            parameter_blocks(NAMES, blocks)


class TestColumns:
    layout = ParameterLayout(
        {"a": torch.Size([2, 3]), "b": torch.Size([]), "c": torch.Size([4]), "d": torch.Size([2])}
    )

    def test_side_by_side(self) -> None:
        assert columns_of(self.layout, ["b", "c"]) == slice(6, 11)
        assert columns_of(self.layout, ["a"]) == slice(0, 6)
        assert count(slice(6, 11)) == 5

    def test_apart(self) -> None:
        found = columns_of(self.layout, ["a", "c"])
        assert isinstance(found, torch.Tensor)
        assert found.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]
        assert count(found) == 10
