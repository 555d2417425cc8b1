"""What a verdict holds, and how it is said: as a JSON object, a sentence, a paragraph and a table."""

import math
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from archab.evidence import headline
from archab.evidence import words as words
from archab.evidence.design import Design
from archab.evidence.e_process import EARLY, Forecast, crossing
from archab.evidence.notes import Note, caveats
from archab.evidence.statistics import FLOOR, holm

if TYPE_CHECKING:
    from rich.table import Table

Decision = Literal["a_better", "b_better", "equivalent", "undecided"]
RuleName = Literal["anytime", "fixed", "hybrid"]
# Why there is no winner and no equivalence, beyond evidence that does not reach; empty where there is none of these.
Status = Literal[
    "",
    "too_few",
    "members_disagree",
    "members_open",
    "opposed",
    "learnt_nothing",
    "few_learnt",
    "nothing_measured",
    "below_linear",
]


@dataclass(frozen=True, slots=True)
class Rule:
    """When a verdict is given: rule, error rate, ratio of errors that matters, the hybrid's planned N, the floor."""

    name: RuleName = "anytime"
    alpha: float = 0.05
    margin: float = 1.10
    planned: int | None = None
    floor: float = FLOOR


@dataclass(frozen=True, slots=True)
class Counts:
    """Students of either side."""

    a: int
    b: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """A geometric-mean ratio with its t interval."""

    gmr: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class MoreTargets:
    """Further targets a member for a fixed test at this power; None where nothing was found or a million is too few."""

    power80: int | None
    power90: int | None


@dataclass(frozen=True, slots=True)
class Member:
    """One member; every error is an NMSE.

    Attributes:
        p_holm: the larger of the pooled p and Holm's over members.
        p_equivalence: of two one-sided tests against the margin.
        lower: on how many blocks A's error is the lower one; None where unpaired.
        typical_a, typical_b: geometric mean over blocks.
        size_a, size_b: the measure of its networks; NaN where the rows have none.
        diverged_a, diverged_b: students whose loss or parameters became NaN or infinite.
        iqm_a, iqm_b: geometric mean of the middle half.
        best_of_a, best_of_b: expected best of 1, 2, … restarts; None with one restart.
        size_ratio: B's measure over A's.
        control: typical error of the reference's own family on its targets.
        linear: typical error of the least-squares affine map of the inputs on the same targets; NaN where not known.
        below_linear: whether neither side's typical error is lower than that, by 1% at least.
        limited_by_training: whether that is above half of the better side's on the same targets, with all of its
            interval, and there are 32 students of the control in all.
    """

    member: int
    blocks: int
    theta: float
    gmr: float
    ci_low: float
    ci_high: float
    p_value: float
    p_holm: float
    p_equivalence: float
    prob_a_better: float
    lower: int | None
    typical_a: float
    typical_b: float
    iqm_a: float
    iqm_b: float
    best_of_a: tuple[float, ...] | None
    best_of_b: tuple[float, ...] | None
    size_a: float
    size_b: float
    size_ratio: float
    diverged_a: int
    diverged_b: int
    control: float
    limited_by_training: bool
    linear: float
    below_linear: bool


