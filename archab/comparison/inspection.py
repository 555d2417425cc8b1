"""What building every network once tells: sizes, shapes and samples, and whether the sides can be compared at all."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from archab.comparison.protocol import Protocol
from archab.errors import ArchabError, explain
from archab.networks.population import Draws, answer_together, why_not_together, why_whole
from archab.networks.probe import Shape, check_drawn, examine
from archab.networks.streams import Stage, forked, generator, stream
from archab.results import Side
from archab.space.inputs import Inputs
from archab.space.routine import Descent, epochs_of, settings
from archab.space.seeding import unseeded
from archab.space.space import ArchitecturalSpace
from archab.targets.base import sampled
from archab.targets.task import Task

FEWEST_SAMPLES = 256
WORTH_SAYING = 0.05  # relative difference of sizes

Spaces = dict[str, ArchitecturalSpace]


@dataclass(frozen=True)
class Survey:
    """The facts of a comparison before training.

    Attributes:
        sizes: the measure of every member, by side.
        shapes: what else is known of every member, by side.
        samples: training samples a target, by member and source.
        learners: the sides whose students learn them.
        draws: how networks of every member are drawn and answer, by side.
        notes: sizes that differ where they must match, and constructors that would seed.
        unequal: training that differs.
        apart: sizes that differ by more than 5% where they need not match; empty where none do.
    """

    sizes: dict[str, list[float]]
    shapes: dict[str, list[Shape]]
    samples: dict[tuple[int, str], int]
    learners: dict[tuple[int, str], tuple[Side, ...]]
    draws: dict[str, list[Draws]]
    notes: tuple[str, ...]
    unequal: tuple[str, ...]
    apart: str


def survey(
    spaces: Spaces,
    protocol: Protocol,
    inputs: Inputs,
    samples: int | None,
    samples_per_measure: float | None,
    size_tolerance: float,
    target: Sequence[Task] = (),
    heldout: int = 0,
) -> Survey:
    """Build and run every member of the spaces that the protocol uses.

    Args:
        spaces: by side.
        protocol: who learns what.
        inputs: of all of them.
        samples, samples_per_measure, size_tolerance: see `archab.comparison.comparison.Comparison`.
        target: the tasks that are learnt in the place of a space's networks.
        heldout: held-out samples, which a data set must have beside.

    Raises:
        ArchabError: if sizes or shapes do not match, a network cannot be built, run or counted, or a routine is to
            take fewer steps than an epoch has.
    """
    used = {side for source, sides in protocol.lessons for side in (source, *sides)}
    sizes = {side: [s.size(m) for m in range(len(s))] for side, s in spaces.items() if side in used}
    notes = _compare_sizes(spaces, sizes, size_tolerance) if protocol.equal_sizes else []
    found = {side: _examined(side, spaces[side], inputs) for side in sizes}
    shapes = {side: [shape for shape, _ in members] for side, members in found.items()}
    draws = {side: [how for _, how in members] for side, members in found.items()}
    _compare_shapes(spaces, shapes)
    members = range(len(spaces["a"]))
    learners = {(member, source): sides for member in members for source, sides in protocol.lessons}
    counts = {}
    for (member, source), sides in learners.items():
        cuts = [minibatch(spaces[side], member) for side in sides]
        of = sides if target else (source,)  # of tasks, the larger side says how many samples
        size, parameters = (
            max(found[index_of(spaces[side], member)] for side, found in each.items() if side in of)
            for each in (sizes, {side: [shape.parameters for shape in own] for side, own in shapes.items()})
        )
        task = target[member if len(target) > 1 else 0] if target else None
        if task and task.rows is not None and samples is None and samples_per_measure is None:
            counts[member, source] = _all(task, heldout, cuts)
        else:
            counts[member, source] = _whole(_asked(samples, samples_per_measure, size, parameters), cuts)
        for side, cut in zip(sides, cuts, strict=True):
            _check_steps(spaces[side], member, counts[member, source] // cut)
    notes += [*_passed_over(spaces, sizes), *_underflowing(spaces, sizes)]
    apart = "" if protocol.equal_sizes else _apart(spaces, sizes)
    unequal = _compare_routines(spaces, learners, counts)
    return Survey(sizes, shapes, counts, learners, draws, tuple(notes), unequal, apart)


def index_of(space: ArchitecturalSpace, member: int) -> int:
    """The index of a member's network in a space: a space of one member serves every member."""
    return member if len(space) > 1 else 0


def minibatch(space: ArchitecturalSpace, member: int) -> int:
    """Samples a mini-batch of this member's routine: its setting `minibatch`, else 16."""
    return int(settings(space.routine_of(member)).get("minibatch", 16))


def _examined(side: str, space: ArchitecturalSpace, inputs: Inputs) -> list[tuple[Shape, Draws]]:
    here = stream(0, Stage.CHECK, side, side, 0, 0, 0)
    found = []
    for member in range(len(space)):
        where, make = f"{space.name}: member {member}", partial(space.drawn, member)
        check_drawn(where, make, partial(forked, here))
        with forked(here):
            network, one, other = make(), make(), make()
            shape = (max(2, minibatch(space, member)), *space.input_shape)
            x = sampled(inputs, (2, *shape), generator(here))
            examined = examine(where, space.converted(network), x[0])
        try:
            whole = why_whole(one, other, x[1])
        except Exception as error:  # whatever a user's network makes of a training step
            raise ArchabError(f"{where} could not make a training step: {explain(error)}") from error
        together = whole is None and why_not_together(make, here) is None
        answering = together and answer_together([network, space.converted(one)], x)
        found.append((examined, Draws(together, answering, whole)))
    return found


