"""Jsonnet: evaluating a file with everything that it may read, and errors that show the place.

The file is read here and evaluated as a text: the C++ binding aborts the process when it is handed
a directory. Imports go through a callback that records every file with its SHA-256.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hessinf.registry.errors import JsonnetError, Problem
from hessinf.registry.strict_json import read_strict_json
from hessinf.registry.suggestions import did_you_mean

LARGEST_INTEGER = 2**53
"""Jsonnet's numbers are doubles: from here on, integers lose digits."""


@dataclass(frozen=True)
class JsonnetOptions:
    """What a Jsonnet text may use beside itself.

    Parameters
    ----------
    library_paths
        Folders in which imports are looked up, beside the importing file's own; the last one goes
        first, as in the jsonnet command.
    ext_str, ext_code
        External variables (``std.extVar``), as text and as Jsonnet code.
    tla_str, tla_code
        Top-level arguments, where the text is a function.
    """

    library_paths: tuple[str, ...] = ()
    ext_str: Mapping[str, str] = field(default_factory=dict)
    ext_code: Mapping[str, str] = field(default_factory=dict)
    tla_str: Mapping[str, str] = field(default_factory=dict)
    tla_code: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Evaluation:
    """What a Jsonnet text says, and what it read.

    Parameters
    ----------
    value
        The JSON value.
    imports
        SHA-256 of every file that was read, the text's own included, by path.
    environment
        The environment variables that were read by ``std.native("env")(name, default)``.
    """

    value: Any
    imports: dict[str, str]
    environment: dict[str, str | None]


def read_file(path: str | Path) -> bytes:
    """Read a config file; refuse what is no readable text."""
    path = Path(path)
    try:
        content = path.read_bytes()
        content.decode("utf-8")
    except IsADirectoryError:
        raise JsonnetError(
            f"{path} is a directory, expected a Jsonnet file{_files_inside(path)}"
        ) from None
    except FileNotFoundError:
        if path.is_symlink():
            target = os.readlink(path)
            raise JsonnetError(f"{path} is a link to {target}, which is not there") from None
        folder = path.parent if path.parent.is_dir() else None
        neighbours = [entry.name for entry in folder.iterdir()] if folder else []
        raise JsonnetError(
            f"there is no file {path}{did_you_mean(path.name, neighbours)}"
        ) from None
    except UnicodeDecodeError as error:
        raise JsonnetError(
            f"{path} is no UTF-8 text (byte {error.start}), expected a Jsonnet file"
        ) from None
    except OSError as error:
        raise JsonnetError(f"cannot read {path}: {error.strerror}") from error
    if b"\0" in content:
        raise JsonnetError(
            f"{path} is no text (byte {content.index(0)} is zero), expected a Jsonnet file"
        )
    return content


def _files_inside(folder: Path) -> str:
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.suffix == ".jsonnet")
    except OSError:
        return ""
    return f"; it holds {', '.join(names[:5])}" if names else ""


def evaluate_file(path: str | Path, options: JsonnetOptions | None = None) -> Evaluation:
    """Evaluate a Jsonnet file.

    Parameters
    ----------
    path
        The file.
    options
        What it may use beside itself.

    Raises
    ------
    JsonnetError
        When it cannot be read or evaluated: with file, line, column and a caret.
    """
    content = read_file(path)
    text = content.decode("utf-8-sig")
    evaluation = _plain_json(text) if Path(path).suffix == ".json" else None
    if evaluation is None:
        evaluation = evaluate_text(text, str(path), options)
    evaluation.imports = {str(path): _sha256(content), **evaluation.imports}
    return evaluation


def _plain_json(text: str) -> Evaluation | None:
    """Read JSON as such, so that 1.0 stays a float; None where Jsonnet has to look at it."""
    try:
        return Evaluation(read_strict_json(text), {}, {})
    except ValueError:
        return None


def _sha256(content: bytes) -> str:
    import hashlib  # OpenSSL is slow to load

    return hashlib.sha256(content).hexdigest()


def evaluate_text(text: str, name: str, options: JsonnetOptions | None = None) -> Evaluation:
    """Evaluate a Jsonnet text; ``name`` stands for its file in errors and relative imports."""
    import _jsonnet

    options = options or JsonnetOptions()
    _check_encoding(text, name, options)
    codes = {f"<extvar:{key}>": code for key, code in options.ext_code.items()}
    codes |= {f"tla:{key}": code for key, code in options.tla_code.items()}
    texts = {name: text, **codes}
    imports: dict[str, str] = {}
    environment: dict[str, str | None] = {}

    def load_import(folder: str, relative: str) -> tuple[str, bytes]:
        for base in (folder, *reversed(options.library_paths)):
            candidate = os.path.join(base, relative)
            if os.path.isfile(candidate):
                with open(candidate, "rb") as file:
                    content = file.read()
                imports[candidate] = _sha256(content)
                texts[candidate] = content.decode("utf-8", errors="replace")
                return candidate, content
        raise RuntimeError(f"no file {relative}")

    def read_environment(variable: str, default: str | None) -> str | None:
        value = os.environ.get(variable, default)
        if isinstance(value, str) and not _is_utf8(value):
            raise ValueError(f"the environment variable {variable} is no UTF-8 text")
        environment[variable] = value
        return value

    try:
        output = _jsonnet.evaluate_snippet(
            name,
            text,
            ext_vars=dict(options.ext_str),
            ext_codes=dict(options.ext_code),
            tla_vars=dict(options.tla_str),
            tla_codes=dict(options.tla_code),
            import_callback=load_import,
            # The binding compares parameter names by address: longer ones seem to be repeated.
            native_callbacks={"env": (("n", "d"), read_environment)},
        )
    except RuntimeError as error:
        raise _readable_error(str(error), name, texts, options) from None
    return Evaluation(json.loads(output, parse_int=_number), imports, environment)


