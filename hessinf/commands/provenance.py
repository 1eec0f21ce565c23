"""What a result came from: versions, device, command, plugins, hashes of what was read."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import logging
import platform
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.commands.run_config import CheckedConfig
from hessinf.commands.run_directory import read_provenance, write_provenance
from hessinf.data import Dataset
from hessinf.display.numbers import counted
from hessinf.errors import HessinfError
from hessinf.registry import imported_plugins
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.models import checkpoint
else:
    checkpoint = lazy_import("hessinf.models.checkpoint")

logger = logging.getLogger(__name__)

PACKAGES = ("torch", "numpy", "scikit-learn", "jsonnet", "safetensors", "tqdm")

ATTEMPT = ("started", "command", "hessinf", "packages", "device")
"""What may be another when a run is resumed: kept for every attempt."""


class ChangedDataError(HessinfError):
    """A run cannot go on with other data than it was started with."""

    exit_status = 2


def provenance(
    checked: CheckedConfig, train: Dataset, test: Dataset | None, device: torch.device, seed: int
) -> dict[str, Any]:
    """Describe a run, for ``provenance.json``."""
    facts = {
        "hessinf": _version("hessinf"),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": _device_name(device),
        "seed": seed,
        "plugins": [
            {"name": plugin.name, "route": plugin.route, "modules": list(plugin.modules)}
            for plugin in imported_plugins()
        ],
        "config": {
            "file": checked.config.source,
            "sha256": checked.config.imports,
            "overrides": [override.origin for override in checked.config.overrides],
            "environment": checked.config.environment,
        },
        "data": {
            "train": {"examples": len(train), "sha256": train.fingerprint()},
            "test": None if test is None else {"examples": len(test), "sha256": test.fingerprint()},
        },
        "model": None,
    }
    checkpoints = checked.resolved()["interpreter"].get("checkpoints")
    if checkpoints:
        facts["checkpoints"] = {path: _checkpoint_sha256(path) for path in checkpoints}
    return facts


def continued(earlier: dict[str, Any], now: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Describe a run that goes on: as it was started, and every attempt since.

    Parameters
    ----------
    earlier
        What ``provenance.json`` says.
    now
        From :func:`provenance`.
    folder
        The run's directory, for messages.

    Raises
    ------
    ChangedDataError
        When the data are not those of the results so far.
    """
    data = dict(earlier.get("data") or {})
    for split, facts in now["data"].items():
        if facts is None:
            continue
        before = data.get(split)
        if before not in (None, facts):
            raise ChangedDataError(
                f"the {split} data have changed since the run in {folder} was started (then "
                f"{before['examples']:,} examples, sha256 {before['sha256'][:12]}…; now "
                f"{facts['examples']:,}, {facts['sha256'][:12]}…); put the earlier data back, or "
                "replace the run (-f)"
            )
        data[split] = facts
    checkpoints = _unchanged_checkpoints(earlier, now, folder)
    then, present = _surroundings(earlier), _surroundings(now)
    for what in present:
        if then.get(what) != present[what]:
            logger.warning(
                "the run in %s goes on with another %s (then %s, now %s): results may differ from "
                "those of an undisturbed run",
                *(folder, what, then.get(what), present[what]),
            )
    attempt = {name: now[name] for name in ATTEMPT}
    resumed = [*earlier.get("resumed", []), attempt]
    return {**earlier, "data": data, **checkpoints, "resumed": resumed}


def _unchanged_checkpoints(
    earlier: dict[str, Any], now: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Return the hashes of checkpoints, by their key; refuse those that have changed."""
    if "checkpoints" not in now:
        return {}
    before = earlier.get("checkpoints") or {}
    for path, digest in now["checkpoints"].items():
        if before.get(path) not in (None, digest):
            what = "is not there any more" if digest is None else "has changed"
            raise ChangedDataError(
                f'the checkpoint "{path}" {what} since the run in {folder} was started; put the '
                "earlier one back, or replace the run (-f)"
            )
    return {"checkpoints": now["checkpoints"]}


def _checkpoint_sha256(path: str) -> str | None:
    file = checkpoint.checkpoint_weights(path)
    return _sha256(file) if file.is_file() else None


def _surroundings(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what results may depend on beside config and data."""
    packages = facts.get("packages") or {}
    device = facts.get("device")
    if isinstance(device, str):
        device = device.replace(", 1 threads", ", 1 thread")  # as earlier versions have it
    return {"hessinf": facts.get("hessinf"), **packages, "device": device}


def latest_command(facts: dict[str, Any]) -> str:
    """Return the command of the latest attempt."""
    return str([facts, *facts.get("resumed", [])][-1]["command"])


def note_model(folder: Path, spec: dict[str, Any]) -> None:
    """Add hashes of the weights to a run's ``provenance.json``, unless they are there.

    Parameters
    ----------
    folder
        The run's directory, with the model archive.
    spec
        What the config says of the model.
    """
    facts = read_provenance(folder)
    if facts.get("model") is None:
        sources = [spec["path"]] if spec.get("type") == "archive" else []
        if spec.get("weights") is not None:
            sources.append(spec["weights"])
        write_provenance(folder, {**facts, "model": model_facts(folder / "model", sources)})


def model_facts(archive: Path, sources: list[str]) -> dict[str, Any]:
    """Describe the weights of a run, for ``provenance.json``.

    Parameters
    ----------
    archive
        The run's model archive.
    sources
        Files of weights, and archives, that the model was made from.
    """
    files = [checkpoint.checkpoint_weights(source) for source in sources]
    return {
        "sha256": _sha256(archive / "weights.safetensors"),
        "loaded": {str(file): _sha256(file) for file in files},
    }


def _sha256(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    threads = counted(torch.get_num_threads(), "thread")
    return f"cpu: {platform.processor() or platform.machine()}, {threads}"
