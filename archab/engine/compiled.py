"""Many students at once in a program of their own: each number of their step is a vector over 16 students."""

import copy
import ctypes
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from archab.engine.cohort import Cohort, Outcome
from archab.engine.cpp.halves import round_update, wide, widen, widened
from archab.engine.cpp.kernels import NoRule
from archab.engine.cpp.record import Untraceable
from archab.engine.cpp.source import ALIGNED, Slot, Source, Update, generate
from archab.engine.cpp.trace import elementwise, scored, trace
from archab.engine.curve import MOST, Curve
from archab.engine.loss import Loss
from archab.errors import ArchabError, explain
from archab.networks.population import Population
from archab.networks.probe import fitting, learnt
from archab.space.routine import Descent

NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.int64: np.int64, torch.int32: np.int32}
NUMPY |= {torch.bool: np.int32}
AT_ONCE = 256  # steps of a call at most, for which the numbers of all students are laid out
SOON = 2**26  # steps of a call, times students, times what each holds: a few tenths of a second


@dataclass(frozen=True)
class Compiled:
    """A program, loaded, and how many threads run it."""

    source: Source
    library: ctypes.CDLL
    threads: int


class Block:
    """The state of R students in blocks of as many as the program has lanes, and the calls of their program."""

    def __init__(self, program: Compiled, population: Population, noise: list[int]) -> None:
        self.program, self.students, self.lanes = program, len(noise), program.source.lanes
        self.network = population.network
        self.blocks = -(-self.students // self.lanes)
        self.state = _aligned(self.blocks * program.source.state).reshape(self.blocks, program.source.state)
        self._works = [_aligned(program.source.work) for _ in range(max(1, min(program.threads, self.blocks)))]
        for name, tensor in population.tensors.items():
            self.put(name, tensor)
        self.put("student", torch.tensor(noise))

    def put(self, name: str, values: Tensor) -> None:
        """Set a tensor of every student, shape (R, …); lanes without a student get the last one's."""
        slot = self._slot(name)
        values = torch.view_as_real(values.resolve_conj()) if values.is_complex() else widened(values)
        values = values.to(torch.int32).neg() if values.dtype == torch.bool else values
        padded = torch.cat([values, values[-1:].expand(self.blocks * self.lanes - len(values), *values.shape[1:])])
        slot[...] = padded.detach().numpy().reshape(self.blocks, self.lanes, -1).transpose(0, 2, 1)

    def get(self, name: str) -> np.ndarray:
        """A tensor of every student, shape (R, elements)."""
        found = self._slot(name).transpose(0, 2, 1).reshape(self.blocks * self.lanes, -1)[: self.students]
        return found != 0 if self.program.source.slots[name].dtype == torch.bool else found

    def gradient(self, name: str) -> np.ndarray:
        """The gradient of the last step, of the last block that each thread trained; shape (R, elements)."""
        slot = self.program.source.gradients[name]
        windows = [_window(work[None], slot, self.lanes)[0].transpose(1, 0) for work in self._works]
        return np.concatenate(windows)[: self.students]

    def answers(self, inputs: Tensor, like: Tensor) -> Tensor:
        """Outputs in evaluation mode, of the shape and type of `like`; each student on inputs of its own."""
        found = widened(torch.empty(self.blocks * self.lanes, *like.shape[1:], dtype=like.dtype))
        self.call("answer", torch.arange(self.students), self.given(inputs), inputs.shape[1], found)
        return found[: self.students].to(like.dtype)

    def given(self, inputs: Tensor) -> Tensor:
        """Inputs as the students take them, as the program holds them."""
        return widened(fitting(self.network, inputs)).contiguous()

    def _slot(self, name: str) -> np.ndarray:
        return _window(self.state, self.program.source.slots[name], self.lanes)

    def call(self, function: str, targets: Tensor, *arguments: Any) -> None:
        """Call a function of the program on all blocks, spread over threads; it lets go of Python's lock.

        Raises:
            ArchabError: where an index was outside of the axis that it pointed into.
        """
        lanes = torch.cat([targets, targets[-1:].expand(self.blocks * self.lanes - len(targets))]).contiguous()
        run = getattr(self.program.library, function)
        given = [_pointer(a) for a in arguments]

        def some(part: tuple[int, int, np.ndarray]) -> int:
            first, last, work = part
            state = ctypes.c_void_p(self.state.ctypes.data)
            return int(run(state, _pointer(work), _pointer(lanes), *given, ctypes.c_long(first), ctypes.c_long(last)))

        share = -(-self.blocks // len(self._works))
        parts = [
            (k * share, min((k + 1) * share, self.blocks), work)
            for k, work in enumerate(self._works)
            if k * share < self.blocks
        ]
        if len(parts) == 1:
            outside = some(parts[0])
        else:
            with ThreadPoolExecutor(len(parts)) as pool:
                outside = max(pool.map(some, parts))
        if outside:
            raise ArchabError("an index pointed outside of its axis while students trained: more tokens than rows?")


def trainer(program: Compiled) -> Callable[[Cohort], Outcome]:
    """A trainer of cohorts by a program."""

    def train(cohort: Cohort) -> Outcome:
        block = fit(cohort, program, cohort.students())
        nmse = _errors(block, cohort, cohort.heldout_inputs, cohort.heldout_outputs, cohort.heldout_constant)
        train_nmse = _errors(block, cohort, cohort.inputs, cohort.outputs, cohort.constant)
        whole = np.isfinite(nmse) & np.isfinite(train_nmse) & np.isfinite(block.get("total")[:, 0])
        for name in program.source.learnable:
            whole &= np.isfinite(block.get(name)).all(1)
        batches = cohort.inputs.shape[1] // cohort.minibatch
        steps = cast(Descent, cohort.routine).passes(batches) * batches
        kept = [np.where(whole, each, np.nan) for each in (nmse, train_nmse, _accuracy(block, cohort))]
        return Outcome(kept[0], kept[1], ~whole, kept[2], steps=steps)

    return train


def answerer(program: Compiled, output: tuple[int, ...]) -> Callable[[Population, Tensor], Tensor]:
    """What networks of the program's family answer in evaluation mode, in float64, each on inputs (T, n, …) of its own.

    Args:
        program: of the family.
        output: shape of one sample's output.
    """

    def answers(population: Population, inputs: Tensor) -> Tensor:
        like = torch.empty(0, inputs.shape[1], *output, dtype=program.source.dtype)
        return Block(program, population, [0] * len(population)).answers(inputs, like).double()

    return answers


def fit(cohort: Cohort, program: Compiled, population: Population) -> Block:
    """Train the students, at each call as many steps as lie between two points of their curve, and as are soon made.

    A block of students makes them all before the next one begins, so that its samples stay in the cache.
    """
    block = Block(program, population, cohort.noise)
    routine = cast(Descent, cohort.routine)
    inputs, outputs = block.given(cohort.inputs), widened(learnt(population.network, cohort.outputs)).contiguous()
    targets = torch.arange(block.students) // cohort.restarts
    samples = inputs.shape[1]
    epoch = samples // cohort.minibatch
    steps = routine.passes(epoch) * epoch
    numbers = _Numbers(cohort, block, steps)
    soon = SOON // (block.students * sum(len(t[0].flatten()) for t in population.tensors.values()))
    at_once = min(AT_ONCE, max(epoch, soon))
    curve, every = Curve(), steps
    if cohort.curves is not None:
        cohort.curves.append(curve)
        every = -(-steps // MOST)
    for at, until in pairwise(sorted({*range(0, steps, every), *range(0, steps, at_once), steps})):
        orders = [cohort.order(k).contiguous() for k in range(at // epoch, -(-until // epoch))]
        places = np.array([order.data_ptr() for order in orders])
        here = numbers.of(at, until)
        block.call("train", targets, inputs, outputs, places, here, len(here) > 1, samples, at, until - at)
        if until % every == 0:
            curve.add(until, block.get("total")[:, 0], until)
        cohort.advance(block.students * (until - at) / steps)
    return block


def write(network: nn.Module, routine: Descent, inputs: Tensor, outputs: Tensor, loss: Loss) -> Source:
    """The program of a family, from one network and one mini-batch in the network's precision.

    Raises:
        Untraceable: if torch cannot trace it.
        NoRule: if an operation of the graph has no rule.
    """
    try:
        traced, errors = trace(copy.deepcopy(network), inputs, outputs, loss), scored(loss, outputs)
        probe = _numbers(routine, 1)
        dtypes = {network.get_parameter(name).dtype.to_real() for name in traced.learnable}
        if len(dtypes) != 1:
            raise NoRule(f"learnable numbers of type {', '.join(sorted(map(str, dtypes)))}")
        [dtype] = dtypes
        norm = routine.clip_norm is not None
        graph = elementwise(routine.update, wide(dtype), routine.moments, probe.shape[1] - norm)
        widen(traced.step)
        widen(traced.predict)
        round_update(graph, dtype)
        inputs, outputs = widened(inputs), widened(outputs)
    except (RuntimeError, TypeError, ValueError, AttributeError) as reason:
        raise Untraceable(explain(reason)) from reason
    return generate(traced, Update(graph, routine.moments, probe.shape[1], norm), errors, inputs, outputs)


class _Numbers:
    """What the steps of every lane take, whose routines differ in numbers alone."""

    def __init__(self, cohort: Cohort, block: Block, steps: int) -> None:
        routines = list({id(r): r for r in cohort.routines}.values())
        each = [_numbers(cast(Descent, r), steps) for r in routines]
        self._each = torch.stack(each).to(block.program.source.dtype)
        places = {id(r): place for place, r in enumerate(routines)}
        which = torch.tensor([places[id(r)] for r in cohort.routines])
        lanes = block.blocks * block.lanes
        padded = torch.cat([which, which[-1:].expand(lanes - len(which))]).view(block.blocks, block.lanes)
        self._which = padded if len(routines) > 1 else padded[:1]

    def of(self, first: int, last: int) -> Tensor:
        """Those of the steps first … last − 1, shape (blocks, steps, numbers, lanes); one block where all are alike."""
        return self._each[:, first:last][self._which].permute(0, 2, 3, 1).contiguous()


def _numbers(routine: Descent, steps: int) -> Tensor:
    """What each step takes: the bound of the gradient's norm, if there is one, then the routine's own numbers."""
    numbers = routine.numbers(steps)
    if routine.clip_norm is None:
        return numbers
    return torch.cat([torch.full((steps, 1), routine.clip_norm, dtype=numbers.dtype), numbers], 1)


def _errors(block: Block, cohort: Cohort, inputs: Tensor, outputs: Tensor, constant: Tensor) -> np.ndarray:
    """The error of every student, relative to the best constant's."""
    targets = torch.arange(block.students) // cohort.restarts
    total = _scored(block, targets, inputs, outputs, 0)
    return (total / outputs[0].numel() / constant[targets]).numpy()


def _accuracy(block: Block, cohort: Cohort) -> np.ndarray:
    """The share of every student's held-out outputs that are right, NaN where the loss is of no classes."""
    targets, asked = torch.arange(block.students) // cohort.restarts, getattr(cohort.loss, "asked", None)
    if asked is None:
        return np.full(block.students, np.nan)
    hits = _scored(block, targets, cohort.heldout_inputs, cohort.heldout_outputs, 1)
    return (hits / asked(cohort.heldout_outputs, 1)[targets]).numpy()


def _scored(block: Block, targets: Tensor, inputs: Tensor, outputs: Tensor, which: int) -> Tensor:
    """The sum of errors (0) or hits (1) of every student."""
    dtype = block.program.source.dtype
    total = torch.zeros(block.blocks * block.lanes, dtype=torch.float64)
    block.call("score", targets, block.given(inputs), outputs.to(dtype).contiguous(), inputs.shape[1], which, total)
    return total[: block.students]


def _window(memory: np.ndarray, slot: Slot, lanes: int) -> np.ndarray:
    """A tensor in memory of shape (blocks, bytes), as (blocks, elements, lanes)."""
    dtype = np.dtype(NUMPY[slot.dtype])
    size = math.prod(slot.shape) * lanes * dtype.itemsize
    return memory[:, slot.start : slot.start + size].view(dtype).reshape(len(memory), -1, lanes)


def _aligned(size: int) -> np.ndarray:
    memory = np.zeros(size + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    return memory[start : start + size]


def _pointer(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    return ctypes.c_long(argument)
