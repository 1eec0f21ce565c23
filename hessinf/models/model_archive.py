"""The model archive: a directory with a network's recipe, its weights and how it was trained.

``config.json`` says what was built, ``weights.safetensors`` holds the tensors, ``training.json``
the record of training. Nothing in it is a pickle: loading an archive runs no code of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.models.errors import ArchiveError, ModelError
from hessinf.models.model import Model
from hessinf.runtime.files import replace_directory, write_json_atomically
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import safetensors.torch as safetensors_torch
    import torch

    from hessinf.models import weights_file
else:
    torch = lazy_import("torch")
    safetensors_torch = lazy_import("safetensors.torch")
    weights_file = lazy_import("hessinf.models.weights_file")

FORMAT = "hessinf-model"
FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"
TRAINING_FILE = "training.json"


@dataclass(frozen=True)
class LoadedModel:
    """What a model archive holds.

    Parameters
    ----------
    module
        The network with its weights, on the CPU, in evaluation mode.
    config
        What was passed to :func:`save_archive`.
    training
        The record of training.
    """

    module: torch.nn.Module
    config: dict[str, Any]
    training: dict[str, Any]


def save_archive(
    directory: str | Path,
    *,
    config: Mapping[str, Any],
    module: torch.nn.Module,
    training: Mapping[str, Any],
) -> None:
    """Write a model archive, whole or not at all.

    Parameters
    ----------
    directory
        Where the archive belongs; an archive that stands there is replaced.
    config
        JSON. ``config["model"]`` is the model's config and ``config["sizes"]`` what code passed
        (:attr:`hessinf.models.Model.sizes`); with them the module is built again. The recipe of a
        model that came from an archive itself is taken from there. Whatever else is in it is kept.
    module
        The trained network. Parameters that are shared, and that are frozen, stay so.
    training
        JSON: the record of training.

    Raises
    ------
    ArchiveError
        When the module's state holds something that is no tensor, or ``config`` is no JSON.
    """
    tensors, tied = _distinct_tensors(module)
    frozen = [name for name, parameter in module.named_parameters() if not parameter.requires_grad]
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "config": _with_own_recipe(config),
        "tied": tied,
        "frozen": frozen,
    }
    directory = Path(directory)
    try:
        with replace_directory(directory) as unfinished:
            write_json_atomically(unfinished / CONFIG_FILE, description)
            write_json_atomically(unfinished / TRAINING_FILE, dict(training))
            safetensors_torch.save_file(tensors, unfinished / WEIGHTS_FILE)
    except (TypeError, ValueError) as error:
        raise ArchiveError(
            f'the model archive "{directory}" cannot be written: {error}; config and training '
            "have to be JSON"
        ) from error


def load_archive(
    directory: str | Path, *, trust: bool = False, module: torch.nn.Module | None = None
) -> LoadedModel:
    """Read a model archive.

    Parameters
    ----------
    directory
        The archive.
    trust
        Whether the archive may name functions that build the network. Classes of
        ``torch.nn.Module`` need no trust, and nothing is ever unpickled.
    module
        A module of the right shape to load the weights into, where the archive's config cannot
        build one. It is changed in place.

    Returns
    -------
    LoadedModel

    Raises
    ------
    ArchiveError
        When files are missing, broken, of a newer format, or do not fit each other.
    """
    directory = Path(directory)
    description = _read_json(directory, CONFIG_FILE)
    training = _read_json(directory, TRAINING_FILE)
    _check_format(directory, description)
    config = description["config"]
    if module is None:
        module = _build(directory, config, trust=trust)
    _restore(directory, module, description)
    return LoadedModel(module.eval(), config, training)


def archive_folder(path: str | Path) -> Path:
    """Return the archive itself, where the directory of a run is given: it holds it as "model"."""
    inner = Path(path) / "model"
    return inner if (inner / WEIGHTS_FILE).is_file() else Path(path)


def _with_own_recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config without dependence on an archive that the model came from."""
    recipe = config.get("model")
    if not isinstance(recipe, Mapping) or recipe.get("type") != "archive":
        return dict(config)
    folder = archive_folder(recipe["path"])
    origin = _read_json(folder, CONFIG_FILE)
    _check_format(folder, origin)
    kept = {key: origin["config"][key] for key in ("model", "sizes") if key in origin["config"]}
    return {**config, **kept}


