"""What a config says of an analysis of curvature."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from hessinf.curvature.blocks import Blocks
from hessinf.interpreters import InfluenceInterpreter
from hessinf.registry import Above, AtLeast, ConfigError, Lazy, Problem, RegularExpression

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
"""What a row may be called: it is the name of a folder too."""

REFERENCE = "reference"
"""The name of the reference's row."""

NamedCurvature = Literal["hessian", "hutchinson-hessian", "hutchinson-ggn", "empirical-fisher"]
"""Curvatures that no interpreter inverts, and "hessian", which is that of "exact"."""

Curvature = NamedCurvature | Lazy[InfluenceInterpreter]
"""A curvature by its name, or that of a registered method with its arguments."""

DEFAULT_APPROXIMATIONS = ("ggn", "block-ggn", "ekfac", "kfac")


def default_approximations() -> dict[str, Curvature]:
    """Return the steps from the Hessian to K-FAC, by their names."""
    return {name: Lazy(InfluenceInterpreter.by_name(name)) for name in DEFAULT_APPROXIMATIONS}


@dataclass
class AnalysisConfig:
    """Which curvatures are compared, and how.

    Parameters
    ----------
    reference
        What approximations are measured against: "hessian", "empirical-fisher",
        "hutchinson-hessian" and "hutchinson-ggn" (diagonals estimated from products with random
        signs), or a registered method that has a curvature, with arguments: "ggn", {"type":
        "block-ggn", "blocks": "parameter"}. Its damping makes no difference: C itself is looked at.
    approximations
        Likewise, by the names of their rows.
    blocks
        The diagonal blocks that everything is also measured for: "layer", "parameter", or {"name":
        ["regular expression", ...]}.
    dampings
        The λ at which inverses are compared.
    thresholds
        What inversions by eigenvalues are tried with: an eigenvalue, or for "pseudo" a share of the
        largest.
    top_k
        How many eigenvectors of largest magnitude span the subspaces that are compared.
    mode
        "dense" forms and decomposes P × P matrices; "matrix-free" estimates from products, with
        standard errors, what can be had without; "auto" for the first where memory_limit allows.
    probes
        Random vectors of each estimate without matrices.
    lanczos_steps
        Products that each of them takes for the spectral density.
    diagonal_probes
        Random vectors of "hutchinson-hessian" and "hutchinson-ggn".
    memory_limit
        GiB for the matrices of the analysis.
    params_to_freeze
        Regular expressions; parameters that one of them matches anywhere are left out, for all
        curvatures alike.
    keep_matrices
        Keep each matrix as DIR/analysis/NAME/matrix.npy.
    plots
        Whether plots are drawn, as PNG and SVG: "auto" where matplotlib is installed.
    """

    reference: Curvature = "hessian"
    approximations: dict[str, Curvature] = field(default_factory=default_approximations)
    blocks: Blocks = "layer"
    dampings: list[Annotated[float, Above(0)]] = field(default_factory=lambda: [1e-4, 1e-3, 1e-2])
    thresholds: list[Annotated[float, AtLeast(0)]] = field(default_factory=lambda: [1e-6, 1e-4])
    top_k: Annotated[int, AtLeast(1)] = 10
    mode: Literal["auto", "dense", "matrix-free"] = "auto"
    probes: Annotated[int, AtLeast(2)] = 20
    lanczos_steps: Annotated[int, AtLeast(2)] = 80
    diagonal_probes: Annotated[int, AtLeast(2)] = 1000
    memory_limit: Annotated[float, Above(0)] = 4.0
    params_to_freeze: list[Annotated[str, RegularExpression()]] = field(default_factory=list)
    keep_matrices: bool = False
    plots: bool | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what annotations cannot."""
        problems = list(self._problems())
        if problems:
            raise ConfigError(problems)

    def _problems(self) -> Iterator[Problem]:
        for key in ("approximations", "dampings", "thresholds"):
            if not getattr(self, key):
                yield Problem(f"analysis.{key}", "there is none; name at least one")
        for key in ("dampings", "thresholds"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                yield Problem(f"analysis.{key}", "has a number twice; leave one of them out")
        for name in self.approximations:
            if not NAME.fullmatch(name):
                yield Problem(
                    f"analysis.approximations.{name}",
                    f'"{name}" cannot be the name of a row: expected 1 to 80 letters, digits, '
                    "dots, hyphens, plus signs and underscores, a letter or digit first",
                )
            elif name.lower() == REFERENCE:
                yield Problem(
                    f"analysis.approximations.{name}",
                    f'"{name}" is the name of the row of the reference; choose another',
                )
        yield from self._frozen_otherwise()

    def _frozen_otherwise(self) -> Iterator[Problem]:
        """Say which curvature is to be in other parameters than the rest."""
        places = {"analysis.reference": self.reference} | {
            f"analysis.approximations.{name}": given for name, given in self.approximations.items()
        }
        for place, given in places.items():
            spec = given.spec if isinstance(given, Lazy) else None
            own = spec.get("params_to_freeze") if isinstance(spec, dict) else None
            if own and own != self.params_to_freeze:
                yield Problem(
                    f"{place}.params_to_freeze",
                    f"{own} here, {self.params_to_freeze} in analysis.params_to_freeze, and all "
                    "curvatures that are compared are in the same parameters; give it there alone",
                )
