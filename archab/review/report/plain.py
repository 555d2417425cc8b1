"""Design, reasons to trust a verdict and what it cannot say, in plain words; every number is the verdict's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from archab.evidence import sentences
from archab.evidence import words as words
from archab.evidence.costs import Cost
from archab.evidence.e_process import EARLY, FINAL
from archab.evidence.fields import Member, Verdict
from archab.evidence.sentences import better
from archab.evidence.statistics import EXACT_BLOCKS, LARGEST_PERMUTED
from archab.review.context import Context
from archab.review.figures import scales
from archab.review.finding import decided, measured, replicate, replicates

FEW = 8  # members up to which they are named


@dataclass(frozen=True, slots=True)
class Point:
    """A statement in a few words, and the sentence behind it."""

    head: str
    text: str


def trust(verdict: Verdict, context: Context) -> list[Point]:
    """Why the verdict can be relied on, as far as rows and context tell."""
    unpaired = verdict.data.is_a is not None
    same = " from the same samples in the same order" if context.protocol in ("reference", "crossed", "aa") else ""
    fresh = f", and was scored on {context.heldout:,} inputs that it had not seen" if context.heldout else ""
    exam = Point("The same exam for both.", f"Each side learnt every target{same}{fresh}.")
    if unpaired:
        exam = Point("As many trials a side as rows.", f"Each side learnt targets of its own{fresh}.")
    counted = Point(
        "Splits are counted, not restarts." if verdict.settings.overlap else "Functions are counted, not restarts.",
        f"{_capital(replicates(verdict))}: {replicate(verdict)} counts once, whatever the number of students on it.",
    )
    lost = sentences.lost(verdict, "")
    dropped = Point("Nothing was dropped.", f"A diverged student counts with an error of 1, like a constant: {lost}.")
    return [exam, counted, _looking(verdict), dropped]


def _looking(verdict: Verdict) -> Point:
    per_cent = f"{100 * verdict.alpha:g}%"
    if verdict.rule == "anytime":
        text = f"The rule names a false winner in at most {per_cent} of experiments, however often one looks."
        return Point("Looking early was allowed.", text)
    if verdict.rule == "hybrid":
        planned = f"{verdict.planned:,} rounds, a number fixed before the data"
        text = f"Early at E of {1 / (EARLY * verdict.alpha):,.6g}, else once after {planned}: a false winner in"
        return Point("Two looks were planned.", f"{text} at most {per_cent} of experiments.")
    if verdict.settings.overlap:
        text = (
            f"Corrected for splits that overlap, one look errs in about {per_cent} of data sets without a difference."
        )
        return Point("One look was allowed.", text)
    text = f"One look at all the targets errs in {per_cent} of experiments; looking again and again errs more often."
    return Point("One look was allowed.", text)


def limits(verdict: Verdict, context: Context) -> list[Point]:
    """What the verdict cannot say."""
    points = []
    if size := sentences.of_size(verdict):
        points.append(Point("Which is better at equal size.", f"{size} The figure of error against size shows both."))
    elif verdict.size_ratio is None:
        points.append(Point("Which is better at equal size.", "The table holds no sizes."))
    if verdict.size_ratio is not None and (why := verdict.equal_error.reason):
        points.append(Point("Which is larger at equal error.", why))
    if verdict.verdict == "equivalent":
        points.append(Point("That there is no difference.", f"Only that any is within {words.margin(verdict.margin)}."))
    if verdict.verdict == "undecided" and measured(verdict):
        points.append(Point("That the sides are equal.", "Nor that one is better: the evidence decides neither yet."))
    if verdict.data.is_a is not None:
        text = (
            "Each side learnt other targets, so skill and difficulty are confounded. The crossed protocol parts them."
        )
        points.append(Point("Who is better and whose targets are harder.", text))
    rest = "other sizes, samples and training were not run either."
    points.append(Point("Anything about other functions.", f"{_source(verdict, context)}; {rest}"))
    if tuned := [note.text for note in verdict.notes if note.kind == "tuned"]:
        points.append(Point("Which is better at values that were not tried.", tuned[0]))
    else:
        points.append(Point("Which is better after tuning.", "One shared learning rate can decide a comparison."))
    if alone := _alone(verdict):
        points.append(alone)
    if capped := _capped(verdict):
        points.append(capped)
    points.append(Point("That the means differ, strictly.", _skew(verdict)))
    return points


def _source(verdict: Verdict, context: Context) -> str:
    if verdict.data.kind == "crossed":
        return "Targets were drawn from both sides' own priors"
    if context.protocol == "direct":
        return "Each side's targets were drawn from the other's prior"
    if context.reference:
        return f"Targets were drawn from {context.reference}"
    return "Only the targets of these rows were learnt"


def _alone(verdict: Verdict) -> Point | None:
    """The members that are not decided on their own, where others or all together are."""
    rest = [m for m in verdict.members if not decided(verdict, m.p_holm)]
    if len(verdict.members) < 2 or not rest or better(verdict) is None:
        return None
    which = _named(verdict, rest)
    verb, own = ("differs", "its own it is") if len(rest) == 1 else ("differ", "their own they are")
    return Point(f"That {which} {verb}.", f"On {own} undecided.")


def _named(verdict: Verdict, members: Sequence[Member]) -> str:
    if len(members) > FEW:
        return f"{len(members):,} of {len(verdict.members):,} members"
    return words.listed([verdict.member_name(m.member) for m in members])


def _capped(verdict: Verdict) -> Point | None:
    pairs = ((verdict.capped.a, verdict.students.a), (verdict.capped.b, verdict.students.b))
    shares = [n / of for n, of in pairs]
    if max(shares) < 0.05:
        return None
    worse = shares.index(max(shares))
    whose = f"{words.percent(shares[worse])} of {verdict.names[worse]}'s students"
    text = f"{whose} had an error of 1 or more, which counts as 1."
    return Point("How far the worst students are off.", text)


def _skew(verdict: Verdict) -> str:
    if verdict.settings.overlap:
        return "Over data sets of as many rows, by the corrected t-test, which is approximate (Nadeau and Bengio 2003)."
    skewed = "Strongly skewed differences can break that with equal means."
    given = "errors of both sides" if verdict.data.is_a is not None else "given the target, both sides"
    return f"What is tested is that {given} are exchangeable. {skewed}"


def _relative(verdict: Verdict) -> str:
    own = any(note.kind == "loss" for note in verdict.notes)
    return "relative to the best constant's" if own else "relative to the best constant's (NMSE)"


def design(verdict: Verdict, context: Context) -> list[str]:
    """Design, estimand, null and tests, a sentence or two each."""
    s = verdict.settings
    how = {
        "paired": "Paired by target: the unit is the target, learnt by both sides.",
        "crossed": "Crossed: the unit is a pair of targets, one of either side's prior, each learnt by both sides.",
        "unpaired": "Unpaired: the unit is the target, learnt by one side.",
    }[verdict.data.kind]
    members = f" {len(verdict.members):,} members are strata of equal weight." if len(verdict.members) > 1 else ""
    given = "" if verdict.data.is_a is not None else " given the target"
    lines = [
        f"{how} n = {replicates(verdict)}.{members}",
        f"Score: the log of the held-out error {_relative(verdict)}, clipped to {words.small(s.floor)} to 1 and "
        "averaged over restarts. Estimand: the mean of A's score minus B's, as a ratio of typical errors (geometric "
        "means).",
        "Null hypothesis: over data sets of as many rows the mean difference is 0."
        if s.overlap
        else f"Null hypothesis: the errors of A and B are exchangeable{given}.",
        f"Rule: {_rule(verdict)}. Error rate {s.alpha:g}; {words.margin(verdict.margin)} was said to matter.",
        f"At a single look: {_single(verdict)}",
        *(note.text for note in verdict.notes if note.kind in ("targets", "loss", "contrast")),
    ]
    if sides := _sides(context):
        lines.insert(1, sides)
    return lines


def _sides(context: Context) -> str:
    said = {
        "reference": "both sides learn each target",
        "crossed": "both sides learn each target, half drawn from A's prior and half from B's",
        "direct": "each side learns targets drawn from the other",
        "aa": "A against itself: no difference is there to be found",
    }.get(context.protocol)
    return f"Protocol {context.protocol}: {said}." if said else ""


def _rule(verdict: Verdict) -> str:
    s = verdict.settings
    if s.name == "anytime":
        return f"anytime, an e-process over rounds in the order of first start; it decides at E = {1 / s.alpha:,.6g}"
    if s.name == "hybrid":
        early = f"{1 / (EARLY * s.alpha):,.6g}"
        return f"hybrid, early at E = {early}, else a sign-flip test at {FINAL * s.alpha:g} after {s.planned:,} rounds"
    return f"fixed, one look at all targets{', corrected for splits that overlap' if s.overlap else ''}"


def _single(verdict: Verdict) -> str:
    p, interval = words.p_is(verdict.p_value, verdict.alpha), ""
    if math.isfinite(verdict.ci_low) and measured(verdict):
        interval = (
            f" {words.level(verdict.alpha)} interval {words.span(verdict.ci_low, verdict.ci_high, verdict.names)}."
        )
    if verdict.settings.overlap:
        return f"corrected resampled t-test, {p}.{interval}"
    if verdict.blocks > LARGEST_PERMUTED:
        return f"t test, {p}.{interval}"
    if verdict.data.is_a is not None:
        other = words.p_is(verdict.p_brunnermunzel)
        return f"labels permuted within members, {p}; Brunner and Munzel {other}.{interval}"
    exact = "exact " if verdict.blocks <= EXACT_BLOCKS else ""
    return f"{exact}sign-flip test, {p}; Wilcoxon {words.p_is(verdict.p_wilcoxon)}.{interval}"


def amount(cost: Cost | None, name: str) -> str:
    """A figure of what a student costs, with at most two digits where it was measured; a dash where it is not known."""
    value = math.nan if cost is None else getattr(cost, name)
    if not math.isfinite(value):
        return "–"
    return scales.number(float(f"{value:.2g}") if name == "seconds" else value)


def minded(verdict: Verdict) -> list[str]:
    """The verdict's notes but for those on null, limit and contrast, which stand elsewhere on the page."""
    return [note.text for note in verdict.notes if note.kind not in ("null", "limit", "loss", "contrast")]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
