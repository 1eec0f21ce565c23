"""What a model was trained to make small, as a sum over examples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hessinf.data.errors import DataError
from hessinf.models.errors import ObjectiveError
from hessinf.registry import Registrable
from hessinf.registry.plan import registered_name
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data import Dataset
else:
    torch = lazy_import("torch")


class Objective(Registrable):
    """The loss of every example, its predictive distribution, and its curvature in the outputs.

    An example's loss depends on its own output and target only, never on the other examples of a
    batch. All functions take a batch of ``B`` examples, and are functions of tensors without
    branches on values, so that they work under ``torch.func`` transforms.

    Notes
    -----
    Outputs and targets of a batch are ``[B, ...]``. Where one example has several positions
    (tokens), outputs are ``[B, S, C]``: classes come last.
    """

    @property
    def is_negative_log_likelihood(self) -> bool:
        """Whether the loss is, up to a constant, -log of the density :meth:`sample_targets` uses.

        Where it is, the expected outer product of gradients at sampled targets is the
        Gauss-Newton matrix. Class weights, label smoothing and means over positions break this.
        """
        return False

    @abstractmethod
    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss of every example.

        Parameters
        ----------
        outputs
            The model's outputs, ``[B, ...]``.
        targets
            The targets, ``[B, ...]``.

        Returns
        -------
        torch.Tensor
            ``[B]``, differentiable in ``outputs``; float32 where these are of half precision.
        """

    def sample_targets(
        self,
        outputs: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Draw targets from the model's own predictive distribution.

        Parameters
        ----------
        outputs
            The model's outputs, ``[B, ...]``.
        targets
            The true targets: they say which positions are masked, and stay there.
        generator
            Where the random numbers come from. It may live on another device than ``outputs``.

        Returns
        -------
        torch.Tensor
            Sampled targets, of the shape and type of ``targets``.
        """
        raise ObjectiveError(
            f"{self.described} cannot sample targets, which a Monte-Carlo Fisher needs; "
            'try an interpreter argument `fisher` that samples none ("empirical"), or give the '
            "objective a method `sample_targets`"
        )

    def quantile_shape(self, outputs: torch.Tensor) -> tuple[int, ...]:
        """Say how many numbers :meth:`targets_at_quantiles` needs for outputs ``[B, ...]``.

        Returns
        -------
        tuple of int
            ``[B, ...]``: one number for each value that is drawn.
        """
        raise self._no_quantiles()

    def targets_at_quantiles(
        self,
        outputs: torch.Tensor,
        targets: torch.Tensor,
        quantiles: torch.Tensor,
    ) -> torch.Tensor:
        """Return targets at quantiles of the model's own predictive distribution.

        At quantiles that are uniform between 0 and 1 these are what :meth:`sample_targets` draws.
        An objective that has this draws for all examples at once; others, example by example.

        Parameters
        ----------
        outputs, targets
            As for :meth:`sample_targets`.
        quantiles
            Of :meth:`quantile_shape`, float64, between 0 and 1, without these.

        Returns
        -------
        torch.Tensor
            Of the shape and type of ``targets``.
        """
        raise self._no_quantiles()

    def _no_quantiles(self) -> ObjectiveError:
        return ObjectiveError(
            f"{self.described} has no targets at quantiles of its predictive distribution; give it "
            "the methods `quantile_shape` and `targets_at_quantiles`, or draw with `sample_targets`"
        )

    def hessian_square_root_blocks(
        self,
        outputs: torch.Tensor,
        targets: torch.Tensor,
    ) -> torch.Tensor:
        """Compute square roots of the loss's Hessian in the outputs, one for every position.

        Parameters
        ----------
        outputs
            The model's outputs, ``[B, *positions, C]``.
        targets
            The targets.

        Returns
        -------
        torch.Tensor
            ``[B, S, C, R]``, where ``S`` is the number of positions of an example (1 where it
            has none). The Hessian of example ``b`` is block diagonal over positions, with blocks
            ``blocks[b, s] @ blocks[b, s].T``; a masked position has a block of zeros.
        """
        raise ObjectiveError(
            f"{self.described} has no square root of its output Hessian, which Gauss-Newton "
            "curvature needs; try an interpreter that needs only gradients and Hessian products "
            '(curvature "hessian"), or give the objective a method `hessian_square_root_blocks`'
        )

    def hessian_square_root(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute a square root ``S`` of the loss's Hessian in the outputs: ``∂²ℓ/∂f² = S Sᵀ``.

        Parameters
        ----------
        outputs
            The model's outputs, ``[B, ...]``.
        targets
            The targets.

        Returns
        -------
        torch.Tensor
            ``[B, *outputs.shape[1:], R]``. With several positions, ``R`` grows with their
            number, because the blocks stand beside each other;
            :meth:`hessian_square_root_blocks` gives them without the zeros.
        """
        blocks = self.hessian_square_root_blocks(outputs, targets)  # [B, S, C, R]
        positions, columns = blocks.shape[1], blocks.shape[3]
        if positions > 1:
            eye = torch.eye(positions, dtype=blocks.dtype, device=blocks.device)  # [S, S]
            blocks = torch.einsum("bscr,st->bsctr", blocks, eye)  # [B, S, C, S, R]
        return blocks.reshape(*outputs.shape, positions * columns)

    @abstractmethod
    def out_features(self, dataset: Dataset) -> int:
        """Say how many outputs a model needs for this data.

        Parameters
        ----------
        dataset
            The training data.
        """

    @abstractmethod
    def predictions(self, outputs: torch.Tensor) -> torch.Tensor:
        """Turn outputs into what a person is shown: classes or values.

        Parameters
        ----------
        outputs
            The model's outputs, ``[B, ...]``.

        Returns
        -------
        torch.Tensor
            ``[B]``, or ``[B, ...]`` where an example has several predictions.
        """

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """Compute the probability of every class, where one class an example is predicted.

        What :meth:`predictions` returns are then places in it.

        Parameters
        ----------
        outputs
            The model's outputs, ``[B, ...]``.

        Returns
        -------
        torch.Tensor or None
            ``[B, C]``; None for what is no classification, and for several classes an example.
        """
        return None

    def check_targets(self, dataset: Dataset, *, out_features: int | None = None) -> None:
        """Refuse data whose targets this objective cannot use.

        Parameters
        ----------
        dataset
            The data to check.
        out_features
            How many outputs the model has. None for the training data, which decide it; they
            must then show more than one class.

        Raises
        ------
        ObjectiveError
            Names the first example that does not fit, its target, and what to try.
        """

    def margins(
        self,
        outputs: torch.Tensor,
        targets: torch.Tensor,
    ) -> torch.Tensor:
        """Compute the log-odds of the target's class against all others, ``[B]``."""
        raise self._no_measurement("margin")

    def log_probabilities(
        self,
        outputs: torch.Tensor,
        targets: torch.Tensor,
    ) -> torch.Tensor:
        """Compute the log-probability of the target, weights and smoothing aside, ``[B]``."""
        raise self._no_measurement("log-probability")

    def logits(
        self,
        outputs: torch.Tensor,
        targets: torch.Tensor,
        index: int | None = None,
    ) -> torch.Tensor:
        """Compute the output of class ``index``, or of the target's class, ``[B]``."""
        raise self._no_measurement("logit")

    def _no_measurement(self, measurement: str) -> ObjectiveError:
        return ObjectiveError(
            f'the measurement "{measurement}" needs classes, and {self.described} has none; '
            'try the measurement "loss"'
        )

    @property
    def described(self) -> str:
        """The objective's name, for messages."""
        name = registered_name(type(self))
        return f"the objective {type(self).__name__}" if name is None else f'the objective "{name}"'


def at_least_single(outputs: torch.Tensor) -> torch.Tensor:
    """Widen half-precision outputs to float32, as autocast does for losses.

    Where a model is sure, a loss is the small difference of large numbers, and half precision
    leaves nothing of it or of its gradient.
    """
    half = outputs.dtype in (torch.bfloat16, torch.float16)
    return outputs.float() if half else outputs


MOST_WIDENED = 4096
"""Outputs of more classes than this stay in float32: twice their memory counts then."""


def widened(outputs: torch.Tensor) -> torch.Tensor:
    """Widen outputs by one precision: half to float32, float32 to float64.

    The gradient of a softmax is ``p - y``. Where a model is as sure as 1 - 1e-6, float32 leaves one
    digit of it, and every score of that example would have one digit.

    Parameters
    ----------
    outputs
        ``[..., C]``; in float32 they stay as they are where C is beyond :data:`MOST_WIDENED`.
    """
    few = all(size <= MOST_WIDENED for size in outputs.shape[-1:])
    has_doubles = outputs.device.type in ("cpu", "cuda")
    if outputs.dtype == torch.float32 and few and has_doubles:
        return outputs.double()
    return at_least_single(outputs)


def whole_targets(dataset: Dataset) -> torch.Tensor | None:
    """Return all targets as one tensor ``[N, ...]``; None where their lengths or types differ.

    Checks look at that first, and example by example only at data that they will refuse.
    """
    try:
        return dataset.targets
    except DataError:
        return None


def examples_with_targets(dataset: Dataset) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield ``(description, target)`` for every example, for checks that name what they refuse."""
    columns = dataset.columns
    targets: Iterable[torch.Tensor] = (
        (instance.target for instance in dataset.instances) if columns is None else columns.targets
    )
    for index, (identifier, target) in enumerate(zip(dataset.ids, targets, strict=True)):
        yield f'example {index} (id "{identifier}")', target
