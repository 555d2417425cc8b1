"""Noise by a counter: a hash of student, step, site and element, the same in every engine, chunk and order.

While students train, torch's random functions and its attention are replaced where Python finds them: in `torch`, in
the table behind `torch.nn.functional`, and among the methods of `Tensor`. A function of C++ that was imported by its
name, and what else draws inside of C++, are not reached: they stay torch's own, and the engine's check names them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from archab.networks import stand_ins
from archab.space.watching import Watching

_WORD = 0xFFFFFFFF
_SEEDED = ("get_rng_state", "set_rng_state", "manual_seed", "seed")
_TORCHS: dict[Any, dict[str, Any]] = {
    torch: {name: getattr(torch, name) for name in (*stand_ins.FUNCTIONS, *_SEEDED)},
    Tensor: {name: getattr(Tensor, name) for name in stand_ins.METHODS},
    F: {"scaled_dot_product_attention": F.scaled_dot_product_attention},
}


def _mix(x: Tensor) -> Tensor:
    """A bijection of 32-bit words with full avalanche (the constants of Wellons' lowbias32), in 64-bit arithmetic."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _WORD
    return x ^ (x >> 16)


def _add(key: Tensor, word: Tensor | int) -> Tensor:
    """The key that a further word makes of a key."""
    return _mix((key + word * 0x85EBCA6B + 0x27D4EB2F) & _WORD)


@contextmanager
def unfused() -> Iterator[None]:
    """Without the fused encoder of torch's evaluation mode: it has other rounding, and another answer where padded."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class Counter:
    """Replaces torch's random functions and its attention while it is entered.

    Args:
        student: see `of_student`.

    Attributes:
        step: index of the mini-batch.
        site: number of random calls so far in this step.
        reached: whether anything was called that stands in for a function of torch's.
    """

    def __init__(self, student: Tensor | None) -> None:
        self.step, self.site, self.reached = 0, 0, False
        self._seeded = False  # by the network itself, which then wants torch's own numbers
        self._before: list[tuple[Any, str, Any]] = []
        self.of_student(student)

    def of_student(self, student: Tensor | None) -> None:
        """Whose noise comes next: an integer of 63 bits that names its stream, shape () (batched under vmap).

        Nobody's, where it is None, as in evaluation: what draws is then torch's own.
        """
        self._student = student
        self._key: Tensor | None = None

    def next_step(self) -> None:
        """A new mini-batch: sites are counted from the start."""
        self.step, self.site, self._key = self.step + 1, 0, None

    def uniform(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Numbers in [0, 1) in multiples of 2^-24, a function of student, step, site and element alone.

        They are of the type of `like`, or float32 where that is coarser or holds other than real numbers.
        """
        self.site += 1
        return self._hashed(shape, torch.float64 if like.dtype == torch.float64 else torch.float32, like.device)

    def _hashed(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        student = self._student
        assert student is not None
        if self._key is None:
            first = _mix((student & _WORD) ^ 0x9E3779B9)
            self._key = _add(_add(first, student >> 32), self.step)
        key = _add(self._key, self.site)
        element = torch.arange(math.prod(shape), dtype=torch.int64, device=device).view(shape)
        # Two rounds: with one, masks of keys that differ in few bits are correlated.
        bits = _mix(_mix((element * 0x9E3779B1 & _WORD) ^ key) + key & _WORD)
        return (bits >> 8).to(dtype) * 2.0**-24

    def __enter__(self) -> "Counter":
        self._unfused = unfused()
        self._unfused.__enter__()
        for owner, name, function in self._replaced():
            self._before.append((owner, name, vars(owner).get(name)))
            setattr(owner, name, function)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._before:
            owner, name, before = self._before.pop()
            if before is None:  # found elsewhere: in a base class, or behind `torch._VF`
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._unfused.__exit__(kind, error, trace)

    def _replaced(self) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
        for name, stand_in in stand_ins.FUNCTIONS.items():
            function = self._drawing(stand_in, _TORCHS[torch][name])
            yield from ((owner, name, function) for owner in (torch, torch._VF))
        for name, stand_in in stand_ins.METHODS.items():
            yield Tensor, name, self._drawing(stand_in, _TORCHS[Tensor][name])
        yield F, "scaled_dot_product_attention", self._attention
        for name in _SEEDED:
            yield from ((owner, name, getattr(self, f"_{name}")) for owner in (torch, torch.random))

    def _drawing(self, stand_in: stand_ins.StandIn, torchs: Callable[..., Any]) -> Callable[..., Any]:
        """The stand-in, where the noise is the student's; torch's own where a call has a generator of its own."""

        def call(*arguments: Any, **named: Any) -> Any:
            if self._student is None or self._seeded:
                return torchs(*arguments, **named)
            given = {name: value for name, value in named.items() if value is not None}
            own = "generator" in given or "out" in given
            found: Any = NotImplemented if own else stand_in(self, *arguments, **given)
            if found is NotImplemented:
                return torchs(*arguments, **named)
            self.reached = True
            return found

        return call

    def _attention(self, *arguments: Any, **named: Any) -> Tensor:
        found: Any = stand_ins.attention(*arguments, **named)
        if found is NotImplemented:
            found = _TORCHS[F]["scaled_dot_product_attention"](*arguments, **named)
        self.reached = True
        return found

    # What is drawn again from a state that was kept (by a checkpoint) is the same; what a network seeds is torch's own

    def _get_rng_state(self) -> Tensor:
        state: Tensor = _TORCHS[torch]["get_rng_state"]()
        state.archab = self.site, self._seeded  # type: ignore[attr-defined]
        return state

    def _set_rng_state(self, state: Tensor) -> None:
        _TORCHS[torch]["set_rng_state"](state)
        self.site, self._seeded = getattr(state, "archab", (self.site, True))

    def _manual_seed(self, seed: int) -> torch.Generator:
        self._seeded = True
        generator: torch.Generator = _TORCHS[torch]["manual_seed"](seed)
        return generator

    def _seed(self) -> int:
        self._seeded = True
        return int(_TORCHS[torch]["seed"]())


class Drawn(Watching):
    """Names the random operations that run under it: those for which nothing stands in."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if draws(function, args, kwargs or {}):
            self.operations.append(str(function.overloadpacket))
        return function(*args, **(kwargs or {}))


def draws(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether an operation draws, as attention without dropout and what is not training do not."""
    if torch.Tag.nondeterministic_seeded not in operation.tags:
        return False
    named = [(argument.name, argument.default_value) for argument in operation._schema.arguments]
    given = {**dict(named), **dict(zip((name for name, _ in named), args, strict=False)), **kwargs}
    return given.get("dropout_p") != 0 and given.get("training") is not False and given.get("train") is not False
