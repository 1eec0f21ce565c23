"""Models of lower precision: scores near those of float64, or a refusal by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hessinf.errors import HessinfError
from hessinf.interpreters import InfluenceInterpreter
from hessinf.testing.problem import Columns, Problem, in_precision
from hessinf.testing.problems import logistic_regression
from hessinf.testing.suite import ConformanceSuite
from hessinf.testing.tolerance import Tolerance

NAMES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class PrecisionChecks(ConformanceSuite):
    """The model's precision, and the one that is asked for."""

    @pytest.mark.parametrize("precision", NAMES)
    def test_lower_precision_comes_near(
        self, precision_problem_maker: Callable[[], Problem], precision: str, device: str
    ) -> None:
        """A model of this precision is scored nearly as its very numbers are in float64."""
        problem = precision_problem_maker()
        lower = NAMES[precision]

        def rounded(columns: Columns) -> Columns:
            return in_precision(columns, lower)

        claimed = self.precision_claim(problem, precision)
        interpreter = self.make_damped(
            problem,
            model=problem.module().to(lower),
            train_data=rounded(problem.train),
            device=device,
        )
        if isinstance(claimed, str):
            with pytest.raises(HessinfError, match=claimed):
                interpreter.scores(rounded(problem.queries))
            return
        found = interpreter.scores(rounded(problem.queries))
        expected = self.make_damped(
            problem,
            model=problem.module().to(lower).double(),
            train_data=in_precision(rounded(problem.train), torch.float64),
        ).scores(in_precision(rounded(problem.queries), torch.float64))
        assert str(found.dtype) == "float32"
        assert str(expected.dtype) == "float64"
        claimed.check(found, expected, f"{problem.name} in {precision}")

    def test_dtype_chooses_the_precision(self) -> None:
        """``dtype="float64"`` computes with a model of lower precision as if it were float64."""
        problem = logistic_regression()
        for lower in NAMES.values():
            model = problem.module().to(lower)
            found = self.make(problem, model=model, dtype="float64").scores(problem.queries)
            expected = self.make(problem, model=model.double()).scores(problem.queries)
            assert str(found.dtype) == "float64"
            self.same(found, expected, f'dtype="float64" for a model in {lower}')

    def test_saved_factors_keep_the_precision(self, tmp_path: Path) -> None:
        """``dtype`` comes back from a file as what it was, and the scores with it."""
        problem = logistic_regression()
        model = problem.module().float()
        interpreter = self.make(problem, model=model, dtype="float64").fit()
        expected = interpreter.scores(problem.queries)
        interpreter.save(tmp_path / "factors")
        loaded = InfluenceInterpreter.load(tmp_path / "factors", model, problem.train)
        found = loaded.scores(problem.queries)
        assert (str(found.dtype), str(expected.dtype)) == ("float64", "float64")
        assert found.tobytes() == expected.tobytes()

    def precision_claim(self, problem: Problem, precision: str) -> Tolerance | str:
        """Return how near scores of a model of lower precision come, or how it is refused."""
        claimed = self.lower_precision[precision]
        if isinstance(claimed, Tolerance) and (problem.name, precision) == (
            "transformer",
            "bfloat16",
        ):
            # It is sure of its answers, so that rounding changes what is left of its losses most.
            return Tolerance(relative=0.7, spearman=0.8)
        return claimed
