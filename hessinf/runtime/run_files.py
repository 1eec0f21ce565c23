"""Names of the files and folders in a run directory: each is written in one place, read in many."""

from __future__ import annotations

PROVENANCE = "provenance.json"
"""Written first: a directory that has it is a run of hessinf's."""

CONFIG = "config.json"
METRICS = "metrics.json"
LOG = "log.txt"

INTERPRETATIONS = "interpretations.jsonl"
SHARDS = "shards"
"""Where the queries of a run that is not finished lie."""

SELF_INFLUENCE = "self_influence.jsonl"
SPECTRUM = "spectrum.json"
COMPARISON = "comparison.json"
EVALUATION = "evaluation.json"
ANALYSIS = "analysis.json"
PLOTS = "plots"
REPORT_PAGE = "report.html"
COMPARISON_PAGE = "comparison.html"
