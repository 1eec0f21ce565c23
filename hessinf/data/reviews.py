"""Made-up reviews, good and bad ones: texts whose words are known to decide the label."""

from __future__ import annotations

from typing import Annotated, Any

from hessinf.data.dataset import Dataset
from hessinf.data.dataset_reader import DatasetReader, check_split
from hessinf.data.review_grammar import LABELS, reviews
from hessinf.data.text_encoding import TextEncoding
from hessinf.data.word_reader import WordReader
from hessinf.registry import AtLeast
from hessinf.runtime.randomness import derive_seed


@DatasetReader.register("reviews")
class Reviews(WordReader):
    """Makes up short English reviews, good and bad ones; paths are `train` and `test`.

    Registered as a `DatasetReader` with name "reviews".

    A review of a film, a restaurant, a hotel or a phone has two or three sentences: one or three
    opinions, and sentences that say nothing. An opinion is good or bad by one word, which a "not",
    "hardly" or "didn't" before it turns round; a review is positive where more of its opinions are
    good. There are as many of each, and no two reviews are the same.

    Parameters
    ----------
    train_size, test_size
        How many reviews each split has. The training split is made up first, so the test split is
        another one when `train_size` changes.
    data_seed
        Decides all reviews.
    **kwargs
        What every reader of texts takes.
    """

    def __init__(
        self,
        *,
        train_size: Annotated[int, AtLeast(2)] = 400,
        test_size: Annotated[int, AtLeast(1)] = 100,
        data_seed: Annotated[int, AtLeast(0)] = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.train_size = train_size
        self.test_size = test_size
        self.data_seed = data_seed

    def read(self, path: str) -> Dataset:
        """Make a split up.

        Parameters
        ----------
        path
            ``"train"`` or ``"test"``.

        Returns
        -------
        Dataset
            Inputs are ``{"tokens": [S]}``, token numbers; ids ``"reviews/train/0"``, ...

        Raises
        ------
        DataError
            When there is no such split.
        """
        check_split("reviews", path)
        everything = reviews(
            self.train_size + self.test_size, derive_seed(self.data_seed, "reviews")
        )
        train = everything[: self.train_size]
        some = train if path == "train" else everything[self.train_size :]
        if self._encoding is None:
            texts = [review.text for review in train]
            self._encoding = TextEncoding.learn(self.options, texts, LABELS)
        return self._encoding.dataset(
            [review.text for review in some],
            [review.label for review in some],
            [f"reviews/{path}/{place}" for place in range(len(some))],
            f"reviews/{path}",
        )