def _distinct_tensors(
    module: torch.nn.Module,
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors of a module, each once, and the other names of those that are shared."""
    tensors: dict[str, torch.Tensor] = {}
    tied: dict[str, str] = {}
    first_name: dict[int, str] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if not isinstance(tensor, torch.Tensor):
            raise ArchiveError(
                f'the module\'s state "{name}" is a {type(tensor).__name__}, and an archive holds '
                "only tensors; keep it in a buffer (register_buffer)"
            )
        original = first_name.setdefault(id(tensor), name)
        if original != name:
            tied[name] = original
        else:
            # A copy of its own: safetensors refuses views of one storage.
            tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return tensors, tied


def _read_json(directory: Path, name: str) -> dict[str, Any]:
    path = directory / name
    if not directory.is_dir():
        raise ArchiveError(
            f'there is no model archive "{directory}": it has to be a directory'
            f"{weights_file.missing_file_hint(directory)}"
        )
    if not path.is_file():
        raise ArchiveError(
            f'the model archive "{directory}" has no {name}; an archive is a directory with '
            f"{CONFIG_FILE}, {WEIGHTS_FILE} and {TRAINING_FILE}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArchiveError(f'"{path}" is no JSON: {error}') from error
    if not isinstance(content, dict):
        raise ArchiveError(f'"{path}" holds a {type(content).__name__}, expected an object')
    return content


def _check_format(directory: Path, description: Mapping[str, Any]) -> None:
    version = description.get("format_version")
    if description.get("format") != FORMAT or not isinstance(version, int):
        raise ArchiveError(
            f'"{directory / CONFIG_FILE}" is not of a model archive: it has no '
            f'"format": "{FORMAT}" with a version; give the directory that training wrote'
        )
    if version > FORMAT_VERSION:
        raise ArchiveError(
            f'the model archive "{directory}" has format version {version}, and this hessinf reads '
            f"up to {FORMAT_VERSION}; install a newer hessinf"
        )
    for key, kind in (("config", dict), ("tied", dict), ("frozen", list)):
        if not isinstance(description.get(key), kind):
            raise ArchiveError(f'"{directory / CONFIG_FILE}" has no "{key}" of the right kind')


def _build(directory: Path, config: Mapping[str, Any], *, trust: bool) -> torch.nn.Module:
    """Build the network of an archive with initial weights."""
    recipe = config.get("model")
    if recipe is None:
        raise ArchiveError(
            f'the model archive "{directory}" does not say how to build its network; pass a module '
            "of the right shape: load_archive(directory, module=...)"
        )
    if isinstance(recipe, Mapping):
        # The file that training started from is not needed, and may be gone. Whether to trust is
        # for the one who loads to say.
        recipe = {key: value for key, value in recipe.items() if key not in ("weights", "trust")}
        recipe |= {"trust": True} if trust else {}
    model: Model = Model.from_config(recipe, **config.get("sizes", {}))
    return model.module


def _restore(directory: Path, module: torch.nn.Module, description: Mapping[str, Any]) -> None:
    """Give a module the weights, precisions, shared and frozen parameters of an archive."""
    path = directory / WEIGHTS_FILE
    if not path.is_file():
        raise ArchiveError(f'the model archive "{directory}" has no {WEIGHTS_FILE}')
    try:
        weights = weights_file.read_weights(path)
        weights |= {alias: weights[name] for alias, name in description["tied"].items()}
        weights_file.check_fits(module, weights, str(path))
    except ModelError as error:
        raise ArchiveError(f'the model archive "{directory}" cannot be loaded: {error}') from error
    except KeyError as error:
        raise ArchiveError(
            f'the model archive "{directory}" cannot be loaded: {WEIGHTS_FILE} lacks {error}, with '
            "which other parameters are shared"
        ) from error
    for name, tensor in module.state_dict(keep_vars=True).items():
        tensor.data = tensor.data.to(weights[name].dtype)
    module.load_state_dict(weights)
    for alias, name in description["tied"].items():
        _tie(module, alias, name)
    frozen = set(description["frozen"])
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in frozen)


def _tie(module: torch.nn.Module, alias: str, name: str) -> None:
    """Make two names of a module's state one tensor again."""
    tensors = module.state_dict(keep_vars=True)
    if tensors[alias] is tensors[name]:
        return
    owner_name, _, attribute = alias.rpartition(".")
    owner = module.get_submodule(owner_name)
    setattr(owner, attribute, tensors[name])
