"""The engine's benchmark on shapes that take no time: counts, plans, bars, tables, history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import engine, engine_history, engine_shapes, engine_workloads, matmul_rate
from benchmarks.engine_report import markdown
from benchmarks.engine_rows import Row
from benchmarks.engine_shapes import BAR_NAME, Case
from benchmarks.matmul_rate import Yardstick
from benchmarks.operations import OperationTable, Work
from benchmarks.peers.networks import NETWORKS
from benchmarks.peers.workloads import Workload
from hessinf.gradients import FactoredGradients
from hessinf.scores.contraction import InnerProducts

STICK = Yardstick(kernel=0.2, rates={"float32": 1e11, "float64": 5e10})

FACTS = {
    "commit": "0123456789abcdef",
    "changed": True,
    "date": "2026-01-02 03:04 UTC",
    "machine": "a machine",
    "threads": 1,
    "versions": {"python": "3.11", "torch": "2.13"},
    "rates": {"sgemm, PyTorch's own choice": 9e10, "float32": 1e11, "float64": 5e10},
}


class TestShapes:
    @pytest.mark.parametrize("case", engine_shapes.cases(64), ids=lambda case: case.name)
    def test_every_case_gives_the_scores_of_tensors(self, case: Case) -> None:
        row = engine_shapes.measure(case, STICK, repeats=1)
        assert row.error is not None
        assert row.error < 1e-5
        assert row.seconds > 0
        assert row.kernels == row.seconds / 0.2
        assert row.bytes > 0

    def test_dense_and_factored_queries(self) -> None:
        case = Case("linear", 1, 5, 4, 3, 6, dense=False)
        queries, batches = engine_shapes.build(case)
        assert isinstance(queries, FactoredGradients)
        assert all(isinstance(batch, FactoredGradients) for batch in batches)
        dense, _ = engine_shapes.build(Case("linear", 1, 5, 4, 3, 6, dense=True))
        assert not isinstance(dense, FactoredGradients)
        assert torch.equal(dense.flatten(), queries.flatten())
        assert dense.flatten().shape == (3, 4 * 5 + 4)

    def test_batches_hold_all_examples(self) -> None:
        case = Case("linear", 1, 3, 2, 2, engine_shapes.BATCH + 7, dense=True)
        assert [batch.count for batch in engine_shapes.build(case)[1]] == [engine_shapes.BATCH, 7]

    def test_a_convolution_needs_a_square(self) -> None:
        with pytest.raises(ValueError, match="positions form a square, found 5"):
            engine_shapes.build(Case("convolution", 5, 2, 2, 2, 2, dense=True))

    def test_the_plan_is_read_over_all_batches(self) -> None:
        queries, batches = engine_shapes.build(Case("linear", 1, 3, 2, 5, 7, dense=True))
        products = InnerProducts(queries)
        once = engine_shapes.prediction(products, batches)
        assert once["plan"]
        assert once["flops"] > 0
        twice = engine_shapes.prediction(products, batches * 2)
        assert twice == once | {"flops": 2 * once["flops"], "bytes": 2 * once["bytes"]}

    def test_wrong_scores_are_seen(self) -> None:
        queries, batches = engine_shapes.build(Case("linear", 1, 3, 2, 2, 4, dense=True))
        right = queries.flatten() @ batches[0].flatten().T
        assert engine_shapes.error_of([right], queries, batches) < 1e-6
        assert engine_shapes.error_of([right * 1.5], queries, batches) == pytest.approx(0.5)


class TestBar:
    CASES = (
        Case("linear", 1, 1024, 1024, 8, 8, dense=True, large=True),
        Case("linear", 1, 2048, 512, 8, 8, dense=True, large=True),
        Case("linear", 1, 64, 64, 8, 8, dense=True),
    )

    def bar(self, *shares: float) -> Row:
        rows = [
            Row("contraction", case.name, share=share)
            for case, share in zip(self.CASES, shares, strict=True)
        ]
        return engine_shapes.bar(rows, list(self.CASES))

    def test_the_least_share_of_large_shapes_counts(self) -> None:
        row = self.bar(0.9, 0.8, 0.1)
        assert (row.name, row.share, row.passed) == (BAR_NAME, 0.8, True)
        assert self.CASES[1].name in row.note

    def test_one_below_fails(self) -> None:
        assert self.bar(0.7, 0.8, 0.9).passed is False

    def test_without_large_shapes(self) -> None:
        with pytest.raises(ValueError, match="no large shape was measured"):
            engine_shapes.bar([], [])

    def test_the_bar_is_about_shapes_that_are_there(self) -> None:
        large = [case for case in engine_shapes.cases() if case.large]
        assert large
        assert all(case.dense for case in large)
        assert all(case.inputs * case.outputs >= 2**18 for case in large)


class TestWorkloads:
    def table(self) -> OperationTable:
        table = OperationTable()
        add = table.entries.__setitem__
        add(("curvature/kronecker_factors", "mm", "a", "float32"), Work(2, 10**10, 100, 0.2))
        add(("gradients/layers/usage", "mul", "b", "float32"), Work(1, 0, 400, 0.1))
        add(("gradients/per_example", "mm", "c", "float64"), Work(1, 10**9, 10, 0.1))
        return table

    def rows(self) -> dict[str, Row]:
        rows = engine_workloads.phase_rows("mlp, ekfac, fit", self.table(), 0.5, STICK)
        return {row.name: row for row in rows}

    def test_the_whole(self) -> None:
        whole = self.rows()["mlp, ekfac, fit"]
        assert (whole.group, whole.kernels, whole.flops, whole.bytes) == (
            "work",
            2.5,
            11 * 10**9,
            510,
        )
        assert whole.share == pytest.approx((0.1 + 0.02) / 0.5)

    def test_stages(self) -> None:
        rows = self.rows()
        covariances = rows["mlp, ekfac, fit: covariances"]
        assert covariances.share == pytest.approx(0.5)
        passes = rows["mlp, ekfac, fit: forward and backward"]
        assert passes.seconds == pytest.approx(0.2)
        assert passes.share == pytest.approx(0.1)
        between = rows[f"mlp, ekfac, fit: {engine_workloads.BETWEEN}"]
        assert between.seconds == pytest.approx(0.1)

    def test_operations(self) -> None:
        row = self.rows()["mlp, ekfac, fit: mm a float32"]
        assert (row.group, row.note) == ("operation", "2 times, in curvature/kronecker_factors")

    def test_stages_have_names(self) -> None:
        assert engine_workloads.stage_of("scores/contraction") == "score contraction"
        assert engine_workloads.stage_of("scores/top_k") == "ranking"
        assert engine_workloads.stage_of("somewhere/else") == "somewhere/else"

    @pytest.mark.parametrize("key", engine_workloads.STAGES)
    def test_stages_are_of_files(self, key: str) -> None:
        """Whoever renames a file has to say so in STAGES."""
        files = engine_workloads.PACKAGE.rglob("*.py")
        paths = [str(file.relative_to(engine_workloads.PACKAGE)) for file in files]
        first = [path for path in paths if path.startswith(key)]
        assert first
        earlier = list(engine_workloads.STAGES)[: list(engine_workloads.STAGES).index(key)]
        assert not [name for name in earlier if key.startswith(name)]  # it would never be reached

    def test_a_watching_clock_sees_operations(self) -> None:
        clock = engine_workloads.WatchingClock()
        with clock.stage("fit"):
            torch.ones(3, 4) @ torch.ones(4, 5)
        assert clock.tables["fit"].total.flops == 120
        assert list(clock.processor) == ["fit"]

    def test_a_method_on_a_workload(self, tmp_path: Path) -> None:
        drawn = torch.Generator().manual_seed(0)
        inputs = torch.randn(9, 64, generator=drawn)
        targets = torch.arange(9)
        workload = Workload(
            name="small-mlp",
            task="classification",
            model=NETWORKS["small-mlp"]().eval(),
            train=(inputs[:6], targets[:6]),
            test=(inputs[6:], targets[6:]),
            folder=tmp_path,
        )
        rows = engine_workloads.measure(workload, "gradient-dot", STICK, runs=1)
        names = [row.name for row in rows if row.group == "work"]
        assert names == ["small-mlp, gradient-dot, fit", "small-mlp, gradient-dot, score"]
        score = next(row for row in rows if row.name == names[1])
        assert score.flops > 0


class TestReport:
    def test_all_parts(self) -> None:
        rows = [
            Row("bar", BAR_NAME, share=0.5, plain_share=0.9, passed=False, note="of 2"),
            Row(
                "contraction",
                "linear 4→4",
                0.1,
                0.5,
                10**9,
                10**8,
                0.1,
                predicted_flops=2e9,
                plan="gram",
                dense_flops=2 * 10**10,
                error=3e-7,
            ),
            Row("work", "mlp, ggn, fit", 2.0, 10.0, 10**10, 10**9, 0.05),
            Row("stage", "mlp, ggn, fit: solver", 1.0, 5.0),
            Row("stage", "mlp, ggn, fit: nearly nothing", 0.001, 0.005),
            Row("operation", "mlp, ggn, fit: mm [3]", 0.5, 2.5, note="2 times, in solvers/cg"),
        ]
        text = markdown(FACTS, rows)
        assert "Commit 012345678 with changes, 2026-01-02 03:04 UTC; a machine" in text
        assert f"| {BAR_NAME} | 50% | 90% | FAIL | of 2 |" in text
        assert (
            "| linear 4→4 | gram | 0.100 | 0.50 | 1.00 | 2.00 | 0.10 | 10% | 2.00 | 3e-07 |" in text
        )
        assert "## mlp, ggn, fit" in text
        assert "| **all, plainly run** | 2.000 | 10.00 | 10.00 | 1.00 | 5% |" in text
        assert "| solver | 1.000 | 5.00 | – | – | – |" in text
        assert "nearly nothing" not in text
        assert "| `mm [3]` 2 times, in solvers/cg | 0.500 | 2.50 | – | – | – |" in text


def line(commit: str, **kernels: float) -> dict[str, object]:
    rows = [Row("work", name, value * 0.2, value) for name, value in kernels.items()]
    return engine_history.entry(FACTS | {"commit": commit}, rows)


class TestHistory:
    def test_a_line_a_run(self, tmp_path: Path) -> None:
        file = tmp_path / "results" / "history.jsonl"
        assert engine_history.read(file) == []
        for commit in ("a1", "b2"):
            engine_history.append(file, line(commit, ekfac=1.0))
        lines = engine_history.read(file)
        assert [one["commit"] for one in lines] == ["a1", "b2"]
        assert lines[0]["rows"]["ekfac"]["kernels"] == 1.0

    def test_operations_are_left_out(self) -> None:
        rows = [Row("operation", "mm", 1.0, 5.0), Row("stage", "solver", 1.0, 5.0)]
        assert list(engine_history.entry(FACTS, rows)["rows"]) == ["solver"]

    def test_the_last_run_of_a_commit(self) -> None:
        lines = [line("aa1", x=1.0), line("ab2", x=2.0), line("aa1", x=3.0)]
        assert engine_history.find(lines, "aa")["rows"]["x"]["kernels"] == 3.0
        with pytest.raises(engine_history.NoHistoryError) as caught:
            engine_history.find(lines, "c")
        assert str(caught.value) == 'the history has no run of commit "c"; it has: aa1, ab2'

    def test_the_largest_change_comes_first(self) -> None:
        before = line("a1", same=1.0, twice=1.0, tenth=10.0, gone=1.0, tiny=0.001)
        after = line("b2", same=1.0, twice=2.0, tenth=1.0, new=1.0, tiny=0.002)
        told = engine_history.comparison(before, after).splitlines()
        assert told[0].startswith("a1 (2026-01-02 03:04 UTC) → b2")
        assert [row.split()[-1] for row in told[2:5]] == ["tenth", "twice", "same"]
        assert told[2].split() == ["10.000", "1.000", "0.10x", "tenth"]
        assert told[5] == "only before: 1 lines, gone among them"


class TestCommand:
    def test_measuring_and_comparing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(matmul_rate, "yardstick", lambda: STICK)
        words = ["--works", "none", "--shapes", "embedding", "--scale", "64", "--runs", "1"]
        words += ["--output", str(tmp_path)]
        for _ in range(2):
            assert engine.main(words) == 0  # no large shape among them: no bar
        assert capsys.readouterr().out.count("# The engine beside") == 2
        content = json.loads((tmp_path / "engine.json").read_text())
        assert {row["group"] for row in content["rows"]} == {"contraction"}
        assert (tmp_path / "engine.md").read_text().startswith("# The engine beside")
        assert len(engine_history.read(tmp_path / "engine_history.jsonl")) == 2
        assert engine.main(["--compare", "--output", str(tmp_path)]) == 0
        assert "in 17.2-GFLOP sgemms" in capsys.readouterr().out

    def test_a_missed_bar_is_the_exit_status(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # No machine multiplies as fast as this one claims to.
        fast = Yardstick(kernel=0.2, rates={"float32": 1e18, "float64": 1e18})
        monkeypatch.setattr(matmul_rate, "yardstick", lambda: fast)
        words = ["--works", "none", "--shapes", "linear", "--scale", "64", "--runs", "1"]
        assert engine.main([*words, "--output", str(tmp_path)]) == 1
        assert f"| {BAR_NAME} | 0% |" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--runs", "0"], "--runs must be at least 1, found 0"),
            (["--compare"], "engine_history.jsonl has 0 runs; comparing takes two"),
        ],
    )
    def test_wrong_arguments(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        words: list[str],
        said: str,
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            engine.main([*words, "--output", str(tmp_path)])
        assert caught.value.code == 2
        assert said in capsys.readouterr().err

    def test_unknown_work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(matmul_rate, "yardstick", lambda: STICK)
        words = ["--shapes", "none", "--works", "small-mlp/magic", "--output", str(tmp_path)]
        with pytest.raises(SystemExit, match='"small-mlp/magic" is not WORKLOAD/METHOD'):
            engine.main(words)


def test_a_yardstick_of_a_small_product() -> None:
    assert matmul_rate.kernel_seconds(repeats=1, shape=(8, 8, 8)) >= 0
    assert STICK.plain_rate == matmul_rate.KERNEL_FLOPS / 0.2
