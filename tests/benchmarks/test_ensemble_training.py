"""The measurement of ensembles, at a size that tells nothing of speed."""

from __future__ import annotations

import re

import pytest

from benchmarks.ensemble_training import Report, described, main, measure


def test_both_ways_give_the_same_models() -> None:
    report = measure(models=3, singles=2, epochs=2, hidden_sizes=[4])
    assert (report.batched_models, report.single_models, report.reason) == (3, 2, "")
    assert 0 < report.difference < 1e-4 < report.largest
    assert min(report.batched_processor, report.single_processor) > 0


def test_the_ratio_is_of_one_model() -> None:
    report = Report(100, 5.0, 6.0, 10, 10.0, 12.0, "", 1e-6, 2.0)
    assert report.ratio == 20
    assert described(report) == (
        "batched: 100 models, 5.00 s of the processor, 6.00 s of the clock, 50.0 ms a model\n"
        "one after another: 10 models, 10.00 s of the processor, 12.00 s of the clock, 1000.0 ms a "
        "model; 100 would take 100.0 s\n"
        "ratio: 20.0\n"
        "largest difference of a test loss: 1.00e-06, of losses up to 2.00"
    )


def test_what_is_not_batched_is_said() -> None:
    report = Report(3, 5.0, 6.0, 3, 10.0, 12.0, "because", 0.0, 2.0)
    assert described(report).splitlines()[0].endswith("ms a model (NOT BATCHED: because)")


@pytest.mark.parametrize(
    ("words", "singles"), [(["--singles", "1"], 1), (["--all"], 2), (["--singles", "9"], 2)]
)
def test_the_command(words: list[str], singles: int, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--models", "2", "--epochs", "1", "--hidden", "3", *words])
    printed = capsys.readouterr().out
    assert re.search(rf"^one after another: {singles} models, ", printed, re.MULTILINE)
