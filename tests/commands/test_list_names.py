"""``hessinf list``."""

from __future__ import annotations

import json
import re

import pytest

from hessinf.commands.catalogues import all_catalogues
from hessinf.commands.subcommand import Subcommand


def test_one_catalogue_to_the_letter(cli):
    outcome = cli("list Inversion")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.stdout == (
        "Inversion\n"
        "  exact   The inverse itself: by Cholesky, or by LDLᵀ when ``C + λI`` is indefinite. "
        "(default)\n"
        "  pseudo  The pseudo-inverse of ``C + λI``: directions with hardly any curvature are "
        "left out.\n"
        "  eigen   The inverse with eigenvalues of ``C`` mended first: negative ones, and those "
        "too small.\n"
    )


@pytest.mark.parametrize("name", ["dataset-reader", "DATASETREADER", "dataset_reader"])
def test_a_catalogue_however_it_is_written(cli, name):
    assert cli(f"list {name}").stdout == cli("list DatasetReader").stdout


def test_everything(cli):
    text = cli("list").stdout
    blocks = {block.partition("\n")[0]: block for block in text.rstrip("\n").split("\n\n")}
    assert list(blocks) == sorted(blocks)
    assert blocks.keys() == all_catalogues().keys()
    ours = {
        name: base
        for name, base in all_catalogues().items()
        if base.__module__.startswith("hessinf.")
    }
    assert len(ours) >= 10
    for name, base in ours.items():
        lines = blocks[name].split("\n")[1:]
        assert [line.split()[0] for line in lines] == base.list_available()
        assert all(len(line.split()) > 2 for line in lines)  # each says what it is
        defaults = [line.split()[0] for line in lines if line.endswith(" (default)")]
        assert defaults == [base.default_implementation] * (base.default_implementation is not None)


def test_json(cli):
    listed = json.loads(cli("list --json").stdout)
    assert listed == {name: base.list_available() for name, base in all_catalogues().items()}
    assert json.loads(cli("list Subcommand --json").stdout) == {
        "Subcommand": Subcommand.list_available()
    }


def test_plugins_are_listed(cli, workplace):
    (workplace / "mine.py").write_text(
        "from hessinf import DatasetReader\n"
        "@DatasetReader.register('from-my-disk')\n"
        "class Mine(DatasetReader):\n"
        '    """Reads my disk."""\n'
    )
    outcome = cli("list DatasetReader --include-package ./mine.py")
    assert re.search(r"^  from-my-disk +Reads my disk\.$", outcome.stdout, re.MULTILINE)


def test_a_plugins_base_does_not_hide_ours(cli, workplace):
    (workplace / "mine.py").write_text(
        "from hessinf.registry import Registrable\n"
        "class Model(Registrable): ...\n"
        "@Model.register('other')\n"
        "class Other(Model):\n"
        '    """Of another kind."""\n'
    )
    listed = json.loads(cli("list --json --include-package ./mine.py").stdout)
    assert "mlp" in listed["Model"]
    assert listed["mine.Model"] == ["other"]
    assert json.loads(cli("list mine.model --json").stdout).popitem()[1] == ["other"]


def test_an_unknown_catalogue(cli):
    outcome = cli("list datasetreadr")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr == (
        'config error: there is no catalogue "datasetreadr"; did you mean "DatasetReader"?\n'
        f"  there are: {', '.join(all_catalogues())}\n"
    )
