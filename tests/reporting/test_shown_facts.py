from __future__ import annotations

import pytest

from hessinf.reporting.reported_run import ReportedRun
from hessinf.reporting.shown_facts import shown_facts

CONFIG = {
    "dataset_reader": {
        "type": "noisy-labels",
        "reader": {"type": "digits", "image": False, "dtype": "float32", "test_ratio": 0.1},
        "rate": 0.05,
        "paths": ["train", "more"],
    },
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "mlp", "hidden_sizes": [32, 16], "weights": None, "bias": True},
    "objective": {"type": "cross-entropy", "weight": None, "ignore_index": -100},
    "measurement": {"type": "loss"},
    "interpreter": {"type": "ekfac", "damping": {"relative": 0.1}, "batch_size": "auto"},
}

METRICS = {
    "complete": True,
    "training_examples": 1617,
    "flipped_labels": [1, 2, 3],
    "parameters": {"covered": 2778, "share": 1.0},
    "training_reduction": "mean",
    "training": {
        "epochs": 60,
        "optimizer": {"type": "sgd"},
        "loss": 0.18942,
        "weight_decay": 0.001,
    },
    "stages": [
        {"name": "model", "seconds": 2.4, "peak_memory_bytes": 2**28},
        {"name": "interpreting", "seconds": 0.11, "peak_memory_bytes": 2**29},
    ],
}

PROVENANCE = {
    "hessinf": "0.1.0",
    "python": "3.11.7",
    "packages": {"torch": "2.6.0"},
    "device": "cpu: x86_64, 1 threads",
    "seed": 0,
    "started": "2026-01-02T03:04:05+00:00",
}


def test_the_facts_of_a_run():
    run = ReportedRun((), METRICS, CONFIG, PROVENANCE, spectrum={"curvature": "EK-FAC"})
    assert shown_facts(
        run, queries=180, right=174, losses=[0.69, 0.7, 0.1], images="made smaller"
    ) == [
        (
            "Data",
            "noisy-labels (reader digits (test_ratio 0.1), rate 0.05, paths train, more)",
        ),
        ("Training examples", "1,617 (train)"),
        ("Labels changed on purpose", "3"),
        ("Queries", "180 (test)"),
        ("Correct predictions", "174 of 180 queries (96.7 %)"),
        ("Images", "made smaller"),
        ("Model", "mlp (hidden_sizes 32, 16, bias yes)"),
        ("Parameters covered", "2,778 (100 %)"),
        ("Training loss of an example", "cross-entropy"),
        ("Training", "sgd, 60 epochs"),
        ("Mean training loss", "0.189"),
        ("Training labels given more than 50 %", "2 of 3 (66.7 %)"),
        ("Weight decay", "0.001"),
        ("Method", "ekfac (damping relative 0.1)"),
        ("What is explained", "loss"),
        ("Losses of examples are added up as", "mean"),
        ("Curvature", "EK-FAC"),
        ("Time", "model 2.40 s, interpreting 0.11 s"),
        ("Peak memory", "512 MiB"),
        ("Device", "cpu: x86_64, 1 threads"),
        ("Seed", "0"),
        ("Started", "2026-01-02 03:04 UTC"),
        ("Made with", "hessinf 0.1.0, Python 3.11.7, torch 2.6.0"),
    ]


def test_of_nothing_nothing_is_said():
    assert shown_facts(ReportedRun(), queries=0, right=None) == []


def test_a_ranking_alone_has_no_queries():
    run = ReportedRun((), {"training_examples": 5}, {"test_data_path": "test"})
    assert shown_facts(run, queries=0, right=None) == [("Training examples", "5")]


def test_objects_may_be_written_as_their_names():
    config = {"model": "logistic-regression", "interpreter": "exact"}
    assert shown_facts(ReportedRun(config=config), queries=0, right=None) == [
        ("Model", "logistic-regression"),
        ("Method", "exact"),
    ]


def test_a_moment_that_is_none_stays_as_it_is():
    run = ReportedRun(provenance={"started": "<yesterday>"})
    assert shown_facts(run, queries=0, right=None) == [("Started", "<yesterday>")]


@pytest.mark.parametrize(
    "objective",
    [
        "cross-entropy",
        {"type": "mean-squared-error"},
        {"type": "cross-entropy", "label_smoothing": 0.1},
        {"type": "cross-entropy", "weight": [1.0, 2.0]},
    ],
)
def test_other_losses_are_no_probabilities(objective):
    run = ReportedRun(config={"objective": objective})
    facts = dict(shown_facts(run, queries=0, right=None, losses=[0.1]))
    assert "Training labels given more than 50 %" not in facts
