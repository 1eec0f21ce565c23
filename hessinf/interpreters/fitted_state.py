"""Saved influence factors: what ``fit`` learnt, with a fingerprint of what it was learnt from.

A folder holds ``factors.safetensors`` (tensors) and ``interpreter.json`` (everything else). What
belongs to another model, other data, other arguments or another version is refused by name.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hessinf.interpreters.errors import InterpreterError
from hessinf.models import CallableObjective
from hessinf.registry import Registrable
from hessinf.registry.plan import as_json
from hessinf.runtime.files import replace_directory, write_json_atomically
from hessinf.runtime.json_differences import differing_places

if TYPE_CHECKING:
    from hessinf.gradients.functional_model import FunctionalModel
    from hessinf.interpreters.fitted_method import FittedMethod

FORMAT = 1
"""The version of the folder's layout."""

RECORD = "interpreter.json"
TENSORS = "factors.safetensors"

CHECKPOINTS = "checkpoints"
MEMBERS = "members_"
"""Where what was learnt at each checkpoint is kept."""


def fingerprint(interpreter: FittedMethod) -> dict[str, Any]:
    """Say what factors depend on: method, version, arguments, model, data, objective."""
    ignored = (*interpreter.without_effect_on_factors, CHECKPOINTS)
    objective = interpreter.objective
    facts = {
        "interpreter": type(interpreter).registered_name(),
        "version": interpreter.version,
        "arguments": {
            name: _as_built(interpreter, name, value)
            for name, value in interpreter.arguments.items()
            if name not in ignored
        },
        "objective": f"function {objective.described}"
        if isinstance(objective, CallableObjective)
        else as_json(objective),
        "weight_decay": interpreter.weight_decay,
        "seed": interpreter.seed,
        "model": model_hash(interpreter.model),
        "train_data": interpreter.train_data.fingerprint(),
    }
    if interpreter.members:  # their weights count, wherever the files lie
        facts[CHECKPOINTS] = [model_hash(member.model) for member in interpreter.members]
    return facts


def _as_built(interpreter: FittedMethod, name: str, value: Any) -> Any:
    """Return an argument as JSON; an object in full, however it was asked for.

    A name, a config and the object that they stand for are one argument: ``"pseudo"``,
    ``{"type": "pseudo"}``, ``PseudoInversion()``.
    """
    built = getattr(interpreter, name, None)
    return as_json(built if isinstance(built, Registrable) else value)


def model_hash(model: FunctionalModel) -> str:
    """Hash the names, types and values of all parameters and buffers, and which make up θ."""
    digest = hashlib.sha256()
    for name, tensor in sorted({**model.constants, **model.parameters}.items()):
        trained = "θ" if name in model.parameters else "fixed"
        digest.update(f"{name} {trained} {tensor.dtype} {list(tensor.shape)}\n".encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().tobytes())
    return digest.hexdigest()


def learnt(interpreter: FittedMethod) -> dict[str, Any]:
    """List the attributes that ``fit`` learnt: those whose names end in ``_``."""
    if interpreter.members:
        return {MEMBERS: [learnt(member) for member in interpreter.members]}
    return {
        name: value
        for name, value in vars(interpreter).items()
        if name.endswith("_") and not name.startswith("_")
    }


def save(interpreter: FittedMethod, folder: Path) -> None:
    """Write the folder, whole or not at all; see :meth:`InfluenceInterpreter.save`."""
    if not interpreter.fitted:
        raise InterpreterError("nothing to save: call fit() first")
    tensors: dict[str, torch.Tensor] = {}
    values = {name: pack(name, value, tensors) for name, value in learnt(interpreter).items()}
    record = {
        "format": FORMAT,
        "fingerprint": fingerprint(interpreter),
        CHECKPOINTS: list(interpreter.checkpoints),
        # No factor depends on these, but what is said with the factors does.
        "explained": {
            "measurement": as_json(interpreter.measurement),
            "training_reduction": interpreter.training_reduction,
        },
        "learnt": values,
    }
    with replace_directory(folder) as unfinished:
        save_file(tensors, str(unfinished / TENSORS))
        write_json_atomically(unfinished / RECORD, record)


