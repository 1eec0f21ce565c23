"""Interpreters: one file a method."""

from hessinf.interpreters.arnoldi import Arnoldi
from hessinf.interpreters.block_ggn import BlockGaussNewton
from hessinf.interpreters.block_hessian import BlockHessian
from hessinf.interpreters.conjugate_gradient import ConjugateGradient
from hessinf.interpreters.diagonal import Diagonal
from hessinf.interpreters.ekfac import Ekfac
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.exact import Exact
from hessinf.interpreters.ggn import GaussNewton
from hessinf.interpreters.gradient_cosine import GradientCosine
from hessinf.interpreters.gradient_dot import GradientDot
from hessinf.interpreters.groups import ByField, ById
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.interpreters.kfac import Kfac
from hessinf.interpreters.nystroem import Nystroem
from hessinf.interpreters.simple_influence import SimpleInfluence
from hessinf.interpreters.tracin import TracIn

__all__ = [
    "Arnoldi",
    "BlockGaussNewton",
    "BlockHessian",
    "ByField",
    "ById",
    "ConjugateGradient",
    "Diagonal",
    "Ekfac",
    "Exact",
    "GaussNewton",
    "GradientCosine",
    "GradientDot",
    "InfluenceInterpreter",
    "InterpreterError",
    "Kfac",
    "Nystroem",
    "SimpleInfluence",
    "TracIn",
]
