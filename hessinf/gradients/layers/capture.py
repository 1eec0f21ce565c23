"""``LayerCapture``: per-example gradients as outer products of what layers receive and give back.

A layer ``y = x Wᵀ + b`` has the gradient ``Σ_s g_s ⊗ (x_s, 1)``, where ``g = ∂/∂y`` and s runs over
its positions (Goodfellow 2015, "Efficient per-example gradient computations"). One forward pass
keeps ``x``; one backward pass, to the outputs of layers only, gives every example's ``g``: no
gradient of a weight is computed, and no parameter requires one.

Nothing is attached to the model. Functions of PyTorch are seen as they are called with parameters,
wherever in the model that is; see :class:`CallRecorder`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.errors import GradientError
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.layers.fault import explained
from hessinf.gradients.layers.forward_pass import ForwardPass, PulledBack, run_forward
from hessinf.gradients.layers.general_route import GeneralRoute
from hessinf.gradients.layers.layer_gradients import LayerGradients
from hessinf.gradients.layers.learning import EXAMPLES_PROBED, learn
from hessinf.gradients.layers.matrix_unit import MatrixUnit
from hessinf.gradients.layers.plan import Plan

PLANS: WeakKeyDictionary[FunctionalModel, Plan] = WeakKeyDictionary()
"""What was learnt of each model, so that all who record it need learn it once only."""

UNSEEN = "it had an effect that was not seen where layers were learnt"


class Recording:
    """One forward pass, from whose outputs cotangents can be pulled back as often as wanted.

    Made by :meth:`LayerCapture.recording`.
    """

    def __init__(self, capture: LayerCapture, batch: Batch, explains: bool) -> None:
        self._capture = capture
        self._batch = batch
        self._explains = explains
        with self._explaining():
            self._pass: ForwardPass | None = capture._run(batch)
        self.outputs = self._pass.outputs.detach()
        """The model's outputs ``[B, ...]``, without a graph."""

    def pull_back(self, cotangents: torch.Tensor, *, last: bool = False) -> LayerGradients:
        """Differentiate K numbers of each example, given by their derivatives in the outputs.

        Parameters
        ----------
        cotangents
            ``[K, *outputs.shape]``. For a loss's gradient: K = 1, and the gradient of the summed
            losses in the outputs. For Jacobians: rows of the identity, the same for all examples.
        last
            Whether nothing will be pulled back after this: memory is let go on the way.

        Returns
        -------
        LayerGradients
            It remains valid after the recording has ended.

        Raises
        ------
        GradientError
            When the recording has ended, or the shape of the cotangents is not as above.
        """
        if self._pass is None:
            raise GradientError("the recording has ended; pull back inside its `with` block")
        if cotangents.shape[1:] != self.outputs.shape:
            expected = ", ".join(["K", *map(str, self.outputs.shape)])
            raise GradientError(
                f"the cotangents have shape {list(cotangents.shape)}; expected [{expected}]: K "
                "times the shape of the outputs"
            )
        cotangents = cotangents.detach()
        with self._explaining():
            pulled = self._pass.pull_back(cotangents, keep_graph=not last)
            if self._capture._has_woken(pulled):
                self._pass = self._capture._learn_again(self._batch, pulled)
                pulled = self._pass.pull_back(cotangents)
        found = LayerGradients(
            self._capture.plan,
            cotangents,
            pulled.calls,
            self._pass.derived,
            self._capture._general,
            self._batch,
        )
        if last:
            self.close()
        return found

    def _explaining(self) -> AbstractContextManager[None]:
        if not self._explains:
            return nullcontext()
        return explained(self._capture.model, self._batch.select(slice(0, 1)))

    def close(self) -> None:
        """Let go of the graph."""
        self._pass = None


