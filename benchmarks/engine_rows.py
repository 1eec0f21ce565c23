"""``Row``: one line of what ``benchmarks.engine`` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Group = Literal["contraction", "work", "stage", "operation", "bar"]


@dataclass(frozen=True)
class Row:
    """What something took, and what it asked of the machine.

    Parameters
    ----------
    group
        "contraction": scores of one layer shape; "work": a method on a workload, plainly run;
        "stage": a part of that; "operation": its longest operations; "bar": what has to hold.
    name
        The same in every run: what a history is compared by.
    seconds
        Of the processor.
    kernels
        The same, in units of the 17.2-GFLOP sgemm.
    flops
        Counted as they were carried out.
    bytes
        Read and written by operations, as if nothing stayed in a cache.
    share
        What the flops would take at the fastest measured rate of a matrix product of their
        precision, as a share of the seconds.
    plain_share
        The same at the rate of sgemm as PyTorch multiplies unless told otherwise; for scores.
    predicted_flops, predicted_bytes
        By the engine's own plan, where there is one.
    plan
        What the plan chose.
    dense_flops
        2·Q·N·P: what scores would take from gradients that lie ready as tensors.
    error
        Relative, against float64.
    passed
        Whether a bar holds.
    note
        What else is to say.
    """

    group: Group
    name: str
    seconds: float = 0.0
    kernels: float = 0.0
    flops: int = 0
    bytes: int = 0
    share: float | None = None
    plain_share: float | None = None
    predicted_flops: float | None = None
    predicted_bytes: float | None = None
    plan: str = ""
    dense_flops: int | None = None
    error: float | None = None
    passed: bool | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, without what says nothing."""
        return {
            key: value for key, value in vars(self).items() if value is not None and value != ""
        }
