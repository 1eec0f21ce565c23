"""Where a run of hessinf spends its time: run inside the process that is looked at.

``python run_ledger.py OUT.json interpret CONFIG -s DIR`` runs the command line in this process, and
books every moment, by the clock and on the processor, to one account: importing a room of hessinf
or a package, or a stage of the run. What an import or stage does inside of another counts for the
inner one alone, so that accounts add up to the whole. Nothing is imported before the books are open
but what opening them needs.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

STARTED_AT = "HESSINF_LEDGER_STARTED_AT"
"""The environment variable with the clock's nanoseconds when the process was started."""

OTHER = "command line, all else"

STAGES: dict[str, str] = {
    "hessinf.commands.main:build_parser": "command line: parser",
    "hessinf.registry.plugins:import_installed_plugins": "command line: plugins",
    "hessinf.commands.run_config:load_checked_config": "config: read and check",
    "hessinf.commands.run_config:CheckedConfig.build": "config: build objects",
    "hessinf.commands.run_config:CheckedConfig.resolved": "config: resolve",
    "hessinf.commands.run:read_data": "data: read and check",
    "hessinf.commands.run:check_before_training": "checks before training",
    "hessinf.commands.provenance:provenance": "provenance",
    "hessinf.commands.run:train_or_load": "model: make or load",
    "hessinf.training.trainer:Trainer.fit": "training",
    "hessinf.models.model_archive:save_archive": "writing: model archive",
    "hessinf.commands.run:make_interpreter": "interpreter: construct",
    "hessinf.commands.run:fit_or_restore": "fit",
    "hessinf.interpreters.saving:Saving.save": "writing: influence factors",
    "hessinf.interpreters.saving:Saving.restore": "influence factors: read back",
    "hessinf.interpreters.query_scoring:interpret_block": "scores and ranking",
    "hessinf.scores.interpretation_store:InterpretationStore.add": "writing: interpretations",
    "hessinf.scores.interpretation_store:InterpretationStore.publish": "writing: interpretations",
    "hessinf.scores.interpretation_store:InterpretationStore.remove_shards": (
        "writing: interpretations"
    ),
    "hessinf.commands.run_directory:write_provenance": "writing: records",
    "hessinf.commands.run:write_metrics": "writing: records",
    "hessinf.runtime.files:write_json_atomically": "writing: records",
    "hessinf.commands.summary:summarize": "summary",
}
"""Functions whose time is an account of its own, as ``module:name``; several may share one."""


class Account:
    """What one kind of work took."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.processor = 0.0
        self.times = 0
        self.peak_bytes = 0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "clock": self.clock,
            "processor": self.processor,
            "times": self.times,
            "peak_bytes": self.peak_bytes,
        }


class Ledger:
    """Books time to the account that is on top of a stack.

    Parameters
    ----------
    first
        The account at the bottom.
    clock, processor
        Give seconds.
    """

    def __init__(
        self,
        first: str = OTHER,
        clock: Callable[[], float] = time.perf_counter,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self.accounts: dict[str, Account] = {}
        self._stack = [first]
        self._clock, self._processor = clock, processor
        self._since = (clock(), processor())

    def enter(self, name: str) -> None:
        """Book to another account, until :meth:`leave`."""
        self._book()
        self._stack.append(name)
        self._account(name).times += 1

    def leave(self) -> None:
        """Go back to the account before."""
        self._book()
        self._account(self._stack.pop()).peak_bytes = peak_bytes()

    def close(self) -> dict[str, Any]:
        """Book what is left, and return all accounts as JSON."""
        self._book()
        self._account(self._stack[0]).peak_bytes = peak_bytes()
        return {name: account.to_json() for name, account in self.accounts.items()}

    @property
    def importing(self) -> str | None:
        """The account on top, where it is one of imports."""
        return self._stack[-1] if self._stack[-1].startswith("import ") else None

    def _account(self, name: str) -> Account:
        return self.accounts.setdefault(name, Account())

    def _book(self) -> None:
        now = (self._clock(), self._processor())
        account = self._account(self._stack[-1])
        account.clock += now[0] - self._since[0]
        account.processor += now[1] - self._since[1]
        self._since = now


def peak_bytes() -> int:
    """Return the most memory that this process has held; Linux counts in KiB, macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def account_of_import(module: str, importer: str | None) -> str:
    """Name the account of importing a module: its package, or its room of hessinf.

    Parameters
    ----------
    module
        The dotted name.
    importer
        The account of the import inside of which this one happens: it pays for modules of the
        standard library that it is the first to need.
    """
    package, _, rest = module.partition(".")
    if package == "hessinf":
        room = rest.partition(".")[0]
        return f"import hessinf.{room}" if room else "import hessinf"
    if package in sys.stdlib_module_names:
        return importer or "import standard library"
    return f"import {package}"


