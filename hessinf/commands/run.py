"""The stages that runs are made of: data, model, interpreter."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hessinf.commands.provenance import provenance
from hessinf.commands.run_config import CheckedConfig, RunConfig
from hessinf.commands.run_directory import RunDirectory, write_provenance
from hessinf.commands.stages import Stages
from hessinf.data import Dataset, DatasetReader
from hessinf.errors import HessinfError
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.fitted_state import matches
from hessinf.models import (
    ArchiveModel,
    Model,
    ModuleModel,
    load_archive,
    save_archive,
)
from hessinf.registry import ConfigError, Problem
from hessinf.runtime.files import write_json_atomically

logger = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@dataclass(frozen=True)
class RunData:
    """The data of a run.

    Parameters
    ----------
    train, test, validation
        The data sets; None where the config names none.
    """

    train: Dataset
    test: Dataset | None
    validation: Dataset | None


def choose_device(config: RunConfig) -> torch.device:
    """Return the device that the config asks for; refuse a GPU that is not there."""
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(config.device)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise ConfigError(
                [
                    Problem(
                        "device",
                        f'"{config.device}" asks for a GPU, and PyTorch sees {count or "none"} '
                        'here; use "cpu" or "auto"',
                    )
                ]
            )
    return device


def read_data(config: RunConfig, *, test: bool) -> RunData:
    """Read and check the data.

    Parameters
    ----------
    config
        Says where from.
    test
        Whether queries are needed.
    """
    if test and config.test_data_path is None:
        raise ConfigError([Problem("test_data_path", "missing: which examples are the queries?")])
    reader = config.dataset_reader
    train = reader.read(config.train_data_path)
    train.check(training=True)
    config.objective.check_targets(train)
    queries = None
    if test and config.test_data_path is not None:
        queries = _test_reader(config).read(config.test_data_path)
        queries.check(training=False)
        _check_same_kind(train, queries)
    validation = None
    if config.validation_data_path is not None:
        validation = reader.read(config.validation_data_path)
        validation.check(training=False)
    return RunData(train, queries, validation)


def _test_reader(config: RunConfig) -> DatasetReader:
    reader = config.test_dataset_reader
    if reader is None:
        return config.dataset_reader
    if type(reader) is type(config.dataset_reader):
        # What was learnt from the training data (label names, standardisation) holds for both.
        reader.load_state(config.dataset_reader.state())
    return reader


def _check_same_kind(train: Dataset, queries: Dataset) -> None:
    for what, first, second in (
        ("inputs", train.input_shape, queries.input_shape),
        ("targets", train.target_shape, queries.target_shape),
    ):
        if first != second:
            raise HessinfError(
                f"the {what} of the test data have shape {list(second or ())}, those of the "
                f"training data {list(first or ())}; are both read with the same columns?"
            )


def make_model(config: RunConfig, data: RunData) -> Model:
    """Make the model for the data: sizes come from there."""
    out_features = config.objective.out_features(data.train)
    shape = data.train.input_shape
    in_features = None if shape is None else int(torch.Size(shape).numel())
    model: Model = config.model.construct(
        in_features=in_features,
        out_features=out_features,
        input_shape=shape,
        seed=config.seed,
    )
    trained = isinstance(model, ArchiveModel) or model.weights is not None
    if config.trainer is not None and isinstance(model, ArchiveModel):
        raise ConfigError(
            [Problem("trainer", "the model comes from an archive, trained already; leave this out")]
        )
    if config.trainer is None and not trained and not isinstance(model, ModuleModel):
        raise ConfigError(
            [
                Problem(
                    "trainer",
                    'missing: the model would not be trained; give a trainer ("trainer": {}), '
                    'weights ("model.weights"), or an archive '
                    '("model": {"type": "archive", "path": ...})',
                )
            ]
        )
    if data.test is not None:
        config.objective.check_targets(data.test, out_features=out_features)
    return model


def train_or_load(
    config: RunConfig,
    checked: CheckedConfig,
    data: RunData,
    folder: Path,
    device: torch.device,
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Train the model, or load what an earlier part of this run has trained.

    Returns
    -------
    torch.nn.Module
        Trained, on the CPU.
    dict
        The record of training.
    """
    archive = folder / "model"
    model = make_model(config, data)
    if (archive / "config.json").exists():
        loaded = load_archive(archive, module=model.module)
        logger.info("the model of this run is trained already")
        return loaded.module, loaded.training
    module = model.module
    if config.trainer is not None:
        record = config.trainer.fit(
            module,
            data.train,
            config.objective,
            seed=config.seed,
            validation=data.validation,
            device=device,
        )
        module.to("cpu")
        training = record.to_json()
        logger.info(
            "trained: loss %.6g, gradient norm %.3g after %d epochs (%s)",
            record.loss,
            record.gradient_norm,
            record.epochs,
            record.stopped_because,
        )
    else:
        training = dict(getattr(model, "training", {}))
    resolved = checked.resolved()
    save_archive(
        archive,
        config={
            "model": resolved["model"],
            "sizes": model.sizes,
            "objective": resolved["objective"],
            "dataset_reader": resolved["dataset_reader"],
            "dataset_reader_state": config.dataset_reader.state(),
        },
        module=module,
        training=training,
    )
    return module, training


