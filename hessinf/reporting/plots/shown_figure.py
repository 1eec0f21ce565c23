"""A figure that a notebook shows by itself, also where nobody has imported pyplot."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SHARPNESS = 2
"""Pixels for each point of the screen, along each side."""


class ShownFigure(Figure):
    """A matplotlib figure with a picture of itself, whatever backend is set.

    Parameters
    ----------
    **kwargs
        As for :class:`matplotlib.figure.Figure`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        FigureCanvasAgg(self)  # measures texts before anything is written

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=SHARPNESS * self.dpi, metadata={"Software": None})
        width, height = (self.get_size_inches() * self.dpi).tolist()
        return file.getvalue(), {"width": round(width), "height": round(height)}
