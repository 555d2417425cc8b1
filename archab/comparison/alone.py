"""What one thread of a process does at a time: meanwhile torch's functions are archab's own, in every thread.

Networks are drawn, looked at and traced so, and trained by `vmap` and the loop; programs train beside. All of it leaves
torch's generator as it was: some of torch's own modules draw where their weights are written to.
"""

from collections.abc import Callable
from functools import cached_property, wraps
from threading import RLock
from typing import Any, ParamSpec, Self, TypeVar, overload

from torch.random import fork_rng

ALONE = RLock()

Given = ParamSpec("Given")
Found = TypeVar("Found")


def alone(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """The same, while no other thread is at work."""

    @wraps(function)
    def turn(*args: Given.args, **named: Given.kwargs) -> Found:
        with ALONE, fork_rng(devices=()):
            return function(*args, **named)

    return turn


class found_alone(cached_property[Found]):
    """A property that is found once, while no other thread is at work."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Found: ...
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        """Wait first, and only then for the lock that Python 3.11 has on each property: or two wait for each other."""
        with ALONE, fork_rng(devices=()):
            return super().__get__(instance, owner)
