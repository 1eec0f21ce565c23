"""Ground truth from training a convex model again without one example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from hessinf.evaluation.convex_retraining import check_convex, retrained_changes
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.ground_truth import GroundTruth
from hessinf.registry import Above, AtLeast
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import loss_changes
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    loss_changes = lazy_import("hessinf.evaluation.loss_changes")

Examples = Annotated[int, AtLeast(1)] | list[Annotated[int, AtLeast(0)]] | None

KIND = "leave-one-out"


@GroundTruth.register(KIND)
class LeaveOneOutRetraining(GroundTruth):
    """Trains a convex model again without an example, to its exact optimum, for each example.

    Registered as a `GroundTruth` with name "leave-one-out".

    The model must be linear in its parameters and its objective strictly convex (linear, logistic
    or softmax regression with weight decay); this is tested. Then there is one optimum, and what
    an example does is no matter of chance. Networks are refused.

    Parameters
    ----------
    examples
        Which training examples are left out: all when null, so many drawn by the seed, or a list of
        their indices.
    gradient_tolerance
        The 2-norm of the gradient at which a model counts as trained; where one stays above it, the
        run stops and names it.
    """

    gives = "LeaveOneOutChanges"

    def __init__(
        self,
        *,
        examples: Examples = None,
        gradient_tolerance: Annotated[float, Above(0)] = 1e-8,
    ) -> None:
        self.examples = check_distinct(examples)
        self.gradient_tolerance = gradient_tolerance

    def check(self, problem: Problem) -> None:
        """Refuse networks, and indices that do not exist.

        Raises
        ------
        EvaluationError
            Which says what to use instead.
        """
        chosen_examples(self.examples, problem, KIND)
        check_convex(problem, f'"{KIND}"')

    def produce(self, problem: Problem) -> loss_changes.LeaveOneOutChanges:
        """Retrain, or read what was kept.

        Raises
        ------
        EvaluationError
            As :meth:`check`, and when one does not get to its optimum.
        """
        self.check(problem)
        indices = chosen_examples(self.examples, problem, KIND)  # [n]

        def masks(some: range) -> np.ndarray:
            members = np.ones((len(some), len(problem.train)), dtype=bool)  # [k, N]
            members[np.arange(len(some)), indices[some.start : some.stop]] = False
            return members

        arrays = retrained_changes(
            problem,
            KIND,
            {"examples": None if self.examples is None else indices.tolist()},
            masks,
            lambda place: f"all examples but {indices[place]}",
            len(indices),
            gradient_tolerance=self.gradient_tolerance,
        )
        return loss_changes.LeaveOneOutChanges(indices, arrays["changes"], arrays["before"])


def check_distinct(examples: Examples) -> Examples:
    """Refuse lists that are empty or name an example twice, as constructors do."""
    if isinstance(examples, list):
        if not examples:
            raise ValueError("examples is an empty list; null stands for all")
        twice = sorted({index for index in examples if examples.count(index) > 1})
        if twice:
            raise ValueError(f"examples names {twice[0]} more than once")
    return examples


def chosen_examples(examples: Examples, problem: Problem, kind: str) -> np.ndarray:
    """Return indices of training examples, ascending ``[n]``; a list stays in its own order.

    Parameters
    ----------
    examples
        All when None, a number of them drawn by the seed, or a list.
    problem
        Its data and seed.
    kind
        Who asks; draws for the same name are the same.

    Raises
    ------
    EvaluationError
        When there are not so many examples.
    """
    count = len(problem.train)
    if examples is None:
        return np.arange(count)  # [N]
    if isinstance(examples, int):
        if examples > count:
            raise EvaluationError(
                f'"{kind}": examples is {examples}, and there are {count} training examples; give '
                "a smaller number, or null for all"
            )
        random = np.random.default_rng(derive_seed(problem.seed, f"evaluation.{kind}"))
        return np.sort(random.choice(count, examples, replace=False))  # [n]
    beyond = [index for index in examples if index >= count]
    if beyond:
        raise EvaluationError(
            f'"{kind}": examples names {beyond[0]}, and there are {count} training examples, '
            f"0 to {count - 1}"
        )
    return np.array(examples, dtype=np.int64)  # [n]
