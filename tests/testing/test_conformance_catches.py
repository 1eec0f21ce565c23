"""Interpreters that are wrong on purpose: the conformance suite notices each of them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch

from hessinf.gradients import Gradients
from hessinf.interpreters.exact import Exact
from hessinf.testing import InterpreterConformance

pytest_plugins = ["pytester"]


class SignFlipped(Exact):
    """Positive = harmful."""

    def precondition(self, gradients: Gradients) -> Gradients:
        return -super().precondition(gradients)


class ScaleOffByN(Exact):
    """Divided by the number of training examples."""

    def precondition(self, gradients: Gradients) -> Gradients:
        return super().precondition(gradients) * (1 / len(self.train_data))


class DependsOnOrder(Exact):
    """The curvature of the first half of the training data stands for all."""

    def fit(self) -> None:
        everything = self.train_data
        try:
            self.train_data = everything[: len(everything) // 2]
            super().fit()
        finally:
            self.train_data = everything


class MeanOfBatchMeans(Exact):
    """Batches count alike, so that a short last batch counts too much."""

    def fit(self) -> None:
        size = self.model.layout.size
        total = torch.zeros(size, size, dtype=torch.float64)
        count = 0
        products = self.hessian
        for batch in self.train_batches():
            total += products.batch_products(batch, torch.eye(size, dtype=torch.float64))
            count += 1
        self.damping_ = float(self.damping)
        self.factors_, self.inverse_facts_ = self.inversion.factorize(total / count, self.damping_)


class IgnoresDamping(Exact):
    """Always the same small λ."""

    def __init__(self, *args: Any, damping: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(*args, damping=1e-5, **kwargs)


class ForgetsWeightDecay(Exact):
    """The curvature of the data loss only."""

    def fit(self) -> None:
        weight_decay, self.weight_decay = self.weight_decay, 0.0
        super().fit()
        self.weight_decay = weight_decay


class NotDeterministic(Exact):
    """Noise of the global random generator."""

    def precondition(self, gradients: Gradients) -> Gradients:
        factors = super().precondition(gradients).flatten()
        return gradients.like(factors * (1 + 1e-10 * torch.randn_like(factors)))


class LeavesEvaluationMode(Exact):
    """The caller's model is never put back."""

    def precondition(self, gradients: Gradients) -> Gradients:
        self.model.evaluating = self.leave_evaluating
        return super().precondition(gradients)

    def leave_evaluating(self) -> Any:
        self.model.module.eval()
        return contextlib.nullcontext()


class LeavesHook(Exact):
    """A hook stays in the caller's model."""

    def fit(self) -> None:
        self.model.module.register_forward_hook(lambda *_: None)
        super().fit()


class LooksAtCompany(Exact):
    """A query's factors depend on the other queries of its block."""

    def precondition(self, gradients: Gradients) -> Gradients:
        factors = super().precondition(gradients).flatten()
        return gradients.like(factors / factors.norm() * len(factors) ** 0.5)


class RanksNaN(Exact):
    """Whatever is not finite is scored as zero."""

    def ensure_checked(self) -> None:
        for value in (*self.model.parameters.values(), *self.model.constants.values()):
            if value.is_floating_point():
                value.nan_to_num_()
        super().ensure_checked()


class SavesNothing(Exact):
    """What it learnt is not among the attributes that are kept."""

    def fit(self) -> None:
        super().fit()
        self._hidden = self.factors_

    def precondition(self, gradients: Gradients) -> Gradients:
        self.factors_ = self._hidden
        return super().precondition(gradients)


REFERENCE = "test_scores_equal_the_dense_reference"
UNTOUCHED = "test_k_larger_than_the_training_data"
WRONG = {
    SignFlipped: [REFERENCE, "test_retraining_agrees_in_sign_and_scale"],
    ScaleOffByN: [REFERENCE, "test_retraining_agrees_in_sign_and_scale"],
    DependsOnOrder: [REFERENCE, "test_order_of_training_data_permutes_scores"],
    MeanOfBatchMeans: ["test_batch_size_makes_no_difference"],
    IgnoresDamping: ["test_damping_is_what_it_says"],
    ForgetsWeightDecay: [REFERENCE, "test_retraining_agrees_in_sign_and_scale"],
    NotDeterministic: [
        "test_two_interpreters_give_the_same_bytes",
        "test_random_numbers_of_the_caller_do_not_move",
    ],
    LeavesEvaluationMode: ["test_the_model_stays_as_it_was"],
    LeavesHook: ["test_the_model_stays_as_it_was"],
    LooksAtCompany: ["test_a_query_is_scored_alone_as_in_company"],
    RanksNaN: ["test_bad_weights_are_refused"],
    SavesNothing: ["test_saved_factors_give_the_same_bytes"],
}

SUITE = """
from hessinf.testing import InterpreterConformance

class TestWrong(InterpreterConformance):
    name = "{name}"
    curvature = "hessian"
"""


def outcomes(pytester: pytest.Pytester, source: str, names: list[str]) -> dict[str, set[str]]:
    """Run the suite's checks of these names in this process; what passed and what failed."""
    pytester.makeini("[pytest]\nmarkers =\n    gpu: needs a CUDA device\n")
    pytester.makepyfile(test_wrong=source)
    result = pytester.inline_run(
        "-p", "no:cacheprovider", "-p", "no:randomly", "-q", "-k", " or ".join(names)
    )
    passed, _, failed = result.listoutcomes()
    return {
        "passed": {report.nodeid.rsplit("::")[-1].partition("[")[0] for report in passed},
        "failed": {report.nodeid.rsplit("::")[-1].partition("[")[0] for report in failed},
    }


@pytest.mark.parametrize("wrong", WRONG, ids=lambda cls: cls.__name__)
def test_the_suite_fails_what_is_wrong(wrong: type[Exact], pytester: pytest.Pytester) -> None:
    source = SUITE.format(name=f"{__name__}:{wrong.__name__}")
    outcome = outcomes(pytester, source, [*WRONG[wrong], UNTOUCHED])
    assert set(WRONG[wrong]) <= outcome["failed"]
    assert UNTOUCHED in outcome["passed"], "it runs, and fails by what is wrong with it"


def test_the_suite_passes_what_is_right(pytester: pytest.Pytester) -> None:
    names = sorted({name for checks in WRONG.values() for name in checks})
    outcome = outcomes(pytester, SUITE.format(name="exact"), names)
    assert outcome["failed"] == set()
    assert outcome["passed"] >= set(names)


def test_a_suite_without_a_reference_fails_by_name(pytester: pytest.Pytester) -> None:
    source = SUITE.format(name="exact").replace('    curvature = "hessian"\n', "")
    assert outcomes(pytester, source, [REFERENCE]) == {"passed": set(), "failed": {REFERENCE}}


def test_every_check_has_a_docstring() -> None:
    checks = [name for name in dir(InterpreterConformance) if name.startswith("test_")]
    assert len(checks) >= 30
    assert [name for name in checks if not getattr(InterpreterConformance, name).__doc__] == []


class OnlyRanks(Exact):
    """Scores without a scale: no loss changes are predicted."""

    predicts_loss_changes = False


def test_methods_that_only_rank_are_asked_for_no_loss_changes(pytester: pytest.Pytester) -> None:
    names = [
        "test_retraining_agrees_in_sign_and_scale",
        "test_loss_changes_follow_the_formula",
        "test_both_ends_of_the_ranking",
    ]
    outcome = outcomes(pytester, SUITE.format(name=f"{__name__}:OnlyRanks"), names)
    assert outcome == {"passed": set(names), "failed": set()}
