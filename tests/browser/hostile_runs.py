"""Runs in which every text that data or a config can bring is hostile."""

from __future__ import annotations

from typing import Any

from benchmarks.synthetic_runs import Example, SyntheticRun, synthetic_run
from tests.browser.hostile_texts import HOSTILE

NO_IMAGES: tuple[Any, ...] = (
    "<img src=x onerror=hostile('no image')>",
    [],
    [[]],
    [[1, 2], [3]],
    [["a", "b"], ["c", "d"]],
    [[None, 1], [1, 1]],
    [[float("nan"), float("inf")], [0, -1e300]],
    {"src": "javascript:hostile('image')"},
    True,
)
"""What ``display["image"]`` should not be, but may."""


def hostile_example(kind: str, place: int) -> Example:
    """Make an example in which a hostile text stands wherever a text can."""
    text = HOSTILE[place % len(HOSTILE)]
    display: dict[str, Any] = {
        "text": f"{text} in a text",
        "tokens": [text, "in", "a", "text"],
        "row": {f"{text} column": f"{text} cell", "plain": 1.5, "nothing": None},
        "label": text,
        "flipped_from": HOSTILE[(place + 1) % len(HOSTILE)],
        "remark": f"{text} remark",
        f"{text} key": [text, {text: text}],
    }
    if kind == "train":
        display["image"] = NO_IMAGES[place % len(NO_IMAGES)]
    return Example(f"{text} {kind}", display, place % len(HOSTILE))


def hostile_run() -> SyntheticRun:
    """Make a run of as many queries and training examples as there are hostile texts."""
    train = [hostile_example("train", place) for place in range(len(HOSTILE))]
    queries = [hostile_example("test", place) for place in range(len(HOSTILE))]
    run = synthetic_run(train, queries, HOSTILE, top_k=5, warnings=HOSTILE)
    nested = {text: [text, {text: text}] for text in HOSTILE}
    run.config.update(
        train_data_path=HOSTILE[0],
        test_data_path=HOSTILE[1],
        model={"type": HOSTILE[2], "arguments": nested},
        dataset_reader={"type": HOSTILE[3], "arguments": nested},
        interpreter={"type": HOSTILE[4], "arguments": nested},
    )
    run.metrics["interpreter"] = HOSTILE[4]
    run.metrics["damping"] = dict.fromkeys(HOSTILE, 0.1)
    run.metrics["training"]["stopped_because"] = HOSTILE[0]
    return run
