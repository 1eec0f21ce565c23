from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hessinf.commands.main import main
from tests.commands.conftest import Outcome

DIGITS = """{
  dataset_reader: {
    type: 'subset', size: 300, paths: ['train'], reader: { type: 'digits', test_ratio: 0.03 },
  },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'mlp', hidden_sizes: [12], activation: 'gelu' },
  objective: 'cross-entropy',
  trainer: { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 }, epochs: 12 },
  interpreter: { type: 'ekfac', damping: 1e-3 },
  evaluation: { metrics: { classes: 'class-detection' } },
}
"""
"""54 queries; a metric that retrains nothing, so that what is judged is judged fast."""

WINE = """{
  dataset_reader: { type: 'wine', test_ratio: 0.2, dtype: 'float64' },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'mlp', hidden_sizes: [4], dtype: 'float64' },
  objective: 'cross-entropy',
  trainer: { epochs: 4 },
  interpreter: { type: 'ekfac', damping: 1e-2 },
  evaluation: { metrics: { lds: { type: 'lds', subsets: 4 } } },
}
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with d.jsonnet, its run in "run", and scores as files."""
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder))
        patch.setenv("HESSINF_PROGRESS", "0")
        Path("d.jsonnet").write_text(DIGITS)
        Path("w.jsonnet").write_text(WINE)
        assert main(["evaluate", "d.jsonnet", "-s", "run"]) == 0
        assert main(["evaluate", "d.jsonnet", "-s", "other", "--set", "seed=5"]) == 0
        right, wrong = (ekfac_scores(Path(run)) for run in ("run", "other"))
        random = np.random.default_rng(3)
        files = {
            "right": right,
            "transposed": right.T,
            "negated": -right,
            "rows": right[random.permutation(len(right))],
            "columns": right[:, random.permutation(right.shape[1])],
            "another": wrong,
            "constant": np.where(np.arange(len(right))[:, None] < 2, 1.0, right),
        }
        files["nan"] = right.copy()
        files["nan"][3, 5], files["nan"][7, 1] = np.nan, np.inf
        for name, scores in files.items():
            np.save(name, scores)
        yield folder


def ekfac_scores(run: Path) -> np.ndarray:
    (file,) = (run / "attributions" / "ekfac").glob("scores-*.npy")
    return np.load(file)


