"""Cosines of gradients: how alike the directions are, whatever the sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.gradients.gradients import Gradients
else:
    torch = lazy_import("torch")


@InfluenceInterpreter.register("gradient-cosine")
class GradientCosine(InfluenceInterpreter):
    """The cosine between a query's gradient and that of each training example.

    Registered as an `InfluenceInterpreter` with name "gradient-cosine".

    As "gradient-dot", with all gradients scaled to length 1: training examples with a large loss,
    which lead the lists of other methods for every query, do not any more. Scores lie between −1
    and 1 and only rank: no loss changes follow from them. An example whose gradient is exactly zero
    has no direction, and scores 0. Use it as a measure of similarity, such as to find training
    examples of the same kind.

    Cost
    ----
    Time: one pass over the N training gradients for each block of queries, and N·P·Q. Memory: Q·P
    numbers, and twice a batch of training gradients.

    References
    ----------
    Barshan, Brunet & Dziugaite, RelatIF: Identifying Explanatory Training Samples via Relative
    Influence, AISTATS 2020 (what examples with large gradients do to lists). Hanawa, Yokoi, Hara &
    Inui, Evaluation of Similarity-based Explanations, ICLR 2021.
    """

    predicts_loss_changes = False

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        """Return the cosines, ``[Q, B]``."""
        return directions(query_gradients) @ directions(train_gradients).T  # [Q, B]

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        """Return each gradient's direction, ``[B, P]``."""
        return directions(gradients)


def directions(gradients: Gradients) -> torch.Tensor:
    """Scale gradients to length 1; those that are zero stay zero: ``[B, P]``."""
    flat = gradients.flatten()  # [B, P]
    # First by the largest entry: squares of small numbers would be lost.
    largest = flat.detach().abs().amax(dim=1, keepdim=True)  # [B, 1]
    scaled = flat / torch.where(largest > 0, largest, 1)  # [B, P]
    lengths = scaled.norm(dim=1, keepdim=True)  # [B, 1]
    return scaled / torch.where(largest > 0, lengths, 1)
