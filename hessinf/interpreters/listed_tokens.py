"""Token influence of the training examples that stand in the lists of an interpretation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from hessinf.data.batching import Batch
from hessinf.data.instance import Instance
from hessinf.gradients import Gradients
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.score_stream import block_factors, evaluating
from hessinf.interpreters.token_influence import TokenSplitter
from hessinf.scores import Influence

SHOWN = "tokens"
"""What of an example's display has its tokens."""

TRIED = 2
"""Examples that are looked at before a long run."""


@dataclass(frozen=True)
class TokenShares:
    """What the tokens of one training example contribute to one score.

    Parameters
    ----------
    tokens
        A number for each token that is shown.
    rest
        What belongs to none of them.
    """

    tokens: tuple[float, ...]
    rest: float


class ListedTokens:
    """Splits the scores in lists by the tokens that are shown of training examples.

    Parameters
    ----------
    interpreter
        Any.

    Raises
    ------
    HessinfError
        When there are no tokens, or scores cannot be split: before anything is computed.
    """

    def __init__(self, interpreter: FittedMethod) -> None:
        self.interpreter = interpreter
        self.splitter = TokenSplitter(interpreter, interpreter.train_data)
        self.shown: Mapping[int, int] = self._shown()
        with evaluating(interpreter):
            self.splitter.require_positions(range(min(TRIED, len(interpreter.train_data))))

    def _shown(self) -> dict[int, int]:
        """Count the tokens that are shown of each training example that has some."""
        found = {}
        for index, instance in enumerate(self.interpreter.train_data.instances):
            if SHOWN in instance.display:
                self._require_positions(instance)
                found[index] = len(instance.display[SHOWN])
        if not found:
            raise InterpreterError(
                'the training examples show no tokens; token influence needs a list display["'
                f'{SHOWN}"] beside their text, as the dataset reader "text" gives it'
            )
        return found

    def _require_positions(self, instance: Instance) -> None:
        shown, there = len(instance.display[SHOWN]), self.splitter.length_of(instance)
        if shown > there:
            raise InterpreterError(
                f'"{instance.id}" shows {shown} tokens, and its input has {there}; token influence '
                "needs an input for each token that is shown, in their order"
            )

    def added(
        self,
        batch: Batch,
        sides: Sequence[Sequence[tuple[Influence, ...]]],
        factors: Mapping[int, Gradients],
    ) -> list[list[tuple[Influence, ...]]]:
        """Say of each training example in lists what its tokens contribute.

        Parameters
        ----------
        batch
            A block of Q queries.
        sides
            Lists of each query, for both ends of the ranking.
        factors
            Influence factors of the queries that are known already, by the ``id`` of the part of
            the interpreter; the others are computed.
        """
        lists = [
            sorted({one.index for side in sides for one in side[row]} & self.shown.keys())
            for row in range(batch.size)
        ]
        shares: list[dict[int, TokenShares]] = [{} for _ in lists]
        with evaluating(self.interpreter):
            known = [
                factors[id(part)] if id(part) in factors else block_factors(part, batch)
                for part, _ in parts(self.interpreter)
            ]
            for row, indices, positions, rest in self.splitter.split(known, lists):
                for place, index in enumerate(indices.tolist()):
                    shares[row][index] = self._shares(index, positions[place], rest[place])
        return [
            [tuple(_with(one, shares[row]) for one in side[row]) for row in range(batch.size)]
            for side in sides
        ]

    def _shares(self, index: int, positions: torch.Tensor, rest: torch.Tensor) -> TokenShares:
        """Keep a number for each token that is shown; other positions belong to the rest."""
        shown = self.shown[index]
        others = rest + positions[shown:].sum()
        # The shortest decimal numbers that are these, not those of their doubles.
        numbers = positions[:shown].numpy()  # [T]
        return TokenShares(
            tuple(float(str(number)) for number in numbers), float(str(others.numpy()))
        )


def _with(influence: Influence, shares: Mapping[int, TokenShares]) -> Influence:
    found = shares.get(influence.index)
    if found is None:
        return influence
    return replace(influence, token_influence=found.tokens, token_influence_rest=found.rest)
