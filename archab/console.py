"""What a run shows in the terminal: the question and the plan, the progress, the table, and where to look next."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from archab import __version__
from archab.comparison import Comparison, Plan, Survey, minibatch
from archab.evidence.summary import Line
from archab.space.routine import settings

LINE_EVERY = 5.0  # seconds between two lines of progress where there is no terminal
LETTERS = {"a": "A", "b": "B", "reference": " "}


def console() -> Console:
    """Standard output; a pipe gets 100 columns of plain text."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=max(out.width, 100))


def opening(out: Console, comparison: Comparison, survey: Survey, space: str, question: str) -> None:
    """What is about to be done, before anything is trained."""
    out.print(f"[bold]archab {__version__} · {space} · seed {comparison.seed}[/bold]")
    if question:
        out.print(question, style="italic")
    grid = Table.grid(padding=(0, 2))
    for side, sizes in survey.sizes.items():
        name = Text(comparison.spaces[side].name)
        grid.add_row(
            f"  {LETTERS[side]}", name, Text("  ".join(f"{size:,.0f}" for size in sizes)), comparison.spaces[side].unit
        )
    out.print()
    out.print(grid)
    out.print()
    facts = Table.grid(padding=(0, 2))
    facts.add_row("  protocol", _PROTOCOL[survey.protocol])
    facts.add_row("  targets", Text(_targets(comparison, survey)))
    for side in ("a", "b"):
        facts.add_row(f"  training {LETTERS[side]}", Text(_training(comparison, survey, side)))
    out.print(facts)


def engines(out: Console, comparison: Comparison, plan: Plan) -> None:
    """How students train, and what is worth a warning."""
    methods = [(side, method) for lesson in plan.lessons.values() for side, method in lesson.methods.items()]
    for side in ("a", "b"):
        names = sorted({method.engine for s, method in methods if s == side})
        at_once = max(min(m.chunk, comparison.targets * comparison.restarts) for s, m in methods if s == side)
        several = f", {at_once} students at once" if "vmap" in names else ", one student after another"
        out.print(f"  engine {LETTERS[side]}    {' and '.join(names)}{several}, {comparison.device}")
    out.print()
    for note in plan.notes:
        out.print(Text(f"  ! {note}"), style="yellow")


_PROTOCOL = {
    "reference": "reference: both sides learn each target, the same samples in the same order",
    "direct": "direct: each side learns targets drawn from the other",
}


def _targets(comparison: Comparison, survey: Survey) -> str:
    members, sources = len(comparison.a), len({source for _, source in survey.samples})
    total = comparison.targets * members * sources
    a_side = " and side" if sources > 1 else ""
    return f"{comparison.targets} a member{a_side}, {total} in all; students {survey.students(comparison):,}"


def _training(comparison: Comparison, survey: Survey, side: str) -> str:
    space = comparison.spaces[side]
    counts = [survey.samples[key] for key, sides in survey.learners.items() if side in sides]
    chosen = [settings(space.routine_of(member)) for member in range(len(space))]
    name = getattr(space.routine, "func", space.routine)
    lr = _range([c["lr"] for c in chosen if isinstance(c.get("lr"), int | float)])
    steps = _range(
        [
            c["epochs"] * n // minibatch(space, m)
            for m, (c, n) in enumerate(zip(chosen, counts, strict=True))
            if "epochs" in c
        ]
    )
    return ", ".join(
        part
        for part in (
            getattr(name, "__name__", type(name).__name__),
            f"lr {lr}" if lr else "",
            f"{_range(counts)} samples",
            f"{steps} steps a student" if steps else "",
        )
        if part
    )


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:,g}" if low == high else f"{low:,g} to {high:,g}"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} students/s" if task.speed else "")


@contextmanager
def progress(out: Console, students: float) -> Iterator[Callable[[float], None]]:
    """What to call with the number of students trained since the last call; it draws bars, or prints lines."""
    if out.is_terminal:
        columns = (TextColumn("  training"), BarColumn(40), TextColumn("{task.completed:,.0f} of {task.total:,.0f}"))
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
            left = (students - done) / rate
            out.print(f"  {done:,.0f} of {students:,.0f} students, {rate:,.0f} a second, {left:,.0f} s left")

    yield line


def table(out: Console, comparison: Comparison, lines: list[Line], redrawn: int) -> None:
    """The rows of one run, a line a member. It names no winner."""
    paired = any(line.pairs for line in lines)
    columns = ["member", comparison.a.unit, "A", "B", "size A/B", "error A", "error B", "A/B"]
    columns += (["A lower"] if paired else []) + ["diverged A, B"]
    columns.remove(comparison.a.unit)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        drawn.add_column(column, justify="left" if column == "member" else "right")
    for line in lines:
        member = ", ".join(f"{key} {value}" for key, value in _arguments(comparison, line.member).items())
        drawn.add_row(
            member or str(line.member),
            f"{line.size_a:,.0f}",
            f"{line.size_b:,.0f}",
            f"{line.size_a / line.size_b:.2f}",
            f"{line.nmse_a:.3g}",
            f"{line.nmse_b:.3g}",
            f"{line.gmr:.2f}",
            *([f"{line.wins} of {line.pairs}"] if paired else []),
            f"{line.diverged_a}, {line.diverged_b}",
        )
    out.print()
    out.print(Text(f"  A {comparison.a.name}   B {comparison.b.name}   sizes in {comparison.a.unit}"))
    out.print(drawn)
    out.print("  error: geometric mean over targets of the held-out NMSE; 1 = no better than a constant", style="dim")
    if redrawn:
        out.print(f"  {redrawn} draws of targets were refused, since their outputs did not vary", style="dim")


def _arguments(comparison: Comparison, member: int) -> dict[str, object]:
    arguments = comparison.a.members[member]  # type: ignore[index]
    return {key: value for key, value in arguments.items() if isinstance(value, int | float | str)}


def review(out: Console, command: str, link: str, rows: Path) -> None:
    """Where the run can be looked at."""
    out.print()
    out.print(Text(f"  rows    {rows}"), soft_wrap=True)
    if command:
        out.print(Text(f"  review  {command}"), soft_wrap=True)
    out.print(Text(f"          {link}" if command else f"  review  {link}"), soft_wrap=True)
