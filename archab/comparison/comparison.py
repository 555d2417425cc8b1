"""The comparison: two spaces, a protocol, and the rows of their students; no files, MLflow, Hydra or progress bars."""

import math
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from threading import Event, Lock
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.random import SeedSequence
from torch import Tensor

from archab.comparison import budget, contrast, products, tuning
from archab.comparison.ahead import ahead
from archab.comparison.alone import ALONE, alone, found_alone
from archab.comparison.checks import check
from archab.comparison.costs import Counted, costs_of, counted
from archab.comparison.duration import lasting
from archab.comparison.inspection import Survey, index_of, minibatch, survey
from archab.comparison.matching import matched
from archab.comparison.plan import Drawn, Finished, Lesson, Part, Plan
from archab.comparison.protocol import PROTOCOLS, Protocol
from archab.comparison.study import study_of, unlike
from archab.comparison.tuning import FEWEST, Tune
from archab.engine import control
from archab.engine.cohort import Cohort, Outcome, until
from archab.engine.curve import Curve, quartiles
from archab.engine.equivalence import Sample
from archab.engine.loss import Loss, SquaredError, constants, named
from archab.engine.loss import kind as kind_of
from archab.engine.plan import (
    Auto,
    Candidate,
    Engine,
    Method,
    Recorded,
    cores,
    device_named,
    side_by_side,
    threads,
    with_students,
)
from archab.errors import ArchabError
from archab.evidence import words
from archab.evidence.budget import in_words, ladder, length, settled
from archab.evidence.contrast import Contrast
from archab.evidence.study import Study
from archab.evidence.tuning import TRIAL_COLUMNS, Trial, choose, text_of
from archab.networks import population
from archab.networks.population import Population, interleaved, joined
from archab.networks.signature import signature
from archab.networks.streams import Stage, forked, stream, tile_size, tiles
from archab.networks.streams import words as numbered
from archab.results import CONTROLS, Row, Side, columns, curve_frame, frame, rows_of, spent_frame, together
from archab.runs.identity import in_force
from archab.space.inputs import Inputs, Normal
from archab.space.routine import Routine, epochs_of, kind, settings
from archab.space.space import ArchitecturalSpace, repeated
from archab.targets import linear
from archab.targets.base import Targets, TargetSource
from archab.targets.function import tasks
from archab.targets.network import NetworkSource
from archab.targets.noise import Noisy
from archab.targets.task import Task, TaskInputs, TaskSource, place

CONTROL_STUDENTS = 8  # a member at least
ORDERS = 2**25  # bytes of the orders of epochs that are kept for the other side


