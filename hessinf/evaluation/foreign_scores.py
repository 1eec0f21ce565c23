"""Rows of scores of other origin, checked against the model they are said to be of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.errors import HessinfError
from hessinf.evaluation import score_checks
from hessinf.evaluation.baselines import GRADIENT_DOT
from hessinf.evaluation.given_scores import GivenScores
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.problem import Problem, ScoreModel
from hessinf.evaluation.row_folder import row_folder
from hessinf.evaluation.score_models import further_seeds, train_score_models
from hessinf.evaluation.scores_file import ReadScores, require_same_origin

if TYPE_CHECKING:
    import numpy as np

REFERENCES: dict[str, Any] = {
    GRADIENT_DOT: GRADIENT_DOT,
    "reference ekfac": {"type": "ekfac", "damping": {"relative": 0.1}},
}
"""What scores are compared with: without curvature, and with it."""

OTHER_MODELS = 2
"""Models of other seeds that scores are compared with."""

MOST_MODELS = 3

SENTENCES = {
    "negated": "they agree with gradient-dot turned over (mean rank correlation {mean:.2f}): "
    'negative seems to be helpful in them; if so, say NAME=FILE:negated, or "negated": true',
    "rows": "queries seem to be in another order: a query's scores agree no better with its own "
    "gradients than with those of other queries",
    "columns": "they do not agree with the gradients of the explained model (mean rank correlation "
    "{mean:.2f}): training examples may be in another order, or the scores belong to other data, "
    "another model or none",
    "transposed": "rows and columns seem to be exchanged: transposed, they agree with the "
    'gradients of the explained model; if so, say NAME=FILE:transposed, or "transposed": true',
    "transposed and negated": "rows and columns seem to be exchanged, and the sign turned: with "
    "both turned back, they agree with the gradients of the explained model; if so, say "
    'NAME=FILE:transposed:negated, or "transposed": true and "negated": true',
}


def checked_rows(
    given: Mapping[str, ReadScores],
    problem: Problem,
    *,
    provenance: dict[str, Any],
    folder: Path | None = None,
    models_folder: Path | None = None,
    archive_config: Mapping[str, Any] | None = None,
) -> dict[str, GivenScores]:
    """Make rows of scores, and warn of what looks wrong.

    Parameters
    ----------
    given
        By the names of the rows.
    problem
        Its ``warnings`` are added to.
    provenance
        What is evaluated, as ``provenance.json`` says it.
    folder
        Where numbers are kept that the checks need; None keeps them in memory.
    models_folder
        Where models of other seeds are kept, which the checks train; None keeps none.
    archive_config
        What their archives say of how the module is built.

    Raises
    ------
    EvaluationError
        When scores are of other data or of another model, as their own run says.
    """
    for name, read in given.items():
        require_same_origin(name, read, provenance)
    references = References(problem, folder, models_folder, archive_config)
    rows = {}
    for name, read in given.items():
        found = check(name, read.scores, references)
        facts = {**read.facts, "checks": found.facts}
        rows[name] = GivenScores(name, read.scores, problem, facts)
        for sentence in found.sentences:
            problem.warn(sentence)
    references.release()
    return rows


@dataclass(frozen=True)
class Findings:
    """What checks have found.

    Parameters
    ----------
    sentences
        What a person must know; empty where nothing looks wrong.
    facts
        All numbers, as JSON.
    """

    sentences: tuple[str, ...]
    facts: dict[str, Any]


class References:
    """What scores are compared with, computed when it is first asked for.

    Parameters
    ----------
    problem
        Data, models, recipe.
    folder, models_folder, archive_config
        As for :func:`checked_rows`.
    """

    def __init__(
        self,
        problem: Problem,
        folder: Path | None = None,
        models_folder: Path | None = None,
        archive_config: Mapping[str, Any] | None = None,
    ) -> None:
        self.problem = problem
        self.models_folder = models_folder
        self.archive_config = archive_config
        self._methods = {
            name: MethodAttribution(name, method, problem, folder and row_folder(folder, name))
            for name, method in REFERENCES.items()
        }
        self._others: tuple[ScoreModel, ...] | None = None

    def gradients(self) -> np.ndarray:
        """Return gradient-dot of the explained model, ``[Q, N]``."""
        return self._methods[GRADIENT_DOT].scores()

    def of(self, model: ScoreModel) -> dict[str, np.ndarray]:
        """Return all references of a model, ``[Q, N]`` each."""
        return {name: method.scores_of(model) for name, method in self._methods.items()}

    def others(self) -> Sequence[ScoreModel]:
        """Return models of other seeds, trained on the same data; none without a trainer."""
        problem = self.problem
        if len(problem.models) > 1:
            return problem.models[1 : 1 + MOST_MODELS]
        if self._others is None:
            self._others = ()
            if problem.trainer is not None and not problem.cannot_retrain:
                self._others = train_score_models(
                    problem.trainer,
                    problem.make_module,
                    problem.train,
                    problem.objective,
                    further_seeds(problem.seed, OTHER_MODELS, "check"),
                    device=problem.device,
                    memory_limit=problem.memory_limit,
                    validation=problem.validation,
                    folder=self.models_folder,
                    archive_config=self.archive_config,
                    stage="models to compare scores with",
                )
        return self._others

    def release(self) -> None:
        """Let go of what takes much memory."""
        for method in self._methods.values():
            method.release()


def check(name: str, scores: np.ndarray, references: References) -> Findings:
    """Look for signs that scores are not what they are said to be.

    Parameters
    ----------
    name
        What the row is called.
    scores
        ``[Q, N]``, finite.
    references
        What they are compared with.
    """
    sentences = []
    constant = score_checks.constant_rows(scores)
    if constant:
        sentences.append(
            f"{constant:,} of {len(scores):,} queries have one score for all training examples: "
            "they rank nothing"
        )
    gradients = references.gradients()  # [Q, N]
    found = score_checks.agreement(scores, gradients)
    suspected = score_checks.suspicion(found)
    if suspected is not None and score_checks.transposed(scores, gradients):
        suspected = "transposed"
    elif suspected is not None and score_checks.transposed(-scores, gradients):
        suspected = "transposed and negated"
    facts: dict[str, Any] = {"gradient_dot": found.to_json(), "suspected": suspected}
    if suspected is not None:
        sentences.append(SENTENCES[suspected].format(mean=found.mean))
    else:
        origin, facts["origin"] = _origin(scores, references)
        sentences += origin
    return Findings(tuple(f'the scores "{name}": {text}' for text in sentences), facts)


def _origin(scores: np.ndarray, references: References) -> tuple[list[str], Any]:
    """Compare the explained model with models of other seeds."""
    if len(scores) < score_checks.FEWEST_TO_TELL:
        return [], f"not looked for: fewer than {score_checks.FEWEST_TO_TELL} queries"
    others = references.others()
    if not others:
        return [], "not looked for: there is no trainer for models of other seeds"
    try:
        explained = references.of(references.problem.models[0])
        found = score_checks.origin(scores, explained, [references.of(one) for one in others])
    except HessinfError as error:
        return [], f"not looked for: {error}"
    if not found.suspicious:
        return [], found.to_json()
    return [
        f"they agree no better with the explained model than with {len(others)} models of other "
        "seeds: they are of another model, or of none (similarities of inputs are); score the "
        "model that is evaluated, which lies in DIR/model"
    ], found.to_json()
