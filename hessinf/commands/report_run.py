"""``report`` as Python functions: a page, and plots beside it, from what a run has left."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.commands.full_disk import NO_SPACE
from hessinf.commands.result_files import CONTENTS, PAGES, result_files
from hessinf.reporting.report_error import ReportError
from hessinf.reporting.reported_run import is_comparison, read_object, read_reported_run
from hessinf.runtime.files import write_atomically
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.run_files import COMPARISON, COMPARISON_PAGE, METRICS, PLOTS, REPORT_PAGE

if TYPE_CHECKING:
    from hessinf.reporting import comparison_page, plots, report_page
    from hessinf.reporting.plots import figures
else:
    comparison_page = lazy_import("hessinf.reporting.comparison_page")
    figures = lazy_import("hessinf.reporting.plots.figures")
    plots = lazy_import("hessinf.reporting.plots")
    report_page = lazy_import("hessinf.reporting.report_page")

logger = logging.getLogger(__name__)


NO_MATPLOTLIB = "no plots: matplotlib is not installed (pip install 'hessinf[plots]')"


@dataclass(frozen=True)
class WrittenReport:
    """What was written.

    Parameters
    ----------
    page
        The page.
    plots
        Figures beside it.
    left_out
        Why there are no figures; empty where there are, or none were asked for.
    """

    page: Path
    plots: Sequence[Path] = ()
    left_out: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "directory": str(self.page.parent),
            "report": str(self.page),
            "bytes": self.page.stat().st_size,
            "plots": [str(path) for path in self.plots],
        }


def write_report(folder: str | Path, *, with_plots: bool = False) -> WrittenReport:
    """Write the page of a run into its directory, finished or not, and whatever version left it.

    The same results give the same bytes.

    Parameters
    ----------
    folder
        The directory of ``hessinf interpret``, ``self-influence`` or ``compare``.
    with_plots
        Write figures too, as SVG and PNG, where matplotlib is installed.

    Returns
    -------
    WrittenReport

    Raises
    ------
    ReportError
        Where there is nothing to show, or the page cannot be written.
    """
    folder = Path(folder)
    if is_comparison(folder):
        figures, left_out = _figures(folder, with_plots=with_plots)  # the page names them
        page = folder / COMPARISON_PAGE
        costs = read_object(folder / METRICS).get("rows") or {}
        found = read_object(folder / COMPARISON)
        text = comparison_page.comparison_page(found, costs, files_beside(folder))
        with _naming(page):
            write_atomically(page, text)
    else:
        page = folder / REPORT_PAGE
        text = report_page.report_page(read_reported_run(folder))
        try:
            figures, left_out = _figures(folder, with_plots=with_plots)
        finally:  # last: where the page is, figures have been written too, or could not be
            with _naming(page):
                write_atomically(page, text)
    return WrittenReport(page, figures, left_out)


def _figures(folder: Path, *, with_plots: bool) -> tuple[Sequence[Path], str]:
    """Write figures, where they are asked for and can be; else say why there are none."""
    if not with_plots:
        return (), ""
    if not figures.plots_available():
        return (), NO_MATPLOTLIB
    try:
        with _naming(folder / PLOTS):
            return plots.write_plots(folder), ""
    except ImportError as error:  # as of a matplotlib that was built for another NumPy
        return (), f"no plots: matplotlib cannot be imported ({error})"
    except plots.PlotError as error:
        return (), f"no plots: {error}"


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Say which file cannot be written, and what to do; a full disk is called so elsewhere."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise
        raise ReportError(
            f"cannot write {file}: {error.strerror}; a report is written into the directory of its "
            "run: copy that to where you may write"
        ) from error


def try_report(folder: Path, *, with_plots: bool = False) -> None:
    """Write the report of a run that has just ended well; where that fails, warn and go on.

    Parameters
    ----------
    folder, with_plots
        As for :func:`write_report`.
    """
    try:
        left_out = write_report(folder, with_plots=with_plots).left_out
    except Exception as error:
        logger.warning(
            "the report could not be written (%s: %s); the results are complete, and hessinf "
            "report %s writes it again",
            type(error).__name__,
            error,
            folder,
        )
    else:
        if left_out:
            logger.info("%s", left_out)


def files_beside(folder: Path) -> list[tuple[str, str]]:
    """Return the addresses of a run's files, beside its page, and what is in them.

    Parameters
    ----------
    folder
        The run's directory.
    """
    found = []
    for name, path in result_files(folder).items():
        if path.is_dir():
            found.append((f"{name}/", CONTENTS[name]))
        elif name not in PAGES:
            found.append((name, CONTENTS[name]))
    figures = sorted(path.name for path in (folder / PLOTS).glob("*.svg"))
    return [*found, *((f"{PLOTS}/{name}", "figure") for name in figures)]
