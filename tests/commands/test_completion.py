"""What shells complete after ``hessinf``, asked as they ask."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands.subcommand import Subcommand

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {"torch", "numpy", "sklearn", "scipy", "pyarrow", "matplotlib", "zarr", "safetensors"}

MODULES_AT_THE_END = """
import json, os, sys

leave = os._exit

def say_modules(status):
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), flush=True)
    leave(status)

os._exit = say_modules  # how completion ends
from hessinf.commands.main import main
main(sys.argv[1:])
"""


@pytest.fixture
def program(workplace: Path) -> Path:
    """A folder with ``hessinf`` as a program, as an installation has it."""
    folder = workplace / "bin"
    folder.mkdir()
    script = folder / "hessinf"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m hessinf "$@"\n')
    script.chmod(0o755)
    return folder


@pytest.fixture
def complete(program: Path) -> Callable[[str], list[str]]:
    """Ask in bash, as the tab key does."""
    environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}"}
    with open(program / "script", "w") as script:
        words = ["hessinf", "completion", "bash"]
        subprocess.run(words, stdout=script, check=True, env=environment)

    def ask(line: str) -> list[str]:
        commands = (
            f'source "{program}/script"\n'
            'COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9\n'
            "complete -p hessinf > /dev/null || exit 3\n"
            "_python_argcomplete hessinf\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", commands, "bash", line],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=environment,
        )
        assert done.stderr == ""
        return [one for one in done.stdout.split("\n") if one]

    return ask


def test_commands(complete):
    assert sorted(complete("hessinf ")) == sorted(Subcommand.catalogue.entries)
    assert complete("hessinf inter") == ["interpret "]


def test_options(complete):
    assert complete("hessinf interpret --ser") == ["--serialization-dir "]
    assert set(complete("hessinf list --")) == {
        *("--help", "--json", "--include-package", "--debug", "--log-level"),
    }


def test_choices(complete):
    assert complete("hessinf completion ") == ["bash", "zsh", "fish"]
    assert complete("hessinf --log-level W") == ["WARNING "]
    assert complete("hessinf train a.jsonnet --device ") == ["auto", "cpu", "cuda"]


@pytest.fixture
def listed(process: Callable[..., Any]) -> dict[str, list[str]]:
    """What is registered in a process of its own: other tests leave names behind."""
    names: dict[str, list[str]] = json.loads(process("list --json").stdout)
    return names


def test_names(complete, listed):
    assert set(complete("hessinf describe ")) == {
        name for names in listed.values() for name in names
    }
    assert complete("hessinf describe simple-inf") == ["simple-influence "]
    assert complete("hessinf describe --base Model ml") == ["mlp "]
    assert complete("hessinf describe --base nothing ml") == []


def test_catalogues(complete, listed):
    assert complete("hessinf list") == ["list "]
    assert set(complete("hessinf list ")) == set(listed)
    assert complete("hessinf describe --base Influ") == ["InfluenceInterpreter "]


def test_configs_and_folders(complete):
    for name in ("one.json", "my config.jsonnet", ".hidden.json", "notes.txt", "bad\n.json"):
        Path(name).write_text("{}")
    Path("configs").mkdir()
    Path("configs/deep.jsonnet").write_text("{}")
    assert complete("hessinf validate ") == [
        *("a.jsonnet", "bin/", "configs/", "my\\ config.jsonnet", "one.json"),
    ]
    assert complete("hessinf validate configs/") == ["configs/deep.jsonnet "]
    assert complete("hessinf compare a.jsonnet one") == ["one.json "]
    assert complete("hessinf validate .h") == [".hidden.json "]
    assert complete("hessinf train a.jsonnet -s co") == ["configs/"]
    assert complete("hessinf report co") == ["configs/"]
    assert complete("hessinf validate nowhere/") == []


def test_scores_and_plugins(complete):
    for name in ("scores.npy", "mine.py"):
        Path(name).touch()
    assert complete("hessinf evaluate a.jsonnet --scores s") == ["scores.npy "]
    assert complete("hessinf --include-package m") == ["mine.py "]


def test_keys_of_the_config_on_the_line(complete):
    found = complete("hessinf interpret a.jsonnet --set interpreter.")
    assert "interpreter.damping=" in found
    assert "interpreter.inversion=" in found  # an argument of "exact"
    assert "interpreter.recursion_depth=" not in found
    changed = "hessinf interpret a.jsonnet --set interpreter.type=ekfac --set interpreter."
    assert "interpreter.samples=" in complete(changed)
    assert complete("hessinf interpret a.jsonnet --set see") == ["seed="]
    assert "model.hidden_sizes=" in complete("hessinf compare a.jsonnet --set model.")


@pytest.mark.parametrize("config", ["nowhere.jsonnet", "broken.jsonnet", "array.json"])
def test_keys_where_no_config_can_be_read(complete, config):
    Path("broken.jsonnet").write_text("{ error")
    Path("array.json").write_text("[]")
    found = complete(f"hessinf interpret {config} --set interpreter.")
    assert "interpreter.recursion_depth=" in found  # of the default method


def test_values(complete, listed):
    methods = listed["InfluenceInterpreter"]
    found = complete("hessinf interpret a.jsonnet --set interpreter.type=")
    assert sorted(found) == sorted(methods)
    assert complete("hessinf interpret a.jsonnet --set interpreter=simple") == [
        "simple-influence ",
    ]
    assert complete("hessinf interpret a.jsonnet --set report=t") == ["true "]
    assert complete("hessinf interpret a.jsonnet --set seed=") == []


def test_nothing_of_the_working_directory_is_run(complete):
    Path("plugin.py").write_text("open('ran', 'w')")
    Path(".hessinf_plugins").write_text("./plugin.py\n")
    Path("b.jsonnet").write_text("(import 'ring.libsonnet') + { include: ['./plugin.py'] }")
    assert complete("hessinf --include-package ./plugin.py inter") == ["interpret "]
    assert complete("hessinf interpret b.jsonnet --set see") == ["seed="]
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "line",
    [
        "hessinf int",
        "hessinf describe ek",
        "hessinf list Inf",
        "hessinf interpret a.js",
        "hessinf interpret a.jsonnet --set interpreter.da",
    ],
)
def test_nothing_heavy_is_imported(workplace, line):
    done = subprocess.run(
        ["bash", "-c", '"$@" 8>completions', "bash", sys.executable, "-c", MODULES_AT_THE_END],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "_ARGCOMPLETE": "1",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        },
    )
    assert done.returncode == 0, done.stderr
    assert Path("completions").read_text()
    assert HEAVY & set(json.loads(done.stdout)) == set()


def test_the_scripts_name_the_program(cli):
    for shell in ("bash", "zsh", "fish"):
        outcome = cli(f"completion {shell}")
        assert (outcome.status, outcome.stderr) == (0, "")
        assert "hessinf" in outcome.stdout
        as_json = json.loads(cli(f"completion {shell} --json").stdout)
        assert as_json == {"shell": shell, "script": outcome.stdout.rstrip("\n")}
    assert "complete -o nospace -o default -o bashdefault -F _python_argcomplete hessinf" in (
        cli("completion bash").stdout
    )
    assert "complete --command hessinf" in cli("completion fish").stdout


def test_another_shell_is_refused(cli):
    outcome = cli("completion tcsh")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "invalid choice: 'tcsh'" in outcome.stderr


START = {
    "bash": (["bash", "--norc", "-i"], ['eval "$(hessinf completion bash)"']),
    "zsh": (
        ["zsh", "-f", "-i"],
        ["autoload -U compinit; compinit -u -D", 'eval "$(hessinf completion zsh)"'],
    ),
    "fish": (["fish", "--private", "-N"], ["hessinf completion fish | source"]),
}


@pytest.mark.parametrize("shell", START)
def test_the_tab_key_at_a_terminal(program, shell):
    """A person types half a command and a tab; the shell runs what it has completed."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    words, setup = START[shell]
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"PATH": f"{program}:{os.environ['PATH']}", "TERM": "xterm"}
        os.execvp(words[0], words)
    try:
        for line in (*setup, "echo ready > ready"):
            os.write(terminal, f"{line}\n".encode())
        _until(Path("ready"), terminal)
        os.write(terminal, b"hessinf valid\ta.js\t> done\n")
        _until(Path("done"), terminal)
        assert Path("done").read_text() == "a.jsonnet: valid\n"
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def _until(file: Path, terminal: int) -> None:
    """Read what the terminal shows until a file holds something."""
    answers = {b"\x1b[c": b"\x1b[?62;c", b"\x1b[6n": b"\x1b[1;1R"}  # what fish asks a terminal
    end = time.monotonic() + 60
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end, f"no {file} after a minute"
        if select.select([terminal], [], [], 0.05)[0]:
            shown = os.read(terminal, 65536)
            for question, answer in answers.items():
                if question in shown:
                    os.write(terminal, answer)
