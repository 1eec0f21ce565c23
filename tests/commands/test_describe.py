"""``hessinf describe``: of every registered name, every argument has a text."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from hessinf.commands.catalogues import all_catalogues

REGISTERED = [
    (base_name, name)
    for base_name, base in all_catalogues().items()
    for name, entry in base.catalogue.entries.items()
    if entry.qualified_name.startswith("hessinf.")
]


@pytest.mark.parametrize(("base", "name"), REGISTERED)
class TestEveryName:
    def test_has_texts_and_fits_the_screen(self, cli, base, name):
        outcome = cli(f"describe {name} --base {base}")
        assert (outcome.status, outcome.stderr) == (0, "")
        article = "an" if base[0] in "AEIOU" else "a"
        assert outcome.stdout.startswith(f'"{name}" is {article} {base}')
        assert max(map(len, outcome.stdout.splitlines())) <= 160
        (described,) = json.loads(cli(f"describe {name} --base {base} --json").stdout)
        assert described["summary"]
        assert described["name"] == name
        without = [item["name"] for item in described["arguments"] if not item["text"]]
        assert not without, f"arguments of {name} that its docstring does not explain"

    def test_says_how_it_is_registered(self, base, name):
        if base == "Subcommand":
            return  # its docstring is the command's help
        target = all_catalogues()[base].catalogue.entries[name].target
        text = " ".join(inspect.cleandoc(target.__doc__).split())
        said = re.search(r"Registered as an? `(\w+)` with name \"([a-z0-9-]+)\"", text)
        assert said, f'{target.__qualname__} lacks: Registered as a `{base}` with name "{name}".'
        assert said.groups() == (base, name)


def test_to_the_letter(cli):
    outcome = cli("describe logit")
    assert (outcome.status, outcome.stderr) == (0, "")
    text, places = re.subn(r"registered  \S*/(hessinf/\S+):\d+", r"registered  \1", outcome.stdout)
    assert places == 1
    assert text == (
        '"logit" is a Measurement\n'
        "  class       hessinf.models.measurement.Logit\n"
        "  registered  hessinf/models/measurement.py\n"
        "\n"
        "  The logit of one class, before the softmax.\n"
        "\n"
        "  arguments:\n"
        "    index: int >= 0 | null, default null\n"
        "        Which output; the target's where it is null. A positive score then means that "
        "training more\n"
        "        on the example raises this output.\n"
    )


def test_what_the_program_passes_and_what_it_costs(cli):
    text = cli("describe simple-influence").stdout
    assert '"simple-influence" is an InfluenceInterpreter, the default one\n' in text
    assert "\n  passed by the program: model, train_data, objective," in text
    assert "\n  cost:\n    Time: num_samples × steps products" in text
    assert "\n  references:\n" in text


def test_what_it_is_good_for(cli):
    text = cli("describe diagonal").stdout
    assert "\n\n  The diagonal itself is exact: gradients are squared after " in text
    assert "Registered as" not in text
    assert text.index("The diagonal itself") < text.index("arguments:")


def test_a_name_in_two_catalogues(cli):
    text = cli("describe exact").stdout
    assert '"exact" is an InfluenceInterpreter\n' in text
    assert '\n\n"exact" is an Inversion, the default one\n' in text
    assert (
        '"exact" is an Inversion' not in cli("describe exact --base influence-interpreter").stdout
    )


UNKNOWN = {
    "exakt": 'nothing is registered as "exakt"; did you mean "exact"?',
    "zzz": 'nothing is registered as "zzz"; hessinf list shows all names',
    "logit --base Model": 'nothing is registered as "logit" in the catalogue Model; '
    "it is in: Measurement",
    "Optimizer": '"Optimizer" is a catalogue; hessinf list Optimizer shows its names',
    "mypackage.Mine": 'nothing is registered as "mypackage.Mine"; hessinf list shows all names',
}


@pytest.mark.parametrize("words", UNKNOWN)
def test_unknown_names(cli, words):
    outcome = cli(f"describe {words}")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr == f"config error: {UNKNOWN[words]}\n"


def test_an_unknown_catalogue(cli):
    outcome = cli("describe sgd --base Optimiser")
    assert outcome.status == 2
    assert outcome.stderr.startswith(
        'config error: there is no catalogue "Optimiser"; did you mean "Optimizer"?\n'
    )
