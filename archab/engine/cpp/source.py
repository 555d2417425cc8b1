"""One family's training and evaluation as a C++ source: kernels, memory, and the loops over students and steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from archab.engine.cpp.kernels import NoRule, Program
from archab.engine.cpp.lanes import BYTES, LANES, Apply, Buffer, C, Kernel, Reduce, View, contiguous, number
from archab.engine.cpp.trace import Traced

CACHE = 2 * 2**20  # bytes that students side by side may hold between them
ONE_BY_ONE = 1.5  # operations of one student alone, to one of students side by side, up to which that is worth it
ALIGNED = 128  # the largest vector, of 16 numbers of 8 bytes


@dataclass(frozen=True)
class Slot:
    """Where a tensor of one block of students is: `start` in bytes, numbers of `dtype` with the lanes last."""

    start: int
    dtype: torch.dtype
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """A program and what must be known to call it.

    Attributes:
        text: its C++.
        slots: by name: a network's tensors, `student`, `total` (the sum of the losses) and the moments.
        state: bytes of a block's state.
        work: bytes of a thread's workspace.
        learnable: names of what is learnt.
        gradients: where in the workspace the gradient of each is after a step.
        dtype: its type.
        lanes: students of a block.
        ways: through conditions on data, of a step and of an evaluation.
    """

    text: str
    slots: dict[str, Slot]
    state: int
    work: int
    learnable: list[str]
    gradients: dict[str, Slot]
    dtype: torch.dtype
    lanes: int
    ways: Any


@dataclass(frozen=True)
class Update:
    """An optimiser's update of one element.

    Attributes:
        graph: parameter, gradient, moments and numbers to the new parameter and moments.
        moments: how many moments it keeps.
        numbers: how many numbers it takes at each step, the same for all elements of a student.
        norm: whether the gradient's norm over a student's parameters is bounded, by the first of the numbers.
    """

    graph: fx.GraphModule
    moments: int
    numbers: int
    norm: bool


def generate(
    traced: Traced, update: Update, errors: Sequence[fx.GraphModule], inputs: Tensor, outputs: Tensor
) -> Source:
    """The program of one family, of students side by side, or one by one where what those hold leaves the cache.

    Args:
        traced: its graphs.
        update: how it learns.
        errors: of prediction and output the error, and of some losses the hits, as `archab.engine.cpp.trace.scored`.
        inputs, outputs: one mini-batch, for its shapes and types.

    Raises:
        NoRule: where an operation, or a type, has no rule.
    """
    beside, operations = _generated(traced, update, errors, inputs, outputs)
    if beside.state + beside.work <= CACHE or operations > ONE_BY_ONE:
        return beside
    try:
        return _generated(traced, update, errors, inputs, outputs, lanes=1)[0]
    except NoRule:
        return beside


def _generated(
    traced: Traced,
    update: Update,
    errors: Sequence[fx.GraphModule],
    inputs: Tensor,
    outputs: Tensor,
    lanes: int | None = None,
) -> tuple[Source, float]:
    """The same with this many students side by side, by default as many as a register holds numbers.

    Also how many operations a step would have, to one of these, were it of one student that fills whole vectors.

    Raises:
        NoRule: where an operation, or a type, has no rule.
    """
    example = _placeholders(traced.predict)
    names = [*traced.learnable, *traced.fixed, *traced.buffers]
    tensors = dict(zip(names, example, strict=False))
    learnable = sum(tensors[n].numel() for n in traced.learnable)
    dtypes = {tensors[n].dtype for n in traced.learnable}
    if len(dtypes) != 1 or (dtype := dtypes.pop()) not in (torch.float32, torch.float64):
        raise NoRule(f"learnable numbers of type {', '.join(map(str, dtypes)) or dtype}")
    lanes = lanes or LANES[dtype]
    state = _State(lanes)
    state.run("parameters", dtype, traced.learnable, tensors)
    held = {name: state.view(name) for name in traced.learnable}
    held |= {name: state.one(name, tensors[name]) for name in (*traced.fixed, *traced.buffers)}
    x, y, answers = _window(inputs, "X_AT"), _window(outputs, "Y_AT"), _window(outputs, "P_AT")
    places = {"X_AT": 0, "Y_AT": _up(x.buffer.size(lanes))}
    places["P_AT"] = places["Y_AT"] + _up(y.buffer.size(lanes))
    each = View(Buffer(torch.float64, True, outputs.numel(), "(w + E_AT)"), (outputs.numel(),), (1,))
    places["E_AT"] = places["P_AT"] + _up(answers.buffer.size(lanes))
    places["G_AT"] = places["E_AT"] + _up(each.buffer.size(lanes))
    gradient = View(Buffer(dtype, True, learnable, "(w + G_AT)"), (learnable,), (1,))
    base = places["G_AT"] + _up(gradient.buffer.size(lanes))
    stepping, predicting = Program(), Program()
    slopes = _step(stepping, state, traced, update, held, x, y, gradient)
    [prediction] = predicting.run(traced.predict, [*(held[n] for n in names), x])
    predicting.write(predicting.settled(prediction, None), answers)
    step, step_work = _functions("step", stepping, base, lanes)
    predict, predict_work = _functions("predict", predicting, base, lanes)
    scoring = [_scoring(graph, answers, y, each) for graph in errors]
    named = [_functions(name, one, base, lanes) for name, one in zip(("errors", "hits"), scoring, strict=False)]
    scored, works = [text for text, _ in named], [size for _, size in named]
    sizes = {"BATCH": len(inputs), "IN": inputs[0].numel(), "OUT": outputs[0].numel(), "STATE": state.bytes}
    types = {"Number": dtype, "Given": inputs.dtype, "Wanted": outputs.dtype}
    constants = {**sizes, **places, "NUMBERS": update.numbers}
    heads = [f"constexpr long {name} = {value};" for name, value in constants.items()]
    heads.append(f"#define HITS {len(errors) - 1}")
    heads += [f"typedef {C[kind]} {name};" for name, kind in types.items()]
    body = "\n".join([step, predict, *scored])
    parts = [_FILES["linalg.h"]] if "namespace linalg" in body else []
    if lanes == 1:
        if parts:
            raise NoRule("linear algebra of one student alone")
        parts = [_FILES["products.h"]]
    text = "\n".join([f"#define LANES {lanes}", _FILES["lanes.h"], *parts, *heads, body, _FILES["drive.h"]])
    slopes = {name: replace(slot, start=slot.start + places["G_AT"]) for name, slot in slopes.items()}
    work = max(step_work, predict_work, *works)
    source = Source(text, state.slots, state.bytes, work, traced.learnable, slopes, dtype, lanes, traced.ways)
    costs = [kernel.cost(LANES[dtype]) for kernel in stepping.kernels]
    return source, sum(filled for _, filled in costs) * LANES[dtype] / max(1, sum(every for every, _ in costs))


def _step(
    program: Program,
    state: "_State",
    traced: Traced,
    update: Update,
    held: dict[str, View],
    x: View,
    y: View,
    gradient: View,
) -> dict[str, Slot]:
    """A step of one block: gradients, new buffers, the loss, and the update of all learnable numbers in one loop.

    Gives the places of the gradients in their buffer.
    """
    student = state.one("student", torch.zeros((), dtype=torch.int64))
    total = state.one("total", torch.zeros((), dtype=y.dtype))
    at = View(Buffer(torch.int64, False, 1, "(&at)"), (), ())
    (learnable,), dtype = gradient.shape, gradient.dtype
    places, start = [], 0
    for name in traced.learnable:
        places.append(View(gradient.buffer, held[name].shape, contiguous(held[name].shape), start))
        start += math.prod(held[name].shape)
    names = [*traced.learnable, *traced.fixed, *traced.buffers]
    found = program.run(traced.step, [*(held[n] for n in names), x, y, student, at], places)
    n = len(traced.learnable)
    gradients, after, loss = found[:n], found[n:-1], found[-1]
    for value, place in zip(gradients, places, strict=True):
        if not (isinstance(value, View) and value.buffer is place.buffer):
            program.write(program.settled(program.value(value, dtype), None), place)
    kept = [*traced.fixed, *traced.buffers]
    new = {n: program.stored(program.value(v, held[n].dtype), lanes=True) for v, n in zip(after, kept, strict=True)}
    for name, value in new.items():
        if value.buffer is not held[name].buffer:  # else it is as it was
            program.write(value, held[name])
    program.write(Apply("(({0}) + ({1}))", (total, program.stored(loss)), (), (), y.dtype, True), total)
    numbers: list[Any] = [
        View(Buffer(dtype, True, update.numbers, "numbers"), (), (), k) for k in range(update.numbers)
    ]
    slope: Any = gradient
    if update.norm:
        square = View(Buffer(dtype, True, 1), (), ())
        program.add(Reduce(gradient, (0,), square, "{{}}", "{a} + {x}", "sqrt_({a})", "{x} * {x}"), square)
        bound = Apply("min_(({1}) / (({0}) + up<{X}>(1e-6)), up<{X}>(1))", (square, numbers[0]), (), (), dtype, True)
        scale = program.copied(bound, (), (), True)
        slope = Apply("(({0}) * ({1}))", (gradient, scale), (learnable,), (1,), dtype, True)
        numbers = numbers[1:]
    everything = state.whole("parameters", learnable, dtype)
    moments = [state.whole(f"moment{k}", learnable, dtype) for k in range(update.moments)]
    single = Program(single=True)
    news = single.run(update.graph, [everything, slope, *moments, *numbers])
    for value, place in zip(news, [everything, *moments], strict=True):
        single.write(single.value(value, dtype), place)
    program.kernels += single.kernels
    width = BYTES[C[dtype]] * state.lanes
    return {n: Slot(p.offset * width, dtype, p.shape) for n, p in zip(traced.learnable, places, strict=True)}


def _scoring(graph: fx.GraphModule, answers: View, outputs: View, each: View) -> Program:
    """What is said of every number that was predicted: in one loop, or over a whole mini-batch, as the graph is."""
    shape = tuple(_placeholders(graph)[0].shape)
    program = Program(single=not shape)
    at = View(each.buffer, shape, contiguous(shape)) if shape else each
    flat = [program.value(View(v.buffer, at.shape, at.strides), torch.float64) for v in (answers, outputs)]
    [found] = program.run(graph, flat)
    value = program.value(found, torch.float64)
    program.write(program.settled(value, None) if shape else value, at)
    return program


def _window(tensor: Tensor, at: str) -> View:
    """A mini-batch of every student, at a fixed place in the workspace."""
    shape = tuple(tensor.shape)
    return View(Buffer(tensor.dtype, True, tensor.numel(), f"(w + {at})"), shape, contiguous(shape))


def _placeholders(graph: fx.GraphModule) -> list[Any]:
    return [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]


class _State:
    """What a block of students keeps from step to step."""

    def __init__(self, lanes: int) -> None:
        self.bytes, self.lanes = 0, lanes
        self.slots: dict[str, Slot] = {}
        self._views: dict[str, View] = {}

    def run(self, name: str, dtype: torch.dtype, names: Sequence[str], tensors: dict[str, Any]) -> None:
        """Tensors one behind the other, so that one loop runs over all."""
        start = self.bytes
        for each in names:
            self._placed(each, tensors[each])
        size = (self.bytes - start) // (BYTES[C[dtype]] * self.lanes)
        self._views[name] = View(Buffer(dtype, True, size, f"(s + {start})"), (size,), (1,))
        self.bytes = _up(self.bytes)

    def one(self, name: str, tensor: Any) -> View:
        """A tensor of its own."""
        view = self._placed(name, tensor)
        self.bytes = _up(self.bytes)
        return view

    def _placed(self, name: str, tensor: Any) -> View:
        if tensor.dtype not in C:
            raise NoRule(f"numbers of type {tensor.dtype}")
        shape = tuple(tensor.shape)
        buffer = Buffer(tensor.dtype, True, tensor.numel(), f"(s + {self.bytes})")
        self.slots[name] = Slot(self.bytes, tensor.dtype, shape)
        self.bytes += buffer.size(self.lanes)
        self._views[name] = View(buffer, shape, contiguous(shape))
        return self._views[name]

    def view(self, name: str) -> View:
        """A tensor that is there."""
        return self._views[name]

    def whole(self, name: str, elements: int, dtype: torch.dtype) -> View:
        """As many numbers as are learnt."""
        if name in self._views:
            return self._views[name]
        return self.one(name, torch.empty(elements, dtype=dtype, device="meta"))


def _up(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def _functions(name: str, program: Program, base: int, lanes: int) -> tuple[str, int]:
    """The kernels as functions, a function `name` that calls them in order, and the workspace that they need."""
    starts, used = _placed(program.kernels, base, lanes)
    lines = []
    for buffer, table in program.constants:
        values = ", ".join(number(v, buffer.dtype) for v in table.flatten().tolist())
        lines.append(f"static const {C[buffer.dtype]} {name}_{buffer.home}[] = {{{values}}};")
    constants = {buffer for buffer, _ in program.constants}
    functions: dict[str, str] = {}  # what a network repeats in every layer is compiled once; no two buffers overlap
    calls = []
    for kernel in program.kernels:
        named: dict[Buffer, str] = {}

        def of(buffer: Buffer, named: dict[Buffer, str] = named) -> str:
            if buffer in constants:
                return f"{name}_{buffer.home}"
            return named.setdefault(buffer, f"b{len(named)}")

        code = kernel.code(of, lanes == 1)
        taken = ", ".join([*(f"{b.type}* __restrict {n}" for b, n in named.items()), "int* outside"])
        function = functions.setdefault(f"({taken}) {{ {code} }}", f"{name}{len(functions)}")
        given = [f"({b.type}*){b.home or f'(w + {starts[b]})'}" for b in named]
        calls.append(f"  {function}({', '.join([*given, 'outside'])});")
    lines += [f"KERNEL {function}{text}" for text, function in functions.items()]
    lines += [f"static void {name}(char* w, char* s, const Number* numbers, long at, int* outside) {{", *calls, "}"]
    return "\n".join(lines), used


def _placed(kernels: Sequence[Kernel], base: int, lanes: int) -> tuple[dict[Buffer, int], int]:
    """A place in the workspace for every buffer, where no other lives at the same time; first fit."""
    life: dict[Buffer, list[int]] = {}
    for i, kernel in enumerate(kernels):
        for buffer in kernel.touched():
            if not buffer.home:
                life.setdefault(buffer, [i, i])[1] = i
    starts: dict[Buffer, int] = {}
    living: list[Buffer] = []
    top = base
    for buffer, (born, _) in sorted(life.items(), key=lambda item: item[1][0]):
        living = [b for b in living if life[b][1] >= born]
        start = base
        for other in sorted(living, key=starts.__getitem__):
            if start + _up(buffer.size(lanes)) <= starts[other]:
                break
            start = max(start, starts[other] + _up(other.size(lanes)))
        starts[buffer] = start
        living.append(buffer)
        top = max(top, start + _up(buffer.size(lanes)))
    return starts, top


_FILES = {name: (Path(__file__).parent / name).read_text() for name in ("lanes.h", "linalg.h", "products.h", "drive.h")}
