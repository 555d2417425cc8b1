"""A verdict in the terminal: a table with a line a member, and a panel with the answer, a text plot and the caveats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from archab.evidence import sentences
from archab.evidence import words as words
from archab.evidence.fields import Verdict
from archab.evidence.next_step import targets_a_block
from archab.evidence.notes import Note
from archab.evidence.sentences import better, word
from archab.evidence.words import between, effect
from archab.review.finding import SCORED, caveat_line, counts, effects, fitted, measured, replicates
from archab.review.glyphs import BLOCKS, COLOURS, Glyphs, glyphs
from archab.review.terminal.plot import NAMES, plot, sparkline

__all__ = ["BLOCKS", "family", "glyphs", "panel", "show", "table"]

WIDEST, NARROWEST_PLOT = 110, 60  # columns of the panel, and below which it has no plot
LABEL = 10


def show(console: Console, verdict: Verdict) -> None:
    """Print table, panel and next step to this console: in colour on a terminal, as plain ASCII in a pipe."""
    drawn, width = glyphs(console), min(console.width, WIDEST)
    a, b = (drawn.text(name) for name in verdict.names)
    console.print(Text(f"A {a}   B {b}", style="italic"))
    console.print(table(verdict, width, drawn))
    console.print(Text(SCORED, style="dim"))
    console.print(panel(verdict, width, drawn))
    if verdict.next_step:
        console.print(Text(drawn.text(verdict.next_step)), soft_wrap=True)


def panel(verdict: Verdict, width: int, drawn: Glyphs) -> Panel:
    """The verdict in a frame so many columns wide."""
    inside = width - 4
    found = better(verdict)
    colour = COLOURS[found.side if found else ""]
    lead = sentences.lead(verdict)
    said = (verdict.sentence(), caveat_line(verdict))
    parts: list[RenderableType] = [Text(drawn.text(text), style="bold") for text in said if text]
    parts += [Text(drawn.text(lead))] if lead else []
    if width >= NARROWEST_PLOT:
        parts += [Text(""), *plot(verdict, inside, drawn), Text("")]
    parts.append(_facts(verdict, inside, drawn, colour))
    label = drawn.fitting(drawn.text(verdict.label or "verdict"), width - 8 - len(word(verdict)))
    shown = Text(f"{label}: {word(verdict)}", style=f"bold {colour}")
    return Panel(Group(*parts), title=shown, title_align="left", box=drawn.frame, width=width)


def family(verdicts: Sequence[Verdict], drawn: Glyphs) -> Table:
    """A line a configuration."""
    made = Table(box=drawn.rule, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    made.add_column("configuration", overflow="fold")
    for head, justify in (("verdict", "left"), ("lower error", "right"), ("p adjusted", "right"), ("targets", "right")):
        made.add_column(head, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for v in verdicts:
        p = words.probability(v.p_adjusted, v.alpha)
        cells = (v.label, word(v), effect(v.gmr), p, f"{v.blocks * targets_a_block(v.data):,}")
        made.add_row(*(Text(drawn.text(cell)) for cell in cells))
    return made


def _facts(verdict: Verdict, inside: int, drawn: Glyphs, colour: str) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(width=LABEL - 1, style="dim")
    grid.add_column(ratio=1)
    if len(verdict.log_e) > 1 and measured(verdict):
        decides = -math.log(verdict.alpha)
        line = sparkline(np.array(verdict.log_e), decides, min(60, inside - LABEL), drawn)
        grid.add_row("evidence", Text(line, style=colour))
    if evidence := sentences.of_evidence(verdict):
        grid.add_row("" if len(verdict.log_e) > 1 and measured(verdict) else "evidence", Text(drawn.text(evidence)))
    grid.add_row("counted", Text(drawn.text(_counted(verdict))))
    for label, notes in _notes(verdict.notes).items():
        for i, note in enumerate(notes):
            grid.add_row(label if i == 0 else "", Text(drawn.text(note), style="dim" if label != "mind" else ""))
    return grid


def _counted(verdict: Verdict) -> str:
    *_, ties = counts(verdict) or (0,)
    tied = f" {ties} {'tie' if ties == 1 else 'ties'}." if ties else ""
    return f"{replicates(verdict)}.{tied} {sentences.of_lost(verdict) or 'No student diverged.'}"


def _notes(notes: Sequence[Note]) -> dict[str, list[str]]:
    """The notes by what they are about: what to mind first, then the contrast, the null and its limit."""
    sorted_: dict[str, list[str]] = {"mind": [], "contrast": [], "null": [], "limit": []}
    for note in notes:
        sorted_[note.kind if note.kind in sorted_ else "mind"].append(note.text)
    return sorted_


@dataclass(frozen=True)
class _Column:
    """A column of the table: head, cells, how soon it goes where there is no room, whether it says a side."""

    head: str
    cells: list[str]
    keep: int
    sided: bool = False


def table(verdict: Verdict, width: int, drawn: Glyphs = BLOCKS) -> Table:
    """A line a member; columns go where there is no room, the least needed first; names are cut, no number ever is."""
    columns = [c for c in _columns(verdict, drawn) if any(c.cells)]
    names = min(NAMES[1], _wide(columns[:1]))
    while len(columns) > 2 and names + 2 + _wide(columns[1:]) > width:
        columns.remove(min(columns, key=lambda c: c.keep))
    room = max(6, width - _wide(columns[1:]) - 1)
    columns[0] = replace(columns[0], cells=[drawn.fitting(name, room) for name in columns[0].cells])
    made = Table(box=drawn.rule, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    made.add_column(columns[0].head, no_wrap=True)
    for column in columns[1:]:
        made.add_column(column.head, justify="right", no_wrap=True)
    _, *members = effects(verdict)
    for row, member in enumerate(members):
        made.add_row(*(Text(c.cells[row], COLOURS[member.side] if c.sided else "") for c in columns))
    made.add_section()
    made.add_row(*(Text(c.cells[-1], style="bold") for c in columns))
    return made


def _columns(verdict: Verdict, drawn: Glyphs) -> list[_Column]:
    top, *own = effects(verdict)
    ms, shown, none = verdict.members, measured(verdict), [""] * (len(verdict.members) + 1)
    alpha = verdict.alpha
    sized = all(math.isfinite(m.size_ratio) for m in ms)
    linear = [words.error(m.linear) if math.isfinite(m.linear) else "–" for m in ms]
    known = [math.isfinite(m.accuracy_a) and math.isfinite(m.accuracy_b) for m in ms]
    right = [f"{m.accuracy_a:.1%}/{m.accuracy_b:.1%}" if k else "" for m, k in zip(ms, known, strict=True)]
    lower = [f"{m.lower}/{m.blocks}" if m.lower is not None else words.percent(m.prob_a_better) for m in ms]
    lost = [*(f"{m.diverged_a},{m.diverged_b}" for m in ms), f"{verdict.diverged.a},{verdict.diverged.b}"]
    columns = [
        _Column("member", [e.name for e in (*own, top)], 9),
        _Column("size A/B", [*(f"{m.size_a:,.0f}/{m.size_b:,.0f}" for m in ms), ""] if sized else none, 3),
        _Column("error A", [*(words.error(m.typical_a) for m in ms), ""], 5),
        _Column("B", [*(words.error(m.typical_b) for m in ms), ""], 5),
        _Column("linear fit", [*linear, ""] if fitted(verdict) else none, 1),
        _Column("right A/B", [*right, ""] if any(right) else none, 2),
        _Column("lower error", [effect(e.gmr) for e in (*own, top)] if shown else none, 8, sided=True),
        _Column(words.level(verdict.alpha), [between(e.low, e.high) for e in (*own, top)] if shown else none, 7),
        _Column("A lower", [*lower, words.percent(verdict.prob_a_better)], 2),
        _Column("div.", lost if any(m.diverged_a + m.diverged_b for m in ms) else none, 4),
        _Column("p", [words.probability(p, alpha) for p in (*(m.p_holm for m in ms), verdict.p_value)], 6),
    ]
    return [_Column(drawn.text(c.head), [drawn.text(cell) for cell in c.cells], c.keep, c.sided) for c in columns]


def _wide(columns: Sequence[_Column]) -> int:
    cells = [max(Text(text).cell_len for text in (c.head, *c.cells)) for c in columns]
    return sum(cells) + 2 * (len(cells) - 1)
