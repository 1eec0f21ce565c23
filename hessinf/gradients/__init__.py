"""Derivatives: per-example gradients, Hessian- and Gauss-Newton-vector products."""

from hessinf.gradients.curvature_products import CurvatureProducts
from hessinf.gradients.errors import GradientError
from hessinf.gradients.factored_gradients import FactoredGradients
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.gauss_newton_products import GaussNewtonProducts
from hessinf.gradients.gradients import Gradients
from hessinf.gradients.hessian_products import HessianProducts
from hessinf.gradients.layout import ParameterLayout
from hessinf.gradients.per_example import PerExampleGradients

__all__ = [
    "CurvatureProducts",
    "FactoredGradients",
    "FunctionalModel",
    "GaussNewtonProducts",
    "GradientError",
    "Gradients",
    "HessianProducts",
    "ParameterLayout",
    "PerExampleGradients",
]