def watch_imports(ledger: Ledger, stages: Mapping[str, str]) -> set[str]:
    """Book the execution of every module, and wrap the functions of stages.

    Parameters
    ----------
    ledger
        The books.
    stages
        As :data:`STAGES`.

    Returns
    -------
    set of str
        The stages that were found; it grows with what is imported.
    """
    found: set[str] = set()
    wanted: dict[str, list[str]] = {}
    for place in stages:
        wanted.setdefault(place.partition(":")[0], []).append(place)

    def booked(original: Callable[..., Any], name_of: Callable[[Any], str]) -> Callable[..., Any]:
        def load(loader: Any, module_or_spec: Any) -> Any:
            name = name_of(module_or_spec)
            ledger.enter(account_of_import(name, ledger.importing))
            try:
                return original(loader, module_or_spec)
            finally:
                ledger.leave()
                module = sys.modules.get(name)
                for place in wanted.get(name, ()) if module is not None else ():
                    if wrap(ledger, module, place.partition(":")[2], stages[place]):
                        found.add(place)

        return load

    source = importlib.machinery.SourceFileLoader
    extension = importlib.machinery.ExtensionFileLoader
    for loader, method, name_of in (
        (source, "exec_module", lambda module: module.__name__),
        (extension, "exec_module", lambda module: module.__name__),
        (extension, "create_module", lambda spec: spec.name),
    ):
        setattr(loader, method, booked(getattr(loader, method), name_of))
    return found


def wrap(ledger: Ledger, module: ModuleType, name: str, stage: str) -> bool:
    """Book a function of a module, or a method of a class there; False where there is none.

    Parameters
    ----------
    ledger
        The books.
    module
        Just imported, so that whoever imports the function from it gets the wrapped one.
    name
        ``"function"`` or ``"Class.method"``.
    stage
        The account.
    """
    holder: Any = module
    *outer, last = name.split(".")
    for part in outer:
        holder = getattr(holder, part, None)
    original = getattr(holder, last, None)
    if not callable(original):
        return False

    def booked(*args: Any, **kwargs: Any) -> Any:
        ledger.enter(stage)
        try:
            return original(*args, **kwargs)
        finally:
            ledger.leave()

    booked.__name__, booked.__doc__ = original.__name__, original.__doc__
    booked.__wrapped__ = original  # type: ignore[attr-defined]
    setattr(holder, last, booked)
    return True


def main() -> int:
    """Run the command line with open books, and write them down."""
    at_first = (time.monotonic_ns(), time.process_time())
    out, *words = sys.argv[1:]
    ledger = Ledger()
    found = watch_imports(ledger, STAGES)
    from hessinf.commands.main import main as command_line

    sys.argv[1:] = words  # as a program has them: that it ends with the process is known to it
    status = command_line()
    content = {
        "status": status,
        "before": {
            "clock": (at_first[0] - int(os.environ[STARTED_AT])) / 1e9,
            "processor": at_first[1],
        },
        "accounts": ledger.close(),
        "missing": sorted(STAGES.keys() - found),
        "closed": {"clock_ns": time.monotonic_ns(), "processor": time.process_time()},
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(content, file)
    return status


if __name__ == "__main__":
    sys.exit(main())
