"""Rules for complex numbers, as pairs of real ones, and for Fourier transforms, as products with tables of waves."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from archab.engine.cpp.kernels import COMPLEX, RULES, A, NoRule, P, Program, rule
from archab.engine.cpp.lanes import Buffer, Literal, Pair, Value, View, contiguous
from archab.engine.cpp.rules.products import multiply

LONGEST = 128  # numbers of a transform: its table has as many in a square


class _Part:
    """A node of the graph as its real or its imaginary part sees it: of real numbers."""

    def __init__(self, node: fx.Node) -> None:
        self.target, self.users = node.target, node.users
        seen = node.meta["val"]
        memory = torch.empty(0, dtype=seen.dtype.to_real(), device="meta")
        place = tuple(seen.shape), tuple(seen.stride()), int(seen.storage_offset())
        self.meta = {"val": memory.as_strided(*place)}


def _pair(program: Program, given: Any, dtype: torch.dtype) -> Pair:
    """A value as a pair of parts of this real type."""
    if isinstance(given, Pair):
        return Pair(program.value(given.re, dtype), program.value(given.im, dtype))
    if isinstance(given, Tensor) and given.is_complex():
        given = given.resolve_conj()
        return Pair(program.value(given.real.contiguous(), dtype), program.value(given.imag.contiguous(), dtype))
    if isinstance(given, complex):
        return Pair(Literal(given.real, dtype), Literal(given.imag, dtype))
    value = program.value(given, dtype)
    return Pair(value, Literal(0.0, dtype, value.shape))


def _real(node: fx.Node) -> torch.dtype:
    return node.meta["val"].dtype.to_real()


def _is_real(given: Any) -> bool:
    return not isinstance(given, Pair | complex) and not (isinstance(given, Tensor) and given.is_complex())


def _zero(value: Value) -> bool:
    return isinstance(value, Literal) and value.value == 0


# What is linear over real numbers is done to each part.
_LINEAR = [
    *(A.add.Tensor, A.sub.Tensor, A.neg.default, A.sum.default, A.sum.dim_IntList, P.sum.default, P.neg.default),
    *(A.cat.default, P.cat.default, A.clone.default, A.alias.default, A.detach.default, A.copy.default),
    *(A.constant_pad_nd.default, A.where.self, P.where.default, P.rev.default, A.cumsum.default),
    *(A.index.Tensor, A._unsafe_index.Tensor, A.index_put.default, A._unsafe_index_put.default, A.gather.default),
    *(A.scatter_add.default, A.scatter.src, A.slice_scatter.default, A.select_scatter.default),
    *(A.slice_backward.default, A.select_backward.default, A.as_strided_scatter.default, P.as_strided_scatter.default),
]


@rule(*_LINEAR, P.convert_element_type.default, A._to_copy.default, table=COMPLEX)
def linear(program: Program, node: fx.Node, *arguments: Any, **named: Any) -> Pair:
    part, dtype = _Part(node), _real(node)
    condition = arguments[:1] if node.target in (A.where.self, P.where.default) else ()

    def split(given: Any) -> tuple[Any, Any]:
        if isinstance(given, list | tuple) and any(isinstance(g, Pair | Tensor | View) for g in given):
            pairs = [split(g) for g in given]
            return [one for one, _ in pairs], [other for _, other in pairs]
        if given is None or isinstance(given, bool | int | torch.dtype | str | list | tuple):
            return given, given
        if not isinstance(given, complex | float | Pair) and not given.dtype.is_floating_point and _is_real(given):
            return given, given  # an index
        pair = _pair(program, given, dtype)
        return pair.re, pair.im

    rest = arguments[len(condition) :]
    if node.target in (A.add.Tensor, A.sub.Tensor):
        if not isinstance(named.get("alpha", 1), int | float):
            raise NoRule("a complex alpha")
        pairs = [_pair(program, given, dtype) for given in rest]
        one, other = [p.re for p in pairs], [p.im for p in pairs]
    else:
        split_ = [split(given) for given in rest]
        one, other = [s[0] for s in split_], [s[1] for s in split_]
    operate = RULES[node.target]
    return Pair(operate(program, part, *condition, *one, **named), operate(program, part, *condition, *other, **named))


@rule(A._conj.default, A.conj_physical.default, A.resolve_conj.default, table=COMPLEX)
def conjugate(program: Program, node: fx.Node, x: Pair) -> Pair:
    if node.target is A.resolve_conj.default:
        return x
    part: Any = _Part(node)
    return Pair(program.pointwise(part, "{0}", x.re.dtype, x.re), program.pointwise(part, "(-({0}))", x.re.dtype, x.im))


@rule(A.mul.Tensor, A.mul.Scalar, P.mul.default, table=COMPLEX)
def multiplied(program: Program, node: fx.Node, x: Any, y: Any) -> Pair:
    a, b = (_pair(program, v, _real(node)) for v in (x, y))
    return _of_four(program, node, a, b, "({0}) * ({2}) - ({1}) * ({3})", "({0}) * ({3}) + ({1}) * ({2})", "{0} * {1}")


@rule(A.div.Tensor, A.div.Scalar, P.div.default, table=COMPLEX)
def divided(program: Program, node: fx.Node, x: Any, y: Any) -> Pair:
    a, b = (_pair(program, v, _real(node)) for v in (x, y))
    size = "(({2}) * ({2}) + ({3}) * ({3}))"
    re, im = f"(({{0}}) * ({{2}}) + ({{1}}) * ({{3}})) / {size}", f"(({{1}}) * ({{2}}) - ({{0}}) * ({{3}})) / {size}"
    return _of_four(program, node, a, b, re, im, "{0} / {1}")


@rule(A.reciprocal.default, table=COMPLEX)
def reciprocal(program: Program, node: fx.Node, x: Pair) -> Pair:
    return divided(program, node, 1.0, x)


def _of_four(program: Program, node: fx.Node, a: Pair, b: Pair, re: str, im: str, plain: str) -> Pair:
    """A pointwise operation of two complex numbers, `plain` where the second is real."""
    part: Any = _Part(node)
    dtype = _real(node)
    if _zero(b.im):
        plain = "(" + plain.replace("{0}", "({0})").replace("{1}", "({1})") + ")"
        return Pair(*(program.pointwise(part, plain, dtype, value, b.re) for value in (a.re, a.im)))
    return Pair(*(program.pointwise(part, f"({text})", dtype, a.re, a.im, b.re, b.im) for text in (re, im)))


_POINTWISE: dict[Any, tuple[str, str]] = {
    A.exp.default: ("exp_({0}) * cos_({1})", "exp_({0}) * sin_({1})"),
    A.sgn.default: ("unit_({0}, {1})", "unit_({1}, {0})"),
    A.log.default: ("log_(hypot_({0}, {1}))", "atan2_({1}, {0})"),
}


@rule(*_POINTWISE, table=COMPLEX)
def pointwise(program: Program, node: fx.Node, x: Pair) -> Pair:
    part: Any = _Part(node)
    texts = [t.replace("{0}", "({0})").replace("{1}", "({1})") for t in _POINTWISE[node.target]]
    return Pair(*(program.pointwise(part, f"({text})", x.re.dtype, x.re, x.im) for text in texts))


@rule(A.abs.default, P.abs.default, A.angle.default, table=COMPLEX)
def polar_part(program: Program, node: fx.Node, x: Pair) -> Value:
    text = "atan2_({1}, {0})" if node.target is A.angle.default else "hypot_({0}, {1})"
    return program.pointwise(node, text, x.re.dtype, x.re, x.im)


@rule(A.eq.Tensor, A.eq.Scalar, A.ne.Tensor, A.ne.Scalar, table=COMPLEX)
def compare(program: Program, node: fx.Node, x: Any, y: Any) -> Value:
    dtype = next(v for v in (x, y) if isinstance(v, Pair)).re.dtype
    a, b = (_pair(program, v, dtype) for v in (x, y))
    same = "(mask(({0}) == ({2})) & mask(({1}) == ({3})))"
    text = same if node.target in (A.eq.Tensor, A.eq.Scalar) else f"(~{same})"
    return program.pointwise(node, text, torch.bool, a.re, a.im, b.re, b.im)


@rule(A.complex.default, A.polar.default, table=COMPLEX)
def of_parts(program: Program, node: fx.Node, x: Any, y: Any) -> Pair:
    part: Any = _Part(node)
    dtype = _real(node)
    one, other = program.value(x, dtype), program.value(y, dtype)
    texts = ("{0}", "{1}") if node.target is A.complex.default else ("(({0}) * cos_({1}))", "(({0}) * sin_({1}))")
    return Pair(*(program.pointwise(part, text, dtype, one, other) for text in texts))


@rule(A.mm.default, A.bmm.default, table=COMPLEX)
def matmul(program: Program, node: fx.Node, x: Any, y: Any) -> Pair:
    part: Any = _Part(node)
    a, b = (_pair(program, v, _real(node)) for v in (x, y))

    def product(one: Value, other: Value) -> Value | None:
        if _zero(one) or _zero(other):
            return None
        found: Value = RULES[node.target](program, part, one, other)
        return found

    def together(one: Value | None, other: Value | None, sign: str) -> Value:
        if one is None or other is None:
            alone = one if other is None else other
            if alone is None:
                return Literal(0.0, _real(node), tuple(node.meta["val"].shape))
            return alone if sign == "+" or other is None else program.pointwise(part, "(-({0}))", alone.dtype, alone)
        return program.pointwise(part, f"(({{0}}) {sign} ({{1}}))", one.dtype, one, other)

    re = together(product(a.re, b.re), product(a.im, b.im), "-")
    return Pair(re, together(product(a.re, b.im), product(a.im, b.re), "+"))


@rule(A.view_as_real.default, table=COMPLEX)
def as_real(program: Program, node: fx.Node, x: Pair) -> View:
    out = program.fresh(node, x.re.dtype, True)
    for k, part in enumerate((x.re, x.im)):
        program.write(program.settled(part, None), out.through(partial(torch.select, dim=-1, index=k)))
    return out


@rule(A.view_as_complex.default, table=COMPLEX)
def as_complex(program: Program, node: fx.Node, x: Any) -> Pair:
    part: Any = _Part(node)
    view = program.stored(x)
    halves = (view.through(partial(torch.select, dim=-1, index=k)) for k in (0, 1))
    return Pair(*(program.pointwise(part, "{0}", view.dtype, half) for half in halves))


@rule(A._fft_r2c.default, table=COMPLEX)
def from_real(program: Program, node: fx.Node, x: Any, dims: list[int], normal: int, onesided: bool) -> Pair:
    value = program.stored(program.value(x, _real(node)), lanes=True)
    *others, last = dims
    n = value.shape[last]
    found = _transformed(program, value, None, last, n // 2 + 1 if onesided else n, True)
    return _shaped(program, node, _along(program, found, others, True), _scale(normal, value.shape, dims))


@rule(A._fft_c2c.default, table=COMPLEX)
def between_complex(program: Program, node: fx.Node, x: Any, dims: list[int], normal: int, forward: bool) -> Pair:
    pair = _stored(program, _pair(program, x, _real(node)))
    return _shaped(program, node, _along(program, pair, dims, forward), _scale(normal, pair.shape, dims))


@rule(A._fft_c2r.default, table=COMPLEX)
def to_real(program: Program, node: fx.Node, x: Any, dims: list[int], normal: int, size: int) -> Value:
    *others, last = dims
    pair = _along(program, _stored(program, _pair(program, x, node.meta["val"].dtype)), others, False)
    kept, last = pair.shape[last], last % len(pair.shape)
    # Each wave but the constant and, of even sizes, the shortest stands for its conjugate, too.
    twice = torch.tensor([1.0 if k == 0 or 2 * k == size else 2.0 for k in range(kept)], dtype=torch.float64)
    angles = 2 * math.pi / size * torch.outer(torch.arange(kept), torch.arange(size)).double()
    cosines, sines = (program.stored(_table(program, twice[:, None] * t, pair)) for t in (angles.cos(), -angles.sin()))
    re, im = (_product(program, part, last, table) for part, table in ((pair.re, cosines), (pair.im, sines)))
    scale = _scale(normal, tuple(node.meta["val"].shape), dims)
    return program.pointwise(node, "((({0}) + ({1})) * {2})", re.dtype, re, im, Literal(scale, re.dtype))


def _stored(program: Program, pair: Pair) -> Pair:
    return Pair(program.stored(pair.re, lanes=True), program.stored(pair.im, lanes=True))


def _along(program: Program, pair: Pair, dims: list[int], forward: bool) -> Pair:
    for dim in dims:
        pair = _transformed(program, pair.re, pair.im, dim, pair.shape[dim], forward)
    return pair


def _transformed(program: Program, re: Any, im: Any, dim: int, kept: int, forward: bool) -> Pair:
    """The transform along one axis, of as many frequencies as are kept; without a scale."""
    n, dim = re.shape[dim], dim % len(re.shape)
    angles = 2 * math.pi / n * (torch.outer(torch.arange(n), torch.arange(kept)) % n).double()
    pair = Pair(re, re)
    cosines, sines = (_table(program, t, pair) for t in (angles.cos(), (-1 if forward else 1) * angles.sin()))
    whole = [_product(program, re, dim, table) for table in (cosines, sines)]
    if im is None:
        return Pair(*whole)
    across = [_product(program, im, dim, table) for table in (cosines, sines)]
    texts = ("(({0}) - ({1}))", whole[0], across[1]), ("(({0}) + ({1}))", whole[1], across[0])
    parts = []
    for text, one, other in texts:
        part: Any = _Shaped(one)
        parts.append(program.stored(program.pointwise(part, text, one.dtype, one, other)))
    return Pair(*parts)


class _Shaped:
    """A node that no graph has: of a value's shape, read more than once."""

    def __init__(self, like: View) -> None:
        self.users = (None, None)
        self.meta = {"val": torch.empty(like.shape, dtype=like.dtype, device="meta")}


