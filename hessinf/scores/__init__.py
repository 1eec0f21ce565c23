"""Scores: streaming both ends of a ranking, predicted loss changes, results."""

from hessinf.scores.errors import ScoreError
from hessinf.scores.interpretation import Influence, Interpretation, Query

__all__ = ["Influence", "Interpretation", "Query", "ScoreError"]
