"""Gradient dot products, the whole Hessian, the whole Gauss-Newton matrix and LiSSA, in float64."""

from __future__ import annotations

import numpy as np
import torch
from torch.func import functional_call, grad, vmap

from benchmarks.peers import settings
from benchmarks.peers.kronecker_references import LayerRecord, losses, record, type_2
from benchmarks.peers.workloads import Workload

CHUNK = 64
"""Examples, or columns of a Hessian, that are worked on at a time."""


def in_double(data: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn floating-point inputs and targets to float64; classes and characters stay."""
    inputs, targets = (tensor.double() if tensor.is_floating_point() else tensor for tensor in data)
    return inputs, targets


def gradients(workload: Workload, data: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Differentiate the loss of each example by all parameters: ``[B, P]``."""
    model = workload.fresh_model().double()
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def loss(values: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return workload.losses(functional_call(model, values, (x[None],)), y[None])[0]

    each = vmap(grad(loss), in_dims=(None, 0, 0), chunk_size=CHUNK)(parameters, *in_double(data))
    return torch.cat([each[name].flatten(1) for name in parameters], dim=1)  # [B, P]


def gradient_dot(workload: Workload) -> np.ndarray:
    """Score with inner products of gradients: ``[Q, N]``."""
    return (gradients(workload, workload.test) @ gradients(workload, workload.train).T).numpy()


def exact(workload: Workload) -> np.ndarray:
    """Score with the inverse of the damped Hessian of the mean loss: ``[Q, N]``."""
    model = workload.fresh_model().double()
    parameters = list(model.parameters())
    inputs, targets = in_double(workload.train)
    mean = workload.losses(model(inputs), targets).mean()  # []
    first = torch.cat(
        [each.flatten() for each in torch.autograd.grad(mean, parameters, create_graph=True)]
    )  # [P]
    rows = []
    for units in torch.eye(len(first), dtype=first.dtype).split(CHUNK):
        second = torch.autograd.grad(
            first, parameters, units, retain_graph=True, is_grads_batched=True
        )
        rows.append(torch.cat([each.flatten(1) for each in second], dim=1))  # [CHUNK, P]
    hessian = torch.cat(rows)  # [P, P]
    hessian = (hessian + hessian.T) / 2
    hessian.diagonal().add_(workload.damping)
    solved = torch.linalg.solve(hessian, gradients(workload, workload.test).T)  # [P, Q]
    return (gradients(workload, workload.train) @ solved).T.numpy()


def products(left: dict[str, LayerRecord], right: dict[str, LayerRecord]) -> torch.Tensor:
    """Multiply all rows ``g_nk ⊗ a_n`` of two records: ``[K·N, K'·N']``, columns first.

    Layers must have one position an example.
    """
    kinds, examples = next(iter(left.values())).gradients.shape[:2]
    other_kinds, others = next(iter(right.values())).gradients.shape[:2]
    total = torch.zeros(kinds, examples, other_kinds, others, dtype=torch.float64)
    for name, layer in left.items():
        other = right[name]
        of_inputs = layer.inputs[:, 0] @ other.inputs[:, 0].T  # [N, N']
        of_outputs = other.gradients.flatten(0, 2).T  # [O, K'·N']
        for part, column in zip(total, layer.gradients[:, :, 0], strict=True):
            block = (column @ of_outputs).view(part.shape)  # [N, K', N']
            part.addcmul_(block, of_inputs[:, None, :])
    return total.view(kinds * examples, other_kinds * others)


def gauss_newton(workload: Workload) -> np.ndarray:
    """Score with the inverse of the damped Gauss-Newton matrix, exactly: ``[Q, N]``.

    In the dual: with rows ``J`` of all examples and outputs, ``(JᵀJ/N + λ)⁻¹ =
    (1 − Jᵀ(λN + JJᵀ)⁻¹J) / λ``. For networks of linear layers.
    """
    covered = set(workload.kronecker_parameters)
    if covered != {name for name, _ in workload.model.named_parameters()}:
        raise SystemExit(f"{workload.name} has parameters outside of linear layers")
    rows = record(workload, workload.train, type_2(workload))
    train = record(workload, workload.train, losses(workload))
    test = record(workload, workload.test, losses(workload))
    gram = products(rows, rows)  # [K·N, K·N]
    gram.diagonal().add_(workload.damping * len(workload.train[0]))
    cholesky = torch.linalg.cholesky(gram, out=gram)  # [K·N, K·N], in its place
    solved = torch.cholesky_solve(products(rows, test), cholesky)  # [K·N, Q]
    kept = products(test, train) - solved.T @ products(rows, train)  # [Q, N]
    return (kept / workload.damping).numpy()


def lissa(workload: Workload) -> np.ndarray:
    """Score with AllenNLP's recursion over the mini-batches that hessinf draws: ``[Q, N]``.

    The order of the batches is taken from hessinf; nothing else is.
    """
    from hessinf.runtime.randomness import generator

    model = workload.fresh_model().double()
    parameters = list(model.parameters())
    inputs, targets = in_double(workload.train)
    vectors = gradients(workload, workload.test)  # [Q, P]
    current = vectors
    order = torch.randperm(len(inputs), generator=generator(0, "simple-influence.order.0"))  # [N]
    steps = settings.lissa_steps(len(inputs))
    for places in order.split(settings.LISSA_BATCH_SIZE)[:steps]:
        mean = workload.losses(model(inputs[places]), targets[places]).mean()  # []
        first = torch.cat(
            [each.flatten() for each in torch.autograd.grad(mean, parameters, create_graph=True)]
        )  # [P]
        second = torch.autograd.grad(first, parameters, current, is_grads_batched=True)
        product = torch.cat([each.flatten(1) for each in second], dim=1)  # [Q, P]
        current = vectors + (1 - settings.LISSA_DAMPING) * current - product / settings.LISSA_SCALE
    train = gradients(workload, workload.train)  # [N, P]
    return (current @ train.T / settings.LISSA_SCALE).numpy()
