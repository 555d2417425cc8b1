"""Any function of the inputs as a task: a fixed one, or one that draws what it needs anew for each target."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError
from archab.networks.population import other_generators
from archab.targets.task import Task

DRAWS = ("draw", "generator")


@dataclass(frozen=True)
class Function:
    """A function of inputs (n, *input_shape) to outputs (n, …) as a `Task`.

    Attributes:
        function: called as `f(x)`, or as `f(x, draw)` where it has an argument called draw or generator: a
            torch.Generator, from which it draws anew for each target, once for all of its samples.
        name: the function's own by default.

    Example:
        >>> def ripple(x, draw):
        ...     phase = torch.rand(1, generator=draw)
        ...     return torch.sin(x + phase)
        >>> Function(ripple).drawn, Function(torch.sin).drawn
        (True, False)
    """

    function: Callable[..., Tensor]
    name: str = ""
    rows: ClassVar[None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or _name(self.function))

    @property
    def drawn(self) -> bool:
        """See `Task`."""
        return self._place is not None

    @property
    def _place(self) -> str | None:
        """The argument that takes the generator."""
        try:
            parameters = inspect.signature(self.function).parameters
        except (TypeError, ValueError):  # some builtins have none
            return None
        return next((name for name in DRAWS if name in parameters), None)

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `Task`."""
        x = inputs(training + heldout)
        given, before = x.clone(), _global()
        place = self._place
        y = self.function(x, **{place: generator}) if place else self.function(x)
        if _global() != before:
            how = f"draw from {place}" if place else "take a second argument, draw, and draw from it"
            raise ArchabError(
                f"target: {self.name} draws from a global generator, so that it is no function of its inputs; {how}, a "
                "torch.Generator"
            )
        if not torch.equal(x, given):
            raise ArchabError(f"target: {self.name} changes its inputs in place; write to a copy, as in x = x + 1")
        return x, y.detach() if isinstance(y, Tensor) else y


def tasks(target: Any) -> tuple[Task, ...]:
    """The tasks of a comparison: of none, of one, or of a list with one a member.

    Raises:
        ArchabError: if one of them is none.
    """
    if target is None:
        return ()
    return tuple(task(one) for one in (target if isinstance(target, list | tuple) else [target]))


def task(target: Any) -> Task:
    """A task as it is, a function as one.

    Raises:
        ArchabError: if it is neither.
    """
    if all(hasattr(target, name) for name in ("draw", "name", "drawn", "rows")):
        return target
    if not callable(target):
        raise ArchabError(
            f"target={target!r}: a function of the inputs, or a task such as archab.targets.dataset.DataSet, is needed"
        )
    return Function(target)


def _global() -> object:
    return torch.get_rng_state().numpy().tobytes(), other_generators()


def _name(function: Any) -> str:
    own = getattr(function, "name", None) or getattr(function, "__name__", None)
    return str(own) if own else _name(function.func) if hasattr(function, "func") else type(function).__name__
