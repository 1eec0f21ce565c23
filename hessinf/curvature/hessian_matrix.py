"""The dense Hessian, or diagonal blocks of it: by taps where layers allow it, else row by row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping

import torch

from hessinf.curvature import blocks as blocks_room
from hessinf.curvature.dense import dense_curvature, product_rows
from hessinf.curvature.hessian_sums import HessianSums, OtherUseError
from hessinf.curvature.hessian_taps import UnseenCallError
from hessinf.data.batching import Batch
from hessinf.gradients import CurvatureProducts, GradientError
from hessinf.gradients.layers import LayerCapture, MatrixUnit
from hessinf.gradients.plain_kernels import twice_differentiable_attention
from hessinf.runtime.progress import bar

logger = logging.getLogger(__name__)

VECTORS_COMPARED = 2
"""Random vectors that a matrix is multiplied with, to compare with what products give."""

TIMES_LEARNT = 8
"""How often the summation may begin anew because some examples use layers in another way."""

Products = Callable[[Collection[str] | None], CurvatureProducts]
"""Makes the Hessian as an operator, in all parameters or in those of some names."""


def hessian_blocks(
    products: Products, blocks: Mapping[str, Collection[str]], *, total: int, stage: str
) -> Iterator[tuple[str, torch.Tensor]]:
    """Form diagonal blocks of the Hessian of the mean training loss, weight decay included.

    Parameters
    ----------
    products
        Makes the Hessian as an operator.
    blocks
        The names of the parameters of each block; one block has them all, or each some.
    total
        N, for the progress bar.
    stage
        What it is called.

    Yields
    ------
    tuple of str and torch.Tensor
        The name of each block and its matrix ``[P_b, P_b]``, float64, symmetric.
    """
    whole = products(None)
    sums = _summed(whole, blocks, total, stage)
    for name, inside in blocks.items():
        own = whole if len(blocks) == 1 else products(inside)
        own_stage = stage if len(blocks) == 1 else f"{stage}, {name}"
        matrix = None if sums is None else _completed(sums, name, own, total, own_stage)
        if matrix is None:
            matrix = dense_curvature(own, own.vectors_at_once or 1, own_stage)
        yield name, matrix


def _summed(
    products: CurvatureProducts, blocks: Mapping[str, Collection[str]], total: int, stage: str
) -> HessianSums | None:
    """Sum up what linear layers make of the blocks; None where there are none, or it fails."""
    layout = products.model.layout
    columns = {
        name: blocks_room.columns_of(layout, [x for x in layout.shapes if x in set(inside)])
        for name, inside in blocks.items()
    }
    capture = LayerCapture(products.model)
    barred: set[MatrixUnit] = set()
    reason = "examples use its layers in ever other ways"
    for _ in range(TIMES_LEARNT):
        try:
            with twice_differentiable_attention(), bar(stage=stage, total=total) as shown:
                sums = None
                for batch in products.data:
                    sums = sums or _begun(products, capture, batch, columns, barred)
                    if not sums.units:
                        logger.info(
                            "no layer of the model is linear, known and used at one position of "
                            "each example; its Hessian is formed row by row"
                        )
                        return None
                    _add(sums, capture, batch)
                    shown.update(batch.size)
                return sums
        except OtherUseError as error:
            barred |= error.units
        except UnseenCallError:
            continue  # it is known now
        except (RuntimeError, GradientError) as error:
            reason = str(error).partition("\n")[0]
            break
    logger.info(
        "the Hessian cannot be made of second derivatives in what layers give (%s); it is formed "
        "row by row, which is slower and gives the same matrix",
        reason,
    )
    return None


def _begun(
    products: CurvatureProducts,
    capture: LayerCapture,
    batch: Batch,
    columns: Mapping[str, slice | torch.Tensor],
    barred: set[MatrixUnit],
) -> HessianSums:
    """Learn what layers there are, and begin."""
    with capture.recording(batch, explains=False):
        return HessianSums(products.model, products.objective, capture.plan, columns, set(barred))


def _add(sums: HessianSums, capture: LayerCapture, batch: Batch) -> None:
    """Add a batch; learn from it first, where it does what was not seen before."""
    try:
        sums.add(batch)
    except UnseenCallError:
        with capture.recording(batch, explains=False):
            raise


def _completed(
    sums: HessianSums, block: str, products: CurvatureProducts, total: int, stage: str
) -> torch.Tensor | None:
    """Put a block together: the rows that sums leave out come from products.

    Returns
    -------
    torch.Tensor or None
        ``[P_b, P_b]``; None, where products with vectors do not confirm it.
    """
    left = sums.left_out(block).nonzero()[:, 0]  # [W]
    matrix = sums.blocks.pop(block).finished().div_(total)  # [P_b, P_b]
    matrix.diagonal().add_(products.weight_decay)
    if len(left):
        rows = product_rows(products, left, products.vectors_at_once or 1, stage)  # [W, P_b]
        rows[:, left] = (rows[:, left] + rows[:, left].T) / 2
        matrix[left] = rows
        matrix[:, left] = rows.T
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(VECTORS_COMPARED, len(matrix), generator=generator, dtype=torch.float64)
    vectors = drawn.to(products.model.device, products.model.dtype)  # [V, P_b]
    expected = products.products(vectors).double()  # [V, P_b]
    error = float((vectors.double() @ matrix - expected).norm())
    if error <= 4 * torch.finfo(products.model.dtype).eps ** 0.5 * float(expected.norm()):
        return matrix
    logger.info(
        "%s: products with vectors do not confirm what second derivatives in layers' outputs make "
        "of it (they differ by %.3g of %.3g); it is formed row by row",
        stage,
        error,
        float(expected.norm()),
    )
    return None
