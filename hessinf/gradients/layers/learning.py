"""Learning from a few examples of what a model's gradients are made, and checking it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.layers.call import Call, Position
from hessinf.gradients.layers.example_axis import ExampleAxis, find_axis, separates
from hessinf.gradients.layers.fault import require_no_state
from hessinf.gradients.layers.forward_pass import ForwardPass, run_forward
from hessinf.gradients.layers.general_route import GeneralRoute, combined, one_by_one
from hessinf.gradients.layers.layer_gradients import LayerGradients
from hessinf.gradients.layers.plan import Plan

logger = logging.getLogger(__name__)

EXAMPLES_PROBED = 3
"""How many examples are differentiated one by one to compare with."""

EXAMPLES_AT_ONCE = 16
"""How many more are looked at together, where those do not reach every layer."""

MIXED = "its layer's output cannot be told apart by examples"
DIFFERENT = "what layers receive and give back does not make its gradient"


@dataclass(frozen=True)
class Probe:
    """One random cotangent for each of some examples, and what became of it.

    Parameters
    ----------
    places
        The examples.
    cotangents
        ``[K, B, ...]``, the k-th one zero but at the k-th place.
    gradients
        In the outputs of calls, ``[K, *shape]``.
    """

    places: Sequence[int]
    cotangents: torch.Tensor
    gradients: Sequence[tuple[Call, torch.Tensor]]


def learn(model: FunctionalModel, batch: Batch, known: Plan | None = None) -> Plan:
    """Run a batch, and find out which parameters' gradients can be made of factors.

    Parameters
    ----------
    model
        The model as a function of θ.
    batch
        B examples.
    known
        What was learnt before, when this batch did something new.

    Returns
    -------
    Plan
        Each parameter that it gives factors for was compared with automatic differentiation.
    """
    plan = known or Plan({name: value.shape for name, value in model.parameters.items()})
    while True:
        forward = run_forward(model, batch, shared=plan.shared)
        require_no_state(model, batch, forward)
        left = {n: f'"{function}" uses it' for n, function in forward.left.items()}
        plan = replace(plan, general={**left, **plan.general})
        probes = _probe(forward, batch.size)
        plan, retry = _place_examples(plan, probes, batch.size)
        if retry:
            continue
        reached = {call.site for probe in probes for call, _ in probe.gradients}
        plan = replace(
            plan.having(forward.calls, forward.used),
            checked=plan.checked | reached,
            silent=(plan.silent | {call.site for call in forward.calls}) - reached,
        )
        wrong = _disagreeing(model, batch, forward, plan, probes)
        if not wrong:
            return plan
        logger.warning(
            "the gradients of %s cannot be made of what layers receive and give back; they go the "
            "general route, which is slower and right",
            ", ".join(wrong),
        )
        plan = replace(plan, general={**plan.general, **dict.fromkeys(wrong, DIFFERENT)})


def _probe(forward: ForwardPass, count: int) -> list[Probe]:
    """Pull back from a few examples, and from more until every call is reached that can be."""
    first = sorted({*range(min(EXAMPLES_PROBED - 1, count)), count - 1})
    probes = [_pull(forward, first)]
    unreached = {call.site for call in forward.calls} - _reached(probes[0])
    others = [place for place in range(count) if place not in first]
    if not unreached or not others:
        return probes
    whole = _cotangents(forward.outputs, [list(range(count))])
    effective = _reached(Probe([], whole, forward.pull_back(whole).calls))
    unreached &= effective
    while unreached and others:
        some, others = others[:EXAMPLES_AT_ONCE], others[EXAMPLES_AT_ONCE:]
        probe = _pull(forward, some)
        if unreached & _reached(probe):
            probes.append(probe)
            unreached -= _reached(probe)
    return probes


def _pull(forward: ForwardPass, places: Sequence[int]) -> Probe:
    cotangents = _cotangents(forward.outputs, [[place] for place in places])
    calls = forward.pull_back(cotangents).calls
    return Probe(places, cotangents, [(c, g) for c, g in calls if bool((g != 0).any())])


def _reached(probe: Probe) -> set[str]:
    return {call.site for call, gradient in probe.gradients if bool((gradient != 0).any())}


def _cotangents(outputs: torch.Tensor, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Draw numbers for the examples of each row, and leave the others zero: ``[K, B, ...]``."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(outputs.shape, generator=generator, dtype=torch.float64).to(outputs)
    cotangents = outputs.new_zeros(len(rows), *outputs.shape)
    for row, places in enumerate(rows):
        cotangents[row, list(places)] = drawn[list(places)]
    return cotangents


def _place_examples(plan: Plan, probes: Sequence[Probe], count: int) -> tuple[Plan, bool]:
    """See where examples lie in what each call gave; tell whether to look again, otherwise."""
    axes: dict[str, ExampleAxis] = dict(plan.axes)
    general = dict(plan.general)
    shared: set[str] = set()
    for probe in probes:
        for call, gradient in probe.gradients:
            if plan.leaves(call):
                continue
            axis = axes.get(call.site)
            if axis is None:
                axis = _axis(call, gradient, probe.places, count)
            elif not separates(axis, gradient, probe.places, count):
                axis = None
            if axis is None or not call.allows(Position(axis, count)):
                if call.site in plan.shared:
                    general |= dict.fromkeys(call.names, MIXED)
                shared.add(call.site)
            elif count > 1:
                axes[call.site] = axis
    again = bool(shared) or len(general) > len(plan.general)
    plan = replace(plan, axes=axes, general=general, shared=plan.shared | shared)
    return plan, again


def _axis(
    call: Call, gradient: torch.Tensor, places: Sequence[int], count: int
) -> ExampleAxis | None:
    dimensions = call.example_dimensions()
    if count == 1:
        return ExampleAxis(dimensions[0]) if dimensions else None
    return find_axis(gradient, places, count, dimensions)


def _disagreeing(
    model: FunctionalModel,
    batch: Batch,
    forward: ForwardPass,
    plan: Plan,
    probes: Sequence[Probe],
) -> list[str]:
    """Name the parameters whose gradients differ from those of examples one by one."""
    names = [name for name in plan.shapes if name not in plan.general]
    wrong: set[str] = set()
    epsilon = _precision(model, probes)
    for probe in probes:
        for row, place in enumerate(probe.places):
            cotangent = probe.cotangents[row : row + 1]
            found = LayerGradients(
                plan,
                cotangent,
                [(call, gradient[row : row + 1]) for call, gradient in probe.gradients],
                forward.derived,
                GeneralRoute(model),
                batch,
                only=place,
            ).materialize(names)
            one = batch.select(slice(place, place + 1))
            expected = one_by_one(model, names, one, cotangent[:, place], combined)[0]
            wrong |= _different({n: x[:, 0] for n, x in found.items()}, expected, epsilon)
    return [name for name in names if name in wrong]


def _precision(model: FunctionalModel, probes: Sequence[Probe]) -> float:
    """Say how far a number can be from the next one, in the coarsest type that layers use."""
    types = {gradient.dtype for probe in probes for _, gradient in probe.gradients}
    epsilon = max(torch.finfo(dtype).eps for dtype in {model.dtype, *types})  # autocast's as well
    short = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    if model.device.type == "cuda" and model.dtype == torch.float32 and short:
        return max(epsilon, 2**-10)
    return epsilon


def _different(
    found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], epsilon: float
) -> set[str]:
    sizes = _norms(list(expected.values()))
    errors = _norms([found[name] - value for name, value in expected.items()])
    whole = sum(size**2 for size in sizes) ** 0.5
    return {
        name
        for name, size, error in zip(expected, sizes, errors, strict=True)
        # Some gradients are zero but for rounding: keys' biases, what a normalization undoes.
        if not error <= 4 * epsilon**0.5 * size + 100 * epsilon * whole
    }


def _norms(tensors: Sequence[torch.Tensor]) -> list[float]:
    """Compute the norm of each tensor in float64, and wait for the device once."""
    if not tensors:
        return []
    # Embeddings may ask for sparse gradients.
    dense = [tensor.to_dense() for tensor in tensors]
    norms = [torch.linalg.vector_norm(tensor, dtype=_wide(tensor)).real for tensor in dense]
    return list(torch.stack(norms).tolist())


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return torch.complex128 if tensor.is_complex() else torch.float64
