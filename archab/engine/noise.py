"""Dropout by a counter: masks are a hash of student, step, site and element, the same in every engine, chunk and order.

While students train, torch's dropouts and its attention are replaced in `torch.nn.functional`, where torch's own layers
look them up. Code that imported one of them by name, and the dropout inside LSTM and GRU, are not reached; the engine's
check finds the random operation that is left.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

_WORD = 0xFFFFFFFF


def _mix(x: Tensor) -> Tensor:
    """A bijection of 32-bit words with full avalanche (the constants of Wellons' lowbias32), in 64-bit arithmetic."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _WORD
    return x ^ (x >> 16)


def _add(key: Tensor, word: Tensor | int) -> Tensor:
    """The key that a further word makes of a key."""
    return _mix((key + word * 0x85EBCA6B + 0x27D4EB2F) & _WORD)


class Counter:
    """Replaces torch's random layers while it is entered.

    Args:
        student: see `of_student`.

    Attributes:
        step: index of the mini-batch.
        site: number of random calls so far in this step.
    """

    def __init__(self, student: Tensor) -> None:
        self.step, self.site = 0, 0
        self._entered = ExitStack()
        self.of_student(student)

    def of_student(self, student: Tensor) -> None:
        """Whose noise comes next: an integer of 63 bits that names its stream, shape () (batched under vmap)."""
        self._student = student
        self._key: Tensor | None = None

    def next_step(self) -> None:
        """A new mini-batch: sites are counted from the start."""
        self.step, self.site, self._key = self.step + 1, 0, None

    def uniform(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Numbers in [0, 1) in multiples of 2^-24, a function of student, step, site and element alone."""
        self.site += 1
        if self._key is None:
            first = _mix((self._student & _WORD) ^ 0x9E3779B9)
            self._key = _add(_add(first, self._student >> 32), self.step)
        key = _add(self._key, self.site)
        element = torch.arange(math.prod(shape), dtype=torch.int64, device=like.device).view(shape)
        # Two rounds: with one, masks of keys that differ in few bits are correlated.
        bits = _mix(_mix((element * 0x9E3779B1 & _WORD) ^ key) + key & _WORD)
        return (bits >> 8).to(like.dtype if like.is_floating_point() else torch.float32) * 2.0**-24

    def keep(self, shape: tuple[int, ...], like: Tensor, p: float) -> Tensor:
        """A mask that is 1 with probability 1 − p and else 0."""
        return (self.uniform(shape, like) >= p).to(like.dtype)

    def dropout(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """`F.dropout`."""
        return self._drop(input, input.shape, p, training)

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """`F.scaled_dot_product_attention`, spelled out."""
        if enable_gqa:
            repeat = query.shape[-3] // key.shape[-3]
            key, value = key.repeat_interleave(repeat, -3), value.repeat_interleave(repeat, -3)
        weight = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(weight.shape[-2:], dtype=torch.bool, device=query.device).tril()
        if attn_mask is not None:
            minus_infinity = torch.zeros((), dtype=weight.dtype, device=weight.device) - math.inf
            shift = torch.where(attn_mask, 0.0, minus_infinity) if attn_mask.dtype == torch.bool else attn_mask
            weight = weight + shift
        return self.dropout(weight.softmax(-1), dropout_p) @ value

    def _feature(self, unbatched: int) -> Callable[..., Tensor]:
        """A dropout of whole channels; an input of `unbatched` dimensions has no batch axis."""

        def drop(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
            leading = 1 if input.dim() == unbatched else 2
            return self._drop(input, input.shape[:leading] + (1,) * (input.dim() - leading), p, training)

        return drop

    def _drop(self, input: Tensor, mask: tuple[int, ...], p: float, training: bool) -> Tensor:
        if not training or p == 0:
            return input
        return input * (self.keep(mask, input, p) / (1 - p) if p < 1 else 0.0)

    def __enter__(self) -> "Counter":
        replaced: dict[str, Any] = {
            "dropout": self.dropout,
            "dropout1d": self._feature(2),
            "dropout2d": self._feature(-1),
            "dropout3d": self._feature(4),
            "scaled_dot_product_attention": self.attention,
        }
        self._entered.enter_context(patch.multiple(F, **replaced))
        # The fused encoder of torch's evaluation mode has no batching rule and other rounding.
        fast = torch.backends.mha.get_fastpath_enabled()
        self._entered.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.close()
