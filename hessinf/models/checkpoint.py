"""A checkpoint: weights of a network at one moment of its training, as a file or as an archive."""

from __future__ import annotations

from pathlib import Path

import torch

from hessinf.models.model_archive import WEIGHTS_FILE, load_archive
from hessinf.models.weights_file import load_weights


def checkpoint_weights(path: str | Path) -> Path:
    """Return the file of a checkpoint that holds its weights.

    Parameters
    ----------
    path
        A ``.safetensors``, ``.pt`` or ``.pth`` file, a model archive, or the directory of a run,
        which holds its archive under "model".
    """
    place = Path(path)
    if not place.is_dir():
        return place
    inner = place / "model" / WEIGHTS_FILE
    return inner if inner.is_file() else place / WEIGHTS_FILE


def load_checkpoint(module: torch.nn.Module, path: str | Path) -> None:
    """Give a module the weights of a checkpoint; nothing in it is ever unpickled.

    Parameters
    ----------
    module
        The network. It keeps its precision, and which of its parameters are frozen.
    path
        As :func:`checkpoint_weights` takes it.

    Raises
    ------
    ModelError
        When there is no such checkpoint, it cannot be read, or does not fit the module.
    """
    if not Path(path).is_dir():
        load_weights(module, Path(path), trust=None)
        return
    dtypes = {name: tensor.dtype for name, tensor in module.state_dict().items()}
    trained = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    load_archive(checkpoint_weights(path).parent, module=module)
    for name, tensor in module.state_dict(keep_vars=True).items():
        tensor.data = tensor.data.to(dtypes[name])
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(trained[name])
