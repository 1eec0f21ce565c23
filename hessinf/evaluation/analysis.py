"""An analysis of curvature: a reference and its approximations, part by part, resumable."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from hessinf.curvature.blocks import columns_of, count, parameter_blocks
from hessinf.evaluation.analysis_config import REFERENCE, AnalysisConfig
from hessinf.evaluation.analysis_store import AnalysisStore
from hessinf.evaluation.curvature_source import (
    CurvatureSource,
    Make,
    curvature_source,
    require_same_parameters,
)
from hessinf.evaluation.curvature_spectrum import Blocks
from hessinf.evaluation.dense_analysis import (
    DenseCurvature,
    compare_dense,
    dense_gibibytes,
    describe_dense,
)
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.matrix_picture import picture
from hessinf.evaluation.operator_analysis import (
    NOT_COMPUTED,
    OperatorCurvature,
    compare_operators,
    describe_operator,
)
from hessinf.runtime.progress import bar

logger = logging.getLogger(__name__)

Measure = Callable[[str], AbstractContextManager[Any]]
"""What measures a stage of that name."""

ROWS_COMPARED = 1024
"""Rows of two matrices that are compared together."""


@dataclass(frozen=True, eq=False)
class CurvatureAnalysis:
    """What is compared; nothing is computed yet.

    Parameters
    ----------
    settings
        How.
    reference
        The curvature that the others are measured against.
    approximations
        The others, in order.
    blocks
        Where the diagonal blocks lie, by name.
    seed
        Of the random vectors of estimates.
    """

    settings: AnalysisConfig
    reference: CurvatureSource
    approximations: tuple[CurvatureSource, ...]
    blocks: Blocks
    seed: int

    @property
    def size(self) -> int:
        """P."""
        return self.reference.size

    @property
    def sources(self) -> tuple[CurvatureSource, ...]:
        """All of them, the reference first."""
        return (self.reference, *self.approximations)

    @property
    def dense(self) -> bool:
        """Whether matrices are formed."""
        mode = self.settings.mode
        return mode == "dense" or (mode == "auto" and self._gibibytes <= self.settings.memory_limit)

    @property
    def _gibibytes(self) -> float:
        return dense_gibibytes(self.size)

    @property
    def _gibibytes_without_matrices(self) -> float:
        """For the Lanczos vectors of one probe: the spectral density takes half of the limit."""
        return 2 * min(self.settings.lanczos_steps, self.size) * self.size * 8 / 2**30

    def require_memory(self) -> None:
        """Refuse matrices that do not fit where they are asked for, and vectors that do not."""
        least, limit = self._gibibytes_without_matrices, self.settings.memory_limit
        if not self.dense and least > limit:
            raise EvaluationError(
                f"an analysis of {self.size:,} parameters without matrices needs {least:.3g} GiB "
                f"for {min(self.settings.lanczos_steps, self.size)} Lanczos vectors, "
                f"analysis.memory_limit is {limit:g} GiB; raise it, or take fewer "
                "analysis.lanczos_steps"
            )
        if self.dense and self._gibibytes > limit:
            raise EvaluationError(
                f"a dense analysis of {self.size:,} parameters needs {self._gibibytes:.3g} GiB "
                f"for matrices and their eigenvectors, analysis.memory_limit is "
                f"{limit:g} GiB; raise it, freeze some parameters with "
                'analysis.params_to_freeze, or set analysis.mode to "matrix-free"'
            )

    def run(self, store: AnalysisStore, measure: Measure = nullcontext) -> dict[str, Any]:
        """Compute what the store has not yet, and put everything together.

        Parameters
        ----------
        store
            Where finished parts are kept.
        measure
            Given the name of a stage, a context that measures it.

        Returns
        -------
        dict
            JSON, of the same bytes each time.
        """
        self.require_memory()
        parts = _DenseParts(self, store) if self.dense else _OperatorParts(self, store)
        with bar(stage="curvatures", total=len(self.sources), unit="curvatures") as shown:
            for source in self.sources:
                if store.has(source.name):
                    logger.info('"%s" was analysed before', source.name)
                else:
                    with measure(f"curvature {source.name}"):
                        parts.add(source)
                shown.update(1)
        results = {source.name: store.result(source.name) for source in self.sources}
        return {
            "mode": "dense" if self.dense else "matrix-free",
            "parameters": self.size,
            "blocks": {name: count(places) for name, places in self.blocks.items()},
            "block_starts": {
                name: places.start if isinstance(places, slice) else None
                for name, places in self.blocks.items()
            },
            "weight_decay": self.reference.interpreter.weight_decay,
            "dampings": self.settings.dampings,
            "thresholds": self.settings.thresholds,
            "top_k": self.settings.top_k,
            "reference": results.pop(REFERENCE),
            "approximations": results,
            **parts.together(),
        }


def curvature_analysis(settings: AnalysisConfig, make: Make, seed: int) -> CurvatureAnalysis:
    """Prepare an analysis, and refuse one that cannot be made, before anything is computed.

    Parameters
    ----------
    settings
        What the config says.
    make
        Makes an interpreter for the model whose curvature is looked at.
    seed
        Of the run.

    Raises
    ------
    EvaluationError
        When a method has no curvature, curvatures are in different parameters, blocks do not hold
        each parameter once, or matrices do not fit.
    """
    reference = curvature_source(REFERENCE, settings.reference, make, settings)
    others = tuple(
        curvature_source(name, given, make, settings)
        for name, given in settings.approximations.items()
    )
    for other in others:
        require_same_parameters(reference, other)
    layout = reference.interpreter.model.layout
    try:
        inside = parameter_blocks(list(layout.shapes), settings.blocks)
    except ValueError as error:
        raise EvaluationError(f"analysis.{error}") from error
    blocks = {name: columns_of(layout, names) for name, names in inside.items()}
    analysis = CurvatureAnalysis(settings, reference, others, blocks, seed)
    analysis.require_memory()
    return analysis


class _DenseParts:
    """Analyses matrix by matrix."""

    def __init__(self, analysis: CurvatureAnalysis, store: AnalysisStore) -> None:
        self.analysis = analysis
        self.store = store

    @cached_property
    def reference(self) -> DenseCurvature:
        """The reference's matrix: what is kept of it, so that a resumed run sees the same."""
        device = self.analysis.reference.device
        # Cloned: products of arrays that lie otherwise in memory may differ in their last bits.
        matrix = torch.from_numpy(self.store.matrix(REFERENCE)).clone().to(device)  # [P, P]
        return DenseCurvature(matrix, self.analysis.blocks)

    def add(self, source: CurvatureSource) -> None:
        """Analyse one curvature, and keep what is found."""
        analysis = self.analysis
        known = DenseCurvature(source.matrix().contiguous(), analysis.blocks)
        result = {**source.facts(), **describe_dense(known, analysis.settings, analysis.seed)}
        arrays = {"eigenvalues": known.spectrum.eigenvalues, "picture": picture(known.matrix)}
        if source is analysis.reference:
            self.reference = known
        else:
            result["against_reference"] = compare_dense(self.reference, known, analysis.settings)
            arrays["difference"] = picture(self.reference.matrix, known.matrix)
        self.store.add(source.name, result, arrays, known.matrix)

    def together(self) -> dict[str, Any]:
        """Compare all with each other: ``‖A − B‖_F / ‖A‖_F``, A the row and B the column."""
        matrices = {source.name: self.store.matrix(source.name) for source in self.analysis.sources}
        norms = dict.fromkeys(matrices, 0.0)
        apart = {one: dict.fromkeys(matrices, 0.0) for one in matrices}
        for start in range(0, self.analysis.size, ROWS_COMPARED):
            rows = {
                name: torch.from_numpy(matrix[start : start + ROWS_COMPARED])
                for name, matrix in matrices.items()
            }
            names = list(rows)
            for place, one in enumerate(names):
                norms[one] += float(rows[one].square().sum())
                for other in names[place + 1 :]:
                    apart[one][other] += float((rows[one] - rows[other]).square().sum())
        residuals: dict[str, dict[str, float | None]] = {}
        for one in matrices:
            residuals[one] = {}
            for other in matrices:
                difference = apart[one][other] + apart[other][one]
                ratio = (difference / norms[one]) ** 0.5 if norms[one] > 0 else None
                residuals[one][other] = ratio
        return {"pairwise_relative_residuals": residuals, "not_computed": {}}


class _OperatorParts:
    """Analyses by products with vectors."""

    def __init__(self, analysis: CurvatureAnalysis, store: AnalysisStore) -> None:
        self.analysis = analysis
        self.store = store

    @cached_property
    def reference(self) -> OperatorCurvature:
        """The reference, whose products are computed once."""
        return self._operator(self.analysis.reference)

    def _operator(self, source: CurvatureSource) -> OperatorCurvature:
        analysis = self.analysis
        return OperatorCurvature(
            source.name,
            source.product(),
            source.size,
            source.device,
            analysis.settings,
            analysis.seed,
        )

    def add(self, source: CurvatureSource) -> None:
        """Analyse one curvature, and keep what is found."""
        is_reference = source is self.analysis.reference
        known = self.reference if is_reference else self._operator(source)
        result = {**source.facts(), **describe_operator(known, self.analysis.blocks)}
        arrays = {"nodes": known.density.nodes, "weights": known.density.weights}
        if not is_reference:
            result["against_reference"] = compare_operators(self.reference, known)
        self.store.add(source.name, result, arrays, None)

    def together(self) -> dict[str, Any]:
        """Say what is missing, and why."""
        return {"not_computed": dict(NOT_COMPUTED)}
