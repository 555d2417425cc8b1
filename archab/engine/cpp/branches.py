"""Control flow that depends on data: every way through a network is taken, and conditions choose among what they give.

While a network is traced, the truth of a tensor is not known. A way is a list of answers to what is asked in turn.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from archab.engine.cpp.record import Untraceable

_TRUTH, _TEXT = Tensor.__bool__, Tensor.__repr__
MOST = 16  # ways through a network, and conditions on one

Way = tuple[bool, ...]


class Asked(list[Tensor]):
    """The conditions that were asked on one way, in turn; behind its answers the answer is no.

    Attributes:
        shown: whether a tensor was printed, or put into a text, which a program does not do.
    """

    def __init__(self, way: Way) -> None:
        super().__init__()
        self.way, self.shown = way, False

    @property
    def whole(self) -> Way:
        """The way with an answer to all that was asked on it."""
        return (*self.way, *[False] * (len(self) - len(self.way)))

    def answer(self, condition: Tensor) -> bool:
        """Whether a condition holds on this way."""
        self.append(condition.reshape(()) != 0)
        if len(self) > MOST:
            raise Untraceable(f"more than {MOST} conditions on data")
        return len(self) <= len(self.way) and self.way[len(self) - 1]


@contextmanager
def on(way: Way) -> Iterator[Asked]:
    """Within it, the truth of this thread's tensors is that of a way.

    Raises:
        Untraceable: at its end, where a tensor was shown.
    """
    asked, here = Asked(way), get_ident()

    def truth(tensor: Tensor) -> bool:
        return asked.answer(tensor) if get_ident() == here else _TRUTH(tensor)

    def text(tensor: Tensor, **contents: Any) -> str:
        if get_ident() != here:
            return _TEXT(tensor, **contents)
        asked.shown = True  # an exception would be lost in a logger
        return f"tensor of shape {tuple(tensor.shape)}"

    with patch.object(Tensor, "__bool__", truth), patch.object(Tensor, "__repr__", text):
        yield asked
    if asked.shown:
        raise Untraceable("it prints a tensor, or puts one into a text")


@contextmanager
def watched(networks: Sequence[nn.Module]) -> Iterator[set[Way]]:
    """Within it, the ways that calls of these networks take."""
    taken: set[Way] = set()
    answers: list[bool] = []
    inside, here = False, get_ident()

    def begin(*_: Any) -> None:
        nonlocal inside
        inside = True
        answers.clear()

    def end(*_: Any) -> None:
        nonlocal inside
        inside = False
        taken.add(tuple(answers))

    def answered(tensor: Tensor) -> bool:
        answer = _TRUTH(tensor)
        if inside and get_ident() == here:
            answers.append(answer)
        return answer

    hooks = [network.register_forward_pre_hook(begin) for network in networks]
    hooks += [network.register_forward_hook(end) for network in networks]
    try:
        with patch.object(Tensor, "__bool__", answered):
            yield taken
    finally:
        for hook in hooks:
            hook.remove()


def every(run: Callable[[Way], tuple[Any, list[Tensor]]]) -> tuple[Any, list[Way]]:
    """What a function gives whatever the data are, and the ways through it.

    Args:
        run: of a way to tensors, in any nest of lists and tuples, and the conditions that were asked on it.
    """
    ways: list[Way] = []

    def explored(start: Way) -> Any:
        result, conditions = run(start)
        way = (*start, *[False] * (len(conditions) - len(start)))
        ways.append(way)
        if len(ways) > MOST:
            raise Untraceable(f"more than {MOST} ways through conditions on data")
        for i in reversed(range(len(start), len(way))):
            holds = conditions[i]
            result = tree_map(lambda *both, holds=holds: torch.where(holds, *both), explored((*way[:i], True)), result)
        return result

    return explored(()), ways
