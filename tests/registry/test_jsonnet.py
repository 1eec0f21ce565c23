from __future__ import annotations

import hashlib
import os

import pytest

from hessinf.registry import JsonnetError, JsonnetOptions
from hessinf.registry.jsonnet import evaluate_file, evaluate_text


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str | bytes) -> str:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


def sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def error_of(path: str, options: JsonnetOptions | None = None) -> str:
    with pytest.raises(JsonnetError) as raised:
        evaluate_file(path, options)
    return str(raised.value)


def test_imports_are_recorded_with_their_sha256(write):
    write("lib/b.libsonnet", "{x: importstr 'c.txt'}\r\n")
    write("lib/c.txt", "text")
    write("a.jsonnet", "{a: (import 'lib/b.libsonnet').x}\r\n")
    evaluation = evaluate_file("a.jsonnet")
    assert evaluation.value == {"a": "text"}
    assert evaluation.imports == {
        "a.jsonnet": sha256(b"{a: (import 'lib/b.libsonnet').x}\r\n"),
        "lib/b.libsonnet": sha256(b"{x: importstr 'c.txt'}\r\n"),
        "lib/c.txt": sha256(b"text"),
    }
    assert next(iter(evaluation.imports)) == "a.jsonnet"


def test_library_paths_the_last_one_first(write):
    write("one/x.libsonnet", "1")
    write("two/x.libsonnet", "2")
    write("two/y.libsonnet", "'y'")
    write("a.jsonnet", "[import 'x.libsonnet', import 'y.libsonnet']")
    assert evaluate_file("a.jsonnet", JsonnetOptions(("two", "one"))).value == [1, "y"]
    assert evaluate_file("a.jsonnet", JsonnetOptions(("one", "two"))).value == [2, "y"]


def test_external_variables():
    options = JsonnetOptions(ext_str={"s": "3"}, ext_code={"c": "{a: 1 + 2}"})
    text = "[std.extVar('s'), std.extVar('c').a]"
    assert evaluate_text(text, "t", options).value == ["3", 3]


def test_top_level_arguments():
    options = JsonnetOptions(tla_str={"s": "3"}, tla_code={"c": "1 + 2"})
    assert evaluate_text("function(s, c, d=5) [s, c, d]", "t", options).value == ["3", 3, 5]


def test_environment_is_read_on_request_and_recorded(monkeypatch):
    monkeypatch.setenv("HESSINF_TEST", "here")
    monkeypatch.delenv("HESSINF_ABSENT", raising=False)
    text = "local env = std.native('env'); [env('HESSINF_TEST', 'd'), env('HESSINF_ABSENT', null)]"
    evaluation = evaluate_text(text, "t")
    assert evaluation.value == ["here", None]
    assert evaluation.environment == {"HESSINF_TEST": "here", "HESSINF_ABSENT": None}
    assert evaluate_text("std.native('env')('HESSINF_ABSENT', 4)", "t").value == 4
    assert evaluate_text("{}", "t").environment == {}


def test_environment_without_default():
    with pytest.raises(JsonnetError) as raised:
        evaluate_text("std.native('env')('X')", "t")
    assert str(raised.value) == (
        'config error: t:1:1: function parameter d not bound in call; write std.native("env")'
        "(NAME, DEFAULT): the default is not optional\n"
        "      1 | std.native('env')('X')\n"
        "        | ^"
    )


def test_environment_that_is_no_utf8(monkeypatch):
    monkeypatch.setitem(os.environ, "HESSINF_TEST", "\udcff")
    with pytest.raises(JsonnetError) as raised:
        evaluate_text("std.native('env')('HESSINF_TEST', '')", "t")
    assert str(raised.value).startswith(
        "config error: t:1:1: the environment variable HESSINF_TEST is no UTF-8 text\n"
    )


