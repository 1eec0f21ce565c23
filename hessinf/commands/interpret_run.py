"""``interpret`` as a Python function: from a checked config to a directory of results."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hessinf.commands.finished_run import FinishedRun
from hessinf.commands.report_run import try_report
from hessinf.commands.run import (
    choose_device,
    fit_or_restore,
    make_interpreter,
    metrics_of_failure,
    read_data,
    run_directory,
    train_or_load,
    write_metrics,
)
from hessinf.commands.run_config import CheckedConfig, RunConfig
from hessinf.commands.run_directory import RunDirectory, is_complete
from hessinf.commands.run_facts import method_facts, write_self_influence, write_spectrum
from hessinf.commands.stages import Stage, Stages
from hessinf.commands.token_lists import listed_tokens
from hessinf.data import Dataset
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.group_scoring import GroupSums, require_rest
from hessinf.interpreters.groups import Groups, find_groups
from hessinf.interpreters.listed_tokens import ListedTokens
from hessinf.interpreters.query_scoring import ScoreSink, interpret_block
from hessinf.runtime.json_lines import read_lines
from hessinf.runtime.progress import bar
from hessinf.runtime.run_files import INTERPRETATIONS, LOG, REPORT_PAGE, SHARDS
from hessinf.scores import Interpretation
from hessinf.scores.interpretation_store import InterpretationStore
from hessinf.scores.score_matrix import ScoreMatrix, require_zarr

logger = logging.getLogger(__name__)

COMMAND = "interpret"
"""Said in ``metrics.json``: ``train`` and others leave complete runs without interpretations."""


class FinishedInterpretations(FinishedRun):
    """What :func:`interpret` leaves."""

    @property
    def interpretations(self) -> Path:
        """The file with a line for each query."""
        return self.directory / INTERPRETATIONS


def interpret(
    checked: CheckedConfig, directory: str | Path, *, force: bool = False, resume: bool = False
) -> FinishedInterpretations:
    """Explain the test data of a config, and write everything to a directory.

    Parameters
    ----------
    checked
        From :func:`hessinf.commands.run_config.load_checked_config`.
    directory
        Where the results belong.
    force
        Replace an earlier run there, once this one is finished.
    resume
        Go on with an unfinished run there, or start one.

    Returns
    -------
    FinishedInterpretations
    """
    config = checked.build()
    target = RunDirectory(directory, force=force, resume=resume)
    target.check_config(checked.resolved())
    if target.resuming and _is_finished(target.path):
        no_page = config.report and not (target.path / REPORT_PAGE).exists()
        if no_page or (target.path / SHARDS).exists():  # it was killed after its last result
            with target.open() as folder:
                InterpretationStore(folder).remove_shards()
        if no_page:
            try_report(target.path, with_plots=config.report is True)
        return FinishedInterpretations(target.path, was_complete=True)
    device = choose_device(config)
    if config.scores == "zarr":
        require_zarr()
    stages = Stages()
    with stages.stage("reading data") as stage:
        data = read_data(config, test=True)
        assert data.test is not None
        stage.examples = len(data.train) + len(data.test)
        groups = _groups(config, data.train)
    with (
        run_directory(target, checked, config, data, device) as folder,
        metrics_of_failure(folder, stages),
    ):
        with stages.stage("model") as stage:
            module, training = train_or_load(config, checked, data, folder, device, stage)
        with stages.stage("fitting the interpreter") as stage:
            interpreter = make_interpreter(config, module, training, data, device)
            if fit_or_restore(interpreter, folder):
                stage.examples = len(data.train)
        store = InterpretationStore(folder)
        try:
            with stages.stage("interpreting", 0) as stage:
                tokens, token_facts = listed_tokens(interpreter, config.token_influence)
                _interpret_all(config, interpreter, data.test, groups, tokens, store, stage)
        finally:
            store.publish()
        with stages.stage("self-influence") as stage:
            own = write_self_influence(folder, interpreter, config.self_influence)
            if own["computed"]:
                stage.examples = len(data.train)
        write_spectrum(folder, interpreter)
        metrics = {
            **method_facts(COMMAND, interpreter, training, data.train, folder / LOG),
            **_metrics(len(data.test), store),
            "self_influence": own,
            **({} if token_facts is None else {"token_influence": token_facts}),
        }
        write_metrics(folder, stages, metrics, complete=True)
        store.remove_shards()
    if config.report:
        try_report(target.path, with_plots=config.report is True)
    return FinishedInterpretations(target.path, was_complete=False)


def _is_finished(folder: Path) -> bool:
    return is_complete(folder, COMMAND) and (folder / INTERPRETATIONS).exists()


def _interpret_all(
    config: RunConfig,
    interpreter: InfluenceInterpreter,
    queries: Dataset,
    groups: Groups | None,
    tokens: ListedTokens | None,
    store: InterpretationStore,
    stage: Stage,
) -> None:
    matrix = None
    if config.scores == "zarr":
        matrix = ScoreMatrix(
            store.folder,
            len(queries),
            len(interpreter.train_data),
            interpreter.query_batch_size,
            str(interpreter.model.dtype).removeprefix("torch."),
        )
    blocks = list(_blocks(len(queries), interpreter.query_batch_size))
    left = [
        (start, stop)
        for start, stop in blocks
        if not (store.has(start, stop) and (matrix is None or matrix.has(start)))
    ]
    finished = len(queries) - sum(stop - start for start, stop in left)
    if finished:
        logger.info("%d of %d queries were finished before", finished, len(queries))
    with bar(stage="queries", total=len(queries), unit="queries") as shown:
        shown.update(finished)
        for start, stop in left:
            scores = contextlib.nullcontext() if matrix is None else matrix.block(start)
            sums = None if groups is None else GroupSums(interpreter, groups, stop - start)
            with scores as block:
                sinks = [sink for sink in (block, sums) if sink is not None]
                found = interpret_block(
                    interpreter, queries, start, stop, config.top_k, _to_all(sinks), tokens
                )
            store.add(start, stop, found if sums is None else _with_groups(found, sums))
            assert stage.examples is not None
            stage.examples += stop - start
            shown.update(stop - start)


def _groups(config: RunConfig, train: Dataset) -> Groups | None:
    """Find the groups that the config asks for, before a long run."""
    if config.groups is None:
        return None
    groups = find_groups(config.groups, train)
    require_rest(groups, len(train))
    return groups


def _to_all(sinks: Sequence[ScoreSink]) -> ScoreSink:
    def pass_on(first_index: int, scores: torch.Tensor) -> None:
        for sink in sinks:
            sink(first_index, scores)

    return pass_on


def _with_groups(found: list[Interpretation], sums: GroupSums) -> list[Interpretation]:
    influence = sums.influence()
    return [replace(one, groups=tuple(influence.to_json(row))) for row, one in enumerate(found)]


def _blocks(count: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, size):
        yield start, min(start + size, count)


def _metrics(queries: int, store: InterpretationStore) -> dict[str, Any]:
    """Sum up what the diagnostics of the queries say."""
    diagnostics = [line["diagnostics"] for line in read_lines(store.folder / INTERPRETATIONS)]
    residuals = sorted(
        float(row["relative_residual"]) for row in diagnostics if "relative_residual" in row
    )
    metrics: dict[str, Any] = {
        "queries": queries,
        "stopped_early": sum(row.get("converged") is False for row in diagnostics),
    }
    if residuals:
        metrics["relative_residual"] = {
            "median": residuals[len(residuals) // 2],
            "largest": residuals[-1],
        }
    for count in ("negative_eigenvalues", "mended_eigenvalues"):
        found = [row[count] for row in diagnostics if count in row]
        if found:
            metrics[count] = max(found)
    return metrics
