from __future__ import annotations

import json
import re

import pytest

from benchmarks.synthetic_runs import Example, image_run, synthetic_run
from hessinf.reporting import page_style, report_page
from hessinf.reporting.reported_run import ReportedRun, read_reported_run
from tests.reporting.made_up_lines import influence, interpretation, ranked, scores
from tests.reporting.opened_page import images_of, segments_of
from tests.reporting.wellformed import Wellformed

HOSTILE = "</script><script>alert(1)</script><b>\"'&amp;\u202e\0\n</noscript>"


def page_of(run: ReportedRun) -> str:
    return report_page.report_page(run)


def about(page: str) -> str:
    """The part that stands in the page as HTML."""
    return page[page.index("<body>") : page.index("<script type=")]


def seen(page: str) -> Wellformed:
    return Wellformed(about(page).replace("<body>", ""))


@pytest.fixture(scope="module")
def digits():
    run = image_run(40, 60, (8, 8))
    return ReportedRun(
        run.interpretations, run.metrics, run.config, run.provenance, run.self_influence
    )


def test_the_page_says_what_it_is_of(digits):
    page = seen(page_of(digits))
    assert "ekfac" in page.text
    assert "40 queries · 60 training examples · ekfac" in page.text
    assert "How far to believe it" in page.text
    assert "All 2,778 parameters of the model are covered." in page.text
    assert "40 of 40" not in page.text
    assert "32 of 40 queries (80.0 %)" in page.text
    assert ("section", {"id": "about"}) in page.seen
    figures = [tag for tag, _ in page.seen if tag == "figure"]
    assert len(figures) == 2  # scores, ranking; nobody knows the spectrum


def test_every_statement_names_its_level(digits):
    page = about(page_of(digits))
    assert '<li class="good"><span class="mark">Good: </span>All 2,778 parameters' in page
    assert '<li class="note"><span class="mark">Note: </span>Damping λ is' in page


def test_the_segments_hold_the_run(digits):
    held = segments_of(page_of(digits))
    index = json.loads(held["index"])
    assert [*held] == ["index", "queries-0", "queries-1", "train-0", "images-0"]
    assert index["queries"]["id"] == [f"test/{place}" for place in range(40)]
    assert len(index["suspects"]) == 60
    assert len(images_of(held["images-0"])) == index["images"]["count"] == 100


def test_the_same_run_gives_the_same_page(digits):
    assert page_of(digits) == page_of(digits)


def test_nothing_is_loaded_from_anywhere(digits):
    page = page_of(digits)
    style, script = page_style.report_style_sheet(), page_style.report_script()
    own = page.replace(style, "").replace(script, "").replace(page_style.theme_script(), "")
    assert re.findall(r"(?:src|href)=\"(?!data:)[^\"]*\"", own) == []
    assert "default-src 'none'" in own
    for text in (style, script):
        assert not re.search(r"https?://(?!www\.w3\.org/)|@import|url\((?!#|data:)", text)


def test_what_runs_is_the_pages_own_script_alone(digits):
    page = page_of(digits)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert scripts == [page_style.theme_script(), page_style.report_script()]


def hostile_run() -> ReportedRun:
    entry = influence(
        0,
        1.0,
        id=HOSTILE,
        display={
            "text": HOSTILE,
            "row": {HOSTILE: HOSTILE},
            "label": HOSTILE,
            "flipped_from": HOSTILE,
            HOSTILE: HOSTILE,
        },
    )
    display = {"image": HOSTILE, "tokens": [HOSTILE], "label": HOSTILE}
    line = interpretation(
        0, [entry], [entry], id=HOSTILE, display=display, scores=scores(positive={"0": 1})
    )
    objects = ("dataset_reader", "model", "objective", "measurement", "interpreter")
    config = {name: {"type": HOSTILE, HOSTILE: HOSTILE} for name in objects}
    return ReportedRun(
        [line],
        {
            "complete": False,
            "interpreter": HOSTILE,
            "label_names": [HOSTILE, HOSTILE],
            "self_influence": {"computed": False, "reason": HOSTILE},
            "damping": {HOSTILE: 0.1},
            "training": {"epochs": 3, "optimizer": {"type": HOSTILE}},
            "training_examples": 4,
            "stages": [{"name": HOSTILE, "seconds": 1.0}],
        },
        config,
        {
            "hessinf": HOSTILE,
            "started": HOSTILE,
            "device": HOSTILE,
            "config": {"file": f"{HOSTILE}.jsonnet"},
        },
        [ranked(0, 1.0, id=HOSTILE)],
        {
            "curvature": HOSTILE,
            "blocks": [
                {"name": HOSTILE, "count": 2, "damping": 0.1, "ranks": [1], "eigenvalues": [2.0]}
            ]
            * 2,
        },
        [HOSTILE],
    )


