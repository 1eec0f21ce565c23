"""The references are checked against formulas over whole matrices, and hessinf against them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import functional_call, jacrev

from benchmarks.peers.adapters import allennlp, hessinf, reference
from benchmarks.peers.agreement import relative_error
from benchmarks.peers.clock import Clock
from benchmarks.peers.dense_references import gradients
from benchmarks.peers.rows import ROWS
from benchmarks.peers.workloads import Workload, load

Write = Callable[..., Path]


@pytest.fixture
def workload(write_workload: Write, tmp_path: Path) -> Workload:
    return load(write_workload("tiny-mlp", tmp_path / "work"))


def expected_scores(workload: Workload, curvature: torch.Tensor) -> np.ndarray:
    damped = curvature + workload.damping * torch.eye(len(curvature), dtype=curvature.dtype)
    train, test = (gradients(workload, data) for data in (workload.train, workload.test))
    return (test @ torch.linalg.solve(damped, train.T)).numpy()


def outputs_of(workload: Workload) -> Callable[[torch.Tensor], torch.Tensor]:
    model = workload.fresh_model().double()
    shapes = {name: value.shape for name, value in model.named_parameters()}

    def outputs(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([shape.numel() for shape in shapes.values()])
        values = {
            name: part.view(shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }
        return functional_call(model, values, (workload.train[0].double(),))  # [N, C]

    return outputs


def flat_parameters(workload: Workload) -> torch.Tensor:
    model = workload.fresh_model().double()
    return torch.cat([value.detach().flatten() for value in model.parameters()])


class TestReference:
    def test_gauss_newton(self, workload: Workload) -> None:
        theta = flat_parameters(workload)  # [P]
        outputs = outputs_of(workload)
        jacobian = jacrev(outputs)(theta)  # [N, C, P]
        chances = outputs(theta).softmax(dim=1)  # [N, C]
        middle = torch.diag_embed(chances) - chances[:, :, None] * chances[:, None, :]  # [N, C, C]
        matrix = torch.einsum("ncp,ncd,ndq->pq", jacobian, middle, jacobian) / len(chances)
        found = reference.METHODS["ggn"](workload, Clock())
        assert relative_error(found, expected_scores(workload, matrix)) < 1e-9

    def test_exact(self, workload: Workload) -> None:
        outputs = outputs_of(workload)

        def mean(theta: torch.Tensor) -> torch.Tensor:
            return workload.losses(outputs(theta), workload.train[1]).mean()

        hessian = torch.autograd.functional.hessian(mean, flat_parameters(workload))  # [P, P]
        found = reference.METHODS["exact"](workload, Clock())
        assert relative_error(found, expected_scores(workload, hessian)) < 1e-9

    def test_gradient_dot(self, workload: Workload) -> None:
        model = workload.fresh_model().double()

        def gradient(data: tuple[torch.Tensor, torch.Tensor], place: int) -> torch.Tensor:
            one = slice(place, place + 1)
            loss = workload.losses(model(data[0][one].double()), data[1][one]).sum()
            return torch.cat(
                [each.flatten() for each in torch.autograd.grad(loss, list(model.parameters()))]
            )

        found = reference.METHODS["gradient-dot"](workload, Clock())
        expected = float(gradient(workload.test, 2) @ gradient(workload.train, 5))
        assert found.shape == (3, 12)
        assert found[2, 5] == pytest.approx(expected, rel=1e-12)

    def test_a_gauss_newton_matrix_of_other_layers_is_refused(
        self, write_workload: Write, tmp_path: Path
    ) -> None:
        workload = load(write_workload("tiny-cnn", tmp_path / "cnn"))
        with pytest.raises(SystemExit, match="tiny-cnn has parameters outside of linear layers"):
            reference.METHODS["ggn"](workload, Clock())

    def test_kronecker_is_the_gauss_newton_matrix_where_it_has_one_factor(
        self, write_workload: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One linear layer and squared error: the curvature of every example is the same."""
        from benchmarks.peers import networks

        monkeypatch.setitem(networks.NETWORKS, "tiny-regression", lambda: networks.mlp(4, 1))
        folder = write_workload("tiny-regression", tmp_path / "linear")
        model = networks.mlp(4, 1)
        torch.save(model.state_dict(), folder / "weights.pt")
        workload = load(folder)
        kfac = reference.METHODS["kfac-type-2"](workload, Clock())
        ekfac = reference.METHODS["ekfac-type-2"](workload, Clock())
        ggn = reference.METHODS["ggn"](workload, Clock())
        assert relative_error(kfac, ggn) < 1e-9
        assert relative_error(ekfac, ggn) < 1e-9

    def test_kfac_and_ekfac_differ(self, workload: Workload) -> None:
        kfac, ekfac = (
            reference.METHODS[name](workload, Clock()) for name in ("kfac-type-2", "ekfac-type-2")
        )
        assert 1e-3 < relative_error(kfac, ekfac) < 0.5


CASES = [
    *(("tiny-mlp", method) for row in ROWS for method in row.same),
    *((name, method) for name in ("tiny-cnn",) for method in ("ekfac", "ekfac-type-2")),
    ("tiny-regression", "ekfac"),
    ("tiny-regression", "ekfac-type-2"),
    ("tiny-transformer", "ekfac"),
]


class TestHessinf:
    @pytest.mark.parametrize(("name", "method"), sorted(set(CASES)))
    def test_agrees_with_the_reference(
        self, name: str, method: str, write_workload: Write, tmp_path: Path
    ) -> None:
        workload = load(write_workload(name, tmp_path / "work", train=32))
        clock = Clock()
        found = hessinf.METHODS[method](workload, clock)
        exact = reference.METHODS[method](workload, Clock())
        assert list(clock.wall) == ["fit", "score"]
        assert relative_error(found, exact) < 1e-3

    def test_the_recursion_agrees_with_allennlps(
        self, write_workload: Write, tmp_path: Path
    ) -> None:
        """Their mini-batches differ, and the recursion is short."""
        workload = load(write_workload("tiny-mlp", tmp_path / "work", train=80))
        found = hessinf.METHODS["lissa"](workload, Clock())
        restated = allennlp.METHODS["lissa"](workload, Clock())
        assert relative_error(found, restated) < 1e-3
        assert np.abs(restated).max() > 0