@pytest.mark.parametrize(
    ("text", "name", "options", "message"),
    [
        ("'\udcff'", "t", {}, "t: the Jsonnet text is no UTF-8 text: '\\udcff'"),
        ("{}", "\udcff", {}, "the path is no UTF-8 text: \\udcff"),
        ("{}", "t", {"library_paths": ("\udcff",)}, "t: -J is no UTF-8 text: \\udcff"),
        ("{}", "t", {"ext_str": {"a": "\udcff"}}, "t: --ext-str is no UTF-8 text: a=\\udcff"),
        ("{}", "t", {"tla_code": {"\udcff": "1"}}, "t: --tla-code is no UTF-8 text: \\udcff=1"),
    ],
)
def test_command_lines_that_are_no_utf8(text, name, options, message):
    with pytest.raises(JsonnetError) as raised:
        evaluate_text(text, name, JsonnetOptions(**options))
    assert str(raised.value) == f"config error: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "duplicate field: a"),
        ('{"a": 1e400}', "overflow"),
        ('{"a": ' + "[" * 30000 + "]" * 30000 + "}", "Exceeded maximum parse depth limit"),
    ],
)
def test_json_that_is_none_is_shown_by_jsonnet(write, text, message):
    with pytest.raises(JsonnetError, match=message):
        evaluate_file(write("a.json", text))


def test_a_link_to_nowhere(tmp_path):
    link = tmp_path / "a.jsonnet"
    link.symlink_to("nowhere")
    with pytest.raises(JsonnetError) as raised:
        evaluate_file(link)
    assert str(raised.value) == f"config error: {link} is a link to nowhere, which is not there"


def test_json_files_work(write):
    assert evaluate_file(write("a.json", '{"a": [1, 2.5, null, true]}')).value == {
        "a": [1, 2.5, None, True]
    }


def test_a_byte_order_mark_is_no_problem(write):
    assert evaluate_file(write("a.jsonnet", b"\xef\xbb\xbf{a: 1}")).value == {"a": 1}


def test_syntax_error_with_a_caret(write):
    assert error_of(write("a.jsonnet", "{a: 1,\n b: [1 2]}")) == (
        "config error: a.jsonnet:2:8: expected a comma before next array element\n"
        "      2 |  b: [1 2]}\n"
        "        |        ^"
    )


def test_runtime_error_with_a_caret(write):
    text = "local f(x) =\n  if x < 0 then error 'negative: ' + x else x;\n{a: f(-3)}"
    assert error_of(write("a.jsonnet", text)) == (
        "config error: a.jsonnet:2:17: negative: -3\n"
        "      2 |   if x < 0 then error 'negative: ' + x else x;\n"
        "        |                 ^"
    )


def test_caret_behind_letters_of_several_bytes(write):
    assert error_of(write("a.jsonnet", "{a: 'éé', b: error 'x'}")) == (
        "config error: a.jsonnet:1:14: x\n"
        "      1 | {a: 'éé', b: error 'x'}\n"
        "        |              ^"
    )


def test_caret_behind_tabs(write):
    assert error_of(write("a.jsonnet", "{\n\ta: foo}")) == (
        "config error: a.jsonnet:2:5: Unknown variable: foo\n      2 |  a: foo}\n        |     ^"
    )


def test_error_of_several_lines(write):
    assert error_of(write("a.jsonnet", "{a: error 'one\\ntwo'}")) == (
        "config error: a.jsonnet:1:5: one\n  two\n      1 | {a: error 'one\\ntwo'}\n        |     ^"
    )


def test_expression_over_several_lines(write):
    assert error_of(write("a.jsonnet", "{a: (\n  error 'x' +\n 'y')}")) == (
        "config error: a.jsonnet:2:3: xy\n      2 |   error 'x' +\n        |   ^"
    )


def test_error_in_an_imported_file(write):
    write("b.libsonnet", "{a: error 'inside'}")
    assert error_of(write("a.jsonnet", "(import 'b.libsonnet')")) == (
        "config error: b.libsonnet:1:5: inside\n      1 | {a: error 'inside'}\n        |     ^"
    )


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("{a: 1, a: 2}", "duplicate field: a", 8),
        ("", "unexpected end of file", 1),
        ("{a: 1e400}", "overflow", 5),
        ("{a: function(x) x}", "couldn't manifest function in JSON output", 5),
        (
            "{a: std.extVar('q')}",
            "undefined external variable: q; give it with --ext-str q=VALUE or --ext-code q=CODE",
            5,
        ),
        ("{a: self.a}", "max stack frames exceeded; does a value refer to itself?", 5),
        ("local f(x) = x; {a: f()}", "function parameter x not bound in call", 21),
    ],
)
def test_errors(write, text, message, column):
    first, *rest = error_of(write("a.jsonnet", text)).split("\n")
    assert first == f"config error: a.jsonnet:1:{column}: {message}"
    assert rest == [f"      1 | {text}", "        | " + " " * (column - 1) + "^"]


