"""``InfluenceInterpreter``: what every method shares, and what a method author writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from hessinf.data import Dataset, as_dataset
from hessinf.execution import Executor, LocalExecutor
from hessinf.interpreters.checkpoints import Checkpoints, checked_paths, require_one_model
from hessinf.interpreters.curvature_hooks import CurvatureHooks
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.further_questions import FurtherQuestions
from hessinf.interpreters.method_contract import (
    checked_fit,
    config_arguments,
    given_by_name,
    recorded_damping_change,
    require_initialized,
)
from hessinf.interpreters.method_hooks import MethodHooks
from hessinf.interpreters.saving import Saving
from hessinf.interpreters.training_access import TrainingAccess
from hessinf.models import Measurement, Model, Objective, as_objective
from hessinf.registry import Above, AtLeast, Registrable, RegularExpression
from hessinf.runtime.lazy_import import lazy_import
from hessinf.scores import Interpretation

if TYPE_CHECKING:
    import numpy as np
    import torch

    from hessinf import gradients as gradients_room
    from hessinf.gradients import contract
    from hessinf.gradients.per_example import PerExampleGradients
    from hessinf.interpreters import (
        listed_tokens,
        memory_plan,
        query_scoring,
        refined_loss_change,
    )
    from hessinf.interpreters import self_influence as own_scores
    from hessinf.scores import precision
    from hessinf.scores.loss_change import TrainingReduction
else:
    np = lazy_import("numpy")
    torch = lazy_import("torch")
    gradients_room = lazy_import("hessinf.gradients")
    contract = lazy_import("hessinf.gradients.contract")
    query_scoring = lazy_import("hessinf.interpreters.query_scoring")
    listed_tokens = lazy_import("hessinf.interpreters.listed_tokens")
    own_scores = lazy_import("hessinf.interpreters.self_influence")
    refined_loss_change = lazy_import("hessinf.interpreters.refined_loss_change")
    memory_plan = lazy_import("hessinf.interpreters.memory_plan")
    precision = lazy_import("hessinf.scores.precision")


class InfluenceInterpreter(
    MethodHooks,
    CurvatureHooks,
    TrainingAccess,
    Checkpoints,
    FurtherQuestions,
    Saving,
    Registrable,
):
    """Finds, for each query, the training examples that helped and those that harmed.

    ``score[q, i] = ∇m_qᵀ (C + λI)⁻¹ ∇ℓ_i``: positive where training more on example i would make
    the model better on query q.

    A method is one class with :meth:`fit`, which learns the curvature from the training data, and
    :meth:`precondition`, which turns query gradients into influence factors; or with :meth:`score`,
    where it is no preconditioner. Attributes that :meth:`fit` learns end in ``_``: tensors,
    numbers, texts, and lists and dicts of them; they are what :meth:`save` keeps.

    Parameters
    ----------
    model
        The trained model: any ``torch.nn.Module``, or a :class:`hessinf.models.Model`. It is never
        changed.
    train_data
        What it was trained on: a sequence of instances, a dataset of ``(inputs, target)`` pairs, or
        a pair of tensors.
    objective
        The training loss of each example: a registered name, an :class:`Objective`, or a function
        of outputs and targets that returns ``[B]`` losses.
    measurement
        What is explained of a query: its loss, unless said otherwise.
    weight_decay
        The coefficient of ``½·wd·‖θ‖²`` on the mean loss that the model was trained with; it is
        part of the curvature.
    training_reduction
        How losses were added up in training: "mean" over whatever examples there are, "sum", or
        "mean-fixed", which keeps 1/N whatever is removed. It decides `loss_change_if_removed`.
    params_to_freeze
        Regular expressions; a parameter whose name one of them matches anywhere is left out.
    batch_size
        Training examples whose gradients are computed together; "auto" for the largest that fits.
    query_batch_size
        Queries that are worked on together, and finished together; "auto" for as many as have
        influence factors that fit into an eighth of `memory_limit`, at most 256.
    dtype
        The precision to compute in; null for the model's own.
    checkpoints
        Weights of other moments of the training: scores are the mean over them, each with its own
        curvature and gradients. Files (.safetensors, .pt), model archives or directories of runs,
        relative to the working directory; the given model counts only where it is among them.
    memory_limit
        GiB that batches, training gradients and matrices are planned for.
    score_precision
        What the products of influence factors with training gradients are computed in: "model" for
        the precision of the model; "tf32" (NVIDIA GPUs) or "bfloat16" for shorter factors of models
        of float32, whose products are added up in float32.
    refinement
        "newton-step" for `loss_change_refined` beside `loss_change_if_removed`: the loss after one
        Newton step without the example, evaluated; about as many solves for each example in a list
        as the model has outputs. Null for the first order alone.
    device
        Where to compute: "cpu", "cuda", "cuda:1".
    executor
        Where work over shards of the training data runs.
    seed
        The seed of everything random.
    """

    default_implementation = "simple-influence"
    injected = (
        "model",
        "train_data",
        "objective",
        "measurement",
        "weight_decay",
        "training_reduction",
        "device",
        "executor",
        "seed",
    )

    version: ClassVar[int] = 1
    """To be raised when results change: saved influence factors of another version are refused."""

    without_effect_on_factors: ClassVar[tuple[str, ...]] = (
        "batch_size",
        "query_batch_size",
        "memory_limit",
        "score_precision",
        "refinement",
    )
    """Arguments that may differ when saved factors are used again."""

    predicts_loss_changes: ClassVar[bool] = True
    """Whether scores are in units from which `loss_change_if_removed` follows. False for methods
    whose scores only rank, such as similarities: it is None then."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remember what the interpreter was made with, for :meth:`save` and for checkpoints."""
        interpreter = super().__new__(cls)
        interpreter.given = given_by_name(cls, args, kwargs)
        interpreter.arguments = config_arguments(cls, interpreter.given)
        return interpreter

    arguments: dict[str, Any]
    """What a config may say of this interpreter, defaults included."""

    def __init__(
        self,
        model: torch.nn.Module | Model,
        train_data: Any,
        *,
        objective: Any = "cross-entropy",
        measurement: Any = "loss",
        weight_decay: float = 0.0,
        training_reduction: TrainingReduction = "mean",
        params_to_freeze: Sequence[Annotated[str, RegularExpression()]] = (),
        batch_size: Annotated[int, AtLeast(1)] | Literal["auto"] = "auto",
        query_batch_size: Annotated[int, AtLeast(1)] | Literal["auto"] = "auto",
        dtype: Literal["float32", "float64"] | None = None,
        checkpoints: Sequence[str] = (),
        memory_limit: Annotated[float, Above(0)] = 4.0,
        score_precision: Literal["model", "tf32", "bfloat16"] = "model",
        refinement: Literal["newton-step"] | None = None,
        device: str | torch.device = "cpu",
        executor: Executor | None = None,
        seed: int = 0,
    ) -> None:
        self.train_data: Dataset = as_dataset(train_data)
        self.train_data.check(training=True)
        self.objective: Objective = as_objective(objective)
        self.objective.check_targets(self.train_data)
        self.measurement: Measurement = (
            measurement
            if isinstance(measurement, Measurement)
            else Measurement.from_config(measurement)
        )
        if training_reduction not in ("mean", "sum", "mean-fixed"):
            raise ValueError(
                'training_reduction must be "mean", "sum" or "mean-fixed", '
                f"found {training_reduction!r}"
            )
        if not weight_decay >= 0:  # NaN too
            raise ValueError(f"weight_decay must be >= 0, found {weight_decay}")
        if isinstance(params_to_freeze, str):  # its characters are expressions too
            raise ValueError(
                "params_to_freeze must be a list of regular expressions; "
                f'write ["{params_to_freeze}"]'
            )
        if any(size != "auto" and size < 1 for size in (batch_size, query_batch_size)):
            raise ValueError(
                "batch_size and query_batch_size must be at least 1, "
                f"found {batch_size} and {query_batch_size}"
            )
        refined_loss_change.check_refinement(type(self), refinement, self.measurement)
        self.refinement = refinement
        self.weight_decay = float(weight_decay)
        self.training_reduction = training_reduction
        self.model = gradients_room.FunctionalModel(
            model.module if isinstance(model, Model) else model,
            params_to_freeze=tuple(params_to_freeze),
            device=device,
            dtype=None if dtype is None else getattr(torch, dtype),
        )
        self.batch_size = batch_size
        self.memory_limit = memory_limit
        self.checkpoints = checked_paths(checkpoints)
        self.query_batch_size: int = (
            memory_plan.plan_queries(
                memory_limit=memory_limit,
                models=max(len(self.checkpoints), 1),
                num_parameters=self.model.layout.size,
                bytes_per_number=self.model.dtype.itemsize,
            )
            if query_batch_size == "auto"
            else query_batch_size
        )
        precision.check_precision(score_precision, self.model.dtype, self.model.device)
        self.score_precision = score_precision
        self.executor = executor if executor is not None else LocalExecutor()
        self.seed = seed
        if self.refinement is not None:
            require_one_model(self, f'refinement "{self.refinement}"')
        self.load_checkpoints(model, memory_limit)
        self.fitted = False
        self.reports: dict[str, Any] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let a method's ``fit`` return the interpreter, and check the model before it runs."""
        super().__init_subclass__(**kwargs)
        if "fit" in vars(cls):
            cls.fit = checked_fit(cls.fit)  # type: ignore[method-assign, assignment]
        if "change_damping" in vars(cls):
            change = recorded_damping_change(cls.change_damping)
            cls.change_damping = change  # type: ignore[method-assign, assignment]

    # -- what everybody uses -------------------------------------------------------------------

    def interpret(
        self, test_data: Any, k: int = 10, *, token_influence: bool = False
    ) -> Iterator[Interpretation]:
        """Explain queries one after another, in order.

        Parameters
        ----------
        test_data
            As ``train_data``.
        k
            How many examples at each end.
        token_influence
            Whether to say of each example what the tokens that are shown of it contribute to its
            score; see :meth:`token_influence`.

        Yields
        ------
        Interpretation
            One a query, as soon as its block of queries is finished.
        """
        if k < 1:  # before a long fit
            raise ValueError(f"k must be at least 1, found {k}")
        queries = self.check_queries(test_data)
        tokens = listed_tokens.ListedTokens(self) if token_influence else None
        for start in range(0, len(queries), self.query_batch_size):
            stop = min(start + self.query_batch_size, len(queries))
            yield from query_scoring.interpret_block(self, queries, start, stop, k, tokens=tokens)

    def scores(self, test_data: Any) -> np.ndarray:
        """Score every training example for every query.

        Returns
        -------
        numpy.ndarray
            ``[Q, N]``, in the precision of the model (float32 for bfloat16).
        """
        queries = self.check_queries(test_data)
        blocks = [
            query_scoring.score_block(
                self, queries, start, min(start + self.query_batch_size, len(queries))
            )
            for start in range(0, len(queries), self.query_batch_size)
        ]
        return np.concatenate(blocks)  # [Q, N]

    def loss_changes(
        self, test_data: Any, refinement: Literal["newton-step"] | None = None
    ) -> np.ndarray:
        """Predict what each query's loss gains when the model is trained without an example.

        Parameters
        ----------
        test_data
            As ``train_data``.
        refinement
            None for the first order, which follows from the scores; "newton-step" for the loss
            after one Newton step without the example (Rad & Maleki 2020), evaluated.

        Returns
        -------
        numpy.ndarray
            ``[Q, N]``, in units of the loss.

        Raises
        ------
        InterpreterError
            When the measurement is not the loss, or the method cannot.
        """
        if refinement is None:
            return query_scoring.loss_changes(self, self.scores(test_data))
        refined_loss_change.check_refinement(
            type(self), refinement, self.measurement, InterpreterError
        )
        require_one_model(self, f'refinement "{refinement}"')
        return refined_loss_change.refined_loss_changes(self, self.check_queries(test_data))

    def self_influence(self) -> np.ndarray:
        """Score every training example for itself: ``∇ℓ_iᵀ (C + λI)⁻¹ ∇ℓ_i``.

        Large values mark examples that only they themselves explain: mislabelled ones among them.

        Returns
        -------
        numpy.ndarray
            ``[N]``, in the precision of the model.
        """
        return own_scores.self_influence(self)

    def train_losses(self) -> np.ndarray:
        """Compute the loss of each training example, ``[N]``."""
        return query_scoring.as_array(self.training_losses)

    def check_queries(self, test_data: Any) -> Dataset:
        """Check test data and return them as a data set; fit first, where that is still to do."""
        require_initialized(self)
        queries = as_dataset(test_data)
        queries.check(training=False)
        self.objective.check_targets(queries, out_features=self.out_features)
        if not self.fitted:
            self.fit()
        return queries

    @cached_property
    def measured_gradients(self) -> PerExampleGradients:
        """The gradients of what is measured of queries, turned so that less is better."""
        sign = -1.0 if self.measurement.higher_is_better else 1.0

        def values(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return sign * self.measurement.values(outputs, targets, self.objective)  # [B]

        return gradients_room.PerExampleGradients(self.model, values, "measurement of the query")

    def ensure_checked(self) -> None:
        """Check once that model, objective and data keep what influence rests on."""
        if not self._contract_checked:
            with self.model.evaluating():
                data = self.train_batches(contract.EXAMPLES_CHECKED)
                few = data.select(contract.telling_examples(self.train_data))
                contract.check_contract(self.model, self.objective, few, data)
            for member in self.members:
                member.ensure_checked()
            self._contract_checked = True

    _contract_checked = False


# Gradient methods use the base's own fit, which has to check and mark as any other.
MethodHooks.fit = checked_fit(MethodHooks.fit)  # type: ignore[method-assign, assignment]
