"""Run directories without a model: any data, any size, with scores that look like real ones.

A report needs no model, only what a run has written. Scores here are the similarity of made-up
features, positive for the same label and negative for another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hessinf import __version__
from hessinf.scores.score_histogram import ScoreDistribution

CONFIG: Mapping[str, Any] = {
    "dataset_reader": {"type": "jsonl", "target": "label"},
    "train_data_path": "train.jsonl",
    "test_data_path": "test.jsonl",
    "model": {"type": "mlp", "hidden_sizes": [32, 16], "activation": "gelu"},
    "objective": {"type": "cross-entropy"},
    "measurement": {"type": "loss"},
    "interpreter": {"type": "ekfac", "damping": {"relative": 0.1}},
    "top_k": 10,
    "seed": 0,
}

DIAGNOSTICS: Mapping[str, Any] = {
    "interpreter": "ekfac",
    "damping": {"0": 4.17e-4, "2": 6.15e-4},
    "parameters_covered": 1.0,
    "training_reduction": "mean",
    "fisher": "type-2",
}

TRAINING: Mapping[str, Any] = {
    "weight_decay": 1e-3,
    "reduction": "mean",
    "optimizer": {"type": "sgd", "lr": 0.05, "momentum": 0.9},
    "epochs": 60,
    "stopped_because": "epochs",
    "loss": 0.0124,
    "objective": 0.0883,
    "gradient_norm": 4.7e-3,
    "relative_gradient_norm": 0.061,
    "gradient_tolerance": None,
    "num_parameters": 2778,
    "tolerance_reached": None,
}


@dataclass
class Example:
    """An example as a person is shown it.

    Parameters
    ----------
    id
        Its id.
    display
        What is shown.
    target
        Its class.
    """

    id: str
    display: dict[str, Any]
    target: int


@dataclass
class SyntheticRun:
    """What an ``interpret`` run leaves, as dictionaries.

    Parameters
    ----------
    config, metrics
        As in ``config.json`` and ``metrics.json``.
    interpretations, self_influence
        The lines of ``interpretations.jsonl`` and ``self_influence.jsonl``.
    """

    config: dict[str, Any]
    metrics: dict[str, Any]
    interpretations: list[dict[str, Any]]
    self_influence: list[dict[str, Any]] = field(default_factory=list)

    @property
    def provenance(self) -> dict[str, Any]:
        """What ``provenance.json`` says."""
        return {"hessinf": __version__, "seed": self.config["seed"]}

    def write(self, folder: Path) -> Path:
        """Write the files of a run directory, and return it."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in (
            ("config.json", self.config),
            ("metrics.json", self.metrics),
            ("provenance.json", self.provenance),
        ):
            (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        for name, lines in (
            ("interpretations.jsonl", self.interpretations),
            ("self_influence.jsonl", self.self_influence),
        ):
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / name).write_text(text, encoding="utf-8")
        return folder


def synthetic_run(
    train: Sequence[Example],
    queries: Sequence[Example],
    label_names: Sequence[str],
    *,
    top_k: int = 10,
    seed: int = 0,
    warnings: Sequence[str] = (),
) -> SyntheticRun:
    """Interpret a model that does not exist: every fifth prediction is wrong."""
    draw = np.random.default_rng(seed)
    features = draw.standard_normal((len(train), 8))  # [N, 8]
    targets = np.array([example.target for example in train])  # [N]
    losses = draw.gamma(0.3, 0.4, len(train))  # [N]
    losses[[example.display.get("flipped_from") is not None for example in train]] += 3.0
    lines = []
    for place, query in enumerate(queries):
        likeness = np.abs(features @ draw.standard_normal(8)) ** 3 / 20  # [N]
        scores = np.where(targets == query.target, likeness, -likeness)  # [N]
        order = np.argsort(-scores, kind="stable")  # [N]
        ends = {"helpful": order[:top_k], "harmful": order[: -top_k - 1 : -1]}
        lines.append(
            {
                "query": _query(query, place, len(label_names), float(draw.uniform(0.6, 1.0))),
                **{
                    side: [_influence(train, int(i), scores, losses) for i in indices]
                    for side, indices in ends.items()
                },
                "scores": _distribution(scores),
                "diagnostics": dict(DIAGNOSTICS),
            }
        )
    self_influence = losses * draw.gamma(4.0, 2.0, len(train))  # [N]
    config = {**CONFIG, "top_k": top_k, "seed": seed}
    metrics = _metrics(len(train), len(queries), label_names, warnings)
    return SyntheticRun(config, metrics, lines, _ranking(train, self_influence, losses))


def _query(query: Example, place: int, classes: int, right: float) -> dict[str, Any]:
    wrong = place % 5 == 4 and classes > 1
    probability = {"prediction": right, "target": (1 - right) / 2 if wrong else right}
    loss = -math.log(probability["target"])
    return {
        "index": place,
        "id": query.id,
        "display": query.display,
        "loss": loss,
        "measurement": loss,
        "prediction": (query.target + wrong) % max(classes, 1),
        "probability": probability,
        "target": query.target,
    }