class LayerCapture:
    """Per-example gradients of any outputs, as factors where layers allow it.

    What a model's layers are is learnt at the first recording, and verified against automatic
    differentiation of a few examples one by one. Parameters for which the two differ, or which
    functions use that are not known, go the general route (``torch.func``). A later batch that does
    something new (a layer not called before) is learnt from as well, so that ``units`` can grow and
    parameters can move to ``general``, never back.

    Parameters
    ----------
    model
        The model as a function of θ. Its module must be in evaluation mode while recordings are
        made; see :meth:`FunctionalModel.evaluating`.

    Examples
    --------
    ::

        capture = LayerCapture(model)
        with capture.recording(batch) as record:
            cotangents = derivatives_of_losses(record.outputs)[None]  # [1, B, ...]
            gradients = record.pull_back(cotangents)
        for unit in capture.units:
            for usage in gradients.usages(unit):
                usage.rows, usage.columns  # [K, B, S, O] and [B, S, I], the bias as a last column
        tensors = gradients.materialize()  # every θ: [K, B, *shape]
    """

    def __init__(self, model: FunctionalModel) -> None:
        self.model = model
        self._general = GeneralRoute(model)

    @property
    def plan(self) -> Plan:
        """What was learnt.

        Raises
        ------
        GradientError
            Before the first recording.
        """
        if self.model not in PLANS:
            raise GradientError("what layers a model has is known after the first recording only")
        return PLANS[self.model]

    @property
    def units(self) -> tuple[MatrixUnit, ...]:
        """The matrices whose gradients are sums of outer products, in the order of θ.

        Every parameter in a unit is wholly in units; all others are in :attr:`elementwise`,
        :attr:`general` or :attr:`idle`.
        """
        return self.plan.units

    @property
    def elementwise(self) -> tuple[str, ...]:
        """The parameters that layers cover, without being matrices: scales, shifts, lone biases."""
        return self.plan.elementwise

    @property
    def general(self) -> tuple[str, ...]:
        """The parameters whose gradients are taken by the general route."""
        return tuple(name for name in self.plan.shapes if name in self.plan.general)

    @property
    def idle(self) -> tuple[str, ...]:
        """The parameters that no output depended on so far: their gradients are zero."""
        return self.plan.idle

    @property
    def routes(self) -> dict[str, tuple[str, ...]]:
        """The parameters by route: "layers" (matrices), "elementwise", "general", "idle"."""
        within = {name for unit in self.units for name in unit.parameters}
        return {
            "layers": tuple(name for name in self.plan.shapes if name in within),
            "elementwise": self.elementwise,
            "general": self.general,
            "idle": self.idle,
        }

    def learn(self, batch: Batch) -> Plan:
        """Learn what layers the model has, where that is not known yet, without a recording.

        Parameters
        ----------
        batch
            Its first few examples are used.
        """
        if self.model not in PLANS:
            PLANS[self.model] = learn(self.model, batch.select(slice(0, EXAMPLES_PROBED)))
        return PLANS[self.model]

    @contextmanager
    def recording(self, batch: Batch, *, explains: bool = True) -> Iterator[Recording]:
        """Run the model forward on a batch.

        Parameters
        ----------
        batch
            B examples, on the model's device.
        explains
            Whether errors of automatic differentiation are turned into such as name the module.

        Yields
        ------
        Recording
            With the outputs. It ends with the block, and then frees its memory.

        Raises
        ------
        GradientError
            When the model cannot be differentiated, or would be changed by running it.
        """
        record = Recording(self, batch, explains)
        try:
            yield record
        finally:
            record.close()

    def _run(self, batch: Batch) -> ForwardPass:
        few = batch.select(slice(0, EXAMPLES_PROBED))
        self.learn(few)
        forward = self._forward(batch)
        for examples in (few, batch):  # what the whole batch does, a few of it may show as well
            if not self.plan.surprises(forward.calls, forward.left, batch.size):
                break
            PLANS[self.model] = learn(self.model, examples, self.plan)
            forward = self._forward(batch)
        return forward

    def _forward(self, batch: Batch) -> ForwardPass:
        return run_forward(self.model, batch, shared=self.plan.shared, idle=self.plan.idle)

    def _has_woken(self, pulled: PulledBack) -> bool:
        """Whether something had an effect that had none in all that was seen so far."""
        silent = self.plan.silent
        return bool(pulled.woken) or any(
            call.site in silent and bool((gradient != 0).any()) for call, gradient in pulled.calls
        )

    def _learn_again(self, batch: Batch, pulled: PulledBack) -> ForwardPass:
        names = {*pulled.woken}
        plan = learn(self.model, batch, self.plan)
        for call, _ in pulled.calls:
            if call.site in plan.silent:
                names.update(call.names)
        general = {**plan.general, **dict.fromkeys(names, UNSEEN)}
        PLANS[self.model] = replace(plan, general=general).planned()
        return self._forward(batch)