def _table(program: Program, numbers: Tensor, like: Pair) -> View:
    if max(numbers.shape) > LONGEST:
        raise NoRule(f"a Fourier transform of {max(numbers.shape)} numbers")
    return program.stored(numbers.to(like.re.dtype))


def _product(program: Program, value: Any, dim: int, table: View) -> View:
    """A value times a matrix along one of its axes."""
    if len(table.shape) == 0:  # a table of one number
        table = replace(table, shape=(1, 1), strides=(0, 0))
    view = program.stored(value, lanes=True)
    moved = view.through(lambda t: t.movedim(dim, -1))
    rows = moved if len(moved.shape) > 1 else moved.through(lambda t: t.unsqueeze(0))
    shape = (*moved.shape[:-1], table.shape[-1])
    out = View(Buffer(view.dtype, True, math.prod(shape)), shape, contiguous(shape))
    multiply(program, rows, table, out if len(shape) > 1 else out.through(lambda t: t.unsqueeze(0)))
    return out.through(lambda t: t.movedim(-1, dim))


def _scale(normal: int, shape: tuple[int, ...], dims: list[int]) -> float:
    n = math.prod(shape[d] for d in dims)
    return (1.0, n**-0.5, 1 / n)[normal]


def _shaped(program: Program, node: fx.Node, pair: Pair, scale: float) -> Pair:
    part: Any = _Part(node)
    values = (pair.re, pair.im)
    return Pair(*(program.pointwise(part, "(({0}) * ({1}))", v.dtype, v, Literal(scale, v.dtype)) for v in values))
