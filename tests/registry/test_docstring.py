from __future__ import annotations

from hessinf.registry import docstring

TEXT = """Do a thing
    on two lines.

    More.

    Parameters
    ----------
    first, second
        Both of them,
        on two lines.
    third : int
        The third.
    **rest
        Everything else.

    Cost
    ----
    One pass.
    """


def test_summary():
    assert docstring.summary(TEXT) == "Do a thing on two lines."
    assert docstring.summary(None) == ""


def test_parameters():
    assert docstring.parameters(TEXT) == {
        "first": "Both of them, on two lines.",
        "second": "Both of them, on two lines.",
        "third": "The third.",
        "rest": "Everything else.",
    }
    assert docstring.parameters(None) == {}
    assert docstring.parameters("Only a summary.") == {}


def test_sections():
    assert docstring.sections(TEXT)["Cost"] == "One pass."
    assert list(docstring.sections(TEXT)) == ["Parameters", "Cost"]
    assert docstring.sections(None) == {}


def test_explanation():
    assert docstring.explanation(TEXT) == ("More.",)
    text = """First.

    Registered as a `Base` with name "name".

    Second
    paragraph::

        an example

    Third.

    Notes
    -----
    Fourth.
    """
    assert docstring.explanation(text) == ("Second paragraph::", "Third.")
    assert docstring.explanation("Only a summary.") == ()
    assert docstring.explanation(None) == ()
