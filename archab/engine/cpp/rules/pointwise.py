"""Rules for pointwise operations: a line of C each, computed where it is read."""

from dataclasses import replace
from typing import Any

import torch
from torch import fx

from archab.engine.cpp.kernels import A, NoRule, P, Program, rule
from archab.engine.cpp.lanes import (
    ELEMENT,
    Apply,
    Buffer,
    Literal,
    Local,
    Raw,
    Value,
    View,
    contiguous,
)

_FUNCTIONS = (
    "exp log sin cos tanh erf expm1 log1p sqrt floor ceil trunc atan sinh cosh "
    "acos asin tan acosh asinh atanh log2 log10 exp2 erfc lgamma digamma erfinv"
)
_ARITHMETIC: dict[Any, str] = {
    A.mul.Tensor: "{0} * {1}",
    A.mul.Scalar: "{0} * {1}",
    A.div.Tensor: "{0} / {1}",
    A.div.Scalar: "{0} / {1}",
    P.div.default: "{0} / {1}",
    A.neg.default: "-{0}",
    A._neg_view.default: "-{0}",
    A.abs.default: "abs_({0})",
    A.sign.default: "sign_({0})",
    A.relu.default: "relu_({0})",
    A.reciprocal.default: "1 / ({0})",
    A.rsqrt.default: "1 / sqrt_({0})",
    A.sigmoid.default: "sigmoid_({0})",
    A.maximum.default: "max_({0}, {1})",
    A.minimum.default: "min_({0}, {1})",
    A.fmax.default: "sel(mask({1} != {1}) | mask({0} >= {1}), {0}, {1})",
    A.fmin.default: "sel(mask({1} != {1}) | mask({0} <= {1}), {0}, {1})",
    A.remainder.Tensor: "modulo_({0}, {1})",
    A.bitwise_and.Tensor: "{0} & {1}",
    A.bitwise_or.Tensor: "{0} | {1}",
    A.bitwise_xor.Tensor: "{0} ^ {1}",
    A.bitwise_and.Scalar: "{0} & {1}",
    A.bitwise_not.default: "~{0}",
    A.tanh_backward.default: "{0} * (1 - {1} * {1})",
    A.sigmoid_backward.default: "{0} * ({1} * (1 - {1}))",
    **{getattr(A, name).default: name + "_({0})" for name in _FUNCTIONS.split()},
    P.erf_inv.default: "erfinv_({0})",
    A.round.default: "rint_({0})",
    A.hypot.default: "hypot_({0}, {1})",
    A.atan2.default: "atan2_({0}, {1})",
    A.fmod.Tensor: "remainder_({0}, {1})",
}
_ARITHMETIC |= {
    getattr(P, name).default: text
    for op, text in list(_ARITHMETIC.items())
    if hasattr(P, name := op.__name__.split(".")[0])
}
_COMPARISONS: dict[Any, str] = {
    getattr(getattr(A, name), kind): "mask(({0}) " + sign + " ({1}))"
    for name, sign in {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}.items()
    for kind in ("Tensor", "Scalar")
}
_COMPARISONS |= {getattr(P, op.__name__.split(".")[0]).default: _COMPARISONS[op] for op in list(_COMPARISONS)}
_LOGICAL: dict[Any, str] = {
    A.logical_and.default: "{0} & {1}",
    A.logical_or.default: "{0} | {1}",
    A.logical_xor.default: "{0} ^ {1}",
    A.logical_not.default: "~{0}",
}


def _parenthesised(text: str) -> str:
    for i in range(4):
        text = text.replace(f"{{{i}}}", f"({{{i}}})")
    return f"({text})"


@rule(*_ARITHMETIC)
def arithmetic(program: Program, node: fx.Node, *arguments: Any) -> Value:
    dtype, text = node.meta["val"].dtype, _ARITHMETIC[node.target]
    if dtype == torch.bool:
        text = {"{0} * {1}": "{0} & {1}"}.get(text, text)
        if not any(sign in text for sign in "&|^~"):
            raise NoRule(f"{node.target} of booleans")
    values = [program.value(a, dtype) for a in arguments]
    if text == "{0} / {1}" and dtype.is_floating_point and isinstance(by := values[1], Literal) and by.value:
        text, values[1] = "{0} * {1}", replace(by, value=1 / by.value)  # to rounding the same, and much faster
    return program.pointwise(node, _parenthesised(text), dtype, *values)


@rule(A.add.Tensor, A.sub.Tensor, A.add.Scalar, A.sub.Scalar)
def add(program: Program, node: fx.Node, x: Any, y: Any, alpha: float = 1) -> Value:
    dtype = node.meta["val"].dtype
    if dtype == torch.bool:
        raise NoRule(f"{node.target} of booleans")
    sign = "+" if node.target in (A.add.Tensor, A.add.Scalar) else "-"
    text = f"({{0}}) {sign} ({{1}})" + ("" if alpha == 1 else " * ({2})")
    extra = [] if alpha == 1 else [Literal(alpha, dtype)]
    return program.pointwise(node, f"({text})", dtype, program.value(x, dtype), program.value(y, dtype), *extra)


@rule(*_COMPARISONS)
def compare(program: Program, node: fx.Node, x: Any, y: Any) -> Value:
    dtype = torch.result_type(_like(x), _like(y))
    return program.pointwise(
        node, _COMPARISONS[node.target], torch.bool, program.value(x, dtype), program.value(y, dtype)
    )


