"""Runs rows: workloads, environments, and one process after the other."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import child, environments
from benchmarks.peers.store import Configuration, Store, hash_of

ROOT = environments.ROOT
HERE = Path(__file__).resolve().parent

LOCAL = ("hessinf", "allennlp", "reference")
"""Adapters that run in hessinf's own environment."""

REFERENCE_SECONDS = 3600.0
"""References are slow, and not timed."""

WARM_BELOW = 10.0
"""Processor seconds up to which it is also measured how long a method takes when torch's compiler
is imported already: beyond them, that is little."""

PREPARED_FROM = ("preparation.py", "networks.py", "workloads.py", "settings.py")


@dataclass(frozen=True)
class Scale:
    """How many times the training examples and queries of a workload are taken."""

    train: float = 1.0
    queries: float = 1.0

    def folder(self, workload: str) -> str:
        """Name the folder of a workload at this scale."""
        return workload if self == Scale() else f"{workload}-n{self.train:g}-q{self.queries:g}"


@dataclass(frozen=True)
class Job:
    """Who does which work how.

    Parameters
    ----------
    peer, method
        An adapter, and one of its methods.
    workload, scale
        The work.
    warm
        Whether torch's compiler is imported before the clock runs.
    """

    peer: str
    method: str
    workload: str
    scale: Scale = Scale()
    warm: bool = False

    def __str__(self) -> str:
        warm = ", warm" if self.warm else ""
        return f"{self.scale.folder(self.workload)}: {self.peer} {self.method}{warm}"


