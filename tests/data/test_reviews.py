from __future__ import annotations

import re
from itertools import pairwise

import pytest

from hessinf.data import DataError, DatasetReader, Reviews
from hessinf.data.review_grammar import BAD, DISLIKED, GOOD, LIKED, NEGATIONS, reviews
from hessinf.data.tokenization import tokens_of

SIGNS = (
    dict.fromkeys((*GOOD, *LIKED, *LIKED.values()), 1)
    | dict.fromkeys((*BAD, *DISLIKED, *DISLIKED.values()), -1)
)  # fmt: skip


def opinions(text: str) -> list[int]:
    """Read the sign of every opinion by the rule that the reader's page tells."""
    tokens = tokens_of(text)
    return [
        -SIGNS[token] if before in NEGATIONS else SIGNS[token]
        for before, token in pairwise(tokens)
        if token in SIGNS
    ]


def test_the_label_follows_from_the_words():
    made = reviews(500, seed=3)
    signs = [opinions(review.text) for review in made]
    assert {len(one) for one in signs} == {1, 3}
    assert [review.label for review in made] == [int(sum(one) > 0) for one in signs]
    mixed = sum(len(set(one)) == 2 for one in signs)
    assert 50 < mixed < 150
    negated = sum(token in NEGATIONS for review in made for token in tokens_of(review.text))
    assert 100 < negated < 300


def test_reviews_differ_and_classes_are_as_large():
    made = reviews(301, seed=0)
    assert len({review.text for review in made}) == 301
    assert [review.label for review in made] == [0, 1] * 150 + [0]


def test_sentences():
    for review in reviews(200, seed=1):
        sentences = re.findall(r"[A-Z][^.]*\.", review.text)
        assert " ".join(sentences) == review.text
        assert 2 <= len(sentences) <= 3


def test_one_seed_makes_the_same_reviews_and_more_of_them_begin_alike():
    assert reviews(20, seed=5) == reviews(60, seed=5)[:20]
    assert reviews(20, seed=5) != reviews(20, seed=6)


def test_splits():
    reader = Reviews(train_size=30, test_size=10)
    test, train = reader.read("test"), reader.read("train")  # in whatever order
    assert len(train) == 30
    assert len(test) == 10
    texts = [example.display["text"] for example in [*train, *test]]
    assert len(set(texts)) == 40
    assert train.ids[:2] == ("reviews/train/0", "reviews/train/1")
    assert train.label_names == test.label_names == ("negative", "positive")
    assert train.feature_names == test.feature_names
    assert train.in_features == len(train.feature_names)
    assert train.fingerprint() == Reviews(train_size=30, test_size=10).read("train").fingerprint()
    assert train.fingerprint() != Reviews(train_size=30, data_seed=1).read("train").fingerprint()


def test_words_of_the_test_split_alone_are_unknown():
    reader = Reviews(train_size=4, test_size=50)
    known = set(reader.read("train").feature_names)
    for example in reader.read("test"):
        shown = [token.lower() for token in example.display["tokens"]]
        numbers = example.inputs["tokens"].tolist()
        assert [number == 1 for number in numbers] == [token not in known for token in shown]


def test_no_such_split():
    with pytest.raises(DataError) as caught:
        Reviews().read("tset")
    assert str(caught.value) == (
        'reader "reviews" has no split "tset"; did you mean "test"? (its splits: "train", "test")'
    )


def test_wrong_labels_can_be_planted():
    reader = DatasetReader.from_config(
        {"type": "noisy-labels", "reader": {"type": "reviews", "train_size": 40}, "rate": 0.1}
    )
    train = reader.read("train")
    assert len(train.flipped) == 4
    for index in train.flipped:
        display = train[index].display
        assert {display["label"], display["flipped_from"]} == {"negative", "positive"}
        assert (sum(opinions(display["text"])) > 0) == (display["flipped_from"] == "positive")
    assert train.in_features == len(train.feature_names)
