"""What a config says of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from hessinf.evaluation.baselines import NAMES
from hessinf.evaluation.metric import Metric
from hessinf.interpreters import InfluenceInterpreter
from hessinf.registry import AtLeast, ConfigError, Lazy, Problem

LONGEST_NAME = 80
"""Letters of the name of a row or metric, which are columns and titles of tables."""


@dataclass(frozen=True)
class ScoresFile:
    """A file of scores, and how they lie in it.

    Parameters
    ----------
    path
        A NumPy file (.npy), or the directory of a run with all scores ("scores": "zarr"); relative
        to the working directory.
    transposed
        Whether a row of the file is a training example, instead of a query.
    negated
        Whether negative scores are helpful, as in g_q^T H^-1 g_i with a minus before it.
    """

    path: str
    transposed: bool = False
    negated: bool = False


@dataclass
class EvaluationConfig:
    """How attributions are judged.

    Parameters
    ----------
    metrics
        By the names that results are shown under.
    methods
        Methods that are judged beside the config's own interpreter, by the names of their rows.
    scores
        Scores of other origin that are judged too, by the names of their rows: files, or
        {"path": ..., "transposed": true, "negated": true}.
    models
        How many models are attributed: the run's own, and further ones trained with other seeds.
    ground_truth
        A directory for what retraining has shown, which several runs may share; the run's own when
        null.
    memory_limit
        GiB that models trained together may take.
    """

    metrics: dict[str, Metric] = field(default_factory=lambda: {"lds": Metric.from_config("lds")})
    methods: dict[str, Lazy[InfluenceInterpreter]] = field(default_factory=dict)
    scores: dict[str, str | ScoresFile] = field(default_factory=dict)
    models: Annotated[int, AtLeast(1)] = 1
    ground_truth: str | None = None
    memory_limit: Annotated[float, AtLeast(0.1)] = 4.0

    def __post_init__(self) -> None:
        """Refuse names that rows cannot have."""
        problems = list(self._problems())
        if problems:
            raise ConfigError(problems)

    def _problems(self) -> Iterator[Problem]:
        if not self.metrics:
            yield Problem("evaluation.metrics", "there is none; name one: { lds: 'lds' }")
        for key in ("metrics", "methods", "scores"):
            for name in getattr(self, key):
                if name and (not name.isprintable() or name != name.strip()):
                    yield Problem(
                        f"evaluation.{key}",
                        f"{name!r} cannot be shown as a name: expected letters that can be "
                        "printed, without spaces before or behind them",
                    )
                elif not 1 <= len(name) <= LONGEST_NAME:
                    what = "metric" if key == "metrics" else "row"
                    yield Problem(
                        f"evaluation.{key}",
                        f"a {what} has a name of {len(name)} letters, expected 1 to {LONGEST_NAME}",
                    )
        rows = [("methods", name) for name in self.methods]
        rows += [("scores", name) for name in self.scores]
        for key, name in rows:
            place = f"evaluation.{key}.{name}"
            if key == "scores" and name in self.methods:
                yield Problem(place, "evaluation.methods has a row of this name too; rename one")
            if name in NAMES and not (key == "methods" and self._is_baseline(name)):
                yield Problem(
                    place,
                    f'"{name}" is the name of a baseline, which is shown in any case; call the row '
                    "something else",
                )

    def _is_baseline(self, name: str) -> bool:
        return name == "gradient-dot" and (self.methods[name].spec or {}).get("type") == name

    def check_own_row(self, name: str) -> Iterator[Problem]:
        """Say where a row has the name of the config's own interpreter.

        Parameters
        ----------
        name
            The registered name of that interpreter.
        """
        for key, rows in (("methods", self.methods), ("scores", self.scores)):
            if name in rows:
                yield Problem(
                    f"evaluation.{key}.{name}",
                    f'the config\'s own interpreter has the row "{name}"; call this one something '
                    "else",
                )

    def score_files(self) -> dict[str, ScoresFile]:
        """Return the files of scores, however they were given."""
        return {
            name: ScoresFile(file) if isinstance(file, str) else file
            for name, file in self.scores.items()
        }
