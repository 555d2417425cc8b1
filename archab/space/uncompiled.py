"""Torch's functions that import its compiler, over a second, to be kept from it: in vain, where nothing is compiled."""

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from types import FunctionType
from typing import Any

import torch

_KEPT = torch._compile._disable_dynamo(lambda: None).__code__  # of what torch wraps such a function in
_MARK = "__dynamo_disable"  # where that keeps what it calls in the end
_entered: Counter[Any] = Counter()
_alone = Lock()


def kept(functions: Iterable[Any]) -> list[Any]:
    """Those functions inside of these that torch keeps from being compiled."""
    found, seen, waiting = [], set[Any](), list(functions)
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        held = inspect.getclosurevars(function).nonlocals
        if function.__code__ is _KEPT:
            found.append(held["fn"])
        waiting += [getattr(function, "__wrapped__", None), *held.values()]
    return found


@contextmanager
def uncompiled(functions: list[Any]) -> Iterator[None]:
    """Within it, these (of `kept`) are called as they are; afterwards torch's compiler would find them as before."""
    with _alone:
        _entered.update(functions)
        for function in functions:
            vars(function).setdefault(_MARK, function)
    try:
        yield
    finally:
        with _alone:
            _entered.subtract(functions)
            for function in functions:
                if not _entered[function] and vars(function).get(_MARK) is function:
                    delattr(function, _MARK)
