"""The command line: one file a subcommand, each thin over a Python function."""

from hessinf.commands.analyze import Analyze
from hessinf.commands.compare import Compare
from hessinf.commands.completion import Completion
from hessinf.commands.describe import Describe
from hessinf.commands.evaluate import Evaluate
from hessinf.commands.interpret import Interpret
from hessinf.commands.list_names import ListNames
from hessinf.commands.report import Report
from hessinf.commands.schema import Schema
from hessinf.commands.self_influence import SelfInfluence
from hessinf.commands.subcommand import Subcommand
from hessinf.commands.train import Train
from hessinf.commands.validate import Validate

__all__ = [
    "Analyze",
    "Compare",
    "Completion",
    "Describe",
    "Evaluate",
    "Interpret",
    "ListNames",
    "Report",
    "Schema",
    "SelfInfluence",
    "Subcommand",
    "Train",
    "Validate",
]
