"""Cosines of gradients: how alike the directions are, whatever the sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.gradients.gradients import Gradients
    from hessinf.scores import cosines
else:
    cosines = lazy_import("hessinf.scores.cosines")


@InfluenceInterpreter.register("gradient-cosine")
class GradientCosine(InfluenceInterpreter):
    """The cosine between a query's gradient and that of each training example.

    Registered as an `InfluenceInterpreter` with name "gradient-cosine".

    As "gradient-dot", with all gradients scaled to length 1: training examples with a large loss,
    which lead the lists of other methods for every query, do not any more. Scores lie between −1
    and 1 and only rank: no loss changes follow from them. An example whose gradient is exactly zero
    has no direction, and scores 0. Use it as a measure of similarity, such as to find training
    examples of the same kind.

    Cost
    ----
    As "gradient-dot", and the norms of gradients: O + I for a matrix [O, I] that an example uses at
    one position.

    References
    ----------
    Barshan, Brunet & Dziugaite, RelatIF: Identifying Explanatory Training Samples via Relative
    Influence, AISTATS 2020 (what examples with large gradients do to lists). Hanawa, Yokoi, Hara &
    Inui, Evaluation of Similarity-based Explanations, ICLR 2021.
    """

    predicts_loss_changes = False

    why_no_self_influence = "the cosine of any gradient with itself is 1"

    def scorer(self, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
        """Prepare the queries' norms: scores are cosines."""
        return cosines.Cosines(query_gradients, self.score_precision)

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        """Return the cosines, ``[Q, B]``."""
        left = cosines.directions(query_gradients)  # [Q, P]
        return left @ cosines.directions(train_gradients).T  # [Q, B]

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        """Return each gradient's direction, ``[B, P]``."""
        return cosines.directions(gradients)
