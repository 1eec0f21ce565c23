from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.peers import environments
from benchmarks.peers import session as sessions
from benchmarks.peers.child import Ending
from benchmarks.peers.session import Job, Scale, Session, total
from tests.benchmarks.peers.conftest import FakeProcesses

Make = Callable[..., Session]


def measure(session: Session, peer: str = "kronfluence", run: int = 0) -> dict:
    return session.measure(Job(peer, "ekfac", "tiny-mlp"), run)


class TestMeasure:
    def test_is_kept_for_the_next_call(self, make_session: Make, processes: FakeProcesses) -> None:
        first = measure(make_session())
        assert first["how"] == "finished"
        assert measure(make_session()) == first
        assert processes.asked == [("kronfluence", "ekfac")]

    def test_runs_are_told_apart(self, make_session: Make, processes: FakeProcesses) -> None:
        session = make_session()
        measure(session, run=0)
        measure(session, run=1)
        assert len(processes.asked) == 2

    def test_again_measures_once_more_in_a_call(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        measure(make_session())
        session = make_session(again=True)
        measure(session)
        measure(session)
        assert len(processes.asked) == 2

    @pytest.mark.parametrize("changed", ["threads", "adapter", "hessinf"])
    def test_another_configuration_is_measured_anew(
        self,
        changed: str,
        make_session: Make,
        processes: FakeProcesses,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        measure(make_session(), "hessinf")
        session = make_session(threads=2 if changed == "threads" else 1)
        if changed == "adapter":
            monkeypatch.setattr(sessions, "hash_of", lambda paths: str(sorted(paths)))
        if changed == "hessinf":
            monkeypatch.setattr(Session, "hessinf_sources", "other")
        monkeypatch.setattr(
            Session, "workload", lambda self, name, scale: {"fingerprint": fingerprint}
        )
        fingerprint = json.loads(
            (session.workload_folder("tiny-mlp", Scale()) / "workload.json").read_text()
        )["fingerprint"]
        measure(session, "hessinf")
        assert len(processes.asked) == 2

    def test_a_failure_is_not_repeated_in_a_call_but_by_the_next(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        processes.endings["kronfluence"] = Ending("failed", 3.0, 2.0, "ValueError: no")
        session = make_session()
        first = measure(session)
        assert (first["how"], first["said"]) == ("failed", "ValueError: no")
        assert measure(session, run=1) is first
        assert len(processes.asked) == 1
        processes.endings.clear()
        assert measure(make_session())["how"] == "finished"

    def test_a_time_limit_is_tried_again_only_where_it_is_higher(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        processes.endings["kronfluence"] = Ending("over the time limit", 60.0, 55.0, "")
        first = measure(make_session(seconds=60))
        assert (first["how"], first["cpu"]) == ("over the time limit", 55.0)
        measure(make_session(seconds=60))
        measure(make_session(seconds=30))
        assert len(processes.asked) == 1
        measure(make_session(seconds=90))
        assert len(processes.asked) == 2

    def test_a_process_gets_its_threads_and_the_repository(
        self, make_session: Make, processes: FakeProcesses, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "7")
        monkeypatch.setenv("PYTHONHOME", "/somewhere")
        measure(make_session(threads=2))
        [variables] = processes.environments
        assert variables["OMP_NUM_THREADS"] == variables["MKL_NUM_THREADS"] == "2"
        assert variables["PYTHONPATH"] == str(environments.ROOT)
        assert "PYTHONHOME" not in variables

    def test_a_peer_that_cannot_be_installed_is_said_so(
        self, make_session: Make, processes: FakeProcesses, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.undo()
        session = make_session()

        def refuse(peer: str, directory: Path) -> Path:
            raise environments.EnvironmentFailure("ERROR: no network")

        monkeypatch.setattr(environments, "ensure", refuse)
        assert measure(session) == {"how": "not installed", "said": "ERROR: no network"}

    def test_nothing_unfinished_is_left(self, make_session: Make, processes: FakeProcesses) -> None:
        session = make_session()
        measure(session)
        kept = sorted(path.suffix for path in session.store.folder.iterdir())
        assert kept == [".json", ".npy"]


class TestScores:
    def test_an_adapter_that_changes_meanwhile_does_not_lose_them(
        self, make_session: Make, processes: FakeProcesses, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = make_session()
        measure(session)
        monkeypatch.setattr(sessions, "hash_of", lambda paths: "changed")
        found = session.scores(Job("kronfluence", "ekfac", "tiny-mlp"))
        assert found is not None
        assert found.shape == (3, 12)

    def test_there_are_none_of_what_failed(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        processes.endings["pydvl"] = Ending("failed", 1.0, 1.0, "Oops")
        assert make_session().scores(Job("pydvl", "ekfac", "tiny-mlp")) is None


class TestWarm:
    def test_is_measured_where_it_matters(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        processes.seconds = {"pydvl": 11.0}
        session = make_session()
        assert session.measure_warm(Job("pydvl", "ekfac", "tiny-mlp"), 0) is None
        warm = session.measure_warm(Job("dattri", "ekfac", "tiny-mlp"), 1)
        assert warm is not None
        assert total(warm, "cpu") == 0.5
        assert processes.asked == [
            ("pydvl", "ekfac"),
            ("dattri", "ekfac"),
            ("dattri", "ekfac, warm"),
            ("dattri", "ekfac, warm"),
        ]

    def test_is_left_out_where_it_failed(
        self, make_session: Make, processes: FakeProcesses
    ) -> None:
        processes.endings["pydvl"] = Ending("failed", 1.0, 1.0, "Oops")
        assert make_session().measure_warm(Job("pydvl", "ekfac", "tiny-mlp"), 0) is None


class TestAlone:
    def test_a_second_call_is_refused(self, make_session: Make) -> None:
        with (
            make_session().alone(),
            pytest.raises(SystemExit, match=r"another call measures with .* already"),
            make_session().alone(),
        ):
            pytest.fail("both measure")


class TestWorkload:
    def test_is_prepared_anew_when_its_making_has_changed(
        self, make_session: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = make_session()
        asked = []
        monkeypatch.setattr(Session, "run", lambda self, *command, log: asked.append(command))
        session.workload("tiny-mlp", Scale())
        assert asked == []
        stamp = session.directory / "workloads" / "tiny-mlp.made-from"
        stamp.write_text("other", encoding="utf-8")
        make_session().workload("tiny-mlp", Scale())
        [command] = asked
        assert command[1:4] == ("-m", "benchmarks.peers.preparation", "tiny-mlp")
        assert command[-4:] == ("--train-factor", "1.0", "--query-factor", "1.0")

    def test_scales_have_folders_of_their_own(self) -> None:
        assert Scale().folder("cnn") == "cnn"
        assert Scale(2, 0.5).folder("cnn") == "cnn-n2-q0.5"
