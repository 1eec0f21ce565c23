"""Inner products of gradients: influence with the identity in the place of the curvature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hessinf.interpreters.influence_interpreter import InfluenceInterpreter

if TYPE_CHECKING:
    import torch

    from hessinf.gradients.gradients import Gradients


@InfluenceInterpreter.register("gradient-dot")
class GradientDot(InfluenceInterpreter):
    """The inner product of a query's gradient with that of each training example.

    Registered as an `InfluenceInterpreter` with name "gradient-dot".

    The baseline that needs no curvature: how fast the query's loss falls during a gradient step on
    the example alone. Directions in which the loss hardly curves, and which training therefore
    moves far, count no more than others. Scores have no scale of their own, and no loss changes
    are predicted from them. Use it to see what a method with curvature adds, or where nothing else
    fits.

    Cost
    ----
    Time: one pass over the training data for each block of queries, forward and backward, and for
    each matrix of parameters [O, I] N·Q·(O + I) where an example uses it at one position, at most
    N·O·I·(Q + S) where at S. Memory: the activations of a batch, and for layers with several
    positions Q·O·I.

    References
    ----------
    Charpiat, Girard, Felardos & Tarabalka, Input Similarity from the Neural Network Perspective,
    NeurIPS 2019.
    """

    predicts_loss_changes = False

    def precondition(self, gradients: Gradients) -> Gradients:
        """Leave gradients as they are."""
        return gradients

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        """Lay the gradient out flat, ``[B, P]``."""
        return gradients.flatten()