@pytest.fixture
def place(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder, as the working directory."""
    monkeypatch.chdir(evaluated)
    monkeypatch.setenv("HESSINF_PROGRESS", "0")
    for name in ("out", "new"):
        shutil.rmtree(name, ignore_errors=True)
    return evaluated


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def evaluate(*arguments: str) -> Outcome:
        capsys.readouterr()
        status = main(["evaluate", *arguments])
        return Outcome(status, *capsys.readouterr())

    return evaluate


def warnings(text: str) -> list[str]:
    """Return the warnings above the tables, each as one line."""
    blocks = [" ".join(block.split()) for block in text.split("\n\n")]
    return [block for block in blocks if block.startswith("WARNING: ")]


class TestResults:
    def test_what_lies_in_the_directory(self, place: Path) -> None:
        results = json.loads((place / "run" / "evaluation.json").read_text())
        assert list(results) == ["format", "problem", "warnings", "rows", "metrics"]
        assert results["warnings"] == []
        assert results["rows"]["ekfac"]["interpreter"]["damping"] == 1e-3
        assert next(iter(results["metrics"]["classes"]["rows"])) == "ekfac"
        metrics = json.loads((place / "run" / "metrics.json").read_text())
        assert metrics["command"] == "evaluate"
        assert metrics["complete"] is True
        assert (metrics["queries"], metrics["training_examples"]) == (54, 300)
        stages = [stage["name"] for stage in metrics["stages"]]
        assert stages[:3] == ["reading data", "model", "preparing classes"]
        assert "judging ekfac" in stages
        assert {"config.json", "provenance.json", "log.txt", "model", "attributions"} <= {
            entry.name for entry in (place / "run").iterdir()
        }

    def test_a_finished_run_is_shown_again(self, run: Callable[..., Outcome]) -> None:
        refused = run("d.jsonnet", "-s", "run")
        assert refused.status == 2
        assert refused.stderr.startswith("run holds an earlier run; go on with it (-r)")
        again = run("d.jsonnet", "-s", "run", "-r")
        assert again.status == 0
        assert "\nfinished before: all numbers are in run/evaluation.json\n" in again.stdout
        lines = again.stdout.splitlines()
        assert lines[0] == "54 queries, 300 training examples"
        assert re.fullmatch(
            r"model: training loss 0\.\d+, accuracy \d\d\.\d %; query loss \d\.\d+, "
            r"accuracy \d\d\.\d %",
            lines[1],
        )
        assert any(line.startswith("  ekfac ") for line in lines)

    def test_broken_results_are_made_again(self, place: Path, run: Callable[..., Outcome]) -> None:
        results = place / "run" / "evaluation.json"
        before = results.read_bytes()
        results.write_bytes(before[:100])
        assert run("d.jsonnet", "-s", "run", "-r").status == 0
        assert results.read_bytes() == before

    def test_json(self, place: Path, run: Callable[..., Outcome]) -> None:
        shown = run("d.jsonnet", "-s", "run", "-r", "--json")
        assert shown.stdout == (place / "run" / "evaluation.json").read_text()

    def test_another_config_is_refused(self, run: Callable[..., Outcome]) -> None:
        refused = run("d.jsonnet", "-s", "run", "-r", "--scores", "a=right.npy")
        assert refused.status == 2
        assert 'evaluation.scores.a: then null, now {"path": "right.npy"' in refused.stderr

    def test_a_config_with_an_evaluation_still_interprets(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["interpret", "d.jsonnet", "-s", "out"]) == 0
        assert "54 queries against 300 training examples" in capsys.readouterr().out

    def test_without_an_evaluation_it_is_the_lds(self, run: Callable[..., Outcome]) -> None:
        shown = run(
            "w.jsonnet", "-s", "out", "--set", "evaluation=null", "--set", "trainer.epochs=1"
        )
        assert shown.status == 0, shown.stderr
        assert "\nlds (higher is better)\n" in shown.stdout

    def test_further_models_are_kept_and_used_again(
        self, place: Path, run: Callable[..., Outcome]
    ) -> None:
        arguments = ("w.jsonnet", "-s", "out", "--set", "evaluation.models=3")
        assert run(*arguments).status == 0
        results = (place / "out" / "evaluation.json").read_bytes()
        models = json.loads(results)["problem"]["models"]
        assert len({model["sha256"] for model in models}) == 3
        kept = sorted((place / "out" / "score_models").iterdir())
        assert len(kept) == 2
        for file in ("metrics.json", "evaluation.json"):
            (place / "out" / file).unlink()
        before = [(archive / "weights.safetensors").stat().st_mtime_ns for archive in kept]
        assert run(*arguments, "-r").status == 0
        assert (place / "out" / "evaluation.json").read_bytes() == results
        after = [(archive / "weights.safetensors").stat().st_mtime_ns for archive in kept]
        assert before == after


class TestPlantedErrors:
    """Whatever is wrong with what is judged is an error, or a warning that is seen."""

    def test_right_scores_are_not_suspected(self, place: Path, run: Callable[..., Outcome]) -> None:
        shown = run(
            *("d.jsonnet", "-s", "out", "--scores", "right=right.npy"),
            *("--scores", "turned=transposed.npy:transposed", "--scores", "up=negated.npy:negated"),
        )
        assert shown.status == 0, shown.stderr
        assert warnings(shown.stdout) == []
        rows = json.loads((place / "out" / "evaluation.json").read_text())
        measured = rows["metrics"]["classes"]["rows"]
        assert measured["right"] == measured["turned"] == measured["up"] == measured["ekfac"]
        assert rows["rows"]["up"]["negated"] is True
        assert rows["rows"]["right"]["checks"]["suspected"] is None

    def test_all_planted_errors_are_warned_of(self, run: Callable[..., Outcome]) -> None:
        names = ("negated", "rows", "columns", "another", "constant")
        given = [part for name in names for part in ("--scores", f"{name}={name}.npy")]
        shown = run("d.jsonnet", "-s", "out", *given)
        assert shown.status == 0, shown.stderr
        found = warnings(shown.stdout)
        number = r"-?\d\.\d\d"
        expected = [
            'the scores "negated": they agree with gradient-dot turned over (mean rank '
            "correlation <number>): negative seems to be helpful in them; if so, say "
            'NAME=FILE:negated, or "negated": true',
            'the scores "rows": queries seem to be in another order: a query\'s scores agree no '
            "better with its own gradients than with those of other queries",
            'the scores "columns": they do not agree with the gradients of the explained model '
            "(mean rank correlation <number>): training examples may be in another order, or the "
            "scores belong to other data, another model or none",
            'the scores "another": they agree no better with the explained model than with 2 '
            "models of other seeds: they are of another model, or of none (similarities of inputs "
            "are); score the model that is evaluated, which lies in DIR/model",
            'the scores "constant": 2 of 54 queries have one score for all training examples: '
            "they rank nothing",
        ]
        assert len(found) == len(expected)
        for text, sentence in zip(found, expected, strict=True):
            pattern = re.escape(f"WARNING: {sentence}").replace("<number>", number)
            assert re.fullmatch(pattern, text), text
        assert shown.stdout.startswith("WARNING: ")

    @pytest.mark.parametrize(
        ("scores", "message"),
        [
            (
                "transposed.npy",
                'the scores "x" (transposed.npy) has shape [300, 54], expected [54, 300] (queries, '
                "training examples); rows seem to be training examples: say so with "
                'NAME=FILE:transposed, or {"path": ..., "transposed": true}\n',
            ),
            (
                "right.npy:transposed",
                'the scores "x" (right.npy), transposed, has shape [300, 54], expected [54, 300] '
                "(queries, training examples); they fit as they lie in the file: leave "
                '":transposed", or "transposed": true, out\n',
            ),
            (
                "nan.npy",
                'the scores "x" (nan.npy)[3, 5] is nan, expected finite numbers (2 of 16200 are '
                "not): they have no rank; find out where they come from, they are not left out "
                "here\n",
            ),
            (
                "none.npy",
                'there is no file "none.npy" with scores; save them with numpy.save(path, scores), '
                "[queries, training examples]\n",
            ),
            (
                "d.jsonnet",
                '"d.jsonnet" is no .npy file with one array of numbers (<...>); save scores with '
                "numpy.save(path, scores), [queries, training examples]\n",
            ),
            (
                "run",
                '"run" is no run with all scores (it has no scores.zarr); make one: hessinf '
                "interpret CONFIG -s run --set scores=zarr\n",
            ),
        ],
    )
    def test_refused_before_anything_is_trained(
        self, place: Path, run: Callable[..., Outcome], scores: str, message: str
    ) -> None:
        refused = run("d.jsonnet", "-s", "out", "--scores", f"x={scores}")
        assert re.fullmatch(re.escape(message).replace("<\\.\\.\\.>", ".*"), refused.stderr)
        assert refused.status == 1
        assert not (place / "out").exists()

    def test_a_method_that_fails_is_found_before_anything_is_trained(
        self, place: Path, run: Callable[..., Outcome]
    ) -> None:
        method = '{"mine": {"type": "kfac", "params_to_freeze": ["."]}}'
        refused = run("d.jsonnet", "-s", "out", "--set", f"evaluation.methods={method}")
        assert (refused.status, refused.stderr) == (
            1,
            "evaluation.methods.mine: no parameter is left: 4 of 4 are frozen by "
            "params_to_freeze=['.'], the others by requires_grad=False\n",
        )
        assert not (place / "out").exists()

    @pytest.mark.parametrize(
        ("metric", "message"),
        [
            (
                "leave-one-out",
                '"leave-one-out" retrains convex models to the last digit, and the outputs of this '
                "FlatSequential are not linear in its parameters (between two sets of them they "
                "are <...> away from a line); what leaving one example out does to a network that "
                'is trained by chance is mostly noise; use the metric "lds", which averages over '
                "many subsets and seeds",
            ),
            (
                "mislabel",
                "mislabel looks for labels that were changed on purpose, and the training data "
                '"digits/train" have none: read them with {"type": "noisy-labels", "reader": ..., '
                '"rate": 0.1}',
            ),
            (
                '{"type": "brittleness", "removed": [300]}',
                '"brittleness": removed has 300, and there are 300 training examples; remove fewer',
            ),
        ],
    )
    def test_a_metric_that_cannot_be_applied_is_found_before_anything_is_trained(
        self, place: Path, run: Callable[..., Outcome], metric: str, message: str
    ) -> None:
        spec = metric if metric.startswith("{") else json.dumps(metric)
        refused = run("d.jsonnet", "-s", "out", "--set", f'evaluation.metrics={{"m": {spec}}}')
        pattern = re.escape(f"evaluation.metrics.m: {message}\n").replace("<\\.\\.\\.>", ".*")
        assert re.fullmatch(pattern, refused.stderr), refused.stderr
        assert refused.status == 1
        assert not (place / "out").exists()

    def test_one_model_for_all_seeds_is_found_before_anything_is_trained(
        self, place: Path, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (place / "always_the_same.py").write_text(
            "import torch\n"
            "def build():\n"
            "    torch.manual_seed(0)\n"
            "    return torch.nn.Linear(13, 3).double()\n"
        )
        monkeypatch.syspath_prepend(str(place))
        model = '{"type": "module", "constructor": "always_the_same:build", "trust": true}'
        refused = run("w.jsonnet", "-s", "out", "--set", f"model={model}")
        assert re.fullmatch(
            r"evaluation\.metrics\.lds: the ground truth .subset-retraining. trains models from "
            r"new initial weights, and make_module gives the same weights for the seeds \d+ and "
            r"\d+: it must draw them from the seed, and not return a model that is trained "
            r"already\n",
            refused.stderr,
        ), refused.stderr
        assert not (place / "out").exists()

    def test_scores_of_a_run(self, place: Path, run: Callable[..., Outcome]) -> None:
        shutil.rmtree("scored", ignore_errors=True)
        assert main(["interpret", "d.jsonnet", "-s", "scored", "--set", "scores=zarr"]) == 0
        shown = run("d.jsonnet", "-s", "out", "--scores", "kept=scored")
        assert shown.status == 0, shown.stderr
        assert warnings(shown.stdout) == []
        refused = run("d.jsonnet", "-s", "new", "--scores", "kept=scored", "--set", "seed=5")
        assert refused.status == 1
        assert re.fullmatch(
            r'the scores "kept" \(scored\) are of a model with sha256 [0-9a-f]{12}…, and what is '
            r"evaluated has [0-9a-f]{12}…; score with the same config, or leave them out\n",
            refused.stderr,
        )
        refused = run(
            *("d.jsonnet", "-s", "out", "-f", "--scores", "kept=scored"),
            *("--set", "dataset_reader.subset_seed=5"),
        )
        assert 'the scores "kept" (scored) are of training data with sha256 ' in refused.stderr

    @pytest.mark.parametrize("shared", ["d.jsonnet", "d.jsonnet/inside"])
    def test_a_place_for_ground_truth_that_cannot_be_made(
        self, place: Path, run: Callable[..., Outcome], shared: str
    ) -> None:
        refused = run("w.jsonnet", "-s", "out", "--set", f"evaluation.ground_truth={shared}")
        assert (refused.status, refused.stderr) == (
            1,
            f"evaluation.ground_truth: {shared} cannot be a directory for ground truth: d.jsonnet "
            "is a file; name another directory\n",
        )
        assert not (place / "out").exists()

    def test_a_warm_start_is_no_retraining(self, place: Path, run: Callable[..., Outcome]) -> None:
        assert run("w.jsonnet", "-s", "out").status == 0
        weights = place / "out" / "model" / "weights.safetensors"
        refused = run("w.jsonnet", "-s", "new", "--set", f"model.weights={weights}")
        assert refused.status == 1
        assert refused.stderr.endswith(
            'trains models again, and "model.weights" starts each of them from '
            f'"{weights}": a warm start, which carries over what that file was trained on; leave '
            "model.weights out, so that models start from random weights\n"
        )

    def test_an_archive_is_not_retrained(self, place: Path, run: Callable[..., Outcome]) -> None:
        assert run("w.jsonnet", "-s", "out").status == 0
        refused = run(
            *("w.jsonnet", "-s", "new", "--set", "trainer=null"),
            *("--set", 'model={"type": "archive", "path": "out"}'),
        )
        assert refused.status == 1
        assert refused.stderr.endswith(
            'trains models again, and the config has no trainer: give one ("trainer": {...}) and '
            "an untrained model, not an archive\n"
        )
        refused = run(
            *("w.jsonnet", "-s", "new", "--set", "trainer=null"),
            *("--set", 'model={"type": "archive", "path": "out"}'),
            *("--set", 'evaluation.metrics={"m": "model-randomisation"}'),
        )
        assert (refused.status, refused.stderr) == (
            1,
            "evaluation.metrics.m: model-randomisation makes models with random weights, and "
            '"model" is an archive, whose weights each of them has; name an untrained model\n',
        )

    def test_a_module_that_comes_trained_is_no_retraining(
        self, place: Path, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert run("w.jsonnet", "-s", "out").status == 0
        monkeypatch.syspath_prepend(str(place))
        (place / "comes_trained.py").write_text(
            "import torch\n"
            "from hessinf import load_archive\n"
            "class Trained(torch.nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            f"        self.inner = load_archive({str(place / 'out' / 'model')!r}).module\n"
            "    def forward(self, x): return self.inner(x)\n"
        )
        model = '{"type": "module", "constructor": "comes_trained:Trained", "dtype": "float64"}'
        refused = run("w.jsonnet", "-s", "new", "--set", f"model={model}")
        assert refused.status == 1
        assert "make_module gives the same weights for the seeds" in refused.stderr
        # A metric that retrains nothing goes on, with the warning above its table.
        shown = run(
            *("w.jsonnet", "-s", "new", "-f", "--set", f"model={model}"),
            *("--set", 'evaluation.metrics={"classes": "class-detection"}'),
        )
        assert shown.status == 0, shown.stderr
        assert any("make_module gives the same weights" in text for text in warnings(shown.stdout))

    def test_queries_that_were_trained_on(self, run: Callable[..., Outcome]) -> None:
        refused = run("d.jsonnet", "-s", "out", "--set", "test_data_path=train")
        assert refused.status == 1
        assert re.fullmatch(
            r'all 300 queries are training examples \("(.*)" is training example "\1", .*, \.\.\.'
            r"\): the models have seen them, and scores would be judged on examples explaining "
            r"themselves; take test data that were not trained on \(test_data_path\)\n",
            refused.stderr,
        )

    def test_some_queries_that_were_trained_on(
        self, place: Path, run: Callable[..., Outcome]
    ) -> None:
        header = "x,y,label\n"
        train = "".join(f"{i},{i % 3},{'ab'[i % 2]}\n" for i in range(40))
        (place / "train.csv").write_text(header + train)
        (place / "test.csv").write_text(header + "3,0,b\n100,1,a\n5,2,b\n")
        shown = run(
            *("d.jsonnet", "-s", "out", "--set", "train_data_path=train.csv"),
            *("--set", "test_data_path=test.csv"),
            *("--set", 'dataset_reader={"type": "csv", "target": "label"}'),
        )
        assert shown.status == 0, shown.stderr
        (warning,) = warnings(shown.stdout)
        assert warning.startswith("WARNING: 2 of 3 queries have the inputs of a training example (")
        assert warning.endswith(
            "): the models have seen them; take test data that were not trained on"
        )

    def test_damping_tuned_on_the_queries_it_is_reported_on(
        self, run: Callable[..., Outcome]
    ) -> None:
        refused = run(
            *("w.jsonnet", "-s", "out", "--set", "evaluation.metrics.lds.dampings=[0.1, 1]"),
            *("--set", "evaluation.metrics.lds.tune_share=1"),
        )
        assert refused.status != 0
        assert "tune_share" in refused.stderr
