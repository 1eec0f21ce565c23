"""``SubsetTruth``: what models trained on subsets do with queries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.noise_ceiling import NoiseCeiling, noise_ceiling
from hessinf.evaluation.subset_sums import binary_masks


@dataclass(frozen=True, eq=False)
class SubsetTruth:
    """Subsets of the training data, and queries measured after training on each of them.

    Parameters
    ----------
    masks
        uint8 ``[m, N]``: 1 for members.
    values
        float32 ``[m, R, Q]``, turned so that larger is better for the query.
    alpha
        The share of examples in a subset.
    training_losses
        The mean loss of each model on its own subset at the end, ``[m, R]``; None where unknown.
    """

    masks: np.ndarray
    values: np.ndarray
    alpha: float
    training_losses: np.ndarray | None = None

    @classmethod
    def from_arrays(
        cls, masks: Any, values: Any, *, higher_is_better: bool, alpha: float | None = None
    ) -> SubsetTruth:
        """Take over a ground truth from elsewhere.

        Parameters
        ----------
        masks
            ``[m, N]`` of 0 and 1.
        values
            ``[m, Q]``, or ``[m, R, Q]`` with R repeats of each subset.
        higher_is_better
            Whether larger values are better for the query (margin, log-probability), or smaller
            ones (loss), which are turned here.
        alpha
            The share of examples in a subset; the mean share of the masks where left out.

        Raises
        ------
        EvaluationError
            When masks are not binary, empty or full, a number is not finite, or shapes do not fit.
        """
        masks = binary_masks(masks)
        sizes = {"subsets": len(masks)}
        if np.ndim(values) == 3:
            turned = finite_array("values", values, "subsets, repeats, queries", sizes)
        else:
            turned = finite_array("values", values, "subsets, queries", sizes)[:, None]
        if not higher_is_better:
            turned = -turned  # [m, R, Q]
        share = float(masks.mean()) if alpha is None else alpha
        return cls(masks, turned.astype(np.float32), share)

    @property
    def subsets(self) -> int:
        """How many subsets there are, m."""
        return len(self.masks)

    @property
    def repeats(self) -> int:
        """How many models were trained on each, R."""
        return int(self.values.shape[1])

    @property
    def queries(self) -> int:
        """How many queries were measured, Q."""
        return int(self.values.shape[2])

    @cached_property
    def means(self) -> np.ndarray:
        """The mean over repeats, float64 ``[m, Q]``."""
        means: np.ndarray = self.values.mean(axis=1, dtype=np.float64)
        return means

    def ceiling(self, queries: np.ndarray) -> NoiseCeiling | None:
        """Say how well the means can be predicted, for some queries ``[Q']``."""
        return noise_ceiling(self.values[:, :, queries])

    def require(self, *, examples: int, queries: int) -> None:
        """Refuse to be judged with other data.

        Raises
        ------
        EvaluationError
            When there are other numbers of training examples or queries.
        """
        found = {"training examples": self.masks.shape[1], "queries": self.queries}
        expected = {"training examples": examples, "queries": queries}
        for name, count in expected.items():
            if found[name] != count:
                raise EvaluationError(
                    f"the ground truth has {found[name]} {name}, the problem has {count}: it was "
                    "made with other data"
                )

    def facts(self) -> dict[str, Any]:
        """Say what was measured, as JSON."""
        members = self.masks.sum(axis=1, dtype=np.int64)  # [m]
        facts: dict[str, Any] = {
            "alpha": self.alpha,
            "subsets": self.subsets,
            "members": int(members[0]) if len(set(members.tolist())) == 1 else members.tolist(),
            "repeats": self.repeats,
        }
        if self.training_losses is not None:
            facts["training_loss"] = {
                "smallest": float(self.training_losses.min()),
                "median": float(np.median(self.training_losses)),
                "largest": float(self.training_losses.max()),
            }
        return facts
