"""The stages that runs are made of: data, model, interpreter."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hessinf.commands.early_checks import check_model, without_log
from hessinf.commands.full_disk import reporting_full_disk
from hessinf.commands.provenance import continued, latest_command, note_model, provenance
from hessinf.commands.run_config import CheckedConfig, RunConfig
from hessinf.commands.run_directory import (
    RunDirectory,
    is_complete,
    read_provenance,
    write_provenance,
)
from hessinf.commands.run_log import log_to
from hessinf.commands.stages import Stage, Stages
from hessinf.data import Dataset, DatasetReader
from hessinf.errors import HessinfError
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.errors import InterpreterError
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
from hessinf.runtime.finite_json import finite_json
from hessinf.runtime.run_files import CONFIG, LOG, METRICS

logger = logging.getLogger(__name__)


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
    train = _read(reader, config.train_data_path)
    train.check(training=True)
    config.objective.check_targets(train)
    queries = None
    if test and config.test_data_path is not None:
        queries = _read(_test_reader(config), config.test_data_path)
        queries.check(training=False)
        _check_same_kind(train, queries)
    validation = None
    if config.validation_data_path is not None:
        validation = _read(reader, config.validation_data_path)
        validation.check(training=False)
    return RunData(train, queries, validation)


def _read(reader: DatasetReader, path: str) -> Dataset:
    """Read a path, and hold readers of plugins to what they promise."""
    dataset = reader.read(path)
    if not isinstance(dataset, Dataset):
        raise HessinfError(
            f'the reader "{type(reader).registered_name()}" gave a {type(dataset).__name__} for '
            f'"{path}", expected a Dataset'
        )
    return dataset


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
    if train.input_shape is None and train.feature_names != queries.feature_names:
        raise HessinfError(
            "the test data have other words than the training data; leave test_dataset_reader out"
        )


def make_model(config: RunConfig, data: RunData) -> Model:
    """Make the model for the data: sizes come from there."""
    out_features = config.objective.out_features(data.train)
    model: Model = config.model.construct(
        in_features=data.train.in_features,
        out_features=out_features,
        input_shape=data.train.input_shape,
        seed=config.seed,
    )
    trained = isinstance(model, ArchiveModel) or model.weights is not None
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
    stage: Stage | None = None,
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Train the model, or load what an earlier part of this run has trained.

    Parameters
    ----------
    config, checked, data
        What to train, and on what.
    folder
        The run's directory; the model archive goes there.
    device
        Where to train.
    stage
        Told how many examples were trained on, over all epochs.

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
        _count_examples(stage, None)
        note_model(folder, config.model.spec or {})
        return loaded.module, loaded.training
    module = model.module
    _count_examples(stage, None)
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
        _count_examples(stage, record.num_examples * record.epochs)
        logger.info(
            "trained: loss %.6g, gradient norm %.3g after %d epochs (%s)",
            record.loss,
            record.gradient_norm,
            record.epochs,
            record.stopped_because,
        )
    else:
        training = dict(getattr(model, "training", {}))
    save_archive(
        archive,
        config=archive_config(config, checked, model),
        module=module,
        training=training,
    )
    note_model(folder, config.model.spec or {})
    return module, training


def archive_config(config: RunConfig, checked: CheckedConfig, model: Model) -> dict[str, Any]:
    """Say how to build a model again, and what its inputs and outputs mean."""
    resolved = checked.resolved()
    return {
        "model": resolved["model"],
        "sizes": model.sizes,
        "objective": resolved["objective"],
        "dataset_reader": resolved["dataset_reader"],
        "dataset_reader_state": config.dataset_reader.state(),
    }


def _count_examples(stage: Stage | None, examples: int | None) -> None:
    if stage is not None:
        stage.examples = examples


def make_interpreter(
    config: RunConfig,
    module: torch.nn.Module,
    training: dict[str, Any],
    data: RunData,
    device: torch.device,
) -> InfluenceInterpreter:
    """Make the interpreter that the config describes."""
    interpreter: InfluenceInterpreter = config.interpreter.construct(
        model=module,
        train_data=data.train,
        objective=config.objective,
        measurement=config.measurement,
        **trained_with(config, training),
        device=device,
        executor=config.executor,
        seed=config.seed,
        **config.data_loader.arguments(),
    )
    return interpreter


def trained_with(config: RunConfig, training: dict[str, Any]) -> dict[str, Any]:
    """Return what a model was trained with, as arguments of interpreters.

    Parameters
    ----------
    config
        What the user says.
    training
        The record of training, which goes first; empty where nobody kept one.

    Raises
    ------
    ConfigError
        When they contradict each other.
    """
    return {
        "weight_decay": _trained_with(
            "weight_decay", config.weight_decay, training.get("weight_decay"), 0.0
        ),
        "training_reduction": _trained_with(
            "training_reduction", config.training_reduction, training.get("reduction"), "mean"
        ),
    }


def _trained_with(key: str, said: Any, recorded: Any, default: Any) -> Any:
    """Return what the model was trained with: by its record, else by the config."""
    if recorded is None:
        return default if said is None else said
    if said is not None and said != recorded:
        raise ConfigError(
            [Problem(key, f"{said} contradicts the record of training, {recorded}; leave it out")]
        )
    return recorded


def fit_or_restore(interpreter: InfluenceInterpreter, folder: Path) -> bool:
    """Fit the interpreter, or take over factors that were saved from the same inputs.

    Returns
    -------
    bool
        Whether it was fitted now.
    """
    factors = folder / "factors"
    if matches(interpreter, factors):
        try:
            interpreter.restore(factors)
        except InterpreterError as error:
            logger.warning("%s; fitting again", error)
        else:
            logger.info("influence factors reused from %s", factors)
            return False
    elif factors.exists():
        logger.info("the influence factors in %s belong to something else", factors)
    interpreter.fit()
    interpreter.save(factors)
    # Scores come from what was saved: a resumed run, which has nothing else, gives the same bytes.
    interpreter.restore(factors)
    return True


def check_before_training(config: RunConfig, data: RunData, device: torch.device) -> None:
    """Find what would stop the run after training: a model, measurement or interpreter that fails.

    Raises
    ------
    HessinfError
        As the run would raise it later.
    """
    with without_log():
        model = make_model(config, data)
        check_model(model, config, data.train)
        if data.test is not None:
            training = dict(getattr(model, "training", {}))
            make_interpreter(config, model.module, training, data, device).ensure_checked()


@contextlib.contextmanager
def run_directory(
    directory: RunDirectory,
    checked: CheckedConfig,
    config: RunConfig,
    data: RunData,
    device: torch.device,
) -> Iterator[Path]:
    """Open a run's directory: provenance, config and log are written before anything else."""
    directory.check_config(checked.resolved())
    if not (directory.resuming and (directory.path / "model").exists()):
        check_before_training(config, data, device)
    with reporting_full_disk(directory.path), directory.open() as folder:
        facts = provenance(checked, data.train, data.test, device, config.seed)
        if directory.resuming:
            facts = continued(read_provenance(folder), facts, folder)
        write_provenance(folder, facts)
        if not (folder / CONFIG).exists():
            write_json_atomically(folder / CONFIG, checked.resolved())
        with log_to(folder / LOG):
            what = "resumed" if directory.resuming else "started"
            version = facts["hessinf"] or "(not installed)"
            logger.info("%s with hessinf %s: %s", what, version, latest_command(facts))
            yield folder


@contextlib.contextmanager
def metrics_of_failure(folder: Path, stages: Stages) -> Iterator[None]:
    """Keep what the stages took when the block raises; the run is marked as not complete."""
    try:
        yield
    except BaseException:
        if not is_complete(folder):
            with contextlib.suppress(OSError):
                write_metrics(folder, stages, {}, complete=False)
        raise


def write_metrics(folder: Path, stages: Stages, metrics: dict[str, Any], *, complete: bool) -> None:
    """Write ``metrics.json``; ``complete`` marks a finished run."""
    content = {"complete": complete, **metrics, "stages": stages.to_json()}
    write_json_atomically(folder / METRICS, finite_json(content))
