"""Scores: streaming both ends of a ranking, predicted loss changes, results."""

from hessinf.scores.errors import ScoreError
from hessinf.scores.group_influence import GroupInfluence
from hessinf.scores.interpretation import Influence, Interpretation, Query

__all__ = ["GroupInfluence", "Influence", "Interpretation", "Query", "ScoreError"]
