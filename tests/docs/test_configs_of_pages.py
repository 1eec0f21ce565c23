"""Configs and command lines that pages show are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from hessinf.commands.config_arguments import load_run_config, load_run_configs
from hessinf.commands.main import build_parser
from hessinf.commands.run_config import RunConfig, load_checked_config
from hessinf.registry import ConfigError, import_plugins
from hessinf.registry.jsonnet import evaluate_file
from tests.docs.blocks import PAGES, ROOT, Block, blocks, blocks_of, shell_commands

NEEDED = {"dataset_reader", "train_data_path", "model", "objective"}
"""Keys without which a config is only a part of one."""

CONFIGS = [
    pytest.param(page, block, id=f"{page}:{block.line}")
    for page in PAGES
    for block in blocks_of(page)
    if block.language == "jsonnet"
]

COMMANDS = [
    pytest.param(page, words, id=f"{page}: {' '.join(words)[:60]}")
    for page in PAGES
    for block in blocks_of(page)
    if block.language == "sh"
    for words in shell_commands(block.text)
]


def write_files(page: str, folder: Path) -> None:
    """Write the blocks of a page that are files."""
    for block in blocks_of(page):
        if block.title is not None:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text, encoding="utf-8")


def check_config(block: Block, folder: Path) -> None:
    """Check a config, or keys of one: those are put into the config of digits."""
    (folder / "lib").symlink_to(ROOT / "configs" / "lib")
    (folder / "pages").mkdir()
    (folder / "pages" / "configs").symlink_to(ROOT / "configs")
    text = block.text
    first = next(line for line in text.splitlines() if not line.lstrip().startswith("//"))
    if not first.startswith(("{", "(", "local ", "function")):
        text = f"{{\n{text}\n}}"
    path = folder / "pages" / "block.jsonnet"
    path.write_text(text, encoding="utf-8")
    said = evaluate_file(path).value
    if not said.keys() >= NEEDED:
        unknown = said.keys() - RunConfig.__dataclass_fields__.keys()
        assert not unknown, f"these are no keys of a config: {unknown}"
        path.write_text(f"(import '../lib/digits.libsonnet') + ({text}\n)", encoding="utf-8")
    load_checked_config(path)


@pytest.mark.parametrize(("page", "block"), CONFIGS)
def test_config_validates(page: str, block: Block, folder: Path) -> None:
    write_files(page, folder)
    if block.title is not None:
        load_checked_config(block.title)
    else:
        check_config(block, folder)


@pytest.mark.parametrize(("page", "words"), COMMANDS)
def test_command_line_is_right(page: str, words: list[str], folder: Path) -> None:
    """Commands that take long: they are parsed, and their configs validate."""
    write_files(page, folder)
    arguments = build_parser(words[1:]).parse_args(words[1:])
    import_plugins(arguments.include_package, route="--include-package")
    if hasattr(arguments, "configs"):
        if not all(config.isupper() for config in arguments.configs):
            load_run_configs(arguments)
    elif hasattr(arguments, "config") and not arguments.config.isupper():
        load_run_config(arguments)


class TestCheck:
    def test_a_part_is_put_into_a_config(self, folder: Path) -> None:
        (block,) = blocks("```jsonnet\ninterpreter: { type: 'kfac' },\n```\n")
        check_config(block, folder)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("interpreter: { type: 'kfca' }", "no InfluenceInterpreter is registered"),
            ("(import '../lib/digits.libsonnet') + { top_k: 0 }", "expected int >= 1"),
        ],
    )
    def test_what_is_wrong_is_noticed(self, text: str, message: str, folder: Path) -> None:
        (block,) = blocks(f"```jsonnet\n{text}\n```\n")
        with pytest.raises(ConfigError, match=message):
            check_config(block, folder)

    def test_other_keys_are_noticed(self, folder: Path) -> None:
        (block,) = blocks("```jsonnet\nrank: 3\n```\n")
        with pytest.raises(AssertionError, match=r"these are no keys of a config: .'rank'."):
            check_config(block, folder)
