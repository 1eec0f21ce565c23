"""Makes the data of a workload and trains its network: ``python -m benchmarks.peers.preparation``.

Runs in hessinf's environment, once for each workload; scikit-learn has the data. Nothing is
downloaded: the text of the transformer is Python's own documentation.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.peers.networks import CONTEXT, NETWORKS, VOCABULARY
from benchmarks.peers.workloads import TASKS, losses
from hessinf.runtime.files import replace_directory

EPOCHS = {"small-mlp": 30, "wide-mlp": 30, "cnn": 3, "transformer": 4, "regression": 100}
BATCH_SIZES = {"transformer": 32}
SEQUENCES, SEQUENCE_QUERIES = 2_000, 50
ROWS, ROW_QUERIES = 1_617, 180
JITTER = 0.05
"""Standard deviation of what is added to the inputs of repeated images, whose values are 0 to 1."""

Arrays = tuple[np.ndarray, np.ndarray]


def digits() -> tuple[Arrays, Arrays]:
    """Split scikit-learn's images of digits: 1,617 to train on, 180 queries."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)  # [1797, 64], [1797]
    train_x, test_x, train_y, test_y = train_test_split(
        (images / 16).astype(np.float32), labels, test_size=180, random_state=0, stratify=labels
    )
    return (train_x, train_y), (test_x, test_y)


def scaled(arrays: Arrays, factor: float, seed: int) -> Arrays:
    """Take a share of the examples, or all of them and jittered copies."""
    inputs, targets = arrays
    count = max(1, round(factor * len(inputs)))
    places = np.arange(count) % len(inputs)  # [count]
    noise = np.random.default_rng(seed).normal(0, JITTER, (count, *inputs.shape[1:]))
    noise[: len(inputs)] = 0
    return (inputs[places] + noise).astype(np.float32), targets[places]


def friedman(rows: int, queries: int) -> tuple[Arrays, Arrays]:
    """Make Friedman's first regression problem, with standardized targets."""
    from sklearn.datasets import make_friedman1

    def make(count: int, seed: int) -> Arrays:
        inputs, targets = make_friedman1(count, noise=1.0, random_state=seed)  # [count, 10]
        standard = (targets - 14.4) / 5.0  # its mean and standard deviation
        return inputs.astype(np.float32), standard.astype(np.float32)[:, None]

    return make(rows, 0), make(queries, 1)


def sequences(count: int, queries: int) -> tuple[Arrays, Arrays]:
    """Cut Python's documentation into sequences; targets are the characters that come next."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    codes = np.frombuffer(text.encode("ascii", "ignore"), dtype=np.uint8).astype(np.int64)
    tokens = np.where((codes >= 32) & (codes < 127), codes - 32, VOCABULARY - 1)  # [length]
    step = min(CONTEXT + 1, (len(tokens) - CONTEXT - 1) // (count + queries))
    if step < 1:
        raise SystemExit(f"the text has {len(tokens)} characters: too few for {count} sequences")
    starts = step * np.random.default_rng(0).permutation(count + queries)  # [count + queries]
    windows = tokens[starts[:, None] + np.arange(CONTEXT + 1)]  # [count + queries, S + 1]
    # Standard layouts, as a user's own arrays have.
    inputs = np.ascontiguousarray(windows[:, :-1])  # [count + queries, S]
    targets = np.ascontiguousarray(windows[:, 1:])  # [count + queries, S]
    return (inputs[:count], targets[:count]), (inputs[count:], targets[count:])


def data(name: str, train_factor: float, query_factor: float) -> tuple[Arrays, Arrays]:
    """Make the training data and the queries of a workload, scaled."""
    if name == "transformer":
        return sequences(
            max(1, round(train_factor * SEQUENCES)), max(1, round(query_factor * SEQUENCE_QUERIES))
        )
    if name == "regression":
        return friedman(
            max(1, round(train_factor * ROWS)), max(1, round(query_factor * ROW_QUERIES))
        )
    train, test = digits()
    return scaled(train, train_factor, 0), scaled(test, query_factor, 1)


def train(name: str, arrays: Arrays) -> torch.nn.Module:
    """Train a network with Adam, the same way each time."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    inputs, targets = (torch.from_numpy(array) for array in arrays)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS[name]):
        for places in torch.randperm(len(inputs), generator=order).split(BATCH_SIZES.get(name, 64)):
            optimizer.zero_grad()
            losses(TASKS[name], model(inputs[places]), targets[places]).mean().backward()
            optimizer.step()
    return model.eval()


def fingerprint(folder: Path) -> str:
    """Hash the arrays and the weights of a workload."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.npy")):
        digest.update(path.read_bytes())
    state = torch.load(folder / "weights.pt", weights_only=True)
    for name, value in state.items():
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def prepare(name: str, folder: Path, train_factor: float = 1.0, query_factor: float = 1.0) -> None:
    """Write a workload to a folder: all of it, or nothing.

    The network is trained on the unscaled data whatever the factors, so that growth is that of the
    data alone.
    """
    training, queries = data(name, train_factor, query_factor)
    model = train(name, data(name, 1.0, 1.0)[0])
    with replace_directory(folder) as new:
        np.save(new / "train_inputs.npy", training[0])
        np.save(new / "train_targets.npy", training[1])
        np.save(new / "test_inputs.npy", queries[0])
        np.save(new / "test_targets.npy", queries[1])
        torch.save(model.state_dict(), new / "weights.pt")
        facts = {
            "name": name,
            "task": TASKS[name],
            "train": len(training[0]),
            "queries": len(queries[0]),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "fingerprint": fingerprint(new),
        }
        (new / "workload.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Prepare one workload."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(TASKS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train-factor", type=float, default=1.0)
    parser.add_argument("--query-factor", type=float, default=1.0)
    given = parser.parse_args(arguments)
    prepare(given.name, given.folder, given.train_factor, given.query_factor)


if __name__ == "__main__":
    main(sys.argv[1:])
