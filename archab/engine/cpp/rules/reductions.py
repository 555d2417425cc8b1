"""Rules for reductions, extremes and their places, and running sums."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from archab.engine.cpp.kernels import A, NoRule, P, Program, place, rule
from archab.engine.cpp.lanes import (
    Buffer,
    Raw,
    Reduce,
    Shape,
    Text,
    Value,
    View,
    contiguous,
    number,
)


def _dims(dims: Any, rank: int) -> tuple[int, ...]:
    if not rank or dims is None or (isinstance(dims, list | tuple) and not dims):
        return tuple(range(rank))
    return tuple(sorted(d % rank for d in ([dims] if isinstance(dims, int) else dims)))


def reduced(
    program: Program,
    node: fx.Node,
    x: Value,
    dims: tuple[int, ...],
    start: str,
    step: str,
    end: str,
    of: str = "{x}",
    mean: str = "",
) -> Value:
    seen = node.meta["val"]
    kept = tuple(size for d, size in enumerate(x.shape) if d not in dims)
    out = program.fresh(node, seen.dtype, x.lanes)
    flat = replace(out, shape=kept, strides=_without(out, x.shape, dims))
    if not x.lanes and not mean:
        raise NoRule("a reduction that no student changes")
    reduce = Reduce(x, dims, flat, start, step, end, of, mean)
    program.add(reduce, out)
    reduce.value = program.settled(x, reduce)
    return out


def _without(out: View, shape: Shape, dims: tuple[int, ...]) -> Shape:
    if len(out.shape) == len(shape):  # keepdim
        return tuple(s for d, s in enumerate(out.strides) if d not in dims)
    return out.strides


@rule(P.sum.default, A.sum.default, A.sum.dim_IntList)
def total(program: Program, node: fx.Node, x: Any, dims: Any = None, keepdim: bool = False, **_: Any) -> Value:
    dtype = node.meta["val"].dtype
    value = program.value(x, dtype)
    return reduced(program, node, value, _dims(dims, len(value.shape)), "{{}}", "{a} + {x}", "{a}")


@rule(P.prod.default)
def product(program: Program, node: fx.Node, x: Any, dims: Any = None, **_: Any) -> Value:
    value = program.value(x, node.meta["val"].dtype)
    return reduced(program, node, value, _dims(dims, len(value.shape)), "up<{X}>(1)", "{a} * {x}", "{a}")


@rule(P.amax.default, P.amin.default, A.max.default, A.min.default)
def extreme(program: Program, node: fx.Node, x: Any, dims: Any = None, **_: Any) -> Value:
    dtype = node.meta["val"].dtype
    if not dtype.is_floating_point:
        raise NoRule("the extreme of integers")
    start, function = ("-INFINITY", "max_") if node.target in (P.amax.default, A.max.default) else ("INFINITY", "min_")
    value = program.value(x, dtype)
    dims = _dims(dims, len(value.shape))
    return reduced(program, node, value, dims, f"up<{{X}}>({start})", f"{function}({{a}}, {{x}})", "{a}")


@rule(P.var.default)
def variance(program: Program, node: fx.Node, x: Any, dims: Any = None, correction: float = 1, **_: Any) -> Value:
    value = program.value(x, node.meta["val"].dtype)
    dims = _dims(dims, len(value.shape))
    n = math.prod(value.shape[d] for d in dims)
    if not isinstance(value, View):
        value = program.stored(value)
    left = f"{{a}} * {number(1 / (n - correction), value.dtype)}"
    mean = f"{{m}} * {number(1 / n, value.dtype)}"
    return reduced(program, node, value, dims, "{{}}", "{a} + {x}", left, "({x} - m) * ({x} - m)", mean)


@rule(A.any.dim, A.any.default, A.any.dims, A.all.default, A.all.dim)
def whether(program: Program, node: fx.Node, x: Any, dims: Any = None, keepdim: bool = False) -> Value:
    value = program.value(x, torch.bool)
    start, sign = ("{{}}", "|") if node.target in (A.any.dim, A.any.default, A.any.dims) else ("~{X}{{}}", "&")
    return reduced(program, node, value, _dims(dims, len(value.shape)), start, f"{{a}} {sign} {{x}}", "{a}")


@rule(A.max.dim, A.min.dim)
def extreme_and_where(program: Program, node: fx.Node, x: Any, dim: int, keepdim: bool = False) -> tuple[View, View]:
    return _extreme_and_where(program, program.stored(x, lanes=True), dim, node.target is A.max.dim, keepdim)


def _extreme_and_where(program: Program, view: View, dim: int, largest: bool, keepdim: bool) -> tuple[View, View]:
    """The first of the largest or smallest along an axis, and its index; NaN counts as extreme."""
    dim %= len(view.shape)
    start, sign = dropped(view, dim), ">" if largest else "<"
    best, where = (
        View(Buffer(dtype, True, math.prod(start.shape)), start.shape, contiguous(start.shape))
        for dtype in (view.dtype, torch.int64)
    )

    def body(text: Text, names: list[str]) -> list[str]:
        source, at = text.name(view.buffer), place(start, names)
        return [
            f"{text.type(view.dtype)} a = {source}[{at}]; Vec<long> w = {{}};",
            f"for (long k = 1; k < {view.shape[dim]}; k++) {{",
            f"{text.type(view.dtype)} x = {source}[{at} + k * {view.strides[dim]}];",
            f"Mask m = (mask(x {sign} a) | mask(x != x)) & mask(a == a);",
            "a = sel(m, x, a); w = sel(m, up<Vec<long>>(k), w); }",
            f"{text.name(best.buffer)}[{place(best, names)}] = a;",
            f"{text.name(where.buffer)}[{place(where, names)}] = w;",
        ]

    program.add(Raw(start.shape, (view, best, where), body), best, where)
    if not keepdim:
        return best, where
    return best.through(lambda t: t.unsqueeze(dim)), where.through(lambda t: t.unsqueeze(dim))


def dropped(view: View, dim: int) -> View:
    """A view at index 0 of an axis."""
    return replace(view, shape=_but(view.shape, dim), strides=_but(view.strides, dim))


def _but(sizes: Shape, dim: int) -> Shape:
    return sizes[:dim] + sizes[dim + 1 :]


@rule(A.argmax.default, A.argmin.default)
def place_of_extreme(program: Program, node: fx.Node, x: Any, dim: int | None = None, keepdim: bool = False) -> View:
    if dim is None:
        raise NoRule("the place of an extreme over all axes")
    return _extreme_and_where(program, program.stored(x, lanes=True), dim, node.target is A.argmax.default, keepdim)[1]


_RUNNING: dict[Any, str] = {
    A.cumsum.default: "a + x",
    A.cumprod.default: "k == 0 ? x : a * x",
    # Of what is larger, so that nothing overflows; two of -inf are -inf.
    A.logcumsumexp.default: "k == 0 ? x : added(a, x)",
}


@rule(*_RUNNING)
def cumulative(program: Program, node: fx.Node, x: Any, dim: int, **_: Any) -> View:
    view = program.stored(program.value(x, node.meta["val"].dtype), lanes=True)
    out = program.fresh(node, view.dtype, True)
    dim %= max(1, len(view.shape))

    def body(text: Text, names: list[str]) -> list[str]:
        here = [*names[:dim], "k", *names[dim:]]
        kind = text.type(view.dtype)
        return [
            f"{kind} a = {{}};",
            f"for (long k = 0; k < {view.shape[dim]}; k++) {{",
            f"{kind} x = {text.name(view.buffer)}[{place(view, here)}];",
            f"{text.name(out.buffer)}[{place(out, here)}] = a = {_RUNNING[node.target]}; }}",
        ]

    program.add(Raw(_but(view.shape, dim), (view, out), body), out)
    return out


@rule(A.cummax.default, A.cummin.default)
def running_extreme(program: Program, node: fx.Node, x: Any, dim: int) -> tuple[View, View]:
    """The largest or smallest so far, and the index of its last appearance."""
    view = program.stored(x, lanes=True)
    dim, sign = dim % max(1, len(view.shape)), ">=" if node.target is A.cummax.default else "<="
    best, where = program.fresh_each(node)

    def body(text: Text, names: list[str]) -> list[str]:
        here = [*names[:dim], "k", *names[dim:]]
        return [
            f"{text.type(view.dtype)} a = {{}}; Vec<long> w = {{}};",
            f"for (long k = 0; k < {view.shape[dim]}; k++) {{",
            f"{text.type(view.dtype)} x = {text.name(view.buffer)}[{place(view, here)}];",
            f"Mask m = k == 0 ? ~Mask{{}} : (mask(x {sign} a) & mask(a == a)) | mask(x != x);",
            "a = sel(m, x, a); w = sel(m, up<Vec<long>>(k), w);",
            f"{text.name(best.buffer)}[{place(best, here)}] = a;",
            f"{text.name(where.buffer)}[{place(where, here)}] = w; }}",
        ]

    program.add(Raw(_but(view.shape, dim), (view, best, where), body), best, where)
    return best, where
