from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands.main import main
from hessinf.commands.run_config import load_checked_config
from hessinf.commands.score_arguments import with_scores
from hessinf.evaluation.evaluation_config import EvaluationConfig, ScoresFile
from hessinf.registry import ConfigError

CONFIG: dict[str, Any] = {
    "dataset_reader": {"type": "synthetic", "kind": "ring"},
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "mlp", "hidden_sizes": [4]},
    "objective": "cross-entropy",
    "trainer": {},
    "interpreter": {"type": "ekfac", "damping": 0.1},
}


@pytest.fixture
def config(tmp_path: Path) -> Any:
    def write(evaluation: Any) -> Path:
        file = tmp_path / "config.json"
        file.write_text(json.dumps({**CONFIG, "evaluation": evaluation}))
        return file

    return write


def built(file: Path) -> EvaluationConfig:
    evaluation = load_checked_config(file).build().evaluation
    assert evaluation is not None
    return evaluation


class TestDefaults:
    def test_without_metrics_it_is_the_lds(self, config: Any) -> None:
        evaluation = built(config({}))
        assert list(evaluation.metrics) == ["lds"]
        assert evaluation.metrics["lds"].registered_name() == "lds"
        assert evaluation.models == 1
        assert evaluation.ground_truth is None

    def test_there_is_none_by_default(self, config: Any) -> None:
        assert load_checked_config(config(None)).build().evaluation is None

    def test_files_of_scores(self, config: Any) -> None:
        file = config({"scores": {"a": "a.npy", "b": {"path": "b.npy", "negated": True}}})
        assert built(file).score_files() == {
            "a": ScoresFile("a.npy"),
            "b": ScoresFile("b.npy", negated=True),
        }


class TestRefused:
    @pytest.mark.parametrize(
        ("evaluation", "place", "message"),
        [
            (
                {"methods": {"ekfac": "kfac"}},
                "evaluation.methods.ekfac",
                'the config\'s own interpreter has the row "ekfac"; call this one something else',
            ),
            (
                {"scores": {"ekfac": "x.npy"}},
                "evaluation.scores.ekfac",
                'the config\'s own interpreter has the row "ekfac"; call this one something else',
            ),
            (
                {"methods": {"random": "kfac"}},
                "evaluation.methods.random",
                '"random" is the name of a baseline, which is shown in any case; call the row '
                "something else",
            ),
            (
                {"methods": {"gradient-dot": "kfac"}},
                "evaluation.methods.gradient-dot",
                '"gradient-dot" is the name of a baseline, which is shown in any case; call the '
                "row something else",
            ),
            (
                {"methods": {"x": "kfac"}, "scores": {"x": "x.npy"}},
                "evaluation.scores.x",
                "evaluation.methods has a row of this name too; rename one",
            ),
            (
                {"methods": {"": "kfac"}},
                "evaluation.methods",
                "a row has a name of 0 letters, expected 1 to 80",
            ),
            (
                {"methods": {"x" * 81: "kfac"}},
                "evaluation.methods",
                "a row has a name of 81 letters, expected 1 to 80",
            ),
            (
                {"metrics": {"": "lds"}},
                "evaluation.metrics",
                "a metric has a name of 0 letters, expected 1 to 80",
            ),
            *(
                (
                    {key: {name: what}},
                    f"evaluation.{key}",
                    f"{name!r} cannot be shown as a name: expected letters that can be printed, "
                    "without spaces before or behind them",
                )
                for key, name, what in (
                    ("methods", " ", "kfac"),
                    ("methods", "two\nlines", "kfac"),
                    ("metrics", "\t", "lds"),
                    ("scores", "theirs ", "x.npy"),
                    ("scores", "\ud800", "x.npy"),
                )
            ),
            (
                {"metrics": {}},
                "evaluation.metrics",
                "there is none; name one: { lds: 'lds' }",
            ),
        ],
    )
    def test_names(self, config: Any, evaluation: Any, place: str, message: str) -> None:
        with pytest.raises(ConfigError) as error:
            load_checked_config(config(evaluation))
        (problem,) = error.value.problems
        assert (problem.path, problem.message) == (place, message)

    def test_the_baseline_itself_may_be_named(self, config: Any) -> None:
        file = config({"methods": {"gradient-dot": {"type": "gradient-dot", "batch_size": 2}}})
        assert list(built(file).methods) == ["gradient-dot"]

    def test_an_unknown_metric(self, config: Any) -> None:
        expected = (
            'evaluation.metrics.a.type   no Metric is registered as "lsd"; did you mean "lds"?'
        )
        with pytest.raises(ConfigError, match=re.escape(expected)):
            load_checked_config(config({"metrics": {"a": "lsd"}}))


