from __future__ import annotations

import pytest
import torch

from hessinf.data import Dataset, Instance, as_dataset

INPUTS = torch.arange(6.0).reshape(3, 2)
LABELS = torch.tensor([0, 1, 1])


def fingerprint(inputs=INPUTS, targets=LABELS, **names) -> str:
    return Dataset.from_columns(inputs, targets, **names).fingerprint()


def test_is_the_same_on_every_machine():
    expected = "dc804beab71555f4097ce2457802875be6b9a5d339b9c175d6a95f5cb708d2a7"
    assert fingerprint() == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("targets", [LABELS, LABELS.float(), LABELS[:, None].double()])
def test_does_not_depend_on_how_the_data_set_was_made(dtype, targets):
    inputs = INPUTS.to(dtype)
    columns = Dataset.from_columns(inputs, targets)
    assert len(columns.fingerprint()) == 64
    for other in (
        Dataset(list(columns)),
        as_dataset(list(zip(inputs, targets, strict=True))),
        as_dataset((inputs, targets)),
        Dataset.from_columns(inputs.T.contiguous().T, targets),
        Dataset.from_columns(inputs.repeat(2, 1), targets.repeat(2, *[1] * (targets.ndim - 1)))[:3],
        Dataset.from_columns(inputs, targets, displays=[{"text": "x"}] * 3, name="other"),
    ):
        assert other.fingerprint() == columns.fingerprint()


def test_does_not_depend_on_how_dict_inputs_were_made():
    inputs = {"a": INPUTS, "b": INPUTS[:, :1] + 7}
    columns = Dataset.from_columns(inputs, LABELS)
    turned = Dataset.from_columns(dict(reversed(inputs.items())), LABELS)
    assert columns.fingerprint() == Dataset(list(columns)).fingerprint() == turned.fingerprint()
    assert columns.fingerprint() != fingerprint()


def test_depends_on_everything_else():
    def instances(*shapes):
        rows = [torch.arange(float(size)) for size in shapes]
        return Dataset([Instance(x, torch.tensor(0), str(i)) for i, x in enumerate(rows)])

    prints = [
        fingerprint(),
        fingerprint(INPUTS + 1e-6),
        fingerprint(INPUTS.double()),
        fingerprint(INPUTS[:, :, None]),
        fingerprint(INPUTS.flip(0)),
        fingerprint(targets=torch.tensor([0, 1, 0])),
        fingerprint(targets=LABELS.float()),
        fingerprint(ids=["0", "1", "3"]),
        fingerprint(ids=["0,1", "", "2"]),
        fingerprint(INPUTS[:2], LABELS[:2]),
        fingerprint(INPUTS[:0], LABELS[:0]),
        fingerprint({"a": INPUTS}),
        fingerprint({"b": INPUTS}),
        instances(1, 2).fingerprint(),
        instances(2, 1).fingerprint(),
        instances(3, 0).fingerprint(),
    ]
    assert len(set(prints)) == len(prints)
