from __future__ import annotations

import subprocess
import sys


def test_configs_of_interpreters_are_checked_without_torch() -> None:
    code = """
import sys
from hessinf.interpreters import InfluenceInterpreter
from hessinf.registry import ConfigError
from hessinf.registry.planner import plan

injected = InfluenceInterpreter.injected_names()
plan(InfluenceInterpreter, {"type": "exact", "damping": {"relative": 0.1}}, injected=injected)
plan(InfluenceInterpreter, {"recursion_depth": "100%", "num_samples": 2}, injected=injected)
preconditioned = {"type": "conjugate-gradient", "preconditioner": {"type": "nystroem", "rank": 9}}
plan(InfluenceInterpreter, preconditioned, injected=injected)
for wrong in ({"type": "exact", "damping": -1}, {"type": "exatc"}, {"num_samples": 0}):
    try:
        plan(InfluenceInterpreter, wrong, injected=injected)
    except ConfigError:
        continue
    raise SystemExit(f"{wrong} was accepted")
heavy = {"torch", "numpy", "sklearn", "scipy", "pyarrow", "pytest"} & set(sys.modules)
raise SystemExit(", ".join(sorted(heavy)) or 0)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    assert result.returncode == 0