def _metrics(
    training: int, queries: int, label_names: Sequence[str], warnings: Sequence[str]
) -> dict[str, Any]:
    return {
        "complete": True,
        "command": "interpret",
        "interpreter": "ekfac",
        "queries": queries,
        "training_examples": training,
        "damping": DIAGNOSTICS["damping"],
        "parameters": {"covered": 2778, "share": 1.0},
        "training_reduction": "mean",
        "training": dict(TRAINING),
        "stopped_early": 0,
        "label_names": list(label_names),
        "warnings": list(warnings),
        "self_influence": {"computed": True, "ranked_by": "self-influence"},
        "stages": [_stage("fitting the interpreter", 0.07), _stage("interpreting", 0.15)],
    }


def _ranking(
    train: Sequence[Example], self_influence: np.ndarray, losses: np.ndarray
) -> list[dict[str, Any]]:
    return [
        {
            "rank": rank,
            "index": int(i),
            "id": train[i].id,
            "display": train[i].display,
            "self_influence": float(self_influence[i]),
            "loss": float(losses[i]),
            "target": train[i].target,
        }
        for rank, i in enumerate(np.argsort(-self_influence, kind="stable"))
    ]


def _stage(name: str, seconds: float) -> dict[str, Any]:
    return {
        "name": name,
        "seconds": seconds,
        "cpu_seconds": seconds,
        "peak_memory_bytes": 2**28,
        "peak_gpu_memory_bytes": None,
        "examples": 100,
        "examples_per_second": 100 / seconds,
    }


def _influence(
    train: Sequence[Example], index: int, scores: np.ndarray, losses: np.ndarray
) -> dict[str, Any]:
    example = train[index]
    score = float(scores[index])
    made = {
        "index": index,
        "id": example.id,
        "display": example.display,
        "score": score,
        "loss": float(losses[index]),
        "loss_change_if_removed": score / len(train),
        "target": example.target,
    }
    tokens = example.display.get("tokens")
    if tokens:
        shares = np.random.default_rng(index).standard_normal(len(tokens))  # [T]
        made["token_influence"] = [float(score * share / len(tokens)) for share in shares]
        made["token_influence_rest"] = score - sum(made["token_influence"])
    return made


def _distribution(scores: np.ndarray) -> dict[str, Any]:
    distribution = ScoreDistribution(1)
    distribution.add(torch.from_numpy(scores)[None])
    (found,) = distribution.to_json()
    return found


def image_run(
    queries: int,
    training: int,
    shape: tuple[int, ...] = (28, 28),
    *,
    noise: bool = False,
    top_k: int = 10,
) -> SyntheticRun:
    """Make a run of images with ten classes: strokes, or noise, which nothing compresses."""
    draw = np.random.default_rng(0)

    def example(name: str, place: int) -> Example:
        target = int(draw.integers(10))
        flipped = {"flipped_from": str((target + 3) % 10)} if place % 20 == 7 else {}
        image = draw.integers(0, 256, shape) if noise else _strokes(shape, target, draw)
        display = {"image": image.tolist(), "label": str(target), **flipped}
        return Example(f"{name}/{place}", display, target)

    train = [example("train", place) for place in range(training)]
    asked = [example("test", place) for place in range(queries)]
    return synthetic_run(train, asked, [str(digit) for digit in range(10)], top_k=top_k)


def _strokes(shape: tuple[int, ...], target: int, draw: np.random.Generator) -> np.ndarray:
    """Draw a soft ellipse whose form says the class."""
    down, across = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    middle = draw.normal(0, 0.1, 2)
    angle = target * math.pi / 10 + draw.normal(0, 0.05)
    x = (across - middle[0]) * math.cos(angle) + (down - middle[1]) * math.sin(angle)
    y = (down - middle[1]) * math.cos(angle) - (across - middle[0]) * math.sin(angle)
    radius = np.hypot(x / 0.75, y / (0.25 + 0.05 * (target % 4)))
    stroke = np.exp(-(((radius - 0.8) / 0.18) ** 2))  # [H, W]
    return np.round(255 * stroke * (stroke > 0.1)).astype(int)


def table_run(
    queries: int, training: int, columns: Sequence[str], *, top_k: int = 10
) -> SyntheticRun:
    """Make a run of table rows with two classes."""
    draw = np.random.default_rng(1)
    names = ["benign", "malignant"]

    def example(name: str, place: int) -> Example:
        target = int(draw.integers(2))
        row = {column: round(float(draw.gamma(2.0, 3.0)), 3) for column in columns}
        return Example(f"{name}/{place}", {"row": row, "label": names[target]}, target)

    train = [example("train", place) for place in range(training)]
    asked = [example("test", place) for place in range(queries)]
    return synthetic_run(train, asked, names, top_k=top_k)


WORDS = (
    "the a film plot acting was is and very not wonderful dull brilliant tedious warm cold scenes "
    "ending music hero script moving empty"
)


def text_run(queries: int, training: int, *, top_k: int = 10) -> SyntheticRun:
    """Make a run of short reviews, with influence by token."""
    draw = np.random.default_rng(2)
    names = ["negative", "positive"]
    words = WORDS.split()

    def example(name: str, place: int) -> Example:
        target = int(draw.integers(2))
        tokens = [words[i] for i in draw.integers(0, len(words), int(draw.integers(4, 30)))]
        display = {"text": " ".join(tokens), "tokens": tokens, "label": names[target]}
        return Example(f"{name}/{place}", display, target)

    train = [example("train", place) for place in range(training)]
    asked = [example("test", place) for place in range(queries)]
    return synthetic_run(train, asked, names, top_k=top_k)
