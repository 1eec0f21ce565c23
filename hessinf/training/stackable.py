"""Whether models can be trained as one batched program: by rule, and by trying it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hessinf.data.batching import Batch
from hessinf.models.objective import Objective
from hessinf.training import module_state
from hessinf.training.errors import ObstacleError
from hessinf.training.measuring import measured
from hessinf.training.objective_function import sum_of_losses
from hessinf.training.optimizer import Optimizer
from hessinf.training.single_model import normalizes_batches
from hessinf.training.stacked_models import StackedModels

ELEMENTWISE = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.Adamax,
    torch.optim.Adagrad,
    torch.optim.Adadelta,
    torch.optim.RMSprop,
    torch.optim.Rprop,
    torch.optim.ASGD,
)
"""Optimizers whose rule is one for every entry, whatever tensor it lies in."""


def optimizer_obstacle(optimizer: Optimizer) -> str:
    """Say why an optimizer cannot take the steps of many models at once; nothing if it can."""
    if optimizer.full_batch:
        return "the optimizer takes all examples at once and searches its own step lengths"
    try:
        kind = type(optimizer.build([torch.nn.Parameter(torch.zeros(2, 2))]))
    except Exception as error:  # an optimizer of anybody's, which may look at its parameters
        return f"the optimizer cannot be looked at without a model: {error}"
    if kind not in ELEMENTWISE:
        return f"steps of {kind.__name__} are not known to be taken entry by entry"
    return ""


def module_obstacle(module: torch.nn.Module) -> str:
    """Say which layer of a network looks at more than its model's own example; nothing if none."""
    for name, layer in module.named_modules():
        if isinstance(layer, torch.nn.modules.dropout._DropoutNd) and layer.p > 0:
            return f'the layer "{name}" draws random numbers ({type(layer).__name__})'
        if normalizes_batches(layer) and not list(layer.children()):
            return f'the layer "{name}" normalizes by the batch ({type(layer).__name__})'
    return ""


MOST_PARAMETER_BYTES = 1 << 20
"""Larger models are no faster together on a CPU: its cache holds the parameters of one only."""


def size_obstacle(module: torch.nn.Module, device: torch.device) -> str:
    """Say why large models are faster one after another; nothing where they are not."""
    trained = sum(value.nbytes for value in module_state.trained_parameters(module)) / 2**20
    most = MOST_PARAMETER_BYTES / 2**20
    if device.type == "cpu" and trained > most:
        return (
            f"on a CPU, models of {trained:.1f} MiB of parameters are faster so (those of at most "
            f"{most:.1f} MiB are trained together)"
        )
    return ""


@dataclass(frozen=True)
class Probe:
    """What one model gives by itself, before its training.

    Parameters
    ----------
    loss
        The sum of losses of the first batch of its own, in training mode.
    gradient
        The gradient of that; empty where it was not asked for.
    evaluated_loss, evaluated_gradient
        The same in evaluation mode.
    shared_loss
        The sum of losses of a batch that all models see, in evaluation mode, without a gradient.
    """

    loss: torch.Tensor
    gradient: Sequence[torch.Tensor]
    evaluated_loss: torch.Tensor
    evaluated_gradient: Sequence[torch.Tensor]
    shared_loss: torch.Tensor


def probe(
    module: torch.nn.Module,
    objective: Objective,
    own: Batch,
    shared: Batch,
    *,
    with_gradients: bool,
) -> Probe:
    """Compute what one model gives by itself.

    Parameters
    ----------
    module
        The model, on the device of the batches.
    objective
        The loss of an example.
    own, shared
        A batch of the model's own examples, and one that all models see.
    with_gradients
        Whether gradients are computed too.

    Raises
    ------
    ObstacleError
        When its forward pass changes buffers, or its gradients are sparse.
    """
    parameters = module_state.trained_parameters(module)
    before = [buffer.clone() for buffer in module.buffers()]
    found: list[tuple[torch.Tensor, Sequence[torch.Tensor]]] = []
    for training in (True, False):
        with module_state.mode(module, training=training):
            if not with_gradients:
                with torch.no_grad():
                    found.append((sum_of_losses(module, own, objective), ()))
                continue
            loss = sum_of_losses(module, own, objective)
            gradient = torch.autograd.grad(loss, parameters, materialize_grads=True)
        found.append((loss.detach(), gradient))
    with module_state.mode(module, training=False), torch.no_grad():
        shared_loss = sum_of_losses(module, shared, objective)
    after = list(module.buffers())
    if any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)):
        raise ObstacleError("the model's forward pass changes its buffers")
    if any(piece.is_sparse for piece in found[0][1]):
        raise ObstacleError("the model's gradients are sparse")
    return Probe(*found[0], *found[1], shared_loss)


def compare(models: StackedModels, shared: Batch, probes: Sequence[Probe]) -> None:
    """Compute the same of all models together, and compare.

    Parameters
    ----------
    models
        The models, stacked.
    shared
        The batch that all of them saw.
    probes
        What each gave by itself.

    Raises
    ------
    ObstacleError
        When the network cannot be batched, or gives something else.
    """
    try:
        found = []
        for training in (True, False):
            with module_state.mode(models.module, training=training):
                sums = models.sums_of_losses(models.first_batch())  # [M]
                gradient = torch.autograd.grad(
                    sums.sum(), models.parameters, materialize_grads=True
                )
            found.append((sums.detach(), gradient))
        with torch.no_grad():
            shared_sums = measured(models.networks, shared, models.objective.losses).sum(1)  # [M]
    except Exception as error:  # whatever the network, PyTorch or the objective may raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ObstacleError(f"batched, the model fails: {lines[0]}") from error
    for row, alone in enumerate(probes):
        pairs = (
            ("loss", [found[0][0][row]], [alone.loss]),
            ("gradient", [piece[row] for piece in found[0][1]], alone.gradient),
            ("loss in evaluation mode", [found[1][0][row]], [alone.evaluated_loss]),
            (
                "gradient in evaluation mode",
                [piece[row] for piece in found[1][1]],
                alone.evaluated_gradient,
            ),
            ("loss of other examples", [shared_sums[row]], [alone.shared_loss]),
        )
        for what, together, expected in pairs:
            if not len(expected):
                continue
            difference = _relative_difference(together, expected)
            if not difference <= torch.finfo(expected[0].dtype).eps ** 0.5:
                raise ObstacleError(
                    f"batched, the {what} of one model differs by {difference:.1e} from what it is "
                    "alone"
                )


def _relative_difference(together: Sequence[torch.Tensor], alone: Sequence[torch.Tensor]) -> float:
    """Return the 2-norm of the difference, divided by the larger norm of both."""
    left = torch.cat([piece.double().flatten() for piece in together])  # [P]
    right = torch.cat([piece.double().flatten() for piece in alone])  # [P]
    if torch.equal(left.isfinite(), right.isfinite()):
        finite = left.isfinite()
        left, right = left[finite], right[finite]  # what diverges is for the training to say
    largest = max(float(left.norm()), float(right.norm()))
    return float((left - right).norm()) / largest if largest else 0.0
