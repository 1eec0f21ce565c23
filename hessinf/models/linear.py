"""Linear models: one layer, for classes or for values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.models.model import Model
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.models import networks
else:
    networks = lazy_import("hessinf.models.networks")


class LinearModel(Model):
    """One linear layer on flattened inputs; the objective makes the difference between kinds.

    Parameters
    ----------
    bias
        Whether the layer adds a bias.
    **kwargs
        What every model takes: ``dtype``, ``weights``, ``trust``, and what code passes.
    """

    def __init__(self, bias: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bias = bias

    def build(self) -> torch.nn.Module:
        """Make the layer, as ``0.weight`` and ``0.bias`` of an ``nn.Sequential``."""
        return networks.multilayer_perceptron(
            self.required_in_features(),
            [],
            self.required_out_features(),
            "identity",
            bias=self.bias,
        )


@Model.register("logistic-regression")
class LogisticRegression(LinearModel):
    """Logistic or softmax regression: one linear layer whose outputs are logits.

    Registered as a `Model` with name "logistic-regression".

    The objective decides which: "cross-entropy" asks for an output a class,
    "binary-cross-entropy" for one.

    Parameters
    ----------
    bias
        Whether the layer adds a bias.
    **kwargs
        What every model takes: ``dtype``, ``weights``, ``trust``, and what code passes.
    """


@Model.register("linear-regression")
class LinearRegression(LinearModel):
    """Linear regression: one linear layer whose outputs are the predicted values.

    Registered as a `Model` with name "linear-regression".

    Its objective is "mean-squared-error"; a ``weight_decay`` of the trainer makes it ridge
    regression.

    Parameters
    ----------
    bias
        Whether the layer adds a bias.
    **kwargs
        What every model takes: ``dtype``, ``weights``, ``trust``, and what code passes.
    """
