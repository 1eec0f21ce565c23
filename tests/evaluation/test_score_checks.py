from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hessinf.data import Dataset, DatasetReader
from hessinf.evaluation import score_checks
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.foreign_scores import REFERENCES
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.problem import Problem
from hessinf.evaluation.score_models import further_seeds
from hessinf.training import Trainer
from tests.evaluation.problems import problem_of

METHODS = {
    "gradient-dot": "gradient-dot",
    "gradient-cosine": "gradient-cosine",
    "diagonal": {"type": "diagonal", "damping": 1e-3},
    "kfac": {"type": "kfac", "damping": 1e-3},
    "ekfac": {"type": "ekfac", "damping": 1e-4},
    "block-ggn": {"type": "block-ggn", "damping": 1e-3},
    "ggn": {"type": "ggn", "damping": 1e-2},
    "ggn, hardly damped": {"type": "ggn", "damping": 1e-4},
    "exact": {"type": "exact", "damping": 1e-2, "inversion": {"type": "eigen", "negative": "flip"}},
    "arnoldi": "arnoldi",
}


def digits() -> tuple[Dataset, Dataset]:
    reader = DatasetReader.from_config({"type": "digits", "test_ratio": 0.1})
    return reader.read("train")[:400], reader.read("test")[:60]


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """A network for digits, and two of other seeds."""
    trainer = Trainer(epochs=25, batch_size=32, weight_decay=1e-3)
    trainer.optimizer.lr = 0.05
    model = {"type": "mlp", "hidden_sizes": [16], "activation": "gelu"}
    folder = tmp_path_factory.mktemp("digits")
    return problem_of(*digits(), model, trainer, folder=folder, models=4)


@pytest.fixture(scope="module")
def scores(problem: Problem) -> dict[str, list[np.ndarray]]:
    """Scores of each method, for the explained model and for the last one."""
    found = {}
    for name, method in METHODS.items():
        attribution = MethodAttribution(name, method, problem)
        found[name] = [attribution.scores(0), attribution.scores(3)]
        attribution.release()
    own = problem.queries.targets[:, None] == problem.train.targets[None]
    found["same label"] = [own.numpy().astype(float)] * 2
    return found


@pytest.fixture(scope="module")
def references(problem: Problem) -> list[dict[str, np.ndarray]]:
    """References of the explained model, and of two others."""
    attributions = {
        name: MethodAttribution(name, method, problem) for name, method in REFERENCES.items()
    }
    return [{name: one.scores(k) for name, one in attributions.items()} for k in (0, 1, 2)]


NAMES = [*METHODS, "same label"]


class TestScoresOfOrdinaryMethods:
    """Nothing that is right is suspected, everything that is wrong is."""

    @pytest.fixture
    def gradients(self, references: list[dict[str, np.ndarray]]) -> np.ndarray:
        return references[0]["gradient-dot"]

    @pytest.mark.parametrize("name", NAMES)
    def test_right_ones_are_not_suspected(
        self, name: str, scores: dict[str, list[np.ndarray]], gradients: np.ndarray
    ) -> None:
        found = score_checks.agreement(scores[name][0], gradients)
        assert found.fits
        assert score_checks.suspicion(found) is None
        few = slice(0, 5)
        assert (
            score_checks.suspicion(score_checks.agreement(scores[name][0][few], gradients[few]))
            is None
        )

    @pytest.mark.parametrize("name", NAMES)
    def test_planted_errors_are_found(
        self, name: str, scores: dict[str, list[np.ndarray]], gradients: np.ndarray
    ) -> None:
        right = scores[name][0]
        queries, train = right.shape
        random = np.random.default_rng(7)
        planted = {
            "negated": -right,
            "rows": right[random.permutation(queries)],
            "columns": right[:, random.permutation(train)],
        }
        found = {
            error: score_checks.suspicion(score_checks.agreement(matrix, gradients))
            for error, matrix in planted.items()
        }
        assert found == {error: error for error in planted}

    @pytest.mark.parametrize("name", NAMES)
    def test_those_of_another_model_are_told_apart(
        self,
        name: str,
        scores: dict[str, list[np.ndarray]],
        references: list[dict[str, np.ndarray]],
    ) -> None:
        explained, *others = references
        right, wrong = (score_checks.origin(one, explained, others) for one in scores[name])
        assert not right.suspicious
        # Labels are the same for all models: nothing can be told from them, and nothing is said.
        assert wrong.suspicious == (name != "same label")
        assert right.tells == wrong.tells == (name != "same label")

    def test_few_queries_tell_no_models_apart(
        self, scores: dict[str, list[np.ndarray]], references: list[dict[str, np.ndarray]]
    ) -> None:
        few = [{name: one[:15] for name, one in some.items()} for some in references]
        assert not score_checks.origin(scores["ekfac"][1][:15], few[0], few[1:]).suspicious

    def test_transposed_square_matrices(
        self, scores: dict[str, list[np.ndarray]], gradients: np.ndarray
    ) -> None:
        square = slice(0, len(gradients))
        right, reference = scores["ekfac"][0][:, square], gradients[:, square]
        assert score_checks.transposed(right.T, reference)
        assert not score_checks.transposed(right, reference)
        assert not score_checks.transposed(gradients, gradients)