def make_interpreter(
    config: RunConfig,
    module: torch.nn.Module,
    training: dict[str, Any],
    data: RunData,
    device: torch.device,
) -> InfluenceInterpreter:
    """Make the interpreter that the config describes."""
    overriding: dict[str, Any] = {}
    batch_size = config.data_loader.batch_size
    if batch_size != "auto":
        if config.interpreter.spec.get("batch_size", "auto") not in ("auto", batch_size):
            raise ConfigError(
                [
                    Problem(
                        "data_loader.batch_size",
                        f"{batch_size} contradicts interpreter.batch_size "
                        f"{config.interpreter.spec['batch_size']}; give one of them",
                    )
                ]
            )
        overriding["batch_size"] = batch_size
    interpreter: InfluenceInterpreter = config.interpreter.construct(
        model=module,
        train_data=data.train,
        objective=config.objective,
        measurement=config.measurement,
        weight_decay=_trained_with(
            "weight_decay", config.weight_decay, training.get("weight_decay"), 0.0
        ),
        training_reduction=_trained_with(
            "training_reduction", config.training_reduction, training.get("reduction"), "mean"
        ),
        device=device,
        executor=config.executor,
        seed=config.seed,
        **overriding,
    )
    return interpreter


def _trained_with(key: str, said: Any, recorded: Any, default: Any) -> Any:
    """Return what the model was trained with: by its record, else by the config."""
    if recorded is None:
        return default if said is None else said
    if said is not None and said != recorded:
        raise ConfigError(
            [Problem(key, f"{said} contradicts the record of training, {recorded}; leave it out")]
        )
    return recorded


def fit_or_restore(interpreter: InfluenceInterpreter, folder: Path) -> None:
    """Fit the interpreter, or take over factors that were saved from the same inputs."""
    factors = folder / "factors"
    if matches(interpreter, factors):
        interpreter.restore(factors)
        logger.info("influence factors reused from %s", factors)
        return
    if factors.exists():
        shutil.rmtree(factors)
    interpreter.fit()
    interpreter.save(factors)


@contextlib.contextmanager
def run_directory(
    directory: RunDirectory,
    checked: CheckedConfig,
    config: RunConfig,
    data: RunData,
    device: torch.device,
) -> Iterator[Path]:
    """Open a run's directory: config, provenance and log are written before anything else."""
    directory.check_config(checked.resolved())
    with directory.open() as folder:
        if not directory.resuming:
            facts = provenance(checked, data.train, data.test, device, config.seed)
            write_provenance(folder, facts)
            write_json_atomically(folder / "config.json", checked.resolved())
        handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        root = logging.getLogger("hessinf")
        root.addHandler(handler)
        try:
            yield folder
        except BaseException as error:
            logger.error("%s: %s", type(error).__name__, error)
            raise
        finally:
            root.removeHandler(handler)
            handler.close()


def write_metrics(folder: Path, stages: Stages, metrics: dict[str, Any], *, complete: bool) -> None:
    """Write ``metrics.json``; ``complete`` marks a finished run."""
    write_json_atomically(
        folder / "metrics.json", {"complete": complete, **metrics, "stages": stages.to_json()}
    )
