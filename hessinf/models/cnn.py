"""The convolutional network for images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from hessinf.models.activation import Activation
from hessinf.models.errors import ModelError
from hessinf.models.model import Model
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.models import networks
else:
    networks = lazy_import("hessinf.models.networks")


@Model.register("cnn")
class Cnn(Model):
    """A convolutional network for images: blocks of convolutions, then a linear layer.

    Registered as a `Model` with name "cnn".

    Inputs are images ``[channels, height, width]``. A block is a convolution that keeps height and
    width, batch normalization (if asked for), an activation, and a pooling that halves them.

    Parameters
    ----------
    channels
        The output channels of every block, in order.
    kernel_size
        The width of the convolutions, an odd number.
    activation
        The activation of every block.
    pooling
        How a block halves height and width: by the maximum or the average of 2 x 2 pixels, or not.
    batch_normalization
        Whether convolutions are followed by batch normalization. Influence is computed with the
        running statistics.
    **kwargs
        What every model takes: ``dtype``, ``weights``, ``trust``, and what code passes.
    """

    def __init__(
        self,
        channels: list[Annotated[int, AtLeast(1)]],
        kernel_size: Annotated[int, AtLeast(1)] = 3,
        activation: Activation = "relu",
        pooling: Literal["max", "average", "none"] = "max",
        batch_normalization: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not channels:
            raise ValueError("channels needs one number or more, found []")
        if kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size has to be odd, so that height and width stay; found {kernel_size}"
            )
        self.channels = channels
        self.kernel_size = kernel_size
        self.activation = activation
        self.pooling = pooling
        self.batch_normalization = batch_normalization

    def build(self) -> torch.nn.Module:
        """Make the ``nn.Sequential``, or refuse inputs that are no images."""
        shape = self.input_shape
        if shape is None or len(shape) != 3:
            found = "are no single tensor" if shape is None else f"have shape {list(shape)}"
            raise ModelError(
                f"{self.described} needs images [channels, height, width] as inputs, and these "
                f'{found}; take a dataset reader that gives images, or the model "mlp"'
            )
        channels, height, width = shape
        shrinking = 1 if self.pooling == "none" else 2 ** len(self.channels)
        if min(height, width) < shrinking:
            raise ModelError(
                f"{self.described} halves height and width {len(self.channels)} times, which "
                f"leaves nothing of images of {height} x {width}; take fewer channels, or "
                'pooling "none"'
            )
        return networks.convolutional_network(
            (channels, height, width),
            self.channels,
            self.required_out_features(),
            kernel_size=self.kernel_size,
            activation=self.activation,
            pooling=self.pooling,
            batch_normalization=self.batch_normalization,
        )
