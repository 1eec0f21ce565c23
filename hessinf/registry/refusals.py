"""What constructors refuse: relations between arguments that no annotation can say.

A plan whose values all have the right types is tried: whatever needs nothing from the program is
built and thrown away, the parts that are built later included. Constructors keep their arguments
and touch no data, so this costs nothing, and a run does not stop late for what could be known.
"""

from __future__ import annotations

from hessinf.registry.errors import ConfigError, Problem
from hessinf.registry.plan import Construction, Deferred, Entries, Items, Plan


def refusals(plan: Plan) -> list[Problem]:
    """Try a plan.

    Parameters
    ----------
    plan
        What will be built.

    Returns
    -------
    list of Problem
        What constructors refused, each with its place; of nested objects only the innermost.
    """
    problems = [problem for part in _parts(plan) for problem in refusals(part)]
    if problems or not isinstance(plan, Construction) or any(plan.injectable.values()):
        return problems
    try:
        plan.build({})
    except ConfigError as error:
        return list(error.problems)
    return []


def _parts(plan: Plan) -> list[Plan]:
    if isinstance(plan, Construction):
        return list(plan.arguments.values())
    if isinstance(plan, Items):
        return list(plan.items)
    if isinstance(plan, Entries):
        return list(plan.entries.values())
    return [plan.inner] if isinstance(plan, Deferred) else []