@dataclass(frozen=True)
class Verdict:
    """A verdict and all that it rests on. NaN stands for a figure that the design does not have.

    theta = E[y_A − y_B] in logs; gmr and the ends of intervals are ratios of A's to B's typical error: `ci` of a single
    look, `anytime` valid however often one looked, `interval` that of the rule in force.
    The first fields are the JSON object, in which notes are their texts; those after `notes` are for text, tables and
    figures. `reason` is what `status` means here, in words.
    """

    verdict: Decision
    status: Status
    rule: RuleName
    design: Literal["paired", "unpaired"]
    blocks: int
    theta: float
    gmr: float
    interval_low: float
    interval_high: float
    ci_low: float
    ci_high: float
    anytime_low: float
    anytime_high: float
    p_value: float
    p_adjusted: float
    p_wilcoxon: float
    p_brunnermunzel: float
    p_equivalence: float
    p_anytime: float
    log_e: tuple[float, ...]
    stop_at: int | None
    prob_a_better: float
    diverged: Counts
    capped: Counts
    size_ratio: tuple[float, ...] | None
    members: tuple[Member, ...]
    home_advantage: Ratio | None
    more_targets: MoreTargets
    notes: tuple[Note, ...]
    data: Design = field(repr=False, compare=False)
    settings: Rule
    students: Counts
    names: tuple[str, str] = ("A", "B")
    label: str = ""
    member_names: tuple[str, ...] = ()
    p_rule: float = math.nan
    reason: str = ""
    next_step: str = ""
    forecast: Forecast | None = None
    prob_low: float = math.nan
    prob_high: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: fixed names, null for NaN, infinity and whatever the design does not have."""
        public = [f.name for f in fields(self)]
        found = {name: _plain(getattr(self, name)) for name in public[: public.index("data")]}
        for member in found["members"]:
            member["name"] = self.member_name(member["member"])
        found["notes"] = [note.text for note in self.notes]
        rule = {name: value for name, value in _plain(self.settings).items() if name != "name"}
        said = {"sentence": self.sentence(), "names": list(self.names), **found}
        more = {"caveats": list(self.caveats), "students": _plain(self.students)}
        return {**said, **more, **rule, "next_step": self.next_step}

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from archab.review.report import fragment

        return fragment(self)

    def sentence(self) -> str:
        """The verdict in one line."""
        return headline.sentence(self)

    def paragraph(self) -> str:
        """The verdict with its range, evidence, sizes, counts, limits and next step, in plain words."""
        return " ".join(part for part in (self.body(), self.next_step) if part)

    def body(self) -> str:
        """The paragraph without the next step, whose command is better printed on a line of its own."""
        parts = [self.sentence(), self.margin_sentence(), self.size_sentence(), self.range_sentence()]
        parts += [self.evidence_sentence(), self.home_sentence(), self.lost_sentence()]
        parts += [note.text for note in self.notes]
        return " ".join(part for part in parts if part)

    def size_sentence(self) -> str:
        """Who is larger and by how much; empty where no member differs by over 5%."""
        ratios = [r for r in self.size_ratio or () if math.isfinite(r)]
        if not any(abs(r - 1) > 0.05 for r in ratios):
            return ""
        larger, shown = (self.names[0], [1 / r for r in ratios]) if max(ratios) <= 1 else (self.names[1], ratios)
        return f"At unequal size: {larger} has {words.factors(shown)} times the size."

    @property
    def caveats(self) -> tuple[str, ...]:
        """What belongs right under the headline, in a few words each; the notes say it in full."""
        return caveats(self.notes)

    def interval(self) -> tuple[float, float]:
        """The interval of the gmr that belongs to the rule. NaN where there is none."""
        return self.interval_low, self.interval_high

    @property
    def own_sides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The positions of members that are for A and for B each by itself: p of a single look after Holm, no gate."""
        passed = holm([m.p_value for m in self.members]) <= self.settings.alpha
        found = [(i, m.theta) for i, m in enumerate(self.members) if passed[i]]
        return tuple(i for i, theta in found if theta < 0), tuple(i for i, theta in found if theta > 0)

    @property
    def _deciding(self) -> float:
        """The log of E at which the rule decides on the way, after Holm over the family; infinite where it does not."""
        if self.rule == "fixed":
            return math.inf
        share = EARLY if self.rule == "hybrid" else 1.0
        corrected = max(1.0, self.p_adjusted / self.p_rule) if self.p_rule > 0 else 1.0
        return math.log(corrected / (share * self.settings.alpha))

    @property
    def decided_at(self) -> int | None:
        """The round, from 1, at which E named the winner; None where there is none, or another test did."""
        if self.verdict not in ("a_better", "b_better") or self.rule == "fixed":
            return None
        return crossing(
            self.log_e[: self.settings.planned if self.rule == "hybrid" else None], math.exp(-self._deciding)
        )

    @property
    def faded(self) -> bool:
        """Whether all rounds together no longer show what E decided on the way: neither E does, nor a single look."""
        if self.decided_at is None:
            return False
        return self.log_e[-1] < self._deciding - 1e-12 and self.p_value > self.settings.alpha

    @property
    def margin_share(self) -> float:
        """By what share an error is lower at the margin: 1.10 is .0909."""
        return 1 - 1 / self.settings.margin

    @property
    def margin_percent(self) -> str:
        """The margin in words: 1.10 is "10%"."""
        return f"{100 * (self.settings.margin - 1):.3g}%"

    def member_name(self, member: int) -> str:
        """What a member is called: the name that was given, else its index."""
        return words.called(member, self.member_names)

    def to_rich(self, width: int = 80) -> "Table":
        """A table with a line per member, for a terminal so many columns wide."""
        from archab.review.terminal import BLOCKS, table

        return table(self, width, BLOCKS)

    def margin_sentence(self) -> str:
        """Whether a real difference matters, where it looks smaller than the margin; else empty."""
        low, high = self.interval()
        margin = self.settings.margin
        if self.verdict not in ("a_better", "b_better") or not 1 / margin < self.gmr < margin:
            return ""
        if low > 1 / margin and high < margin:
            return f"The difference is real but smaller than the {self.margin_percent} that was declared to matter."
        return f"Whether the difference exceeds the {self.margin_percent} that was declared to matter is open."

    def range_sentence(self) -> str:
        """The rule's own interval, and what must be said of it; empty where there is none."""
        low, high = self.interval()
        if self.blocks < 6 or not (math.isfinite(low) and math.isfinite(high)):
            return self._no_range()
        level = f"{100 * (1 - self.settings.alpha):g}% interval{self.validity}"
        text = f"Plausible range: {words.span(low, high, self.names, self.margin_share)} ({level})."
        if not low <= self.gmr <= high:
            return f"{text} The ratio over all targets lies outside of it: later rounds differ from those before."
        if self.verdict in ("a_better", "b_better") and low < 1 < high:
            return f"{text} The test decides, the interval is a little wider."
        margin = self.settings.margin
        beyond, equal = low < 1 / margin or high > margin, low <= 1 <= high
        if self.verdict == "undecided" and not self.reason and equal and beyond:
            limit = words.percent(self.margin_share)
            return f"{text} No difference is possible, and so is one beyond the margin ({limit} lower)."
        return text

    @property
    def validity(self) -> str:
        """How often one may have looked for the rule's interval to hold, as it follows the word interval."""
        if self.rule == "anytime":
            return ", valid however often one looked"
        return " of a single look" if self.rule == "fixed" else " of the two planned looks"

    def _no_range(self) -> str:
        """What is said where the rounds exclude every ratio between them."""
        d = self.data.rounds
        if self.rule == "fixed" or self.status == "too_few" or d.size < 7 or np.ptp(d) <= 1e-12:
            return ""
        return "No plausible range: early and later rounds exclude each other's."

    def evidence_sentence(self) -> str:
        """The evidence by which the rule decides."""
        alpha = self.settings.alpha
        if not self.log_e or self.rule == "fixed":
            return f"{words.p_is(self.p_value, alpha)}." if math.isfinite(self.p_value) else ""
        bar = 1 / ((EARLY if self.rule == "hybrid" else 1.0) * alpha)
        alone = self.p_adjusted > self.p_rule * (1 + 1e-9)
        decides = f"{bar:g} decides{', for one configuration alone' if alone else ''}"
        text = f"E = {words.evidence(max(self.log_e), bar)} at its highest ({decides})"
        if self.faded:
            text = f"{text} and {words.evidence(self.log_e[-1], bar)} at the end"
        if alone:
            return f"{text}; after correction for the others {words.p_is(self.p_adjusted, alpha)}."
        if self.decided_at is not None and self.rule == "anytime":
            return f"Decided after {self.decided_at:,} of {len(self.log_e):,} rounds. {text}."
        return f"{text}."

    def home_sentence(self) -> str:
        """The home advantage; empty where the design has none."""
        if self.home_advantage is None:
            return ""
        h = self.home_advantage
        own, others = "its own prior", "the other's"
        lower = f"{words.percent(1 - min(h.gmr, 1 / h.gmr))} lower on targets of {own if h.gmr >= 1 else others}"
        span = words.span(1 / h.ci_high, 1 / h.ci_low, (own, others)) if math.isfinite(h.ci_low) else ""
        level = f"{100 * (1 - self.settings.alpha):g}% interval of a single look"
        which = "advantage" if h.gmr >= 1 else "disadvantage"
        return f"Home {which}: a side's error is {lower}{f' ({level}: {span})' if span else ''}."

    def lost_sentence(self) -> str:
        """How many students diverged; empty where none did."""
        if self.diverged == Counts(0, 0):
            return ""
        a, b = self.names
        lost, of = self.diverged, self.students
        said = f"{lost.a:,} of {of.a:,} students of {a}, {lost.b:,} of {of.b:,} of {b}"
        return f"Diverged: {said}; each counts as an error of 1, like the constant predictor."


def _plain(value: object) -> Any:
    """Nested frozen dataclasses as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