@rule(P.signbit.default)
def signbit(program: Program, node: fx.Node, x: Any) -> Value:
    values = [program.value(v, x.dtype) for v in (x, 0)]
    return program.pointwise(node, "(mask(({0}) < ({1})) | mask(1 / ({0}) < ({1})))", torch.bool, *values)


def _like(value: Any) -> Any:
    if not isinstance(value, View | Apply | Local | Literal):
        return value
    return torch.empty([1] * len(value.shape), dtype=value.dtype, device="meta")


@rule(*_LOGICAL)
def logical(program: Program, node: fx.Node, *arguments: Any) -> Value:
    values = [program.value(a, torch.bool) for a in arguments]
    return program.pointwise(node, _parenthesised(_LOGICAL[node.target]), torch.bool, *values)


@rule(A.pow.Tensor_Scalar, A.pow.Tensor_Tensor)
def power(program: Program, node: fx.Node, x: Any, exponent: Any) -> Value:
    dtype = node.meta["val"].dtype
    base = program.value(x, dtype)
    if exponent == 1:
        return base
    if exponent == 2 and not isinstance(base, Apply):
        return program.pointwise(node, "(({0}) * ({0}))", dtype, base)
    if exponent in (0.5, -0.5):  # of which C takes -inf for a number
        return program.pointwise(node, "sqrt_({0})" if exponent > 0 else "(1 / sqrt_({0}))", dtype, base)
    return program.pointwise(node, "pow_({0}, {1})", dtype, base, program.value(exponent, dtype))


@rule(A.div.Tensor_mode)
def divide(program: Program, node: fx.Node, x: Any, y: Any, rounding_mode: str | None = None) -> Value:
    dtype = node.meta["val"].dtype
    texts = {None: "(({0}) / ({1}))", "floor": "floordiv_({0}, {1})", "trunc": "(({0}) / ({1}))"}
    text = texts[rounding_mode]
    if dtype.is_floating_point and rounding_mode is not None:
        text = "floored_({0}, {1})" if rounding_mode == "floor" else "trunc_(({0}) / ({1}))"
    return program.pointwise(node, text, dtype, program.value(x, dtype), program.value(y, dtype))


@rule(A.remainder.Scalar)
def remainder(program: Program, node: fx.Node, x: Any, y: Any) -> Value:
    dtype = node.meta["val"].dtype
    text = "modulo_({0}, {1})" if dtype.is_floating_point else "(({0}) - ({1}) * floordiv_({0}, {1}))"
    return program.pointwise(node, text, dtype, program.value(x, dtype), program.value(y, dtype))


@rule(A.where.self, P.where.default)
def where(program: Program, node: fx.Node, condition: Any, x: Any, y: Any) -> Value:
    dtype = node.meta["val"].dtype
    mask = program.value(condition, torch.bool)
    return program.pointwise(node, "sel({0}, {1}, {2})", dtype, mask, program.value(x, dtype), program.value(y, dtype))


@rule(A.masked_fill.Scalar, A.masked_fill.Tensor)
def masked_fill(program: Program, node: fx.Node, x: Any, condition: Any, filled: Any) -> Value:
    return where(program, node, condition, filled, x)


@rule(A.threshold_backward.default)
def threshold_backward(program: Program, node: fx.Node, gradient: Any, x: Any, threshold: float) -> Value:
    dtype = node.meta["val"].dtype
    values = [program.value(v, dtype) for v in (gradient, x, threshold)]
    return program.pointwise(node, "sel(mask(({1}) <= ({2})), {X}{{}}, {0})", dtype, *values)


@rule(A.hardshrink_backward.default, A.softshrink_backward.default)
def shrink_backward(program: Program, node: fx.Node, gradient: Any, x: Any, bound: float) -> Value:
    dtype = node.meta["val"].dtype
    values = [program.value(v, dtype) for v in (gradient, x, bound)]
    return program.pointwise(node, "sel(mask(abs_({1}) <= ({2})), {X}{{}}, {0})", dtype, *values)


@rule(A.clamp.default)
def clamp(program: Program, node: fx.Node, x: Any, low: Any = None, high: Any = None) -> Value:
    dtype = node.meta["val"].dtype
    text, values = "{0}", [program.value(x, dtype)]
    for bound, sign in ((low, "<"), (high, ">")):
        if bound is not None:
            values.append(program.value(bound, dtype))
            at = f"{{{len(values) - 1}}}"
            text = f"bound_{'low' if sign == '<' else 'high'}({text}, {at})"
    return program.pointwise(node, text, dtype, *values)


@rule(P.convert_element_type.default, A.clone.default, A.alias.default, A.detach.default, A._to_copy.default)
def copy(program: Program, node: fx.Node, x: Any, *_: Any, **__: Any) -> Value:
    dtype = node.meta["val"].dtype
    return program.pointwise(node, "{0}", dtype, program.value(x, dtype))


@rule(A.copy.default)
def copied(program: Program, node: fx.Node, _: Any, x: Any, *__: Any) -> Value:
    return copy(program, node, x)


@rule(torch.ops.archab.uniform.default)
def uniform(
    program: Program, node: fx.Node, student: View, step: View, site: int, shape: list[int], dtype: Any
) -> Value:
    key = View(Buffer(torch.uint32, True, 1), (), ())
    program.add(
        Raw((), (key, student, step), lambda t, _: [f"{t.at(key)} = key_of({t.at(student)}, {t.at(step)}, {site}u);"]),
        key,
    )
    element = View(ELEMENT, tuple(shape), contiguous(tuple(shape)))
    return program.pointwise(node, "uniform_<{X}>({0}, {1})", dtype, key, element)
