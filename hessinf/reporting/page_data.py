"""The data of a report's page: examples once each, packed in segments that open by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hessinf.display.pixels import ValueRange
from hessinf.reporting.how_sure import ScoreSpread, how_sure, score_spread
from hessinf.reporting.page_displays import MOST_TOKENS, DisplayStore, shortened
from hessinf.reporting.page_examples import CHUNK as TRAIN_CHUNK
from hessinf.reporting.page_examples import LONGEST_NAME, ExampleStore, Ranked
from hessinf.reporting.page_groups import shown_groups
from hessinf.reporting.page_images import CHUNK as IMAGE_CHUNK
from hessinf.reporting.page_images import ImageStore
from hessinf.reporting.page_segments import compressed, json_bytes, size_in_page
from hessinf.reporting.page_values import as_class, is_class, is_wrong, rounded, shown_target
from hessinf.reporting.reported_run import ReportedRun
from hessinf.reporting.score_counts import ScoreCounts
from hessinf.reporting.trust_statements import query_statements

QUERY_CHUNK = 32
"""Queries of one segment."""

SEARCHED = 2_000_000
"""Characters of all texts that a search goes through."""

SEARCHED_OF_ONE = 2_000

MOST_CLASSES = 100_000
"""Numbers beyond are no numbers of classes."""

LEAST_ROOM = 2_000_000
"""Bytes of a page that images may take, whatever else is in it."""

SIDES = ("helpful", "harmful")


@dataclass
class PageData:
    """What a page shows.

    Parameters
    ----------
    segments
        Compressed, by name.
    index
        What the segment "index" says.
    scores
        How the scores of all queries are spread; empty where no run kept that.
    ranking
        All training examples, the largest first; empty where there is no ranking.
    diagnostics
        Those of the first query.
    right
        How many queries are predicted rightly; None where there are no classes.
    image_range
        The values of images that are black and white; None without images.
    """

    segments: dict[str, bytes]
    index: dict[str, Any]
    scores: ScoreCounts
    ranking: list[Ranked]
    diagnostics: Mapping[str, Any]
    right: int | None
    image_range: ValueRange | None


def page_data(
    run: ReportedRun,
    *,
    room: int,
    watch: Callable[[Mapping[str, Any]], None] | None = None,
) -> PageData:
    """Pack what a page shows of a run.

    Parameters
    ----------
    run
        Whose interpretations and ranking are gone through once.
    room
        Bytes of the page that the segments may take: images are made smaller until they fit.
    watch
        Is shown each interpretation: they can be gone through once.
    """
    pages = _Pages()
    for line in run.interpretations:
        if watch is not None:
            watch(line)
        pages.add(line)
    ranking = [] if run.self_influence is None else pages.examples.add_ranking(run.self_influence)
    index = pages.index(run, ranked=bool(ranking))
    segments = {
        **{f"queries-{place}": compressed(json_bytes(one)) for place, one in pages.chunks()},
        **{
            f"train-{place}": compressed(json_bytes(one))
            for place, one in enumerate(pages.examples.chunks())
        },
    }
    taken = sum(map(size_in_page, segments.values()))
    taken += size_in_page(compressed(json_bytes(index)))
    image_range = pages.images.value_range
    images, note = pages.images.pack(max(room - taken, LEAST_ROOM), image_range)
    if images:
        index["images"] = {"count": len(pages.images), "chunk": IMAGE_CHUNK, "note": note}
    segments |= {f"images-{place}": one for place, one in enumerate(images)}
    return PageData(
        segments={"index": compressed(json_bytes(index)), **segments},
        index=index,
        scores=pages.scores,
        ranking=ranking,
        diagnostics=pages.diagnostics,
        right=pages.right,
        image_range=image_range,
    )


class _Pages:
    """Goes through interpretations once, and keeps what a page needs."""

    def __init__(self) -> None:
        self.images = ImageStore()
        self._displays = DisplayStore(self.images)
        self.examples = ExampleStore(self._displays)
        self.scores = ScoreCounts()
        self.diagnostics: Mapping[str, Any] = {}
        self._queries: list[dict[str, Any]] = []
        self._numbers: list[int] = []  # of the displays
        self._wrong_ones: list[bool | None] = []
        self._names: dict[int, str] = {}  # of classes
        self._has = {"loss_changes": False, "refined": False, "tokens": False}
        self._columns: dict[str, list[Any]] = {
            name: []
            for name in (
                "id", "target", "prediction", "probability", "target_probability", "loss",
                "measurement",
            )
        }  # fmt: skip

    def add(self, line: Mapping[str, Any]) -> None:
        """Take in one interpretation."""
        query, diagnostics = line["query"], line.get("diagnostics") or {}
        self.diagnostics = self.diagnostics or diagnostics
        scores = line.get("scores")
        self.scores.add(scores)
        spread = score_spread(scores)
        explained = query["loss"] if query["measurement"] == query["loss"] else None
        for example in (query, *line["helpful"], *line["harmful"]):
            self._name(example)
        self._numbers.append(self._displays.add(query["display"]))
        self._queries.append(
            {
                **{
                    side: [
                        self._entry(one, side, spread, diagnostics, explained) for one in line[side]
                    ]
                    for side in SIDES
                },
                "scores": scores,
                "trust": query_statements(diagnostics),
                **({"groups": groups} if (groups := shown_groups(line.get("groups"))) else {}),
            }
        )
        self._wrong_ones.append(is_wrong(query["target"], query["prediction"]))
        probability = query.get("probability") or {}
        for name, value in (
            ("id", shortened(query["id"], LONGEST_NAME)),
            ("target", shown_target(query["target"])),
            ("prediction", shown_target(query["prediction"])),
            ("probability", rounded(probability.get("prediction"))),
            ("target_probability", rounded(probability.get("target"))),
            ("loss", rounded(query["loss"])),
            ("measurement", None if explained is not None else rounded(query["measurement"])),
        ):
            self._columns[name].append(value)

    def _entry(
        self,
        one: Mapping[str, Any],
        side: str,
        spread: ScoreSpread | None,
        diagnostics: Mapping[str, Any],
        query_loss: float | None,
    ) -> list[Any]:
        """Return an entry of a list as the page is given it."""
        place = self.examples.place(one)
        self.examples.add_entry(place, len(self._queries), one["score"])
        change, refined = one.get("loss_change_if_removed"), one.get("loss_change_refined")
        tokens = one.get("token_influence")
        self._has["loss_changes"] |= change is not None
        self._has["refined"] |= refined is not None
        self._has["tokens"] |= tokens is not None
        sure = how_sure(
            one,
            helpful=side == "helpful",
            spread=spread,
            diagnostics=diagnostics,
            query_loss=query_loss,
        )
        shown = None if tokens is None else [_rough(value) for value in tokens[:MOST_TOKENS]]
        return [place, rounded(one["score"]), rounded(change), rounded(refined), sure, shown]

    def _name(self, example: Mapping[str, Any]) -> None:
        """Learn the name of a class from an example that has one."""
        target, label = example["target"], example["display"].get("label")
        if is_class(target) and isinstance(label, str) and target not in self._names:
            self._names[target] = shortened(label, LONGEST_NAME)

    @property
    def _classes(self) -> bool:
        """Whether every query has a class, and so has its prediction."""
        predictions = self._columns["prediction"]
        return self._wrong is not None and all(map(is_class, predictions))

    @property
    def _wrong(self) -> list[int] | None:
        if not self._wrong_ones or None in self._wrong_ones:
            return None
        return [int(bool(wrong)) for wrong in self._wrong_ones]

    @property
    def right(self) -> int | None:
        """How many queries are predicted rightly; None where there are no classes."""
        wrong = self._wrong
        return None if wrong is None else len(wrong) - sum(wrong)

    def chunks(self) -> list[tuple[int, list[dict[str, Any]]]]:
        """Return what the segments of queries say."""
        shown = [
            {"display": self._displays.shown(number), **query}
            for number, query in zip(self._numbers, self._queries, strict=True)
        ]
        starts = range(0, len(shown), QUERY_CHUNK)
        return [(start // QUERY_CHUNK, shown[start : start + QUERY_CHUNK]) for start in starts]

    def index(self, run: ReportedRun, *, ranked: bool) -> dict[str, Any]:
        """Return what the segment "index" says, but for the images."""
        train = self.examples.columns()
        if self._classes:
            for column in (self._columns, train):
                column["target"] = [as_class(target) for target in column["target"]]
        longest = min(SEARCHED_OF_ONE, SEARCHED // max(len(self._queries), 1))
        queries = {
            name: column if name not in OPTIONAL or any(one is not None for one in column) else None
            for name, column in self._columns.items()
        }
        return {
            "run": {**_facts(run, self._classes, len(self._queries)), **self._has},
            "labels": self._labels(run, train["target"]),
            "queries": {
                **queries,
                "wrong": self._wrong,
                "text": [self._displays.searched(number, longest) for number in self._numbers],
            },
            "query_chunk": QUERY_CHUNK,
            "train_chunk": TRAIN_CHUNK,
            "train": train,
            "suspects": self.examples.suspects,
            **_ranking(run, train, ranked=ranked),
            "images": None,
        }

    def _labels(self, run: ReportedRun, targets: list[Any]) -> list[str] | None:
        """Return the names of classes by number: as recorded, or else as examples say."""
        recorded = run.metrics.get("label_names")
        if recorded:
            return [shortened(str(name), LONGEST_NAME) for name in recorded]
        classes = [*self._columns["target"], *self._columns["prediction"], *targets]
        if not classes or not all(map(is_class, classes)):
            return None
        if min(classes) < 0 or max(classes) >= MOST_CLASSES:
            return None
        return [self._names.get(number, str(number)) for number in range(max(classes) + 1)]


OPTIONAL = ("probability", "target_probability", "measurement")
"""Columns of queries that are left out where nothing stands in them."""


def _facts(run: ReportedRun, classes: bool, queries: int) -> dict[str, Any]:
    config = run.config.get("measurement")
    name = config.get("type") if isinstance(config, Mapping) else config
    measurement = run.metrics.get("measurement") or {"type": name or "loss"}
    return {
        "title": run.title,
        "interpreter": run.interpreter,
        "measurement": measurement["type"],
        "higher_is_better": measurement.get("higher_is_better", measurement["type"] != "loss"),
        "classification": classes,
        "training_examples": run.metrics.get("training_examples"),
        "queries": queries,
    }


def _ranking(run: ReportedRun, train: Mapping[str, Any], *, ranked: bool) -> dict[str, Any]:
    """Say what suspects are ranked by, and why by nothing better."""
    found = run.metrics.get("self_influence") or {}
    by = None
    if ranked:
        by = "loss" if train["self_influence"] is None else "self-influence"
    return {"suspects_ranked_by": by, "suspects_reason": found.get("reason")}


def _rough(value: Any) -> float | None:
    """Round a number that is shown as a shade."""
    found = rounded(value)
    return None if found is None else float(f"{found:.3g}")