def pack(name: str, value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return a value as JSON, with its tensors taken out.

    Raises
    ------
    InterpreterError
        When it holds something that cannot be kept.
    """
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: pack(f"{name}.{key}", item, tensors) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        items = [pack(f"{name}.{index}", item, tensors) for index, item in enumerate(value)]
        return {"list": items}
    raise InterpreterError(
        f"cannot save the attribute {name}: it holds a {type(value).__name__}; attributes that end "
        "in _ are what fit() learnt, and may hold tensors, numbers, texts, and lists and dicts of "
        "them"
    )


def unpack(packed: dict[str, Any], tensors: dict[str, torch.Tensor], device: Any) -> Any:
    """Return a value as it was before :func:`pack`."""
    if "tensor" in packed:
        # Copied, since tensors of a file lie where they lie: products at other alignments differ
        # in the last bit.
        return tensors[packed["tensor"]].to(device, copy=True)
    if "dict" in packed:
        return {key: unpack(item, tensors, device) for key, item in packed["dict"].items()}
    if "list" in packed:
        return [unpack(item, tensors, device) for item in packed["list"]]
    return packed["value"]


def read_record(folder: Path, name: str = RECORD) -> dict[str, Any]:
    """Read the JSON file beside a folder's tensors; refuse what is none."""
    file = folder / name
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InterpreterError(
            f"{folder} holds no saved influence factors: there is no {name}"
        ) from error
    except (OSError, ValueError) as error:
        raise InterpreterError(f"cannot read {file}: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else None
        raise InterpreterError(
            f"{file} has format {found!r}, this version of hessinf reads {FORMAT}"
        )
    return record


def read_tensors(folder: Path, purpose: str) -> dict[str, torch.Tensor]:
    """Read a folder's tensors; ``purpose`` is what removing it would be for."""
    file = folder / TENSORS
    try:
        tensors: dict[str, torch.Tensor] = load_file(str(file))
    except (OSError, SafetensorError) as error:
        raise InterpreterError(f"cannot read {file}: {error}; remove {folder} {purpose}") from error
    return tensors


def differences(expected: Any, found: Any) -> list[str]:
    """Say where what was saved differs from what is expected now."""
    return [
        f"{path}: saved {json.dumps(saved)}, now {json.dumps(now)}"
        for path, now, saved in differing_places(expected, found)
    ]


def matches(interpreter: FittedMethod, folder: Path) -> bool:
    """Whether a folder holds factors of the same method, model, data and arguments."""
    try:
        return not differences(fingerprint(interpreter), read_record(folder)["fingerprint"])
    except InterpreterError:
        return False


def restore(interpreter: FittedMethod, folder: Path) -> None:
    """Take over saved factors; see :meth:`InfluenceInterpreter.restore`."""
    record = read_record(folder)
    different = differences(fingerprint(interpreter), record["fingerprint"])
    if different:
        raise InterpreterError(
            f"the factors in {folder} belong to something else:\n  " + "\n  ".join(different)
        )
    tensors = read_tensors(folder, "to fit again")
    values = {
        name: unpack(packed, tensors, interpreter.model.device)
        for name, packed in record["learnt"].items()
    }
    interpreter.ensure_checked()
    _take_over(interpreter, values)


def _take_over(interpreter: FittedMethod, values: dict[str, Any]) -> None:
    if interpreter.members:
        for member, own in zip(interpreter.members, values[MEMBERS], strict=True):
            _take_over(member, own)
    else:
        for name, value in values.items():
            setattr(interpreter, name, value)
    interpreter.fitted = True


def load(
    cls: type[Any],
    folder: Path,
    model: Any,
    train_data: Any,
    injected: dict[str, Any],
) -> Any:
    """Make an interpreter from saved factors; see :meth:`InfluenceInterpreter.load`."""
    record = read_record(folder)
    saved = record["fingerprint"]
    require_function(saved["objective"], folder, given="objective" in injected)
    given = {
        "objective": saved["objective"],
        "weight_decay": saved["weight_decay"],
        "seed": saved["seed"],
        **record["explained"],
        **injected,
    }
    config = {"type": saved["interpreter"], **saved["arguments"]}
    checkpoints = given.pop(CHECKPOINTS, None) or record.get(CHECKPOINTS)
    if checkpoints:
        config[CHECKPOINTS] = [os.fspath(path) for path in checkpoints]
    interpreter = cls.catalogue.base.from_config(
        config, model=model, train_data=train_data, **given
    )
    if not isinstance(interpreter, cls):
        raise InterpreterError(
            f'{folder} holds factors of "{saved["interpreter"]}", which is no {cls.__name__}'
        )
    restore(interpreter, folder)
    return interpreter


def require_function(objective: Any, folder: Path, *, given: bool) -> None:
    """Refuse to load what belongs to a loss function, unless that was given again.

    Parameters
    ----------
    objective
        What a fingerprint says of it.
    folder
        For the message.
    given
        Whether an objective was passed.
    """
    if not given and isinstance(objective, str) and objective.startswith("function "):
        raise InterpreterError(
            f"the factors in {folder} belong to {objective}; pass it: load(..., objective=...)"
        )
