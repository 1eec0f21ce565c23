"""Dense K-FAC, EK-FAC and Fisher matrices, by explicit loops over examples and positions.

They share no code with what they check: the sides of layers come from
:mod:`hessinf.testing.layer_references`, linear algebra is numpy's. The order of parameters is that
of ``named_parameters()``; outputs of an example are laid out flat.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from hessinf.testing.layer_references import (
    Matrix,
    Sides,
    Spot,
    Unit,
    gradients_of,
    kept_parameters,
    places_of,
    square_root,
    units,
)
from hessinf.testing.problem import Problem, outputs_of


def columns(problem: Problem, frozen: tuple[str, ...] = ()) -> list[Matrix]:
    """Compute ``Jᵀ S`` of each training example, ``[P, R]``: the Fisher is their mean square."""
    module = problem.module().eval()
    kept = list(kept_parameters(module, frozen).values())
    found = []
    for inputs, targets in problem.examples(problem.train):
        outputs = outputs_of(module, inputs)
        rows = [
            torch.cat([part.reshape(-1) for part in gradients_of(value, kept)]).numpy()
            for value in outputs.reshape(-1)
        ]
        found.append(np.stack(rows, axis=1) @ square_root(problem, outputs, targets))  # [P, R]
    return found


@functools.cache
def fisher(problem: Problem, frozen: tuple[str, ...] = ()) -> Matrix:
    """Compute ``1/N Σ Jᵀ (∂²ℓ/∂f²) J``, without weight decay: ``[P, P]``."""
    found = columns(problem, frozen)
    total: Matrix = sum(part @ part.T for part in found) / len(found)
    return total


def kfac(
    problem: Problem,
    frozen: tuple[str, ...] = (),
    weight_sharing: Literal["expand", "reduce"] = "expand",
) -> Matrix:
    """Compute K-FAC's matrix, weight decay included: ``[P, P]``.

    Parameters other than the matrices of layers have the dense block of their module.
    """
    exact = fisher(problem, frozen)
    matrices, covered = _units(problem, frozen)
    total = _blocks_of_others(problem, exact, frozen, covered)
    for unit in matrices:
        pairs = factors(unit, weight_sharing)
        if len(pairs) == 1:
            block = np.kron(*pairs[0])
        else:
            basis, eigenvalues = _shared(pairs)
            block = basis * eigenvalues @ basis.T
        _put(total, unit, block)
    return total + problem.weight_decay * np.eye(len(total))


def ekfac(
    problem: Problem,
    frozen: tuple[str, ...] = (),
    weight_sharing: Literal["expand", "reduce"] = "expand",
) -> Matrix:
    """Compute EK-FAC's matrix, weight decay included: ``[P, P]``.

    In the basis of K-FAC, the diagonal of the exact block of the Fisher.
    """
    exact = fisher(problem, frozen)
    matrices, covered = _units(problem, frozen)
    total = _blocks_of_others(problem, exact, frozen, covered)
    for unit in matrices:
        basis = kfac_basis(unit, weight_sharing)
        places = unit.places.reshape(-1)
        block = exact[np.ix_(places, places)]
        eigenvalues = np.diag(basis.T @ block @ basis)
        _put(total, unit, basis * eigenvalues @ basis.T)
    return total + problem.weight_decay * np.eye(len(total))


_units = functools.cache(units)


def kfac_basis(unit: Unit, weight_sharing: Literal["expand", "reduce"] = "expand") -> Matrix:
    """Compute the eigenvectors of K-FAC's block, ``[O·I, O·I]``."""
    pairs = factors(unit, weight_sharing)
    if len(pairs) > 1:
        return _shared(pairs)[0]
    rows, columns = pairs[0]
    return np.kron(np.linalg.eigh(rows)[1], np.linalg.eigh(columns)[1])


