"""Interpreters: one file a method."""

from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.exact import Exact
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.interpreters.simple_influence import SimpleInfluence

__all__ = ["Exact", "InfluenceInterpreter", "InterpreterError", "SimpleInfluence"]
