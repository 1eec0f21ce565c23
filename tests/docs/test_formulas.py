"""Formulas become MathML, or an error that names the page."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType, SimpleNamespace

import pytest

from tests.docs.blocks import ROOT

pytest.importorskip("latex2mathml", reason="the site is built with latex2mathml (extra docs)")
pytest.importorskip("mkdocs", reason="the site is built with mkdocs (extra docs)")

PAGE = SimpleNamespace(file=SimpleNamespace(src_uri="page.md"))


@pytest.fixture(scope="module")
def formulas() -> ModuleType:
    """The hook: a file that mkdocs imports by its path."""
    spec = importlib.util.spec_from_file_location("formulas", ROOT / "docs/hooks/formulas.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    return hook


def inline(tex: str) -> str:
    return rf'<p>with <span class="arithmatex">\({tex}\)</span></p>'


def test_formulas_become_mathml(formulas: ModuleType) -> None:
    shown = formulas.on_page_content(inline(r"\frac{1}{N} &lt; \lambda"), page=PAGE)
    assert shown.startswith('<p>with <math xmlns="http://www.w3.org/1998/Math/MathML"')
    assert "<mfrac>" in shown
    assert "arithmatex" not in shown


@pytest.mark.parametrize(
    ("tex", "message"),
    [
        (r"x_{", "page.md: cannot read the formula 'x_{': MissingSuperScriptOrSubscriptError()"),
        (
            r"\nosuchcommand x",
            r"page.md: the formula '\\nosuchcommand x' has the unknown command \nosuchcommand",
        ),
    ],
)
def test_a_formula_that_cannot_be_shown_is_an_error(
    formulas: ModuleType, tex: str, message: str
) -> None:
    from mkdocs.exceptions import PluginError

    with pytest.raises(PluginError, match=f"^{re.escape(message)}$"):
        formulas.on_page_content(inline(tex), page=PAGE)
