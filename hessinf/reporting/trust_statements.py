"""How far to believe a run and each of its queries, in plain words.

Each statement has a level: "good" (nothing stands in the way), "note" (what a reader should know)
or "warning" (scores may mislead). The summary in the terminal and the report say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from hessinf.display.numbers import counted, number, percent, setting

Level = Literal["good", "note", "warning"]
Statement = tuple[Level, str]

AT_MINIMUM = 1e-3
"""The share of its norm before training that the gradient has left where a model is as good as at a
minimum."""

NEAR_MINIMUM = 0.25
"""The share up to which a model is near a minimum."""

SMALL_RESIDUAL = 1e-3
"""Relative residuals up to which solutions are as good as exact."""

LARGE_RESIDUAL = 0.1
"""Relative residuals from which scores may mislead."""

LARGE_SPREAD = 0.1
"""The relative standard error of a sampled Fisher from which another seed changes scores."""

SMALL_ERROR_BOUND = 1e-3
"""The share of a query's scores that an error may have without being worth a word."""


def trust_statements(
    metrics: Mapping[str, Any],
    diagnostics: Mapping[str, Any] | None = None,
    *,
    spectrum: Mapping[str, Any] | None = None,
) -> list[Statement]:
    """Say how far to believe a run.

    Parameters
    ----------
    metrics
        What ``metrics.json`` says; keys may be missing, as in runs that are not finished.
    diagnostics
        Those of any query of the run: what is the same for all of them is used.
    spectrum
        What ``spectrum.json`` says, where there is one.

    Returns
    -------
    list of tuple
        Level and sentence, in the order in which they are read.
    """
    common = diagnostics or {}
    return [
        *_training(metrics),
        *_damping(metrics),
        *_directions(spectrum),
        *_coverage(metrics),
        *_solutions(metrics),
        *_eigenvalues(metrics),
        *_fisher(common),
        *_rank(common),
        *_layers(common),
        *_refinement(common),
        *_checkpoints(metrics),
    ]


def query_statements(diagnostics: Mapping[str, Any]) -> list[Statement]:
    """Say how far to believe one query, where that is another matter than for the whole run.

    Parameters
    ----------
    diagnostics
        Those of the query.

    Returns
    -------
    list of tuple
        Level and sentence.
    """
    found: list[Statement] = []
    residual = diagnostics.get("relative_residual")
    if residual is not None:
        level = residual_level(residual)
        found.append((level, f"The solver left a relative residual of {number(residual)}."))
    if diagnostics.get("converged") is False:
        found.append(("warning", "The solver stopped before this query was solved."))
    if diagnostics.get("negative_curvature") is True:
        text = "The solver met a direction without positive curvature, and kept what it had before."
        found.append(("warning", text))
    bound = diagnostics.get("score_error_bound")
    if isinstance(bound, float) and bound > SMALL_ERROR_BOUND:
        level = "warning" if bound > LARGE_RESIDUAL else "note"
        text = f"Rounding of the factors may have changed scores by {percent(bound)} of their size."
        found.append((level, text))
    refused = diagnostics.get("not_refined") or []
    if refused:
        text = (
            f"{counted(len(refused), 'listed example')} could not be refined: without one of them "
            "the Newton step has no answer."
        )
        found.append(("note", text))
    return found


def residual_level(residual: Any) -> Level:
    """Judge a relative residual; one that is no finite number (a text in files) is bad."""
    if not isinstance(residual, int | float) or not residual <= LARGE_RESIDUAL:
        return "warning"
    return "good" if residual <= SMALL_RESIDUAL else "note"


def _training(metrics: Mapping[str, Any]) -> Iterator[Statement]:
    """Say how near to a minimum the model is."""
    record = metrics.get("training") or {}
    norm = record.get("gradient_norm")
    if norm is None:
        yield (
            "note",
            "How the model was trained is not recorded: influence assumes a minimum of the "
            "training loss, and nobody has measured how far from one this model is.",
        )
        return
    loss = record.get("loss")
    now = f"now {number(norm)}" + ("" if loss is None else f", training loss {number(loss)}")
    share = record.get("relative_gradient_norm")
    if record.get("tolerance_reached") is True:
        text = f"The model is at a minimum of its training objective: gradient norm {now}."
        yield "good", text.replace("norm now", "norm")
    elif not isinstance(share, int | float):
        yield "note", f"The gradient of the training objective has the norm {number(norm)}."
    elif share <= AT_MINIMUM:
        yield (
            "good",
            "The model is as good as at a minimum of its training objective: the gradient has "
            f"{percent(share)} of its norm before training ({now}).",
        )
    elif share <= NEAR_MINIMUM:
        yield (
            "note",
            "The model is near a minimum of its training objective, not at one: the gradient has "
            f"{percent(share)} of its norm before training ({now}).",
        )
    else:
        yield (
            "warning",
            "The model is far from a minimum of its training objective: the gradient has "
            f"{percent(share)} of its norm before training ({now}). Influence assumes a minimum: "
            "train longer, or take scores for a ranking only.",
        )


def _damping(metrics: Mapping[str, Any]) -> Iterator[Statement]:
    if "damping" not in metrics:  # the run is not finished
        return
    values = _numbers(metrics["damping"])
    if not values:
        yield (
            "note",
            "This method inverts no curvature and has no damping: scores rank examples by "
            "similarity; their size, and changes of the loss made of it, say little.",
        )
        return
    low, high = (setting(value) for value in (min(values), max(values)))
    if max(values) == 0:
        yield "note", "Damping λ is 0: the curvature is inverted as it is."
        return
    between = low if low == high else f"{low} to {high}, by block"
    yield (
        "note",
        f"Damping λ is {between}: where the training loss curves less than that, scores are held "
        "back. A larger λ makes them calmer, a smaller one closer to retraining.",
    )


