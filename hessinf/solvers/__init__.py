"""Iterative solvers and low ranks of a linear operator."""

from hessinf.solvers.block_conjugate_gradient import block_conjugate_gradient
from hessinf.solvers.conjugate_gradient import conjugate_gradient
from hessinf.solvers.errors import DivergenceError, NegativeCurvatureError, SolverError
from hessinf.solvers.iterative_refinement import Solution
from hessinf.solvers.jacobi_preconditioner import JacobiPreconditioner
from hessinf.solvers.kronecker_preconditioner import EkfacPreconditioner, KfacPreconditioner
from hessinf.solvers.lanczos import RitzPairs, lanczos
from hessinf.solvers.largest_eigenvalue import largest_eigenvalue
from hessinf.solvers.lissa import allennlp_recursion, lissa, lissa_in_place
from hessinf.solvers.low_rank import LowRank
from hessinf.solvers.nystroem import nystroem
from hessinf.solvers.nystroem_preconditioner import NystroemPreconditioner
from hessinf.solvers.preconditioner import Preconditioner
from hessinf.solvers.trace import Trace, estimate_trace, random_signs

__all__ = [
    "DivergenceError",
    "EkfacPreconditioner",
    "JacobiPreconditioner",
    "KfacPreconditioner",
    "LowRank",
    "NegativeCurvatureError",
    "NystroemPreconditioner",
    "Preconditioner",
    "RitzPairs",
    "Solution",
    "SolverError",
    "Trace",
    "allennlp_recursion",
    "block_conjugate_gradient",
    "conjugate_gradient",
    "estimate_trace",
    "lanczos",
    "largest_eigenvalue",
    "lissa",
    "lissa_in_place",
    "nystroem",
    "random_signs",
]
