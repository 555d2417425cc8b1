"""From two sides' runs to a verdict: who is better, that neither is, or that it cannot be said yet; and its words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archab.errors import ArchabError
from archab.evidence import e_process as sequential
from archab.evidence import words
from archab.evidence.closed import e_holm
from archab.evidence.fields import Decision, plain
from archab.evidence.power import more_blocks
from archab.evidence.rule import FEWEST_BLOCKS, Rule
from archab.evidence.spread import Spread, sentence, split
from archab.evidence.statistics import Array, holm
from archab.evidence.verdict import needed
from archab.metrics.contrast import Contrast, contrast, within
from archab.metrics.metric import Metric, mean_of
from archab.metrics.rounds import Rounds


@dataclass(frozen=True)
class MetricVerdict:
    """A verdict on a metric of any runs.

    Attributes:
        metric: what is compared, in which direction and on which scale.
        names: of A and of B.
        rule: by which it is decided.
        found: every figure.
        means: of the metric over the runs of A and of B that have not failed, then their standard deviations.
        runs: how many runs of A and of B count.
        p_rule: p of the rule in force; `p_adjusted`: after correction for the other pairs of sides.
        compared: how many pairs of sides are judged together.
        verdict: `a_better`, `b_better`, `equivalent` or `undecided`; `reason`: why it is the last, where more is known.
        notes: what must be read with it.
        next_step: how many more runs may decide.
        unit: the rounds in words.
        paired: whether the runs of a round belong together; `noun`: what a round is, see `Rounds`.
        spread: of pairs in groups, such as data sets, where theirs comes from.
    """

    metric: Metric
    names: tuple[str, str]
    rule: Rule
    found: Contrast
    means: tuple[float, float]
    deviations: tuple[float, float]
    runs: tuple[int, int]
    p_rule: float
    p_adjusted: float
    compared: int
    verdict: Decision
    reason: str
    notes: tuple[str, ...]
    next_step: str
    unit: str
    paired: bool
    noun: str
    spread: Spread | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of A's score less B's that belongs to the rule."""
        if self.rule.name == "anytime":
            return self.found.anytime
        if self.rule.name == "hybrid":
            return sequential.hybrid_interval(self.found.differences, self.rule.rounds, self.rule.alpha)
        return self.found.low, self.found.high

    @property
    def winner(self) -> str:
        """The name of the better side; empty where there is none."""
        return {"a_better": self.names[0], "b_better": self.names[1]}.get(self.verdict, "")

    def sentence(self) -> str:
        """The verdict in one line."""
        a, b = self.names
        if self.verdict == "equivalent":
            return f"{a} and {b} are equivalent in {self.metric.name}: any difference is within {self.metric.bound()}."
        if not self.winner:
            return self.reason or f"No winner yet between {a} and {b}."
        better, other, lost = (a, b, self.found.failed[1]) if self.winner == a else (b, a, self.found.failed[0])
        if math.isnan(self.found.theta) or self._toward(self.winner) <= 0:
            ended = f"{words.counted(lost, 'run')} of {other} failed"
            return f"{better} beats {other}: {ended}."
        return f"{better} beats {other}: {self.metric.claim(self.found.theta)}{self._faded()}."

    def _toward(self, name: str) -> float:
        """The mean difference in favour of a side."""
        return -self.found.theta if name == self.names[0] else self.found.theta

    def _faded(self) -> str:
        """What is said where later rounds no longer show what decided."""
        crossed = self.found.log_e.size and self.rule.name == "anytime" and self.p_rule <= self.rule.alpha
        if crossed and self.found.log_e[-1] < -math.log(self.rule.alpha) and self.found.p_value > self.rule.alpha:
            return "; the evidence has faded since it was decided"
        return ""

    @property
    def validity(self) -> str:
        """How often one may have looked for the rule's interval to hold."""
        valid = {"anytime": "valid however often one looked", "fixed": "of a single look"}
        return valid.get(str(self.rule.name), "of the two planned looks")

    def range(self) -> str:
        """The interval in words, with what it may be used for; empty where there is none."""
        low, high = self.interval
        if self.found.blocks < FEWEST_BLOCKS or math.isnan(low) or (math.isinf(low) and math.isinf(high)):
            return ""
        how = f"{',' if self.rule.name == 'anytime' else ''} {self.validity}"
        how += ", of this pair of sides by itself" if self.compared > 1 else ""
        span = f"{self.metric.span(low, high, self.names)} ({words.level(self.rule.alpha)} interval{how})"
        if self.rule.name != "anytime" and self.found.any_failed:
            return f"Of the runs that did not fail: {span}."
        if self.winner and low < 0 < high:
            return f"Plausible range: {span}. The test decides, the interval is a little wider."
        if self.verdict == "undecided" and not low < 0 < high and self.rule.name == "fixed" and self.compared == 1:
            return f"Plausible range: {span}. The test decides, and does not reject: the interval is a little narrower."
        return f"Plausible range: {span}."

    def evidence(self) -> str:
        """What decided or has not."""
        alpha, after = self.rule.alpha, ""
        if self.compared > 1:
            after = f"; after correction for {self.compared} pairs of sides {words.p_is(self.p_adjusted, alpha)}"
        if self.rule.name == "fixed" or not self.found.log_e.size:
            return f"{words.p_is(self.p_rule, alpha)}{after}."
        bar = 1 / ((sequential.EARLY if self.rule.name == "hybrid" else 1.0) * alpha)
        highest = words.evidence(max(self.found.log_e), bar)
        return f"E = {highest} at its highest ({bar:g} decides{', for one pair alone' if after else ''}){after}."

    def counted(self) -> str:
        """What was compared, how, and how often."""
        mine = [
            f"{name} {mean_of(mean, sd)}"
            for name, mean, sd in zip(self.names, self.means, self.deviations, strict=True)
        ]
        failed = [
            f"{lost:,} of {of:,} of {name}"
            for name, lost, of in zip(self.names, self.found.failed, self.runs, strict=True)
            if lost
        ]
        text = f"{self.metric.said[:1].upper()}{self.metric.said[1:]}, over {self.unit}: {', '.join(mine)} (mean ± sd)."
        worst = "the worst of its pair" if self.paired else "worse than any other"
        return f"{text} Failed: {' and '.join(failed)}; a failed run is {worst}." if failed else text

    def paragraph(self) -> str:
        """All of it in plain words."""
        parts = [self.sentence(), self.range(), self.evidence(), self.counted(), *self.notes, self.next_step]
        return " ".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object; differences are A's value less B's in the metric's own direction, logs on a log scale."""
        sign = 1.0 if self.metric.lower else -1.0
        ends = sorted(sign * x for x in self.interval)
        single = sorted(sign * x for x in (self.found.low, self.found.high))
        stop = sequential.crossing(self.found.log_e, self.rule.alpha)
        values: dict[str, Any] = {
            "sentence": self.sentence(),
            "verdict": self.verdict,
            "names": list(self.names),
            "metric": self.metric.name,
            "direction": self.metric.better,
            "scale": self.metric.scale,
            "margin": self.metric.margin,
            "paired": self.paired,
            "unit": self.unit,
            "blocks": self.found.blocks,
            "runs": list(self.runs),
            "failed": list(self.found.failed),
            "alone": self.found.alone,
            "waiting": self.found.waiting,
            "mean_a": self.means[0],
            "mean_b": self.means[1],
            "sd_a": self.deviations[0],
            "sd_b": self.deviations[1],
            "difference": sign * self.found.theta,
            "interval_low": ends[0],
            "interval_high": ends[1],
            "ci_low": single[0],
            "ci_high": single[1],
            "prob_a_better": self.found.share,
            "correlation": self.found.correlation,
            "spread": self.spread,
            "rule": self.rule.name,
            "alpha": self.rule.alpha,
            "planned": self.rule.planned,
            "p_value": self.found.p_value,
            "p_rule": self.p_rule,
            "p_adjusted": self.p_adjusted,
            "p_robust": self.found.p_robust,
            "compared": self.compared,
            "log_e": self.found.log_e.tolist(),
            "stop_at": stop,
            "notes": list(self.notes),
            "next_step": self.next_step,
        }
        return {name: plain(value) for name, value in values.items()}

    def __repr__(self) -> str:
        return f"MetricVerdict: {self.sentence()}"


