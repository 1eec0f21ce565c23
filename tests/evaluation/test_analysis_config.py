"""What a config may say of an analysis."""

from __future__ import annotations

import re

import pytest

from hessinf.evaluation.analysis_config import AnalysisConfig
from hessinf.registry import Config, ConfigError, Lazy, plan


def planned(**analysis: object) -> AnalysisConfig:
    config = Config(source="a.jsonnet", data=dict(analysis))
    built: AnalysisConfig = plan(AnalysisConfig, config, label="the analysis").build({})
    return built


def test_defaults():
    config = planned()
    assert config.reference == "hessian"
    assert list(config.approximations) == ["ggn", "block-ggn", "ekfac", "kfac"]
    assert all(isinstance(given, Lazy) for given in config.approximations.values())


def test_names_and_methods_with_arguments():
    config = planned(
        reference={"type": "block-ggn", "blocks": "parameter"},
        approximations={"a": "empirical-fisher", "b": {"type": "kfac", "fisher": "empirical"}},
    )
    assert config.reference.spec["blocks"] == "parameter"
    assert config.approximations["a"] == "empirical-fisher"
    assert config.approximations["b"].spec["fisher"] == "empirical"


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        ({"approximations": {}}, "approximations", "there is none; name at least one"),
        ({"dampings": []}, "dampings", "there is none; name at least one"),
        ({"thresholds": [1e-6, 1e-6]}, "thresholds", "has a number twice; leave one of them out"),
        (
            {"approximations": {"a/b": "ggn"}},
            "approximations.a/b",
            '"a/b" cannot be the name of a row: expected 1 to 80 letters, digits, dots, hyphens, '
            "plus signs and underscores, a letter or digit first",
        ),
        (
            {"approximations": {"Reference": "ggn"}},
            "approximations.Reference",
            '"Reference" is the name of the row of the reference; choose another',
        ),
        (
            {"approximations": {"a": {"type": "ggn", "params_to_freeze": ["bias"]}}},
            "approximations.a.params_to_freeze",
            "['bias'] here, [] in analysis.params_to_freeze, and all curvatures that are compared "
            "are in the same parameters; give it there alone",
        ),
    ],
)
def test_refusals(given, place, message):
    with pytest.raises(ConfigError) as caught:
        planned(**given)
    (problem,) = caught.value.problems
    assert (problem.path, problem.message) == (f"analysis.{place}", message)


def test_names_are_checked_like_any_others():
    with pytest.raises(ConfigError, match=re.escape('"ekfacc"; did you mean "ekfac"?')):
        planned(approximations={"a": "ekfacc"})
    with pytest.raises(ConfigError) as caught:
        planned(reference="hesian")
    (problem,) = caught.value.problems
    assert problem.message == (
        'no InfluenceInterpreter is registered as "hesian"; did you mean "hessian"?'
    )
    assert problem.details[0] == (
        "names in this place: hessian, hutchinson-hessian, hutchinson-ggn, empirical-fisher"
    )
    with pytest.raises(ConfigError, match=re.escape('unknown argument of "kfac"')):
        planned(approximations={"a": {"type": "kfac", "fischer": "empirical"}})
    with pytest.raises(ConfigError, match=re.escape("dampings.0")):
        planned(dampings=[0])
