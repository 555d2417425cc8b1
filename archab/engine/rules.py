"""What each operation of a flat graph becomes in a program over lanes: one small rule an operation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from torch import Tensor, fx

from archab.engine.lanes import (
    CONSTANT,
    ELEMENT,
    Apply,
    Buffer,
    C,
    Kernel,
    Literal,
    Local,
    Loop,
    Raw,
    Reduce,
    Shape,
    Text,
    Value,
    View,
    contiguous,
    leaves,
    number,
)

A, P = torch.ops.aten, torch.ops.prims


# The random numbers of a graph: archab/engine/noise.py draws them everywhere else.
_library = torch.library.Library("archab", "DEF")
_library.define("uniform(Tensor student, Tensor step, int site, int[] shape, ScalarType dtype) -> Tensor")


def _uniform(student: Tensor, step: Tensor, site: int, shape: list[int], dtype: torch.dtype) -> Tensor:
    return student.new_empty(shape, dtype=dtype)


_library.impl("uniform", _uniform, "Meta")


class NoRule(Exception):
    """An operation, type or size that programs over lanes do not know."""


Rule = Callable[..., Any]
RULES: dict[Any, Rule] = {}


def rule(*operations: Any) -> Callable[[Rule], Rule]:
    """Register a rule: of the program, the graph's node and the operation's arguments, to a value."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(operations, function))
        return function

    return register


