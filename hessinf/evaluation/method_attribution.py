"""``MethodAttribution``: the scores of one of hessinf's own methods."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.errors import HessinfError
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.kept_arrays import Kept, KeptArrays
from hessinf.evaluation.problem import Problem, ScoreModel
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.method_hooks import overrides
from hessinf.registry import Lazy
from hessinf.registry.plan import as_json
from hessinf.registry.signatures import constructor_arguments
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import loss_changes
    from hessinf.interpreters import diagnostics
    from hessinf.models import checkpoint
else:
    np = lazy_import("numpy")
    checkpoint = lazy_import("hessinf.models.checkpoint")
    diagnostics = lazy_import("hessinf.interpreters.diagnostics")
    loss_changes = lazy_import("hessinf.evaluation.loss_changes")

WORTH_COLLECTING = 1 << 22
"""Numbers that an interpreter may hold, as a matrix of parameters or of training gradients: fewer
are left to Python, which frees them in its own time."""

Method = Lazy[InfluenceInterpreter] | str | dict[str, Any]
"""A method: its name, its config, or what a config made of it."""


class MethodAttribution(Attribution):
    """What an interpreter says, for each of the problem's models.

    An interpreter is made and fitted when a number is asked for that was not kept, and stays until
    another model's is needed, or :meth:`release` is called.

    Parameters
    ----------
    name
        What tables call the row.
    method
        A registered name, ``{"type": ..., ...}``, or a :class:`hessinf.registry.Lazy`.
    problem
        Data and models.
    folder
        Where numbers are kept as ``.npy`` files; None keeps them in memory.
    """

    def __init__(
        self, name: str, method: Method, problem: Problem, folder: Path | None = None
    ) -> None:
        self.method = method if isinstance(method, Lazy) else _lazy(method)
        self.method_class = _class_of(self.method)
        self.spec: dict[str, Any] = as_json(self.method)
        self.checkpoints: list[str] = list(self.spec.get("checkpoints") or ())
        # Checkpoints are of the training of the run's own model.
        super().__init__(name, 1 if self.checkpoints else len(problem.models))
        self.problem = problem
        self._arrays = KeptArrays(folder)
        self._fitted: tuple[str, InfluenceInterpreter] | None = None
        self._facts: dict[str, Any] = {}

    def scores(self, model: int = 0) -> np.ndarray:
        """Return the scores ``[Q, N]``, float64."""
        return self.scores_of(self.problem.models[model])

    def fit(self, model: int = 0) -> None:
        """Fit the method to one of the problem's models now, not with the first number.

        For who measures what fitting takes: nothing is kept of it.
        """
        try:
            self._interpreter(self.problem.models[model], None).fit()
        except HessinfError as error:
            raise EvaluationError(f'"{self.name}": {error}') from error

    @property
    def has_damping(self) -> bool:
        """Whether the method has a damping."""
        return "damping" in constructor_arguments(self.method_class)

    def scores_by_damping(self, dampings: Sequence[Any], model: int = 0) -> np.ndarray:
        """Return the scores ``[D, Q, N]`` at several dampings, float64.

        Methods that can change their damping are fitted once, others for each damping anew.
        """
        if not self.has_damping:
            return super().scores_by_damping(dampings, model)
        chosen = self.problem.models[model]
        if not overrides(self.method_class, "change_damping"):
            return np.stack([self.scores_of(chosen, damping) for damping in dampings])  # [D, Q, N]
        return self._array(
            "scores-by-damping",
            chosen,
            lambda interpreter: interpreter.scores_by_damping(self.problem.queries, dampings),
            dampings=as_json(list(dampings)),
        )

    def self_influence(self, model: int = 0) -> np.ndarray:
        """Return the influence of each training example on itself, ``[N]``, float64."""
        return self._array(
            "self-influence",
            self.problem.models[model],
            lambda interpreter: interpreter.self_influence(),
        )

    def loss_changes(self, *, refined: bool = False, model: int = 0) -> np.ndarray | None:
        """Return predicted loss changes ``[Q, N]``, float64.

        None where the measurement is not the loss, or the method's scores only rank.
        """
        if self.problem.measurement.registered_name() != "loss":
            return None
        chosen = self.problem.models[model]
        if refined:
            if self.method_class.refinement_refusal() is not None or self.checkpoints:
                return None
            return self._array(
                "refined-loss-changes",
                chosen,
                lambda interpreter: interpreter.loss_changes(
                    self.problem.queries, refinement="newton-step"
                ),
            )
        if not self.method_class.predicts_loss_changes:
            return None
        every = np.arange(len(self.problem.train))  # [N]
        return loss_changes.changes_from_scores(
            self.scores_of(chosen), every, self.problem.training_reduction
        )

    def scores_for(self, model: ScoreModel) -> np.ndarray | None:
        """Return the scores ``[Q, N]`` for any model; None where checkpoints tie it to one."""
        return None if self.checkpoints else self.scores_of(model)

    def release(self) -> None:
        """Let go of the fitted interpreter."""
        if self._fitted is None:
            return
        parameters = self._fitted[1].model.layout.size
        numbers = parameters * max(parameters, len(self.problem.train))
        self._fitted = None
        if numbers > WORTH_COLLECTING:
            gc.collect()  # interpreters refer to themselves: the matrices would stay for a while

    def facts(self) -> dict[str, Any]:
        """Say which method it is, with which arguments, and which damping was applied."""
        return {"interpreter": self.spec, **self._facts}

    def scores_of(self, model: ScoreModel, damping: Any = None) -> np.ndarray:
        """Return the scores ``[Q, N]`` of a model; at another damping, fitted anew."""
        changed = {} if damping is None else {"damping": damping}
        return self._array(
            "scores", model, lambda interpreter: interpreter.scores(self.problem.queries), **changed
        )

    def _array(
        self,
        kind: str,
        model: ScoreModel,
        compute: Callable[[InfluenceInterpreter], np.ndarray],
        **changed: Any,
    ) -> np.ndarray:
        """Return one of the arrays of a model: kept, or computed now."""

        def make() -> Kept:
            try:
                interpreter = self._interpreter(model, changed.get("damping"))
                array = np.asarray(compute(interpreter), dtype=np.float64)
            except HessinfError as error:
                at = "".join(f" at {what} {value}" for what, value in changed.items())
                raise EvaluationError(f'"{self.name}"{at}: {error}') from error
            _require_finite(array, f'"{self.name}": {kind}')
            damping = as_json(diagnostics.applied_damping(interpreter))
            return Kept(array, {} if damping is None else {"applied_damping": damping})

        kept = self._arrays.produce(kind, {**self._identity(model), **changed}, make)
        if not changed and model is self.problem.models[0]:
            self._facts.update(kept.facts)
        return kept.array

    def _interpreter(self, model: ScoreModel, damping: Any) -> InfluenceInterpreter:
        """Make an interpreter for a model, or return the one that is there."""
        key = f"{model.fingerprint} {damping}"
        if self._fitted is None or self._fitted[0] != key:
            self.release()
            self._fitted = (key, self._make(model, damping))
        return self._fitted[1]

    def _make(self, model: ScoreModel, damping: Any) -> InfluenceInterpreter:
        problem = self.problem
        return self.method.construct(
            model=model.module,
            train_data=problem.train,
            objective=problem.objective,
            measurement=problem.measurement,
            weight_decay=problem.weight_decay,
            training_reduction=problem.training_reduction,
            device=problem.device,
            executor=problem.executor,
            seed=problem.seed,
            **({} if damping is None else {"damping": damping}),
        )

    def _identity(self, model: ScoreModel) -> dict[str, Any]:
        """Say what decides the numbers."""
        problem = self.problem
        identity = {
            "method": self.spec,
            "version": self.method_class.version,
            "model": model.fingerprint,
            "train_data": problem.train.fingerprint(),
            "queries": problem.queries.fingerprint(),
            "objective": as_json(problem.objective),
            "measurement": as_json(problem.measurement),
            "weight_decay": problem.weight_decay,
            "training_reduction": problem.training_reduction,
            "seed": problem.seed,
        }
        if self.checkpoints:
            identity["checkpoints"] = {path: _sha256(path) for path in self.checkpoints}
        return identity


def _require_finite(array: np.ndarray, what: str) -> None:
    """Refuse numbers that no metric can use, and name the first place."""
    finite = np.isfinite(array)
    if not bool(finite.all()):
        place = [int(axis[0]) for axis in np.nonzero(~finite)]
        raise EvaluationError(
            f"{what}{place} is {array[tuple(place)]}, and {int((~finite).sum()) - 1} more of "
            f"{array.size} are not finite; is damping too small?"
        )


def _lazy(method: str | dict[str, Any]) -> Lazy[InfluenceInterpreter]:
    """Make a name, or a config, what a checked config makes of it."""
    spec = {"type": method} if isinstance(method, str) else dict(method)
    injected = InfluenceInterpreter.injected_names()

    def construct(**arguments: Any) -> InfluenceInterpreter:
        given = {name: value for name, value in arguments.items() if name in injected}
        said = {name: value for name, value in arguments.items() if name not in injected}
        interpreter: InfluenceInterpreter = InfluenceInterpreter.from_config(
            {**spec, **said}, **given
        )
        return interpreter

    return Lazy(construct, spec=spec)


def _class_of(method: Lazy[InfluenceInterpreter]) -> type[InfluenceInterpreter]:
    """Find the class of what a :class:`Lazy` makes."""
    found: Any = method.constructor
    if not isinstance(found, type):
        found = InfluenceInterpreter.by_name(method.spec["type"])
    found = getattr(found, "__self__", found)  # a class method that is registered as constructor
    assert isinstance(found, type)
    return found


def _sha256(path: str) -> str | None:
    file = checkpoint.checkpoint_weights(path)
    if not file.is_file():
        return None
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
