"""Whether a run splits the scores in its lists by the words of training examples."""

from __future__ import annotations

import logging
from typing import Any, Literal

from hessinf.errors import HessinfError
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.listed_tokens import SHOWN, ListedTokens

logger = logging.getLogger(__name__)


def listed_tokens(
    interpreter: InfluenceInterpreter, wanted: Literal["auto"] | bool
) -> tuple[ListedTokens | None, dict[str, Any] | None]:
    """Make what splits scores by token, where that is wanted and possible.

    Parameters
    ----------
    interpreter
        Any.
    wanted
        True, False, or "auto" for where training examples show tokens and their scores can be
        split.

    Returns
    -------
    ListedTokens or None
        None where scores are not split.
    dict or None
        What ``metrics.json`` says of it; None where there are no tokens, and nobody asked.

    Raises
    ------
    HessinfError
        When it is wanted, and not possible.
    """
    if wanted is True:
        return ListedTokens(interpreter), {"computed": True}
    if SHOWN not in interpreter.train_data[0].display:
        return None, None
    if wanted is False:
        reason = 'the config says "token_influence": false'
    else:
        try:
            return ListedTokens(interpreter), {"computed": True}
        except HessinfError as error:
            reason = str(error)
            logger.warning("no token influence: %s", reason)
    return None, {"computed": False, "reason": reason}
