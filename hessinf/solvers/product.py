"""What iterative solvers see of a matrix: its products with vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch

Product = Callable[[torch.Tensor], torch.Tensor]
"""From row vectors ``[K, P]`` to their products with a symmetric matrix, ``[K, P]``."""
