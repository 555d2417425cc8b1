"""What sides and members are called in a figure: short, in glyphs that its font has, and told apart."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

from archab.evidence.fields import Verdict
from archab.review.figures.sheet import inches

LONGEST, LONGEST_MEMBER = 20, 14
IN_TITLES = 28


def named(verdict: Verdict, longest: int = LONGEST) -> Verdict:
    """The verdict with names of sides and members as they stand in a figure, those of sides at most so long."""
    first, second = (short(name, longest) or letter for name, letter in zip(verdict.names, "AB", strict=True))
    sides = (first, second) if first != second else ("A", "B")
    members = [verdict.member_name(index) for index in range(max((m.member for m in verdict.members), default=-1) + 1)]
    return replace(verdict, names=sides, member_names=_apart(members))


def _apart(members: Sequence[str]) -> tuple[str, ...]:
    """Short names of members; those that would be one have their index in front."""
    names = [short(name, LONGEST_MEMBER) or f"member {i}" for i, name in enumerate(members)]
    return tuple(
        name if names.count(name) == 1 else short(f"{i}: {members[i]}", LONGEST_MEMBER) or f"member {i}"
        for i, name in enumerate(names)
    )


def short(name: str, longest: int) -> str:
    """A name of at most so many characters, with an ellipsis in its middle; empty where the font lacks a glyph."""
    name = " ".join(name.split())
    if not name.isprintable() or not _glyphs().issuperset(map(ord, name)):
        return ""
    if len(name) <= longest:
        return name
    end = (longest - 1) // 3
    return f"{name[: longest - 1 - end]}…{name[len(name) - end :]}"


def fitted(name: str, room: float, size: float) -> str:
    """A name that fits into so many inches at this size, with an ellipsis in its middle where it is longer."""
    return next((cut for n in range(len(name), 1, -1) if inches(cut := short(name, n), size) <= room), "…")


def letters(verdict: Verdict) -> str:
    """What A and B stand for, where a figure has room for no more than these; empty where the sides are called so."""
    a, b = verdict.names
    return "" if (a, b) == ("A", "B") else f" A: {a}; B: {b}."


def drawable(text: str) -> str:
    """A text with a box for each character that the font lacks."""
    return "".join(c if ord(c) in _glyphs() else "□" for c in text)


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())