@dataclass
class Session:
    """What the runs of one call of ``python -m benchmarks.peers`` share.

    Parameters
    ----------
    directory
        Where environments, workloads and measurements are kept.
    runs
        How often each measurement is taken.
    threads
        Threads that a measured process may use.
    seconds
        Wall seconds that it may take.
    memory
        Bytes that it may have resident.
    again
        Whether what is kept already is measured again.
    """

    directory: Path
    runs: int = 3
    threads: int = 1
    seconds: float = 600.0
    memory: int = 12 * 2**30
    again: bool = False
    unavailable: dict[str, str] = field(default_factory=dict)
    """By the name of a peer, why it could not be installed."""

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.directory / "measurements")
        self._done: dict[tuple[Job, int], dict[str, Any]] = {}
        self._configurations: dict[Job, Configuration] = {}
        self._workloads: dict[tuple[str, Scale], dict[str, Any]] = {}

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Refuse to measure while another call does: each would slow the other down."""
        with open(self.directory / ".lock", "w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SystemExit(
                    f"another call measures with {self.directory} already; wait for it to end"
                ) from None
            yield

    def workload(self, name: str, scale: Scale) -> dict[str, Any]:
        """Prepare a workload unless it is there; say what it is."""
        if (name, scale) not in self._workloads:
            self._workloads[name, scale] = self._prepared(name, scale)
        return self._workloads[name, scale]

    def _prepared(self, name: str, scale: Scale) -> dict[str, Any]:
        folder = self.workload_folder(name, scale)
        facts = folder / "workload.json"
        made_from = hash_of(HERE / file for file in PREPARED_FROM)
        stamp = folder.with_name(f"{folder.name}.made-from")
        if not facts.is_file() or not stamp.is_file() or stamp.read_text() != made_from:
            say(f"preparing the workload {folder.name}")
            folder.parent.mkdir(parents=True, exist_ok=True)
            self.run(
                *(sys.executable, "-m", "benchmarks.peers.preparation", name, str(folder)),
                *("--train-factor", str(scale.train), "--query-factor", str(scale.queries)),
                log=folder.with_name(f"{folder.name}.log"),
            )
            stamp.write_text(made_from, encoding="utf-8")
        return json.loads(facts.read_text(encoding="utf-8"))

    def run(self, *command: str, log: Path) -> child.Ending:
        """Run a command that has to succeed."""
        ending = child.run(
            command,
            environment=self.variables(self.threads),
            log=log,
            seconds=REFERENCE_SECONDS,
            memory=self.memory,
        )
        if ending.how != "finished":
            raise SystemExit(f"{' '.join(command)} {ending.how}: {ending.said} (see {log})")
        return ending

    def workload_folder(self, name: str, scale: Scale) -> Path:
        """Name the folder of a workload."""
        return self.directory / "workloads" / scale.folder(name)

    def interpreter(self, peer: str) -> Path | None:
        """Give the Python of a peer, made if need be; None where it cannot be installed."""
        if peer in LOCAL:
            return Path(sys.executable)
        if peer in self.unavailable:
            return None
        try:
            return environments.ensure(peer, self.directory / peer)
        except environments.EnvironmentFailure as error:
            self.unavailable[peer] = str(error)
            return None

    @cached_property
    def hessinf_sources(self) -> str:
        """Hash what is measured of hessinf, as it is when this call starts."""
        return hash_of((ROOT / "hessinf").rglob("*.py"))

    def hessinf_changed(self) -> bool:
        """Say whether somebody has changed hessinf while it was measured."""
        return self.hessinf_sources != hash_of((ROOT / "hessinf").rglob("*.py"))

    def configuration(self, job: Job) -> Configuration:
        """Say what decides the figures of a run, as it was when it was first asked for."""
        if job not in self._configurations:
            self._configurations[job] = self._configuration(job)
        return self._configurations[job]

    def _configuration(self, job: Job) -> Configuration:
        peer = job.peer
        files = (HERE / "adapters" / f"{peer}.py", HERE / "settings.py", HERE / "loaders.py")
        code = hash_of(file for file in files if file.is_file())
        if peer in LOCAL:
            code += importlib.metadata.version("torch")
        if peer == "hessinf":
            code += self.hessinf_sources
        elif peer == "reference":
            code += hash_of(HERE.glob("*_references.py"))
        elif peer in environments.RECIPES:
            code += environments.RECIPES[peer].digest
        return Configuration(
            peer=peer,
            method=job.method,
            workload=job.workload,
            fingerprint=self.workload(job.workload, job.scale)["fingerprint"],
            code=code,
            threads=self.threads if peer != "reference" else 0,
            warm=job.warm,
        )

    def measure(self, job: Job, run: int) -> dict[str, Any]:
        """Take one measurement, or give the one that is kept.

        What was not finished the first time is not tried a second time.
        """
        if (job, run) not in self._done:
            first = self.measure(job, 0) if run > 0 else None
            if first is not None and first["how"] != "finished":
                return first
            self._done[job, run] = self._kept_or_measured(job, run)
        return self._done[job, run]

    def measure_warm(self, job: Job, run: int) -> dict[str, Any] | None:
        """Measure with torch's compiler imported; None where that makes little difference."""
        first = self.measure(job, 0)
        if first["how"] != "finished" or total(first, "cpu") > WARM_BELOW:
            return None
        return self.measure(replace(job, warm=True), run)

    def scores(self, job: Job) -> np.ndarray | None:
        """Load the scores of the first run, if it was finished."""
        if self.measure(job, 0)["how"] != "finished":
            return None
        return self.store.scores(self.configuration(job), 0)

    def _kept_or_measured(self, job: Job, run: int) -> dict[str, Any]:
        python = self.interpreter(job.peer)
        if python is None:
            return {"how": "not installed", "said": self.unavailable[job.peer]}
        configuration = self.configuration(job)
        kept = self.store.get(configuration, run)
        if kept is not None and self._may_be_used_again(job.peer, kept):
            return kept
        say(f"{job}, run {run + 1}")
        facts = self._measure(job, python, configuration, run)
        # What failed is tried again by the next call.
        if facts["how"] != "failed":
            self.store.put(configuration, run, facts)
        return facts

    def _may_be_used_again(self, peer: str, kept: dict[str, Any]) -> bool:
        """Say no to what went beyond a limit that is higher now."""
        if self.again and peer != "reference":
            return False
        if kept["how"] == "over the time limit":
            return kept["limit_seconds"] >= self.seconds
        if kept["how"] == "over the memory limit":
            return kept["limit_bytes"] >= self.memory
        return True

    def _measure(
        self, job: Job, python: Path, configuration: Configuration, run: int
    ) -> dict[str, Any]:
        out = self.store.path(configuration, run)
        unfinished = out.with_name(f"unfinished-{out.stem}")
        reference = job.peer == "reference"
        seconds = REFERENCE_SECONDS if reference else self.seconds
        ending = child.run(
            [
                *(str(python), "-m", "benchmarks.peers.measure", job.peer, job.method),
                *(str(self.workload_folder(job.workload, job.scale)), str(unfinished)),
                *(["--warm"] if job.warm else []),
            ],
            environment=self.variables((os.cpu_count() or 1) if reference else self.threads),
            log=out.with_suffix(".log"),
            seconds=seconds,
            memory=self.memory,
        )
        facts: dict[str, Any] = {"how": ending.how}
        if ending.how == "finished":
            facts |= json.loads(unfinished.with_suffix(".json").read_text(encoding="utf-8"))
            os.replace(unfinished.with_suffix(".npy"), out.with_suffix(".npy"))
        else:
            facts |= {
                "said": ending.said,
                "wall": ending.wall,
                "cpu": ending.cpu,
                "limit_seconds": seconds,
                "limit_bytes": self.memory,
            }
            unfinished.with_suffix(".npy").unlink(missing_ok=True)
        unfinished.with_suffix(".json").unlink(missing_ok=True)
        facts["process"] = {"wall": ending.wall, "cpu": ending.cpu}
        return facts

    def variables(self, threads: int) -> dict[str, str]:
        """Give the environment variables of a measured process."""
        removed = {"PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}
        kept = {name: value for name, value in os.environ.items() if name not in removed}
        counted = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return kept | {
            **dict.fromkeys(counted, str(threads)),
            "PYTHONPATH": str(ROOT),
            "HESSINF_PROGRESS": "0",
            "CUDA_VISIBLE_DEVICES": "",
        }


def total(facts: dict[str, Any], clock: str) -> float:
    """Sum wall ("wall") or processor seconds ("cpu") over the stages of a finished run."""
    return sum(stage[clock] for stage in facts["stages"].values())


def say(text: str) -> None:
    """Tell the user what is going on."""
    print(text, file=sys.stderr, flush=True)
