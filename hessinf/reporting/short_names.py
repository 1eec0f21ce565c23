"""Names of rows where there is little room: beside a curve, above a panel."""

from __future__ import annotations

LONGEST = 40


def short_name(name: str, longest: int = LONGEST) -> str:
    """Leave the middle of a long name out; names differ at both ends.

    Parameters
    ----------
    name
        What may be long.
    longest
        How many characters there is room for.
    """
    if len(name) <= longest:
        return name
    end = (longest - 1) // 2
    return f"{name[: longest - 1 - end]}…{name[-end:]}"
