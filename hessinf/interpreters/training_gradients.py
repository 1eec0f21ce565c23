"""Gradients of the training losses, from a forward pass that a fit makes anyway."""

from __future__ import annotations

import torch

from hessinf.data.batching import Batch
from hessinf.gradients import FactoredGradients
from hessinf.gradients.layers import LayerCapture
from hessinf.gradients.layers.capture import Recording
from hessinf.interpreters.kept_pass import KeptPass
from hessinf.models import Objective


class GradientsBeside:
    """Fills a :class:`KeptPass`, while another pass goes through the training data in order.

    Parameters
    ----------
    kept
        Where gradients and losses go.
    objective
        The loss of every example.
    capture
        Of the model. Where it leaves parameters to automatic differentiation, nothing is kept:
        their gradients are no by-product.
    """

    def __init__(self, kept: KeptPass, objective: Objective, capture: LayerCapture) -> None:
        self.kept = kept
        self.objective = objective
        self.capture = capture
        self._useful = True

    def begin(self) -> None:
        """Start at the first example."""
        self.kept.begin()
        self._useful = self.kept.fits and not self.kept.complete and not self.capture.general

    def of_part(self, record: Recording, batch: Batch) -> None:
        """Compute gradients and losses of a few examples, and keep them.

        None at all are kept where one is not finite: whoever needs them then computes them anew,
        and says of which example it is. None either where an executor takes batches out of order.
        """
        if self._useful and int(batch.indices[0]) != self.kept.count:
            self.give_up()
        if not self._useful:
            return
        outputs = record.outputs.detach().requires_grad_()
        with torch.enable_grad():
            losses = self.objective.losses(outputs, batch.targets)  # [B]
        if not losses.requires_grad:
            self.give_up()
            return
        (cotangents,) = torch.autograd.grad(losses.sum(), outputs)
        gradients = FactoredGradients(record.pull_back(cotangents.unsqueeze(0)))
        if not bool((losses.sum() + gradients.bound()).isfinite()):
            self.give_up()
            return
        self.kept.add(gradients, losses.detach())
        self._useful = self.kept.fits

    def give_up(self) -> None:
        """Keep nothing of this pass."""
        self._useful = False
        self.kept.begin()
