"""Constructors do not seed: while networks are drawn, a call that would is passed over, and its name is kept."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

_SEEDING = (
    (torch, "manual_seed"),
    (torch, "seed"),
    (torch.random, "manual_seed"),
    (torch.random, "seed"),
    (torch.cuda, "manual_seed"),
    (torch.cuda, "manual_seed_all"),
    (np.random, "seed"),
    (random, "seed"),
)


@contextmanager
def unseeded() -> Iterator[list[str]]:
    """The calls that would have seeded a global generator of torch, numpy or Python while this is entered.

    They do nothing: networks are drawn from the stream that is active, of which a seed of their own would make one
    network. Generators of their own may have any seed. A function imported by its name is not reached.
    """
    before = [getattr(owner, name) for owner, name in _SEEDING]
    calls: list[str] = []
    try:
        for (owner, name), original in zip(_SEEDING, before, strict=True):
            setattr(owner, name, partial(_passed_over, calls, f"{owner.__name__}.{name}", original))
        yield calls
    finally:
        for (owner, name), original in zip(_SEEDING, before, strict=True):
            setattr(owner, name, original)


def _passed_over(calls: list[str], name: str, original: Callable[..., Any], *seed: Any, **named: Any) -> Any:
    calls.append(name)
    if isinstance(original, partial):  # entered twice: both are told
        return original(*seed, **named)
    if name.endswith("manual_seed"):
        return torch.default_generator
    return torch.initial_seed() if name.startswith("torch") else None
