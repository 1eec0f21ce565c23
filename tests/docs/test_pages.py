"""What pages show runs, and prints what they say."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, blocks, blocks_of, commands, matches
from tests.docs.conftest import run_command


class PageRun:
    """Runs the blocks of one page in order, in one namespace and one folder.

    Parameters
    ----------
    page
        Its path, for messages.
    folder
        The working directory.
    """

    def __init__(self, page: str, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.module = types.ModuleType("page_of_the_documentation")
        sys.modules[self.module.__name__] = self.module
        self.printed = ""

    def run(self, block: Block) -> None:
        if block.title is not None:
            (self.folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / block.title).write_text(block.text, encoding="utf-8")
        if block.language == "python" and not Path(block.title or "").name.startswith("test_"):
            self.printed = self._python(block)
        elif block.language == "text" and block.previous == "python":
            same = matches(block.text, self.printed, numbers=block.numbers)
            assert same, self._difference(block, self.printed)
        elif block.language == "console":
            self._console(block)

    def _python(self, block: Block) -> str:
        name = (
            f"{self.page}:{block.line}" if block.title is None else str(Path(block.title).resolve())
        )
        lines = "\n" * block.line + block.text if block.title is None else block.text
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(lines, name, "exec"), vars(self.module))
        return printed.getvalue()

    def _console(self, block: Block) -> None:
        for words, shown in commands(block.text):
            assert words[0] == "hessinf", f"{self.page}:{block.line}: {words[0]} is not run; use sh"
            status, printed = run_command(words[1:])
            if shown.strip():
                same = matches(shown, printed, numbers=block.numbers)
                assert same, self._difference(block, printed)
            else:
                assert status == 0, self._difference(block, printed)

    def _difference(self, block: Block, printed: str) -> str:
        return f"{self.page}:{block.line} shows\n{block.text}\nbut this was printed\n{printed}"


def runs(page: str) -> bool:
    return any(block.language in ("python", "console") for block in blocks_of(page))


@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)])
def test_page_runs(page: str, folder: Path) -> None:
    run = PageRun(page, folder)
    for block in blocks_of(page):
        run.run(block)


class TestBlocks:
    SOURCE = """\
# Title

```python title="a.py"
print(1)
```

```text
1
```

    ```sh
    hessinf list  # all
    ```
"""

    def test_fences_are_found(self) -> None:
        found = blocks(self.SOURCE)
        assert [(one.language, one.title, one.line, one.previous) for one in found] == [
            ("python", "a.py", 3, None),
            ("text", None, 7, "python"),
            ("sh", None, 11, "text"),
        ]
        assert found[2].text == "hessinf list  # all\n"

    def test_a_wrong_output_is_noticed(self, folder: Path) -> None:
        run = PageRun("page.md", folder)
        first, second, _ = blocks(self.SOURCE.replace("print(1)", "print(2)"))
        run.run(first)
        with pytest.raises(AssertionError, match=r"page\.md:7 shows"):
            run.run(second)

    def test_a_failing_command_is_noticed(self, folder: Path) -> None:
        (block,) = blocks("```console\n$ hessinf describe nothing-of-the-kind\n```\n")
        with pytest.raises(AssertionError, match="nothing is registered as"):
            PageRun("page.md", folder).run(block)

    def test_dots_stand_for_anything(self) -> None:
        assert matches("a ... c\n...\nd", "a b c\nx\ny\nd\n")
        assert matches("a\n...\nd", "a\nd\n")
        assert not matches("a ... c\nd", "a b c\ne\n")

    def test_numbers_may_differ_where_that_is_said(self) -> None:
        assert matches("took 1.5 s, +2e-4", "took 12 ms, -3.1", numbers=False)
        assert not matches("took 1.5 s, +2e-4", "took 12 ms, -3.1")
        assert not matches("took 1.5 s", "took long", numbers=False)

    def test_commands_are_split(self) -> None:
        text = "$ hessinf list 'a b'  # all\nshown\nmore\n$ hessinf schema \\\n  --help\n"
        assert list(commands(text)) == [
            (["hessinf", "list", "a b"], "shown\nmore\n"),
            (["hessinf", "schema", "--help"], ""),
        ]


class TestOwnInterpreter:
    """The method of the page about them: as short as it says, and it passes what it promises."""

    PAGE = "your_own_interpreter.md"

    def test_thirty_lines(self) -> None:
        first = next(block for block in blocks_of(self.PAGE) if block.language == "python")
        assert len(first.text.splitlines()) <= 30

    def test_its_own_tests_pass(self, folder: Path) -> None:
        for block in blocks_of(self.PAGE):
            if block.title is not None:
                (folder / block.title).write_text(block.text, encoding="utf-8")
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*words, "test_diagonal_fisher.py"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        )
        assert done.returncode == 0, done.stdout
