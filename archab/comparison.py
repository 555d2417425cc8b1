"""The comparison: two spaces, a protocol, and the rows of their students; no files, MLflow, Hydra or progress bars."""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from numpy.random import SeedSequence
from torch import nn

from archab.engine.cohort import Cohort, Outcome
from archab.engine.plan import Auto, Candidate, Engine, Method, device_named, threads
from archab.engine.randomness import Stage, forked, generator, stream, tile_size, tiles, words
from archab.errors import ArchabError
from archab.results import Row, Side, frame
from archab.space.examine import Shape, examine
from archab.space.inputs import Inputs, Normal
from archab.space.routine import settings
from archab.space.space import ArchitecturalSpace
from archab.target import Source, Targets, sampled

FEWEST_SAMPLES = 256
PROBE_SAMPLES = 16


@dataclass(frozen=True)
class Protocol:
    """Which students learn targets from which source.

    Attributes:
        lessons: pairs of a source and the sides whose students learn its targets.
        equal_sizes: whether the sides' sizes must match at equal index.
    """

    lessons: tuple[tuple[str, tuple[Side, ...]], ...]
    equal_sizes: bool


PROTOCOLS = {
    "direct": Protocol((("a", ("b",)), ("b", ("a",))), equal_sizes=True),
    "reference": Protocol((("reference", ("a", "b")),), equal_sizes=False),
}


@dataclass(frozen=True)
class Part:
    """A chunk of work whose rows are written together: the targets first … last − 1 of one member and source."""

    member: int
    source: str
    first: int
    last: int

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.member:04d}-{self.source}-{self.first:08d}"


@dataclass(frozen=True)
class Finished:
    """The rows of a part in key order, and how many draws of its targets were refused as constant."""

    rows: list[Row]
    redrawn: int


@dataclass(frozen=True)
class Lesson:
    """What is fixed before training for one member and source.

    Attributes:
        source: where its targets come from.
        methods: how each side's students train, in the order of the protocol.
        parts: its chunks.
    """

    source: Source
    methods: dict[Side, Method]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Survey:
    """What building every network once tells.

    Attributes:
        protocol: its name.
        sizes: the measure of every member, by side.
        shapes: what else is known of every member, by side.
        samples: training samples a target, by member and source.
        learners: the sides whose students learn them.
        notes: sizes and routines that differ.
    """

    protocol: str
    sizes: dict[str, list[float]]
    shapes: dict[str, list[Shape]]
    samples: dict[tuple[int, str], int]
    learners: dict[tuple[int, str], tuple[Side, ...]]
    notes: tuple[str, ...]

    def students(self, comparison: "Comparison") -> int:
        """How many students the run trains."""
        return comparison.targets * comparison.restarts * sum(len(sides) for sides in self.learners.values())


@dataclass(frozen=True)
class Plan:
    """All that is decided before the first student trains.

    Attributes:
        protocol: its name.
        sizes: the measure of every member, by side.
        lessons: by member and source, in the order of the rows.
        notes: what a user should know: sizes that differ, routines that differ, networks that are not batched.
    """

    protocol: str
    sizes: dict[str, list[float]]
    lessons: dict[tuple[int, str], Lesson]
    notes: tuple[str, ...]

    @property
    def parts(self) -> list[Part]:
        """Every chunk, in the order of the rows."""
        return [part for lesson in self.lessons.values() for part in lesson.parts]

    def to_dict(self) -> dict[str, Any]:
        """The plan in plain values, to be stored beside the rows."""
        lessons = [
            {
                "member": member,
                "source": source,
                "samples": lesson.source.samples,
                "tile": lesson.source.tile,
                "chunk": lesson.parts[0].last - lesson.parts[0].first,
                "methods": {side: method.to_dict() for side, method in lesson.methods.items()},
            }
            for (member, source), lesson in self.lessons.items()
        ]
        return {"protocol": self.protocol, "sizes": self.sizes, "lessons": lessons}


