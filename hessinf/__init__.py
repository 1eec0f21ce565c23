"""hessinf: influence functions for PyTorch that people can trust and extend.

Which training examples helped a prediction, which harmed it, and how far to believe it::

    from hessinf import InfluenceInterpreter

    method = InfluenceInterpreter.by_name("exact")
    interpreter = method(model, train_data, objective="cross-entropy", damping=1e-3)
    for interpretation in interpreter.interpret(test_data, k=10):
        ...
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hessinf.curvature import Damping, as_damping, effective_damping
    from hessinf.data import DataError, Dataset, DatasetReader, Instance, as_dataset
    from hessinf.errors import HessinfError
    from hessinf.execution import Executor
    from hessinf.gradients import Gradients
    from hessinf.interpreters import ByField, ById, InfluenceInterpreter, InterpreterError
    from hessinf.interpreters.query_factors import InfluenceFactors
    from hessinf.interpreters.token_influence import TokenInfluence
    from hessinf.models import (
        Measurement,
        Model,
        Objective,
        load_archive,
        save_archive,
    )
    from hessinf.registry import (
        Above,
        AtLeast,
        Between,
        ConfigError,
        Lazy,
        Registrable,
        import_plugins,
    )
    from hessinf.runtime.lazy_import import lazy_import
    from hessinf.scores import GroupInfluence, Influence, Interpretation, Query
    from hessinf.training import Optimizer, Trainer, TrainingRecord

_WHERE = {
    "Above": "hessinf.registry",
    "AtLeast": "hessinf.registry",
    "Between": "hessinf.registry",
    "ByField": "hessinf.interpreters",
    "ById": "hessinf.interpreters",
    "ConfigError": "hessinf.registry",
    "Damping": "hessinf.curvature",
    "DataError": "hessinf.data",
    "Dataset": "hessinf.data",
    "DatasetReader": "hessinf.data",
    "Executor": "hessinf.execution",
    "Gradients": "hessinf.gradients",
    "GroupInfluence": "hessinf.scores",
    "HessinfError": "hessinf.errors",
    "Influence": "hessinf.scores",
    "InfluenceFactors": "hessinf.interpreters.query_factors",
    "InfluenceInterpreter": "hessinf.interpreters",
    "Instance": "hessinf.data",
    "Interpretation": "hessinf.scores",
    "InterpreterError": "hessinf.interpreters",
    "Lazy": "hessinf.registry",
    "Measurement": "hessinf.models",
    "Model": "hessinf.models",
    "Objective": "hessinf.models",
    "Optimizer": "hessinf.training",
    "Query": "hessinf.scores",
    "Registrable": "hessinf.registry",
    "TokenInfluence": "hessinf.interpreters.token_influence",
    "Trainer": "hessinf.training",
    "TrainingRecord": "hessinf.training",
    "as_damping": "hessinf.curvature",
    "as_dataset": "hessinf.data",
    "effective_damping": "hessinf.curvature",
    "import_plugins": "hessinf.registry",
    "lazy_import": "hessinf.runtime.lazy_import",
    "load_archive": "hessinf.models",
    "save_archive": "hessinf.models",
}
"""Where each public name lives: rooms are imported when a name of theirs is first used."""

__all__ = [
    "Above",
    "AtLeast",
    "Between",
    "ByField",
    "ById",
    "ConfigError",
    "Damping",
    "DataError",
    "Dataset",
    "DatasetReader",
    "Executor",
    "Gradients",
    "GroupInfluence",
    "HessinfError",
    "Influence",
    "InfluenceFactors",
    "InfluenceInterpreter",
    "Instance",
    "Interpretation",
    "InterpreterError",
    "Lazy",
    "Measurement",
    "Model",
    "Objective",
    "Optimizer",
    "Query",
    "Registrable",
    "TokenInfluence",
    "Trainer",
    "TrainingRecord",
    "as_damping",
    "as_dataset",
    "effective_damping",
    "import_plugins",
    "lazy_import",
    "load_archive",
    "save_archive",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hessinf")
    if name not in _WHERE:
        raise AttributeError(f"module 'hessinf' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
