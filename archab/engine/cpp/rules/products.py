"""Rules for products of matrices and vectors, in tiles that stay in registers."""

import math
from dataclasses import replace
from typing import Any

from torch import fx

from archab.engine.cpp.kernels import A, Program, place, rule
from archab.engine.cpp.lanes import (
    Apply,
    Raw,
    Text,
    Value,
    View,
    contiguous,
)
from archab.engine.cpp.rules.reductions import reduced


@rule(A.mm.default, A.bmm.default)
def matmul(program: Program, node: fx.Node, x: Any, y: Any) -> View:
    a, b = program.stored(x, lanes=True), program.stored(y)
    out = program.fresh(node, a.dtype, True)
    multiply(program, a, b, out)
    return out


def multiply(program: Program, a: View, b: View, out: View) -> None:
    """The product of matrices into `out`; the second may be the same for all students, and for all of the first."""
    m, k, n = *a.shape[-2:], b.shape[-1]
    rows, columns = _tile(m, n)

    def body(text: Text, names: list[str]) -> list[str]:
        at = [
            f"{text.name(v.buffer)} + {place(replace(v, shape=v.shape[:-2], strides=v.strides[:-2]), inner)}"
            for v, inner in ((a, names), (b, names[len(names) + 2 - len(b.shape) :]), (out, names))
        ]
        strides = ", ".join(str(s) for v in (a, b, out) for s in v.strides[-2:])
        return [f"matmul<{rows}, {columns}, {m}, {n}, {k}, {strides}>({', '.join(at)});"]

    program.add(Raw(out.shape[:-2], (a, b, out), body, (m, n, k)), out)


def _tile(m: int, n: int) -> tuple[int, int]:
    """Rows and columns of a tile of at most 20 sums: that with the fewest loads a product, ends included."""

    def loads(i: int, j: int) -> float:
        return math.ceil(m / i) * math.ceil(n / j) * (i + j + 0.5)

    return min(((i, j) for i in range(1, 9) for j in range(1, 9) if i * j <= 20), key=lambda t: loads(*t))


@rule(A.mv.default)
def matrix_vector(program: Program, node: fx.Node, x: Any, y: Any) -> Value:
    a, b = program.stored(x), program.stored(y)
    return _contracted(program, node, a, b)


@rule(A.dot.default)
def dot(program: Program, node: fx.Node, x: Any, y: Any) -> Value:
    return _contracted(program, node, program.stored(x), program.stored(y))


def _contracted(program: Program, node: fx.Node, a: View, b: View) -> Value:
    both = Apply("(({0}) * ({1}))", (a, b), a.shape, contiguous(a.shape), a.dtype, a.lanes or b.lanes)
    return reduced(program, node, both, (len(a.shape) - 1,), "{{}}", "{a} + {x}", "{a}")