@dataclass(frozen=True)
class Comparison:
    """Two architectural spaces compared on targets: of a third, of either, or of a task that is no network.

    Iterating gives one `Row` per trained student, chunk by chunk; `table()` gives all as a DataFrame, and `study()` all
    that must be known to judge them.

    Attributes:
        a, b: the sides. Networks are paired at equal index.
        reference: draws the targets that both sides learn; of one member, or as many as the sides have.
        protocol: `reference` (both sides learn each target of the reference; sizes need not match), `crossed` (both
            learn each target, half drawn from A and half from B; sizes must match), `direct` (each side learns targets
            drawn from the other; sizes must match) or `aa` (A against itself); by default `reference` or `crossed`.
        targets: targets a member, in `direct` a side; an even number in `crossed`.
        restarts: students a side and target.
        seed: of everything random.
        samples: training samples a target, rounded up to whole mini-batches.
        samples_per_measure: the same as a multiple of the measure of the target's network, where `samples` is None.
            Where both are: one sample a learnable parameter of the target's network, and at least 256.
        heldout_samples: fresh samples on which students are scored.
        inputs: distribution of the inputs.
        size_tolerance: relative difference of sizes that `crossed` and `direct` let pass with a warning.
        engine: how students train together.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.
        tune: hyperparameters that are tried on both sides before they are compared; None for none.
        budget: `auto` doubles the epochs of all sides until neither's error on tuning targets falls by more than 5%;
            None for the length that the routines say.
        budget_limit: the most times as long that this may become.
        loss: what students minimise and are scored by, relative to the best constant (`archab.engine.loss`): mse, mae,
            huber, cross_entropy or binary_cross_entropy, an object, or a function of predictions and outputs.
        target: what is learnt in the place of a reference's networks: a function of the inputs, or a task
            (`archab.targets`); a list holds one a member, and sides of one network then learn each of them.
        noise: the standard deviation of noise on training outputs, whose own is 1; of labels the share that is wrong.
            Scores are on clean outputs.
        trials: of a comparison that is such a trial (see `attempts`): by what each restart trains.
        tuning: what such trials gave, by which the routines were chosen.

    Raises:
        ArchabError: if the sides cannot be compared so, or a prior not matched to the other side; what else needs a
            network to be built is found by `plan`.

    Example:
        >>> from functools import partial
        >>> from archab.space.architectures import deep
        >>> members, shape = [{"rank": 1}, {"rank": 2}], [4]
        >>> a = ArchitecturalSpace(partial(deep.n_diagonal, dim=4, depth=1), members, shape, name="bands")
        >>> b = ArchitecturalSpace(partial(deep.lora, dim=4, depth=1), members, shape, name="LoRA")
        >>> full = ArchitecturalSpace(partial(deep.dense, dim=4, depth=1), {}, shape, name="full matrices")
        >>> comparison = Comparison(a, b, full, targets=3, samples=64, heldout_samples=32)
        >>> comparison.protocol_name, comparison.students
        ('reference', 12)
        >>> sorted({(row.member, row.side) for row in comparison})
        [(0, 'a'), (0, 'b'), (1, 'a'), (1, 'b')]
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
    tune: Tune | None = None
    budget: str | None = None
    budget_limit: int = 16
    loss: Loss = SquaredError()
    target: Any = None
    noise: float = 0.0
    trials: tuple[Trial, ...] = ()
    tuning: pd.DataFrame | None = None

    @alone
    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", named(self.loss))
        object.__setattr__(self, "target", tasks(self.target))
        if len(self.target) > 1:
            for name in _STUDENTS:
                object.__setattr__(self, name, repeated(getattr(self, name), len(self.target)))
        if not self.trials:
            check(self)
        for side, space in matched({"a": self.a, "b": self.b, "reference": self.reference}, self.given).items():
            object.__setattr__(self, side, space)

    @property
    def rules(self) -> Protocol:
        """The protocol in force."""
        return PROTOCOLS[self.protocol_name]

    @property
    def protocol_name(self) -> str:
        """The protocol that was asked for, else the one that fits."""
        return in_force(self.protocol, self.reference is not None or bool(self.target))

    @property
    def spaces(self) -> dict[str, ArchitecturalSpace]:
        """The spaces by side; against itself, A is on both sides and, where there is no third, draws the targets."""
        b, third = self.b, self.reference
        if self.rules.twins:
            b = replace(self.a, name=f"{self.a.name} again")
            third = third or (None if self.target else self.a)
        return {"a": self.a, "b": b, **({} if third is None else {"reference": third})}

    @found_alone
    def given(self) -> Inputs:
        """What inputs are like, also where no target is drawn: those of the task, if it has its own."""
        return TaskInputs(self.target[0], self.inputs, tuple(self.a.input_shape)) if self.target else self.inputs

    def task(self, member: int) -> Task:
        """The task that a member learns, where targets come from no space."""
        found: Task = self.target[member if len(self.target) > 1 else 0]
        return found

    @found_alone
    def labelled(self) -> bool:
        """Whether a task gives labels."""
        return bool(self.target) and self._task_source(self.survey, 0, 1).labelled()

    @property
    def scope(self) -> str:
        """Where a verdict holds, if on no distribution of functions."""
        places = list(dict.fromkeys(filter(None, map(place, self.target))))
        return words.listed(places) if places else ""

    @property
    def overlap(self) -> float:
        """Held-out over training rows, where targets are splits of one data set; else 0."""
        if not any(task.rows is not None for task in self.target):
            return 0.0
        return self.heldout_samples / min(self.survey.samples.values())

    @property
    def students(self) -> int:
        """How many students the run trains."""
        lessons = sum(len(sides) for _, sides in self.rules.lessons)
        return len(self.a) * lessons * self._draws * self.restarts

    def students_of(self, part: Part) -> int:
        """How many of them are trained in one part of the plan."""
        return part.targets * self.restarts * len(self._learning(part))

    @property
    def _draws(self) -> int:
        """Targets a member and source."""
        return self.targets // 2 if self.rules.divided else self.targets

    @found_alone
    def survey(self) -> Survey:
        """Build and run every member once.

        Raises:
            ArchabError: if sizes or shapes do not match, or a network cannot be built, run or counted.
        """
        asked = self.samples, self.samples_per_measure, self.size_tolerance
        with threads(1):
            known = survey(self.spaces, self.rules, self.given, *asked, self.target, self.heldout_samples)
            if self.target and not self.trials:
                for member in range(len(self.a)):
                    self._task_source(known, member, 1).check()
        return known

    @found_alone
    def contrast(self) -> tuple[Contrast, ...]:
        """How far the sides' functions are apart before training, a member each; none where a side meets itself."""
        return () if self.rules.twins else contrast.contrasts(self.spaces, self.given)

    @found_alone
    def counted(self) -> tuple[Counted, ...]:
        """What of a student's costs is a matter of shapes, a row a member and side."""
        return counted(self.spaces)

    @found_alone
    def plan(self) -> Plan:
        """Decide how every member's students train.

        Raises:
            ArchabError: as `survey` does.
        """
        lessons = {key: self._lesson(*key) for key in self.survey.learners}
        slower = [method.note for method in self._methods.values() if method.note]
        known = self.survey
        apart = [known.apart] if known.apart else []
        unequal = (*apart, *known.unequal, *products.unequal(self.spaces, self.given))
        notes = (*known.notes, *unequal, *_loops(self.spaces, self._methods), *slower)
        return Plan(
            protocol=self.protocol_name,
            sizes=self.survey.sizes,
            memory=self._memory,
            made_by={"torch": torch.__version__, "device": str(device_named(self.device))},
            methods=self._methods,
            lessons=lessons,
            tuned=self._chosen,
            notes=tuple(dict.fromkeys(notes)),
        )

    @found_alone
    def expected(self) -> float:
        """Seconds that the students of all parts are going to take; those of short runs are not counted."""
        students = [key for key in self.candidates if key[0] != "reference"]
        return sum(lasting(self.candidates[key], self.plan.methods[key]) for key in students)

    def reseeded(self, seed: int) -> "Comparison":
        """The same of another seed, with what is known already of the networks and of the engines that train them."""
        if seed == self.seed:
            return self
        other = replace(self, seed=seed)
        known = "survey", "contrast", "counted", "candidates", "_methods", "_of_trials", "expected"
        vars(other).update({name: vars(self)[name] for name in known if name in vars(self)})
        return other

    def attempts(self, trials: Sequence[Trial]) -> "Comparison":
        """The trials of tuning as a comparison: targets of a stream of their own, and a restart for each trial.

        All restarts of a target begin as the same network and meet the same noise; `restart` in the rows counts trials.
        """
        targets = max(self.tuned_by.targets, -(-FEWEST // len(self.a)))
        targets += targets % 2 if self.rules.divided else 0
        tried = replace(self, targets=targets, restarts=len(trials), seed=tuning.SEED, trials=tuple(trials))
        vars(tried)["survey"] = self.survey  # which hangs on none of these
        # As its first trials were trained, whatever fewer further ones would be worth.
        vars(tried)["_methods"] = vars(self)["_of_trials"] = vars(self).get("_of_trials") or tried._methods
        return tried

    def tuned(self, table: pd.DataFrame) -> "Comparison":
        """The same with the routines and the length that these trials chose.

        See `archab.evidence.tuning.choose` and `archab.evidence.budget.length`.
        """
        chosen = choose(settled(table)).chosen
        longer = self.lasting(length(ladder(table)) if self.budget else 1)
        found: dict[str, Any] = {side: tuning.by(getattr(longer, side), trial) for side, trial in chosen.items()}
        return replace(longer, **found, tuning=table)

    @property
    def _chosen(self) -> dict[str, dict[str, Any]] | None:
        """By which hyperparameters each side trains, where trials chose them; with the epochs, where they did, too."""
        if self.tuning is None:
            return None
        chosen = choose(settled(self.tuning)).chosen
        if self.budget is None:
            return chosen
        return {side: own | {"epochs": settings(self.spaces[side].routine)["epochs"]} for side, own in chosen.items()}

    @property
    def tuned_by(self) -> Tune:
        """What is tried: by `budget=auto` alone, what the routines say."""
        return self.tune or Tune({})

    @property
    def settles(self) -> bool:
        """Whether anything about the routines is chosen by trials before the sides are compared."""
        return self.tune is not None or self.budget is not None

    def batches(self, side: str) -> list[int]:
        """Mini-batches of an epoch, by index in the space of a side."""
        space, survey = self.spaces[side], self.survey
        samples: dict[int, int] = {}
        for (member, source), sides in survey.learners.items():
            if side in sides or side == source == "reference":
                samples.setdefault(index_of(space, member), survey.samples[member, source])
        return [count // minibatch(space, index) for index, count in sorted(samples.items())]

    def steps(self, side: str) -> list[int]:
        """Steps that a student of each member takes; of a routine that knows no epochs, those of one."""
        space = self.spaces[side]
        taken = [n * (epochs_of(space.routine_of(i), n) or 1) for i, n in enumerate(self.batches(side))]
        return [taken[index_of(space, member)] for member in range(len(self.a))]

    def lasting(self, times: int) -> "Comparison":
        """The same with routines that train so many times as long."""
        if times == 1:
            return self
        sides = ["a", *(["b"] if self.spaces["b"] is self.b else []), *(["reference"] if self.reference else [])]
        found: dict[str, Any] = {
            side: replace(space, routine=budget.lasting(space, self.batches(side), times))
            for side in sides
            for space in [getattr(self, side)]
        }
        longer = replace(self, **found)
        vars(longer)["survey"] = self.survey  # which hangs on no length
        return longer

    def valid(self, trial: Trial) -> bool:
        """Whether the routines of all sides take these hyperparameters."""
        try:
            for side in tuning.tunable(self.tuned_by, self.spaces):
                tuning.by(self.spaces[side], trial)
        except ArchabError:
            return False
        return True

    @found_alone
    def ready(self) -> "Comparison":
        """The same with routines that are chosen: itself, where nothing is to be tuned or all trials are known."""
        if not self.settles or self.tuning is not None or self.trials:
            return self

        def run(tried: Comparison) -> pd.DataFrame:
            return tried.attempted(tried.finished(tried.plan.parts))

        return self.tuned(self.search(lambda times, tried: run(tried), lambda line: None))

    def search(self, run: Callable[[int, "Comparison"], pd.DataFrame], said: Callable[[str], None]) -> pd.DataFrame:
        """All trials by which the routines and their length are chosen.

        Args:
            run: trains such trials (see `attempts`) of so many times the length, and gives their table.
            said: hears of every length.
        """

        def at(times: int) -> pd.DataFrame:
            longer = self.lasting(times)
            return tuning.search(longer.tuned_by, lambda trials: run(times, longer.attempts(trials)), longer.valid)

        if self.budget is None:
            return at(1)
        names = self.a.name, self.spaces["b"].name
        return budget.climb(self.budget_limit, at, lambda rung: said(in_words(rung, names)))

    def attempted(self, finished: Iterable[Finished]) -> pd.DataFrame:
        """The rows of `attempts` as `archab.evidence.tuning.choose` reads them."""
        return self.attempted_rows(together([one.table for one in finished]))

    def attempted_rows(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The same of rows that are a table."""
        rows = rows.assign(trial=[text_of(self.trials[i]) for i in rows["restart"]])
        if self.budget is None:
            return rows[list(TRIAL_COLUMNS)]
        taken = {side: self.steps(side) for side in rows["side"].unique()}
        steps = [taken[side][member] for side, member in zip(rows["side"], rows["member"], strict=True)]
        return rows[list(TRIAL_COLUMNS)].assign(steps=steps)

    def by(self, plan: dict[str, Any]) -> "Comparison":
        """The same comparison by the engines, chunks and threads of a plan, as `Plan.to_dict` gave it."""
        return replace(
            self, engine=Recorded(plan["memory"], tuple(plan["methods"]), getattr(self.engine, "workers", 1))
        )

    def __iter__(self) -> Iterator[Row]:
        self.ready._warn()
        return self.ready._all()

    def table(self) -> pd.DataFrame:
        """Train everything; one row a student, in key order. Its `attrs` hold the rest of what `study` gives."""
        self.ready._warn()
        return self.ready._study().table()

    def study(self, advance: Callable[[float], None] = lambda students: None) -> Study:
        """Train everything, the control too: the rows with all that must be known to judge them.

        For `advance` see `run`.
        """
        self.ready._warn()
        return self.ready._study(advance)

    def _study(self, advance: Callable[[float], None] = lambda students: None) -> Study:
        parts = self.plan.parts
        finished = dict(zip(parts, self.finished(parts, advance), strict=True))
        curves = [
            curve_frame(self.seed, part.member, part.source, one.curves)
            for part, one in finished.items()
            if part.first == 0
        ]
        control = [row for member in range(len(self.a)) for row in self.control(member)]
        rows = together([one.table for one in finished.values()])
        costs = costs_of(self.counted, spent_frame(side for one in finished.values() for side in one.spent))
        return study_of(self, rows, frame(control) if control else None, pd.concat(curves, ignore_index=True), costs)

    def _warn(self) -> None:
        for note in (*self.plan.notes, *unlike(self)):
            warnings.warn(note, stacklevel=_outside())

    def _all(self) -> Iterator[Row]:
        for one in self.finished(self.plan.parts):
            yield from rows_of(one.table)

    def finished(
        self, parts: Iterable[Part], advance: Callable[[float], None] = lambda students: None
    ) -> Generator[Finished, None, None]:
        """What each part gives, in this order: where programs train, each is drawn while the one before it trains.

        For `advance` see `run`.
        """
        train = [m for (side, _), m in self.plan.methods.items() if side in _STUDENTS or self.trials]
        if any(method.engine != "compiled" for method in train):
            yield from (self.run(part, advance) for part in parts)
            return
        stopped = Event()
        draw = partial(self._draw, advance=until(stopped, advance))
        yield from ahead(parts, draw, partial(self._train, workers=cores()), stopped.set)

    def run(self, part: Part, advance: Callable[[float], None] = lambda students: None) -> Finished:
        """Train the students of one part of the plan.

        Args:
            part: one of `plan.parts`.
            advance: called with the number of students, or the part of one, trained since the last call.
        """
        return self._train(self._draw(part, advance), cores())

    @alone
    def _draw(self, part: Part, advance: Callable[[float], None]) -> Drawn:
        """Its targets, and its students where programs train them: others are drawn when it is their turn."""
        lesson = self.plan.lessons[part.member, part.source]
        targets, constant = self._sampled(lesson, part)
        order = _once(partial(lesson.source.order, part.first, part.last), 8 * part.targets * lesson.source.samples)
        curves: dict[str, list[Curve]] = {side: [] for side in self._learning(part)}
        cohorts = []
        for side in curves:
            for routines in self._together(side, part.member):
                method = self._method(side, part)
                cohort = self._cohort(lesson, part, side, targets, constant, list(routines.values()), advance)
                cohort = replace(cohort, order=order, curves=None if part.first else curves[side])
                cohorts.append(
                    (side, list(routines), method, with_students(cohort) if method.engine == "compiled" else cohort)
                )
        return Drawn(part, targets, constant, cohorts, curves)

    def _train(self, drawn: Drawn, workers: int) -> Finished:
        part, targets = drawn.part, drawn.targets
        with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as beside:
            line = beside.submit(linear.errors, targets, self.loss, drawn.constant[1]) if not self.trials else None
            with ALONE if any(m.engine != "compiled" for _, _, m, _ in drawn.cohorts) else nullcontext():
                outcomes = side_by_side([(method, cohort) for _, _, method, cohort in drawn.cohorts], workers)
        beaten = np.full(part.targets, np.nan) if line is None else line.result()
        tables, spent = [], []
        for (side, restarts, _, _), outcome in zip(drawn.cohorts, outcomes, strict=True):
            tables.append(self._table(part, side, targets, restarts, outcome, beaten))
            students = len(outcome.diverged)
            spent.append((part.member, side, students, outcome.steps, outcome.seconds / students))
        curves = {side: quartiles(own) for side, own in drawn.curves.items()}
        return Finished(together(tables), targets.redrawn, curves, spent)

    @alone
    def control(self, member: int) -> list[Row]:
        """Train students of the reference's own family on the first targets of a member, by their own routine.

        They show whether size or training limits the sides: 8 a member, or more where members are few, 32 in all. What
        they answer passes through each target's own location and scale, see `archab.engine.control.Standardised`.
        Empty where they could show nothing: where the protocol has no reference, all draws of the reference are one
        function, or the member of a side is of the reference's own family and size.
        """
        if member not in self.controlled:
            return []
        lesson = self.plan.lessons[member, "reference"]
        each = max(CONTROL_STUDENTS, -(-CONTROLS // len(self.controlled)))
        part = Part(member, "reference", 0, min(each, self._draws))
        targets, constant = self._sampled(lesson, part)
        with threads(1):
            beaten = linear.errors(targets, self.loss, constant[1])
        routine = self.spaces["reference"].routine_of(index_of(self.spaces["reference"], member))
        cohort = self._cohort(lesson, part, "reference", targets, constant, [routine], lambda _: None)
        [outcome] = side_by_side([(self._method("reference", part), cohort)], cores())
        return list(rows_of(self._table(part, "reference", targets, [0], outcome, beaten)))

    @found_alone
    def controlled(self) -> list[int]:
        """The members that a control tells something about."""
        if not self.rules.reference or self.rules.twins or self.target:
            return []
        return [m for m in range(len(self.a)) if self._control_tells(m)]

    def _control_tells(self, member: int) -> bool:
        third = self.spaces["reference"]
        index = index_of(third, member)
        if self.candidates["reference", index].sample.one_function:
            return False
        with forked(stream(self.seed, Stage.CHECK, "reference", "reference", member, 0, 0)):
            own = signature(third.construct(index))
        return all(signature(self.candidates[side, member].sample.networks[0]) != own for side in _STUDENTS)

    def tile(self, member: int, source: str) -> int:
        """How many targets of one member and source are drawn from one stream."""
        known = self.survey
        networks = 0 if self.target else known.shapes[source][index_of(self.spaces[source], member)].network_bytes
        networks += sum(known.shapes[side][member].network_bytes for side in known.learners[member, source])
        return tile_size(self._bytes_of_samples(member, source) + networks)

    @property
    def _memory(self) -> int:
        return getattr(self.engine, "memory", 1024)

    @found_alone
    def _methods(self) -> dict[tuple[str, int], Method]:
        """How the networks of each side and of the reference train and answer, by index."""
        return dict(zip(self.candidates, self.engine.methods(list(self.candidates.values())), strict=True))

    @found_alone
    def candidates(self) -> dict[tuple[str, int], Candidate]:
        """What the engine decides from, by side and index."""
        sides = [*_STUDENTS, *(["reference"] if "reference" in self.survey.shapes else [])]
        keys = [(side, index) for side in sides for index in range(len(self.spaces[side]))]
        return {key: self._candidate(*key) for key in keys}

    def _learning(self, part: Part) -> list[str]:
        """The sides that learn the targets of a part; the reference tries, too, where its control tells anything."""
        tried = self.trials and self.tune is not None and "reference" in tuning.tunable(self.tune, self.spaces)
        tried = tried and part.source == "reference" and part.member in self.controlled
        return [*self.plan.lessons[part.member, part.source].methods, *(["reference"] if tried else [])]

    def _together(self, side: str, member: int) -> list[dict[int, Routine]]:
        """Routines by restart, in groups whose students can train together."""
        space = self.spaces[side]
        index = index_of(space, member)
        if not self.trials:
            return [dict.fromkeys(range(self.restarts), space.routine_of(index))]
        tune = self.tuned_by
        own = list(self.trials) if tune.alike else list(tune.trials(side))
        groups: dict[Any, dict[int, Routine]] = {}
        for i, trial in enumerate(self.trials):
            if trial in own:
                routine = tuning.by(space, trial).routine_of(index)
                groups.setdefault(kind(routine), {})[i] = routine
        return list(groups.values())

    def _method(self, side: str, part: Part) -> Method:
        return self._methods[side, index_of(self.spaces[side], part.member)]

    def _sampled(self, lesson: Lesson, part: Part) -> tuple[Targets, tuple[Tensor, Tensor]]:
        """Its targets, and of each the error of the best constant on its training and its held-out samples."""
        with threads(1):
            targets = lesson.source.draw(part.first, part.last)
            return targets, (constants(self.loss, targets.outputs), constants(self.loss, targets.heldout_outputs))

    def _cohort(
        self,
        lesson: Lesson,
        part: Part,
        side: str,
        targets: Targets,
        constant: tuple[Tensor, Tensor],
        routines: Sequence[Routine],
        advance: Callable[[float], None],
    ) -> Cohort:
        index, restarts = index_of(self.spaces[side], part.member), len(routines)
        space = self._standardised(side, index)
        size = lesson.source.tile
        here = list(tiles(part.first, part.last, size))
        make, how = partial(space.drawn, index), self.survey.draws[side][index]

        def draws(stage: Stage, tile: int, restart: int) -> SeedSequence:
            return stream(self.seed, stage, part.source, side, part.member, tile, 0 if self.trials else restart)

        def students() -> Population:
            def draw(restart: int) -> Population:
                return joined(
                    [
                        population.draw(make, how, size, stop, draws(Stage.STUDENT, tile, restart))
                        .converted(space.converted)
                        .take(slice(start, stop))
                        for tile, start, stop in here
                    ]
                )

            drawn = interleaved([draw(restart) for restart in range(restarts)])
            return control.of_targets(drawn, *(t.repeat_interleave(restarts, 0) for t in scale)) if scale else drawn

        scale = (targets.location, targets.scale) if side == "reference" else ()
        noise = [
            [word for tile, start, stop in here for word in numbered(draws(Stage.NOISE, tile, restart), stop)[start:]]
            for restart in range(restarts)
        ]
        return Cohort(
            students=students,
            noise=[word for target in zip(*noise, strict=True) for word in target],
            routines=list(routines) * len(targets.names),
            minibatch=minibatch(space, index),
            inputs=targets.inputs,
            outputs=targets.outputs,
            heldout_inputs=targets.heldout_inputs,
            heldout_outputs=targets.heldout_outputs,
            constant=constant[0],
            heldout_constant=constant[1],
            order=partial(lesson.source.order, part.first, part.last),
            restarts=restarts,
            device=device_named(self.device),
            advance=advance,
            loss=self.loss,
        )

    def _standardised(self, side: str, index: int) -> ArchitecturalSpace:
        """The space of a side's students: those of the reference answer on the scale of the targets."""
        space = self.spaces[side]
        if side != "reference":
            return space
        return replace(space, prior=control.Standardised(space.prior, self.survey.shapes[side][index].output))

    def _table(
        self, part: Part, side: str, targets: Targets, restarts: Sequence[int], outcome: Outcome, beaten: np.ndarray
    ) -> pd.DataFrame:
        each = len(restarts)
        return columns(
            fingerprint="",
            seed=self.seed,
            member=part.member,
            target=np.repeat(np.array(targets.names, dtype=object), each),
            draw=np.repeat(np.arange(part.first, part.last), each),
            source=part.source,
            side=side,
            restart=np.tile(restarts, part.targets),
            nmse=outcome.nmse,
            train_nmse=outcome.train_nmse,
            measure=self.plan.sizes[side][index_of(self.spaces[side], part.member)],
            status=np.where(outcome.diverged, "diverged", "ok"),
            linear=np.repeat(beaten, each),
            accuracy=outcome.accuracy,
            overlap=self.overlap,
        )

    def _candidate(self, side: str, index: int) -> Candidate:
        """What the engine decides on one family of networks by."""
        space, known = self._standardised(side, index), self.survey
        routine, cut, shape = space.routine_of(index), minibatch(space, index), known.shapes[side][index]
        whole = known.draws[side][index].whole
        sample = Sample(space, index, cut, self.given, shape.output, device_named(self.device), whole, self.loss)
        samples = [n for (member, _), n in known.samples.items() if index_of(space, member) == index]
        batches = max(samples) // cut
        steps = batches * (epochs_of(routine, batches) or 1)
        return Candidate(sample, shape, len(samples) * self._draws * self.restarts, steps)

    def _lesson(self, member: int, source: str) -> Lesson:
        known, methods = self.survey, self._methods
        sides = known.learners[member, source]
        data = self._bytes_of_samples(member, source)
        fitting = self._memory * 2**20 // (2 * data)  # beside its samples, what is made of them
        chunk = max(1, min(fitting, min(methods[side, member].chunk for side in sides) // self.restarts))
        edges = range(0, self._draws, chunk)
        parts = tuple(Part(member, source, first, min(first + chunk, self._draws)) for first in edges)
        tile = self.tile(member, source)
        where: TargetSource = (
            self._task_source(known, member, tile) if self.target else self._network_source(member, source, tile)
        )
        if self.noise:
            of = "classes" if self.labelled else kind_of(self.loss)
            where = Noisy(where, self.noise, of, member, source, self.seed)
        return Lesson(where, {side: methods[side, member] for side in sides}, parts)

    def _network_source(self, member: int, source: str, tile: int) -> NetworkSource:
        known, space = self.survey, self.spaces[source]
        index = index_of(space, member)
        answer = self._methods[source, index].answer
        if answer is not None and source == "reference":
            answer = control.as_targets(answer)
        drawn = replace(known.draws[source][index], answer=answer)
        samples = known.samples[member, source]
        return NetworkSource(
            space, index, member, source, self.inputs, samples, self.heldout_samples, tile, self.seed, drawn
        )

    def _task_source(self, known: Survey, member: int, tile: int) -> TaskSource:
        shape, output = tuple(self.a.input_shape), known.shapes["a"][member].output
        samples, task = known.samples[member, "reference"], self.task(member)
        return TaskSource(
            task, member, self.inputs, shape, output, self.loss, samples, self.heldout_samples, tile, self.seed
        )

    def _bytes_of_samples(self, member: int, source: str) -> int:
        """The inputs and outputs of one target."""
        side = "a" if self.target else source
        space, known = self.spaces[side], self.survey
        output = known.shapes[side][index_of(space, member)].output
        values = math.prod(space.input_shape) + math.prod(output)
        return (known.samples[member, source] + self.heldout_samples) * values * 4


_STUDENTS: tuple[Side, ...] = ("a", "b")


def _outside() -> int:
    """How far up the line is that asked for the rows: of the first frame outside of archab, for who calls this."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("archab."):
        frame, level = frame.f_back, level + 1
    return level


def _loops(spaces: dict[str, ArchitecturalSpace], methods: dict[tuple[str, int], Method]) -> list[str]:
    return [
        f"{spaces[side].name} is trained one student after another: {method.why}"
        for (side, _), method in methods.items()
        if method.why and side in _STUDENTS
    ]


def _once(order: Callable[[int], Tensor], size: int) -> Callable[[int], Tensor]:
    """The same, where sides that train beside each other do not draw an epoch's order, of so many bytes, twice."""
    known, alone = lru_cache(maxsize=max(2, ORDERS // size))(order), Lock()

    def shared(epoch: int) -> Tensor:
        with alone:
            return known(epoch)

    return shared
