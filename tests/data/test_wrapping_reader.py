from __future__ import annotations

import pytest

from hessinf.data import DatasetReader

WRAPPERS = {
    "noisy-labels": {"rate": 0.5},
    "subset": {"size": 1},
    "grouped-labels": {"groups": {"first": ["a"], "second": ["b"]}},
    "shortcut": {"label": "a", "features": [0]},
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_state_is_that_of_the_other_reader(name, tmp_path):
    (tmp_path / "train.csv").write_text("x,y\n1,a\n3,b\n")
    config = {"type": name, "reader": {"type": "csv", "target": "y"}, **WRAPPERS[name]}
    wrapper = DatasetReader.from_config(config)
    assert wrapper.state() == {}
    wrapper.read(str(tmp_path / "train.csv"))
    assert wrapper.state()["standardization"] == {"mean": [2.0], "scale": [1.0]}
    other = DatasetReader.from_config(config)
    other.load_state(wrapper.state())
    assert other.state() == wrapper.state()
