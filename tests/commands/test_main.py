"""The command line as a whole: help, exit statuses, streams, plugins' commands, light imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hessinf.commands.subcommand import Subcommand

ROOT = Path(__file__).resolve().parents[2]

GROUPS = {
    "explain predictions": ["interpret", "self-influence", "report"],
    "judge explanations": ["evaluate", "compare", "analyze"],
    "make models": ["train"],
    "write configs": ["validate", "list", "describe", "schema"],
    "work in a shell": ["completion"],
}

COMMANDS = tuple(name for group in GROUPS.values() for name in group)

HEAVY = ("torch", "numpy", "sklearn", "scipy", "pyarrow", "tqdm", "zarr", "safetensors")

MODULES_AT_THE_END = (
    "import sys; from hessinf.commands.main import main; status = main(sys.argv[1:]); "
    f"print(sorted({{name.partition('.')[0] for name in sys.modules}} & set({HEAVY})), "
    "file=sys.stderr); sys.exit(status)"
)

COMMAND_PLUGIN = """
import os, signal
from hessinf.commands.subcommand import Subcommand

@Subcommand.register("greet")
class Greet(Subcommand):
    \"\"\"Greet somebody.\"\"\"

    def add_arguments(self, parser):
        parser.add_argument("name")

    def run(self, arguments):
        if arguments.name == "^C":
            raise KeyboardInterrupt
        if arguments.name == "TERM":
            os.kill(os.getpid(), signal.SIGTERM)
        if arguments.name == "nobody":
            raise LookupError("nobody is here")
        print(f"hello {arguments.name}")
        return 0
