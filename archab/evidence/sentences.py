"""What a verdict says: the headline, and what range, evidence, sizes and counts add to it. A verdict in, text out."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archab.evidence import words as words
from archab.evidence.e_process import EARLY

if TYPE_CHECKING:
    from archab.evidence.fields import Verdict

CONFOUNDED = "this design cannot tell skill from easier targets"
MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class Better:
    """The side that a verdict names.

    Attributes:
        side: `a` or `b`.
        name, other: what it and the other side are called.
        ratio: its typical error over the other's, below 1.
    """

    side: str
    name: str
    other: str
    ratio: float


def better(verdict: "Verdict") -> Better | None:
    """Who is better, None where the verdict names no side."""
    a, b = verdict.names
    if verdict.verdict == "a_better":
        return Better("a", a, b, verdict.gmr)
    return Better("b", b, a, 1 / verdict.gmr) if verdict.verdict == "b_better" else None


def sentence(verdict: "Verdict") -> str:
    """The verdict in one line."""
    a, b = verdict.names
    on = f"On {verdict.scope}: " if verdict.scope else ""
    if found := better(verdict):
        unequally = any(note.kind == "tuned unequally" for note in verdict.notes)
        return f"{on}{'Tuned unequally: ' if unequally else ''}{_won(verdict, found)}"
    if verdict.verdict == "undecided":
        return verdict.reason or f"No winner yet between {a} and {b}."
    bound = f"any difference is within {words.margin(verdict.margin)}"
    if verdict.design == "paired":
        return f"{on}{a} and {b} learn equally well: {bound}."
    mine, theirs = _targets(verdict, a, b)
    return f"{a}'s students on {mine} targets err as {b}'s on {theirs}: {bound}; {CONFOUNDED}."


def title(verdict: "Verdict") -> str:
    """What was found, as a title."""
    a, b = verdict.names
    if not (found := better(verdict)):
        if verdict.verdict == "undecided":
            return sentence(verdict).rstrip(".")
        verb = "learn equally well" if verdict.design == "paired" else "err equally on targets of their own"
        return f"{a} and {b} {verb}, within {words.margin(verdict.margin)}"
    lower = words.percent(1 - found.ratio, words.margin_share(verdict.margin))
    _, but = _where(verdict, found)
    opposite = f", {found.other}'s {but}" if but else ""
    faded = "; the evidence has faded since" if verdict.faded else ""
    if verdict.design == "unpaired":
        return (
            f"{found.name}'s students err {lower} less on their targets than {found.other}'s on theirs{opposite}{faded}"
        )
    on = f", on {verdict.scope}" if verdict.scope else ""
    return f"{found.name}'s typical error is {lower} lower than {found.other}'s{opposite}{faded}{on}"


def word(verdict: "Verdict") -> str:
    """The verdict in a word or two: "A better", where targets differ "A lower", "equivalent", "undecided"."""
    if not (found := better(verdict)):
        return verdict.verdict
    return f"{found.side.upper()} {'better' if verdict.design == 'paired' else 'lower'}"


def paragraph(verdict: "Verdict") -> str:
    """The verdict with its range, evidence, sizes, counts, limits and next step."""
    parts = [sentence(verdict), of_margin(verdict), of_size(verdict), of_equal_error(verdict), of_range(verdict)]
    notes = [note.text for note in verdict.notes]
    return _joined(*parts, of_evidence(verdict), of_home(verdict), of_lost(verdict), *notes, verdict.next_step)


def lead(verdict: "Verdict") -> str:
    """What stands right under the headline: range, margin, sizes, sizes at equal error and home advantage."""
    sizes = of_size(verdict), of_equal_error(verdict)
    return _joined(of_range(verdict), of_margin(verdict), *sizes, of_home(verdict))


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def of_size(verdict: "Verdict") -> str:
    """Who is larger and by how much; empty where no member differs by over 5%."""
    ratios = [r for r in verdict.size_ratio or () if math.isfinite(r)]
    if not any(abs(r - 1) > 0.05 for r in ratios):
        return ""
    larger, shown = (verdict.names[0], [1 / r for r in ratios]) if max(ratios) <= 1 else (verdict.names[1], ratios)
    return f"At unequal size: {larger} has {words.factors(shown)} times the size."


def of_equal_error(verdict: "Verdict") -> str:
    """How many times the other's size a side needs for the same error; empty where that cannot be said."""
    found, (smaller, larger) = verdict.equal_error, verdict.names
    if found.reason or verdict.status == "too_few":
        return ""
    ratio, low, high = found.size_ratio, found.ci_low, found.ci_high
    if ratio < 1:
        smaller, larger, ratio, low, high = larger, smaller, 1 / ratio, 1 / high, 1 / low
    at = f"At equal error ({words.errors([found.error_low, found.error_high])})"
    interval = f"{words.level(verdict.alpha)} interval of a single look: {_ends(low, high)}"
    if found.larger:
        return f"{at}: {larger} needs {words.times(ratio)} times the size of {smaller} ({interval})."
    which = "which side needs the larger size is open"
    return f"{at} {which}: {larger} {words.times(ratio)} times that of {smaller} ({interval})."


