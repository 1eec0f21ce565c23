"""Plots of runs, by matplotlib (``pip install 'hessinf[plots]'``).

Each function takes a run directory, or what Python has in its hands, and returns a
``matplotlib.figure.Figure``, which a notebook shows and ``.savefig(...)`` writes:

* :func:`score_distribution`, :func:`self_influence`, :func:`spectrum` of an interpretation,
* :func:`agreement`, :func:`pareto`, :func:`quality` of a comparison or an evaluation,
* :func:`write_plots` writes all of a run's, as PNG and SVG, the same bytes each time.
"""

from hessinf.reporting.plots.agreement import agreement
from hessinf.reporting.plots.errors import PlotError
from hessinf.reporting.plots.pareto import pareto
from hessinf.reporting.plots.quality import quality
from hessinf.reporting.plots.score_distribution import score_distribution
from hessinf.reporting.plots.self_influence import self_influence
from hessinf.reporting.plots.spectrum import spectrum
from hessinf.reporting.plots.written import write_plots

__all__ = [
    "PlotError",
    "agreement",
    "pareto",
    "quality",
    "score_distribution",
    "self_influence",
    "spectrum",
    "write_plots",
]
