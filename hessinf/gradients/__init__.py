"""Derivatives: per-example gradients, Hessian- and Gauss-Newton-vector products."""

from hessinf.gradients.curvature_products import (
    CurvatureProducts,
    GaussNewtonProducts,
    HessianProducts,
)
from hessinf.gradients.errors import GradientError
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.gradients import Gradients
from hessinf.gradients.layout import ParameterLayout
from hessinf.gradients.per_example import PerExampleGradients

__all__ = [
    "CurvatureProducts",
    "FunctionalModel",
    "GaussNewtonProducts",
    "GradientError",
    "Gradients",
    "HessianProducts",
    "ParameterLayout",
    "PerExampleGradients",
]