def _ends(low: float, high: float) -> str:
    """An interval of factors; NaN is an open end."""
    if math.isnan(high):
        return "open" if math.isnan(low) else f"at least {words.times(low)}"
    return f"at most {words.times(high)}" if math.isnan(low) else f"{words.times(low)} to {words.times(high)}"


def of_margin(verdict: "Verdict") -> str:
    """Whether a real difference matters, where it looks smaller than the margin; else empty."""
    (low, high), margin = verdict.interval(), verdict.margin
    if not better(verdict) or not 1 / margin < verdict.gmr < margin:
        return ""
    declared = f"the {words.margin(margin)} that was declared to matter"
    if low > 1 / margin and high < margin:
        return f"The difference is real but smaller than {declared}."
    return f"Whether the difference exceeds {declared} is open."


def of_range(verdict: "Verdict") -> str:
    """The rule's own interval, and what must be said of it; empty where there is none."""
    (low, high), margin = verdict.interval(), verdict.margin
    share = words.margin_share(margin)
    if verdict.blocks < 6 or not (math.isfinite(low) and math.isfinite(high)):
        return _no_range(verdict)
    comma = "," if verdict.rule == "anytime" else ""
    level = f"{words.level(verdict.alpha)} interval{comma} {validity(verdict)}"
    text = f"Plausible range: {words.span(low, high, verdict.names, share)} ({level})."
    if not low <= verdict.gmr <= high:
        return f"{text} The ratio over all targets lies outside of it: later rounds differ from those before."
    if better(verdict) and low < 1 < high:
        return f"{text} The test decides, the interval is a little wider."
    beyond, equal = low < 1 / margin or high > margin, low <= 1 <= high
    if verdict.verdict == "undecided" and not verdict.reason and equal and beyond:
        limit = words.percent(share)
        return f"{text} No difference is possible, and so is one beyond the margin ({limit} lower)."
    return text


def validity(verdict: "Verdict") -> str:
    """How often one may have looked for the rule's interval to hold."""
    valid = {"anytime": "valid however often one looked", "fixed": "of a single look"}
    if verdict.settings.overlap:
        return "of a single look, corrected for overlapping splits"
    return valid.get(verdict.rule, "of the two planned looks")


def _no_range(verdict: "Verdict") -> str:
    """What is said where the rounds exclude every ratio between them."""
    d = verdict.data.rounds
    if verdict.rule == "fixed" or verdict.status == "too_few" or d.size < 7 or np.ptp(d) <= 1e-12:
        return ""
    return "No plausible range: early and later rounds exclude each other's."


def of_evidence(verdict: "Verdict") -> str:
    """The evidence by which the rule decides."""
    alpha, log_e, alone = verdict.alpha, verdict.log_e, verdict.in_family
    if not log_e or verdict.rule == "fixed":
        if not math.isfinite(verdict.p_value):
            return ""
        after = f"; after correction for the others {words.p_is(verdict.p_adjusted, alpha)}" if alone else ""
        return f"{words.p_is(verdict.p_value, alpha)}{after}."
    bar = 1 / ((EARLY if verdict.rule == "hybrid" else 1.0) * alpha)
    decides = f"{bar:g} decides{', for one configuration alone' if alone else ''}"
    text = f"E = {words.evidence(max(log_e), bar)} at its highest ({decides})"
    if verdict.faded:
        text = f"{text} and {words.evidence(log_e[-1], bar)} at the end"
    if alone:
        return f"{text}; after correction for the others {words.p_is(verdict.p_adjusted, alpha)}."
    if verdict.decided_at is not None and verdict.rule == "anytime":
        return f"Decided after {verdict.decided_at:,} of {len(log_e):,} rounds. {text}."
    return f"{text}."


