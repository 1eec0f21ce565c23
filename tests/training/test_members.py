"""Many models, in chunks: what callers see."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.data import Dataset
from hessinf.models import CallableObjective, CrossEntropy
from hessinf.training import (
    EarlyStopping,
    Member,
    Sgd,
    Trainer,
    TrainingError,
    chunks_of,
    member_chunks,
    train_members,
)
from tests.training.ensembles import (
    CLASSES,
    DATA,
    EXAMPLES,
    INPUTS,
    MEMBERS,
    MLP,
    SGD,
    Problem,
    members_of,
    perceptron,
    seeded,
)


class TestChunks:
    TRAINER = Trainer(SGD, epochs=2, batch_size=8)
    MANY = members_of(*[12] * 10)

    def chunks(self, limit: float) -> list[range]:
        return chunks_of(
            self.TRAINER, MLP.make_module, DATA, CrossEntropy(), self.MANY, memory_limit=limit
        )

    def needed(self) -> float:
        return member_chunks.bytes_of_a_member(perceptron(0), DATA, CrossEntropy(), 8) / 2**30

    def test_sizes_come_from_the_memory_limit(self):
        assert self.chunks(1.0) == [range(10)]
        assert self.chunks(5.5 * self.needed()) == [range(5), range(5, 10)]
        assert self.chunks(4.5 * self.needed()) == [range(3), range(3, 6), range(6, 10)]
        assert self.chunks(1e-9) == [range(place, place + 1) for place in range(10)]

    def test_no_members(self):
        assert chunks_of(self.TRAINER, MLP.make_module, DATA, CrossEntropy(), []) == []
        assert MLP.train(self.TRAINER, []) == []

    def test_what_is_finished_changes_nothing_of_the_rest(self):
        limit = 4.5 * self.needed()
        whole = MLP.train(self.TRAINER, self.MANY, memory_limit=limit)
        rest = MLP.train(self.TRAINER, self.MANY, memory_limit=limit, finished={0, 2})
        assert [(chunk.chunk, chunk.first) for chunk in whole] == [(0, 0), (1, 3), (2, 6)]
        assert [(chunk.chunk, chunk.first) for chunk in rest] == [(1, 3)]
        values = rest[0].values(DATA, CrossEntropy())
        assert np.array_equal(values, whole[1].values(DATA, CrossEntropy()))

    def test_the_same_bytes_again(self):
        first, second = (
            MLP.train(self.TRAINER, self.MANY)[0].values(DATA, CrossEntropy()) for _ in range(2)
        )
        assert np.array_equal(first, second)

    def test_chunks_are_made_when_they_are_asked_for(self):
        made = []

        def make(seed: int) -> nn.Module:
            made.append(seed)
            return perceptron(seed)

        generator = train_members(
            self.TRAINER,
            make,
            DATA,
            CrossEntropy(),
            self.MANY,
            device="cpu",
            memory_limit=5.5 * self.needed(),
        )
        next(generator)
        assert sorted(set(made)) == [10, 11, 12, 13, 14]

    def test_nothing_of_the_callers_changes(self):
        torch.manual_seed(3)
        state = torch.random.get_rng_state()
        MLP.train(self.TRAINER, self.MANY)
        assert torch.equal(torch.random.get_rng_state(), state)

    def test_progress_counts_the_epochs_of_every_model(self, monkeypatch, capsys):
        monkeypatch.setenv("HESSINF_PROGRESS", "1")
        stopping = Trainer(SGD, epochs=40, batch_size=8, early_stopping=EarlyStopping(1))
        MLP.train(stopping, members_of(12, 12, 20), stage="retraining halves")
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith("retraining halves: 120/120 epochs, ")


class TestErrors:
    def test_a_member_that_diverges_is_named(self):
        inputs = INPUTS.clone()
        inputs[7] = 1e200
        data = Dataset.from_columns(inputs, CLASSES)
        objective = CallableObjective(lambda f, y: f.square().sum(1))
        problem = Problem(data, objective, seeded(lambda: nn.Linear(4, 2)))
        others = [place for place in range(EXAMPLES) if place != 7]
        members = [Member(others[:20], 5), Member(range(20), 6), Member(others[10:30], 7)]
        message = (
            r"member 1 \(seed 6\): training diverged: the loss is (inf|nan) in epoch 1, batch \d "
            r"of 3(, with the initial weights)?: .*"
        )
        with pytest.raises(TrainingError, match=f"^{message}$"):
            problem.train(Trainer(SGD, epochs=2, batch_size=8), members)

    def test_the_same_words_when_it_is_trained_alone(self):
        members = [Member(range(10), 3), Member(range(30), 4)]
        message = (
            r"member 0 \(seed 3\): training diverged: the loss is (nan|inf) in epoch \d, "
            r"batch \d of 2: "
            r"the steps are probably too large, .*"
        )
        objective = CallableObjective(lambda f, y: f.square().sum(1))
        problem = Problem(DATA, objective, seeded(lambda: nn.Linear(4, 2)))
        with pytest.raises(TrainingError, match=f"^{message}$"):
            problem.train(Trainer(Sgd(lr=1e100), epochs=9, batch_size=8), members)

    @pytest.mark.parametrize(
        ("indices", "message"),
        [
            ([], "there are no examples to train on"),
            ([0, 40], "index 40 is outside a data set of 40 examples"),
            ([-1, 3], "index -1 is outside a data set of 40 examples"),
            (
                np.ones(40, dtype=bool),
                "indices are torch.bool [40], expected a list of whole numbers, the places of "
                "examples",
            ),
            (
                [0.5, 1.0],
                "indices are torch.float32 [2], expected a list of whole numbers, the places of "
                "examples",
            ),
        ],
    )
    def test_wrong_indices(self, indices, message):
        members = [*MEMBERS, Member(indices, 4)]
        with pytest.raises(TrainingError, match=f"^{re.escape(f'member 3 (seed 4): {message}')}$"):
            MLP.train(Trainer(epochs=1), members)

    def test_nothing_to_train(self):
        problem = Problem(DATA, CrossEntropy(), lambda seed: perceptron(seed).requires_grad_(False))
        message = (
            "the model has no parameter that requires gradients, so that nothing can be trained; "
            "unfreeze some"
        )
        with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
            problem.train(Trainer(epochs=1), MEMBERS)