"""


class TestHelp:
    @pytest.mark.parametrize("line", ["", "--help", "-h", "--debug"])
    def test_lists_every_command_with_its_first_line(self, cli, line):
        outcome = cli(line)
        assert (outcome.status, outcome.stderr) == (0, "")
        listed = re.findall(r"^    ([a-z-]+)  ", outcome.stdout, re.MULTILINE)
        assert tuple(listed) == COMMANDS
        for title, names in GROUPS.items():
            group = outcome.stdout.partition(f"\n  {title}:\n")[2]
            group = re.split(r"^(?!    )", group, maxsplit=1, flags=re.MULTILINE)[0]
            assert re.findall(r"^    ([a-z-]+)  ", group, re.MULTILINE) == names
        text = " ".join(outcome.stdout.split())
        for name in COMMANDS:
            first_line = Subcommand.by_name(name).__doc__.partition("\n")[0]
            assert f"{name} {first_line}" in text

    def test_says_where_to_start(self, cli):
        assert "hessinf interpret configs/digits/exact.jsonnet -s runs/digits" in cli("").stdout

    @pytest.mark.parametrize("name", COMMANDS)
    def test_of_a_command_teaches(self, cli, name):
        outcome = cli(f"{name} --help")
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout.startswith(f"usage: hessinf {name} [-h]")
        assert f"Examples\n--------\nhessinf {name}" in outcome.stdout
        assert "default: WARNING" in outcome.stdout

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_option_has_a_text(self, name):
        from hessinf.commands.main import build_parser

        for action in build_parser().of(name)._actions:
            assert action.help, action.dest

    @pytest.mark.parametrize("name", ["interpret", "train", "self-influence", "validate"])
    def test_examples_name_configs_that_exist(self, name):
        files = re.findall(r"configs/\S+\.jsonnet", Subcommand.by_name(name).__doc__)
        assert files
        assert all((ROOT / file).is_file() for file in files)

    def test_version(self, cli):
        outcome = cli("--version")
        assert re.fullmatch(
            r"hessinf (\d+\.\d+\S*|run from its source tree, not installed)\n", outcome.stdout
        )
        assert (outcome.status, outcome.stderr) == (0, "")


WRONG = {
    "intrepret a.jsonnet -s out": 'there is no command "intrepret"; did you mean "interpret"?\n'
    f"  commands: {', '.join(COMMANDS)}\n"
    "try: hessinf --help",
    "foo": f'there is no command "foo"\n  commands: {", ".join(COMMANDS)}\ntry: hessinf --help',
    "--verison": 'there is no option "--verison"; did you mean "--version"?\ntry: hessinf --help',
    "interpret": "the following arguments are required: CONFIG, -s/--serialization-dir\n"
    "try: hessinf interpret --help",
    "interpret a.jsonnet": "the following arguments are required: -s/--serialization-dir\n"
    "try: hessinf interpret --help",
    "interpret a.jsonnet --serialisation-dir out": "the following arguments are required: "
    "-s/--serialization-dir\n"
    '  there is no option "--serialisation-dir"; did you mean "--serialization-dir"?\n'
    "try: hessinf interpret --help",
    "interpret a.jsonnet -s out --sett seed=1": 'there is no option "--sett"; did you mean "--set"?'
    "\ntry: hessinf interpret --help",
    "interpret a.jsonnet b.jsonnet -s out": 'found "b.jsonnet", which is one word too many\n'
    "try: hessinf interpret --help",
    "train a.jsonnet -s out -f -r": "argument -r/--resume: not allowed with argument -f/--force\n"
    "try: hessinf train --help",
    "schema x y": 'found "x", "y", which are too many words\ntry: hessinf schema --help',
    "validate a.jsonnet --resolve": 'there is no option "--resolve"; did you mean "--resolved"?\n'
    "try: hessinf validate --help",
    "interpret a.jsonnet -s": "argument -s/--serialization-dir: expected one argument\n"
    "try: hessinf interpret --help",
    "--include-package": "argument --include-package: expected one argument\ntry: hessinf --help",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_command_lines(cli, line):
    outcome = cli(line)
    assert outcome.stderr == f"command line error: {WRONG[line]}\n"
    assert (outcome.status, outcome.stdout) == (2, "")
    assert not Path("out").exists()


class TestCommonOptions:
    @pytest.mark.parametrize(
        "line",
        [
            "--include-package ./greeting.py greet you",
            "greet --include-package ./greeting.py you",
            "greet you --include-package ./greeting.py",
            "greet you --include-package=./greeting.py --debug --log-level DEBUG",
        ],
    )
    def test_a_plugins_command_before_and_after(self, cli, line):
        Path("greeting.py").write_text(COMMAND_PLUGIN)
        assert cli(line).stdout == "hello you\n"

    def test_a_plugins_command_is_in_the_help(self, cli):
        Path("greeting.py").write_text(COMMAND_PLUGIN)
        outcome = cli("--include-package ./greeting.py --help")
        assert re.search(
            r"^  of plugins:\n    greet +Greet somebody\.$", outcome.stdout, re.MULTILINE
        )

    def test_a_listed_plugins_command_has_help(self, cli):
        Path("greeting.py").write_text(COMMAND_PLUGIN)
        Path(".hessinf_plugins").write_text("./greeting.py  # of this project\n")
        outcome = cli("greet --help")
        assert outcome.stdout.startswith("usage: hessinf greet [-h]")
        assert outcome.status == 0

    def test_plugins_are_in_suggestions(self, cli):
        Path("greeting.py").write_text(COMMAND_PLUGIN)
        outcome = cli("--include-package ./greeting.py gret you")
        assert 'there is no command "gret"; did you mean "greet"?' in outcome.stderr

    def test_debug_shows_the_traceback_and_keeps_the_status(self, cli):
        outcome = cli("validate nowhere.jsonnet --debug")
        assert outcome.status == 2
        assert "Traceback (most recent call last)" in outcome.stderr
        assert "JsonnetError: config error: there is no file nowhere.jsonnet" in outcome.stderr

    def test_log_level(self, cli):
        assert cli("interpret a.jsonnet -s one").stderr == ""
        assert "INFO: reading data\n" in cli("interpret a.jsonnet -s two --log-level INFO").stderr
        outcome = cli("list --log-level LOUD")
        assert outcome.status == 2
        assert "argument --log-level: invalid choice: 'LOUD'" in outcome.stderr


class TestEndings:
    @pytest.mark.parametrize(("how", "what"), [("^C", "interrupted"), ("TERM", "terminated")])
    def test_interrupted(self, cli, how, what):
        Path("greeting.py").write_text(COMMAND_PLUGIN)
        outcome = cli(f"--include-package ./greeting.py greet {how}")
        assert (outcome.status, outcome.stdout, outcome.stderr) == (130, "", f"{what}\n")

    def test_an_interrupted_run_says_how_to_go_on(self, cli, monkeypatch):
        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("hessinf.training.trainer.Trainer.fit", interrupt)
        outcome = cli("train a.jsonnet -s out")
        expected = "interrupted; what is finished is kept: go on with -r\n"
        assert (outcome.status, outcome.stderr) == (130, expected)
        monkeypatch.undo()

    def test_unexpected_errors_name_the_line(self, cli, workplace):
        Path("greeting.py").write_text(COMMAND_PLUGIN)
        outcome = cli("--include-package ./greeting.py greet nobody")
        place = f"{workplace}/greeting.py:18"
        assert outcome.status == 1
        assert outcome.stderr == (
            f"unexpected error: LookupError: nobody is here ({place}); "
            "--debug shows the traceback\n"
        )
        debugged = cli("--include-package ./greeting.py greet nobody --debug")
        assert debugged.status == 1
        assert debugged.stderr.endswith("LookupError: nobody is here\n")
        assert "Traceback" in debugged.stderr

    def test_the_log_has_the_error_and_the_screen_has_it_once(self, cli):
        change = "--set trainer.optimizer.type=sgd --set trainer.optimizer.lr=1e30"
        outcome = cli(f"train a.jsonnet -s out {change}")
        assert outcome.status == 1
        assert outcome.stderr.startswith("training diverged: ")
        assert outcome.stderr.count("diverged") == 1
        assert "ERROR hessinf.commands" in Path("out/log.txt").read_text()

    def test_a_percent_sign_in_the_text_of_a_command(self, cli):
        Path("greeting.py").write_text(COMMAND_PLUGIN.replace('"""', '"""100% safe. ', 1))
        outcome = cli("--include-package ./greeting.py --help")
        assert outcome.status == 0
        assert "100% safe. " in outcome.stdout

    @pytest.mark.parametrize(
        ("redirection", "stderr"),
        [
            (">&-", ""),
            ("> /dev/full", "cannot write the output: No space left on device; free some space\n"),
        ],
    )
    def test_output_that_goes_nowhere(self, workplace, redirection, stderr):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m hessinf list {redirection}"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert (done.returncode, done.stderr) == (1 if stderr else 0, stderr)

    @pytest.mark.parametrize("line", ["list", "schema", "--help", "describe exact"])
    def test_a_reader_that_stops_early(self, workplace, line):
        command = f"{sys.executable} -m hessinf {line}"
        script = f"{command} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
        assert (done.returncode, done.stderr) == (0, "")


LIGHT = {
    "--help": 0,
    "--version": 0,
    "list": 0,
    "describe simple-influence": 0,
    "validate a.jsonnet": 0,
    "validate a.jsonnet --resolved": 0,
    "schema": 0,
    "completion bash": 0,
    "list --json": 0,
    "validate wrong.jsonnet": 2,
    "interpret wrong.jsonnet -s out": 2,
    "interpret nowhere.jsonnet -s out": 2,
    "train a.jsonnet -s out --set interpreter.type=exakt": 2,
    "interpret a.jsonnet": 2,
    "foo": 2,
}


@pytest.mark.parametrize("line", LIGHT)
def test_no_heavy_import(process, line):
    Path("wrong.jsonnet").write_text(
        "(import 'ring.libsonnet') + { interpreter+: { dampning: 1 }, device: 'gpu' }"
    )
    outcome = process(line, program=("-c", MODULES_AT_THE_END))
    assert outcome.status == LIGHT[line], outcome.stderr
    assert outcome.stderr.splitlines()[-1] == "[]"
    assert "Traceback" not in outcome.stderr
    assert bool(outcome.stdout) == (LIGHT[line] == 0)


PROCESSES = {
    "interpret a.jsonnet -s out --set seed=x": 2,
    "interpret . -s out": 2,
    "interpret a.jsonnet -s a.jsonnet": 2,
    "interpret a.jsonnet -s . -f": 2,
    "interpret a.jsonnet -s out --include-package ./raises.py": 2,
    "train a.jsonnet -s out --set train_data_path=trian": 1,
    'train a.jsonnet -s out -o \'{trainer+: {}, model: {type: "archive", path: "no"}}\'': 2,
    "self-influence a.jsonnet -s out --set model.weights=w.pt": 1,
    "interpret a.jsonnet -s out --set interpreter.memory_limit=1e-6": 1,
}


@pytest.mark.parametrize("line", PROCESSES)
def test_failing_processes(process, line):
    Path("raises.py").write_text("raise ValueError('boom')\n")
    outcome = process(line)
    assert outcome.status == PROCESSES[line], outcome.stderr
    assert outcome.stdout == ""
    assert outcome.stderr.strip()
    assert "Traceback" not in outcome.stderr


class TestDirectories:
    def test_a_file(self, cli):
        outcome = cli("interpret a.jsonnet -s a.jsonnet")
        assert outcome.status == 2
        assert outcome.stderr == (
            "a.jsonnet is a file, expected a directory for the results (-s)\n"
        )

    @pytest.mark.parametrize("option", ["", "-f", "-r"])
    def test_a_directory_of_somebody_else(self, cli, option):
        Path("notes").mkdir()
        Path("notes/today.txt").write_text("dear diary")
        outcome = cli(f"interpret a.jsonnet -s notes {option}")
        assert outcome.status == 2
        assert outcome.stderr == (
            "notes is not empty and no run of hessinf's (it has no provenance.json); it is left as "
            "it is: choose another directory with -s\n"
        )
        assert [path.name for path in Path("notes").iterdir()] == ["today.txt"]

    def test_below_a_file(self, cli):
        outcome = cli("interpret a.jsonnet -s a.jsonnet/out")
        assert (outcome.status, outcome.stdout) == (2, "")
        assert outcome.stderr == "cannot write to a.jsonnet/out: Not a directory\n"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_in_a_folder_that_may_not_be_written(self, cli):
        Path("locked").mkdir(mode=0o500)
        outcome = cli("interpret a.jsonnet -s locked/out")
        assert outcome.status == 2
        assert outcome.stderr == "cannot write to locked/out: Permission denied\n"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_config_that_may_not_be_read(self, cli):
        Path("a.jsonnet").chmod(0)
        outcome = cli("validate a.jsonnet")
        assert outcome.status == 2
        assert outcome.stderr == "config error: cannot read a.jsonnet: Permission denied\n"

    def test_after_a_failure_the_same_run_resumes_and_another_replaces(self, cli):
        diverging = "--set trainer.optimizer.type=sgd --set trainer.optimizer.lr=1e30"
        failed = cli(f"interpret a.jsonnet -s out {diverging}")
        assert failed.status == 1
        again = cli(f"interpret a.jsonnet -s out -r {diverging}")
        assert (again.status, again.stderr) == (1, failed.stderr)
        refused = cli("interpret a.jsonnet -s out")
        assert refused.status == 2
        assert "holds an earlier run; go on with it (-r), replace it (-f)" in refused.stderr
        other = cli("interpret a.jsonnet -s out -r")
        assert other.status == 2
        assert '  trainer.optimizer.type: then "sgd", now "lbfgs"\n' in other.stderr
        replaced = cli("interpret a.jsonnet -s out -f")
        assert replaced.status == 0
        assert not Path("out.new").exists()


def test_more_wanted_than_there_are_gives_all(cli):
    import json

    assert cli("interpret a.jsonnet -s out --set top_k=1000").status == 0
    for line in Path("out/interpretations.jsonl").read_text().splitlines():
        interpretation = json.loads(line)
        for side in ("helpful", "harmful"):
            assert sorted(item["index"] for item in interpretation[side]) == list(range(24))


def test_the_root_is_no_place_for_results(cli):
    outcome = cli("interpret a.jsonnet -s / -f")
    assert outcome.status == 2
    assert outcome.stderr == "-s is /, the root; choose a directory inside it\n"
