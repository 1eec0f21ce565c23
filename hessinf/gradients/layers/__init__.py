"""Per-example gradients as outer products of what layers receive and give back."""

from hessinf.gradients.layers.capture import LayerCapture, Recording
from hessinf.gradients.layers.layer_gradients import LayerGradients
from hessinf.gradients.layers.matrix_unit import MatrixUnit
from hessinf.gradients.layers.usage import Usage

__all__ = ["LayerCapture", "LayerGradients", "MatrixUnit", "Recording", "Usage"]
