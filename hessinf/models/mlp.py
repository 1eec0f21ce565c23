"""The multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from hessinf.models.activation import Activation
from hessinf.models.model import Model
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.models import networks
else:
    networks = lazy_import("hessinf.models.networks")


@Model.register("mlp")
class Mlp(Model):
    """A multilayer perceptron: linear layers with an activation between each two.

    Registered as a `Model` with name "mlp".

    Inputs are flattened. The module is an ``nn.Sequential`` of ``nn.Linear`` and activations, with
    PyTorch's initialization.

    Parameters
    ----------
    hidden_sizes
        The width of every hidden layer, in order.
    activation
        The activation after every hidden layer.
    bias
        Whether linear layers add a bias.
    **kwargs
        What every model takes: ``dtype``, ``weights``, ``trust``, and what code passes.
    """

    def __init__(
        self,
        hidden_sizes: list[Annotated[int, AtLeast(1)]],
        activation: Activation = "relu",
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_sizes = hidden_sizes
        self.activation = activation
        self.bias = bias

    def build(self) -> torch.nn.Module:
        """Make the ``nn.Sequential``."""
        return networks.multilayer_perceptron(
            self.required_in_features(),
            self.hidden_sizes,
            self.required_out_features(),
            self.activation,
            bias=self.bias,
        )
