"""Which engine trains a member's students, and how many at once: by configuration and shapes, never by a timing."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import CDLL
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import pairwise
from threading import Event
from time import perf_counter
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from archab.engine import compiled, loop
from archab.engine import vmap as batched
from archab.engine.cohort import Cohort, Outcome, Trainer, until
from archab.engine.compiled import Compiled as Program
from archab.engine.cpp import cache as kept
from archab.engine.cpp import compiler
from archab.engine.cpp.kernels import NoRule
from archab.engine.cpp.lanes import LANES
from archab.engine.cpp.record import Untraceable
from archab.engine.cpp.source import Source
from archab.engine.equivalence import Sample, why_not_batched, why_not_compiled
from archab.engine.replay import why_torchs_own
from archab.errors import ArchabError, explain
from archab.networks.population import Population
from archab.networks.probe import Shape, fitting, learnt
from archab.space.routine import Descent, kind

AT_ONCE = 512  # students whose rows are written together: what an interrupted run loses
BLOCK = max(LANES.values())  # students of a block of a program
LARGE = 250_000  # learnable parameters of a student from which eager batching stopped paying (dim 256, depth 4)
LOOP_CHUNK = 16  # students after which the loop's rows are written
# A program costs about as much as this many batched steps of eager vmap, however few the students, or as this many
# student-steps of it: all grow with the operations of a step.
BATCHED_STEPS, STUDENT_STEPS = 150, 30_000

NO_COMPILER = "no C++ compiler is found (g++, or what CXX names): students train by vmap, many times slower"

log = logging.getLogger("archab")


@dataclass(frozen=True)
class Method:
    """How the students of one side and member train.

    Attributes:
        engine: `compiled`, `vmap` or `loop`.
        chunk: students whose rows are written together.
        threads: torch's threads while they train.
        why: why the loop, where another engine was asked for; empty otherwise.
        note: what would make it faster; empty where nothing would.
        train: the trainer.
        answer: what such networks answer, as a program; None where nothing is compiled.
    """

    engine: str
    chunk: int
    threads: int
    why: str = ""
    note: str = ""
    train: Trainer = field(default=loop.train, repr=False, compare=False)
    answer: Callable[[Population, Tensor], Tensor] | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """What is written down before the first student trains."""
        return {"engine": self.engine, "chunk": self.chunk, "threads": self.threads, "why": self.why}


@dataclass(frozen=True)
class Candidate:
    """What an engine decides from.

    Attributes:
        sample: a few students of one member of one side, on one device.
        shape: what is known of them.
        students: how many of them this run trains.
        steps: steps that each of them takes.
    """

    sample: Sample
    shape: Shape
    students: int
    steps: int

    @cached_property
    def by_torch(self) -> str | None:
        """Why nothing may stand in for torch's own functions, so that the loop must train; None where it may."""
        with threads(1):
            return why_torchs_own(self.sample)


class Engine(Protocol):
    """A choice of the group `engine`."""

    def methods(self, candidates: Sequence[Candidate]) -> list[Method]:
        """How the students of each candidate train."""


