"""What can be known before training is found before training, and before a directory is touched."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import torch

from hessinf.commands.run_config import RunConfig
from hessinf.data import Dataset
from hessinf.data.batching import batches
from hessinf.errors import HessinfError
from hessinf.models import Model, ModelError
from hessinf.models.forward import forward

EXAMPLES_TRIED = 2


def check_model(model: Model, config: RunConfig, train: Dataset) -> None:
    """Pass some training examples through a model that is not trained yet.

    Parameters
    ----------
    model
        The model; it is left as it is.
    config
        Says what is made of its outputs.
    train
        The training data.

    Raises
    ------
    HessinfError
        When the network, the objective or the measurement fails on them.
    """
    parameters = [value for value in model.module.parameters() if value.is_floating_point()]
    dtype = parameters[0].dtype if parameters else torch.float32
    batch = next(iter(batches(train[:EXAMPLES_TRIED], EXAMPLES_TRIED, device="cpu", dtype=dtype)))
    with torch.no_grad():
        with _naming(f"{model.described} fails on {_inputs(train)}"):
            outputs = forward(model.module, batch.inputs)  # [B, ...]
        what = f"outputs of shape {list(outputs.shape)} for {batch.size} training examples"
        with _naming(f"the objective fails on {what}"):
            config.objective.losses(outputs, batch.targets)
        with _naming(f"the measurement fails on {what}"):
            config.measurement.values(outputs, batch.targets, config.objective)


@contextlib.contextmanager
def without_log() -> Iterator[None]:
    """Keep a trial out of the log: what it would say is said when it is done in earnest."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _naming(what: str) -> Iterator[None]:
    try:
        yield
    except HessinfError:
        raise
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{what}: {type(error).__name__}: {first_line}; does it fit the data? --debug shows "
            "the traceback"
        ) from error


def _inputs(train: Dataset) -> str:
    shape: Any = train.input_shape
    if shape is None:
        return "the training data, whose inputs are a dict"
    return f"the training data, whose inputs have shape {list(shape)}"