def _check_encoding(text: str, name: str, options: JsonnetOptions) -> None:
    """Refuse what the binding cannot take: bytes of the command line that are no UTF-8 text."""
    given = {"the Jsonnet text": [text], "the path": [name], "-J": options.library_paths}
    for option in ("ext_str", "ext_code", "tla_str", "tla_code"):
        pairs = getattr(options, option).items()
        given["--" + option.replace("_", "-")] = [f"{key}={value}" for key, value in pairs]
    for what, texts in given.items():
        for item in texts:
            if not _is_utf8(item):
                shown = item.encode(errors="backslashreplace").decode()
                source = "" if what == "the path" else f"{name}: "
                raise JsonnetError(f"{source}{what} is no UTF-8 text: {shown}")


def _is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8: not so where it was made of other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(text: str) -> int | float:
    """Read an integer; as a float from 2^53 on, where Jsonnet's numbers lose digits."""
    number = int(text)
    return number if abs(number) < LARGEST_INTEGER else float(number)


_PLACE = re.compile(
    r"(?P<file><extvar:[^>\n]*>|tla:[^:\n]*|[^\s:][^:\n]*):(?:\((?P<line2>\d+):(?P<column2>\d+)\)|(?P<line>\d+):(?P<column>\d+))"
)


def _readable_error(
    text: str, name: str, texts: Mapping[str, str], options: JsonnetOptions
) -> JsonnetError:
    """Turn Jsonnet's own words into a message with the place, the line and a caret."""
    head, *trace = text.rstrip().split("\n")
    message = re.sub(r"^(STATIC|RUNTIME) ERROR: ", "", head)
    further = list(itertools.takewhile(lambda line: not line.startswith("\t"), trace))
    trace = trace[len(further) :]
    place = _PLACE.match(message)
    if place is not None and place["file"] in texts:
        message = message[place.end() :]
        message = re.sub(r"^(-\d+|-\(\d+:\d+\))?:\s*", "", message)
    else:
        places = (_PLACE.match(line.strip()) for line in trace)
        place = next((match for match in places if match and match["file"] in texts), None)
    message = "\n".join([message.rstrip("."), *further])
    hint = _hint(message, trace, texts, options)
    details = []
    where = f"{name}: "
    if place is not None:
        line_number = int(place["line"] or place["line2"])
        column = int(place["column"] or place["column2"])
        lines = texts[place["file"]].split("\n")
        if 0 < line_number <= len(lines):
            line = lines[line_number - 1].rstrip("\r")
            # Jsonnet counts bytes.
            column = len(line.encode()[: column - 1].decode(errors="replace")) + 1
            margin = f"{line_number:>5} | "
            details.append(margin + line.replace("\t", " "))
            details.append(" " * (len(margin) - 2) + "| " + " " * (column - 1) + "^")
        file = re.sub(r"^<extvar:(.*)>$", r"--ext-code \1", place["file"])
        file = re.sub(r"^tla:", "--tla-code ", file)
        where = f"{file}:{line_number}:{column}: "
    return JsonnetError([Problem("", f"{where}{message}{hint}", tuple(details))])


def _hint(
    message: str, trace: Sequence[str], texts: Mapping[str, str], options: JsonnetOptions
) -> str:
    if "function parameter d not bound" in message:
        return '; write std.native("env")(NAME, DEFAULT): the default is not optional'
    missing = re.search(r"undefined external variable: (\S+)", message)
    if missing:
        return f"; give it with --ext-str {missing[1]}=VALUE or --ext-code {missing[1]}=CODE"
    missing = re.search(r"couldn't open import \"(.+?)\"", message)
    if missing:
        folders = ", ".join(map(str, options.library_paths)) or "none given"
        return f"; looked beside the importing file and in the library paths (-J: {folders})"
    if any("Top-level function" in line for line in trace):
        missing = re.search(r"function parameter (\S+) not bound", message)
        if missing:
            return f"; give it with --tla-str {missing[1]}=VALUE or --tla-code {missing[1]}=CODE"
        return "; it was given with --tla-str or --tla-code"
    if "max stack frames exceeded" in message:
        circle = _import_circle(texts)
        if circle:
            return f"; these files import each other in a circle: {' -> '.join(circle)}"
        return "; does a value refer to itself?"
    return ""


def _import_circle(texts: Mapping[str, str]) -> list[str]:
    """Find files that import each other in a circle."""
    imports = {
        path: [
            os.path.normpath(os.path.join(os.path.dirname(path), relative))
            for relative in re.findall(r"\bimport\s+['\"]([^'\"]+)['\"]", text)
        ]
        for path, text in texts.items()
    }
    by_normal_path = {os.path.normpath(path): path for path in imports}

    def walk(path: str, trail: list[str]) -> list[str]:
        if path in trail:
            return [*trail[trail.index(path) :], path]
        for target in imports[by_normal_path[path]]:
            if target in by_normal_path:
                circle = walk(target, [*trail, path])
                if circle:
                    return circle
        return []

    for start in by_normal_path:
        circle = walk(start, [])
        if circle:
            return [by_normal_path[path] for path in circle]
    return []
