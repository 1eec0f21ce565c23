"""``CurvatureSource``: one of the curvatures that are compared, as a matrix and as an operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from hessinf.evaluation.analysis_config import AnalysisConfig, Curvature
from hessinf.evaluation.errors import EvaluationError
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.shown_curvature import curvature_product, dense_curvature
from hessinf.registry import Lazy
from hessinf.runtime.randomness import generator
from hessinf.solvers.diagonal_estimate import estimate_diagonal

if TYPE_CHECKING:
    from hessinf.solvers.product import Product

Make = Callable[[Lazy[InfluenceInterpreter]], InfluenceInterpreter]
"""Makes an interpreter for the model whose curvature is looked at."""

PARTNERS = {
    "hessian": "exact",
    "hutchinson-hessian": "exact",
    "hutchinson-ggn": "ggn",
    "empirical-fisher": "gradient-dot",
}
"""The method that has what a named curvature is made of."""


@dataclass(eq=False)
class CurvatureSource:
    """A curvature, undamped, weight decay included; computed when it is asked for.

    Parameters
    ----------
    name
        Of its row.
    curvature
        What it is: a name, or that of a method.
    interpreter
        What has it, or has the products and gradients that it is made of.
    settings
        Of the analysis.
    """

    name: str
    curvature: str
    interpreter: InfluenceInterpreter
    settings: AnalysisConfig
    _diagonal: torch.Tensor | None = field(default=None, init=False)
    _facts: dict[str, Any] = field(default_factory=dict, init=False)

    @property
    def size(self) -> int:
        """P."""
        return self.interpreter.model.layout.size

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.interpreter.model.device

    def matrix(self) -> torch.Tensor:
        """Form it, ``[P, P]``, float64, symmetric."""
        if self.curvature.startswith("hutchinson-"):
            return torch.diag(self._estimated_diagonal())
        if self.curvature == "empirical-fisher":
            total = torch.zeros(self.size, self.size, dtype=torch.float64, device=self.device)
            for rows in self._gradients():
                total.addmm_(rows.T, rows)
            matrix = total / len(self.interpreter.train_data)
            matrix.diagonal().add_(self.interpreter.weight_decay)
            return matrix
        return dense_curvature(self.interpreter)

    def product(self) -> Product:
        """Make an operator of it: from ``[K, P]`` to ``[K, P]``, float64."""
        if self.curvature.startswith("hutchinson-"):
            diagonal = self._estimated_diagonal()
            return lambda vectors: vectors.double() * diagonal
        if self.curvature == "empirical-fisher":
            return self._multiply_fisher
        return curvature_product(self.interpreter)

    def facts(self) -> dict[str, Any]:
        """Say how it was made, as JSON; after it was."""
        return {"curvature": self.curvature, **self._facts, **self.interpreter.curvature_facts()}

    def _multiply_fisher(self, vectors: torch.Tensor) -> torch.Tensor:
        """Compute ``1/N Σ (v·g_i) g_i + wd·v``, ``[K, P]``."""
        wide = vectors.double()
        total = torch.zeros_like(wide)  # [K, P]
        for rows in self._gradients():
            total += (wide @ rows.T) @ rows
        return total / len(self.interpreter.train_data) + self.interpreter.weight_decay * wide

    def _gradients(self) -> Any:
        """Go through the gradients of the training losses, ``[B, P]``, float64."""
        self.interpreter.ensure_checked()
        with self.interpreter.model.evaluating():
            for gradients in self.interpreter.train_gradients("empirical Fisher"):
                yield gradients.flatten().double()

    def _estimated_diagonal(self) -> torch.Tensor:
        if self._diagonal is None:
            samples = self.settings.diagonal_probes
            found = estimate_diagonal(
                curvature_product(self.interpreter),
                self.size,
                samples=samples,
                generator=generator(self.interpreter.seed, f"analysis.{self.curvature}"),
                device=self.device,
                stage=f"diagonal, {self.curvature}",
            )
            self._diagonal = found.diagonal
            self._facts = {
                "diagonal_probes": samples,
                "largest_standard_error": float(found.standard_errors.max()),
            }
        return self._diagonal


def curvature_source(
    name: str, given: Curvature, make: Make, settings: AnalysisConfig
) -> CurvatureSource:
    """Make a source; nothing is computed yet.

    Parameters
    ----------
    name
        Of its row.
    given
        What the config says.
    make
        Makes the interpreter.
    settings
        Of the analysis.
    """
    if isinstance(given, Lazy):
        interpreter = make(given)
        curvature = interpreter.registered_name()
    else:
        interpreter = make(Lazy(InfluenceInterpreter.by_name(PARTNERS[given])))
        curvature = given
    if not (curvature == "empirical-fisher" or interpreter.shows_curvature):
        raise EvaluationError(
            f'"{name}": the method "{curvature}" has no curvature of its own to look at; it uses '
            'none, or products with the Hessian or the Gauss-Newton matrix, which are "hessian" '
            'and "ggn" here'
        )
    return CurvatureSource(name, curvature, interpreter, settings)


def require_same_parameters(reference: CurvatureSource, other: CurvatureSource) -> None:
    """Refuse two curvatures in different parameters.

    Raises
    ------
    EvaluationError
        Which says how many each has.
    """
    own, others = (
        list(source.interpreter.model.layout.shapes.items()) for source in (reference, other)
    )
    if own != others:
        raise EvaluationError(
            f'"{other.name}" is a curvature in {other.size:,} parameters and the reference one in '
            f"{reference.size:,}; give params_to_freeze to the analysis, which hands it to all"
        )