class TestScoresOfTheCommandLine:
    def test_they_are_put_into_the_config(self, config: Any) -> None:
        checked = load_checked_config(config({"scores": {"mine": "m.npy"}, "models": 2}))
        given = ["a=x=1.npy", "b=b.npy:transposed", "c=c:negated:transposed", "d=d:e.npy"]
        found = with_scores(checked, given)
        assert found.resolved()["evaluation"]["scores"] == {
            "mine": "m.npy",
            "a": {"path": "x=1.npy", "transposed": False, "negated": False},
            "b": {"path": "b.npy", "transposed": True, "negated": False},
            "c": {"path": "c", "transposed": True, "negated": True},
            "d": {"path": "d:e.npy", "transposed": False, "negated": False},
        }
        assert found.resolved()["evaluation"]["models"] == 2

    def test_also_without_an_evaluation_of_its_own(self, config: Any) -> None:
        found = with_scores(load_checked_config(config(None)), ["a=a.npy"])
        evaluation = found.build().evaluation
        assert evaluation is not None
        assert list(evaluation.metrics) == ["lds"]

    def test_without_a_name_the_row_is_called_as_the_file(self, config: Any) -> None:
        found = with_scores(load_checked_config(config(None)), ["a/theirs.npy:transposed"])
        assert found.resolved()["evaluation"]["scores"] == {
            "theirs": {"path": "a/theirs.npy", "transposed": True, "negated": False}
        }

    def test_none_leave_it_as_it_is(self, config: Any) -> None:
        checked = load_checked_config(config(None))
        assert with_scores(checked, []) is checked

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            *(
                (
                    text,
                    "--scores expects FILE or NAME=FILE, such as theirs=scores.npy or "
                    f'theirs=scores.npy:transposed, found "{text}"',
                )
                for text in ("", "=a.npy", "a=", "a=:negated", ":negated")
            ),
            ("mine=x.npy", '--scores: there are two rows "mine"; rename one'),
        ],
    )
    def test_refused(self, config: Any, text: str, message: str) -> None:
        checked = load_checked_config(config({"scores": {"mine": "m.npy"}}))
        with pytest.raises(ConfigError) as error:
            with_scores(checked, [text])
        assert str(error.value) == f"config error: {message}"


class TestCatalogues:
    @pytest.mark.parametrize(
        "command", [["list", "Metric"], ["list", "GroundTruth"], ["describe", "lds"], ["schema"]]
    )
    def test_they_are_shown(self, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(command) == 0
        assert "retraining" in capsys.readouterr().out or command[1:] == ["Metric"]

    def test_neither_torch_nor_numpy_is_imported(self, config: Any) -> None:
        file = config({"metrics": {"a": "lds", "b": "mislabel"}, "methods": {"b": "kfac"}})
        program = (
            "import sys; from hessinf.commands.main import main\n"
            f"for line in (['validate', {str(file)!r}], ['list'], ['describe', 'lds'], ['schema'],"
            f" ['validate', {str(file)!r}, '--set', 'evaluation.models=0']): main(line)\n"
            "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'pyarrow'} & set(sys.modules)\n"
            "assert not heavy, heavy"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr.splitlines()[1:]) == (
            0,
            [
                "  evaluation.models   expected int >= 1, found 0 (int)   "
                "[from --set evaluation.models=0]"
            ],
        )
