"""The example package as its README has it: a whole run, its own tests, a copy under a new name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "plugins" / "hessinf_label_similarity"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
CONFIG = EXAMPLE / "configs" / "two_moons.jsonnet"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


class TestRun:
    @pytest.mark.parametrize("name", ["two_moons", "two_moons_whitening"])
    def test_configs_are_valid_without_heavy_imports(self, run, name):
        code = (
            "import sys\n"
            "from hessinf.commands.main import main\n"
            f"status = main(['validate', {str(CONFIG.with_name(f'{name}.jsonnet'))!r}])\n"
            "print([x for x in ('torch', 'numpy', 'sklearn') if x in sys.modules])\n"
            "sys.exit(status)\n"
        )
        assert run("-c", code, path=[EXAMPLE]).stdout.endswith("valid\n[]\n")

    def test_every_problem_of_a_config_is_named(self, hessinf):
        words = ["--set", "interpreter.minimum_cuont=2", "--set", "dataset_reader.noise=-1"]
        done = hessinf("validate", CONFIG, *words, path=[EXAMPLE], status=2)
        assert done.stderr.startswith(f"config error: 2 problems in {CONFIG}\n")
        assert re.search(
            r"^  interpreter\.minimum_cuont +unknown argument of \"label-similarity\" "
            r"\(hessinf_label_similarity\.label_similarity\.LabelSimilarity\); did you mean "
            r"\"minimum_count\"\?",
            done.stderr,
            re.MULTILINE,
        )
        assert re.search(
            r"^  dataset_reader\.noise +expected float between 0 and 1, found -1",
            done.stderr,
            re.MULTILINE,
        )

    def test_interpret(self, hessinf, tmp_path):
        hessinf("interpret", CONFIG, "-s", tmp_path / "run", path=[EXAMPLE])
        lines = (tmp_path / "run" / "interpretations.jsonl").read_text().splitlines()
        results = [json.loads(line) for line in lines]
        assert [result["query"]["id"] for result in results] == [
            f"two-moons/test/{index}" for index in range(10)
        ]
        for result in results:
            own = result["query"]["display"]["label"]
            assert own in ("upper moon", "lower moon")
            scores = [one["score"] for one in result["helpful"]]
            assert scores == sorted(scores, reverse=True)
            assert 0 < scores[0] <= 1
            assert result["diagnostics"]["interpreter"] == "label-similarity"
            assert result["diagnostics"]["nearest_label"] in (0, 1)
            assert "degrees along the moon" in result["helpful"][0]["display"]["row"]
        resolved = json.loads((tmp_path / "run" / "config.json").read_text())
        assert resolved["interpreter"]["minimum_count"] == 1
        assert resolved["dataset_reader"]["data_seed"] == 0
        # What a run writes down can be run again.
        hessinf("validate", tmp_path / "run" / "config.json", path=[EXAMPLE])

    def test_interpret_installed_from_anywhere(self, hessinf, installed, tmp_path):
        config = tmp_path / "config.jsonnet"
        text = f"(import '{CONFIG.with_name('two_moons_whitening.jsonnet')}') + {{ include: [] }}"
        config.write_text(text)
        hessinf("interpret", config, "-s", tmp_path / "run", path=[installed])
        first = (tmp_path / "run" / "interpretations.jsonl").read_text().splitlines()[0]
        diagnostics = json.loads(first)["diagnostics"]
        assert diagnostics["interpreter"] == "gradient-whitening"
        assert diagnostics["smallest_scale"] > diagnostics["damping"] > 0

    def test_an_error_of_the_plugin_is_shown_with_its_place(self, hessinf, tmp_path):
        config = tmp_path / "config.jsonnet"
        config.write_text(
            f"(import '{CONFIG}') + {{ dataset_reader: 'diabetes', model: 'linear-regression', "
            "objective: 'mean-squared-error', trainer: { epochs: 1, batch_size: 50 } }"
        )
        done = hessinf("interpret", config, "-s", tmp_path / "run", path=[EXAMPLE], status=2)
        assert "label-similarity needs one label an example, found targets of shape [1]" in (
            done.stderr
        )
        assert "Traceback" not in done.stderr


def run_shell(text: str, cwd: Path, home: Path) -> str:
    """Run a block of the README, `hessinf` and `python` being those of the tests."""
    programs = home / "bin"
    if not programs.exists():
        programs.mkdir(parents=True)
        for name, words in (("python", ""), ("hessinf", " -m hessinf")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
            (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HESSINF_PROGRESS": "0",
        "PYTEST_ADDOPTS": "--ignore=tests/test_conformance.py",  # run by test_own_tests
    }
    done = subprocess.run(
        ["sh", "-e", "-c", text],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the folder `plugins/`, so that the README's commands may write."""
    target = tmp_path / "plugins" / EXAMPLE.name
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "runs", ".*_cache")
    shutil.copytree(EXAMPLE, target, ignore=ignored)
    return target


class TestReadme:
    @pytest.mark.slow
    def test_its_commands(self, copied, tmp_path):
        """Word by word, but for the installation: the package lies in the working directory."""
        (copied / "my_method.py").write_text(blocks("python")[0])
        use, other_ways, one_file, _ = blocks("sh")
        assert use.startswith("pip install -e .\n")
        use = use.removeprefix("pip install -e .\n")
        use = use.replace("hessinf ", "hessinf --include-package hessinf_label_similarity ")
        output = run_shell(use, copied, tmp_path / "home")
        assert '"label-similarity" is ' in output
        assert "configs/two_moons.jsonnet: valid" in output
        assert (copied / "runs" / "two_moons_whitening" / "interpretations.jsonl").is_file()
        output = run_shell(other_ways, copied, tmp_path / "home")
        assert output.count('"two-moons" is ') == 2
        output = run_shell(one_file, copied, tmp_path / "home")
        assert "What is added before dividing." in output
        assert (copied / "runs" / "my_method" / "interpretations.jsonl").is_file()

    def test_a_copy_under_a_new_name(self, copied, tmp_path):
        """The copy's own tests pass, and nothing bears the old name."""
        run_shell(blocks("sh")[3], tmp_path, tmp_path / "home")
        copy = tmp_path / "my_method"
        old = re.compile(r"hessinf.label|label[_-]similarity|labelsimilarity", re.IGNORECASE)
        kept = ("*.py", "*.cfg", "*.toml", "*.jsonnet")
        files = [path.relative_to(copy) for kind in kept for path in copy.rglob(kind)]
        assert len(files) >= 12
        left = [path for path in files if old.search(f"{path} {(copy / path).read_text()}")]
        assert left == []
        setup = (copy / "setup.cfg").read_text()
        assert "name = my-method\n" in setup
        assert "my-method = my_method\n" in setup
        output = run_shell("hessinf describe my-method --include-package my_method", copy, tmp_path)
        assert "my_method.my_method.MyMethod" in output


@pytest.mark.slow
def test_own_tests(run, tmp_path):
    words = ["-m", "pytest", EXAMPLE, "-q", "-p", "no:cacheprovider", "-m", "not gpu"]
    done = run(*words, f"--basetemp={tmp_path / 'own'}")
    assert re.search(r"\b\d+ passed", done.stdout)
    assert "failed" not in done.stdout
