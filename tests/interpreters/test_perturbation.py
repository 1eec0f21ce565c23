"""Scores differentiated in the inputs of training examples."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from hessinf.data import Dataset, Instance
from hessinf.gradients import GradientError, Gradients
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.testing import logistic_regression, multilayer_perceptron, references, ridge_regression
from hessinf.testing.problems import Problem, minimize


def make(problem: Problem, name: str = "exact", **arguments: Any) -> InfluenceInterpreter:
    if name == "exact":
        arguments.setdefault("damping", 1e-5)
    given = {
        "model": problem.module(),
        "train_data": problem.train,
        "objective": problem.objective,
        "weight_decay": problem.weight_decay,
        **arguments,
    }
    made: InfluenceInterpreter = InfluenceInterpreter.by_name(name)(**given)
    return made


def refused(message: str, kind: type[Exception] = InterpreterError) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def dense(problem: Problem, damping: float) -> np.ndarray:
    """``f_qᵀ ∂²ℓ_i/∂θ∂x_i`` by the whole matrix of parameters by features: ``[Q, N, F]``."""
    curvature = references.hessian(problem)
    damped = curvature + damping * np.eye(len(curvature))
    factors = np.linalg.solve(damped, references.gradients(problem, problem.queries).T).T  # [Q, P]
    module = problem.module().eval()
    kept = [value for value in module.parameters() if value.requires_grad]
    columns = []
    for example, target in zip(*problem.train, strict=True):
        inputs = example.clone().requires_grad_()
        loss = problem.losses(module(inputs[None]), target[None])[0]
        slopes = torch.autograd.grad(loss, kept, create_graph=True)
        entries = torch.cat([slope.reshape(-1) for slope in slopes])  # [P]
        mixed = torch.stack(
            [torch.autograd.grad(entry, inputs, retain_graph=True)[0] for entry in entries]
        )  # [P, F]
        columns.append(factors @ mixed.numpy())
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("make_problem", [logistic_regression, ridge_regression])
def test_training_again_with_a_moved_example(make_problem: Any) -> None:
    """Exact: the slope of the retrained model's losses as one feature of one example is moved."""
    problem = make_problem()
    found = make(problem, damping=1e-9).perturbation_influence(problem.queries, [5, 17])
    step = 1e-2
    for column, (index, feature) in enumerate([(5, 0), (17, 2)]):
        losses = []
        for move in (step, -step):
            inputs = problem.train[0].clone()
            inputs[index, feature] += move
            module = problem.module()
            data = (inputs, problem.train[1])
            minimize(module, problem.losses, data, problem.weight_decay, 3)
            module.eval()
            with torch.no_grad():
                outputs = module(problem.queries[0])
                losses.append(problem.losses(outputs, problem.queries[1]).numpy())  # [Q]
        slope = (losses[0] - losses[1]) / (2 * step)  # [Q]
        predicted = -found[:, column, feature] / problem.num_train
        np.testing.assert_allclose(predicted, slope, rtol=0, atol=1e-4 * np.abs(slope).max())


@pytest.mark.parametrize(
    "make_problem", [logistic_regression, ridge_regression, multilayer_perceptron]
)
@pytest.mark.parametrize("batch_size", [1, 5, "auto"])
def test_the_dense_reference(make_problem: Any, batch_size: Any) -> None:
    problem = make_problem()
    interpreter = make(problem, batch_size=batch_size, query_batch_size=2)
    found = interpreter.perturbation_influence(problem.queries)
    expected = dense(problem, 1e-5)
    assert found.shape == expected.shape
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert error <= 1e-8, error


@pytest.mark.parametrize("name", ["exact", "gradient-dot", "gradient-cosine"])
def test_scores_of_moved_examples(name: str) -> None:
    """The curvature stays what it was: finite differences of the score of another training set."""
    problem = multilayer_perceptron()
    interpreter = make(problem, name).fit()
    found = interpreter.perturbation_influence(problem.queries, [0, 36])
    step = 1e-5
    for column, index in enumerate([0, 36]):
        for feature in range(4):
            scores = []
            for move in (step, -step):
                inputs = problem.train[0].clone()
                inputs[index, feature] += move
                moved = make(problem, name, train_data=(inputs, problem.train[1])).fit()
                for attribute, value in vars(interpreter).items():
                    if attribute.endswith("_"):
                        setattr(moved, attribute, value)
                scores.append(moved.scores(problem.queries)[:, index])
            slope = (scores[0] - scores[1]) / (2 * step)
            scale = np.abs(found).max()
            np.testing.assert_allclose(found[:, column, feature], slope, rtol=0, atol=1e-7 * scale)


def test_a_measurement_where_more_is_better_keeps_the_sign() -> None:
    problem = logistic_regression()
    of_loss = make(problem).perturbation_influence(problem.queries)
    found = make(problem, measurement="log-probability").perturbation_influence(problem.queries)
    np.testing.assert_allclose(found, of_loss, rtol=1e-9, atol=1e-12)


