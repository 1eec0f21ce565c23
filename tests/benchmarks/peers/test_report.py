"""From measurements to verdicts and the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import __main__ as program
from benchmarks.peers import contraction, report, results, start_up
from benchmarks.peers.agreement import mean_spearman, pearson, ranks, relative_error
from benchmarks.peers.child import Ending
from benchmarks.peers.rows import ROWS, Row
from benchmarks.peers.session import Scale, Session
from benchmarks.peers.workloads import TASKS
from tests.benchmarks.peers.conftest import FakeProcesses

Make = Callable[..., Session]

ROW = Row(
    "tiny",
    "A tiny network",
    "tiny-mlp",
    ("ekfac",),
    {"kronfluence": 4, "pydvl": 20, "dattri": None},
    reference="ekfac",
    same=("ekfac",),
)

MEASURED_AS = {"date": "2026-01-02", "commit": "abc", "threads": 1, "runs": 2}
MACHINE = {"processor": "Abacus", "cores": 2, "python": "Python 3.11.7"}


def run_all(session: Session, row: Row = ROW, peers: Sequence[str] | None = None) -> Any:
    program.measure_rows(session, [row], [Scale()], peers)
    return results.row_result(session, row, Scale(), peers)


class TestAgreement:
    def test_ranks_of_equal_values_are_shared(self) -> None:
        np.testing.assert_array_equal(ranks(np.array([3.0, 1.0, 3.0, 7.0])), [1.5, 0, 1.5, 3])

    def test_correlations(self) -> None:
        scores = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
        assert pearson(scores, 3 * scores - 1) == pytest.approx(1)
        assert mean_spearman(scores, np.exp(scores)) == pytest.approx(1)
        assert mean_spearman(scores, scores[:, ::-1]) == pytest.approx(-1)
        assert pearson(scores, np.ones((2, 3))) == 0

    def test_relative_error(self) -> None:
        assert relative_error(np.array([[3.0, 4.5]]), np.array([[3.0, 4.0]])) == pytest.approx(0.1)


class TestRows:
    def test_workloads_and_names(self) -> None:
        assert {row.workload for row in ROWS} == set(TASKS)
        assert len({row.name for row in ROWS}) == len(ROWS)

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
    def test_hessinf_and_its_references_have_the_methods(self, row: Row) -> None:
        from benchmarks.peers.adapters import hessinf, reference

        assert set(row.methods) <= set(hessinf.METHODS)
        assert {*row.same, *([row.reference] if row.reference else [])} <= set(reference.METHODS)
        assert set(row.same) <= set(row.methods)

    def test_a_peer_may_do_it_with_another_method(self) -> None:
        row = Row("r", "R", "tiny-mlp", ("ggn",), {"pydvl:exact": 10, "dattri": None})
        assert row.competitors == [("hessinf", "ggn"), ("pydvl", "exact"), ("dattri", "ggn")]


class TestRowResult:
    def test_medians_and_verdicts(self, make_session: Make, processes: FakeProcesses) -> None:
        processes.seconds = {"hessinf": 0.5, "kronfluence": 2.5, "pydvl": 3.0}
        processes.peaks = {"hessinf": 310_000_000, "dattri": 400_000_000}
        found = run_all(make_session())
        by_name = {entry["peer"]: entry for entry in found["entries"]}
        own = by_name["hessinf"]
        assert (own["cpu"], own["fit"]["cpu"], own["wall"]) == (0.5, 0.125, 2.0)
        assert own["times_kernel"] == pytest.approx(2.5)
        assert own["runs"] == 2
        assert by_name["kronfluence"]["ahead"] == pytest.approx(5)
        assert by_name["kronfluence"]["warm_cpu"] == 1.25
        assert by_name["kronfluence"]["warm_ahead"] == pytest.approx(5)
        assert by_name["dattri"]["agreement"]["hessinf"]["pearson"] == pytest.approx(1)
        assert [(bar["what"], bar["asked"], bar["met"]) for bar in found["bars"]] == [
            ("processor seconds of kronfluence over hessinf's", "≥ 4", True),
            ("processor seconds of pydvl over hessinf's", "≥ 20", False),
            ("peak memory, MB, beside kronfluence's", "≤ 300", False),
            ("relative error of ekfac", "≤ 0.0001", True),
        ]

    def test_the_same_run_of_everybody_comes_before_the_next(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        run_all(make_session())
        cold = [job for job in processes.asked if not job[1].endswith("warm")]
        once = [(name, "ekfac") for name in ("hessinf", "kronfluence", "pydvl", "dattri")]
        assert cold == [*once, *once, ("reference", "ekfac")]

    def test_a_limit_gives_a_lower_bound(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        processes.endings = {
            "kronfluence": Ending("over the time limit", 60, 50.0, ""),
            "pydvl": Ending("over the memory limit", 60, 10.0, ""),
        }
        found = run_all(make_session())
        assert [bar["met"] for bar in found["bars"][:2]] == [True, None]
        table = report.row_table({**found, **MEASURED_AS})
        assert "| kronfluence | ekfac, over the time limit |  |  | > 50 |" in table
        assert "| > 50× |  |" in table
        assert "| pydvl | ekfac, over the memory limit |  |  | > 10 |" in table
        assert "processor seconds of pydvl over hessinf's: 10, asked ≥ 20: cannot be said" in table

    def test_a_failure_has_the_packages_own_words(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        processes.endings["dattri"] = Ending("failed", 1.0, 1.0, "IndexError: a | b")
        found = run_all(make_session())
        assert found["entries"][-1]["how"] == "failed"
        table = report.row_table({**found, **MEASURED_AS})
        assert "| dattri | ekfac, failed: IndexError: a \\| b |" in table

    def test_hessinfs_own_failure_misses_the_bar(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        processes.endings["hessinf"] = Ending("failed", 1.0, 1.0, "Oops")
        found = run_all(make_session())
        assert found["bars"] == [
            {"what": "hessinf", "asked": "finished", "found": "failed", "met": False}
        ]

    def test_limits_of_a_row_without_peers(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        row = Row("alone", "Alone", "tiny-mlp", ("ggn",), kernel_limit=4, memory_limit=200_000_000)
        found = run_all(make_session(), row)
        assert [(bar["asked"], bar["met"]) for bar in found["bars"]] == [
            ("≤ 4", False),
            ("≤ 200", False),
        ]


class TestMarkdown:
    def test_has_everything(self, make_session: Make, processes: FakeProcesses) -> None:
        found = run_all(make_session(), peers=["kronfluence"])
        text = report.markdown(
            {
                "machine": MACHINE,
                "rows": {"tiny": {**found, **MEASURED_AS}},
                "start_up": {
                    **MEASURED_AS,
                    "commands": {"python": {"cpu": 1.0, "wall": 1.5}},
                    "bar": {"what": "w", "asked": "≤ 1", "found": 1.0, "met": True},
                },
            }
        )
        assert text.startswith("Abacus, 2 cores, Python 3.11.7; hessinf 1.2.3, kronfluence 1.2.3. ")
        assert "Measured on 2026-01-02, 2 runs, 1 thread, hessinf at abc." in text
        assert (
            "| kronfluence | ekfac | 0.250 | 0.750 | 1 | 0.500 | 4 | 5 | 300 | error 0.0e+00 "
            "| error 0.0e+00 | 1× (≥ 4×) | 1× |"
        ) in text
        assert "**not met**" in text
        assert "| `python` | 1 | 1.5 |" in text
        assert "pydvl" not in text

    def test_goes_between_its_marks(self, tmp_path: Path) -> None:
        path = tmp_path / "README.md"
        path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
        report.update(path, "new\n")
        report.update(path, "newer\n")
        assert path.read_text(encoding="utf-8") == (
            f"before\n{report.BEGIN}\n\nnewer\n\n{report.END}\nafter\n"
        )

    def test_marks_are_needed(self, tmp_path: Path) -> None:
        path = tmp_path / "README.md"
        path.write_text(f"{report.END}\n{report.BEGIN}\n", encoding="utf-8")
        with pytest.raises(SystemExit) as caught:
            report.update(path, "new\n")
        assert str(caught.value) == (
            f"{path} needs the lines {report.BEGIN} and {report.END}, once each, in this order"
        )

    def test_growth_is_told_from_the_smallest(self) -> None:
        entry = {"row": "r", "peer": "hessinf", "method": "ekfac", "how": "finished"}
        entry |= {"times_kernel": 1.0, "peak_bytes": 1e6, "queries": 5}
        entries = [
            {**entry, "train": 1000, "cpu": 0.5},
            {**entry, "train": 2000, "cpu": 1.5},
            {**entry, "peer": "pydvl", "train": 1000, "how": "over the time limit"},
        ]
        text = report.growth_table({"entries": entries, **MEASURED_AS})
        assert "| r | hessinf ekfac | 1,000 | 5 | 0.500 | 1 | 1 | 1× |" in text
        assert "| r | hessinf ekfac | 2,000 | 5 | 1.5 | 1 | 1 | 3× |" in text
        assert "| r | pydvl ekfac | 1,000 | 5 | over the time limit |" in text


class TestStartUp:
    def test_the_bar_follows_the_import_of_torch(self) -> None:
        call = "python -m benchmarks.peers.single_call ekfac"
        medians = {start_up.TORCH: {"cpu": 1.0}, call: {"cpu": 1.6}}
        assert start_up.bar(medians)["met"] is True
        medians[call]["cpu"] = 1.7
        assert start_up.bar(medians)["met"] is False
        assert start_up.bar(medians)["asked"] == "≤ 1.3 × importing torch + 0.3 s = 1.6"


class TestContraction:
    def test_reads_what_the_engine_says(
        self, make_session: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def engine(command: Sequence[str], **limits: Any) -> Ending:
            folder = Path(command[command.index("--output") + 1])
            folder.mkdir(exist_ok=True)
            shape = {"name": "linear 4→4", "seconds": 0.5, "share": 0.8, "plan": "gram"}
            bar = {"name": "large shapes", "note": "all", "share": 0.7, "passed": False}
            rows = [{"group": "contraction", **shape}, {"group": "bar", **bar}]
            (folder / "engine.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
            return Ending("failed", 1, 1, "a bar is missed")

        monkeypatch.setattr(contraction.child, "run", engine)
        found = contraction.measure(make_session(), 1)
        text = report.contraction_table({**found, **MEASURED_AS})
        assert "| linear 4→4 | 0.500 | 80% |  | gram |" in text
        assert "share of sgemm's rate (all): 0.7, asked ≥ 0.75: **not met**" in text

    def test_says_how_the_engine_failed(
        self, make_session: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            contraction.child, "run", lambda *_, **__: Ending("failed", 1, 1, "ImportError: x")
        )
        with pytest.raises(SystemExit, match="failed: ImportError: x"):
            contraction.measure(make_session(), 1)


class TestProgram:
    @pytest.fixture
    def run(
        self, make_session: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> Callable[..., int]:
        directory = make_session().directory
        other = Row("other", "Another", "tiny-mlp", ("ggn",))
        monkeypatch.setattr(program, "ROWS", (ROW, other))
        options = ["--environments", str(directory), "--output", str(tmp_path / "out.json")]
        return lambda *words: program.main([*options, *words])

    def test_rows_of_earlier_calls_stay(
        self, run: Callable[..., int], processes: FakeProcesses, tmp_path: Path
    ) -> None:
        assert run("--rows", "other", "--runs", "1") == 0
        assert run("--rows", "tiny", "--peers", "pydvl", "--runs", "1") == 0
        found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
        assert list(found["rows"]) == ["tiny", "other"]
        assert [entry["peer"] for entry in found["rows"]["tiny"]["entries"]] == ["hessinf", "pydvl"]
        assert found["rows"]["tiny"]["runs"] == 1
        assert "growth" not in found

    def test_scales_make_a_table_of_growth(
        self,
        run: Callable[..., int],
        processes: FakeProcesses,
        write_workload: Callable[..., Path],
        make_session: Make,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        workloads = make_session().directory / "workloads"
        write_workload("tiny-mlp", workloads / "tiny-mlp-n2-q1", train=24)
        made = (workloads / "tiny-mlp.made-from").read_text(encoding="utf-8")
        (workloads / "tiny-mlp-n2-q1.made-from").write_text(made, encoding="utf-8")
        run("--rows", "other", "--scale-train", "1", "2", "--runs", "1")
        found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
        assert [entry["train"] for entry in found["growth"]["entries"]] == [12, 24]
        assert "| other | hessinf ggn | 24 | 3 |" in capsys.readouterr().out

    def test_a_busy_machine_is_said_so(
        self,
        run: Callable[..., int],
        processes: FakeProcesses,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(program.os, "getloadavg", lambda: (7.25, 1.0, 1.0))
        monkeypatch.setattr(program, "machine", lambda: dict(MACHINE))
        run("--rows", "other", "--runs", "1")
        assert capsys.readouterr().err.splitlines()[0] == (
            "this machine is busy: 7.2 processes want its 2 cores; processor seconds are longer "
            "than on an idle one, and wall seconds say nothing"
        )

    def test_lists_rows_with_what_is_asked(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--list") == 0
        text = capsys.readouterr().out
        assert (
            "tiny\n    A tiny network; beside kronfluence (≥ 4×), pydvl (≥ 20×), dattri\n" in text
        )
        assert "other\n    Another; beside nobody\n" in text

    def test_help_has_examples(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            run("--help")
        assert caught.value.code == 0
        assert "python -m benchmarks.peers --list\n" in capsys.readouterr().out

    def test_an_unknown_row_is_refused(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            run("--rows", "nonsense")
        assert caught.value.code == 2
        assert "invalid choice: 'nonsense' (choose from" in capsys.readouterr().err
