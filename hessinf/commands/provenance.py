"""What a result came from: versions, device, command, plugins, hashes of what was read."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import shlex
import sys
from typing import TYPE_CHECKING, Any

from hessinf.commands.run_config import CheckedConfig
from hessinf.data import Dataset
from hessinf.registry import imported_plugins

if TYPE_CHECKING:
    import torch

PACKAGES = ("torch", "numpy", "scikit-learn", "jsonnet", "safetensors", "tqdm")


def provenance(
    checked: CheckedConfig, train: Dataset, test: Dataset | None, device: torch.device, seed: int
) -> dict[str, Any]:
    """Describe a run, for ``provenance.json``."""
    return {
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
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"cpu: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
