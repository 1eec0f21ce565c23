"""One call of an interpreter with nothing to compute, as a program: N = 32, Q = 1."""

from __future__ import annotations

import sys

import torch
from torch import nn

from hessinf import InfluenceInterpreter


def main(method: str) -> None:
    """Explain one query of a small network, and print its most helpful example."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).eval()
    inputs, targets = torch.randn(33, 64), torch.randint(0, 10, (33,))  # [N + Q, I], [N + Q]
    interpreter = InfluenceInterpreter.by_name(method)(
        model, (inputs[:32], targets[:32]), objective="cross-entropy"
    )
    [found] = interpreter.interpret((inputs[32:], targets[32:]), k=1)
    print(found.helpful[0].id)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "ekfac")
