"""What a config says of a run, key by key."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from hessinf.data import DatasetReader
from hessinf.evaluation.analysis_config import AnalysisConfig
from hessinf.evaluation.evaluation_config import EvaluationConfig
from hessinf.execution import Executor
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.groups import GroupsConfig
from hessinf.models import Measurement, Model, Objective
from hessinf.registry import (
    AtLeast,
    AtMost,
    Config,
    ConfigError,
    JsonnetOptions,
    Lazy,
    Matches,
    Plan,
    Problem,
    import_plugins,
    load_config,
    plan,
    refusals,
)
from hessinf.registry.json_text import found
from hessinf.registry.plugins import absolute_name
from hessinf.training import Trainer

DEVICES = 'that is "auto", "cpu", "cuda" or "cuda:N"'

LATER_KEYS: dict[str, Any] = {
    "self_influence": "auto",
    "token_influence": "auto",
    "report": True,
}
"""Keys that runs of earlier versions lack, and what they did as if it had been said."""

DEFAULT_OBJECTS: dict[str, Any] = {
    "interpreter": {"type": "simple-influence"},
    "measurement": {"type": "loss"},
    "executor": {"type": "local"},
}
"""Keys whose defaults are objects: they are filled in before the config is checked."""


@dataclass
class DataLoader:
    """How examples are put together in batches.

    Parameters
    ----------
    batch_size
        Training examples whose gradients are computed together; "auto" for the largest that fits
        the interpreter's memory_limit.
    """

    batch_size: Annotated[int, AtLeast(1)] | Literal["auto"] = "auto"

    def arguments(self) -> dict[str, Any]:
        """Return what is said here as arguments of interpreters."""
        return {} if self.batch_size == "auto" else {"batch_size": self.batch_size}


@dataclass
class RunConfig:
    """A run: data, model, training, and how its predictions are explained.

    Parameters
    ----------
    dataset_reader
        Reads the training data, and the test data unless test_dataset_reader is given.
    train_data_path
        What the reader is given for the training data: a split such as "train", or a file.
    model
        The network: a recipe that is trained, or {"type": "archive", "path": ...}.
    objective
        The training loss of each example.
    test_data_path
        The queries.
    test_dataset_reader
        Reads the test data, where that needs a reader of its own.
    validation_data_path
        Data that early stopping watches.
    trainer
        How the model is trained; null where it is trained already.
    weight_decay
        The ½·wd·‖θ‖² that the model was trained with, where no trainer and no archive says it.
    training_reduction
        How losses of examples were added up in training: "mean" (renormalised when an example is
        left out), "sum", or "mean-fixed"; null for what the training record says.
    measurement
        What is explained of each query.
    interpreter
        The method.
    data_loader
        How examples are put together in batches.
    executor
        Where work over shards of the training data runs.
    top_k
        How many helpful and how many harmful examples are kept for each query.
    groups
        Groups of training examples, whose influence is given with each query: "label", {"field":
        "row.sex"}, {"id_pattern": "^([a-z]+)-"}, or training indices by name or as lists.
    scores
        "zarr" keeps the whole Q × N matrix of scores beside the results; null keeps the top_k only.
    self_influence
        Whether `interpret` ranks the training examples by their influence on themselves too, for
        the list of those that may be mislabelled; "auto" for where that takes no iterative solve
        for each of them. They are ranked by their losses otherwise.
    token_influence
        Whether `interpret` says of each training example in the lists what its words contribute to
        the score; "auto" for where its words are shown and scores can be split.
    report
        Whether `interpret` ends with a page of its results, report.html, and with plots as files
        beside it where matplotlib is installed; "page" for the page alone.
    evaluation
        How `hessinf evaluate` judges the interpreter: metrics, and further rows beside it.
    analysis
        Which curvatures `hessinf analyze` compares, and how.
    seed
        The seed of everything random.
    device
        "cpu", "cuda", "cuda:1", or "auto": a GPU where there is one.
    cuda_device
        AllenNLP's way to say it: -1 for the CPU, 0 and up for a GPU.
    include
        Plugins to import: packages, or paths of .py files, relative to the config file.
    """

    dataset_reader: DatasetReader
    train_data_path: str
    model: Lazy[Model]
    objective: Objective
    test_data_path: str | None = None
    test_dataset_reader: DatasetReader | None = None
    validation_data_path: str | None = None
    trainer: Trainer | None = None
    weight_decay: Annotated[float, AtLeast(0)] | None = None
    training_reduction: Literal["mean", "sum", "mean-fixed"] | None = None
    measurement: Measurement = field(default_factory=lambda: Measurement.from_config("loss"))
    interpreter: Lazy[InfluenceInterpreter] = field(
        default_factory=lambda: Lazy(InfluenceInterpreter)
    )
    data_loader: DataLoader = field(default_factory=DataLoader)
    executor: Executor = field(default_factory=lambda: Executor.from_config("local"))
    top_k: Annotated[int, AtLeast(1)] = 10
    groups: GroupsConfig | None = None
    scores: Literal["zarr"] | None = None
    self_influence: Literal["auto"] | bool = "auto"
    token_influence: Literal["auto"] | bool = "auto"
    report: Literal["page"] | bool = True
    evaluation: EvaluationConfig | None = None
    analysis: AnalysisConfig | None = None
    seed: Annotated[int, AtLeast(0), AtMost(2**64 - 1)] = 0
    device: Annotated[str, Matches(r"auto|cpu|cuda(:\d+)?", DEVICES)] = "auto"
    cuda_device: Annotated[int, AtLeast(-1)] | None = None
    include: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse what the annotations cannot."""
        problems = list(self._contradictions())
        if problems:
            raise ConfigError(problems)
        if self.cuda_device is not None:
            self.device = "cpu" if self.cuda_device == -1 else f"cuda:{self.cuda_device}"

    def _contradictions(self) -> Iterator[Problem]:
        if self.cuda_device is not None and self.device != "auto":
            yield Problem(
                "cuda_device",
                f'{self.cuda_device} is given beside device "{self.device}"; give one of them',
            )
        model = self.model.spec or {}
        if self.trainer is not None and model.get("type") == "archive":
            yield Problem(
                "trainer",
                "the model comes from an archive, trained already; leave this out",
            )
        if self.evaluation is not None:
            yield from self.evaluation.check_own_row(str((self.interpreter.spec or {}).get("type")))
        said, also_said = (
            self.data_loader.batch_size,
            (self.interpreter.spec or {}).get("batch_size", "auto"),
        )
        if "auto" not in (said, also_said) and said != also_said:
            yield Problem(
                "data_loader.batch_size",
                f"{said} contradicts interpreter.batch_size {also_said}; give one of them",
            )