class Program:
    """Kernels, in order, that compute a graph; `constants` are its tables.

    Attributes:
        single: whether all pointwise statements belong in one loop, as an optimiser's update does.
    """

    def __init__(self, single: bool = False) -> None:
        self.kernels: list[Kernel] = []
        self.constants: list[tuple[Buffer, Tensor]] = []
        self.single = single
        self._made: dict[Buffer, int] = {}
        self._homes: dict[Local, View] = {}
        self._names = count()
        self._destinations: dict[fx.Node, View] = {}

    def run(
        self, graph: fx.GraphModule, inputs: Sequence[Value], destinations: Sequence[View | None] = ()
    ) -> list[Any]:
        """Add a graph to the program; its outputs as values.

        Args:
            graph: flat and functional.
            inputs: a value a placeholder.
            destinations: where outputs are wanted, contiguous; each is written there as it is made, if possible.

        Raises:
            NoRule: where an operation has no rule.
        """
        found: dict[fx.Node, Any] = {}
        given = iter(inputs)
        outputs = next(n for n in graph.graph.nodes if n.op == "output").args[0]
        outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        self._destinations = _bases(outputs, destinations)
        for node in graph.graph.nodes:
            match node.op:
                case "placeholder":
                    found[node] = next(given)
                case "get_attr":
                    found[node] = getattr(graph, node.target).detach()
                case "call_function":
                    arguments, named = fx.node.map_arg((tuple(node.args), dict(node.kwargs)), found.__getitem__)
                    if node.target is A.copy_.default:
                        found[node] = self._written(found, *arguments[:2])
                    else:
                        found[node] = self._operate(node, arguments, named)
        return [found[node] for node in outputs]

    def _operate(self, node: fx.Node, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        operation, seen = node.target, node.meta.get("val")
        if isinstance(seen, Tensor) and not all(isinstance(size, int) for size in seen.shape):
            raise NoRule(f"{operation}: its shape depends on data")
        if callable(operation) and getattr(operation, "__name__", "") == "getitem":
            return arguments[0][arguments[1]]
        if operation in _EMPTY or not any(_varies(a) for a in (*arguments, *named.values())):
            return self._constant(node, arguments, named)
        for value in _flat(arguments):
            if isinstance(value, View | Apply | Local) and value.dtype not in C:
                raise NoRule(f"numbers of type {value.dtype}")
        if operation in RULES:
            return RULES[operation](self, node, *arguments, **named)
        if _is_view(operation):
            return self._seen(node, arguments[0])
        raise NoRule(f"{operation}")

    def _written(self, found: dict[fx.Node, Any], to: Any, x: Any) -> View:
        """`copy_` into a tensor or a part of it: what sees that tensor sees it written from now on."""
        if isinstance(to, Tensor):
            memory = to.untyped_storage()
            same = [
                (n, v)
                for n, v in found.items()
                if isinstance(v, Tensor) and v.untyped_storage().data_ptr() == memory.data_ptr()
            ]
            seen = [(n, (tuple(v.shape), tuple(v.stride()), int(v.storage_offset()))) for n, v in same]
            elements = memory.nbytes() // to.element_size()
            before: Value = self.value(to.as_strided((elements,), (1,), 0), to.dtype)
            place = tuple(to.shape), tuple(to.stride()), int(to.storage_offset())
        else:
            view = self.stored(to)
            seen = [
                (n, (v.shape, v.strides, v.offset if isinstance(v, View) else 0))
                for n, v in found.items()
                if (isinstance(v, Local) and v is to) or (isinstance(v, View) and v.buffer is view.buffer)
            ]
            elements = view.buffer.elements
            before = View(view.buffer, (elements,), (1,))
            place = view.shape, view.strides, view.offset
        buffer = Buffer(to.dtype, True, elements)
        self.write(before, View(buffer, (elements,), (1,)))
        written = View(buffer, *place)
        self.write(self.stored(self.value(x, to.dtype)), written)
        found.update({n: View(buffer, *where) for n, where in seen})
        return written

    def _constant(self, node: fx.Node, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """A value that no input changes, computed now."""
        seen = node.meta["val"]
        if node.target in _EMPTY:
            filled = arguments[1] if node.target is A.full_like.default else _EMPTY[node.target]
            return (
                torch.full(seen.shape, filled, dtype=seen.dtype).as_strided(seen.shape, seen.stride())
                if (seen.numel() == math.prod(seen.shape) and seen.is_contiguous())
                else torch.full((), filled, dtype=seen.dtype).expand(seen.shape).clone()
            )
        return node.target(*arguments, **named)  # type: ignore[operator]

    def _seen(self, node: fx.Node, value: Any) -> View:
        """The window that a view operation makes: torch has computed it."""
        view, seen = self.stored(value), node.meta["val"]
        return View(view.buffer, tuple(seen.shape), tuple(seen.stride()), int(seen.storage_offset()))

    # Values and where they are

    def value(self, given: Any, dtype: torch.dtype) -> Value:
        """An argument as a value of this type."""
        if isinstance(given, bool | int | float):
            return Literal(given, dtype)
        if isinstance(given, Tensor):
            given = self._table(given)
        if given.dtype == dtype:
            return given
        if isinstance(given, Literal):
            return replace(given, dtype=dtype)
        if given.dtype == torch.bool:
            text = "to<{X}>(-({0}))"
        elif dtype == torch.bool:
            text = "mask(({0}) != 0)"
        else:
            text = "to<{X}>({0})"
        strides = contiguous(given.shape) if isinstance(given, View) else given.strides
        return Apply(text, (given,), given.shape, strides, dtype, given.lanes)

    def _table(self, tensor: Tensor) -> Value:
        if tensor.dtype not in C:
            raise NoRule(f"numbers of type {tensor.dtype}")
        if tensor.numel() and bool((tensor == tensor.flatten()[0]).all()):
            return Literal(tensor.flatten()[0].item(), tensor.dtype, tuple(tensor.shape))
        if tensor.numel() > CONSTANT:
            raise NoRule(f"a table of {tensor.numel():,} numbers")
        buffer = Buffer(tensor.dtype, False, tensor.numel(), f"constant{len(self.constants)}")
        self.constants.append((buffer, tensor.detach()))
        return View(buffer, tuple(tensor.shape), contiguous(tuple(tensor.shape)))

    def stored(self, given: Any, lanes: bool = False) -> View:
        """A value in memory, for a kernel that does not compute its arguments; with `lanes`, one for every student."""
        if isinstance(given, Tensor):
            given = self._table(given)
        if isinstance(given, View) and (given.lanes or not lanes):
            return given
        if isinstance(given, Local) and (given.lanes or not lanes):
            return self._kept(given)
        strides = given.strides if isinstance(given, Apply | Local) else contiguous(given.shape)
        return self.copied(given, given.shape, strides, lanes)

    def copied(self, given: Value, shape: Shape, strides: Shape, lanes: bool = False) -> View:
        """A copy of a value with these strides."""
        lanes = lanes or given.lanes
        out = View(Buffer(given.dtype, lanes, math.prod(shape)), shape, strides)
        self.write(given, out)
        return out

    def write(self, given: Value, out: View) -> None:
        """Copy a value to a window."""
        if isinstance(given, Local) and given.shape == out.shape:
            given.loop.stores.append((given.name, out))
            self._made[out.buffer] = max(self._made.get(out.buffer, 0), self.kernels.index(given.loop))
            return
        loop = Loop(out.shape, out.lanes)
        self.add(loop, out)
        local = self._local(loop, given, contiguous(out.shape))
        loop.stores.append((local.name, out))

    def fresh(self, node: fx.Node, dtype: torch.dtype, lanes: bool, seen: Any = None) -> View:
        """Memory for the result of a node, as torch lays it out."""
        seen = node.meta["val"] if seen is None else seen
        if node in self._destinations:
            return self._destinations[node]
        shape, strides, offset = tuple(seen.shape), tuple(seen.stride()), int(seen.storage_offset())
        return View(Buffer(dtype, lanes, _extent(shape, strides, offset)), shape, strides, offset)

    def add(self, kernel: Kernel, *outs: View) -> None:
        """A kernel that writes these windows."""
        self.kernels.append(kernel)
        for out in outs:
            self._made[out.buffer] = len(self.kernels) - 1

    def pointwise(self, node: fx.Node, text: str, dtype: torch.dtype, *arguments: Value) -> Value:
        """A pointwise operation, computed where it is read, or once if it is read several times."""
        shape = tuple(torch.broadcast_shapes(*(a.shape for a in arguments)))
        seen = node.meta["val"]
        strides = tuple(seen.stride()) if tuple(seen.shape) == shape else contiguous(shape)
        value = Apply(text, arguments, shape, strides, dtype, any(a.lanes for a in arguments))
        if tuple(seen.shape) == shape and _extent(shape, strides, int(seen.storage_offset())) != seen.numel():
            out = self.fresh(node, dtype, value.lanes)
            self.write(self.settled(value, None), out)
            return out
        if len(node.users) == 1 and next(iter(node.users)).op != "output" and not self.single:
            return value
        return self._local(self._loop_of(value), value, strides)

    def settled(self, value: Value, loop: Kernel | None) -> Value:
        """A value whose locals of other loops are read from memory."""
        if isinstance(value, Local) and value.loop is not loop:
            return self._kept(value)
        if isinstance(value, Apply):
            return replace(value, arguments=tuple(self.settled(a, loop) for a in value.arguments))
        return value

    def _local(self, loop: Loop, value: Value, strides: Shape) -> Local:
        local = Local(loop, f"t{next(self._names)}", loop.shape, strides, value.dtype, loop.lanes)
        loop.statements.append((local, self.settled(value, loop)))
        return local

    def _kept(self, local: Local) -> View:
        """A local in memory, laid out as torch would."""
        if local not in self._homes:
            view = View(Buffer(local.dtype, local.lanes, math.prod(local.shape)), local.shape, local.strides)
            local.loop.stores.append((local.name, view))
            self._made[view.buffer] = self.kernels.index(local.loop)
            self._homes[local] = view
        return self._homes[local]

    def _loop_of(self, value: Apply) -> Loop:
        """The loop that already holds what a value reads, if it can be computed there; else a new one at the end."""
        for leaf in leaves(value):
            if isinstance(leaf, Local) and (leaf.shape, leaf.lanes) == (value.shape, value.lanes):
                here = self.kernels.index(leaf.loop)
                if all(self._ready(other, leaf.loop, here) for other in leaves(value)):
                    return leaf.loop
        last = self.kernels[-1] if self.single and self.kernels else None
        if isinstance(last, Loop) and (last.shape, last.lanes) == (value.shape, value.lanes):
            return last
        loop = Loop(value.shape, value.lanes)
        self.add(loop)
        return loop

    def _ready(self, leaf: Value, loop: Loop, here: int) -> bool:
        if isinstance(leaf, Local):
            return leaf.loop is loop or self.kernels.index(leaf.loop) < here
        return not isinstance(leaf, View) or self._made.get(leaf.buffer, -1) < here


def _extent(shape: Shape, strides: Shape, offset: int) -> int:
    """Elements of the memory that a window needs."""
    return offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1 if math.prod(shape) else 0


def _flat(arguments: Any) -> list[Any]:
    return [v for a in arguments for v in (_flat(a) if isinstance(a, list | tuple) else [a])]


def _varies(argument: Any) -> bool:
    return any(isinstance(a, View | Apply | Local) for a in _flat([argument]))


def _is_view(operation: Any) -> bool:
    returned = operation._schema.returns
    return bool(returned) and returned[0].alias_info is not None and not returned[0].alias_info.is_write


def _bases(outputs: Sequence[fx.Node], destinations: Sequence[View | None]) -> dict[fx.Node, View]:
    """Where the nodes behind the outputs may write: through transpositions, if nothing else reads them."""
    found = {}
    for node, wanted in zip(outputs, destinations, strict=False):
        view = wanted
        while view is not None and node.target in (P.transpose.default, A.t.default) and len(node.users) == 1:
            order = list(node.args[1]) if node.target is P.transpose.default else [1, 0]  # type: ignore[arg-type]
            back = [order.index(d) for d in range(len(order))]
            view = replace(view, shape=tuple(view.shape[d] for d in back), strides=tuple(view.strides[d] for d in back))
            node = node.args[0]  # type: ignore[assignment]
        if view is not None and len(node.users) == 1:
            found[node] = view
    return found


_EMPTY: dict[Any, float] = {
    P.empty_strided.default: 0,
    A.empty.memory_format: 0,
    A.empty_permuted.default: 0,
    A.full_like.default: 0,
    A.zeros_like.default: 0,
    A.ones_like.default: 1,
    A.empty_like.default: 0,
}

# ---- pointwise

_FUNCTIONS = "exp log sin cos tanh erf expm1 log1p sqrt floor ceil trunc atan sinh cosh"
_ARITHMETIC: dict[Any, str] = {
    A.mul.Tensor: "{0} * {1}",
    A.mul.Scalar: "{0} * {1}",
    A.div.Tensor: "{0} / {1}",
    A.div.Scalar: "{0} / {1}",
    P.div.default: "{0} / {1}",
    A.neg.default: "-{0}",
    A.abs.default: "abs_({0})",
    A.sign.default: "sign_({0})",
    A.relu.default: "relu_({0})",
    A.reciprocal.default: "1 / ({0})",
    A.rsqrt.default: "1 / sqrt_({0})",
    A.sigmoid.default: "sigmoid_({0})",
    A.maximum.default: "max_({0}, {1})",
    A.minimum.default: "min_({0}, {1})",
    A.remainder.Tensor: "fmod_({0}, {1})",
    A.bitwise_and.Tensor: "{0} & {1}",
    A.bitwise_or.Tensor: "{0} | {1}",
    A.bitwise_xor.Tensor: "{0} ^ {1}",
    A.bitwise_and.Scalar: "{0} & {1}",
    A.bitwise_not.default: "~{0}",
    A.tanh_backward.default: "{0} * (1 - {1} * {1})",
    A.sigmoid_backward.default: "{0} * ({1} * (1 - {1}))",
    **{getattr(A, name).default: name + "_({0})" for name in _FUNCTIONS.split()},
    A.round.default: "rint_({0})",
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
    return program.pointwise(node, "pow_({0}, {1})", dtype, base, program.value(exponent, dtype))


@rule(A.div.Tensor_mode)
def divide(program: Program, node: fx.Node, x: Any, y: Any, rounding_mode: str | None = None) -> Value:
    dtype = node.meta["val"].dtype
    texts = {None: "(({0}) / ({1}))", "floor": "floordiv_({0}, {1})", "trunc": "(({0}) / ({1}))"}
    text = texts[rounding_mode]
    if dtype.is_floating_point and rounding_mode is not None:
        text = ("floor_" if rounding_mode == "floor" else "trunc_") + "(({0}) / ({1}))"
    return program.pointwise(node, text, dtype, program.value(x, dtype), program.value(y, dtype))


@rule(A.remainder.Scalar)
def remainder(program: Program, node: fx.Node, x: Any, y: Any) -> Value:
    dtype = node.meta["val"].dtype
    text = "fmod_({0}, {1})" if dtype.is_floating_point else "(({0}) - ({1}) * floordiv_({0}, {1}))"
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


# ---- reductions


def _dims(dims: Any, rank: int) -> tuple[int, ...]:
    if dims is None or (isinstance(dims, list | tuple) and not dims):
        return tuple(range(rank))
    return tuple(sorted(d % rank for d in ([dims] if isinstance(dims, int) else dims)))


def _reduced(
    program: Program, node: fx.Node, x: Value, dims: tuple[int, ...], start: str, step: str, end: str, mean: str = ""
) -> Value:
    seen = node.meta["val"]
    kept = tuple(size for d, size in enumerate(x.shape) if d not in dims)
    out = program.fresh(node, seen.dtype, x.lanes)
    flat = replace(out, shape=kept, strides=_without(out, x.shape, dims))
    if not x.lanes and not mean:
        raise NoRule("a reduction that no student changes")
    reduce = Reduce(x, dims, flat, start, step, end, mean)
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
    return _reduced(program, node, value, _dims(dims, len(value.shape)), "{{}}", "{a} + {x}", "{a}")


@rule(P.prod.default)
def product(program: Program, node: fx.Node, x: Any, dims: Any = None, **_: Any) -> Value:
    value = program.value(x, node.meta["val"].dtype)
    return _reduced(program, node, value, _dims(dims, len(value.shape)), "up<{X}>(1)", "{a} * {x}", "{a}")


@rule(P.amax.default, P.amin.default, A.max.default, A.min.default)
def extreme(program: Program, node: fx.Node, x: Any, dims: Any = None, **_: Any) -> Value:
    dtype = node.meta["val"].dtype
    if not dtype.is_floating_point:
        raise NoRule("the extreme of integers")
    start, function = ("-INFINITY", "max_") if node.target in (P.amax.default, A.max.default) else ("INFINITY", "min_")
    value = program.value(x, dtype)
    dims = _dims(dims, len(value.shape))
    return _reduced(program, node, value, dims, f"up<{{X}}>({start})", f"{function}({{a}}, {{x}})", "{a}")


@rule(P.var.default)
def variance(program: Program, node: fx.Node, x: Any, dims: Any = None, correction: float = 1, **_: Any) -> Value:
    value = program.value(x, node.meta["val"].dtype)
    dims = _dims(dims, len(value.shape))
    n = math.prod(value.shape[d] for d in dims)
    if not isinstance(value, View):
        value = program.stored(value)
    left = f"{{a}} * {number(1 / (n - correction), value.dtype)}"
    return _reduced(
        program, node, value, dims, "{{}}", "{a} + ({x} - m) * ({x} - m)", left, f"{{m}} * {number(1 / n, value.dtype)}"
    )


@rule(A.any.dim, A.any.default, A.any.dims, A.all.default, A.all.dim)
def whether(program: Program, node: fx.Node, x: Any, dims: Any = None, keepdim: bool = False) -> Value:
    value = program.value(x, torch.bool)
    start, sign = ("{{}}", "|") if node.target in (A.any.dim, A.any.default, A.any.dims) else ("~{X}{{}}", "&")
    return _reduced(program, node, value, _dims(dims, len(value.shape)), start, f"{{a}} {sign} {{x}}", "{a}")


@rule(A.max.dim, A.min.dim)
def extreme_and_where(program: Program, node: fx.Node, x: Any, dim: int, keepdim: bool = False) -> tuple[View, View]:
    return _extreme_and_where(program, program.stored(x, lanes=True), dim, node.target is A.max.dim, keepdim)


def _extreme_and_where(program: Program, view: View, dim: int, largest: bool, keepdim: bool) -> tuple[View, View]:
    """The first of the largest or smallest along an axis, and its index; NaN counts as extreme."""
    dim %= len(view.shape)
    start, sign = _dropped(view, dim), ">" if largest else "<"
    best, where = (
        View(Buffer(dtype, True, math.prod(start.shape)), start.shape, contiguous(start.shape))
        for dtype in (view.dtype, torch.int64)
    )

    def body(text: Text, names: list[str]) -> list[str]:
        source, at = text.name(view.buffer), _place(start, names)
        return [
            f"{text.type(view.dtype)} a = {source}[{at}]; Vec<long> w = {{}};",
            f"for (long k = 1; k < {view.shape[dim]}; k++) {{",
            f"{text.type(view.dtype)} x = {source}[{at} + k * {view.strides[dim]}];",
            f"Mask m = (mask(x {sign} a) | mask(x != x)) & mask(a == a);",
            "a = sel(m, x, a); w = sel(m, up<Vec<long>>(k), w); }",
            f"{text.name(best.buffer)}[{_place(best, names)}] = a;",
            f"{text.name(where.buffer)}[{_place(where, names)}] = w;",
        ]

    program.add(Raw(start.shape, (view, best, where), body), best, where)
    if not keepdim:
        return best, where
    return best.through(lambda t: t.unsqueeze(dim)), where.through(lambda t: t.unsqueeze(dim))


def _dropped(view: View, dim: int) -> View:
    """A view at index 0 of an axis."""
    return replace(view, shape=_but(view.shape, dim), strides=_but(view.strides, dim))


def _but(sizes: Shape, dim: int) -> Shape:
    return sizes[:dim] + sizes[dim + 1 :]


@rule(A.argmax.default, A.argmin.default)
def place_of_extreme(program: Program, node: fx.Node, x: Any, dim: int | None = None, keepdim: bool = False) -> View:
    if dim is None:
        raise NoRule("the place of an extreme over all axes")
    return _extreme_and_where(program, program.stored(x, lanes=True), dim, node.target is A.argmax.default, keepdim)[1]


@rule(A.cumsum.default)
def cumulative(program: Program, node: fx.Node, x: Any, dim: int, **_: Any) -> View:
    view = program.stored(program.value(x, node.meta["val"].dtype), lanes=True)
    out = program.fresh(node, view.dtype, True)
    dim %= max(1, len(view.shape))

    def body(text: Text, names: list[str]) -> list[str]:
        here = [*names[:dim], "k", *names[dim:]]
        return [
            f"{text.type(view.dtype)} a = {{}};",
            f"for (long k = 0; k < {view.shape[dim]}; k++) {{ a += {text.name(view.buffer)}[{_place(view, here)}];",
            f"{text.name(out.buffer)}[{_place(out, here)}] = a; }}",
        ]

    program.add(Raw(_but(view.shape, dim), (view, out), body), out)
    return out


def _place(view: View, names: Sequence[str]) -> str:
    terms = [f"({n}) * {s}" for n, s, size in zip(names, view.strides, view.shape, strict=True) if s and size > 1]
    return " + ".join([str(view.offset), *terms])


# ---- matrix products


@rule(A.mm.default, A.bmm.default)
def matmul(program: Program, node: fx.Node, x: Any, y: Any) -> View:
    a, b = program.stored(x, lanes=True), program.stored(y, lanes=True)
    out = program.fresh(node, a.dtype, True)
    m, k, n = *a.shape[-2:], b.shape[-1]
    rows, columns = _tile(m, n)

    def body(text: Text, names: list[str]) -> list[str]:
        at = [
            f"{text.name(v.buffer)} + {_place(replace(v, shape=v.shape[:-2], strides=v.strides[:-2]), names)}"
            for v in (a, b, out)
        ]
        strides = ", ".join(str(s) for v in (a, b, out) for s in v.strides[-2:])
        return [f"matmul<{rows}, {columns}, {m}, {n}, {k}, {strides}>({', '.join(at)});"]

    program.add(Raw(out.shape[:-2], (a, b, out), body), out)
    return out


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
    return _reduced(program, node, both, (len(a.shape) - 1,), "{{}}", "{a} + {x}", "{a}")


# ---- putting together, and reading by index


@rule(P.cat.default, A.cat.default)
def cat(program: Program, node: fx.Node, tensors: list[Any], dim: int = 0) -> View:
    out = program.fresh(node, node.meta["val"].dtype, True)
    start = 0
    for tensor in tensors:
        value = program.value(tensor, out.dtype)
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


@rule(A.index.Tensor, A._unsafe_index.Tensor)
def index(program: Program, node: fx.Node, x: Any, indices: list[Any]) -> View:
    view = program.stored(x, lanes=True)
    out = program.fresh(node, view.dtype, True)
    _index(program, view, indices, out, "{out} = {x};")
    return out


@rule(A.index_put.default, A._unsafe_index_put.default)
def index_put(
    program: Program, node: fx.Node, x: Any, indices: list[Any], values: Any, accumulate: bool = False
) -> View:
    seen = node.meta["val"]
    out = program.fresh(node, seen.dtype, True)
    program.write(program.value(x, seen.dtype), out)
    value = program.stored(program.value(values, seen.dtype), lanes=True)
    _index(program, out, indices, value, "{x} += {out};" if accumulate else "{x} = {out};")
    return out


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
        for dim, place in zip(at, places, strict=True):
            here = f"{text.name(place.buffer)}[{_place(place.expanded(common), names[middle])}]"
            lane = "[l]" if place.lanes else ""
            lines.append(f"j += wrap({here}{lane}, {view.shape[dim]}, outside) * {view.strides[dim]};")
        x, out = f"{text.name(view.buffer)}[j][l]", f"{text.name(other.buffer)}[{_place(other, names)}][l]"
        return [*lines, assign.format(x=x, out=out), "}"]

    written = other if assign.startswith("{out}") else view
    program.add(Raw(shape, (view, other, *places), body), written)


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


def _along(program: Program, view: View, dim: int, index: Any, other: View, assign: str, written: View) -> None:
    places = program.stored(program.value(index, torch.int64))
    dim %= max(1, len(view.shape))
    fixed = replace(view, strides=tuple(0 if d == dim else s for d, s in enumerate(view.strides)))

    def body(text: Text, names: list[str]) -> list[str]:
        lane = "[l]" if places.lanes else ""
        at = f"wrap({text.name(places.buffer)}[{_place(places, names)}]{lane}, {view.shape[dim]}, outside)"
        x, out = f"{text.name(view.buffer)}[j][l]", f"{text.name(other.buffer)}[{_place(other, names)}][l]"
        start = f"long j = {_place(fixed, names)} + {at} * {view.strides[dim]};"
        return [f"for (int l = 0; l < LANES; l++) {{ {start}", assign.format(x=x, out=out), "}"]

    program.add(Raw(places.shape, (view, other, places), body), written)
