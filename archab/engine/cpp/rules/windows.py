"""Rules for putting tensors together, padding, and writing into a part of one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, fx

from archab.engine.cpp.kernels import A, P, Program, rule
from archab.engine.cpp.lanes import (
    Literal,
    Value,
    View,
)


@rule(P.cat.default, A.cat.default)
def cat(program: Program, node: fx.Node, tensors: list[Any], dim: int = 0) -> View:
    out = program.fresh(node, node.meta["val"].dtype, True)
    start = 0
    for tensor in tensors:
        value = program.value(tensor, out.dtype)
        if 0 in value.shape:  # torch passes over an empty piece, of whatever shape
            continue
        size = value.shape[dim]
        program.write(value, _narrowed(out, dim, start, size))
        start += size
    return out


@rule(P.rev.default)
def flip(program: Program, node: fx.Node, x: Any, dims: list[int]) -> View:
    view, dims = program.stored(x), [d % len(x.shape) for d in dims]
    last = sum((view.shape[d] - 1) * view.strides[d] for d in dims)
    strides = tuple(-s if d in dims else s for d, s in enumerate(view.strides))
    out = program.fresh(node, view.dtype, view.lanes)
    program.write(replace(view, strides=strides, offset=view.offset + last), out)
    return out


@rule(A.constant_pad_nd.default)
def pad(program: Program, node: fx.Node, x: Any, ends: list[int], filled: float = 0) -> Value:
    value = program.value(x, node.meta["val"].dtype)
    if not any(ends):
        return program.pointwise(node, "{0}", value.dtype, value)
    out = program.fresh(node, value.dtype, value.lanes)
    program.write(Literal(filled, value.dtype, out.shape), out)
    inner, view = out, program.stored(value)
    for axis, (low, high) in enumerate(zip(ends[::2], ends[1::2], strict=True)):
        dim = len(value.shape) - 1 - axis
        length = value.shape[dim] + min(low, 0) + min(high, 0)
        inner, view = _narrowed(inner, dim, max(low, 0), length), _narrowed(view, dim, max(-low, 0), length)
    program.write(view, inner)
    return out


def _narrowed(view: View, dim: int, start: int, length: int) -> View:
    return view.through(lambda t: t.narrow(dim, start, length))


@rule(P.as_strided_scatter.default, A.as_strided_scatter.default)
def strided_scatter(
    program: Program, node: fx.Node, x: Any, source: Any, size: Any, stride: Any, offset: int | None = None
) -> View:
    seen = node.meta["val"]
    out = program.fresh(node, seen.dtype, True)
    program.write(program.value(x, seen.dtype), out)
    window = View(out.buffer, tuple(size), tuple(stride), offset or 0)
    program.write(program.stored(program.value(source, seen.dtype)), window)
    return out


@rule(A.slice_scatter.default)
def slice_scatter(
    program: Program,
    node: fx.Node,
    x: Any,
    source: Any,
    dim: int = 0,
    start: Any = None,
    end: Any = None,
    step: int = 1,
) -> View:
    return _written_into(
        program, node, x, source, lambda t: t[(slice(None),) * (dim % t.dim()) + (slice(start, end, step),)]
    )


@rule(A.select_scatter.default)
def select_scatter(program: Program, node: fx.Node, x: Any, source: Any, dim: int, index: int) -> View:
    return _written_into(program, node, x, source, lambda t: t.select(dim, index))


@rule(A.diagonal_scatter.default)
def diagonal_scatter(
    program: Program, node: fx.Node, x: Any, source: Any, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> View:
    return _written_into(program, node, x, source, lambda t: t.diagonal(offset, dim1, dim2))


@rule(A.slice_backward.default)
def slice_backward(
    program: Program, node: fx.Node, gradient: Any, sizes: list[int], dim: int, start: int, end: int, step: int
) -> View:
    zero = Literal(0, node.meta["val"].dtype, tuple(sizes))
    return slice_scatter(program, node, zero, gradient, dim, start, end, step)


@rule(A.select_backward.default)
def select_backward(program: Program, node: fx.Node, gradient: Any, sizes: list[int], dim: int, index: int) -> View:
    return select_scatter(program, node, Literal(0, node.meta["val"].dtype, tuple(sizes)), gradient, dim, index)


def _written_into(program: Program, node: fx.Node, x: Any, source: Any, window: Callable[[Tensor], Tensor]) -> View:
    """A copy of `x` with `source` written to a window of it."""
    dtype = node.meta["val"].dtype
    out = program.fresh(node, dtype, True)
    program.write(program.value(x, dtype), out)
    program.write(program.stored(program.value(source, dtype)), out.through(window))
    return out
