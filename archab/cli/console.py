"""What a run shows in the terminal: the question and the plan, the progress, the table, and where to look next."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from archab.cli.heading import console
from archab.evidence.contrast import facts
from archab.evidence.fields import Verdict
from archab.experiment.job import Watch
from archab.review import terminal
from archab.review.glyphs import glyphs
from archab.runs.shard import Shard

if TYPE_CHECKING:  # what imports torch, which a run that is shown again has no need of
    from archab.comparison.comparison import Comparison
    from archab.comparison.inspection import Survey

LINE_EVERY = 5.0  # seconds between two lines of progress where there is no terminal
LETTERS = {"a": "A", "b": "B", "reference": " "}


@dataclass(frozen=True)
class Terminal(Watch):
    """Prints what it hears of a run; progress as bars, or in lines where there is no terminal."""

    out: Console = field(default_factory=console)

    def say(self, line: str) -> None:
        print(line)

    def warn(self, line: str) -> None:
        self.out.print(f"  ! {line}", style="yellow", markup=False)

    def opening(self, comparison: "Comparison", space: str, question: str) -> None:
        out, survey = self.out, comparison.survey
        text = glyphs(out).text
        grid = Table.grid(padding=(0, 2))
        for side, sizes in survey.sizes.items():
            name, unit = Text(text(comparison.spaces[side].name)), Text(text(comparison.spaces[side].unit))
            grid.add_row(f"  {LETTERS[side]}", name, Text("  ".join(f"{size:,.0f}" for size in sizes)), unit)
        out.print()
        out.print(grid)
        out.print()
        facts = Table.grid(padding=(0, 2))
        facts.add_row("  protocol", f"{comparison.protocol_name}: {comparison.rules.says}")
        for name in dict.fromkeys(task.name for task in comparison.target):
            facts.add_row("  target", Text(text(name)))
        facts.add_row("  targets", Text(_targets(comparison)))
        for side in ("a", "b"):
            facts.add_row(f"  training {LETTERS[side]}", Text(text(_training(comparison, survey, side))))
        out.print(facts)

    def planned(self, comparison: "Comparison", seconds: float) -> None:
        out, plan = self.out, comparison.plan
        methods = [(side, method) for lesson in plan.lessons.values() for side, method in lesson.methods.items()]
        for side in ("a", "b"):
            names = sorted({method.engine for s, method in methods if s == side})
            at_once = max(min(m.chunk, comparison.targets * comparison.restarts) for s, m in methods if s == side)
            several = ", one student after another" if names == ["loop"] else f", {at_once} students at once"
            out.print(f"  engine {LETTERS[side]}    {' and '.join(names)}{several}, {comparison.device}")
        if seconds >= 1:
            from archab.comparison.duration import in_words

            out.print(f"  expected    {in_words(seconds)} of training")
        from archab.comparison.study import names_of, unlike

        said = Table.grid(padding=(0, 2))
        for i, fact in enumerate(facts(comparison.contrast, names_of(comparison))):
            said.add_row("" if i else "  contrast  ", Text(glyphs(out).text(fact)))
        if said.row_count:
            out.print(said)
        out.print()
        for note in (*plan.notes, *unlike(comparison)):
            out.print(Text(glyphs(out).text(f"  ! {note}")), style="yellow")

    @contextmanager
    def progress(self, students: float) -> Iterator[Callable[[float], None]]:
        out = self.out
        if out.is_terminal:
            columns = TextColumn("  training"), BarColumn(40), TextColumn("{task.completed:,.0f} of {task.total:,.0f}")
            with Progress(*columns, _Rate(), TimeRemainingColumn(), console=out) as bars:
                task = bars.add_task("training", total=students)
                yield lambda trained: bars.advance(task, trained)
            return
        started = last = time.monotonic()
        done = 0.0

        def line(trained: float) -> None:
            nonlocal last, done
            done += trained
            now = time.monotonic()
            if now - last >= LINE_EVERY:
                last = now
                rate = done / (now - started)
                left = max(0.0, students - done) / rate
                out.print(f"  {done:,.0f} of {students:,.0f} students, {rate:,.0f} a second, {left:,.0f} s left")

        yield line

    def verdict(self, found: Verdict, redrawn: int) -> None:
        self.out.print()
        terminal.show(self.out, found)
        if redrawn:
            self.out.print(f"  {redrawn} draws of targets were refused, since their outputs did not vary", style="dim")

    def share(self, shard: Shard, students: int, compare: str) -> None:
        self.out.print(
            f"  shard {shard} of this run is finished, {students:,} students. The verdict needs all of them:"
        )
        self.out.print(Text(f"  {compare}"), soft_wrap=True)

    def where(self, lines: Mapping[str, str]) -> None:
        print("", *(f"  {name:<8}{text}" for name, text in lines.items() if text), sep="\n")


def _targets(comparison: "Comparison") -> str:
    total = comparison.targets * len(comparison.a) * (1 if comparison.rules.divided else len(comparison.rules.lessons))
    a_side = " and side" if comparison.protocol_name == "direct" else ""
    return f"{comparison.targets} a member{a_side}, {total:,} in all; students {comparison.students:,}"


def _training(comparison: "Comparison", survey: "Survey", side: str) -> str:
    from archab.comparison.inspection import minibatch
    from archab.space.routine import epochs_of, settings

    space = comparison.spaces[side]
    lessons = [(m, survey.samples[m, source]) for (m, source), sides in survey.learners.items() if side in sides]
    routines = [space.routine_of(member) for member in range(len(space))]
    chosen = [settings(routine) for routine in routines]
    name = getattr(space.routine, "func", space.routine)
    lr = _range([c["lr"] for c in chosen if isinstance(c.get("lr"), int | float)])
    clip = _range([c["clip"] for c in chosen if isinstance(c.get("clip"), int | float)])
    batches = [(m, n // minibatch(space, m)) for m, n in lessons]
    steps = _range([n * epochs for m, n in batches if (epochs := epochs_of(routines[m], n))])
    samples = _range([n for _, n in lessons])
    return ", ".join(
        part
        for part in (
            getattr(name, "__name__", type(name).__name__),
            _tried(comparison, side) or (f"lr {lr}" if lr else ""),
            f"gradients cut at {clip}" if clip else "",
            f"{samples} samples",
            f"{steps} steps a student" if steps else "",
        )
        if part
    )


def _tried(comparison: "Comparison", side: str) -> str:
    tried = comparison.tune.of(side) if comparison.tune else {}
    return ", ".join(f"{name} of {len(values)} values" for name, values in tried.items())


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:,g}" if low == high else f"{low:,g} to {high:,g}"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} students/s" if task.speed else "")
