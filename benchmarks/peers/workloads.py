"""The work that every package is given: a trained model, its training data, and queries.

A workload is prepared once, by :mod:`benchmarks.peers.preparation`, as a folder of arrays and
weights, and loaded from it with nothing but torch and numpy: this runs in the environment of every
package.

    workload = load(folder)
    workload.model                     # in evaluation mode, float32
    inputs, targets = workload.train   # [N, ...], [N, ...]
    inputs, targets = workload.test    # [Q, ...], [Q, ...]
    workload.losses(workload.model(inputs), targets)  # [Q]
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from benchmarks.peers.networks import NETWORKS, mlp
from benchmarks.peers.settings import DAMPING

Task = Literal["classification", "language-model", "regression"]

TASKS: dict[str, Task] = {
    "small-mlp": "classification",
    "wide-mlp": "classification",
    "cnn": "classification",
    "transformer": "language-model",
    "regression": "regression",
}
"""What the network of each workload was trained for."""

SIZES = "mlp-"
"""How workloads are called that are not among them: by the widths of their layers."""


def losses(task: Task, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Give the loss of each example, ``[B]``.

    Parameters
    ----------
    task
        "classification": outputs ``[B, C]``, targets ``[B]``. "language-model": outputs
        ``[B, S, V]``, targets ``[B, S]``, summed over the positions. "regression": outputs and
        targets ``[B, T]``, squared differences, summed.
    """
    if task == "classification":
        return nn.functional.cross_entropy(outputs, targets, reduction="none")
    if task == "language-model":
        each = nn.functional.cross_entropy(
            outputs.flatten(0, 1), targets.flatten(), reduction="none"
        )  # [B·S]
        return each.view(targets.shape).sum(dim=1)
    return (outputs - targets).square().sum(dim=1)


@dataclass(frozen=True)
class Workload:
    """A trained model, its training data, and queries."""

    name: str
    task: Task
    model: nn.Module
    train: tuple[torch.Tensor, torch.Tensor]
    test: tuple[torch.Tensor, torch.Tensor]
    folder: Path
    damping: float = DAMPING

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Give the loss of each example, ``[B]``: see :func:`losses`."""
        return losses(self.task, outputs, targets)

    def fresh_model(self) -> nn.Module:
        """Make the trained model anew, for packages that change what they are given."""
        return trained_model(self.name, self.folder)

    @property
    def kronecker_modules(self) -> list[str]:
        """Name the linear layers and convolutions: what K-FAC and EK-FAC are asked to cover."""
        return [
            name
            for name, module in self.model.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        ]

    @property
    def kronecker_parameters(self) -> list[str]:
        """Name the weights and biases of :attr:`kronecker_modules`."""
        return [
            f"{module}.{parameter}"
            for module in self.kronecker_modules
            for parameter in ("weight", "bias")
        ]


def network(name: str) -> nn.Module:
    """Make an untrained network: one with a name, or mlp-784-128-64-10 of any sizes."""
    if name.startswith(SIZES):
        return mlp(*map(int, name.removeprefix(SIZES).split("-")))
    return NETWORKS[name]()


def trained_model(name: str, folder: Path) -> nn.Module:
    """Load a trained network, in evaluation mode."""
    model = network(name)
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return model.eval()


def load(folder: str | Path) -> Workload:
    """Load a workload that was prepared."""
    folder = Path(folder)
    facts = json.loads((folder / "workload.json").read_text(encoding="utf-8"))

    def array(name: str) -> torch.Tensor:
        return torch.from_numpy(np.load(folder / f"{name}.npy"))

    return Workload(
        name=facts["name"],
        task=facts["task"],
        model=trained_model(facts["name"], folder),
        train=(array("train_inputs"), array("train_targets")),
        test=(array("test_inputs"), array("test_targets")),
        folder=folder,
        damping=facts.get("damping", DAMPING),
    )
