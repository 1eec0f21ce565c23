"""The classifier of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from hessinf.models.activation import Activation
from hessinf.models.errors import ModelError
from hessinf.models.model import Model
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.models import text_network
else:
    text_network = lazy_import("hessinf.models.text_network")


@Model.register("text-classifier")
class TextClassifier(Model):
    """A classifier of texts: embeddings, transformer layers if asked for, the mean over tokens.

    Registered as a `Model` with name "text-classifier".

    Inputs are `{"tokens": [S]}`, token numbers as the readers `text` and `reviews` give them, of
    which 0 is padding. The last layer is applied to every token, and the logits of a text are the
    mean of its tokens' (which is the same as that layer on the mean of what it receives): so every
    parameter's gradient is a sum over tokens, and per-token influence leaves nothing out.

    Parameters
    ----------
    embedding_size
        The width of embeddings, and of transformer layers.
    num_layers
        How many transformer layers follow, in which tokens see each other; they come with sines and
        cosines for the order of tokens. Without any, and with a window of 1, the order of words
        does not count.
    num_heads
        The attention heads of each transformer layer.
    hidden_size
        The width of one more layer of each token, before the last; null without one.
    window
        How many tokens that layer sees at once, an odd number: each token with its neighbors. With
        3, a "not" turns the word after it round.
    activation
        The activation inside transformer layers, and of the hidden layer.
    **kwargs
        What every model takes: ``dtype``, ``weights``, ``trust``, and what code passes.
    """

    def __init__(
        self,
        embedding_size: Annotated[int, AtLeast(1)] = 16,
        num_layers: Annotated[int, AtLeast(0)] = 0,
        num_heads: Annotated[int, AtLeast(1)] = 2,
        hidden_size: Annotated[int, AtLeast(1)] | None = None,
        window: Annotated[int, AtLeast(1)] = 1,
        activation: Activation = "gelu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_layers and embedding_size % num_heads:
            raise ValueError(
                f"embedding_size has to be a multiple of num_heads, found {embedding_size} and "
                f"{num_heads}"
            )
        if window % 2 == 0:
            raise ValueError(
                f"window has to be odd, so that every token is amid its neighbors; found {window}"
            )
        if window > 1 and hidden_size is None:
            raise ValueError(f"window is {window}, but there is no hidden layer; give hidden_size")
        self.embedding_size = embedding_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_size = hidden_size
        self.window = window
        self.activation = activation

    def build(self) -> torch.nn.Module:
        """Make the network, or refuse inputs that are no texts."""
        if self.input_shape is not None:
            raise ModelError(
                f"{self.described} needs texts as inputs, and these have shape "
                f'{list(self.input_shape)}; take the dataset reader "text", or the model "mlp"'
            )
        return text_network.TextNetwork(
            self.required_in_features(),
            self.embedding_size,
            self.num_layers,
            self.num_heads,
            self.hidden_size,
            self.window,
            self.required_out_features(),
            self.activation,
        )
