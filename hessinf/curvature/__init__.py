"""Matrices that stand for the curvature of the training loss, and their inverses."""

from hessinf.curvature.damping import Damping, RelativeDamping, as_damping, effective_damping
from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.inversion import ExactInversion, Inversion
from hessinf.curvature.spectral_inversion import EigenInversion, PseudoInversion

__all__ = [
    "CurvatureError",
    "Damping",
    "EigenInversion",
    "ExactInversion",
    "Inversion",
    "PseudoInversion",
    "RelativeDamping",
    "as_damping",
    "effective_damping",
]
