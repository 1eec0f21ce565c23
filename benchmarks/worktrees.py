"""Source trees of commits, side by side for a while."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

WORKING_TREE = "working tree"
"""Stands for what is not committed, where a commit is asked for."""


class NoSuchCommitError(Exception):
    """A name that git does not know."""


def git(repository: Path, *words: str) -> str:
    """Run git, and return what it says, without the last line's end."""
    done = subprocess.run(
        ["git", *words], cwd=repository, check=True, capture_output=True, text=True
    )
    return done.stdout.rstrip("\n")


def commit_of(repository: Path, name: str) -> str:
    """Return the full hash of a commit.

    Raises
    ------
    NoSuchCommitError
        When there is none of that name.
    """
    try:
        return git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except subprocess.CalledProcessError:
        raise NoSuchCommitError(
            f'git knows no commit "{name}" here; a clone without history lacks parents '
            "(git fetch --unshallow)"
        ) from None


def is_changed(repository: Path) -> bool:
    """Whether the working tree differs from the current commit."""
    return bool(git(repository, "status", "--porcelain"))


@contextlib.contextmanager
def source_trees(repository: Path, names: dict[str, str]) -> Iterator[dict[str, Path]]:
    """Check commits out into temporary folders, which are removed whatever happens.

    Parameters
    ----------
    repository
        Of which nothing changes.
    names
        A commit for each key, or :data:`WORKING_TREE` for a copy of what is there now, without
        what git ignores.

    Yields
    ------
    dict of str to Path
        The folder of each key.
    """
    hashes = {
        key: name if name == WORKING_TREE else commit_of(repository, name)
        for key, name in names.items()
    }
    folder = Path(tempfile.mkdtemp(prefix="hessinf-trees-"))
    trees = {key: folder / key for key in names}
    try:
        with _termination_as_interrupt():
            for key, commit in hashes.items():
                if commit == WORKING_TREE:
                    _copy_working_tree(repository, trees[key])
                else:
                    git(repository, "worktree", "add", "--detach", str(trees[key]), commit)
            yield trees
    finally:
        with _uninterrupted():
            for key, commit in hashes.items():
                if commit != WORKING_TREE and trees[key].exists():
                    with contextlib.suppress(subprocess.CalledProcessError):
                        git(repository, "worktree", "remove", "--force", str(trees[key]))
            shutil.rmtree(folder, ignore_errors=True)
            git(repository, "worktree", "prune")


def _copy_working_tree(repository: Path, target: Path) -> None:
    root = Path(git(repository, "rev-parse", "--show-toplevel"))
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    target.mkdir()
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():  # one that was removed is still listed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM clean up as ^C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # Python hears signals in its main thread only
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a second ^C wait until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    previous = {kind: signal.signal(kind, signal.SIG_IGN) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)
