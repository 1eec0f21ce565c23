"""One seed for a run, and a generator of its own for every component.

A component derives its generator from the run's seed and its own name, so that adding a component,
or drawing more numbers in one, never changes the numbers that another one sees.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


def derive_seed(seed: int, name: str) -> int:
    """Derive a component's seed from the run's seed and the component's name.

    Parameters
    ----------
    seed
        The run's seed.
    name
        The component's name, for example ``"trainer.order"``.

    Returns
    -------
    int
        A seed in ``[0, 2**63)``, the same on every machine.
    """
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, name: str, device: str | torch.device = "cpu") -> torch.Generator:
    """Make a component's own random generator.

    Parameters
    ----------
    seed
        The run's seed.
    name
        The component's name.
    device
        Where the numbers are drawn. Numbers drawn on the CPU are the same on every device.

    Returns
    -------
    torch.Generator
        A generator seeded with :func:`derive_seed`.
    """
    return torch.Generator(device=device).manual_seed(derive_seed(seed, name))
