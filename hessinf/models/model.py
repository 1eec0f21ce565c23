"""A network with its sizes, its initial weights and its precision."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hessinf.models.errors import ModelError
from hessinf.registry import Registrable
from hessinf.registry.plan import registered_name
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.models import weights_file
else:
    torch = lazy_import("torch")
    weights_file = lazy_import("hessinf.models.weights_file")


class Model(Registrable):
    """A recipe for a ``torch.nn.Module``: sizes come from the data, the rest from the config.

    The module is built once, on the CPU, at the first use of :attr:`module`. Its random numbers are
    drawn from a fork of PyTorch's generator, seeded with ``seed``, so that the caller's own stream
    of random numbers does not move, and the same seed gives the same weights.

    Parameters
    ----------
    dtype
        The precision of the parameters. Initial weights are drawn in float32 and converted, so
        that both precisions start from the same weights.
    weights
        A file of weights to start from, instead of random ones: ``.safetensors``, or a ``.pt`` or
        ``.pth`` state dict.
    trust
        Whether files may run code as they load: checkpoints that hold more than tensors
        (pickles), and constructors that are no ``torch.nn.Module`` class. Only for files that you
        trust as you trust a program.
    in_features
        How many numbers one input has; passed by code. Taken from ``input_shape`` when left out.
    out_features
        How many outputs the objective needs; passed by code.
    input_shape
        The shape of one input without batch dimension, None for dicts; passed by code.
    seed
        The seed of the initial weights; passed by code.
    """

    default_implementation = None
    injected = ("in_features", "out_features", "input_shape", "seed")

    def __init__(
        self,
        *,
        dtype: Literal["float32", "float64"] = "float32",
        weights: str | None = None,
        trust: bool = False,
        in_features: int | None = None,
        out_features: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        seed: int = 0,
    ) -> None:
        self.dtype: Literal["float32", "float64"] | None = dtype
        self.weights = weights
        self.trust = trust
        self.in_features = in_features
        self.out_features = out_features
        self.input_shape = None if input_shape is None else tuple(input_shape)
        self.seed = seed

    @abstractmethod
    def build(self) -> torch.nn.Module:
        """Make the module on the CPU, in float32, with initial weights of PyTorch's generator."""

    @cached_property
    def module(self) -> torch.nn.Module:
        """The network, with its weights, in its precision, in evaluation mode.

        Raises
        ------
        ModelError
            When sizes are missing or do not fit, or the weights cannot be read.
        """
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would move the streams of CUDA devices too.
            torch.default_generator.manual_seed(self.seed)
            module = self.build()
        module = self._convert(module)
        if self.weights is not None:
            weights_file.load_weights(module, Path(self.weights), trust=self.trust)
        return module.eval()

    def _convert(self, module: torch.nn.Module) -> torch.nn.Module:
        return module.to(torch.float64 if self.dtype == "float64" else torch.float32)

    @property
    def sizes(self) -> dict[str, Any]:
        """What code passed, as JSON: with it and the config, the module can be built again."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "input_shape": None if self.input_shape is None else list(self.input_shape),
            "seed": self.seed,
        }

    @property
    def described(self) -> str:
        """The model's name, for messages."""
        name = registered_name(type(self))
        return f"the model {type(self).__name__}" if name is None else f'the model "{name}"'

    def required_in_features(self) -> int:
        """Return how many numbers one input has, or refuse inputs for which nobody can tell."""
        if self.input_shape is not None:
            return math.prod(self.input_shape)
        if self.in_features is not None:
            return self.in_features
        raise ModelError(
            f"{self.described} needs inputs that are one tensor of a known size, and these are "
            "not (a dict of tensors, perhaps); pass in_features, or take a model made for such "
            'inputs: {"type": "module", "constructor": "package.module:Class"}'
        )

    def required_out_features(self) -> int:
        """Return how many outputs are needed, or refuse."""
        if self.out_features is None:
            raise ModelError(
                f"{self.described} does not know how many outputs it needs; pass out_features, "
                "or build it with the objective's `out_features(dataset)`"
            )
        return self.out_features
