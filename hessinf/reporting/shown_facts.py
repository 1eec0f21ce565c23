"""The facts of a run that a report names: what was explained, by what, and what it took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from hessinf.display.numbers import bytes_, counted, number, percent, seconds, setting
from hessinf.reporting.reported_run import ReportedRun
from hessinf.reporting.spoken_config import spoken

Fact = tuple[str, str]


def shown_facts(
    run: ReportedRun,
    *,
    queries: int,
    right: int | None,
    losses: Sequence[float] = (),
    images: str | None = None,
) -> list[Fact]:
    """Return names and values, in the order in which they are read; all of it is plain text.

    Parameters
    ----------
    run
        Which run.
    queries
        How many are in the report.
    right
        How many of them are predicted rightly; None where there are no classes.
    losses
        Of all training examples; empty where nobody knows them.
    images
        What was done to the images, in words; None for nothing.
    """
    shown = [] if images is None else [("Images", images)]
    return [*_data(run, queries, right), *shown, *_model(run, losses), *_method(run), *_work(run)]


def _data(run: ReportedRun, queries: int, right: int | None) -> Iterator[Fact]:
    reader = run.config.get("dataset_reader")
    if reader is not None:
        yield "Data", spoken(reader)
    train = run.metrics.get("training_examples")
    if train is not None:
        path = run.config.get("train_data_path")
        where = "" if path is None else f" ({path})"
        yield "Training examples", f"{train:,}{where}"
    flipped = run.metrics.get("flipped_labels")
    if flipped:
        yield "Labels changed on purpose", f"{len(flipped):,}"
    if queries:
        path = run.config.get("test_data_path")
        where = "" if path is None else f" ({path})"
        yield "Queries", f"{queries:,}{where}"
    if right is not None:
        yield (
            "Correct predictions",
            f"{right:,} of {queries:,} queries ({percent(right / queries)})",
        )


def _model(run: ReportedRun, losses: Sequence[float]) -> Iterator[Fact]:
    model, objective = run.config.get("model"), run.config.get("objective")
    if model is not None:
        yield "Model", spoken(model)
    parameters = run.metrics.get("parameters")
    if parameters:
        yield "Parameters covered", f"{parameters['covered']:,} ({percent(parameters['share'])})"
    if objective is not None:
        yield "Training loss of an example", spoken(objective)
    record = run.metrics.get("training") or {}
    if "epochs" in record:
        optimizer = (record.get("optimizer") or {}).get("type")
        epochs = counted(record["epochs"], "epoch")
        yield "Training", epochs if optimizer is None else f"{optimizer}, {epochs}"
    if record.get("loss") is not None:
        yield "Mean training loss", number(record["loss"])
    if losses and _is_minus_log_probability(objective):
        sure = sum(loss < math.log(2) for loss in losses)
        share = percent(sure / len(losses))
        yield "Training labels given more than 50 %", f"{sure:,} of {len(losses):,} ({share})"
    if record.get("weight_decay"):
        yield "Weight decay", setting(record["weight_decay"])


def _is_minus_log_probability(objective: Any) -> bool:
    """Whether the loss of an example is −log of the probability that its label is given."""
    return (
        isinstance(objective, Mapping)
        and objective.get("type") in ("cross-entropy", "binary-cross-entropy")
        and not any(objective.get(name) for name in ("weight", "pos_weight", "label_smoothing"))
    )


def _method(run: ReportedRun) -> Iterator[Fact]:
    interpreter = run.config.get("interpreter")
    if interpreter is not None or run.interpreter:
        yield "Method", spoken(interpreter or run.interpreter)
    measurement = run.config.get("measurement")
    if measurement is not None:
        yield "What is explained", spoken(measurement)
    reduction = run.metrics.get("training_reduction")
    if reduction is not None:
        yield "Losses of examples are added up as", str(reduction)
    curvature = (run.spectrum or {}).get("curvature")
    if curvature:
        yield "Curvature", str(curvature)


def _work(run: ReportedRun) -> Iterator[Fact]:
    stages = run.metrics.get("stages") or []
    if stages:
        yield "Time", ", ".join(f"{one['name']} {seconds(one['seconds'])}" for one in stages)
        peak = max(stage.get("peak_memory_bytes") or 0 for stage in stages)
        if peak:
            yield "Peak memory", bytes_(peak)
    device = run.provenance.get("device")
    if device:
        yield "Device", str(device)
    if "seed" in run.provenance:
        yield "Seed", str(run.provenance["seed"])
    if run.provenance.get("started"):
        yield "Started", _moment(str(run.provenance["started"]))
    versions = [
        f"{name} {version}"
        for name, version in (
            ("hessinf", run.provenance.get("hessinf")),
            ("Python", run.provenance.get("python")),
            ("torch", (run.provenance.get("packages") or {}).get("torch")),
        )
        if version
    ]
    if versions:
        yield "Made with", ", ".join(versions)


def _moment(text: str) -> str:
    """Write a moment as people read it; a text that is none stays as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.strftime("%Y-%m-%d %H:%M %Z")