def _directions(spectrum: Mapping[str, Any] | None) -> Iterator[Statement]:
    """Say in how many directions the curvature, not the damping, decides."""
    if spectrum is None or not spectrum.get("blocks"):
        return
    total = above = 0
    for block in spectrum["blocks"]:
        total += block["count"]
        above += directions_above(block)
    directions = counted(total, "direction")
    if above == total:
        yield "good", f"The curvature is larger than λ in all {directions} of the parameters."
        return
    where = "none" if above == 0 else f"about {above:,}"
    yield (
        "note",
        f"The curvature is larger than λ in {where} of {directions} of the parameters; in the "
        "others λ decides.",
    )


def directions_above(block: Mapping[str, Any]) -> int:
    """Count the directions of a block whose eigenvalue is above its damping.

    Parameters
    ----------
    block
        Of ``spectrum.json``: eigenvalues, descending, at some of their ranks.
    """
    damping = block.get("damping") or 0.0
    above = [
        rank
        for rank, value in zip(block["ranks"], block["eigenvalues"], strict=True)
        if isinstance(value, int | float) and value > damping
    ]
    return max(above, default=0)


def _coverage(metrics: Mapping[str, Any]) -> Iterator[Statement]:
    parameters = metrics.get("parameters")
    if not parameters:
        return
    count, share = parameters["covered"], parameters["share"]
    if share == 1:
        yield "good", f"All {counted(count, 'parameter')} of the model are covered."
    else:
        yield (
            "note" if share >= 0.5 else "warning",
            f"{counted(count, 'parameter')}, {percent(share)} of the model's, are covered: what "
            "training examples do to the others is left out.",
        )


def _solutions(metrics: Mapping[str, Any]) -> Iterator[Statement]:
    """Say what iterative solvers left over."""
    residual = metrics.get("relative_residual")
    if residual:
        yield (
            residual_level(residual["largest"]),
            f"Solutions have a relative residual of {number(residual['median'])} (median), "
            f"{number(residual['largest'])} (largest); 0 is exact.",
        )
    stopped = metrics.get("stopped_early")
    if stopped:
        yield (
            "warning",
            f"The solver stopped early for {stopped:,} of "
            f"{counted(metrics['queries'], 'query', 'queries')}: raise "
            f"{_steps_argument(metrics.get('interpreter'))}.",
        )


def _steps_argument(interpreter: Any) -> str:
    return "recursion_depth" if interpreter == "simple-influence" else "the number of steps"


def _eigenvalues(metrics: Mapping[str, Any]) -> Iterator[Statement]:
    mended, negative = metrics.get("mended_eigenvalues"), metrics.get("negative_eigenvalues")
    if mended:
        was = "was" if mended == 1 else "were"
        yield (
            "note",
            f"{counted(mended, 'eigenvalue')} of the curvature, negative or too small, {was} "
            "mended before it was inverted.",
        )
    elif negative:
        yield (
            "warning",
            f"The damped curvature has {counted(negative, 'negative eigenvalue')}: the model is at "
            "no minimum, and scores may mean little.",
        )


def _fisher(diagnostics: Mapping[str, Any]) -> Iterator[Statement]:
    if diagnostics.get("fisher") == "empirical":
        yield (
            "note",
            "The curvature is an empirical Fisher, of the labels in the data: far from the "
            "curvature of the loss where the model is unsure or wrong.",
        )
    spread = diagnostics.get("fisher_relative_standard_error")
    if spread is not None:
        samples = diagnostics.get("fisher_samples")
        drawn = "" if samples is None else f" ({counted(samples, 'sample')} of each example)"
        large = not isinstance(spread, float) or spread > LARGE_SPREAD
        yield (
            "warning" if large else "note",
            f"The curvature was sampled{drawn}: its size is known to {percent(spread)}"
            + (". Another seed gives other scores: raise samples." if large else "."),
        )


def _rank(diagnostics: Mapping[str, Any]) -> Iterator[Statement]:
    """Say what a low rank leaves out."""
    rank, captured = diagnostics.get("rank"), diagnostics.get("trace_captured")
    if rank is None:
        return
    share = "" if captured is None else f", with {percent(captured)} of its trace"
    yield "note", f"The curvature was reduced to rank {rank:,}{share}."


def _layers(diagnostics: Mapping[str, Any]) -> Iterator[Statement]:
    share, diagonal = diagnostics.get("kronecker_share"), diagnostics.get("diagonal_parameters")
    if isinstance(share, float) and share < 1:
        yield "note", f"Kronecker factors stand for {percent(share)} of the parameters."
    if diagonal:
        yield "note", f"Only the diagonal of the curvature is used for {diagonal}."


def _refinement(diagnostics: Mapping[str, Any]) -> Iterator[Statement]:
    if diagnostics.get("refinement") is not None:
        yield (
            "good",
            "Loss changes of the listed examples are refined: a Newton step without the example "
            "was made, and the loss evaluated there.",
        )


def _checkpoints(metrics: Mapping[str, Any]) -> Iterator[Statement]:
    checkpoints = metrics.get("checkpoints")
    if checkpoints:
        yield "note", f"Scores are added up over {counted(len(checkpoints), 'checkpoint')}."


def _numbers(value: Any) -> list[float]:
    """Collect the numbers of a value, which may be a dict by block, or by checkpoint and block."""
    if isinstance(value, Mapping):
        return [number for item in value.values() for number in _numbers(item)]
    return [value] if isinstance(value, int | float) else []