def of_home(verdict: "Verdict") -> str:
    """The home advantage; empty where the design has none."""
    if (home := verdict.home_advantage) is None:
        return ""
    own, others = "its own prior", "the other's"
    which, whose = ("advantage", own) if home.gmr >= 1 else ("disadvantage", others)
    text = (
        f"Home {which}: a side's error is {words.percent(1 - min(home.gmr, 1 / home.gmr))} lower on targets of {whose}"
    )
    if not math.isfinite(home.ci_low):
        return f"{text}."
    span = words.span(1 / home.ci_high, 1 / home.ci_low, (own, others))
    return f"{text} ({words.level(verdict.alpha)} interval of a single look: {span})."


def lost(verdict: "Verdict", what: str = " students") -> str:
    """How many students of either side diverged: "3 of 40 students of A, 0 of 40 of B"."""
    (a, b), of, diverged = verdict.names, verdict.students, verdict.diverged
    return f"{diverged.a:,} of {of.a:,}{what} of {a}, {diverged.b:,} of {of.b:,} of {b}"


def of_lost(verdict: "Verdict") -> str:
    """How many students diverged; empty where none did."""
    if not (verdict.diverged.a or verdict.diverged.b):
        return ""
    return f"Diverged: {lost(verdict)}; each counts as an error of 1, like the constant predictor."


def _won(verdict: "Verdict", found: Better) -> str:
    winner, loser = found.name, found.other
    at, but = _where(verdict, found)
    faded, bar = _faded(verdict), words.margin_share(verdict.margin)
    if verdict.design == "unpaired":
        mine, theirs = _targets(verdict, winner, loser)
        less = words.lower(found.ratio, "less", bar)
        more = f", {but} more" if but else ""
        text = f"{winner}'s students on {mine} targets err {less} than {loser}'s on {theirs}{more}; {CONFOUNDED}"
        return f"{text}; {faded}." if faded else f"{text}."
    where = f" {at}, {loser} {but}" if but else ""
    lower = words.lower(found.ratio, "lower", bar)
    if faded:
        return f"{winner} learns better than {loser}{where}, {faded} (typical error {lower})."
    whose = f"over all, {winner}'s" if but else "its"
    return f"{winner} learns better than {loser}{where}: {whose} typical error is {lower}."


def _targets(verdict: "Verdict", winner: str, loser: str) -> tuple[str, str]:
    """Whose targets the winner's students learnt, and whose the loser's, where no target has both sides."""
    students = verdict.data.students
    crosswise = set(zip(students["side"], students["source"], strict=True)) == {("a", "b"), ("b", "a")}
    return (f"{loser}'s", f"{winner}'s") if crosswise else ("their", "theirs")


def _where(verdict: "Verdict", found: Better) -> tuple[str, str]:
    """At which members the winner is better and at which the other side is; empty where none is decided for that."""
    for_a, for_b = verdict.own_sides
    own, other = (for_a, for_b) if found.side == "a" else (for_b, for_a)
    return ("", "") if not other else (places(verdict, own) or "over all members", places(verdict, other))


def places(verdict: "Verdict", positions: tuple[int, ...]) -> str:
    """Members by their positions, in words: "to rank 8", "from rank 16", "at rank 4", "at 5 of 9 members"."""
    names, n = [verdict.member_name(verdict.members[i].member) for i in positions], len(verdict.members)
    if 1 < len(names) < n and positions == tuple(range(len(names))):
        return f"to {names[-1]}"
    if 1 < len(names) < n and positions == tuple(range(n - len(names), n)):
        return f"from {names[0]}"
    if len(names) > MOST_NAMED:
        return f"at {len(names)} of {n} members"
    return f"at {words.listed(names)}" if names else ""


def _faded(verdict: "Verdict") -> str:
    if not verdict.faded:
        return ""
    rounds = f"all {len(verdict.log_e):,} rounds together do not show it"
    return f"decided at round {verdict.decided_at:,}; since then the evidence has faded: {rounds}"
