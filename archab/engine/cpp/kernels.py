"""From a flat graph to kernels: values and where they are, by a table of rules, one an operation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from archab.engine.cpp.lanes import (
    CONSTANT,
    Apply,
    Buffer,
    C,
    Kernel,
    Literal,
    Local,
    Loop,
    Pair,
    Shape,
    Value,
    View,
    contiguous,
    leaves,
)

A, P = torch.ops.aten, torch.ops.prims


# The random numbers of a graph: archab/engine/noise.py draws them everywhere else.
_library = torch.library.Library("archab", "DEF")
_library.define("uniform(Tensor student, Tensor step, int site, int[] shape, ScalarType dtype) -> Tensor")


def _uniform(student: Tensor, step: Tensor, site: int, shape: list[int], dtype: torch.dtype) -> Tensor:
    return student.new_zeros(shape, dtype=dtype)


for _device in ("Meta", "CPU"):
    _library.impl("uniform", _uniform, _device)


class NoRule(Exception):
    """An operation, type or size that programs over lanes do not know."""


Rule = Callable[..., Any]
RULES: dict[Any, Rule] = {}
COMPLEX: dict[Any, Rule] = {}  # where an argument or the result is complex


def rule(*operations: Any, table: dict[Any, Rule] = RULES) -> Callable[[Rule], Rule]:
    """Register a rule: of the program, the graph's node and the operation's arguments, to a value."""

    def register(function: Rule) -> Rule:
        table.update(dict.fromkeys(operations, function))
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
                    found[node] = getattr(graph, node.target).detach().clone()  # it may be written on
                case "call_function":
                    arguments, named = fx.node.map_arg((tuple(node.args), dict(node.kwargs)), found.__getitem__)
                    if node.target is not A.copy_.default:
                        found[node] = self._operate(node, arguments, named)
                    elif all(isinstance(a, Tensor) for a in arguments[:2]):
                        found[node] = arguments[0].copy_(arguments[1])
                    else:
                        found[node] = self._written(found, *arguments[:2])
        return [found[node] for node in outputs]

    def _operate(self, node: fx.Node, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        operation, seen = node.target, node.meta.get("val")
        if torch.Tag.nondeterministic_seeded in getattr(operation, "tags", ()):
            raise NoRule(f"{operation} draws random numbers")
        if callable(operation) and getattr(operation, "__name__", "") == "getitem":
            return arguments[0][arguments[1]]
        if operation in _EMPTY or not any(_varies(a) for a in (*arguments, *named.values())):
            return self._constant(node, arguments, named)
        if (isinstance(seen, Tensor) and seen.is_complex()) or any(isinstance(v, Pair) for v in _flat(arguments)):
            return self._complex(node, arguments, named)
        for value in _flat(arguments):
            if isinstance(value, View | Apply | Local) and value.dtype not in C:
                raise NoRule(f"numbers of type {value.dtype}")
        if operation in RULES:
            return RULES[operation](self, node, *arguments, **named)
        if is_view(operation):
            return self.seen(node, arguments[0])
        raise NoRule(f"{operation}")

    def _complex(self, node: fx.Node, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """An operation of complex numbers; a window on one is a window on each of its parts."""
        if node.target in COMPLEX:
            return COMPLEX[node.target](self, node, *arguments, **named)
        if is_view(node.target):
            return Pair(self.seen(node, arguments[0].re), self.seen(node, arguments[0].im))
        raise NoRule(f"{node.target} of complex numbers")

    def _written(self, found: dict[fx.Node, Any], to: Any, x: Any) -> View:
        """`copy_` into a tensor or a part of it: what sees that tensor sees it written from now on."""
        if to.dtype.is_complex:
            raise NoRule("writing into complex numbers")
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
        if node.target in _EMPTY:
            seen = node.meta["val"]
            filled = arguments[1] if node.target is A.full_like.default else _EMPTY[node.target]
            return torch.empty_strided(seen.shape, seen.stride(), dtype=seen.dtype).fill_(filled)
        return node.target(*arguments, **named)  # type: ignore[operator]

    def seen(self, node: fx.Node, value: Any) -> View:
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
        if isinstance(given, Local) and (given.shape, given.lanes) == (out.shape, out.lanes):
            given.loop.stores.append((given.name, out))
            self._made[out.buffer] = max(self._made.get(out.buffer, 0), self.kernels.index(given.loop))
            return
        loop = Loop(out.shape, out.lanes)
        self.add(loop, out)
        local = self._local(loop, given, contiguous(out.shape))
        loop.stores.append((local.name, out))

    def fresh(self, node: fx.Node, dtype: torch.dtype, lanes: bool) -> View:
        """Memory for the result of a node, as torch lays it out."""
        seen = node.meta["val"]
        if node in self._destinations:
            return self._destinations[node]
        shape, strides, offset = tuple(seen.shape), tuple(seen.stride()), int(seen.storage_offset())
        return View(Buffer(dtype, lanes, _extent(shape, strides, offset)), shape, strides, offset)

    def fresh_each(self, node: fx.Node) -> list[View]:
        """Memory for each of the results of a node that differ between students, as torch lays them out."""
        return [
            View(Buffer(seen.dtype, True, seen.numel()), tuple(seen.shape), tuple(seen.stride()))
            for seen in node.meta["val"]
        ]

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
        local = Local(loop, f"t{len(loop.statements)}", loop.shape, strides, value.dtype, loop.lanes)
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
    return any(isinstance(a, View | Apply | Local | Pair) for a in _flat([argument]))


def shaped(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor of this type, laid out as another, without values."""
    memory = torch.empty(0, dtype=dtype, device="meta")
    return memory.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


def is_view(operation: Any) -> bool:
    """Whether an operation gives a window on what it was given."""
    if not hasattr(operation, "_schema"):
        return False
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


def place(view: View, names: Sequence[str]) -> str:
    """Where an element of a view is, by the names of its indices."""
    terms = [f"({n}) * {s}" for n, s, size in zip(names, view.strides, view.shape, strict=True) if s and size > 1]
    return " + ".join([str(view.offset), *terms])