@dataclass(frozen=True)
class Comparison:
    """Two architectural spaces, optionally a third, compared on targets drawn from a prior.

    Iterating gives one `Row` per trained student, chunk by chunk; `table()` gives all as a DataFrame.

    Attributes:
        a, b: the sides. Networks are paired at equal index.
        reference: draws the targets that both sides learn; of one member, or as many as the sides have.
        protocol: `reference` (both sides learn each target of the reference; sizes need not match) or `direct` (each
            side learns targets drawn from the other; sizes must match); by default the one that fits.
        targets: targets a member, in `direct` a side.
        restarts: students a side and target.
        seed: of everything random.
        samples: training samples a target, rounded up to whole mini-batches.
        samples_per_measure: the same as a multiple of the measure of the target's network, where `samples` is None.
            Where both are: one sample a learnable parameter of the target's network, and at least 256.
        heldout_samples: fresh samples on which students are scored.
        inputs: distribution of the inputs.
        size_tolerance: relative difference of sizes (of the larger) that `direct` lets pass with a warning.
        engine: how students train together.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.

    Raises:
        ArchabError: if the sides cannot be compared so; what needs a network to be built is found by `plan`.
    """

    a: ArchitecturalSpace
    b: ArchitecturalSpace
    reference: ArchitecturalSpace | None = None
    protocol: str | None = None
    targets: int = 40
    restarts: int = 1
    seed: int = 0
    samples: int | None = None
    samples_per_measure: float | None = None
    heldout_samples: int = 512
    inputs: Inputs = Normal()
    size_tolerance: float = 0.0
    engine: Engine = Auto()
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, least, unit in _COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ArchabError(f"{name}={value!r}: at least {least} {unit} is needed")
        for name in ("samples", "samples_per_measure"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ArchabError(f"{name}={value!r}: more than 0 is needed, or null for the default")
        if not 0 <= self.size_tolerance < 1:
            raise ArchabError(f"size_tolerance={self.size_tolerance}: a share from 0 to below 1 is needed")
        self._check_protocol()
        self._check_spaces()
        device_named(self.device)

    def _check_protocol(self) -> None:
        if self.protocol is not None and self.protocol not in PROTOCOLS:
            raise ArchabError(
                f"protocol={self.protocol}: there are {', '.join(PROTOCOLS)}, and null for the one that fits"
            )
        if self.protocol == "reference" and self.reference is None:
            raise ArchabError("protocol=reference: this space has no third network; give one, or protocol=direct")

    def _check_spaces(self) -> None:
        a, b = self.a, self.b
        if len(a) != len(b):
            raise ArchabError(
                f"members: {a.name} has {len(a)} and {b.name} has {len(b)}; networks are paired at equal index"
            )
        if (kind_a := _kind(a)) != (kind_b := _kind(b)):
            raise ArchabError(f"measure: {a.name} is measured by {kind_a} and {b.name} by {kind_b}; give both the same")
        for name, space in self.spaces.items():
            if space.input_shape != a.input_shape:
                raise ArchabError(
                    f"input_shape: {a.name} has {list(a.input_shape)} and {space.name} ({name}) has "
                    f"{list(space.input_shape)}; both must take the same inputs"
                )
        if self.reference is not None and len(self.reference) not in (1, len(a)):
            raise ArchabError(
                f"members: the reference {self.reference.name} has {len(self.reference)}; one is needed, or {len(a)}"
            )

    @property
    def spaces(self) -> dict[str, ArchitecturalSpace]:
        """The spaces by side."""
        third = {} if self.reference is None else {"reference": self.reference}
        return {"a": self.a, "b": self.b, **third}

    @cached_property
    def survey(self) -> Survey:
        """Build and run every member once.

        Raises:
            ArchabError: if sizes or shapes do not match, or a network cannot be built, run or counted.
        """
        name = self.protocol or ("direct" if self.reference is None else "reference")
        protocol = PROTOCOLS[name]
        used = {s for source, sides in protocol.lessons for s in (source, *sides)}
        sizes = {side: [s.size(m) for m in range(len(s))] for side, s in self.spaces.items() if side in used}
        notes = self._compare_sizes(sizes, protocol)
        shapes = {side: self._examined(side) for side in sizes}
        self._compare_shapes(shapes)
        learners = {(m, source): sides for m in range(len(self.a)) for source, sides in protocol.lessons}
        samples = {}
        for (member, source), sides in learners.items():
            index = self._index(source, member)
            cuts = [minibatch(self.spaces[side], member) for side in sides]
            samples[member, source] = self._samples(sizes[source][index], shapes[source][index].parameters, cuts)
        return Survey(name, sizes, shapes, samples, learners, (*notes, *self._compare_routines()))

    @cached_property
    def plan(self) -> Plan:
        """Decide how every member's students train.

        Raises:
            ArchabError: as `survey` does.
        """
        survey = self.survey
        methods = {(side, m): self._method(side, m) for side in _STUDENTS for m in range(len(self.a))}
        lessons = {key: self._lesson(*key, methods) for key in survey.learners}
        notes = (*survey.notes, *_loops(self.spaces, methods))
        return Plan(survey.protocol, survey.sizes, lessons, tuple(dict.fromkeys(notes)))

    def __iter__(self) -> Iterator[Row]:
        for note in self.plan.notes:
            warnings.warn(note, stacklevel=2)
        for part in self.plan.parts:
            yield from self.run(part).rows

    def table(self) -> pd.DataFrame:
        """Train everything; one row a student, in key order."""
        return frame(self)

    def run(self, part: Part, advance: Callable[[float], None] = lambda students: None) -> Finished:
        """Train the students of one part of the plan.

        Args:
            part: one of `plan.parts`.
            advance: called with the number of students, or the part of one, trained since the last call.
        """
        lesson = self.plan.lessons[part.member, part.source]
        targets = lesson.source.draw(part.first, part.last)
        rows: list[Row] = []
        for side, method in lesson.methods.items():
            with threads(method.threads):
                outcome = method.train(self._cohort(lesson, part, side, targets, advance))
            rows += self._rows(part, side, targets, outcome)
        return Finished(sorted(rows, key=lambda row: (row.draw, row.side, row.restart)), targets.redrawn)

    def _cohort(
        self, lesson: Lesson, part: Part, side: Side, targets: Targets, advance: Callable[[float], None]
    ) -> Cohort:
        space, tile = self.spaces[side], lesson.source.tile
        here = list(tiles(part.first, part.last, tile))

        def draws(stage: Stage, tile: int, restart: int) -> SeedSequence:
            return stream(self.seed, stage, part.source, side, part.member, tile, restart)

        def networks() -> list[nn.Module]:
            drawn: dict[int, list[nn.Module]] = {}
            for restart in range(self.restarts):
                drawn[restart] = []
                for tile, start, stop in here:
                    with forked(draws(Stage.STUDENT, tile, restart)):
                        drawn[restart] += [space.construct(part.member) for _ in range(stop)][start:]
            return [network for target in zip(*drawn.values(), strict=True) for network in target]

        noise = [
            [word for tile, start, stop in here for word in words(draws(Stage.NOISE, tile, restart), stop)[start:]]
            for restart in range(self.restarts)
        ]
        return Cohort(
            networks=networks,
            noise=[word for target in zip(*noise, strict=True) for word in target],
            routine=space.routine_of(part.member),
            minibatch=minibatch(space, part.member),
            inputs=targets.inputs,
            outputs=targets.outputs,
            heldout_inputs=targets.heldout_inputs,
            heldout_outputs=targets.heldout_outputs,
            order=lambda epoch: lesson.source.order(part.first, part.last, epoch),
            restarts=self.restarts,
            device=device_named(self.device),
            advance=advance,
        )

    def _rows(self, part: Part, side: Side, targets: Targets, outcome: Outcome) -> Iterator[Row]:
        size = self.plan.sizes[side][part.member]
        for student, diverged in enumerate(outcome.diverged):
            target, restart = divmod(student, self.restarts)
            yield Row(
                fingerprint="",
                seed=self.seed,
                member=part.member,
                target=targets.names[target],
                draw=part.first + target,
                source=part.source,  # type: ignore[arg-type]
                side=side,
                restart=restart,
                nmse=float(outcome.nmse[student]),
                train_nmse=float(outcome.train_nmse[student]),
                measure=size,
                status="diverged" if diverged else "ok",
            )

    def _examined(self, side: str) -> list[Shape]:
        space = self.spaces[side]
        here = stream(0, Stage.CHECK, side, side, 0, 0, 0)
        shapes = []
        for member in range(len(space)):
            with forked(here):
                samples = minibatch(space, member) if side != "reference" else PROBE_SAMPLES
                inputs = sampled(self.inputs, (max(2, samples), *space.input_shape), generator(here))
                shapes.append(examine(space, member, inputs))
        return shapes

    def _compare_sizes(self, sizes: dict[str, list[float]], protocol: Protocol) -> list[str]:
        a, b = sizes["a"], sizes["b"]
        apart = [abs(x - y) / max(x, y) for x, y in zip(a, b, strict=True)]
        if not protocol.equal_sizes or max(apart) == 0:
            return []
        lists = f"{self.a.name} {_listed(a)} and {self.b.name} {_listed(b)} {self.a.unit}"
        if max(apart) > self.size_tolerance:
            raise ArchabError(
                f"protocol=direct needs equal sizes at equal index, got {lists}; change the members, add a reference, "
                f"or allow it by size_tolerance={math.ceil(max(apart) * 100) / 100:g}"
            )
        return [f"sizes differ by up to {max(apart):.1%}: {lists}"]

    def _compare_shapes(self, shapes: dict[str, list[Shape]]) -> None:
        for member, first in enumerate(shapes["a"]):
            for side, others in shapes.items():
                other = others[member if len(others) > 1 else 0]
                if other.output != first.output:
                    raise ArchabError(
                        f"member {member}: an output of {self.a.name} has shape {list(first.output)}, one of "
                        f"{self.spaces[side].name} ({side}) {list(other.output)}; both must give the same"
                    )

    def _compare_routines(self) -> list[str]:
        notes = []
        for name in ("epochs", "minibatch"):
            values = [[settings(s.routine_of(m)).get(name) for m in range(len(s))] for s in (self.a, self.b)]
            if values[0] != values[1]:
                notes.append(
                    f"unequal training: {name} is {values[0]} for {self.a.name} and {values[1]} for {self.b.name}"
                )
        return notes

    def _method(self, side: Side, member: int) -> Method:
        space, shape = self.spaces[side], self.survey.shapes[side][member]
        here = device_named(self.device)
        return self.engine.method(Candidate(space, member, shape, minibatch(space, member), self.inputs, here))

    def _lesson(self, member: int, source: str, methods: dict[tuple[Side, int], Method]) -> Lesson:
        survey, space, index = self.survey, self.spaces[source], self._index(source, member)
        samples, sides = survey.samples[member, source], survey.learners[member, source]
        shape = survey.shapes[source][index]
        values = math.prod(space.input_shape) + math.prod(shape.output)
        networks = shape.network_bytes + sum(survey.shapes[side][member].network_bytes for side in sides)
        tile = tile_size((samples + self.heldout_samples) * values * 4 + networks)
        chunk = max(1, min(methods[side, member].chunk for side in sides) // self.restarts)
        edges = range(0, self.targets, chunk)
        parts = tuple(Part(member, source, first, min(first + chunk, self.targets)) for first in edges)
        where = Source(space, index, member, source, self.inputs, samples, self.heldout_samples, tile, self.seed)
        return Lesson(where, {side: methods[side, member] for side in sides}, parts)

    def _index(self, source: str, member: int) -> int:
        """A space of one member serves every member."""
        return member if len(self.spaces[source]) > 1 else 0

    def _samples(self, size: float, parameters: int, minibatches: list[int]) -> int:
        if self.samples is not None:
            samples = self.samples
        elif self.samples_per_measure is not None:
            samples = math.ceil(self.samples_per_measure * size)
        else:
            samples = max(FEWEST_SAMPLES, parameters)
        whole = math.lcm(*minibatches)
        return -(-samples // whole) * whole


def minibatch(space: ArchitecturalSpace, member: int) -> int:
    """Samples a mini-batch of this member's routine: its setting `minibatch`, else 16."""
    return int(settings(space.routine_of(member)).get("minibatch", 16))


_STUDENTS: tuple[Side, ...] = ("a", "b")
_COUNTS = (
    ("targets", 1, "target a member"),
    ("restarts", 1, "student a side and target"),
    ("heldout_samples", 2, "held-out samples"),
    ("seed", 0, "as a whole number"),
)


def _kind(space: ArchitecturalSpace) -> str:
    return space.measure if isinstance(space.measure, str) else "numbers given by the user"


def _listed(sizes: list[float]) -> str:
    return "[" + ", ".join(f"{size:g}" for size in sizes) + "]"


def _loops(spaces: dict[str, ArchitecturalSpace], methods: dict[tuple[Side, int], Method]) -> list[str]:
    return [
        f"{spaces[side].name} is trained one student after another: {method.why}"
        for (side, _), method in methods.items()
        if method.why
    ]
