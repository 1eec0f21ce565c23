"""K-FAC: a Kronecker product of two factors for every matrix of parameters."""

from __future__ import annotations

from typing import ClassVar

from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.interpreters.kronecker_influence import KroneckerInfluence


@InfluenceInterpreter.register("kfac")
class Kfac(KroneckerInfluence):
    """Influence with K-FAC: curvature by layer, gradients and inputs taken for independent.

    Registered as an `InfluenceInterpreter` with name "kfac".

    Approximates the Gauss-Newton matrix by its blocks by layer, and each block by ``G ⊗ A``, the
    second moments of the layer's output gradients and of its inputs. Exact for deep linear
    networks with squared error. The inverse at damping λ is exact: both factors are decomposed, and
    λ is added to the products of their eigenvalues. For networks that are too large for "ggn" and
    "block-ggn"; "ekfac" costs a second pass over the data.

    Cost
    ----
    Time: one forward pass over the N training examples with K backward passes ("type-2": K the
    number of outputs and positions of an example, else the samples), K·N·(O² + I²) for the factors
    of a matrix [O, I] and O³ + I³ to decompose them. Memory: about 4·(O² + I²) numbers of 8 bytes.
    Each block of queries: Q·O·I·(O + I) for each matrix, and N·P·Q; where examples have one
    position, N·(O² + I²) and r·N·Q·(O + I) instead, with r of 10 to 50, if that is less.
    The refined loss change: one pass more, and for each example O³ + I³ for each matrix, whose
    factors are decomposed without it.

    References
    ----------
    Martens & Grosse, Optimizing Neural Networks with Kronecker-factored Approximate Curvature, ICML
    2015. Grosse & Martens, A Kronecker-factored Approximate Fisher Matrix for Convolution Layers,
    ICML 2016. Eschenhagen et al., Kronecker-Factored Approximate Curvature for Modern Neural
    Network Architectures, NeurIPS 2023.
    """

    corrected: ClassVar[bool] = False