def judge(rounds: Rounds, rule: Rule, pairs: Sequence[tuple[int, int]]) -> list[MetricVerdict]:
    """A verdict on each of these pairs of sides, with one error rate for all.

    Args:
        rounds: see `archab.metrics.rounds.arrange`.
        rule: when a verdict is given; its margin and floor play no part, those of the metric do.
        pairs: positions of A and B among the rounds' names.

    Raises:
        ArchabError: if the rule takes an order of the runs that they do not have.
    """
    if rounds.refused and rule.name != "fixed":
        raise ArchabError(f"rule={rule.name}: {rounds.refused}; --rule fixed judges them at a single look")
    found = [contrast(rounds, a, b, rule.alpha) for a, b in pairs]
    p_rule = [p_of(one, rule) for one in found]
    adjusted = together(found, p_rule, rule, len(rounds.scores))
    return [
        _decided(rounds, one, rule, p, float(after), len(found))
        for one, p, after in zip(found, p_rule, adjusted, strict=True)
    ]


def together(found: Sequence[Contrast], p_rule: Sequence[float], rule: Rule, rounds: int) -> Sequence[float]:
    """p of several after correction: Holm's, or of the anytime rule that of averaged e-processes, valid at any time."""
    if len(found) == 1:
        return p_rule
    if rule.name != "anytime":
        return [float(p) for p in holm(p_rule)]
    paths = np.zeros((len(found), rounds))  # of all over the same rounds: where one has none, its evidence stays
    for path, one in zip(paths, found, strict=True):
        path[one.at] = np.diff(one.log_e, prepend=0.0)
    return [sequential.anytime_p(log_e) for log_e in e_holm(np.cumsum(paths, axis=1))]


