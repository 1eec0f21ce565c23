"""A small grammar of reviews: opinions with a known sign, and sentences that say nothing.

The label of a review is the sign of the sum of its opinions, and every opinion has its sign by one
word: that of an adjective or verb, turned round by a ``not``, ``hardly`` or ``didn't`` before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

ASPECTS = {
    "film": ("acting", "story", "music", "ending", "dialogue", "camera work"),
    "restaurant": ("soup", "service", "bread", "wine", "dessert", "fish"),
    "hotel": ("room", "breakfast", "staff", "bed", "view", "bathroom"),
    "phone": ("screen", "battery", "camera", "speaker", "keyboard", "sound"),
}
"""What each kind of thing has that one can have an opinion about."""

VISITS = {
    "film": ("We saw it", "I watched it", "They showed it"),
    "restaurant": ("We ate there", "I had lunch there", "We went there"),
    "hotel": ("We stayed there", "I spent a night there", "We slept there"),
    "phone": ("I bought it", "I tried it out", "We got it"),
}

WHEN = (
    "on a Tuesday",
    "last week",
    "in May",
    "after work",
    "on my birthday",
    "two days ago",
    "at the weekend",
    "in the rain",
    "this spring",
    "yesterday",
)

WHOM = (
    "with my brother",
    "with two colleagues",
    "with the children",
    "with a friend",
    "with my parents",
    "with our neighbors",
    "with half the team",
    "with my wife",
)

GOOD = ("excellent", "wonderful", "superb", "lovely", "brilliant", "delightful", "great", "perfect")

BAD = ("terrible", "awful", "dreadful", "poor", "dull", "disappointing", "horrible", "weak")

LIKED = {"love": "loved", "enjoy": "enjoyed", "like": "liked"}

DISLIKED = {"hate": "hated", "dislike": "disliked", "regret": "regretted"}

NOT_SO, NOT_DONE = ("not", "hardly"), "didn't"
NEGATIONS = (*NOT_SO, NOT_DONE)
"""What turns the word after it round: an adjective, or a verb."""

DEGREES = ("", "", "really ", "quite ", "simply ")

SHORTEST, LONGEST = 2, 3
"""How many sentences a review is planned with; two opinions may share one."""

NEGATED = 0.15
"""The share of opinions that are turned round."""

ALL_ALIKE = 0.6
"""The share, of reviews with three opinions, of those whose opinions all have one sign."""

LABELS = ("negative", "positive")


@dataclass(frozen=True)
class Review:
    """A made-up review.

    Parameters
    ----------
    text
        Its sentences.
    label
        1 where more opinions are good than bad, else 0; there are never as many of both.
    """

    text: str
    label: int


def reviews(count: int, seed: int) -> list[Review]:
    """Make up reviews, no two of them alike.

    Parameters
    ----------
    count
        How many.
    seed
        Decides all of them. More reviews begin with the same ones.

    Returns
    -------
    list of Review
        Good and bad ones in turn.
    """
    random = Random(seed)
    found: dict[str, Review] = {}
    while len(found) < count:
        review = _review(random, label=len(found) % 2)
        found.setdefault(review.text, review)
    return list(found.values())


def _review(random: Random, label: int) -> Review:
    kind = random.choice(list(ASPECTS))
    sentences = random.randint(SHORTEST, LONGEST)
    signs = _signs(random, 1 if label else -1)
    aspects = random.sample(ASPECTS[kind], len(signs))
    parts = _sentences(random, list(zip(aspects, signs, strict=True)), sentences)
    parts += [
        _visit(random, visit) for visit in random.sample(VISITS[kind], sentences - len(parts))
    ]
    random.shuffle(parts)
    return Review(" ".join(parts), label)


def _signs(random: Random, sign: int) -> list[int]:
    """Draw an odd number of opinions, of which more have the sign than not."""
    count = random.choice([1, 3])
    signs = [sign] * count
    if count == 3 and random.random() > ALL_ALIKE:
        signs[random.randrange(3)] = -sign
    return signs


def _sentences(random: Random, opinions: Sequence[tuple[str, int]], most: int) -> list[str]:
    """Write opinions down, two of them in one sentence where there are too many."""
    clauses = [(_clause(random, aspect, sign), sign) for aspect, sign in opinions]
    if len(clauses) == 1 or (most >= len(clauses) and random.random() < 0.5):
        return [_sentence(clause) for clause, _ in clauses]
    (first, one), (second, other), *rest = clauses
    joint = "and" if one == other else "but"
    return [_sentence(f"{first}, {joint} {second}"), *(_sentence(clause) for clause, _ in rest)]


def _clause(random: Random, aspect: str, sign: int) -> str:
    """Write one opinion: about whether something was good, or whether somebody liked it."""
    negated = random.random() < NEGATED
    good = (sign > 0) != negated
    if random.random() < 0.3:
        verb, past = random.choice(list((LIKED if good else DISLIKED).items()))
        return f"I {NOT_DONE} {verb} the {aspect}" if negated else f"I {past} the {aspect}"
    word = random.choice(GOOD if good else BAD)
    before = f"{random.choice(NOT_SO)} " if negated else random.choice(DEGREES)
    return f"the {aspect} was {before}{word}"


def _visit(random: Random, visit: str) -> str:
    """Write a sentence without an opinion: who was there, and when."""
    return f"{visit} {' '.join(random.sample([random.choice(WHEN), random.choice(WHOM)], 2))}."


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."