def test_std_parse_json_error(write):
    first = error_of(write("a.jsonnet", "{a: std.parseJson('abc')}")).split("\n")[0]
    assert first.startswith("config error: a.jsonnet:1:5: ")
    assert "syntax error while parsing value" in first


def test_missing_import(write):
    text = "{a: import 'nope.libsonnet'}"
    assert error_of(write("a.jsonnet", text)).split("\n")[0] == (
        'config error: a.jsonnet:1:5: couldn\'t open import "nope.libsonnet": no file '
        "nope.libsonnet; looked beside the importing file and in the library paths "
        "(-J: none given)"
    )
    assert (
        error_of("a.jsonnet", JsonnetOptions(("one", "two")))
        .split("\n")[0]
        .endswith("(-J: one, two)")
    )


def test_import_of_a_directory_does_not_abort(write):
    write("folder/x.libsonnet", "1")
    assert error_of(write("a.jsonnet", "import 'folder'")).startswith(
        'config error: a.jsonnet:1:1: couldn\'t open import "folder": no file folder; '
    )


def test_cyclic_imports_are_named(write):
    write("b.jsonnet", "{a: (import 'a.jsonnet').a}")
    first = error_of(write("a.jsonnet", "{a: (import 'b.jsonnet').a}")).split("\n")[0]
    assert first.partition("; ")[2] == (
        "these files import each other in a circle: a.jsonnet -> b.jsonnet -> a.jsonnet"
    )


def test_top_level_arguments_missing_and_unknown(write):
    file = write("a.jsonnet", "function(x) {a: x}")
    assert error_of(file) == (
        "config error: a.jsonnet: function parameter x not bound in call; "
        "give it with --tla-str x=VALUE or --tla-code x=CODE"
    )
    assert error_of(file, JsonnetOptions(tla_str={"x": "1", "y": "2"})) == (
        "config error: a.jsonnet: function has no parameter y; "
        "it was given with --tla-str or --tla-code"
    )


def test_errors_in_code_of_the_command_line(write):
    file = write("a.jsonnet", "{a: std.extVar('q')}")
    assert error_of(file, JsonnetOptions(ext_code={"q": "[1 2]"})) == (
        "config error: --ext-code q:1:4: expected a comma before next array element\n"
        "      1 | [1 2]\n"
        "        |    ^"
    )
    file = write("b.jsonnet", "function(x) x")
    assert error_of(file, JsonnetOptions(tla_code={"x": "[1 2]"})).startswith(
        "config error: --tla-code x:1:4: expected a comma before next array element\n"
    )


def test_directory(write):
    write("folder/one.jsonnet", "{}")
    write("folder/two.jsonnet", "{}")
    write("folder/three.txt", "")
    assert error_of("folder") == (
        "config error: folder is a directory, expected a Jsonnet file; "
        "it holds one.jsonnet, two.jsonnet"
    )


def test_missing_file(write):
    write("digits.jsonnet", "{}")
    assert error_of("digit.jsonnet") == (
        'config error: there is no file digit.jsonnet; did you mean "digits.jsonnet"?'
    )
    assert error_of("no/such/file.jsonnet") == (
        "config error: there is no file no/such/file.jsonnet"
    )


def test_unreadable_file(write, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    file = write("a.jsonnet", "{}")
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    assert error_of(file) == "config error: cannot read a.jsonnet: Permission denied"


def test_file_below_a_file(write):
    write("a.jsonnet", "{}")
    assert error_of("a.jsonnet/b.jsonnet") == (
        "config error: cannot read a.jsonnet/b.jsonnet: Not a directory"
    )


def test_text_that_is_no_utf8(write):
    assert error_of(write("a.jsonnet", b"{a: '\xff'}")) == (
        "config error: a.jsonnet is no UTF-8 text (byte 5), expected a Jsonnet file"
    )


def test_integers_from_2_to_the_53_lose_digits():
    assert evaluate_text("[9007199254740991, 3.0]", "t").value == [9007199254740991, 3]
    exact, inexact = evaluate_text("[9007199254740991, 9007199254740993]", "t").value
    assert type(exact) is int
    assert type(inexact) is float
    assert evaluate_text("1e20", "t").value == 1e20