class TestAgreement:
    def test_of_random_scores_there_is_none(self) -> None:
        random = np.random.default_rng(0)
        columns, pairings = [], []
        for _ in range(60):
            one, other = random.standard_normal((2, 20, 40))
            found = score_checks.agreement(one, other)
            columns.append(found.columns)
            pairings.append(found.pairing)
        # Standard deviations of what is by chance: that is what they are said to be.
        assert np.mean(columns) == pytest.approx(0, abs=0.4)
        assert np.std(columns) == pytest.approx(1, abs=0.3)
        assert np.mean(pairings) == pytest.approx(0, abs=0.4)
        assert np.std(pairings) == pytest.approx(1, abs=0.3)

    def test_scores_agree_with_themselves(self) -> None:
        one = np.random.default_rng(0).standard_normal((20, 40))
        found = score_checks.agreement(one, np.exp(one))
        assert found.mean == pytest.approx(1)
        assert found.columns > 20
        # 1 on the diagonal; with 0 elsewhere it would be 19, and no pairing could be clearer.
        assert found.pairing is not None
        assert 10 < found.pairing < 19

    def test_queries_that_all_agree_alike_have_no_pairing(self) -> None:
        same = np.tile(np.arange(30.0), (20, 1))
        assert score_checks.agreement(same, same).pairing is None

    def test_few_queries_have_no_pairing(self) -> None:
        one = np.random.default_rng(0).standard_normal((11, 40))
        assert score_checks.agreement(one, one).pairing is None


class TestChecked:
    SHAPE = (2, 3)

    @pytest.mark.parametrize(
        ("scores", "transposed", "message"),
        [
            (
                np.zeros((3, 2)),
                False,
                "scores has shape [3, 2], expected [2, 3] (queries, training examples); rows seem "
                'to be training examples: say so with NAME=FILE:transposed, or {"path": ..., '
                '"transposed": true}',
            ),
            (
                np.zeros((3, 2)),
                None,
                "scores has shape [3, 2], expected [2, 3] (queries, training examples); rows seem "
                "to be training examples: transpose them",
            ),
            (
                np.zeros((3, 2)),
                True,
                "scores has shape [3, 2], expected [2, 3] (queries, training examples); they fit "
                'as they lie in the file: leave ":transposed", or "transposed": true, out',
            ),
            (
                np.zeros((2, 4)),
                True,
                "scores has shape [2, 4], expected [2, 3] (queries, training examples)",
            ),
            (
                np.zeros(6),
                True,
                "scores has shape [6], expected [2, 3] (queries, training examples)",
            ),
            (
                np.full((2, 3), "a"),
                True,
                "scores holds <U1, expected real numbers [2, 3] (queries, training examples)",
            ),
            (
                np.array([[0, 1, np.nan], [0, np.inf, 1]]),
                True,
                "scores[0, 2] is nan, expected finite numbers (2 of 6 are not): they have no rank; "
                "find out where they come from, they are not left out here",
            ),
            (
                np.array([[1.0, 1, 1], [2, 2, 2]]),
                True,
                "scores has one value for all training examples of each query: nothing is ranked "
                "by it",
            ),
        ],
    )
    def test_refused(self, scores: np.ndarray, transposed: bool | None, message: str) -> None:
        with pytest.raises(EvaluationError, match=f"^{re.escape(message)}$"):
            score_checks.checked(scores, self.SHAPE, "scores", transposed=transposed)

    def test_whole_numbers_become_float64(self) -> None:
        found = score_checks.checked(np.arange(6).reshape(2, 3), self.SHAPE, "scores")
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [[0, 1, 2], [3, 4, 5]])

    def test_constant_rows_are_counted(self) -> None:
        assert score_checks.constant_rows(np.array([[1.0, 1], [1, 2], [0, 0]])) == 2


def test_seeds_of_checks_are_not_those_of_further_models(tmp_path: Path) -> None:
    assert not set(further_seeds(0, 5)) & set(further_seeds(0, 5, "check"))
    assert len({*further_seeds(0, 5), *further_seeds(1, 5)}) == 10
