"""Iterative solvers over a linear operator."""

from hessinf.solvers.errors import DivergenceError
from hessinf.solvers.largest_eigenvalue import largest_eigenvalue
from hessinf.solvers.lissa import allennlp_recursion, lissa

__all__ = ["DivergenceError", "allennlp_recursion", "largest_eigenvalue", "lissa"]
