"""EK-FAC: K-FAC's eigenbasis with the eigenvalues that are right in it."""

from __future__ import annotations

from typing import ClassVar

from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.interpreters.kronecker_influence import KroneckerInfluence


@InfluenceInterpreter.register("ekfac")
class Ekfac(KroneckerInfluence):
    """Influence with EK-FAC: K-FAC's eigenbasis, its eigenvalues corrected in a second pass.

    Registered as an `InfluenceInterpreter` with name "ekfac".

    Approximates the blocks by layer of the Gauss-Newton matrix as "kfac" does, but keeps of K-FAC
    only the basis; the eigenvalues are the mean squares of whole per-example gradients in it. Of
    all matrices that are diagonal in this basis it is the nearest to the block (in the Frobenius
    norm). That does not mean that scores are nearer to those of the exact matrix: on small
    networks "kfac" is as good or better, for a pass less.

    Cost
    ----
    Time: as "kfac", and a second pass in which each matrix [O, I] costs K·N·(O² + I² + O·I), times
    the positions of an example where it has several. Memory: as "kfac".
    Each block of queries: Q·O·I·(O + I) for each matrix, and N·P·Q; where examples have one
    position, N·(O² + I²) and r·N·Q·(O + I) instead, with r of 10 to 50, if that is less.
    The refined loss change: one pass more, and for each example O³ + I³ for each matrix, whose
    factors are decomposed without it.

    References
    ----------
    George et al., Fast Approximate Natural Gradient Descent in a Kronecker-factored Eigenbasis,
    NeurIPS 2018. Grosse et al., Studying Large Language Model Generalization with Influence
    Functions, 2023.
    """

    corrected: ClassVar[bool] = True
