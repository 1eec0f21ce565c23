"""What is raised where there is nothing to report."""

from __future__ import annotations

from hessinf.errors import HessinfError


class ReportError(HessinfError):
    """A directory has nothing that a report could show."""


class NoRunError(ReportError):
    """What was given is no directory of a run: the command line is wrong."""

    exit_status = 2
