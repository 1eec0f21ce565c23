"""Ground truth from files that somebody else has made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.ground_truth import GroundTruth
from hessinf.evaluation.leave_some_out_truth import ALPHAS
from hessinf.evaluation.subset_retraining import Alphas, check_alphas
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.evaluation import loss_changes, lso_layout
    from hessinf.evaluation.problem import Problem
else:
    lso_layout = lazy_import("hessinf.evaluation.lso_layout")
    loss_changes = lazy_import("hessinf.evaluation.loss_changes")

KIND = "leave-some-out-files"


@GroundTruth.register(KIND)
class LeaveSomeOutFiles(GroundTruth):
    """Reads losses after retraining on subsets from files, for any model.

    Registered as a `GroundTruth` with name "leave-some-out-files".

    The files are ``PATH/data_NAME/ALPHA_REPEATSr_1br.npz``, or ``.pt`` as the code of "Better
    Hessians Matter" (arXiv 2509.23437) reads them. They say nothing of how their models were
    trained: a warning goes with every number.

    Parameters
    ----------
    path
        The directory that has ``data_NAME``.
    name
        What the data are called, such as "digits".
    alphas
        The shares of training examples in a subset: a file for each.
    repeats
        The number in the files' names.
    trust
        Whether a ``.pt`` may be unpickled, which runs whatever code is in it.
    """

    gives = "LeaveSomeOutChanges"

    def __init__(
        self,
        *,
        path: str,
        name: str,
        alphas: Alphas = ALPHAS,
        repeats: Annotated[int, AtLeast(1)] = 100,
        trust: bool = False,
    ) -> None:
        self.path = path
        self.name = name
        self.alphas = check_alphas(alphas)
        self.repeats = repeats
        self.trust = trust

    def check(self, problem: Problem) -> None:
        """Refuse measurements other than the loss, and files that are not in order.

        Raises
        ------
        EvaluationError
            Which names the file.
        """
        self._read(problem)

    def produce(self, problem: Problem) -> tuple[loss_changes.LeaveSomeOutChanges, ...]:
        """Read the files; one truth for each alpha.

        Raises
        ------
        EvaluationError
            As :meth:`check`.
        """
        return self._read(problem)

    def _read(self, problem: Problem) -> tuple[loss_changes.LeaveSomeOutChanges, ...]:
        measurement = problem.measurement.registered_name()
        if measurement != "loss":
            raise EvaluationError(
                f'"{KIND}" holds differences of losses, and the measurement is "{measurement}"; '
                'use the measurement "loss"'
            )
        truths = []
        for alpha in self.alphas:
            content, file = lso_layout.read_lso(
                self.path,
                self.name,
                alpha,
                repeats=self.repeats,
                trust=self.trust,
                num_train=len(problem.train),
                num_queries=len(problem.queries),
            )
            problem.warn(lso_layout.UNKNOWN_TRAINING.format(file=file.name))
            truths.append(
                loss_changes.LeaveSomeOutChanges(alpha, content.binary_masks, content.loss_diffs)
            )
        return tuple(truths)
