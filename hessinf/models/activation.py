"""The names of activation functions."""

from __future__ import annotations

from typing import Literal

Activation = Literal[
    "relu", "gelu", "tanh", "sigmoid", "silu", "elu", "leaky-relu", "softplus", "identity"
]
"""What stands between two layers; :data:`hessinf.models.networks.ACTIVATIONS` has the modules."""
