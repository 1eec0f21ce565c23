"""Files of weights: what is read, what is refused, and what does not fit."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from hessinf.models.errors import ModelError
from hessinf.registry.suggestions import did_you_mean

NAMES_SHOWN = 5
"""How many parameter names a message lists before it counts the others."""

NESTED_STATE_DICTS = ("state_dict", "model_state_dict", "model")
"""Where training scripts keep the weights beside an optimizer's state."""


def load_weights(module: nn.Module, path: Path, *, trust: bool | None = False) -> None:
    """Read a file of weights into a module.

    Parameters
    ----------
    module
        The module. Weights are converted to its precision.
    path
        A ``.safetensors`` file, or a checkpoint that ``torch.save`` wrote: a state dict, or a dict
        with one under "state_dict", "model_state_dict" or "model".
    trust
        Whether a checkpoint may run code as it loads; None where nobody can say so, for the
        message.

    Raises
    ------
    ModelError
        When the file is missing, cannot be read, needs ``trust``, or does not fit; it lists the
        missing, unexpected and mis-shaped names.
    """
    weights = read_weights(path, trust=trust)
    check_fits(module, weights, str(path))
    module.load_state_dict(weights)


def read_weights(path: Path, *, trust: bool | None = False) -> dict[str, Any]:
    """Read a state dict from a file, on the CPU."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        if path.is_dir():
            hint = '; a model archive is {"type": "archive", "path": ...}'
        else:
            hint = missing_file_hint(path)
        raise ModelError(f'the weights file "{path}" {what}{hint}')
    if path.suffix == ".safetensors":
        try:
            return dict(safetensors.torch.load_file(path))
        except (safetensors.SafetensorError, OSError) as error:
            raise ModelError(
                f'the weights file "{path}" cannot be read as safetensors: {error}; it may be '
                "incomplete, copy it again"
            ) from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        if trust or not _needs_trust(error):
            raise ModelError(_unreadable(path, error)) from error
        remedy = "save a state dict instead"
        if trust is not None:
            remedy += ', or say "trust": true if you trust the file as you trust a program'
        raise ModelError(
            f'the weights file "{path}" holds more than tensors, and loading it would run code '
            f"from the file; {remedy}"
        ) from error
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise ModelError(_unreadable(path, error)) from error
    return _state_dict(loaded, path)


def check_fits(module: nn.Module, weights: Mapping[str, Any], source: str) -> None:
    """Refuse weights whose names or shapes are not the module's, or that are not finite.

    Parameters
    ----------
    module
        The module.
    weights
        Tensors by name.
    source
        Where they come from, for the message.
    """
    own = module.state_dict()
    shapes = [
        f"{name} is {list(weights[name].shape)} in the file, {list(tensor.shape)} in the model"
        for name, tensor in own.items()
        if name in weights and _shape(weights[name]) != _shape(tensor)
    ]
    problems = {
        "missing in the file": [name for name in own if name not in weights],
        "unknown to the model": [name for name in weights if name not in own],
        "of another shape": shapes,
    }
    lines = [f"  {what}: {_listed(names)}" for what, names in problems.items() if names]
    if lines:
        raise ModelError(
            f'the weights in "{source}" do not fit the model:\n' + "\n".join(lines) + "\n"
            "  correct the model's arguments, or choose the weights that belong to it"
        )
    spoilt = [name for name, _ in module.named_parameters() if _is_spoilt(weights.get(name))]
    if spoilt:
        raise ModelError(
            f'the weights in "{source}" hold NaN or infinity: {_listed(spoilt)}; did training '
            "diverge? choose an earlier checkpoint"
        )


def _needs_trust(error: Exception) -> bool:
    """Whether PyTorch refused a pickle that it could read, and not one that is broken."""
    return re.search("unsupported (global|class)", str(error), re.IGNORECASE) is not None


def _unreadable(path: Path, error: Exception) -> str:
    first_line = str(error).strip().partition("\n")[0] or type(error).__name__
    return (
        f'the weights file "{path}" cannot be read as a PyTorch checkpoint: {first_line}; it may '
        "be incomplete or of another kind"
    )


def _state_dict(loaded: Any, path: Path) -> dict[str, Any]:
    """Find the state dict in what a checkpoint holds."""
    if isinstance(loaded, nn.Module):  # only with trust
        return dict(loaded.state_dict())
    if isinstance(loaded, Mapping):
        for key in NESTED_STATE_DICTS:
            if isinstance(loaded.get(key), Mapping):
                return dict(loaded[key])
        if all(isinstance(value, torch.Tensor) for value in loaded.values()):
            return dict(loaded)
    raise ModelError(
        f'the weights file "{path}" holds a {type(loaded).__name__} that is no state dict; save '
        "`module.state_dict()`"
    )


def _is_spoilt(value: Any) -> bool:
    """Whether a parameter holds NaN or infinity."""
    return isinstance(value, torch.Tensor) and not bool(value.isfinite().all())


def missing_file_hint(path: Path) -> str:
    """Say what may have been meant by a path where nothing is, or something else."""
    if path.exists():
        return ", and this is a file"
    neighbours = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return did_you_mean(path.name, neighbours) or "; paths are relative to the working directory"


def _shape(value: Any) -> Any:
    return value.shape if isinstance(value, torch.Tensor) else None


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN} more"
