"""``InterpreterConformance``: the checks that every ``InfluenceInterpreter`` has to pass."""

from __future__ import annotations

from hessinf.testing.failure_checks import FailureChecks
from hessinf.testing.further_checks import FurtherChecks
from hessinf.testing.invariance_checks import InvarianceChecks
from hessinf.testing.precision_checks import PrecisionChecks
from hessinf.testing.result_checks import ResultChecks
from hessinf.testing.score_checks import ScoreChecks
from hessinf.testing.state_checks import StateChecks


class InterpreterConformance(
    ScoreChecks,
    FurtherChecks,
    InvarianceChecks,
    PrecisionChecks,
    FailureChecks,
    ResultChecks,
    StateChecks,
):
    """The conformance suite of one registered name, for pytest.

    Subclass it in a test file, under a name that begins with ``Test``, and say what the method
    claims; pytest finds the checks::

        from hessinf.testing import InterpreterConformance, Tolerance

        class TestMyMethod(InterpreterConformance):
            name = "my-method"
            arguments: ClassVar = {"rank": 50}
            curvature = "ggn"
            tolerance = Tolerance(spearman=0.95, norm_ratio=0.1)

    What the method inverts is said by ``curvature`` ("hessian", "ggn", "identity"), by the method
    ``dense_curvature``, or by the method ``reference``, which gives the right scores themselves.
    The other attributes are documented in :class:`hessinf.testing.suite.ConformanceSuite`.

    Checks that need a CUDA device carry the marker ``gpu``: name it under ``markers`` in the
    configuration of pytest.
    """


class ScoreConformance(ScoreChecks, PrecisionChecks):
    """The part of the suite that compares scores: for further arguments of a method.

    What a method keeps whatever its arguments are is checked once, by
    :class:`InterpreterConformance`; an argument that changes only how scores are computed needs no
    more than these checks::

        class TestMyMethodInBlocks(ScoreConformance):
            name = "my-method"
            arguments: ClassVar = {"rank": 50, "blocks": "layer"}
    """
