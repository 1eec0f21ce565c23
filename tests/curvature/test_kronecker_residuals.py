"""EK-FAC is the nearest in K-FAC's eigenbasis, whatever the network: never further than K-FAC."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.shown_curvature import dense_curvature

ACTIVATIONS = (nn.Tanh, nn.ReLU, nn.GELU, nn.Sigmoid, nn.SiLU)
OBJECTIVES = ("cross-entropy", "mean-squared-error", "binary-cross-entropy")
NETS = 30


def draw(seed: int) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor], str]:
    """A net of random depth, widths, biases, activation, with convolutions or without."""
    generator = np.random.default_rng(seed)
    objective = str(generator.choice(OBJECTIVES))
    outputs = 1 if objective == "binary-cross-entropy" else int(generator.integers(2, 5))
    activation = ACTIVATIONS[int(generator.integers(len(ACTIVATIONS)))]
    count = int(generator.integers(2, 25))
    layers: list[nn.Module] = []
    shape: tuple[int, ...]
    if seed % 3 == 0:
        channels, kept = int(generator.integers(1, 4)), int(generator.integers(1, 4))
        side, kernel = int(generator.integers(3, 6)), int(generator.integers(1, 4))
        padding = int(generator.integers(2)) if kernel > 1 else 0
        shape = (channels, side, side)
        layers += [
            nn.Conv2d(channels, kept, kernel, padding=padding, bias=bool(generator.integers(2))),
            activation(),
            nn.Flatten(),
        ]
        width = kept * (side - kernel + 1 + 2 * padding) ** 2
    else:
        width = int(generator.integers(1, 6))
        shape = (width,)
    for _ in range(int(generator.integers(0, 4))):
        next_width = int(generator.integers(1, 6))
        layers += [
            nn.Linear(width, next_width, bias=bool(generator.integers(2))),
            activation(),
        ]
        width = next_width
    layers.append(nn.Linear(width, outputs, bias=bool(generator.integers(2))))
    module = nn.Sequential(*layers).double()
    with torch.no_grad():
        for parameter in module.parameters():
            values = generator.standard_normal(parameter.shape) * generator.uniform(0.2, 2)
            parameter.copy_(torch.from_numpy(values))
    inputs = torch.from_numpy(generator.standard_normal((count, *shape)))
    if objective == "mean-squared-error":
        targets = torch.from_numpy(generator.standard_normal((count, outputs)))
    else:
        classes = 2 if objective == "binary-cross-entropy" else outputs
        targets = torch.from_numpy(np.arange(count) % classes)
    return module, (inputs, targets), objective


def curvature(name: str, seed: int, **arguments: object) -> np.ndarray:
    module, data, objective = draw(seed)
    # Damping is no part of the curvature, but a share of one that is zero is refused.
    made = InfluenceInterpreter.by_name(name)(
        module, data, objective=objective, damping=1.0, **arguments
    )
    return dense_curvature(made).numpy()


@pytest.mark.parametrize("seed", range(NETS))
@pytest.mark.parametrize("weight_sharing", ["expand", "reduce"])
def test_residual_of_ekfac_is_at_most_that_of_kfac(seed, weight_sharing):
    """To the blocks by layer of the Gauss-Newton matrix, whose Fisher both are fitted to."""
    exact = curvature("block-ggn", seed)
    near, far = (
        np.linalg.norm(
            curvature(name, seed, fisher="type-2", weight_sharing=weight_sharing) - exact
        )
        for name in ("ekfac", "kfac")
    )
    assert near <= far + 1e-12 * np.linalg.norm(exact)


def test_these_nets_tell_them_apart():
    """In most of them EK-FAC is nearer by more than rounding, and in some K-FAC is exact."""
    gains = []
    for seed in range(NETS):
        exact = curvature("block-ggn", seed)
        size = np.linalg.norm(exact)
        near, far = (
            np.linalg.norm(curvature(name, seed, fisher="type-2") - exact) / (size or 1)
            for name in ("ekfac", "kfac")
        )
        gains.append(far - near)
    assert sum(gain > 1e-3 for gain in gains) > NETS / 2
    assert min(gains) < 1e-12


@pytest.mark.parametrize("seed", range(0, NETS, 2))
def test_its_eigenvalues_are_the_diagonal_in_that_basis(seed):
    """Those of EK-FAC equal ``diag(Qᵀ G Q)`` with the exact block G."""
    module, data, objective = draw(seed)
    exact = curvature("block-ggn", seed)
    fitted = InfluenceInterpreter.by_name("ekfac")(
        module, data, objective=objective, fisher="type-2", damping=1.0
    ).fit()
    checked = 0
    for block in fitted.curvature.blocks:
        places = block.places.flatten().numpy()
        unit = torch.eye(len(places), dtype=torch.float64).reshape(-1, *block.places.shape)
        basis = block.from_basis(unit).reshape(len(places), -1).numpy()  # rows: eigenvectors
        inside = exact[np.ix_(places, places)]
        expected = np.einsum("ij,jk,ik->i", basis, inside, basis)
        np.testing.assert_allclose(
            block.eigenvalues.flatten().numpy(),
            expected,
            rtol=0,
            atol=1e-13 * max(float(np.abs(inside).max()) * len(places), 1e-300),
        )
        checked += len(places)
    assert checked == len(exact)


def test_every_kind_of_net_is_drawn():
    kinds = {
        (type(module[0]).__name__, objective) for module, _, objective in map(draw, range(NETS))
    }
    assert kinds == set(itertools.product(("Conv2d", "Linear"), OBJECTIVES))
