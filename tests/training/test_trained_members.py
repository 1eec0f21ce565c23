"""What trained members are asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.models import CrossEntropy, Margin
from hessinf.training import (
    Lbfgs,
    Trainer,
)
from tests.training.ensembles import (
    CLASSES,
    DATA,
    EXAMPLES,
    MEMBERS,
    MLP,
    SGD,
    Problem,
    flat,
    members_of,
    seeded,
)


class TestMeasuring:
    def test_values_are_not_turned(self):
        (trained,) = MLP.train(Trainer(SGD, epochs=2), MEMBERS)
        values = trained.values(DATA, CrossEntropy(), Margin())
        assert values.shape == (3, EXAMPLES)
        assert values.dtype == np.float64
        outputs = trained.outputs(DATA)
        expected = Margin().values(outputs[2], CLASSES, CrossEntropy())
        np.testing.assert_allclose(values[2], expected.numpy(), rtol=1e-12)

    def test_values_of_other_data(self):
        (trained,) = MLP.train(Trainer(SGD, epochs=2), members_of(20, 8, 20))
        some = DATA.subset([5, 3])
        np.testing.assert_allclose(
            trained.values(some, CrossEntropy()),
            trained.values(DATA, CrossEntropy())[:, [5, 3]],
            rtol=1e-12,
        )

    def test_modules_are_copies_in_evaluation_mode(self):
        (trained,) = MLP.train(Trainer(SGD, epochs=2), MEMBERS)
        module = trained.module(1)
        assert not module.training
        before = trained.values(DATA, CrossEntropy())
        with torch.no_grad():
            for value in module.parameters():
                value.zero_()
        assert np.array_equal(trained.values(DATA, CrossEntropy()), before)
        assert not torch.equal(flat(trained.module(1)), flat(module))

    @pytest.mark.parametrize("place", [3, -1])
    def test_a_place_that_is_not_there(self, place):
        (trained,) = MLP.train(Trainer(SGD, epochs=1), MEMBERS)
        message = f"there are 3 members here, found place {place}"
        with pytest.raises(IndexError, match=f"^{message}$"):
            trained.module(place)

    @pytest.mark.parametrize("optimizer", [SGD, Lbfgs()], ids=["batched", "one after another"])
    def test_activations_that_a_network_keeps_are_in_nobodys_way(self, optimizer):
        class Keeping(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(4, 2)

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                self.hidden = self.layer(inputs)
                return self.hidden.tanh()

        problem = Problem(DATA, CrossEntropy(), seeded(Keeping))
        trainer = Trainer(optimizer, epochs=2)
        (trained,) = problem.train(trainer, MEMBERS)
        assert trained.batched == (optimizer is SGD)
        for place, member in enumerate(MEMBERS):
            expected = flat(problem.alone(trainer, member)[0])
            torch.testing.assert_close(flat(trained.module(place)), expected)
