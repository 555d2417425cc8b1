"""Rules for sorting, the first of an order, and places in a sorted table."""

from dataclasses import replace
from typing import Any

import torch
from torch import fx

from archab.engine.cpp.kernels import A, NoRule, Program, place, rule
from archab.engine.cpp.lanes import C, Raw, Text, View
from archab.engine.cpp.rules.reductions import dropped

LONGEST = 1024  # numbers that are sorted by insertion


@rule(A.sort.default)
def sort(program: Program, node: fx.Node, x: Any, dim: int = -1, descending: bool = False) -> tuple[View, View]:
    return _ordered(program, node, x, dim, descending)


@rule(A.sort.stable)
def stable_sort(
    program: Program, node: fx.Node, x: Any, *, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[View, View]:
    return _ordered(program, node, x, dim, descending)


@rule(A.topk.default)
def topk(
    program: Program, node: fx.Node, x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[View, View]:
    return _ordered(program, node, x, dim, largest)


@rule(A.kthvalue.default)
def kth_value(
    program: Program, node: fx.Node, x: Any, k: int, dim: int = -1, keepdim: bool = False
) -> tuple[View, View]:
    return _one_of_order(program, node, x, k - 1, dim, keepdim)


@rule(A.median.dim)
def median(program: Program, node: fx.Node, x: Any, dim: int = -1, keepdim: bool = False) -> tuple[View, View]:
    return _one_of_order(program, node, x, (x.shape[dim] - 1) // 2, dim, keepdim)


def _one_of_order(program: Program, node: fx.Node, x: Any, k: int, dim: int, keepdim: bool) -> tuple[View, View]:
    outs = program.fresh_each(node)
    shown = outs if keepdim or not x.shape else [out.through(lambda t: t.unsqueeze(dim)) for out in outs]
    _in_order(program, program.stored(x, lanes=True), dim, False, k, shown)
    return outs[0], outs[1]


def _ordered(program: Program, node: fx.Node, x: Any, dim: int, descending: bool) -> tuple[View, View]:
    values, places = program.fresh_each(node)
    _in_order(program, program.stored(x, lanes=True), dim, descending, 0, [values, places])
    return values, places


def _in_order(program: Program, view: View, dim: int, descending: bool, first: int, outs: list[View]) -> None:
    """What an order has along an axis from its place `first` on, and their indices, as many as there is room for."""
    if not view.shape:  # a number alone
        view, *outs = (replace(v, shape=(1,), strides=(1,)) for v in (view, *outs))
    dim %= len(view.shape)
    if view.shape[dim] > LONGEST:
        raise NoRule(f"sorting of {view.shape[dim]:,} numbers")
    starts = [dropped(v, dim) for v in (view, *outs)]

    def body(text: Text, names: list[str]) -> list[str]:
        source, value, index = (
            f"({text.name(v.buffer)} + {place(start, names)})" for v, start in zip((view, *outs), starts, strict=True)
        )
        to = [f"LANE({at}[(k - {first}) * {out.strides[dim]}])" for at, out in zip((value, index), outs, strict=True)]
        kind = C[view.dtype]
        return [
            f"for (int l = 0; l < LANES; l++) ordered<{view.shape[dim]}, {first + outs[0].shape[dim]}, {kind}>(",
            f"{str(descending).lower()}, [&](long k) {{ return LANE({source}[k * {view.strides[dim]}]); }},",
            f"[&](long k, {kind} x, long at) {{ if (k >= {first}) {{ {to[0]} = x; {to[1]} = at; }} }});",
        ]

    program.add(Raw(starts[0].shape, (view, *outs), body), *outs)


@rule(A.searchsorted.Tensor, A.bucketize.Tensor)
def search(
    program: Program, node: fx.Node, one: Any, other: Any, *, right: bool = False, side: Any = None, **_: Any
) -> View:
    """How many of a sorted table are below (or, from the right, at most) each value, above all of which is NaN."""
    table, values = (one, other) if node.target is A.searchsorted.Tensor else (other, one)
    dtype = torch.promote_types(table.dtype, values.dtype)
    table, values = (program.stored(program.value(v, dtype), lanes=True) for v in (table, values))
    out = program.fresh(node, node.meta["val"].dtype, True)
    rows = len(table.shape) > 1
    sign = ">" if right or side == "right" else ">="

    def body(text: Text, names: list[str]) -> list[str]:
        row = replace(table, shape=table.shape[:-1], strides=table.strides[:-1])
        start = place(row, names[:-1]) if rows else str(table.offset)
        each, kind = f"{text.name(table.buffer)}[{start} + k * {table.strides[-1]}]", text.type(out.dtype)
        return [
            f"{text.type(dtype)} x = {text.name(values.buffer)}[{place(values, names)}]; {kind} a = {{}};",
            f"for (long k = 0; k < {table.shape[-1]}; k++) a -= to<{kind}>(~mask({each} {sign} x));",
            f"{text.name(out.buffer)}[{place(out, names)}] = a;",
        ]

    program.add(Raw(values.shape, (table, values, out), body), out)
    return out