def _decision(found: Contrast, metric: Metric, rule: Rule, p: float, compared: int, noun: str) -> tuple[Decision, str]:
    have, need = _have(found, rule), needed(rule)
    if have < need:
        return "undecided", f"Too few {noun}s for any verdict: {have:,} of at least {need}."
    if p <= rule.alpha * (1 + 1e-12):
        better = _direction(found, rule)
        # Where runs failed, their mean is that of the others alone, and does not speak against the ranks.
        if better * found.theta > 0 or found.any_failed:
            return ("a_better" if better < 0 else "b_better"), ""
        return "undecided", "Undecided: the evidence and the mean point to opposite sides; early and later runs differ."
    if within(found, metric.edge, rule, rule.alpha / compared):
        return "equivalent", ""
    return "undecided", ""


def _have(found: Contrast, rule: Rule) -> int:
    return found.blocks if rule.name == "fixed" else found.differences.size


def _direction(found: Contrast, rule: Rule) -> int:
    """−1 where the rule points to A as the better side, +1 for B."""
    if rule.name == "anytime":
        stop = sequential.crossing(found.log_e, rule.alpha) or found.log_e.size
        return sequential.direction(found.differences, stop)
    if rule.name == "hybrid":
        return sequential.hybrid_direction(found.differences, rule.rounds, rule.alpha)
    if not found.any_failed:
        return -1 if found.theta < 0 else 1
    better = found.ranked.sum() if found.paired else 0.5 - found.share
    return -1 if better < 0 else 1


def _held(rounds: Rounds, found: Contrast, side: int) -> Array:
    """The metric of a side's runs that count and have not failed."""
    there = ~np.isnan(rounds.scores[:, list(found.sides)]).any(axis=1) if rounds.paired else slice(None)
    x = rounds.raw[there, side]
    return np.asarray(x[~np.isnan(x)])


def _notes(rounds: Rounds, found: Contrast, rule: Rule, several: bool) -> list[str]:
    a, b = (rounds.names[side] for side in found.sides)
    said = []
    if rounds.paired:
        null = "Tested is whether A and B are exchangeable in every pair; nothing is said beyond what the pairs vary."
        if found.alone:
            said.append(f"Pairs of which a side has no run: {found.alone:,}; they are left out.")
        if found.a.size >= ENOUGH and (found.correlation <= 0 or found.correlated_p > 0.05):
            r = f"r = {found.correlation:.2f} over {found.a.size} {rounds.noun}s"
            said.append(f"The pairing carries no correlation that can be told from none ({r}), and so saves no runs.")
    else:
        null = "Tested is whether runs of A and B are exchangeable; nothing is said beyond what the runs vary."
        if found.alone:
            said.append(f"Runs of the larger side that have no partner in the anytime evidence: {found.alone:,}.")
    if found.waiting:
        said.append(f"Runs that have not ended: evidence waits from there on, {words.counted(found.waiting, 'round')}.")
    if (carried := _carried(found)) is not None:
        at, share = carried
        said.append(
            f"One round ({rounds.labels[found.at[at]]}) carries {words.percent(share)} of the squares of all "
            f"differences, and hides the others (test of ranks: {words.p_is(found.p_robust)}): a run that diverged is "
            "counted as failed where its value is NaN, and the log of large values tells more."
        )
    ties = int(np.count_nonzero(found.differences == 0))
    if ties:
        said.append(f"Ties: {ties:,}.")
    if found.any_failed:
        which = f"Runs failed, {found.failed[0]:,} of {a} and {found.failed[1]:,} of {b}"
        if rule.name == "anytime":
            how = "the evidence and its range take them to be worse by any amount; means are of the others alone"
        else:
            how = "the test is of ranks, in which they are the worst; means and the range are of the others alone"
        said.append(f"{which}: {how}.")
    of = f"{a} and {b}: " if several else ""
    return [*(f"{of}{text[0].lower()}{text[1:]}" if of else text for text in said), null]


