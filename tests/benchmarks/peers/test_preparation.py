from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.peers import preparation, workloads
from benchmarks.peers.networks import CONTEXT, NETWORKS, VOCABULARY
from benchmarks.peers.preparation import data, prepare, scaled, sequences


class TestData:
    def test_digits_are_split_as_the_table_says(self) -> None:
        (train_x, train_y), (test_x, test_y) = data("small-mlp", 1, 1)
        assert train_x.shape == (1617, 64)
        assert test_x.shape == (180, 64)
        assert train_x.dtype == np.float32
        assert 0 <= train_x.min() < train_x.max() == 1
        assert set(train_y) == set(test_y) == set(range(10))

    def test_a_share_is_the_first_examples(self) -> None:
        whole = data("small-mlp", 1, 1)
        part = data("small-mlp", 0.5, 0.1)
        assert len(part[0][0]) == 808
        assert len(part[1][0]) == 18
        np.testing.assert_array_equal(part[0][0], whole[0][0][:808])
        np.testing.assert_array_equal(part[1][1], whole[1][1][:18])

    def test_more_examples_than_there_are_differ_from_their_originals(self) -> None:
        inputs = np.zeros((4, 3), dtype=np.float32)
        more, targets = scaled((inputs, np.arange(4)), 2.5, 0)
        assert more.shape == (10, 3)
        np.testing.assert_array_equal(more[:4], inputs)
        assert (more[4:] != 0).all()
        np.testing.assert_array_equal(targets, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
        np.testing.assert_array_equal(more, scaled((inputs, np.arange(4)), 2.5, 0)[0])

    def test_targets_of_sequences_are_the_next_characters(self) -> None:
        (inputs, targets), (queries, _) = sequences(20, 5)
        assert inputs.shape == targets.shape == (20, CONTEXT)
        assert queries.shape == (5, CONTEXT)
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        assert inputs.dtype == np.int64
        assert 0 <= inputs.min() <= inputs.max() < VOCABULARY

    def test_too_many_sequences_are_refused(self) -> None:
        with pytest.raises(SystemExit, match="too few for 10000000 sequences"):
            sequences(10_000_000, 1)

    def test_regression_is_standardized(self) -> None:
        (inputs, targets), _ = data("regression", 1, 1)
        assert inputs.shape == (1617, 10)
        assert targets.shape == (1617, 1)
        assert abs(targets.mean()) < 0.1
        assert 0.9 < targets.std() < 1.1


class TestNetworks:
    @pytest.mark.parametrize(
        ("name", "parameters"),
        [
            ("small-mlp", 6_570),
            ("wide-mlp", 301_066),
            ("cnn", 191_706),
            ("transformer", 826_208),
            ("regression", 2_817),
        ],
    )
    def test_has_the_size_that_the_table_names(self, name: str, parameters: int) -> None:
        assert sum(each.numel() for each in NETWORKS[name]().parameters()) == parameters

    def test_no_position_of_the_transformer_sees_a_later_one(self) -> None:
        model = NETWORKS["transformer"]().eval()
        tokens = torch.randint(VOCABULARY, (1, 6))  # [B, S]
        changed = tokens.clone()
        changed[0, 4] = (tokens[0, 4] + 1) % VOCABULARY
        before, after = model(tokens), model(changed)  # [B, S, V]
        torch.testing.assert_close(before[:, :4], after[:, :4])
        assert not torch.allclose(before[:, 4:], after[:, 4:])


class TestPrepare:
    def test_what_is_loaded_is_what_was_prepared(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(preparation.EPOCHS, "regression", 1)
        prepare("regression", tmp_path / "work", 0.02, 0.1)
        facts = json.loads((tmp_path / "work" / "workload.json").read_text())
        workload = workloads.load(tmp_path / "work")
        assert (facts["train"], facts["queries"], facts["parameters"]) == (32, 18, 2817)
        assert workload.train[0].shape == (32, 10)
        assert workload.test[1].shape == (18, 1)
        assert not workload.model.training
        assert workload.damping == 1e-3
        fresh = workload.fresh_model()
        assert fresh is not workload.model
        torch.testing.assert_close(fresh.state_dict(), workload.model.state_dict())

    def test_the_network_does_not_depend_on_the_factors(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(preparation.EPOCHS, "regression", 1)
        prepare("regression", tmp_path / "few", 0.02, 0.1)
        prepare("regression", tmp_path / "more", 0.05, 0.1)
        few, more = (workloads.load(tmp_path / name) for name in ("few", "more"))
        torch.testing.assert_close(few.model.state_dict(), more.model.state_dict())
        assert len(few.train[0]) < len(more.train[0])


class TestWorkload:
    def test_losses_of_a_language_model_are_summed_over_positions(self) -> None:
        outputs = torch.randn(2, 3, 5)  # [B, S, V]
        targets = torch.randint(5, (2, 3))  # [B, S]
        each = -outputs.log_softmax(-1).gather(-1, targets[..., None])[..., 0]  # [B, S]
        torch.testing.assert_close(
            workloads.losses("language-model", outputs, targets), each.sum(dim=1)
        )

    def test_losses_of_a_regression_are_squares(self) -> None:
        outputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [5.0]])  # [B, 1]
        assert workloads.losses("regression", outputs, targets).tolist() == [1.0, 9.0]

    def test_linear_layers_and_convolutions_are_covered(self, write_workload, tmp_path) -> None:
        workload = workloads.load(write_workload("tiny-cnn", tmp_path / "work"))
        assert workload.kronecker_modules == ["1", "4", "6"]
        assert workload.kronecker_parameters[:2] == ["1.weight", "1.bias"]
