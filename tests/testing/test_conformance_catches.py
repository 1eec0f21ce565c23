"""Interpreters that are wrong on purpose: the conformance suite notices each of them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch

from hessinf.gradients import Gradients
from hessinf.interpreters import InterpreterError
from hessinf.interpreters.dense_blocks import WHOLE
from hessinf.interpreters.exact import Exact
from hessinf.testing import InterpreterConformance
from hessinf.testing.problems import BY_NAME

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
        self.invert([(WHOLE, total / count)])


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


class CountsIgnoredPositions(Exact):
    """Padding has a target like any other position."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        losses = self.objective.losses

        def all_losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return losses(outputs, targets if targets.is_floating_point() else targets.clamp(min=0))

        self.objective.losses = all_losses  # type: ignore[method-assign]


class LooksAtPadding(Exact):
    """Masks are all true."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        outputs = self.model.outputs

        def all_seen(parameters: Any, inputs: Any) -> torch.Tensor:
            if isinstance(inputs, dict) and "attention_mask" in inputs:
                everything = torch.ones_like(inputs["attention_mask"])
                inputs = {**inputs, "attention_mask": everything}
            return outputs(parameters, inputs)

        self.model.outputs = all_seen  # type: ignore[method-assign]

    def ensure_checked(self) -> None:
        """Without the check that would notice it."""


class AlwaysSingle(Exact):
    """Another precision than what was asked for."""

    def __init__(self, *args: Any, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, dtype=None, **kwargs)


class RefusesImages(Exact):
    """Takes no convolutions, and says so."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if any(len(shape) == 4 for shape in self.model.layout.shapes.values()):
            raise InterpreterError("convolutions are not covered")


class SavesNothing(Exact):
    """What it learnt is not among the attributes that are kept."""

    def fit(self) -> None:
        super().fit()
        self._hidden = self.factors_

    def precondition(self, gradients: Gradients) -> Gradients:
        self.factors_ = self._hidden
        return super().precondition(gradients)


class EmbedsAtAnotherScale(Exact):
    """Vectors of twice the length."""

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        return 2 * super().embedding(gradients)


class KeepsItsDamping(Exact):
    """Says that its damping is another, and goes on with the old one."""

    def change_damping(self, damping: Any) -> None:
        self.damping = damping


class ClaimsInnerProducts(Exact):
    """Its scores are no inner products with its factors."""

    scores_are_inner_products = True

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        return 2 * query_gradients.dot(train_gradients)


class SameWeightsEverywhere(Exact):
    """Checkpoints count, but not what is in them."""

    def at_checkpoint(self, model: Any, **changed: Any) -> Any:
        return super().at_checkpoint(self.model.module, **changed)


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
    CountsIgnoredPositions: [REFERENCE],
    LooksAtPadding: [REFERENCE, "test_padding_makes_no_difference"],
    AlwaysSingle: ["test_dtype_chooses_the_precision"],
    EmbedsAtAnotherScale: ["test_inner_products_of_embeddings_are_scores"],
    KeepsItsDamping: ["test_scores_by_damping_are_those_of_each_damping"],
    ClaimsInnerProducts: [
        "test_blocks_add_up_to_the_scores",
        "test_influence_factors_score_other_training_sets",
    ],
    SameWeightsEverywhere: ["test_scores_of_checkpoints_are_their_mean"],
    SavesNothing: ["test_saved_factors_give_the_same_bytes"],
}

SUITE = """
from hessinf.testing import InterpreterConformance

class TestWrong(InterpreterConformance):
    name = "{name}"
    curvature = "hessian"
"""


@pytest.fixture(autouse=True, scope="module")
def _everything_imported() -> None:
    """Import what the checks need: pytester forgets what is imported inside of it, and parts of
    PyTorch cannot be imported twice. Problems are kept, too."""
    for make in BY_NAME.values():
        problem = make()
        exact = Exact(problem.module(), problem.train, objective=problem.objective)
        exact.scores(problem.queries)
        exact.self_influence()


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


class TestRefusals:
    FEW = (
        "test_problems_it_cannot_take_are_refused",
        REFERENCE,
        "test_padding_makes_no_difference",
    )

    def run(self, pytester: pytest.Pytester, cls: type[Exact], refused: str) -> dict[str, set[str]]:
        source = SUITE.format(name=f"{__name__}:{cls.__name__}")
        return outcomes(pytester, f"{source}    refused_problems = {refused}\n", list(self.FEW))

    def test_a_refusal_by_name_passes(self, pytester: pytest.Pytester) -> None:
        refused = '{"convolutional_network": "^convolutions are not covered$"}'
        outcome = self.run(pytester, RefusesImages, refused)
        assert outcome == {"passed": set(self.FEW), "failed": set()}

    def test_a_refusal_that_was_not_announced_fails(self, pytester: pytest.Pytester) -> None:
        assert REFERENCE in self.run(pytester, RefusesImages, "{}")["failed"]

    @pytest.mark.parametrize(
        "refused",
        [
            '{"convolutional_network": "no such text"}',
            '{"no_such_problem": "."}',
        ],
    )
    def test_a_refusal_in_other_words_fails(self, pytester: pytest.Pytester, refused: str) -> None:
        assert self.FEW[0] in self.run(pytester, RefusesImages, refused)["failed"]

    def test_a_problem_that_is_taken_is_not_refused(self, pytester: pytest.Pytester) -> None:
        outcome = self.run(pytester, Exact, '{"transformer": "."}')
        assert outcome["failed"] == {self.FEW[0], self.FEW[2]}
