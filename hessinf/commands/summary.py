"""What a finished run shows on standard output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hessinf.commands.interpret_run import FinishedRun, read_lines

SHOWN = 3
"""Helpful and harmful examples of the first query."""


def summarize(run: FinishedRun) -> str:
    """Describe a finished run: where results lie, how far to believe them, one query.

    Parameters
    ----------
    run
        What :func:`hessinf.commands.interpret_run.interpret` returned.

    Returns
    -------
    str
        Text without colours.
    """
    metrics = json.loads((run.directory / "metrics.json").read_text(encoding="utf-8"))
    done = "finished before" if run.was_complete else "finished"
    lines = [
        f"{metrics['queries']:,} queries against {metrics['training_examples']:,} training "
        f'examples with "{metrics["interpreter"]}": {done}',
        *_trust(metrics),
    ]
    first = next(read_lines(run.interpretations), None)
    if first is not None:
        lines += ["", *_query(first)]
    names = {
        "interpretations.jsonl": "a line for each query: helpful and harmful training examples",
        "scores.zarr": "all scores, [queries, training examples]",
        "metrics.json": "seconds and memory by stage, damping, residuals",
        "config.json": "the config with every default",
        "provenance.json": "versions, seed, hashes of data and configs",
        "model": "the trained model",
        "factors": "what the interpreter has learnt, for reuse",
    }
    lines += ["", f"results in {run.directory}:"]
    lines += [
        f"  {name:<22} {text}" for name, text in names.items() if (run.directory / name).exists()
    ]
    return "\n".join(lines)


def _trust(metrics: dict[str, Any]) -> list[str]:
    """Say how far to believe the results."""
    lines = []
    training = metrics.get("training") or {}
    if "gradient_norm" in training:
        lines.append(
            f"model: training loss {training['loss']:.4g}, gradient norm "
            f"{training['gradient_norm']:.2g} (0 at a minimum)"
        )
    facts = []
    if metrics.get("damping") is not None:
        facts.append(_damping(metrics["damping"]))
    share = metrics["parameters"]["share"]
    facts.append(f"{metrics['parameters']['covered']:,} parameters ({share:.0%})")
    residual = metrics.get("relative_residual")
    if residual:
        facts.append(
            f"relative residual {residual['median']:.2g} (median), {residual['largest']:.2g} (most)"
        )
    lines.append("trust: " + ", ".join(facts))
    if metrics.get("stopped_early"):
        lines.append(
            f"warning: the solver stopped early for {metrics['stopped_early']:,} of "
            f"{metrics['queries']:,} queries; raise {_steps_argument(metrics['interpreter'])}"
        )
    if metrics.get("mended_eigenvalues"):
        count = metrics["mended_eigenvalues"]
        lines.append(
            f"note: {count:,} eigenvalue{'' if count == 1 else 's'} of the curvature, negative or "
            f"too small, {'was' if count == 1 else 'were'} mended before it was inverted"
        )
    elif metrics.get("negative_eigenvalues"):
        count = metrics["negative_eigenvalues"]
        lines.append(
            f"warning: the damped curvature has {count:,} negative eigenvalue"
            f"{'' if count == 1 else 's'}: the model is at no minimum, and scores may mean little"
        )
    return lines


def _damping(damping: Any) -> str:
    """Say what λ was, or between what those of blocks and checkpoints lie."""
    values = _numbers(damping)
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return f"damping {low}" if low == high else f"damping {low} to {high}"


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in _numbers(item)]
    return [] if value is None else [value]


def _steps_argument(interpreter: str) -> str:
    return "recursion_depth" if interpreter == "simple-influence" else "the number of steps"


def _query(line: dict[str, Any]) -> list[str]:
    query = line["query"]
    lines = [
        f"query {query['id']}: {shown_label(query['display'], query['target'])}, "
        f"predicted {_prediction(line)}, loss {query['loss']:.4g}"
    ]
    sides = ("helpful", "harmful")
    refined = any("loss_change_refined" in one for side in sides for one in line[side])
    for side in sides:
        more = f" {'refined':>11}" if refined else ""
        lines.append(f"  most {side:<24} {'score':>12}  {'loss change if removed':>24}{more}")
        for influence in line[side][:SHOWN]:
            name = f"{influence['id']}: {shown_label(influence['display'], influence['target'])}"
            change = influence["loss_change_if_removed"]
            removed = "" if change is None else f"{change:+.3e}"
            if "loss_change_refined" in influence:
                removed = f"{removed:>24}  {influence['loss_change_refined']:+.3e}"
            lines.append(
                f"    {_shortened(name, 27):<27} {influence['score']:>+12.4g}  {removed:>24}"
            )
    return lines


def shown_label(display: dict[str, Any], target: Any) -> str:
    """Name an example's label, and the one that it had before it was changed on purpose."""
    flipped = f" (was {display['flipped_from']})" if "flipped_from" in display else ""
    return f"{display.get('label', target)}{flipped}"


def _prediction(line: dict[str, Any]) -> str:
    prediction = line["query"]["prediction"]
    if isinstance(prediction, int):
        # Any example of the predicted class, the query or a training example, has its name.
        names = {
            example["target"]: example["display"]["label"]
            for example in (*line["helpful"], *line["harmful"], line["query"])
            if isinstance(example["target"], int) and "label" in example["display"]
        }
        return str(names.get(prediction, prediction))
    if isinstance(prediction, float):
        return f"{prediction:.4g}"
    if isinstance(prediction, list) and len(prediction) == 1:
        return f"{prediction[0]:.4g}"
    return str(prediction)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def text_summary(path: Path) -> str:
    """Describe the finished run in a directory."""
    return summarize(FinishedRun(path, was_complete=True))
