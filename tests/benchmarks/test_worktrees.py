"""Source trees of commits: what they hold, and that they go away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.worktrees import (
    WORKING_TREE,
    NoSuchCommitError,
    commit_of,
    git,
    is_changed,
    source_trees,
)

ROOT = Path(__file__).resolve().parent.parent.parent


def worktrees(repository: Path) -> int:
    return git(repository, "worktree", "list").count("\n") + 1


def test_two_commits_side_by_side(repository: Path) -> None:
    with source_trees(repository, {"base": "HEAD~1", "head": "HEAD"}) as trees:
        assert (trees["base"] / "hessinf" / "speed.txt").read_text() == "2.0"
        assert (trees["head"] / "hessinf" / "speed.txt").read_text() == "1.0"
        assert worktrees(repository) == 3
    assert worktrees(repository) == 1
    assert not trees["base"].parent.exists()
    assert not is_changed(repository)


def test_the_working_tree_with_what_is_not_committed(repository: Path) -> None:
    (repository / "hessinf" / "speed.txt").write_text("0.5")
    (repository / "new.txt").write_text("new")
    (repository / "build").mkdir()
    (repository / "build" / "ignored.txt").write_text("large")
    (repository / "gone.txt").unlink()
    with source_trees(repository, {"head": WORKING_TREE}) as trees:
        tree = trees["head"]
        assert (tree / "hessinf" / "speed.txt").read_text() == "0.5"
        assert (tree / "new.txt").read_text() == "new"
        assert not (tree / "build").exists()
        assert not (tree / "gone.txt").exists()
    assert not tree.exists()
    assert (repository / "hessinf" / "speed.txt").read_text() == "0.5"


def test_errors_clean_up(repository: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="inside"),
        source_trees(repository, {"head": "HEAD"}) as trees,
    ):
        raise RuntimeError("inside")
    assert worktrees(repository) == 1
    assert not trees["head"].exists()


def test_an_unknown_commit(repository: Path) -> None:
    with pytest.raises(NoSuchCommitError) as caught:
        commit_of(repository, "HEAD~9")
    assert str(caught.value) == (
        'git knows no commit "HEAD~9" here; a clone without history lacks parents '
        "(git fetch --unshallow)"
    )
    with (
        pytest.raises(NoSuchCommitError),
        source_trees(repository, {"base": "HEAD", "head": "nowhere"}),
    ):
        pytest.fail("nothing is checked out")
    assert worktrees(repository) == 1


def test_changes_are_seen(repository: Path) -> None:
    assert not is_changed(repository)
    (repository / "new.txt").write_text("new")
    assert is_changed(repository)


WAITING = """
import pathlib, signal, sys, time
from benchmarks.worktrees import source_trees
# Processes of a shell in the background are started with this one ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with source_trees(pathlib.Path(sys.argv[1]), {"base": "HEAD~1", "head": "HEAD"}) as trees:
        print(trees["head"], flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cleans_up(repository: Path, kind: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(repository)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    tree = Path(process.stdout.readline().strip())
    assert tree.exists()
    time.sleep(0.1)
    process.send_signal(kind)
    assert process.wait(30) == 130
    assert not tree.parent.exists()
    assert worktrees(repository) == 1