def test_what_comes_from_data_is_text():
    page = page_of(hostile_run())
    assert page.count("<script>") == 2
    assert "<script>alert" not in page
    shown = seen(page)
    assert {tag for tag, _ in shown.seen} >= {"noscript", "figure", "svg"}
    assert "b" not in {tag for tag, _ in shown.seen}
    assert "</script><script>alert(1)</script><b>" in shown.text
    assert "\0" not in page
    assert all(not name.startswith("on") for _, attributes in shown.seen for name in attributes)


def test_half_characters_do_not_break_the_page():
    page = page_of(ReportedRun([interpretation(0, id="a\udc80")], {"interpreter": "\ud800"}))
    assert "a�".encode() in page.encode()


def test_a_run_that_is_not_finished_says_so():
    run = ReportedRun([interpretation()], {}, provenance={"hessinf": "0.1.0"})
    assert "This run is not finished: 1 query so far." in seen(page_of(run)).text
    finished = ReportedRun([interpretation()], {"complete": True}, provenance={"hessinf": "0"})
    assert "not finished" not in about(page_of(finished))


def test_warnings_of_the_log_are_listed():
    run = ReportedRun([interpretation()], warnings=["beware of <b>", "and of that"])
    page = about(page_of(run))
    assert "<h3>2 warnings in the log of the run</h3>" in page
    assert '<span class="mark">Warning: </span>beware of &lt;b&gt;</li>' in page
    assert "in the log" not in about(page_of(ReportedRun([interpretation()])))


def test_a_ranking_by_loss_is_called_so():
    run = ReportedRun(
        self_influence=[ranked(0, None, loss=2.0), ranked(1, None, loss=1.0)],
        metrics={"flipped_labels": [1], "training_examples": 2},
    )
    page = seen(page_of(run))
    assert (
        "Training examples by their loss: mislabelled and odd ones come first. Dots: labels that "
        "were changed on purpose."
    ) in page.text
    assert "rank 2: label changed on purpose" in page.text
    assert "2 training examples" in page.text
    assert "queries" not in page.text.split("About this run")[0]


def test_without_a_script_the_first_queries_are_there(digits):
    page = about(page_of(digits))
    first = Wellformed(re.search(r"<noscript>(.*)</noscript>", page, re.DOTALL)[1])
    assert "The first queries are shown below." in first.text
    assert [place for place in range(40) if f"test/{place}" in first.text] == [0, 1, 2]
    assert [attributes["scope"] for tag, attributes in first.seen if tag == "th"].count("row") == 30
    images = [attributes for tag, attributes in first.seen if tag == "img"]
    assert len(images) == 33
    assert all(one["src"].startswith("data:image/png;base64,") for one in images)


def test_without_a_script_labels_are_named():
    entry = influence(0, 1.5, target=0, display={"label": "cat", "flipped_from": "dog"})
    regression = interpretation(1, target=[1.5], prediction=[2.25])
    run = ReportedRun(
        [interpretation(0, [entry, influence(1, -2.0)], target=1, prediction=0), regression],
        {"label_names": ["cat", "dog"]},
    )
    text = seen(page_of(run)).text
    assert "target dog, predicted cat, loss 0.250" in text
    assert "target 1.500, predicted 2.250, loss 0.250" in text
    assert "cat (was dog)" in text
    assert "+1.500" in text
    assert "dog" in text


def test_a_page_keeps_within_its_budget(monkeypatch):
    monkeypatch.setattr(report_page, "MOST_BYTES", 1_000_000)
    run = image_run(30, 400, (32, 32, 3), noise=True)
    page = page_of(ReportedRun(run.interpretations, run.metrics, run.config))
    # Images have two million bytes in any case.
    assert len(page.encode()) < 2_400_000
    monkeypatch.setattr("hessinf.reporting.page_data.LEAST_ROOM", 100_000)
    small = page_of(ReportedRun(run.interpretations, run.metrics, run.config))
    assert len(small.encode()) < 1_000_000
    note = json.loads(segments_of(small)["index"])["images"]["note"]
    assert re.fullmatch(r"reduced to at most \d+ × \d+ pixels to keep the page small", note)
    assert note in seen(small).text


def test_files_and_dicts_give_the_same_page(tmp_path):
    examples = [Example(f"e/{place}", {"text": f"text {place}"}, place % 2) for place in range(9)]
    run = synthetic_run(examples, examples[:4], ["no", "yes"], top_k=3)
    made = ReportedRun(
        run.interpretations, run.metrics, run.config, run.provenance, run.self_influence
    )
    assert page_of(read_reported_run(run.write(tmp_path / "run"))) == page_of(made)


def test_without_a_script_a_prediction_stands_beside_the_target_of_its_kind():
    display = {"target": 26.06}
    line = interpretation(
        0,
        [influence(0, 1.5, target=[-0.5], display={"target": 30.0})],
        target=[-0.578],
        prediction=[-0.384],
        display=display,
    )
    text = seen(page_of(ReportedRun([line]))).text
    assert "target 26.06 (to the model -0.578), predicted -0.384, loss 0.250" in text
    assert "30 (to the model -0.500)" in text