@dataclass(frozen=True)
class _Choice:
    """What all engines share.

    Attributes:
        memory: MiB for the state of the students that train at once.
        chunk: students at once, and whose rows are written together; null for as many as fit, up to 512.
        workers: processes that train side by side; null for as many as cores where a long run would use one core.
    """

    memory: int = 1024
    chunk: int | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if type(self.memory) is not int or self.memory < 1:
            raise ArchabError(f"engine.memory={self.memory!r}: at least 1 MiB is needed")
        if self.chunk is not None and (type(self.chunk) is not int or self.chunk < 1):
            raise ArchabError(f"engine.chunk={self.chunk!r}: at least 1 student at once, or null for as many as fit")

        if self.workers is not None and (type(self.workers) is not int or self.workers < 1):
            raise ArchabError(f"engine.workers={self.workers!r}: at least 1 process, or null for the plan's own choice")

    def loop(self, candidate: Candidate, why: str = "") -> Method:
        """One student after another."""
        own = candidate.by_torch
        train = partial(loop.train, by_torch=True) if own else loop.train
        return Method("loop", self.chunk or LOOP_CHUNK, _threads(candidate.shape), own or why, train=train)

    def _vmap(self, candidate: Candidate) -> Method:
        """Batched where the engine's check passes."""
        with threads(1):
            why = candidate.by_torch or why_not_batched(candidate.sample)
        if why is not None:
            return self.loop(candidate, why)
        shape, memory = candidate.shape, self.memory * 2**20
        evaluated = batched.evaluated_at_once(memory, shape.step_bytes, shape.output_bytes, candidate.sample.minibatch)
        return Method("vmap", self._chunk(shape), _threads(shape), train=batched.trainer(evaluated))

    def _chunk(self, shape: Shape) -> int:
        return self.chunk or max(1, min(AT_ONCE, self.memory * 2**20 // shape.step_bytes))


@dataclass(frozen=True)
class Loop(_Choice):
    """One student after another; `chunk` is the number of students whose rows are written together."""

    def methods(self, candidates: Sequence[Candidate]) -> list[Method]:
        """The loop for all."""
        return [self.loop(candidate) for candidate in candidates]


@dataclass(frozen=True)
class Vmap(_Choice):
    """Students of one member at once, by `torch.func.vmap`, where that gives the loop's results; else the loop."""

    def methods(self, candidates: Sequence[Candidate]) -> list[Method]:
        """Batched where the engine's check passes."""
        return [self._vmap(candidate) for candidate in candidates]


@dataclass(frozen=True)
class Compiled(_Choice):
    """Each family's step as a program of its own, where its check passes; else as `Auto` without it, with a note."""

    def methods(self, candidates: Sequence[Candidate]) -> list[Method]:
        """Compiled in parallel."""
        wanted = [c if self._wanted(c) else None for c in candidates]
        if any(wanted) and compiler.compiler() is None:
            return [replace(self.method(c, None), note=NO_COMPILER) for c in candidates]
        found, told = [], set()
        for candidate, made in zip(candidates, programs(wanted), strict=True):
            if made.program is not None and not self._fits(candidate, made.program.source.lanes):
                made = Made(why=self._too_large(made.program.source.lanes))
            method = self.method(candidate, made.program)
            name, note = candidate.sample.space.name, made.note or self._note(candidate, made, method)
            found.append(replace(method, note="" if name in told else note))
            told |= {name} if note else set()
        return found

    def _note(self, candidate: Candidate, made: "Made", method: Method) -> str:
        """What to tell of a family that is not compiled, unless its method says why."""
        if made.program is not None or candidate.by_torch is not None:
            return ""
        why = made.why or self._too_large(1)
        return f"engine=compiled: {candidate.sample.space.name} is not compiled: {why}; it trains by {method.engine}"

    def _wanted(self, candidate: Candidate) -> bool:
        return self._fits(candidate, 1) and candidate.by_torch is None

    def _fits(self, candidate: Candidate, lanes: int) -> bool:
        return lanes * candidate.shape.step_bytes <= self.memory * 2**20

    def _too_large(self, lanes: int) -> str:
        students = f"a block of {lanes} students" if lanes > 1 else "a student"
        return f"{students} takes more than engine.memory={self.memory} MiB"

    def method(self, candidate: Candidate, program: Program | None) -> Method:
        """By its program, where it has one."""
        if program is not None:
            block = 1 if program.source.lanes == 1 else BLOCK
            chunk = self.chunk or max(block, self._chunk(candidate.shape) // block * block)
            answer = compiled.answerer(program, candidate.sample.output)
            return Method("compiled", chunk, 1, train=compiled.trainer(program), answer=answer)
        return self.loop(candidate) if candidate.shape.parameters >= LARGE else self._vmap(candidate)


@dataclass(frozen=True)
class Auto(Compiled):
    """Compiled where a run is long enough to pay for it; else batched, or for large networks the loop."""

    def _wanted(self, candidate: Candidate) -> bool:
        batched_steps = candidate.steps * -(-candidate.students // AT_ONCE)
        long = batched_steps >= BATCHED_STEPS or candidate.steps * candidate.students >= STUDENT_STEPS
        return super()._wanted(candidate) and long

    def _note(self, candidate: Candidate, made: "Made", method: Method) -> str:
        return ""  # another engine is as good an answer


@dataclass(frozen=True)
class Made:
    """What became of a program.

    Attributes:
        program: it, where it has passed its check.
        why: why there is none; empty where none was wanted.
        note: what would make one.
    """

    program: Program | None = None
    why: str = ""
    note: str = ""


class _NoProgram(Exception):
    """Why a family cannot be compiled."""


def programs(candidates: Sequence[Candidate | None]) -> list[Made]:
    """The programs of those that can be compiled, each of which has passed its check, and what went wrong elsewhere."""
    workers = cores()
    with threads(1), ThreadPoolExecutor(workers) as pool:
        made: dict[str, Future[CDLL]] = {}
        sources: list[tuple[Source, bool] | Made] = []
        for candidate in candidates:
            try:
                sources.append(Made() if candidate is None else _source(candidate))
            except _NoProgram as reason:
                sources.append(Made(why=str(reason)))
            if isinstance(found := sources[-1], tuple) and found[0].text not in made:
                made[found[0].text] = pool.submit(compiler.load, found[0].text)
        ended: list[Made] = []
        for candidate, found in zip(candidates, sources, strict=True):
            if candidate is None or isinstance(found, Made):
                ended.append(found if isinstance(found, Made) else Made())
            else:
                ended.append(_checked(candidate, *found, made[found[0].text], workers))
    for candidate, one in zip(candidates, ended, strict=True):
        if candidate is not None and one.why:
            sample = candidate.sample
            log.debug("%s, member %d, is not compiled: %s", sample.space.name, sample.member, one.why)
    return ended


def _source(candidate: Candidate) -> tuple[Source, bool]:
    """The source of a family's program, and whether it is known to have passed its check."""
    sample = candidate.sample
    if sample.device.type != "cpu":
        raise _NoProgram("programs are for the CPU")
    if not isinstance(sample.routine, Descent):
        raise _NoProgram("its routine is not archab's own")
    if (why := sample.why_alone) is not None:
        raise _NoProgram(why)
    held = kept.recall(*_shaping(candidate))
    return (_written(candidate), False) if held is None else (held, True)


def _written(candidate: Candidate) -> Source:
    sample = candidate.sample
    network, cohort = sample.networks[0], sample.cohort(1)
    x, y = fitting(network, cohort.inputs[0]), learnt(network, cohort.outputs[0])
    try:
        return compiled.write(network, cast(Descent, sample.routine), x, y, cohort.loss)
    except Exception as reason:  # whatever a user's network makes of tracing: another engine trains it
        raise _NoProgram(str(reason) if isinstance(reason, NoRule | Untraceable) else explain(reason)) from reason


def _shaping(candidate: Candidate) -> tuple[Any, ...]:
    """All that shapes a program beside the code: the routine's numbers come at each step."""
    sample = candidate.sample
    routine, x = cast(Descent, sample.routine), sample.cohort(1).inputs
    own = kind(replace(routine, epochs=1, steps=None))
    return sample.networks[0], own, tuple(x.shape), str(x.dtype), sample.output, sample.loss


def _checked(candidate: Candidate, source: Source, known: bool, made: "Future[CDLL]", workers: int) -> Made:
    sample = candidate.sample
    try:
        program = Program(source, made.result(), workers)
        why = why_not_compiled(sample, program, known)
        if why is not None and known:
            # What is kept was made of other code, that no key could tell from this.
            source, known = _written(candidate), False
            program = Program(source, compiler.load(source.text), workers)
            why = why_not_compiled(sample, program)
    except compiler.CompilationFailed as error:
        said = f"the C++ compiler fails ({error})"
        return Made(why=said, note=f"{said}: students train by vmap, many times slower")
    except Exception as error:  # whatever a user's network makes of the check: another engine trains it
        why = str(error) if isinstance(error, _NoProgram) else explain(error)
    if why is not None:
        return Made(why=why)
    if not known:
        kept.keep(source, *_shaping(candidate))
    return Made(program)


def cores() -> int:
    """Cores that this process may use: those that it may run on, or fewer if torch was told so."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(torch.get_num_threads(), mine))


def side_by_side(cohorts: Sequence[tuple[Method, Cohort]], workers: int) -> list[Outcome]:
    """Train several cohorts, each by its method: programs by so many threads, since one alone may not fill all cores.

    The seconds of an outcome are wall time of training and scoring its students, who are drawn before. Cohorts that are
    at work at the same time share it equally, as they share the cores: together they have the seconds that passed, and
    each about those that it would have taken alone on the cores that whoever draws the next leaves.
    """
    if len(cohorts) < 2 or any(method.engine != "compiled" for method, _ in cohorts):
        found = []
        for method, cohort in cohorts:
            with threads(method.threads):
                found.append(_timed(method, with_students(cohort)))
        return _with_seconds(found)
    stopped = Event()

    def train(given: tuple[Method, Cohort]) -> tuple[Outcome, Span]:
        method, cohort = given
        return _timed(method, replace(cohort, advance=until(stopped, cohort.advance)))

    # Networks are drawn one cohort after another, since they are from the generators that all threads share.
    drawn = [(method, with_students(cohort)) for method, cohort in cohorts]
    with threads(1), ThreadPoolExecutor(min(workers, len(drawn))) as pool:
        try:
            return _with_seconds(list(pool.map(train, drawn)))
        except BaseException:
            stopped.set()
            raise


def with_students(cohort: Cohort) -> Cohort:
    """The same with its students drawn."""
    return replace(cohort, students=partial(_same, cohort.students()))


def _same(students: Population) -> Population:
    return students


Span = tuple[float, float]  # when something began and ended, by `perf_counter`


def _timed(method: Method, cohort: Cohort) -> tuple[Outcome, Span]:
    start = perf_counter()
    outcome = method.train(cohort)
    return outcome, (start, perf_counter())


def _with_seconds(timed: Sequence[tuple[Outcome, Span]]) -> list[Outcome]:
    seconds = shared([span for _, span in timed])
    return [replace(outcome, seconds=own) for (outcome, _), own in zip(timed, seconds, strict=True)]


def shared(spans: Sequence[Span]) -> list[float]:
    """The seconds of each span, where at every moment those that last share it equally.

    Example:
        >>> shared([(0.0, 2.0), (0.0, 3.0)])
        [1.0, 2.0]
    """
    seconds = [0.0] * len(spans)
    for start, end in pairwise(sorted({edge for span in spans for edge in span})):
        here = [i for i, span in enumerate(spans) if span[0] <= start and end <= span[1]]
        for i in here:
            seconds[i] += (end - start) / len(here)
    return seconds


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch with this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_named(name: str) -> torch.device:
    """The device called `cpu`, `cuda`, `cuda:N` or `auto` (a GPU where there is one).

    Raises:
        ArchabError: if it is not there.
    """
    if not isinstance(name, str):
        raise ArchabError(f"device={name!r}: one of cpu, cuda, cuda:N or auto")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ArchabError(f"device={name}: one of cpu, cuda, cuda:N or auto")
    there = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= there:
        found = f"{there} CUDA devices" if there else "no CUDA device"
        raise ArchabError(
            f"device={name}: torch finds {found} on this machine; device=cpu or device=auto runs anywhere"
        )
    return device


def _threads(shape: Shape) -> int:
    # At the small operations of small networks threads wait for each other, and for any other process on the machine: a
    # busy neighbour made two threads 20 times slower than one, which is at most 1.4 times slower than two.
    return torch.get_num_threads() if shape.parameters >= LARGE else 1


@dataclass(frozen=True)
class Recorded:
    """The engine that a run was begun with, read back from its plan, whatever this machine would choose.

    Attributes:
        memory: `engine.memory` of the run.
        kept: one such description a candidate.
        workers: `engine.workers` of now: no row hangs on it.
    """

    memory: int
    kept: tuple[dict[str, Any], ...]
    workers: int | None = None

    def methods(self, candidates: Sequence[Candidate]) -> list[Method]:
        """As they were recorded.

        Raises:
            ArchabError: if this machine cannot train so.
        """
        pairs = list(zip(candidates, self.kept, strict=True))
        made = programs([c if kept["engine"] == "compiled" else None for c, kept in pairs])
        return [self._method(c, kept, one.program) for (c, kept), one in zip(pairs, made, strict=True)]

    def _method(self, candidate: Candidate, kept: dict[str, Any], program: Any) -> Method:
        engine = Compiled(self.memory, kept["chunk"])
        method = engine.loop(candidate, kept["why"]) if kept["engine"] == "loop" else engine.method(candidate, program)
        if method.engine != kept["engine"]:
            raise ArchabError(
                f"this run was begun with engine={kept['engine']} for {candidate.sample.space.name}, which is not to "
                f"be had here ({method.why or 'no C++ compiler'}): its rows would differ. rerun=true trains it anew"
            )
        return replace(method, threads=kept["threads"])
