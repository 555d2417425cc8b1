"""What a kind of network in the zoo is, and the list of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from archab.space.inputs import Inputs, Normal


@dataclass(frozen=True, eq=False)
class Kind:
    """A network and what becomes of it.

    Attributes:
        make: its class.
        shape: of one input.
        by: the engines that train it, beside the loop.
        alone: what the notes say of it where the loop must train it.
        refused: what the message says where nothing trains it.
        noisy: whether it draws random numbers as it trains.
    """

    make: type[nn.Module]
    shape: list[int]
    by: str = "vmap compiled"
    alone: str = ""
    refused: str = ""
    inputs: Inputs = Normal()
    dtype: torch.dtype = torch.float64
    noisy: bool = False
    tolerance: float = 1e-9

    @property
    def name(self) -> str:
        return self.make.__name__

    @property
    def daily(self) -> bool:
        """Whether the suite trains it each time: ties, noise, oddities and whatever was once wrong."""
        return self.make.__module__.rpartition(".")[2] in ("noise", "odd", "once_wrong", "ties")

    @property
    def marks(self) -> tuple[pytest.MarkDecorator, ...]:
        return () if self.daily else (pytest.mark.slow,)

    @property
    def says(self) -> str:
        return self.make.__doc__ or ""

    def construct(self) -> nn.Module:
        """One, in its precision."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            return self.make()
        finally:
            torch.set_default_dtype(before)

    def trained_by(self, engine: str) -> str:
        """The engine that trains it where this one is asked for."""
        return next((e for e in (engine, "vmap") if engine != "loop" and e in self.by.split()), "loop")


ZOO: list[Kind] = []


def of(*shape: int, **expected: Any) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Enters a class into the zoo: the shape of one input, and what else `Kind` says."""

    def enter(make: type[nn.Module]) -> type[nn.Module]:
        ZOO.append(Kind(make, list(shape), **expected))
        return make

    return enter
