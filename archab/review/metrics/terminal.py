"""Verdicts on a metric in the terminal: a line a pair of sides, and a panel with the answer and what it rests on."""

import math

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from archab.evidence import words
from archab.evidence.rule import FEWEST_BLOCKS
from archab.metrics import ranking
from archab.metrics.compare import Compared
from archab.metrics.metric import mean_of
from archab.metrics.verdict import MetricVerdict
from archab.review.glyphs import COLOURS, Glyphs, glyphs
from archab.review.terminal.plot import sparkline

WIDEST, LABEL = 110, 10
SIDE = {"a_better": "a", "b_better": "b"}


def show(console: Console, compared: Compared) -> None:
    """Print it to this console: in colour on a terminal, as plain ASCII in a pipe."""
    drawn, width = glyphs(console), min(console.width, WIDEST)
    verdicts = compared.verdicts
    if len(verdicts) > 1:
        console.print(table(verdicts, drawn))
        if not compared.baseline:
            console.print(Text(drawn.text(ranking.sentence(compared.rounds, verdicts))), soft_wrap=True)
        for line in _common(verdicts):
            console.print(Text(drawn.text(line), style="dim"), soft_wrap=True)
        return
    [verdict] = verdicts
    console.print(panel(verdict, width, drawn))
    if verdict.next_step:
        console.print(Text(drawn.text(verdict.next_step)), soft_wrap=True)


def table(verdicts: list[MetricVerdict], drawn: Glyphs) -> Table:
    """A line a pair of sides: which is better, by how much, and how sure that is."""
    made = Table(box=drawn.rule, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for head in ("A", "B", "better"):
        made.add_column(head, overflow="fold", min_width=6)
    first, lost = verdicts[0], any(v.found.any_failed for v in verdicts)
    heads = (first.metric.column, words.level(first.rule.alpha), "n", *(["failed"] if lost else []), "p adj.")
    for head in heads:
        made.add_column(head, justify="right", no_wrap=True)
    for v in verdicts:
        failed = [f"{v.found.failed[0]},{v.found.failed[1]}"] if lost else []
        p = words.probability(v.p_adjusted, v.rule.alpha)
        shown = v.winner or v.verdict
        cells = (*v.names, shown, v.metric.apart(v.found.theta), between(v), f"{v.found.blocks:,}", *failed, p)
        colour = COLOURS[SIDE.get(v.verdict, "")]
        made.add_row(*(Text(drawn.text(cell), colour if i in (2, 3) else "") for i, cell in enumerate(cells)))
    return made


def between(verdict: MetricVerdict) -> str:
    """The interval of A's value less B's for tables; empty where it is too early for one."""
    low, high = verdict.interval
    if verdict.found.blocks < FEWEST_BLOCKS or math.isnan(low) or math.isinf(low) or math.isinf(high):
        return ""
    ends = (low, high) if verdict.metric.lower else (high, low)
    return " to ".join(map(verdict.metric.apart, ends))


def panel(verdict: MetricVerdict, width: int, drawn: Glyphs) -> Panel:
    """One verdict in a frame so many columns wide."""
    colour = COLOURS[SIDE.get(verdict.verdict, "")]
    grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(width=LABEL - 1, style="dim")
    grid.add_column(ratio=1)
    if verdict.found.log_e.size > 1 and verdict.rule.name != "fixed":
        line = sparkline(
            np.array(verdict.found.log_e), -math.log(verdict.rule.alpha), min(60, width - 4 - LABEL), drawn
        )
        grid.add_row("evidence", Text(line, style=colour))
        grid.add_row("", Text(drawn.text(verdict.evidence())))
    else:
        grid.add_row("evidence", Text(drawn.text(verdict.evidence())))
    grid.add_row("counted", Text(drawn.text(verdict.counted())))
    for i, note in enumerate(verdict.notes):
        grid.add_row("mind" if i == 0 else "", Text(drawn.text(note), style="dim"))
    parts: list[RenderableType] = [Text(drawn.text(verdict.sentence()), style="bold")]
    parts += [Text(drawn.text(verdict.range())), Text("")] if verdict.range() else [Text("")]
    shown = verdict.winner + " better" if verdict.winner else verdict.verdict
    label = Text(drawn.fitting(drawn.text(f"{verdict.metric.name}: {shown}"), width - 8), style=f"bold {colour}")
    return Panel(Group(*parts, grid), title=label, title_align="left", box=drawn.frame, width=width)


def _common(verdicts: list[MetricVerdict]) -> list[str]:
    """What is said of all pairs of sides together."""
    first = verdicts[0]
    by_name = {
        name: (mean, sd) for v in verdicts for name, mean, sd in zip(v.names, v.means, v.deviations, strict=True)
    }
    means = ", ".join(f"{name} {mean_of(mean, sd)}" for name, (mean, sd) in by_name.items())
    how = {"anytime": "e-Holm, valid however often one looked"}.get(str(first.rule.name), "Holm")
    said = f"{first.metric.said[:1].upper()}{first.metric.said[1:]}; mean ± sd: {means}."
    rest = list(dict.fromkeys(note for v in verdicts for note in v.notes))
    corrected = f"p corrected for {len(verdicts)} pairs of sides ({how}); an interval is that of its pair alone."
    general = [note for note in rest if all(note in v.notes for v in verdicts)]
    return [said, corrected, *general, *(note for note in rest if note not in general)]
