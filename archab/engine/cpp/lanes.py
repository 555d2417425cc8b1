"""From a flat graph to C++ in which every number is a vector over students: values, loops and memory."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

LANES = {torch.float32: 16, torch.float64: 8}  # students side by side: a register of 64 bytes
CONSTANT = 2**16  # elements of the largest table that a program holds

C = {torch.float32: "float", torch.float64: "double", torch.int64: "long", torch.int32: "int", torch.bool: "int"}
C |= {torch.uint32: "unsigned"}
BYTES = {"float": 4, "double": 8, "long": 8, "int": 4, "unsigned": 4}

Shape = tuple[int, ...]


@dataclass(eq=False)
class Buffer:
    """Memory of a value: `elements` numbers, or vectors of them where students differ (`lanes`).

    Attributes:
        home: the C expression of its address; empty for one in the workspace, which is placed when all is known.
    """

    dtype: torch.dtype
    lanes: bool
    elements: int
    home: str = ""

    @property
    def type(self) -> str:
        """Its C type."""
        return f"Vec<{C[self.dtype]}>" if self.lanes else C[self.dtype]

    def size(self, lanes: int) -> int:
        """Its bytes, with this many students side by side."""
        return self.elements * BYTES[C[self.dtype]] * (lanes if self.lanes else 1)


# How the steps of a reduction are joined, by products.h.
_JOINS = {"{a} + {x}": "Sum", "max_({a}, {x})": "Largest", "min_({a}, {x})": "Smallest"}

ELEMENT = Buffer(torch.uint32, False, 0, "element")  # read at i, it is i


@dataclass(frozen=True)
class View:
    """A strided window on a buffer, as torch's."""

    buffer: Buffer
    shape: Shape
    strides: Shape
    offset: int = 0

    @property
    def dtype(self) -> torch.dtype:
        """Type of one number."""
        return self.buffer.dtype

    @property
    def lanes(self) -> bool:
        """Whether students differ."""
        return self.buffer.lanes

    def through(self, change: Callable[[Tensor], Tensor]) -> "View":
        """The window that torch's view operation makes of this one."""
        seen = change(torch.empty(0, device="meta").as_strided(self.shape, self.strides, self.offset))
        return replace(self, shape=tuple(seen.shape), strides=tuple(seen.stride()), offset=int(seen.storage_offset()))

    def expanded(self, shape: Shape) -> "View":
        """Broadcast."""
        return self if self.shape == shape else self.through(lambda t: t.expand(shape))


@dataclass(frozen=True)
class Literal:
    """A number of the program."""

    value: float | int | bool
    dtype: torch.dtype
    shape: Shape = ()
    lanes: bool = False


@dataclass(frozen=True, eq=False)
class Apply:
    """A pointwise operation that is computed where it is read: `text` in C of its arguments {0}, {1}, …

    `strides` are those that torch would give it in memory.
    """

    text: str
    arguments: tuple[Any, ...]
    shape: Shape
    strides: Shape
    dtype: torch.dtype
    lanes: bool


@dataclass(frozen=True, eq=False)
class Local:
    """A value inside one loop; read elsewhere, it is stored."""

    loop: "Loop"
    name: str
    shape: Shape
    strides: Shape
    dtype: torch.dtype
    lanes: bool


Value = View | Literal | Apply | Local


@dataclass(frozen=True, eq=False)
class Pair:
    """A complex value, as its real and its imaginary part."""

    re: Value
    im: Value

    @property
    def shape(self) -> Shape:
        """As of a tensor of complex numbers."""
        return self.re.shape

    @property
    def dtype(self) -> torch.dtype:
        """The complex type."""
        return self.re.dtype.to_complex()


