"""Rules for reading and writing by index, which may differ between students."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from archab.engine.cpp.kernels import A, NoRule, Program, place, rule
from archab.engine.cpp.lanes import (
    Raw,
    Text,
    Value,
    View,
)


@rule(A.index.Tensor, A._unsafe_index.Tensor)
def index(program: Program, node: fx.Node, x: Any, indices: list[Any]) -> View:
    view = program.stored(x, lanes=True)
    out = program.fresh(node, view.dtype, True)
    _index(program, view, indices, out, "{out} = {x};")
    return out


@rule(A.index_put.default, A._unsafe_index_put.default)
def index_put(
    program: Program, node: fx.Node, x: Any, indices: list[Any], values: Any, accumulate: bool = False
) -> Value:
    seen = node.meta["val"]
    if (masked := _masked(program, node, x, indices, values, accumulate)) is not None:
        return masked
    out = program.fresh(node, seen.dtype, True)
    program.write(program.value(x, seen.dtype), out)
    value = program.stored(program.value(values, seen.dtype), lanes=True)
    _index(program, out, indices, value, "{x} += {out};" if accumulate else "{x} = {out};")
    return out


def _masked(program: Program, node: fx.Node, x: Any, indices: list[Any], values: Any, accumulate: bool) -> Value | None:
    """One number written wherever a mask says so; None where there is no mask."""
    at = [d for d, i in enumerate(indices) if i is not None]
    if len(at) != 1 or indices[at[0]].dtype != torch.bool or math.prod(values.shape) != 1:
        return None
    dtype, shape = node.meta["val"].dtype, tuple(node.meta["val"].shape)
    mask, after = indices[at[0]], len(shape) - at[0] - len(indices[at[0]].shape)
    mask = program.stored(mask).through(lambda t: t.reshape(*t.shape, *[1] * after).expand(shape))
    number = program.stored(program.value(values, dtype)).through(lambda t: t.reshape(()))
    whole = program.value(x, dtype)
    text = "sel({0}, ({2}) + ({1}), {2})" if accumulate else "sel({0}, {1}, {2})"
    return program.pointwise(node, text, dtype, mask, number, whole)


def _index(program: Program, view: View, indices: list[Any], other: View, assign: str) -> None:
    """For every element of torch's `view[indices]`, assign between it, {x}, and that of `other`, {out}."""
    at = [d for d, i in enumerate(indices) if i is not None]
    places = [program.stored(program.value(indices[d], torch.int64)) for d in at]
    if any(i is not None and i.dtype == torch.bool for i in indices):
        raise NoRule("an index by a mask")
    common = tuple(torch.broadcast_shapes(*(p.shape for p in places)))
    rest = [d for d in range(len(view.shape)) if d not in at]
    first = at[0] if at[-1] - at[0] + 1 == len(at) else 0
    before, after = rest[:first], rest[first:]
    shape = (*(view.shape[d] for d in before), *common, *(view.shape[d] for d in after))
    other = other.expanded(shape)
    middle = slice(len(before), len(before) + len(common))

    def body(text: Text, names: list[str]) -> list[str]:
        outer = [*names[: middle.start], *names[middle.stop :]]
        start = " + ".join([str(view.offset), *(f"{n} * {view.strides[d]}" for n, d in zip(outer, rest, strict=True))])
        lines = [f"for (int l = 0; l < LANES; l++) {{ long j = {start};"]
        for dim, where in zip(at, places, strict=True):
            here = f"{text.name(where.buffer)}[{place(where.expanded(common), names[middle])}]"
            here = f"LANE({here})" if where.lanes else here
            lines.append(f"j += wrap({here}, {view.shape[dim]}, outside) * {view.strides[dim]};")
        x, out = f"LANE({text.name(view.buffer)}[j])", f"LANE({text.name(other.buffer)}[{place(other, names)}])"
        return [*lines, assign.format(x=x, out=out), "}"]

    written = other if assign.startswith("{out}") else view
    program.add(Raw(shape, (view, other, *places), body), written)


@rule(A.gather.default)
def gather(program: Program, node: fx.Node, x: Any, dim: int, index: Any, **_: Any) -> View:
    view = program.stored(x, lanes=True)
    out = program.fresh(node, view.dtype, True)
    _along(program, view, dim, index, out, "{out} = {x};", out)
    return out


@rule(A.scatter_add.default, A.scatter.src)
def scatter(program: Program, node: fx.Node, x: Any, dim: int, index: Any, source: Any) -> View:
    seen = node.meta["val"]
    out = program.fresh(node, seen.dtype, True)
    program.write(program.value(x, seen.dtype), out)
    value = program.stored(program.value(source, seen.dtype), lanes=True)
    _along(
        program,
        out,
        dim,
        index,
        value,
        "{x} += {out};" if node.target is A.scatter_add.default else "{x} = {out};",
        out,
    )
    return out


@rule(A.scatter_reduce.two)
def scatter_extreme(
    program: Program,
    node: fx.Node,
    x: Any,
    dim: int,
    index: Any,
    source: Any,
    reduce: str,
    *,
    include_self: bool = True,
) -> View:
    if reduce not in ("amax", "amin") or not include_self:
        raise NoRule(f"scatter_reduce by {reduce}")
    dtype = node.meta["val"].dtype
    out = program.fresh(node, dtype, True)
    program.write(program.value(x, dtype), out)
    value = program.stored(program.value(source, dtype), lanes=True)
    _along(program, out, dim, index, value, f"{{x}} = {reduce[1:]}_({{x}}, {{out}});", out)
    return out


def _along(program: Program, view: View, dim: int, index: Any, other: View, assign: str, written: View) -> None:
    places = program.stored(program.value(index, torch.int64))
    dim %= max(1, len(view.shape))
    fixed = replace(view, strides=tuple(0 if d == dim else s for d, s in enumerate(view.strides)))

    def body(text: Text, names: list[str]) -> list[str]:
        here = f"{text.name(places.buffer)}[{place(places, names)}]"
        at = f"wrap({f'LANE({here})' if places.lanes else here}, {view.shape[dim]}, outside)"
        x, out = f"LANE({text.name(view.buffer)}[j])", f"LANE({text.name(other.buffer)}[{place(other, names)}])"
        start = f"long j = {place(fixed, names)} + {at} * {view.strides[dim]};"
        return [f"for (int l = 0; l < LANES; l++) {{ {start}", assign.format(x=x, out=out), "}"]

    program.add(Raw(places.shape, (view, other, places), body), written)
