"""An orthonormal basis of what some rows span, without what is dependent among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


def orthonormal_rows(vectors: torch.Tensor, smallest: float | None = None) -> torch.Tensor:
    """Find an orthonormal basis of the span of rows.

    Parameters
    ----------
    vectors
        ``[K, P]``. Rows count alike, however long they are; zero rows do not count.
    smallest
        Directions whose singular value among the rows, scaled to length 1, is at most this are
        rounding; the machine precision to the power 0.75 when left out.

    Returns
    -------
    torch.Tensor
        ``[D, P]`` with ``D ≤ min(K, P)``, of the same precision.
    """
    sizes = vectors.norm(dim=1)  # [K]
    vectors = vectors[sizes > 0] / sizes[sizes > 0][:, None]  # [K', P]
    if not len(vectors):
        return vectors
    if smallest is None:
        smallest = torch.finfo(vectors.dtype).eps ** 0.75
    columns, triangle = torch.linalg.qr(vectors.T)  # [P, D'], [D', K']
    left, values, _ = torch.linalg.svd(triangle, full_matrices=False)  # [D', D'], [D']
    found: torch.Tensor = columns @ left[:, values > smallest]  # [P, D]
    return found.T  # [D, P]