def contiguous(shape: Shape) -> Shape:
    """Strides of a contiguous tensor."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def leaves(value: Any) -> Iterator[View | Local | Literal]:
    """What an expression reads."""
    if isinstance(value, Apply):
        for argument in value.arguments:
            yield from leaves(argument)
    else:
        yield value


@dataclass(eq=False)
class Loop:
    """Statements over one range of indices, some of which are stored."""

    shape: Shape
    lanes: bool
    statements: list[tuple[Local, Value]] = field(default_factory=list)
    stores: list[tuple[str, View]] = field(default_factory=list)

    def touched(self) -> Iterator[Buffer]:
        """The buffers that it reads or writes."""
        for _, value in self.statements:
            yield from (leaf.buffer for leaf in leaves(value) if isinstance(leaf, View))
        yield from (view.buffer for _, view in self.stores)

    def code(self, name: Callable[[Buffer], str], plain: bool) -> str:
        """Its C; `plain` where the program holds one student, so that loops fill vectors."""
        axes = Axes(self.shape, [*self._views(), *(view for _, view in self.stores)])
        text = Text(axes, self.lanes, name)
        lines = [f"{text.type(local.dtype)} {local.name} = {text.of(value)};" for local, value in self.statements]
        # After all that is read: an update writes over what it has read.
        return axes.loops([*lines, *(f"{text.at(view)} = {local};" for local, view in self.stores)], beside=plain)

    def cost(self, width: int) -> tuple[float, float]:
        """Its operations, and those where one student fills vectors of this width."""
        views = [*self._views(), *(view for _, view in self.stores)]
        operations = math.prod(self.shape) * sum(len(list(leaves(value))) for _, value in self.statements)
        return operations, operations * Axes(self.shape, views).filled(views, -1, width)

    def _views(self) -> Iterator[View]:
        for _, value in self.statements:
            yield from (leaf.expanded(self.shape) for leaf in leaves(value) if isinstance(leaf, View))


@dataclass(eq=False)
class Reduce:
    """A reduction of an expression: axes are `reduced`, from `start` by `step` of {a} and {x}, and `end` of {a}."""

    value: Value
    reduced: tuple[int, ...]
    out: View
    start: str
    step: str
    end: str
    of: str = "{x}"  # what each step takes of the expression
    mean: str = ""  # where the spread about the mean is reduced: {m} of the sum {a}

    def touched(self) -> Iterator[Buffer]:
        """The buffers that it reads or writes."""
        yield from (leaf.buffer for leaf in leaves(self.value) if isinstance(leaf, View))
        yield self.out.buffer

    def cost(self, width: int) -> tuple[float, float]:
        """Its operations, and those where one student fills vectors of this width."""
        axes, views, _ = self._axes()
        operations = math.prod(self.value.shape) * max(1, len(views))
        return operations, operations * axes.filled(views, -1 if self._folds(axes, views) else axes.outer - 1, width)

    def _folds(self, axes: "Axes", views: Sequence[View]) -> bool:
        """Whether numbers that stand side by side are joined; else neighbouring results are, as lanes would be."""
        inner = axes.sizes[axes.outer :]
        return self.step in _JOINS and inner[-1:] > [1] and all(axes.stride(view) in (0, 1) for view in views)

    def _axes(self) -> tuple["Axes", list[View], View]:
        kept = [d for d in range(len(self.value.shape)) if d not in self.reduced]
        order = [*kept, *self.reduced]
        views = [leaf.expanded(self.value.shape) for leaf in leaves(self.value) if isinstance(leaf, View)]
        out = View(self.out.buffer, self.value.shape, _spread(self.out, kept, len(self.value.shape)), self.out.offset)
        return Axes(self.value.shape, [*views, out], order, len(kept)), views, out

    def code(self, name: Callable[[Buffer], str], plain: bool) -> str:
        """Its C; `plain` where the program holds one student, so that loops fill vectors."""
        axes, views, out = self._axes()
        text = Text(axes, self.out.lanes, name)
        kind, x = text.type(self.out.dtype), text.of(self.value)
        named = {"X": kind, "x": x, "a": "a", "m": "m"}
        folds, taken = plain and self._folds(axes, views), self.of.format(**named)
        inner = []
        if self.mean:
            sums = axes.folded("m", x, "Sum") if folds else axes.loops([f"m += {x};"], inner=True)
            inner += [f"{kind} m = {{}};", sums, f"m = {self.mean.format(**named)};"]
        inner += [f"{kind} a = {self.start.format(**named)};"]
        step = f"a = {self.step.format(X=kind, a='a', x=taken)};"
        inner += [axes.folded("a", taken, _JOINS[self.step]) if folds else axes.loops([step], inner=True)]
        inner += [f"{text.at(out)} = {self.end.format(**named)};"]
        return axes.loops(inner, outer=True, beside=plain and not folds)


@dataclass(eq=False)
class Raw:
    """Code of its own over `shape`, that reads and writes views by {0}, {1}, … and their indices.

    Attributes:
        product: rows, columns and summands of the product of matrices that it is; empty for other code.
    """

    shape: Shape
    views: tuple[View, ...]
    body: Callable[["Text", list[str]], list[str]]
    product: tuple[int, ...] = ()

    def touched(self) -> Iterator[Buffer]:
        """The buffers that it reads or writes."""
        yield from (view.buffer for view in self.views)

    def cost(self, width: int) -> tuple[float, float]:
        """Its operations, and those where one student fills vectors of this width, which a product alone does."""
        operations = math.prod(self.shape) * math.prod(self.product)
        return operations, operations * min((_filled(n, width) for n in self.product[:2]), default=1)

    def code(self, name: Callable[[Buffer], str], plain: bool) -> str:
        """Its C; `plain` where the program holds one student, so that loops fill vectors."""
        axes = Axes(self.shape, [])
        return axes.loops(self.body(Text(axes, True, name), axes.names))


Kernel = Loop | Reduce | Raw


class Axes:
    """The loops over a shape, with neighbouring axes joined where every view allows it.

    Args:
        shape: the range of indices.
        views: all that is read or written, of this shape.
        order: the order of the loops, outermost first.
        kept: how many of them are outer ones.
    """

    def __init__(self, shape: Shape, views: Sequence[View], order: Sequence[int] | None = None, kept: int = 0) -> None:
        self.shape = shape
        order = list(range(len(shape))) if order is None else order
        self.groups: list[list[int]] = []
        self.sizes: list[int] = []
        self.outer = 0
        for place, axis in enumerate(order):
            first = place == kept and order is not None and kept > 0
            if views and self.groups and not first and self._joined(shape, views, self.groups[-1][-1], axis):
                self.groups[-1].append(axis)
                self.sizes[-1] *= shape[axis]
            else:
                self.groups.append([axis])
                self.sizes.append(shape[axis])
            if place < kept:
                self.outer = len(self.groups)
        self.names = [f"i{i}" for i in range(len(self.groups))]

    @staticmethod
    def _joined(shape: Shape, views: Sequence[View], left: int, right: int) -> bool:
        return all(
            shape[left] == 1 or shape[right] == 1 or view.strides[left] == view.strides[right] * shape[right]
            for view in views
        ) and not (shape[right] == 1 or shape[left] == 1)

    def index(self, view: View) -> str:
        """Where the current element of a view is."""
        terms = [str(view.offset)] if view.offset else []
        for name, group, size in zip(self.names, self.groups, self.sizes, strict=True):
            stride = view.strides[group[-1]]
            if stride and size > 1:
                terms.append(name if stride == 1 else f"{name} * {stride}")
        return " + ".join(terms) or "0"

    def stride(self, view: View, loop: int = -1) -> int:
        """From one element of a view to the next of a loop."""
        return view.strides[self.groups[loop][-1]]

    def filled(self, views: Iterable[View], loop: int, width: int) -> float:
        """How many operations there are to one, where vectors of this width run along a loop."""
        if not self.sizes or any(self.stride(view, loop) not in (0, 1) for view in views):
            return 1
        return _filled(self.sizes[loop], width)

    def loops(self, lines: Iterable[str], outer: bool = False, inner: bool = False, beside: bool = False) -> str:
        """The lines inside all loops, or inside the outer or the inner ones alone; `beside`: the last fills vectors."""
        chosen = list(zip(self.names, self.sizes, strict=True))
        chosen = chosen[: self.outer] if outer else chosen[self.outer :] if inner else chosen
        heads = [f"for (long {n} = 0; {n} < {s}; {n}++) " for n, s in chosen if s != 1]
        if heads and beside:
            heads[-1] = f'_Pragma("omp simd") {heads[-1]}'
        head = "".join(heads)
        fixed = "".join(f"const long {n} = 0; (void){n}; " for n, s in chosen if s == 1)
        return head + "{ " + fixed + "\n".join(lines) + " }"

    def folded(self, into: str, of: str, join: str) -> str:
        """The inner loops, of which the last joins vectors of what stands side by side."""
        *rest, (name, size) = list(zip(self.names, self.sizes, strict=True))[self.outer :]
        head = "".join(f"for (long {n} = 0; {n} < {s}; {n}++) " for n, s in rest)
        return f"{head}{into} = folded<{join}, {size}>({into}, [&](long {name}) {{ return {of}; }});"


def _filled(size: int, width: int) -> float:
    """Vectors to a number along an axis of this size; of what is left over narrow ones of four."""
    return (size // width + size % width / 4) / size if size else 1


@dataclass
class Text:
    """How expressions are written inside loops."""

    axes: Axes
    lanes: bool
    name: Callable[[Buffer], str]

    def type(self, dtype: torch.dtype) -> str:
        """The C type of a value here."""
        return f"Vec<{C[dtype]}>" if self.lanes else C[dtype]

    def at(self, view: View) -> str:
        """One element of a view of the loops' shape."""
        return f"{self.name(view.buffer)}[{self.axes.index(view)}]"

    def of(self, value: Value) -> str:
        """An expression."""
        match value:
            case Local():
                return value.name
            case Literal():
                return self._up(number(value.value, value.dtype), value.dtype)
            case View():
                view = value.expanded(self.axes.shape)
                if view.buffer is ELEMENT:
                    return f"(unsigned)({self.axes.index(view)})"
                return self.at(view) if view.lanes else self._up(self.at(view), view.dtype)
            case Apply():
                inner = [self.of(argument) for argument in value.arguments]
                return value.text.format(*inner, X=self.type(value.dtype))

    def _up(self, text: str, dtype: torch.dtype) -> str:
        return f"up<{self.type(dtype)}>({text})" if self.lanes else text


def number(value: float | int | bool, dtype: torch.dtype) -> str:
    """A number in C."""
    if dtype == torch.bool:
        return "-1" if value else "0"
    if not dtype.is_floating_point:
        return f"{int(value)}L" if dtype == torch.int64 else str(int(value))
    value = float(value)
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value.hex()}f" if dtype == torch.float32 else value.hex()


def _spread(view: View, kept: list[int], rank: int) -> Shape:
    strides = [0] * rank
    for axis, stride in zip(kept, view.strides, strict=True):
        strides[axis] = stride
    return tuple(strides)
