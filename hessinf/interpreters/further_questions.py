"""What else can be asked of every interpreter: groups, features, blocks, dampings, vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hessinf.interpreters.groups import GroupsBy, find_groups
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.curvature import Damping
    from hessinf.curvature.blocks import Blocks
    from hessinf.interpreters import (
        block_scores,
        damping_sweep,
        embeddings,
        group_scoring,
        perturbation,
        query_factors,
    )
    from hessinf.interpreters import token_influence as tokens
    from hessinf.interpreters.fitted_method import FittedMethod
    from hessinf.scores import GroupInfluence
else:
    block_scores = lazy_import("hessinf.interpreters.block_scores")
    damping_sweep = lazy_import("hessinf.interpreters.damping_sweep")
    embeddings = lazy_import("hessinf.interpreters.embeddings")
    group_scoring = lazy_import("hessinf.interpreters.group_scoring")
    perturbation = lazy_import("hessinf.interpreters.perturbation")
    query_factors = lazy_import("hessinf.interpreters.query_factors")
    tokens = lazy_import("hessinf.interpreters.token_influence")


class FurtherQuestions:
    """The part of :class:`~hessinf.interpreters.InfluenceInterpreter` beyond single scores."""

    def group_influence(self: FittedMethod, test_data: Any, by: GroupsBy) -> GroupInfluence:
        """Score groups of training examples.

        The score of a group is the sum of its members' scores. Members' scores are added up while
        they stream by: the Q × N matrix is never there.

        Parameters
        ----------
        test_data
            As ``train_data``.
        by
            "label": a group for each class. {"field": "row.sex"}: one for each value of a field of
            what is shown of an example. {"id_pattern": "^([a-z]+)-"}: one for each text that the
            expression finds in the ids. A dict or list of lists of training indices. A function of
            an instance that returns the name of its group, or None.

        Returns
        -------
        GroupInfluence
            Names, sizes, scores ``[Q, G]``, and predicted loss changes ``[Q, G]`` when the model is
            trained again without the whole group: to first order, which is the less exact the
            larger the group is.
        """
        queries = self.check_queries(test_data)
        return group_scoring.group_influence(self, queries, find_groups(by, self.train_data))

    def perturbation_influence(
        self: FittedMethod, test_data: Any, train_indices: Sequence[int] | None = None
    ) -> np.ndarray | dict[str, np.ndarray]:
        """Differentiate scores in the input features of training examples.

        ``∂score[q, i]/∂x_i = f_qᵀ ∂²ℓ_i/∂θ∂x_i`` with the influence factors ``f_q``: how a training
        example would have to be changed to help a query more. When example i is moved by δ and the
        model trained again, the query's loss changes by ``−⟨∂score[q, i]/∂x_i, δ⟩ / N``, to first
        order.

        Parameters
        ----------
        test_data
            As ``train_data``.
        train_indices
            Which n training examples; all, when left out.

        Returns
        -------
        numpy.ndarray or dict
            ``[Q, n, *input_shape]``; for inputs that are a dict, such an array for each floating
            entry. Where examples differ in length, the shorter ones are padded with zeros.

        Raises
        ------
        InterpreterError
            When inputs are integers, such as tokens, or the result exceeds ``memory_limit``.
        """
        queries = self.check_queries(test_data)
        return perturbation.perturbation_influence(self, queries, train_indices)

    def token_influence(
        self: FittedMethod, test_data: Any, train_indices: Sequence[int] | None = None
    ) -> tokens.TokenInfluence:
        """Split scores by the tokens of training examples: which words helped, or harmed.

        A layer's gradient is a sum over the positions at which the layer was used, and a score is
        linear in it, so the split is exact (Grosse et al. 2023, §3.3). What comes from layers that
        are not used position by position, such as a linear layer behind the mean over positions,
        belongs to no token: that is the rest.

        Parameters
        ----------
        test_data
            As ``train_data``.
        train_indices
            Which n training examples; all, when left out.

        Returns
        -------
        TokenInfluence
            ``positions`` ``[Q, n, S]`` and ``rest`` ``[Q, n]``, whose sums are the scores.

        Raises
        ------
        InterpreterError
            When the method's scores are no inner products with influence factors, when the inputs
            have no tokens, or the result exceeds ``memory_limit``.
        GradientError
            When gradients of parameters are not made of what layers receive and give back; it names
            them.
        """
        queries = self.check_queries(test_data)
        return tokens.token_influence(self, queries, train_indices)

    def influence_factors(self: FittedMethod, test_data: Any) -> query_factors.InfluenceFactors:
        """Compute the influence factors of queries, to be saved and used for other training sets.

        Parameters
        ----------
        test_data
            As ``train_data``.

        Returns
        -------
        InfluenceFactors
            ``(C + λI)⁻¹ ∇m_q`` of each query; its ``scores`` takes any training examples.

        Raises
        ------
        InterpreterError
            When the method's scores are no inner products with such factors.
        """
        return query_factors.influence_factors(self, test_data)

    def scores_by_block(
        self: FittedMethod, test_data: Any, blocks: Blocks = "layer"
    ) -> dict[str, np.ndarray]:
        """Split scores into the parts that come from blocks of parameters.

        Parameters
        ----------
        test_data
            As ``train_data``.
        blocks
            "layer" for the module that owns a parameter, "parameter", or regular expressions for
            each block by name. A tied parameter belongs to the first of its names.

        Returns
        -------
        dict of str to numpy.ndarray
            ``[Q, N]`` for each block; together they add up to the scores.

        Raises
        ------
        InterpreterError
            When the method's scores are no inner products with influence factors.
        """
        return block_scores.scores_by_block(self, test_data, blocks)

    def scores_by_damping(
        self: FittedMethod, test_data: Any, dampings: Sequence[Damping]
    ) -> np.ndarray:
        """Score at several dampings, the curvature and training gradients being computed once.

        Parameters
        ----------
        test_data
            As ``train_data``.
        dampings
            D of them, as the constructor takes one. The interpreter keeps its own.

        Returns
        -------
        numpy.ndarray
            ``[D, Q, N]``.

        Raises
        ------
        InterpreterError
            When the method cannot change its damping; it names those that can.
        """
        return damping_sweep.scores_by_damping(self, test_data, dampings)

    def embed(self: FittedMethod, data: Any, *, as_queries: bool = False) -> np.ndarray:
        """Map examples to vectors whose inner products are the scores.

        Parameters
        ----------
        data
            As ``train_data``.
        as_queries
            Whether to take the gradient of the measurement, turned so that less is better, instead
            of that of the loss. Scores are inner products of queries' vectors with those of
            training examples; where the loss is measured, the two are the same.

        Returns
        -------
        numpy.ndarray
            ``[n, D]``.

        Raises
        ------
        InterpreterError
            When the method has no such vectors; it names those that have.
        """
        return embeddings.embed(self, data, as_queries=as_queries)
