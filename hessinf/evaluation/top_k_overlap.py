"""Specific lists: different queries should have different top-k lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import top_lists
    from hessinf.evaluation.attribution import Attribution
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    top_lists = lazy_import("hessinf.evaluation.top_lists")


@dataclass(frozen=True)
class Sizes:
    """How many lists there are, and how long they are.

    Parameters
    ----------
    queries, examples, k
        Numbers of queries and training examples, and the length of the lists.
    """

    queries: int
    examples: int
    k: int


@Metric.register("top-k-overlap")
class TopKOverlap(Metric):
    """Says which share of all places in the top-k lists of queries goes to distinct examples.

    Registered as a `Metric` with name "top-k-overlap".

    Higher is more specific: near 1 every query has examples of its own, near 1/Q all have the same.
    It does not say that the lists are right: random scores are as specific as can be.

    Parameters
    ----------
    k
        The length of the lists of most helpful examples.
    """

    columns = (("overlap", "overlap of two lists"), ("largest", "largest"), ("tied", "tied lists"))

    def __init__(self, *, k: Annotated[int, AtLeast(1)] = 10) -> None:
        self.k = k

    def check(self, problem: Problem) -> None:
        """Warn of lists that hold everything."""
        examples = len(problem.train)
        if self.k >= examples:
            problem.warn(
                f"top-k-overlap: lists of k = {self.k} hold all {examples} training examples, so "
                "that every row gets the same; lower k"
            )

    def prepare(self, problem: Problem) -> Sizes:
        """Count queries and examples."""
        examples = len(problem.train)
        return Sizes(len(problem.queries), examples, min(self.k, examples))

    def describe(self, truth: Sizes) -> dict[str, Any]:
        """Say what is possible, and what random lists would have."""
        sizes = (truth.queries, truth.examples, truth.k)
        return {
            "queries": truth.queries,
            "examples": truth.examples,
            "k": truth.k,
            "largest": top_lists.largest_distinct(*sizes),
            "chance": top_lists.random_distinct(*sizes),
            "chance_overlap": truth.k / truth.examples,
        }

    def measure(self, attribution: Attribution, truth: Sizes, problem: Problem) -> Judgement | None:
        """Compare the top-k lists of one attribution; a mean over its models."""
        if not attribution.has_scores:
            return None
        found = [
            top_lists.top_overlap(attribution.scores(model), truth.k)
            for model in range(attribution.num_models)
        ]
        value = float(np.mean([overlap.distinct for overlap in found]))
        without = np.mean([overlap.without for overlap in found], axis=0)  # [Q]
        described = self.describe(truth)
        return Judgement(
            {
                "value": value,
                "interval": top_lists.jackknife_interval(value, without),
                "missing": 0,
                "queries": truth.queries,
                "models": len(found),
                "overlap": float(np.mean([overlap.overlap for overlap in found])),
                "largest": described["largest"],
                "chance": described["chance"],
                "tied": max(overlap.tied for overlap in found),
            },
            {"without": without},
        )

    def conclude(
        self, judgements: Mapping[str, Judgement], truth: Sizes, problem: Problem
    ) -> Conclusion:
        """Say how to read the numbers, and which rows rest on the order of equal scores."""
        notes = [
            "a larger share says that lists are more specific, not that they are right: random "
            f"scores get {self.describe(truth)['chance']:.3f} here."
        ]
        for row, judgement in judgements.items():
            tied = judgement.summary["tied"]
            if tied:
                notes.append(
                    f'{tied} of {truth.queries} lists of "{row}" end among equal scores, of which '
                    "the lower indices were taken: they look more alike than the scores are."
                )
        return Conclusion(notes=tuple(notes))
