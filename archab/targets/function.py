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

    def check(self, inputs: Tensor) -> None:
        """Raise an ArchabError where a fixed function answers a sample by others that are asked with it.

        Args:
            inputs: some, shape (n, *input_shape).
        """
        if self.drawn:  # which may draw by all of its inputs, as a Gaussian process does
            return
        half = max(1, len(inputs) // 2)
        alone, among = self.function(inputs[:half].clone()), self.function(inputs.clone())[:half]
        if not torch.allclose(alone, among, rtol=1e-3, atol=1e-5 * float(among.abs().max())):
            raise ArchabError(
                f"target: {self.name} gives a sample another output when others are asked with it, so that it is no "
                "function of its inputs; take no mean, rank or norm over the first axis"
            )

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
    if target is None or (isinstance(target, tuple) and not target):  # as this gave it before
        return ()
    if isinstance(target, list | tuple):
        if not target:
            raise ArchabError("target=[]: at least one is needed, or None for the targets of a space")
        return tuple(map(task, target))
    return (task(target),)


def task(target: Any) -> Task:
    """A task as it is, a function as one.

    Raises:
        ArchabError: if it is neither.
    """
    if isinstance(target, type):
        raise ArchabError(f"target: {target.__name__} is a class; give one of it, {target.__name__}(…)")
    if all(hasattr(target, name) for name in ("draw", "name", "drawn", "rows")):
        return target
    if isinstance(target, str):
        raise ArchabError(
            f"target={target!r}: a name chooses a file on the command line alone; here a function or a task is needed, "
            "such as archab.targets.functions.sines.Sines() or archab.targets.dataset.DataSet('rows.csv', outputs='y')"
        )
    if not callable(target):
        raise ArchabError(
            f"target: a {type(target).__name__} is none; a function of the inputs or a task is needed, for arrays and "
            "tables archab.targets.dataset.DataSet"
        )
    return Function(target)


def _global() -> object:
    return torch.get_rng_state().numpy().tobytes(), other_generators()


def _name(function: Any) -> str:
    own = getattr(function, "name", None) or getattr(function, "__name__", None)
    return str(own) if own else _name(function.func) if hasattr(function, "func") else type(function).__name__
