"""What is measured: who does which work, and how far hessinf has to be ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GIB = 2**30


@dataclass(frozen=True)
class Row:
    """One piece of work, and who does it.

    Parameters
    ----------
    name
        What ``--rows`` calls it.
    title
        What the table calls it.
    workload
        The name of the workload.
    methods
        hessinf's: the first is the same work as the others do; further ones are shown beside it.
    peers
        By the name of a package, how many times as many processor seconds as hessinf it has to
        take, or None where it is shown and nothing is asked for. "pydvl:exact" is its method
        "exact"; without a colon it is the first of ``methods``.
    reference
        The float64 reference that scores are compared with.
    same
        The methods of hessinf that have references of their own, of the same name, which they
        have to agree with: for a sampled Fisher, one with the same targets.
    kernel_limit
        How many times the processor seconds of the 17.2-GFLOP product hessinf may take.
    memory_limit
        Bytes that hessinf may have resident; the leanest peer of the row where there is none.
    error_limit
        How far hessinf's scores may be from the reference, relatively.
    """

    name: str
    title: str
    workload: str
    methods: tuple[str, ...]
    peers: Mapping[str, float | None] = field(default_factory=dict)
    reference: str | None = None
    same: tuple[str, ...] = ()
    kernel_limit: float | None = None
    memory_limit: int | None = None
    error_limit: float = 1e-4

    @property
    def competitors(self) -> list[tuple[str, str]]:
        """Name everybody who does the work: pairs of adapter and method, hessinf's first."""
        own = [("hessinf", method) for method in self.methods]
        return own + [self.competitor(peer) for peer in self.peers]

    def competitor(self, peer: str) -> tuple[str, str]:
        """Split "pydvl:exact" into adapter and method."""
        name, _, method = peer.partition(":")
        return name, method or self.methods[0]


ROWS: tuple[Row, ...] = (
    Row(
        "ekfac-small-mlp",
        "EK-FAC, MLP 64-64-32-10",
        "small-mlp",
        ("ekfac", "ekfac-type-2"),
        {"kronfluence": 20, "pydvl": 10, "dattri": 10, "curvlinops": 10},
        reference="ekfac-type-2",
        same=("ekfac", "ekfac-type-2"),
    ),
    Row(
        "ekfac-wide-mlp",
        "EK-FAC, MLP 64-512-512-10",
        "wide-mlp",
        ("ekfac", "ekfac-type-2"),
        {"kronfluence": 28, "pydvl": 14, "dattri": 65, "curvlinops": None},
        reference="ekfac-type-2",
        same=("ekfac", "ekfac-type-2"),
    ),
    Row(
        "ekfac-cnn",
        "EK-FAC, CNN with batch normalization (its convolutions and linear layers)",
        "cnn",
        ("ekfac", "ekfac-type-2"),
        {"kronfluence": 4, "dattri": 6, "curvlinops": None},
        reference="ekfac-type-2",
        same=("ekfac", "ekfac-type-2"),
    ),
    Row(
        "ekfac-transformer",
        "EK-FAC, character transformer (its linear layers)",
        "transformer",
        ("ekfac",),
        {"kronfluence": 1.7, "dattri": None},
        reference="ekfac",
        same=("ekfac",),
    ),
    Row(
        "lissa-small-mlp",
        "LiSSA, AllenNLP's recursion and defaults, MLP 64-64-32-10",
        "small-mlp",
        ("lissa",),
        {"allennlp": 50, "pydvl": 5},
        reference="lissa",
        same=("lissa",),
    ),
    Row(
        "exact-small-mlp",
        "Exact Hessian, MLP 64-64-32-10",
        "small-mlp",
        ("exact",),
        {"pydvl": 10, "dattri": 10},
        reference="exact",
        same=("exact",),
    ),
    Row(
        "ggn-small-mlp",
        "Exact Gauss-Newton matrix, MLP 64-64-32-10",
        "small-mlp",
        ("ggn",),
        {"pydvl:exact": 10, "dattri:exact": 10, "curvlinops:conjugate-gradient": None},
        reference="ggn",
        same=("ggn",),
    ),
    Row(
        "ggn-wide-mlp",
        "Exact Gauss-Newton matrix, MLP 64-512-512-10",
        "wide-mlp",
        # In single precision the gradients themselves are not exact to 1e-6.
        ("ggn-float64", "ggn"),
        reference="ggn-float64",
        same=("ggn-float64",),
        kernel_limit=500,
        memory_limit=8 * GIB,
        error_limit=1e-6,
    ),
    Row(
        "gradient-dot-small-mlp",
        "Gradient dot products, MLP 64-64-32-10",
        "small-mlp",
        ("gradient-dot",),
        {"captum": 10, "dattri": 10, "kronfluence": 10},
        reference="gradient-dot",
        same=("gradient-dot",),
    ),
    Row(
        "gradient-dot-wide-mlp",
        "Gradient dot products, MLP 64-512-512-10",
        "wide-mlp",
        ("gradient-dot",),
        {"captum": 10, "dattri": 10, "kronfluence": 10},
        reference="gradient-dot",
        same=("gradient-dot",),
    ),
    Row(
        "kfac-wide-mlp",
        "K-FAC, MLP 64-512-512-10",
        "wide-mlp",
        ("kfac", "kfac-type-2"),
        {"kronfluence": 25, "curvlinops": None},
        reference="kfac-type-2",
        same=("kfac", "kfac-type-2"),
    ),
    Row(
        "ekfac-regression",
        "EK-FAC, regression of a table, MLP 10-64-32-1",
        "regression",
        ("ekfac", "ekfac-type-2"),
        {"kronfluence": None, "pydvl": None, "curvlinops": None},
        reference="ekfac-type-2",
        same=("ekfac", "ekfac-type-2"),
    ),
    Row(
        "gradient-dot-regression",
        "Gradient dot products, regression of a table, MLP 10-64-32-1",
        "regression",
        ("gradient-dot",),
        {"captum": None, "dattri": None, "kronfluence": None},
        reference="gradient-dot",
        same=("gradient-dot",),
    ),
    Row(
        "arnoldi-small-mlp",
        "Arnoldi of rank 50, MLP 64-64-32-10",
        "small-mlp",
        ("arnoldi",),
        {"pydvl": None, "dattri": None, "captum": None},
        reference="ggn",
    ),
    Row(
        "nystroem-small-mlp",
        "Nyström of rank 50, MLP 64-64-32-10",
        "small-mlp",
        ("nystroem",),
        {"pydvl": None},
        reference="ggn",
    ),
    Row(
        "conjugate-gradient-small-mlp",
        "Conjugate gradients with the Gauss-Newton matrix, MLP 64-64-32-10",
        "small-mlp",
        ("conjugate-gradient",),
        {"curvlinops": None},
        reference="ggn",
    ),
    Row(
        "trak-small-mlp",
        "TRAK with 512 projections; hessinf has none: its EK-FAC, MLP 64-64-32-10",
        "small-mlp",
        ("ekfac-type-2",),
        {"traker:trak": None, "dattri:trak": None},
        reference="ggn",
    ),
)
"""All rows; those that nothing is asked of come last."""