def _passed_over(spaces: Spaces, sides: Iterable[str]) -> list[str]:
    """A note for each space whose constructor would seed the generators."""
    notes = []
    for side in sides:
        with forked(stream(0, Stage.CHECK, side, side, 0, 0, 0)), unseeded() as calls:
            spaces[side].construct(0)
        if calls:
            notes.append(
                f"{spaces[side].name}: its constructor calls {calls[0]}, which is passed over: networks are drawn from "
                "the run's seed"
            )
    return notes


def _underflowing(spaces: Spaces, sides: Iterable[str]) -> list[str]:
    """A note for each space in float16 whose routine is Adam with an epsilon that is nothing there."""
    tiny = torch.finfo(torch.float16).tiny
    return [
        f"{spaces[side].name}: in float16 the squares of small gradients are 0, and eps={eps:g} alone divides the "
        "steps; take routine.eps=1e-4, sgd or bfloat16"
        for side in sides
        if spaces[side].dtype == torch.float16
        and 0 <= (eps := settings(spaces[side].routine_of(0)).get("eps", tiny)) < tiny
    ]


def _compare_sizes(spaces: Spaces, sizes: dict[str, list[float]], tolerance: float) -> list[str]:
    apart = max(abs(x - y) / max(x, y) for x, y in zip(sizes["a"], sizes["b"], strict=True))
    if apart == 0:
        return []
    a, b = spaces["a"], spaces["b"]
    lists = f"{a.name} {_listed(sizes['a'])} and {b.name} {_listed(sizes['b'])} {a.unit}"
    if apart > tolerance:
        raise ArchabError(
            f"sizes must be equal at equal index, got {lists}; change the members, add a reference, or allow it by "
            f"size_tolerance={math.ceil(apart * 100) / 100:g}"
        )
    return [f"sizes differ by up to {apart:.1%}: {lists}"]


def _apart(spaces: Spaces, sizes: dict[str, list[float]]) -> str:
    ratios = [y / x for x, y in zip(sizes["a"], sizes["b"], strict=True)]
    if all(1 / (1 + WORTH_SAYING) <= ratio <= 1 + WORTH_SAYING for ratio in ratios):
        return ""
    low, high = (f"{ratio:.3g}" for ratio in (min(ratios), max(ratios)))
    times = low if low == high else f"{low} to {high}"
    return (
        f"unequal sizes: {spaces['b'].name} has {times} times the size of {spaces['a'].name}; "
        "members: {match: a, by: …} in the space's file solves for equal ones"
    )


def _check_steps(space: ArchitecturalSpace, member: int, epoch: int) -> None:
    routine = space.routine_of(member)
    if isinstance(routine, Descent) and routine.steps is not None and routine.steps < epoch:
        raise ArchabError(
            f"routine.steps={routine.steps}: an epoch of {space.name}, member {member}, has {epoch:,} steps; at least "
            "one epoch is needed"
        )


def _compare_shapes(spaces: Spaces, shapes: dict[str, list[Shape]]) -> None:
    for member, first in enumerate(shapes["a"]):
        for side, others in shapes.items():
            other = others[index_of(spaces[side], member)]
            if other.output != first.output:
                raise ArchabError(
                    f"member {member}: an output of {spaces['a'].name} has shape {list(first.output)}, one of "
                    f"{spaces[side].name} ({side}) {list(other.output)}; both must give the same"
                )


def _compare_routines(
    spaces: Spaces, learners: dict[tuple[int, str], tuple[Side, ...]], counts: dict[tuple[int, str], int]
) -> tuple[str, ...]:
    a, b, notes = spaces["a"], spaces["b"], []
    batches: dict[tuple[str, int], int] = {
        (side, member): samples // minibatch(spaces[side], member)
        for key, samples in counts.items()
        for member, sides in [(key[0], learners[key])]
        for side in sides
    }
    for name in ("epochs", "minibatch", "steps"):
        values: list[list[object]] = [
            [
                epochs_of(s.routine_of(m), batches[side, m])
                if name == "epochs"
                else settings(s.routine_of(m)).get(name)
                for m in range(len(s))
            ]
            for side, s in (("a", a), ("b", b))
        ]
        if values[0] != values[1] and None not in (*values[0], *values[1]):
            one, two = (str(v[0]) if len(set(v)) == 1 else str(v) for v in values)
            notes.append(f"unequal training: {name} is {one} for {a.name} and {two} for {b.name}")
    return tuple(notes)


def _asked(samples: int | None, per_measure: float | None, size: float, parameters: float) -> int:
    if samples is not None:
        return samples
    if per_measure is not None:
        return math.ceil(per_measure * size)
    return max(FEWEST_SAMPLES, int(parameters))


def _whole(samples: int, minibatches: list[int]) -> int:
    """The next larger number of samples that is a whole number of every side's mini-batches."""
    whole = math.lcm(*minibatches)
    return -(-samples // whole) * whole


def _all(task: Task, heldout: int, minibatches: list[int]) -> int:
    """What a data set has beside the held-out rows, in whole mini-batches."""
    whole, rows = math.lcm(*minibatches), task.rows or 0
    if rows - heldout < whole:
        raise ArchabError(
            f"heldout_samples={heldout}: {task.name} has {rows:,} rows, and at least {whole} more are needed to learn; "
            f"such as heldout_samples={rows // 5}"
        )
    return (rows - heldout) // whole * whole


def _listed(sizes: list[float]) -> str:
    return "[" + ", ".join(f"{size:g}" for size in sizes) + "]"
