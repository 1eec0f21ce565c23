"""What files of a run say, with as little as a test needs."""

from __future__ import annotations

from typing import Any


def influence(index: int, score: float, **others: Any) -> dict[str, Any]:
    """An entry of a list."""
    return {
        "index": index,
        "id": f"train/{index}",
        "display": {},
        "score": score,
        "loss": 0.5,
        "loss_change_if_removed": score / 10,
        "target": index % 2,
        **others,
    }


def interpretation(
    place: int = 0, helpful: Any = (), harmful: Any = (), **others: Any
) -> dict[str, Any]:
    """A line; what is said beside belongs to the query."""
    line = {name: others.pop(name) for name in ("scores", "diagnostics") if name in others}
    query = {
        "index": place,
        "id": f"test/{place}",
        "display": {},
        "loss": 0.25,
        "measurement": others.get("loss", 0.25),
        "prediction": 1,
        "target": 1,
        **others,
    }
    return {"query": query, "helpful": [*helpful], "harmful": [*harmful], **line}


def scores(**histogram: Any) -> dict[str, Any]:
    """The distribution of a query's scores."""
    bins = {"positive": {}, "negative": {}, "zero": 0, **histogram}
    count = bins["zero"] + sum(sum(bins[side].values()) for side in ("positive", "negative"))
    return {"count": count, "mean": 0.0, "standard_deviation": 0.5, "histogram": bins}


def ranked(index: int, self_influence: float | None, **others: Any) -> dict[str, Any]:
    """A line of a ranking."""
    line = {
        "rank": 0,
        "index": index,
        "id": f"train/{index}",
        "display": {},
        "self_influence": self_influence,
        "loss": 0.5,
        "target": index % 2,
    }
    return {**line, **others}


def block(
    name: str, eigenvalues: list[Any], damping: float | None = 0.1, **others: Any
) -> dict[str, Any]:
    """A block of a spectrum, with all its eigenvalues."""
    count = len(eigenvalues)
    return {
        "name": name,
        "count": count,
        "damping": damping,
        "ranks": list(range(1, count + 1)),
        "eigenvalues": eigenvalues,
        **others,
    }
