"""``Metric``: one way to judge attributions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from hessinf.registry import Registrable

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation.attribution import Attribution
    from hessinf.evaluation.problem import Problem


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a metric says of one attribution.

    Parameters
    ----------
    summary
        JSON: ``"value"`` is the number that counts, ``"interval"`` its 95 % interval ``[low,
        high]`` where there is one, ``"missing"`` how many parts of it were not defined (NaN).
        Further keys belong to the metric.
    arrays
        What :meth:`Metric.conclude` needs of each row, by name.
    """

    summary: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Conclusion:
    """What a metric says of all attributions together.

    Parameters
    ----------
    comparisons
        JSON objects, one a pair of rows: ``"better"``, ``"worse"``, ``"difference"``,
        ``"interval"``.
    notes
        Sentences for people, such as "the plain loss ranks better than every method".
    """

    comparisons: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


class Metric(Registrable):
    """Judges attributions, by themselves or against what retraining shows.

    A metric has two halves. :meth:`prepare` finds what is true, with the problem's models and
    data; it may train models for long, and keeps what it found in ``problem.store``.
    :meth:`measure` compares one attribution with it: the arithmetic is a pure function of arrays,
    to be had from Python for scores of any origin.
    """

    default_implementation = "lds"

    higher_is_better: ClassVar[bool] = True
    """Whether a larger value speaks for the attribution."""

    baselines: ClassVar[tuple[str, ...]] = ("random", "gradient-dot")
    """Rows that are always shown: "random", "gradient-dot", "loss", "gradient-norm"."""

    columns: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Further columns of the table: a key of the summary, and what stands above it."""

    def table_columns(self) -> tuple[tuple[str, str], ...]:
        """Return the further columns; a metric where arguments decide them says so here."""
        return self.columns

    def check(self, problem: Problem) -> None:
        """Refuse, before any model is trained, a problem that this metric cannot be applied to.

        Parameters
        ----------
        problem
            Its ``models`` are empty: what needs trained ones belongs to :meth:`check_models`. An
            untrained one is to be had from ``problem.make_module``.

        Raises
        ------
        EvaluationError
            When it needs what the problem has not.
        """

    def check_models(self, problem: Problem) -> None:
        """Refuse, once the attributed models are trained, what :meth:`check` could not know.

        Raises
        ------
        EvaluationError
            When the metric cannot be applied to these models.
        """

    @abstractmethod
    def prepare(self, problem: Problem) -> Any:
        """Find what is true; the result is handed to the other methods as ``truth``."""

    def describe(self, truth: Any) -> dict[str, Any]:
        """Say what was found, as JSON: how many models were retrained, the noise ceiling, ..."""
        return {}

    @abstractmethod
    def measure(self, attribution: Attribution, truth: Any, problem: Problem) -> Judgement | None:
        """Judge one attribution; None where it has not what the metric looks at."""

    def conclude(
        self, judgements: Mapping[str, Judgement], truth: Any, problem: Problem
    ) -> Conclusion:
        """Compare the rows with each other."""
        return Conclusion()
