"""Solving until the residual itself is small, not only the one that a recursion believes in.

Krylov solvers update their residual by a recursion, which drifts away from ``b − A x`` by rounding,
in float32 by orders of magnitude. Here the residual is computed anew when a solver says that it is
done, and the solver is started again on what is left, until that is small or gets no smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.errors import SolverError

if TYPE_CHECKING:
    import torch

    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")

SHARE_OF_TOLERANCE = 0.9
"""How far below the tolerance the recursion goes, so that drift alone does not start it again."""

FLAT = 10
"""Curvatures up to this many units of rounding of the largest that was met count as none."""

NEGATIVE = 1000
"""Those below zero by more than this many units are negative, whatever rounding has done."""

WORTHWHILE = 0.5
"""A start that leaves more than this share of the residual has met the limit of the precision."""


@dataclass(frozen=True)
class Solution:
    """Solutions of ``A x = b`` for K right-hand sides, and how far to believe them.

    Parameters
    ----------
    solutions
        ``[K, P]``.
    relative_residuals
        ``‖A x − b‖ / ‖b‖``, computed from the solutions: ``[K]``, float64; zero where b is zero.
    steps
        How many products each right-hand side has had: ``[K]``.
    converged
        Whether the relative residual is within the tolerance: ``[K]``.
    blocked
        Whether the recursion ended at a direction v without positive curvature ``vᵀ A v``:
        ``[K]``. The solution is then that of the smallest residual before.
    smallest_quotients
        The smallest ``vᵀ A v / vᵀ v`` that was met: ``[K]``, float64, infinite where none was.
    largest_quotients
        The largest magnitude of it: ``[K]``, float64.
    """

    solutions: torch.Tensor
    relative_residuals: torch.Tensor
    steps: torch.Tensor
    converged: torch.Tensor
    blocked: torch.Tensor
    smallest_quotients: torch.Tensor
    largest_quotients: torch.Tensor

    @property
    def negative(self) -> torch.Tensor:
        """Whether the curvature that ended the recursion was negative beyond rounding: ``[K]``."""
        unit = torch.finfo(self.solutions.dtype).eps
        return self.blocked & (self.smallest_quotients < -NEGATIVE * unit * self.largest_quotients)


@dataclass(frozen=True)
class Run:
    """What one run of a recursion from zero gives, for K right-hand sides.

    Parameters
    ----------
    solutions
        ``[K, P]``.
    steps
        ``[K]``, int64.
    blocked
        Whether it ended at a direction without positive curvature: ``[K]``.
    smallest, largest
        The smallest Rayleigh quotient of A met, and the largest magnitude of one: ``[K]``, float64.
    """

    solutions: torch.Tensor
    steps: torch.Tensor
    blocked: torch.Tensor
    smallest: torch.Tensor
    largest: torch.Tensor

    @classmethod
    def started(cls, vectors: torch.Tensor) -> Run:
        """Return a run that has not taken a step, to be filled in place.

        Parameters
        ----------
        vectors
            The right-hand sides, ``[K, P]``.
        """
        ones = vectors.new_ones(len(vectors), dtype=torch.float64)  # [K]
        return cls(
            solutions=torch.zeros_like(vectors),
            steps=torch.zeros_like(ones, dtype=torch.int64),
            blocked=torch.zeros_like(ones, dtype=torch.bool),
            smallest=torch.inf * ones,
            largest=0 * ones,
        )


def refine(
    recursion: Callable[[torch.Tensor, torch.Tensor, float], Run],
    product: Product,
    vectors: torch.Tensor,
    *,
    tolerance: float,
    steps: int,
) -> Solution:
    """Run a recursion, and again on the residual that it leaves.

    Parameters
    ----------
    recursion
        The solver, started from zero. It gets right-hand sides ``[K, P]``, how many steps each may
        take, ``[K]``, and the norm that the residuals are to reach.
    product
        Multiplies row vectors with A.
    vectors
        The right-hand sides b, ``[K, P]``.
    tolerance
        The relative residual to reach.
    steps
        At most this many steps for each right-hand side, over all runs.

    Returns
    -------
    Solution
        For zero right-hand sides, zero.

    Raises
    ------
    SolverError
        When a right-hand side is not finite.
    """
    sizes = vectors.norm(dim=1)  # [K]
    if not bool(sizes.isfinite().all()):
        row = int((~sizes.isfinite()).nonzero()[0])
        raise SolverError(f"right-hand side {row} of {len(vectors)} is not finite")
    scaled = vectors / torch.where(sizes > 0, sizes, 1.0)[:, None]  # [K, P], rows of norm 1 or 0
    relative = (sizes > 0).double()  # [K]
    total = Run.started(scaled)
    rows = sizes.nonzero()[:, 0]  # [A], those still worked on
    residuals = scaled[rows]  # [A, P]
    first = True
    while len(rows):
        before = relative[rows]  # [A]
        run = recursion(residuals, steps - total.steps[rows], SHARE_OF_TOLERANCE * tolerance)
        improved = total.solutions[rows] + run.solutions  # [A, P]
        residuals = scaled[rows] - product(improved)  # [A, P]
        after = residuals.norm(dim=1).double()  # [A]
        if not bool(after.isfinite().all()):
            raise SolverError("products with the curvature are not finite")
        # The first run may well enlarge the residual while the error shrinks; a later one not.
        better = (after < before) | first  # [A]
        total.solutions[rows] = torch.where(better[:, None], improved, total.solutions[rows])
        relative[rows] = torch.where(better, after, before)
        total.steps[rows] += run.steps
        total.blocked[rows] |= run.blocked
        total.smallest[rows] = torch.minimum(total.smallest[rows], run.smallest)
        total.largest[rows] = torch.maximum(total.largest[rows], run.largest)
        again = (after > tolerance) & (after < WORTHWHILE * before)  # [A]
        again &= ~run.blocked & (total.steps[rows] < steps)
        rows, residuals, first = rows[again], residuals[again], False
    return Solution(
        solutions=total.solutions * sizes[:, None],
        relative_residuals=relative,
        steps=total.steps,
        converged=relative <= tolerance,
        blocked=total.blocked,
        smallest_quotients=total.smallest,
        largest_quotients=total.largest,
    )
