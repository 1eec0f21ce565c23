from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hessinf.commands.joined_configs import join_configs
from hessinf.commands.run_config import load_checked_config
from hessinf.registry import ConfigError


@pytest.fixture
def joined(workplace):
    """Join configs that are the ring with other keys; they are called a/x.jsonnet, b/x.jsonnet."""

    def join(*changes: str):
        checked = []
        for place, change in enumerate(changes):
            file = Path("abcdef"[place], "x.jsonnet")
            file.parent.mkdir()
            file.write_text(f"(import '../ring.libsonnet') + {change}")
            checked.append(load_checked_config(file))
        return join_configs(checked)

    return join


def rows(found) -> dict:
    resolved = found.checked.resolved()
    own = resolved["interpreter"]
    return {own["type"]: own, **resolved["evaluation"]["methods"]}


def test_rows_in_order(joined):
    found = joined(
        "{ interpreter: 'kfac', evaluation: { methods: { plain: 'gradient-dot' } } }",
        "{ interpreter: { type: 'ggn', damping: 0.5 } }",
    )
    assert list(found.sources.items()) == [
        ("kfac", "a/x.jsonnet"),
        ("plain", "a/x.jsonnet"),
        ("ggn", "b/x.jsonnet"),
    ]
    assert list(rows(found)) == ["kfac", "plain", "ggn"]
    assert rows(found)["ggn"]["damping"] == 0.5
    assert found.evaluated is True
    assert found.checked.build().evaluation.methods.keys() == {"plain", "ggn"}


def test_without_evaluation(joined):
    assert joined("{ interpreter: 'kfac' }", "{ interpreter: 'ggn' }").evaluated is False


def test_what_is_joined_can_be_read_again(joined):
    found = joined("{ interpreter: 'kfac' }", "{ interpreter: 'ggn' }")
    Path("again.json").write_text(json.dumps(found.checked.resolved()))
    again = load_checked_config("again.json")
    assert again.resolved() == found.checked.resolved()


def test_the_same_row_twice_counts_once(joined):
    found = joined("{ interpreter: 'kfac' }", "{}", "{ interpreter: 'kfac' }")
    assert list(found.sources) == ["kfac", "exact"]


def test_a_name_with_other_arguments_has_its_config_behind_it(joined):
    found = joined("{ interpreter: 'kfac' }", "{ interpreter: { type: 'kfac', damping: 0.5 } }")
    assert list(found.sources) == ["kfac", "kfac (x)"]
    assert rows(found)["kfac (x)"]["damping"] == 0.5


def test_two_such_configs_of_one_name_are_refused(joined):
    message = (
        '"kfac" of c/x.jsonnet has other arguments than that of b/x.jsonnet, which is called "kfac '
        '(x)" too; give them names of their own, in evaluation.methods'
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        joined(
            *(
                f"{{ interpreter: {{ type: 'kfac', damping: {damping} }} }}"
                for damping in (0.1, 0.2, 0.3)
            )
        )


def test_what_every_config_has_read_is_kept(joined):
    found = joined("{ interpreter: 'kfac' }", "{ interpreter: 'ggn' }")
    read = {Path(path).parts[-2:] for path in found.checked.config.imports}
    assert {("a", "x.jsonnet"), ("b", "x.jsonnet")} <= read


def test_types_count(joined):
    """1 and true are the same to Python."""
    with pytest.raises(ConfigError, match=r"model.hidden_sizes: \[3\] \(list\) in a/x.jsonnet"):
        joined("{}", "{ interpreter: 'ggn', model+: { hidden_sizes: [4] } }")
