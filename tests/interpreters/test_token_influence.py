"""Scores split by the tokens of training examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.data import Dataset, Instance, Reviews
from hessinf.gradients import GradientError, Gradients
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.interpreters.ekfac import Ekfac
from hessinf.interpreters.listed_tokens import ListedTokens
from hessinf.interpreters.query_scoring import interpret_block
from hessinf.models import TextClassifier
from hessinf.testing import layer_problems, sequence_problems
from hessinf.testing.problem import Problem

METHODS: dict[str, dict[str, Any]] = {
    "gradient-dot": {},
    "kfac": {"damping": 0.1},
    "ekfac": {"damping": 0.1},
    "exact": {"damping": 1.0},
    "ggn": {"damping": 0.1},
    "block-ggn": {"damping": 0.1},
    "conjugate-gradient": {"damping": 0.1},
    "simple-influence": {"damping": 0.5, "recursion_depth": {"steps": 30}},
    "arnoldi": {"damping": 0.1},
    "nystroem": {"damping": 0.1},
    "diagonal": {"damping": 0.1},
}

PROBLEMS = (
    layer_problems.texts,
    layer_problems.words,
    sequence_problems.transformer,
    sequence_problems.language_model,
)


def make(problem: Problem, name: str, **more: Any) -> InfluenceInterpreter:
    made: InfluenceInterpreter = InfluenceInterpreter.by_name(name)(
        problem.module(),
        problem.instances(problem.train),
        objective=problem.objective,
        weight_decay=problem.weight_decay,
        dtype="float64",
        **METHODS.get(name, {}),
        **more,
    )
    return made


def refused(message: str, kind: type[Exception] = InterpreterError) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def check(interpreter: InfluenceInterpreter, queries: Any) -> Any:
    """Compare the sums with the scores; positions behind the end of a text have nothing."""
    found, scores = interpreter.token_influence(queries), interpreter.scores(queries)
    assert found.positions.shape == (*scores.shape, found.lengths.max())
    assert np.abs(found.scores - scores).max() <= 1e-10 * np.abs(scores).max()
    for place, length in enumerate(found.lengths):
        assert not found.positions[:, place, length:].any()
    return found


@pytest.mark.parametrize("make_problem", PROBLEMS)
@pytest.mark.parametrize("name", METHODS)
def test_together_they_are_the_scores(name: str, make_problem: Any) -> None:
    problem = make_problem()
    found = check(make(problem, name), problem.instances(problem.queries))
    assert found.positions.any()
    all_by_position = make_problem in PROBLEMS[2:]
    assert bool((found.rest == 0).all()) == all_by_position


@pytest.mark.parametrize("make_problem", PROBLEMS[2:])
def test_some_parameters_alone(make_problem: Any) -> None:
    problem = make_problem()
    check(
        make(problem, "ekfac", params_to_freeze=problem.frozen),
        problem.instances(problem.queries),
    )


@pytest.mark.parametrize("measurement", ["loss", "margin", {"type": "logit", "index": 1}])
def test_other_measurements(measurement: Any) -> None:
    problem = layer_problems.texts()
    check(make(problem, "ggn", measurement=measurement), problem.instances(problem.queries))


def test_checkpoints(tmp_path: Path) -> None:
    problem = sequence_problems.language_model()
    paths = []
    for place in range(2):
        module = problem.module()
        with torch.no_grad():
            for value in module.parameters():
                value.mul_(1 + 0.1 * place)
        paths.append(str(tmp_path / f"{place}.pt"))
        torch.save(module.state_dict(), paths[-1])
    queries = problem.instances(problem.queries)
    both = check(make(problem, "ekfac", checkpoints=paths), queries)
    check(make(problem, "tracin", checkpoints=paths), queries)
    each = [check(make(problem, "ekfac", checkpoints=[path]), queries) for path in paths]
    mean = (each[0].positions + each[1].positions) / 2
    assert np.allclose(both.positions, mean, rtol=0, atol=1e-12)


def test_chosen_examples_and_batches() -> None:
    problem = sequence_problems.transformer()
    queries = problem.instances(problem.queries)
    whole = make(problem, "ekfac").token_influence(queries)
    some = make(problem, "ekfac", batch_size=2, query_batch_size=2).token_influence(
        queries, [4, 0, -1]
    )
    length = some.lengths.max()
    assert some.lengths.tolist() == whole.lengths[[4, 0, -1]].tolist()
    expected = whole.positions[:, [4, 0, -1], :length]
    assert np.allclose(some.positions, expected, rtol=0, atol=1e-12)
    with refused("train_indices is empty, expected at least one training index"):
        make(problem, "ekfac").token_influence(queries, [])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("make_problem", PROBLEMS)
def test_on_a_gpu(make_problem: Any) -> None:
    problem = make_problem()
    queries = problem.instances(problem.queries)
    found = check(make(problem, "ekfac", device="cuda"), queries)
    expected = make(problem, "ekfac").token_influence(queries)
    assert np.allclose(found.positions, expected.positions, rtol=0, atol=1e-8)


def test_the_tokens_that_a_query_shares_are_those_that_count() -> None:
    """With one layer after the mean of words, a word's part is what its own row of the table has.

    gradient-dot: rows of words that the query does not have are no part of its gradient.
    """
    problem = layer_problems.texts()
    tokens, _ = problem.train
    found = make(problem, "gradient-dot", params_to_freeze=["hidden", "out"]).token_influence(
        problem.instances(problem.queries)
    )
    for query in range(2):
        own = set(tokens[query].tolist()) - {0}
        for example in range(5):
            shared = [int(token) in own for token in tokens[example]]
            assert (found.positions[query, example] != 0).tolist() == shared


def test_rules_of_their_own_are_refused() -> None:
    problem = layer_problems.texts()
    with refused(
        "token influence: the scores of gradient-cosine come from a rule of its own, and are no "
        "inner products of influence factors with training gradients; use a method with "
        "precondition() and without score()"
    ):
        make(problem, "gradient-cosine").token_influence(problem.instances(problem.queries))


def test_inputs_without_tokens_are_refused() -> None:
    pixels, labels = torch.randn(6, 2, 3, 3), torch.tensor([0, 1] * 3)
    module = nn.Sequential(nn.Flatten(), nn.Linear(18, 2))
    interpreter = InfluenceInterpreter.by_name("gradient-dot")(module, (pixels, labels))
    with refused(
        "token influence needs inputs with tokens, whole numbers [S]; those of the training data "
        "are float32 [2, 3, 3]"
    ):
        interpreter.token_influence((pixels, labels))


class TwoTexts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(5, 2)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.words(left).mean(dim=1) - self.words(right).mean(dim=1)
        return outputs


def test_inputs_with_two_texts_are_refused() -> None:
    instances = [
        Instance(
            {"left": torch.tensor([1, 2, 3]), "right": torch.tensor([place])},
            torch.tensor(place % 2),
            f"pair {place}",
        )
        for place in range(4)
    ]
    interpreter = InfluenceInterpreter.by_name("gradient-dot")(TwoTexts(), instances)
    with refused(
        'token influence needs to know which inputs are tokens; "pair 0" has 3 whole numbers in '
        '"left" and 1 in "right"'
    ):
        interpreter.token_influence(instances)


def test_results_that_do_not_fit_are_refused() -> None:
    problem = layer_problems.texts()
    interpreter = make(problem, "gradient-dot", memory_limit=1e-7)
    with refused(
        "the token influence of 5 training examples of up to 4 tokens on 2 queries takes 0.0 GiB, "
        "and memory_limit is 1e-07 GiB; choose fewer train_indices or queries, or raise "
        "memory_limit"
    ):
        interpreter.token_influence(problem.instances(problem.queries))


class Counting(InfluenceInterpreter):
    """Counts how often it is asked."""

    asked = 0

    def precondition(self, gradients: Gradients) -> Gradients:
        """Double them."""
        type(self).asked += 1
        self.report(steps=7)
        return gradients * 2.0


class TestLists:
    """In the lists of an interpretation."""

    def made(self, method: Any = Ekfac, **more: Any) -> tuple[InfluenceInterpreter, Dataset]:
        reader = Reviews(train_size=24, test_size=5)
        train, test = reader.read("train"), reader.read("test")
        module = TextClassifier(
            hidden_size=4, window=3, in_features=train.in_features, out_features=2
        ).module
        made = method(module, train, dtype="float64", **more)
        return made.fit(), test

    @pytest.mark.parametrize("k", [3, 20])
    def test_a_number_for_each_token_that_is_shown(self, k: int) -> None:
        interpreter, test = self.made(damping=0.01)
        whole = interpreter.token_influence(test)
        lines = interpret_block(interpreter, test, 1, 4, k, tokens=ListedTokens(interpreter))
        for row, line in enumerate(lines, start=1):
            for one in (*line.helpful, *line.harmful):
                found = one.token_influence
                assert len(found) == len(one.display["tokens"])
                own = whole.positions[row, one.index, : len(found)]
                assert np.allclose(found, own, rtol=1e-9, atol=1e-15)
                assert one.token_influence_rest == 0
                assert abs(sum(found) - one.score) <= 1e-10 * abs(one.score)
                assert one.to_json()["token_influence"] == list(found)

    def test_without_it_lines_are_as_they_were(self) -> None:
        interpreter, test = self.made(damping=0.01)
        plain = interpret_block(interpreter, test, 0, 5, 4)
        split = interpret_block(interpreter, test, 0, 5, 4, tokens=ListedTokens(interpreter))
        for before, after in zip(plain, split, strict=True):
            line = after.to_json()
            for one in (*line["helpful"], *line["harmful"]):
                del one["token_influence"], one["token_influence_rest"]
            assert line == before.to_json()

    def test_factors_are_computed_once(self) -> None:
        interpreter, test = self.made(Counting)
        tokens = ListedTokens(interpreter)
        Counting.asked = 0
        (line,) = interpret_block(interpreter, test, 0, 1, 2, tokens=tokens)
        assert Counting.asked == 1
        assert line.diagnostics["steps"] == 7
        assert line.helpful[0].token_influence is not None

    def test_tokens_that_are_not_shown_belong_to_the_rest(self) -> None:
        interpreter, test = self.made(damping=0.01)
        cut = [
            Instance(
                instance.inputs,
                instance.target,
                instance.id,
                {**instance.display, "tokens": instance.display["tokens"][:2]} if place else {},
            )
            for place, instance in enumerate(interpreter.train_data)
        ]
        other = InfluenceInterpreter.by_name("ekfac")(
            interpreter.model.module, cut, dtype="float64", damping=0.01
        ).fit()
        lines = interpret_block(other, test, 0, 5, 24, tokens=ListedTokens(other))
        for line in lines:
            for one in line.helpful:
                if one.index == 0:
                    assert one.token_influence is None
                    assert "token_influence" not in one.to_json()
                else:
                    assert len(one.token_influence) == 2
                    total = sum(one.token_influence) + one.token_influence_rest
                    assert abs(total - one.score) <= 1e-10 * abs(one.score)
                    assert one.token_influence_rest != 0

    def test_more_tokens_than_inputs_are_refused(self) -> None:
        interpreter, _ = self.made(damping=0.01)
        first = interpreter.train_data[0]
        shown = {"tokens": [*first.display["tokens"], "more"]}
        count = len(first.display["tokens"])
        others = list(interpreter.train_data[1:])
        wrong = [Instance(first.inputs, first.target, first.id, shown), *others]
        other = InfluenceInterpreter.by_name("gradient-dot")(interpreter.model.module, wrong)
        with refused(
            f'"reviews/train/0" shows {count + 1} tokens, and its input has {count}; token '
            "influence needs an input for each token that is shown, in their order"
        ):
            ListedTokens(other)

    def test_examples_that_show_none_are_refused(self) -> None:
        problem = layer_problems.texts()
        with refused(
            "the training examples show no tokens; token influence needs a list "
            'display["tokens"] beside their text, as the dataset reader "text" gives it'
        ):
            ListedTokens(make(problem, "gradient-dot"))

    def test_what_cannot_be_split_is_told_before_a_long_run(self) -> None:
        reader = Reviews(train_size=6, test_size=2)
        train = reader.read("train")

        class Recurrent(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.words = nn.Embedding(train.in_features, 8)
                self.memory = nn.GRU(8, 2, batch_first=True)

            def forward(self, tokens: torch.Tensor) -> torch.Tensor:
                outputs: torch.Tensor = self.memory(self.words(tokens))[0].mean(dim=1)
                return outputs

        interpreter = InfluenceInterpreter.by_name("gradient-dot")(Recurrent(), train)
        with pytest.raises(GradientError, match=r'^the gradients of "memory.weight_ih_l0", '):
            ListedTokens(interpreter)