def _carried(found: Contrast) -> tuple[int, float] | None:
    """The round that carries nearly all of the squared differences, by its position, and how much; None without one."""
    d = np.abs(np.where(np.isfinite(found.differences), found.differences, 0.0))
    if d.size < FEWEST_BLOCKS or not d.max() > 0:
        return None
    squares = (d / d.max()) ** 2
    return (int(d.argmax()), float(1 / squares.sum())) if 1 / squares.sum() > CARRIED else None


ENOUGH, CARRIED = 10, 0.9


def _next(found: Contrast, rule: Rule, verdict: Decision, compared: int, noun: str) -> str:
    """How many more runs may decide; empty where it is decided."""
    if verdict != "undecided":
        return ""
    what = f"more {noun}"
    have, need = _have(found, rule), needed(rule)
    if found.waiting and rule.name != "fixed":
        return "Let the runs end that have not: evidence waits for them."
    if have < need:
        return f"About {words.counted(need - have, what)} to the first verdict that is possible."
    if rule.name == "hybrid":
        left = rule.rounds - have
        return (
            f"About {words.counted(left, what)} to the planned {rule.rounds}." if left > 0 else "The plan is used up."
        )
    if rule.name == "fixed":
        more = None if found.any_failed else more_blocks(found.estimate, found.blocks, 0.8, rule.alpha / compared)
        floor = math.ceil(1 - math.log2(rule.alpha / compared)) - have  # a permutation test of fewer cannot reject
        more = more if more is None else max(more, floor, 1)
        why = "for 80% power at the observed difference (this rule allows one look: plan it anew)"
    else:
        more = sequential.forecast(found.differences, rule.alpha / compared).point80
        why = "if the future is like the past (80% of resampled futures; indicative)"
    if found.any_failed and rule.name == "fixed":
        return ""
    none = f"No number of further {noun}s is in sight that would decide."
    return f"About {words.counted(more, what)} {why}." if more else none


def p_of(found: Contrast, rule: Rule) -> float:
    """p of the rule in force, of one pair of sides alone."""
    if rule.name == "fixed":
        return found.p_value
    if rule.name == "hybrid":
        return sequential.hybrid_p(found.differences, rule.rounds)
    return sequential.anytime_p(found.log_e)


def _decided(rounds: Rounds, found: Contrast, rule: Rule, p: float, adjusted: float, compared: int) -> MetricVerdict:
    a, b = found.sides
    names = rounds.names[a], rounds.names[b]
    raw = [_held(rounds, found, side) for side in (a, b)]
    verdict, reason = _decision(found, rounds.metric, rule, adjusted, compared, rounds.noun)
    parts = _spread(rounds, found)
    order = [rounds.order] if rounds.order and rule.name != "fixed" else []
    notes = [*order, *rounds.notes, *_notes(rounds, found, rule, compared > 1)]
    names_of = [name.rpartition(".")[2] for name in rounds.grouped]
    notes += [sentence(parts, *(f"value{s} of {name}" for name in names_of for s in ("", "s")))] if parts else []
    return MetricVerdict(
        metric=rounds.metric,
        names=names,
        rule=rule,
        found=found,
        means=(_mean(raw[0]), _mean(raw[1])),
        deviations=(_deviation(raw[0]), _deviation(raw[1])),
        runs=(found.a.size, found.b.size),
        p_rule=p,
        p_adjusted=adjusted,
        compared=compared,
        verdict=verdict,
        reason=reason,
        notes=tuple(notes),
        next_step=_next(found, rule, verdict, compared, rounds.noun),
        unit=rounds.unit(found.blocks),
        paired=rounds.paired,
        noun=rounds.noun,
        spread=parts,
    )


def _mean(x: Array) -> float:
    return float(x.mean()) if x.size else math.nan


def _deviation(x: Array) -> float:
    return float(x.std(ddof=1)) if x.size > 1 else math.nan


def _spread(rounds: Rounds, found: Contrast) -> Spread | None:
    if not rounds.grouped:
        return None
    groups, met = np.array(rounds.groups)[found.at], np.isfinite(found.differences)
    return split(found.differences[met], groups[met], alpha=found.alpha)