def factors(
    unit: Unit, weight_sharing: Literal["expand", "reduce"] = "expand"
) -> list[tuple[Matrix, Matrix]]:
    """Compute the second moments of rows and columns, one pair for each module.

    That of the inputs is a mean over all positions of convolutions in two and three dimensions, and
    over those positions of sequences that are no padding: a token, where a linear layer, an
    embedding or a convolution in one dimension with as many positions has a gradient; a place of a
    convolution in one dimension, where one of these has a gradient there or further on.
    """
    modules = sorted({module for example in unit.examples for module in example})
    return [
        _module_factors([example[module] for example in unit.examples], weight_sharing)
        for module in modules
    ]


def _module_factors(
    sides_of_examples: Sequence[Sides], weight_sharing: Literal["expand", "reduce"]
) -> tuple[Matrix, Matrix]:
    by_rows = sides_of_examples[0].rows.ndim == 3
    width = (sides_of_examples[0].rows if by_rows else sides_of_examples[0].columns).shape[-1]
    other_width = (sides_of_examples[0].columns if by_rows else sides_of_examples[0].rows).shape[-1]
    gradients = np.zeros((width, width))
    inputs = np.zeros((other_width, other_width))
    counted = 0
    for sides in sides_of_examples:
        gradient, other = (sides.rows, sides.columns) if by_rows else (sides.columns, sides.rows)
        positions = [place for place, spot in enumerate(sides.spots) if _counts(spot, sides)]
        if weight_sharing == "reduce" and by_rows:
            for column in gradient:
                whole = column.sum(axis=0)
                gradients += np.outer(whole, whole)
            if positions:
                mean = np.mean([other[place] for place in positions], axis=0)
                inputs += np.outer(mean, mean)
                counted += 1
            continue
        for column in gradient:
            for vector in column:
                gradients += np.outer(vector, vector)
        for place in positions:
            inputs += np.outer(other[place], other[place])
            counted += 1
    gradients, inputs = gradients / len(sides_of_examples), inputs / max(counted, 1)
    return (gradients, inputs) if by_rows else (inputs, gradients)


def _counts(spot: Spot, sides: Sides) -> bool:
    """Tell whether a position is part of the mean over inputs: it is no padding of a sequence."""
    if spot.kind in ("", "conv2d", "conv3d"):
        return True
    of_sequences = ("linear", "embedding", "conv1d")
    used = {
        other.place
        for other in sides.with_gradient
        if other.kind in of_sequences and other.number == spot.number
    }
    if spot.kind == "conv1d":
        return any(place >= spot.place for place in used)
    return spot.place in used and not spot.padding


def _shared(pairs: Sequence[tuple[Matrix, Matrix]]) -> tuple[Matrix, Matrix]:
    """Diagonalize ``Σ_u R_u ⊗ C_u`` as far as the basis of its partial traces does."""
    rows = sum(row * np.trace(column) for row, column in pairs)
    columns = sum(column * np.trace(row) for row, column in pairs)
    basis = np.kron(np.linalg.eigh(rows)[1], np.linalg.eigh(columns)[1])
    whole = sum(np.kron(row, column) for row, column in pairs)
    return basis, np.diag(basis.T @ whole @ basis)


def _put(total: Matrix, unit: Unit, block: Matrix) -> None:
    places = unit.places.reshape(-1)
    total[np.ix_(places, places)] = block


def _blocks_of_others(
    problem: Problem, exact: Matrix, frozen: tuple[str, ...], covered: set[str]
) -> Matrix:
    """Keep the blocks, by module, of parameters that are in no matrix of a layer."""
    places = places_of(kept_parameters(problem.module(), frozen))
    owners: dict[str, list[Matrix]] = {}
    for name, where in places.items():
        if name not in covered:
            owners.setdefault(name.rpartition(".")[0], []).append(where.reshape(-1))
    total = np.zeros_like(exact)
    for parts in owners.values():
        block = np.concatenate(parts)
        total[np.ix_(block, block)] = exact[np.ix_(block, block)]
    return total
