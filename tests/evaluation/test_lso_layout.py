"""Leave-some-out files of another project: read, written, and refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.evaluation import EvaluationError
from hessinf.evaluation.lso_layout import lso_file, read_lso, write_lso


def content(subsets: int = 6, queries: int = 4, examples: int = 10) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    masks = np.zeros((subsets, examples), dtype=np.uint8)
    for mask in masks:
        mask[random.permutation(examples)[: examples // 2]] = 1
    return {"loss_diffs": random.standard_normal((subsets, queries)), "binary_masks": masks}


def save_original(folder: Path, arrays: Any, alpha: float = 0.5, repeats: int = 100) -> Path:
    file = lso_file(folder, "digits", alpha, repeats, ".pt")
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(arrays, file)
    return file


def read(folder: Path, **arguments: Any):
    return read_lso(folder, "digits", 0.5, **{"trust": True, **arguments})


class TestRoundTrip:
    def test_npz(self, tmp_path: Path) -> None:
        arrays = content()
        file = write_lso(tmp_path, "digits", 0.5, arrays["loss_diffs"], arrays["binary_masks"])
        assert file == tmp_path / "data_digits" / "0.5_6r_1br.npz"
        found, where = read(tmp_path, repeats=6, trust=False)
        assert where == file
        np.testing.assert_array_equal(found.loss_diffs, arrays["loss_diffs"])
        np.testing.assert_array_equal(found.binary_masks, arrays["binary_masks"])
        assert found.binary_masks.dtype == np.uint8
        with np.load(file, allow_pickle=False) as inside:
            assert sorted(inside.files) == ["binary_masks", "loss_diffs"]

    def test_the_same_bytes_every_time(self, tmp_path: Path) -> None:
        arrays = content()
        files = [
            write_lso(tmp_path / part, "d", 0.5, arrays["loss_diffs"], arrays["binary_masks"])
            for part in ("one", "two")
        ]
        assert files[0].read_bytes() == files[1].read_bytes()

    @pytest.mark.parametrize("alpha", [0.3, 0.5, 0.7, 0.9])
    def test_names_as_the_original_writes_them(self, alpha: float) -> None:
        expected = f"scores/data_digits/{alpha}_100r_1br.pt"
        assert str(lso_file("scores", "digits", alpha, 100, ".pt")) == expected

    @pytest.mark.parametrize("axes", [2, 3])
    @pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.bool_, torch.float64])
    def test_originals(self, tmp_path: Path, axes: int, kind: Any) -> None:
        """Losses ``[m, Q]`` or ``[m, Q, 1]``; masks of any type, of numpy or torch."""
        arrays = content()
        losses = torch.from_numpy(arrays["loss_diffs"])
        masks = arrays["binary_masks"]
        written = {
            "loss_diffs": losses if axes == 2 else losses[:, :, None],
            "binary_masks": (
                torch.from_numpy(masks).to(kind)
                if isinstance(kind, torch.dtype)
                else masks.astype(kind)
            ),
        }
        save_original(tmp_path, written)
        found, _ = read(tmp_path, num_train=10, num_queries=4)
        np.testing.assert_array_equal(found.loss_diffs, arrays["loss_diffs"])
        np.testing.assert_array_equal(found.binary_masks, masks)

    def test_what_is_safe_comes_first(self, tmp_path: Path) -> None:
        arrays = content()
        save_original(tmp_path, {**arrays, "loss_diffs": arrays["loss_diffs"] + 1}, repeats=6)
        write_lso(tmp_path, "digits", 0.5, arrays["loss_diffs"], arrays["binary_masks"])
        found, where = read(tmp_path, repeats=6)
        assert where.suffix == ".npz"
        np.testing.assert_array_equal(found.loss_diffs, arrays["loss_diffs"])


class TestTrust:
    def test_a_pickle_is_not_opened_without(self, tmp_path: Path) -> None:
        file = lso_file(tmp_path, "digits", 0.5, 100, ".pt")
        file.parent.mkdir(parents=True)
        file.write_bytes(b"this would run code")
        with pytest.raises(EvaluationError) as raised:
            read(tmp_path, trust=False)
        assert str(raised.value) == (
            f"{file} is a pickle, and reading it runs whatever code is in it; if you trust where "
            "it comes from, set trust: true, and write it as .npz once "
            "(hessinf.evaluation.lso_layout.write_lso)"
        )

    def test_no_pickle_hides_in_an_npz(self, tmp_path: Path) -> None:
        file = lso_file(tmp_path, "digits", 0.5, 100, ".npz")
        file.parent.mkdir(parents=True)
        np.savez(file, loss_diffs=np.array([{}], dtype=object), binary_masks=np.ones((1, 2)))
        with pytest.raises(EvaluationError, match=r"cannot be read as \.npz: Object arrays"):
            read(tmp_path)

    @pytest.mark.parametrize("suffix", [".npz", ".pt"])
    def test_broken_files(self, tmp_path: Path, suffix: str) -> None:
        file = lso_file(tmp_path, "digits", 0.5, 100, suffix)
        file.parent.mkdir(parents=True)
        file.write_bytes(b"nothing of the kind")
        with pytest.raises(EvaluationError, match=f"^{re.escape(str(file))} cannot be read as"):
            read(tmp_path)


class TestRefusals:
    def check(self, folder: Path, expected: str, changes: dict[str, Any], **data: int) -> None:
        file = save_original(folder, {**content(), **changes})
        with pytest.raises(EvaluationError) as raised:
            read(folder, **data)
        assert str(raised.value) == f"{file}{expected}"

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError) as raised:
            read(tmp_path)
        assert str(raised.value) == (
            f"there is neither {tmp_path}/data_digits/0.5_100r_1br.npz nor 0.5_100r_1br.pt beside "
            "it; expected PATH/data_NAME/ALPHA_REPEATSr_1br.npz (or .pt), with the alpha written "
            "as Python does"
        )

    def test_other_content(self, tmp_path: Path) -> None:
        file = save_original(tmp_path, {"scores": np.ones(3)})
        with pytest.raises(EvaluationError) as raised:
            read(tmp_path)
        assert str(raised.value) == f"{file} holds scores, expected loss_diffs and binary_masks"

    def test_transposed_losses(self, tmp_path: Path) -> None:
        self.check(
            tmp_path,
            ": loss_diffs has shape [4, 6], which looks transposed; expected a row a subset and a "
            "column for each of the queries",
            {"loss_diffs": content()["loss_diffs"].T},
        )

    def test_transposed_masks(self, tmp_path: Path) -> None:
        self.check(
            tmp_path,
            ": binary_masks has shape [10, 6], which looks transposed; expected a row a subset and "
            "a column for each of the training examples",
            {"binary_masks": content()["binary_masks"].T},
            num_train=10,
        )

    def test_not_a_number(self, tmp_path: Path) -> None:
        losses = content()["loss_diffs"].copy()
        losses[2, 1] = np.nan
        self.check(
            tmp_path,
            ": loss_diffs[2, 1] is nan, expected finite numbers (1 of 24 are not): they have no "
            "rank; find out where they come from, they are not left out here",
            {"loss_diffs": losses},
        )

    def test_masks_that_are_none(self, tmp_path: Path) -> None:
        masks = content()["binary_masks"].astype(np.float64)
        masks[1, 3] = 0.5
        self.check(
            tmp_path,
            ": masks[1, 3] is 0.5, expected 0 or 1: whether the training example is in the subset",
            {"binary_masks": masks},
        )

    def test_other_training_data(self, tmp_path: Path) -> None:
        self.check(
            tmp_path,
            ": binary_masks is about 10 training examples, and there are 12 here; is it of other "
            "data, or of another split?",
            {},
            num_train=12,
        )

    def test_other_queries(self, tmp_path: Path) -> None:
        self.check(
            tmp_path,
            ": loss_diffs is about 4 queries, and there are 5 here; is it of other data, or of "
            "another split?",
            {},
            num_queries=5,
        )

    def test_rows_that_do_not_fit(self, tmp_path: Path) -> None:
        self.check(
            tmp_path,
            ": loss_diffs has 5 rows and binary_masks 6; expected a row a subset in both",
            {"loss_diffs": content()["loss_diffs"][:5]},
        )

    def test_a_single_axis(self, tmp_path: Path) -> None:
        self.check(
            tmp_path,
            ": loss_diffs has shape [6], expected two axes, a row a subset",
            {"loss_diffs": np.ones(6)},
        )

    def test_nothing_wrong_is_written(self, tmp_path: Path) -> None:
        arrays = content()
        arrays["loss_diffs"][0, 0] = np.inf
        with pytest.raises(EvaluationError, match=r"^what is written: loss_diffs\[0, 0\] is inf"):
            write_lso(tmp_path, "digits", 0.5, arrays["loss_diffs"], arrays["binary_masks"])
        assert not (tmp_path / "data_digits").exists()