def test_chosen_examples_in_their_order() -> None:
    problem = ridge_regression()
    interpreter = make(problem)
    everything = interpreter.perturbation_influence(problem.queries)
    for chosen in ([7, 3], np.array([7, 3]), torch.tensor([7, 3])):
        some = interpreter.perturbation_influence(problem.queries, chosen)
        np.testing.assert_allclose(some, everything[:, [7, 3]], rtol=1e-10, atol=1e-13)


class Mixed(nn.Module):
    """Tokens, a vector, a mask, and a sequence whose length differs."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.embedding = nn.Embedding(6, 3, dtype=torch.float64)
        self.linear = nn.Linear(5, 2, dtype=torch.float64)
        with torch.no_grad():
            for value in self.parameters():
                value.copy_(torch.randn(value.shape, generator=generator, dtype=torch.float64))

    def forward(
        self, tokens: torch.Tensor, vector: torch.Tensor, sequence: torch.Tensor
    ) -> torch.Tensor:
        of_tokens = self.embedding(tokens).tanh().mean(dim=1)  # [B, 3]
        of_sequence = (sequence.square() * self.linear.weight[0, :2]).sum(dim=1).tanh()  # [B, 2]
        return self.linear(torch.cat([of_tokens, of_sequence + vector.sin()], dim=1))


def mixed_data(lengths: list[int]) -> Dataset:
    generator = torch.Generator().manual_seed(5)
    return Dataset(
        [
            Instance(
                {
                    "tokens": torch.randint(6, (4,), generator=generator),
                    "vector": torch.randn(2, generator=generator, dtype=torch.float64),
                    "sequence": torch.randn(length, 2, generator=generator, dtype=torch.float64),
                },
                torch.tensor(place % 2),
                str(place),
            )
            for place, length in enumerate(lengths)
        ]
    )


class TestInputsByName:
    def test_every_floating_entry(self) -> None:
        train, queries = mixed_data([2, 3, 1, 3]), mixed_data([2, 2])
        interpreter = InfluenceInterpreter.by_name("gradient-dot")(Mixed(), train, batch_size=1)
        found = interpreter.perturbation_influence(queries)
        assert {name: value.shape for name, value in found.items()} == {
            "vector": (2, 4, 2),
            "sequence": (2, 4, 3, 2),
        }
        assert not found["sequence"][:, 0, 2:].any(), "the first one has two positions"
        assert np.abs(found["sequence"][:, 0, :2]).min() > 0
        assert np.abs(found["vector"]).min() > 0
        step = 1e-6
        for name, place in (("vector", (1,)), ("sequence", (2, 0))):
            scores = []
            for move in (step, -step):
                instances = list(train)
                inputs = {key: value.clone() for key, value in instances[1].inputs.items()}
                inputs[name][place] += move
                instances[1] = Instance(inputs, instances[1].target, "1")
                moved = InfluenceInterpreter.by_name("gradient-dot")(
                    Mixed(), Dataset(instances), batch_size=1
                )
                scores.append(moved.scores(queries)[:, 1])
            slope = (scores[0] - scores[1]) / (2 * step)
            np.testing.assert_allclose(found[name][(slice(None), 1, *place)], slope, rtol=1e-6)

    def test_batches_of_padded_examples(self) -> None:
        train, queries = mixed_data([2, 3, 1, 3]), mixed_data([2, 2])
        method = InfluenceInterpreter.by_name("gradient-dot")
        alone = method(Mixed(), train, batch_size=1).perturbation_influence(queries)
        together = method(Mixed(), train, batch_size=3).perturbation_influence(queries, [3, 0, 2])
        for name, value in together.items():
            np.testing.assert_allclose(value, alone[name][:, [3, 0, 2]], rtol=1e-10, atol=1e-14)


def test_modules_that_write_into_their_inputs() -> None:
    problem = logistic_regression()

    def derivatives(in_place: bool) -> np.ndarray:
        module = nn.Sequential(nn.ReLU(inplace=in_place), problem.module())
        train = (problem.train[0].abs(), problem.train[1])
        interpreter = make(problem, "gradient-dot", model=module, train_data=train)
        return np.asarray(interpreter.perturbation_influence((train[0][:3], train[1][:3])))

    np.testing.assert_array_equal(derivatives(True), derivatives(False))


class TestRefusals:
    def test_tokens(self) -> None:
        class Text(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Embedding(6, 2)

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                return self.embedding(inputs).sum(dim=1)

        data = (torch.randint(6, (5, 3)), torch.tensor([0, 1, 0, 1, 1]))
        interpreter = InfluenceInterpreter.by_name("gradient-dot")(Text(), data)
        with refused(
            "perturbation influence needs inputs that are floating numbers, in which a score has "
            "derivatives; those of the training data are int64. For tokens, explain a model that "
            "takes their embeddings"
        ):
            interpreter.perturbation_influence(data)

    def test_dicts_of_integers(self) -> None:
        class Text(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Embedding(6, 2)

            def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
                return (self.embedding(ids) * mask[..., None]).sum(dim=1)

        inputs = {"ids": torch.randint(6, (5, 3)), "mask": torch.ones(5, 3, dtype=torch.bool)}
        data = (inputs, torch.tensor([0, 1, 0, 1, 1]))
        interpreter = InfluenceInterpreter.by_name("gradient-dot")(Text(), data)
        with pytest.raises(InterpreterError, match='training data are "ids": int64, "mask": bool'):
            interpreter.perturbation_influence(data)

    def test_no_examples_chosen(self) -> None:
        problem = logistic_regression()
        with refused("train_indices is empty, expected at least one training index"):
            make(problem).perturbation_influence(problem.queries, [])

    def test_more_than_memory_holds(self) -> None:
        problem = logistic_regression()
        with refused(
            "the perturbation influence of 41 training examples on 6 queries, 3 input features "
            "each, takes 0.0 GiB, and memory_limit is 1e-06 GiB; choose fewer train_indices or "
            "queries, or raise memory_limit"
        ):
            make(problem, "gradient-dot", memory_limit=1e-6).perturbation_influence(problem.queries)

    def test_an_operation_that_cannot_be_differentiated_twice(self) -> None:
        class Once(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, inputs: torch.Tensor) -> torch.Tensor:
                ctx.save_for_backward(inputs)
                return inputs.square()

            @staticmethod
            @torch.autograd.function.once_differentiable
            def backward(ctx: Any, slopes: torch.Tensor) -> torch.Tensor:
                return 2 * ctx.saved_tensors[0] * slopes

        class Squares(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = nn.Linear(3, 3, dtype=torch.float64)

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                return Once.apply(self.linear(inputs))

        problem = logistic_regression()
        interpreter = make(problem, "gradient-dot", model=Squares())
        message = "perturbation influence cannot be computed: .* cannot be differentiated twice$"
        with pytest.raises(GradientError, match=message):
            interpreter.perturbation_influence(problem.queries)

    def test_a_score_that_cannot_be_differentiated(self) -> None:
        class Rounded(InfluenceInterpreter):
            def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
                return query_gradients.dot(train_gradients).detach()

        problem = logistic_regression()
        with refused(
            "Rounded.score() cannot be differentiated: its result does not depend on the training "
            "gradients by PyTorch operations alone",
            GradientError,
        ):
            Rounded(problem.module(), problem.train).perturbation_influence(problem.queries)


def test_no_matrix_of_parameters_by_features() -> None:
    """No tensor on the way has P times F numbers, or N·P for all examples beside each other."""
    problem = logistic_regression()
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(30, 40, generator=generator, dtype=torch.float64)
    targets = torch.randint(3, (30,), generator=generator)
    module = nn.Sequential(nn.Linear(40, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    interpreter = make(problem, "gradient-dot", model=module, train_data=(inputs, targets)).fit()
    size = interpreter.model.layout.size
    largest = 0

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    with Watching():
        found = interpreter.perturbation_influence((inputs[:2], targets[:2]))
    assert found.shape == (2, 30, 40)
    assert size == 355
    assert largest < size * 30 < size * 40


def test_one_query_at_a_time_where_many_do_not_go(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(torch.autograd.Function):
        """Its second derivative looks at values, which vmap cannot."""

        @staticmethod
        def forward(ctx: Any, inputs: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(inputs)
            return inputs.square()

        @staticmethod
        def backward(ctx: Any, slopes: torch.Tensor) -> torch.Tensor:
            return StubbornBackward.apply(ctx.saved_tensors[0], slopes)

    class StubbornBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, inputs: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(inputs, slopes)
            return 2 * inputs * slopes

        @staticmethod
        def backward(ctx: Any, seconds: torch.Tensor) -> Any:
            assert float(seconds.sum()) < float("inf")
            inputs, slopes = ctx.saved_tensors
            return 2 * slopes * seconds, 2 * inputs * seconds

    class Squares(nn.Module):
        def __init__(self, square: Any) -> None:
            super().__init__()
            self.square = square
            self.linear = nn.Linear(3, 3, dtype=torch.float64)
            with torch.no_grad():
                self.linear.weight.copy_(torch.eye(3) + 0.1)
                self.linear.bias.fill_(0.2)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.square(self.linear(inputs))

    problem = logistic_regression()
    slow = make(problem, "gradient-dot", model=Squares(Stubborn.apply))
    found = slow.perturbation_influence(problem.queries)
    assert "going on one query at a time" in caplog.text
    plain = make(problem, "gradient-dot", model=Squares(torch.square))
    expected = plain.perturbation_influence(problem.queries)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


def test_a_float32_model_gives_float32() -> None:
    problem = logistic_regression()
    model = problem.module().float()
    found = make(problem, model=model).perturbation_influence(problem.queries)
    assert found.dtype == np.float32
    expected = make(problem).perturbation_influence(problem.queries)
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
    half = problem.module().to(torch.bfloat16)
    found = make(problem, "gradient-dot", model=half).perturbation_influence(problem.queries)
    assert found.dtype == np.float32
