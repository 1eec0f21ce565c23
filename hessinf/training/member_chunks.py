"""How many models are trained at once: what fits in memory, and is fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batches
from hessinf.models.objective import Objective
from hessinf.runtime import randomness
from hessinf.training import module_state
from hessinf.training.member import Member
from hessinf.training.objective_function import sum_of_losses
from hessinf.training.stackable import module_obstacle, optimizer_obstacle
from hessinf.training.trainer import Trainer

COPIES = 7
"""Tensors as large as the parameters: themselves, two gradients, two of the optimizer's, the best
epoch's, and those of models that have ended."""

DOUBLES = 4
"""Such tensors in float64, while models are evaluated: the gradient that is added up, that of the
objective, the parameters, and squares."""

MOST_BYTES = 1 << 29
"""What a chunk takes at most: beyond it nothing gets faster."""

MOST_TOGETHER = 500
"""Models in a chunk, however small they are: a run that is killed loses a chunk."""

MOST_SEPARATE = 10
"""Models in a chunk where they are trained one after another."""


def members_at_once(
    trainer: Trainer,
    make_module: Callable[[int], torch.nn.Module],
    dataset: Dataset,
    objective: Objective,
    members: Sequence[Member],
    memory_limit: float,
) -> int:
    """Say how many members make a chunk, 1 or more; for the arguments see ``chunks_of``."""
    if not members:
        return 1
    module = make_module(members[0].seed)
    if optimizer_obstacle(trainer.optimizer) or module_obstacle(module):
        return MOST_SEPARATE
    limit = min(memory_limit * 2**30, MOST_BYTES)
    needed = bytes_of_a_member(module, dataset, objective, trainer.batch_size)
    return max(min(int(limit // needed), MOST_TOGETHER), 1)


def bytes_of_a_member(
    module: torch.nn.Module, dataset: Dataset, objective: Objective, batch_size: int
) -> int:
    """Estimate what one model needs while many are trained together.

    Parameters
    ----------
    module
        One of the models, on the CPU.
    dataset
        The data; the first batch of it goes through the model.
    objective
        The loss of an example.
    batch_size
        How many examples of each model make a step.

    Returns
    -------
    int
        Bytes: parameters, gradients, the optimizer's tensors, the batch, and what a forward pass
        keeps for the backward pass, three times.
    """
    parameters = module_state.trained_parameters(module)
    values = [*module.parameters(), *module.buffers()]
    trained = sum(value.nbytes for value in parameters) * COPIES
    trained += sum(value.numel() for value in parameters) * DOUBLES * 8
    others = sum(value.nbytes for value in values) - sum(value.nbytes for value in parameters)
    batch = next(iter(Batches(dataset[:batch_size], batch_size, dtype=parameters[0].dtype)))
    known = {value.data_ptr() for value in [*values, *batch.tensors]}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if tensor.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    seed = randomness.derive_seed(0, "trainer.noise")  # for its effect on the caller's stream: none
    with (
        module_state.random_numbers_from(seed, torch.device("cpu")),
        module_state.mode(module, training=True),
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        sum_of_losses(module, batch, objective)
    return trained + others + batch.nbytes + 3 * sum(kept.values())