@dataclass(frozen=True)
class CheckedConfig:
    """A config that was found to be right.

    Parameters
    ----------
    config
        What the file says, overrides applied.
    plan
        What will be built.
    """

    config: Config
    plan: Plan

    def resolved(self) -> dict[str, Any]:
        """Return the config with every default written out, so that it can be used anywhere."""
        resolved: dict[str, Any] = self.plan.resolved()
        folder = Path(self.config.source).parent
        resolved["include"] = [absolute_name(item, folder) for item in resolved["include"]]
        return resolved

    def build(self) -> RunConfig:
        """Build what needs no data."""
        built: RunConfig = self.plan.build({})
        return built

    @contextlib.contextmanager
    def naming_source(self) -> Iterator[None]:
        """Add file and origin to config errors that only data or device bring out."""
        try:
            yield
        except ConfigError as error:
            if error.source is not None or type(error) is not ConfigError:
                raise
            problems = [self.config.with_origin(problem) for problem in error.problems]
            raise ConfigError(problems, self.config.source) from error


def load_checked_config(
    path: str | Path,
    options: JsonnetOptions | None = None,
    *,
    overrides: str | None = None,
    settings: Iterable[str] = (),
) -> CheckedConfig:
    """Read a config file, import the plugins it includes, and check all of it.

    Parameters
    ----------
    path, options, overrides, settings
        As :func:`hessinf.registry.load_config` takes them.

    Raises
    ------
    ConfigError
        With every problem at once.
    """
    config = load_config(path, options, overrides=overrides, settings=settings)
    _import_included(config)
    return checked_config(config)


def checked_config(config: Config) -> CheckedConfig:
    """Check all of a config whose plugins are imported.

    Raises
    ------
    ConfigError
        With every problem at once.
    """
    data = {**DEFAULT_OBJECTS, **config.data}
    # The keys in the order in which the fields are documented, whatever Jsonnet's own order.
    order = {name: place for place, name in enumerate(RunConfig.__dataclass_fields__)}
    data = dict(sorted(data.items(), key=lambda item: order.get(item[0], len(order))))
    planned = plan(RunConfig, replace(config, data=data), label="the config")
    refused = refusals(planned)
    if refused:
        raise ConfigError([config.with_origin(problem) for problem in refused], config.source)
    return CheckedConfig(config, planned)


def _import_included(config: Config) -> None:
    include = config.data.get("include", [])
    if not isinstance(include, list) or not all(isinstance(item, str) for item in include):
        problem = Problem("include", f"expected list[str], found {found(include)}")
        raise ConfigError([config.with_origin(problem)], config.source)
    import_plugins(include, route=f"include in {config.source}", base=Path(config.source).parent)
