"""What a first interpretation imports: torch, and none of the heavy parts that it has."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import torch
from hessinf.interpreters import InfluenceInterpreter

# half a second and 40 MB, a second and 40 MB, and what those bring
HEAVY = ("sympy", "torch._dynamo", "torch._inductor", "scipy", "pandas", "sklearn")
already = set(sys.modules)

def check(name, model):
    interpreter = InfluenceInterpreter.by_name(name)(model.eval(), (inputs, targets))
    found = list(interpreter.interpret((inputs[:2], targets[:2]), k=3))
    assert len(found) == 2 and found[0].helpful[0].score is not None
    interpreter.self_influence()
    imported = [module for module in HEAVY if module in sys.modules.keys() - already]
    assert not imported, f"{name} imports {imported}"
    print(name)

torch.manual_seed(0)
inputs, targets = torch.randn(12, 16), torch.arange(12) % 3
perceptron = torch.nn.Sequential(
    torch.nn.Linear(16, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)
)
network = torch.nn.Sequential(
    torch.nn.Unflatten(1, (1, 4, 4)),
    torch.nn.Conv2d(1, 3, 3),
    torch.nn.ReLU(),
    torch.nn.Flatten(),
    torch.nn.LayerNorm(12),
    torch.nn.Linear(12, 3),
)
for name in ("gradient-dot", "gradient-cosine", "diagonal", "kfac", "ekfac"):
    check(name, network)
for name in InfluenceInterpreter.catalogue.entries:
    if name != "tracin":  # it needs checkpoints on disk, and does what gradient-dot does
        check(name, perceptron)
"""


def test_no_method_imports_what_torch_can_do_without() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"gradient-dot", "ekfac", "kfac", "exact", "ggn", "simple-influence"} <= set(
        done.stdout.split()
    )
