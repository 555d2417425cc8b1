"""What a verdict holds: nested data, and every figure again under the one name that it has in the JSON object."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import Any, Literal

import numpy as np

from archab.evidence import sentences
from archab.evidence.costs import Cost
from archab.evidence.design import Design
from archab.evidence.e_process import EARLY, Forecast, crossing
from archab.evidence.equal_error import EqualError
from archab.evidence.estimate import Figures
from archab.evidence.notes import Note, caveats
from archab.evidence.rule import Rule
from archab.evidence.spread import Spread
from archab.evidence.statistics import holm
from archab.evidence.views import VIEWS
from archab.evidence.words import called

Decision = Literal["a_better", "b_better", "equivalent", "undecided"]
# Why there is no winner and no equivalence, beyond evidence that does not reach; empty where there is none of these.
Status = Literal[
    "", "too_few", "members_disagree", "members_open", "opposed", "learnt_nothing", "few_learnt", "nothing_measured",
    "tuned_unequally",
    "below_linear",
]  # fmt: skip


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
class Side:
    """The students of one side of a member.

    Attributes:
        typical: geometric mean over blocks of their NMSE.
        iqm: geometric mean of the middle half.
        best_of: expected best of 1, 2, … restarts; None with one restart.
        size: the measure of its networks; NaN where the rows have none.
        diverged: how many lost their loss or parameters to NaN or infinity.
        cost: what one of them costs; None where nothing of that is known.
        accuracy: mean share of the held-out outputs that are right; NaN where these are no labels.
    """

    typical: float
    iqm: float
    best_of: tuple[float, ...] | None
    size: float
    diverged: int
    cost: Cost | None = None
    accuracy: float = math.nan


@dataclass(frozen=True, slots=True)
class Fit:
    """A linear fit on a member's targets: its typical error, and whether a side beats it; NaN and None if not known."""

    error: float
    beaten: bool | None


@dataclass(frozen=True, slots=True)
class Member:
    """One member; every error is an NMSE.

    Attributes:
        figures: of its blocks alone, at a single look.
        p_holm: the larger of the pooled p and Holm's over members.
        control: typical error of the reference's own family on its targets; NaN where there is none.
        limited_by_training: whether that is above half of the better side's on the same targets, with all of its
            interval, and there are 32 students of the control in all.
        fit: the least-squares affine map of the inputs on the same targets.
    """

    member: int
    figures: Figures
    p_holm: float
    a: Side
    b: Side
    control: float
    limited_by_training: bool
    fit: Fit

    blocks = property(attrgetter("figures.blocks"))
    theta = property(attrgetter("figures.theta"))
    gmr = property(attrgetter("figures.gmr"))
    ci_low = property(attrgetter("figures.ci_low"))
    ci_high = property(attrgetter("figures.ci_high"))
    p_value = property(attrgetter("figures.p_value"))
    p_equivalence = property(attrgetter("figures.p_equivalence"))
    prob_a_better = property(attrgetter("figures.prob_a_better"))
    lower = property(attrgetter("figures.lower"))
    typical_a = property(attrgetter("a.typical"))
    typical_b = property(attrgetter("b.typical"))
    iqm_a = property(attrgetter("a.iqm"))
    iqm_b = property(attrgetter("b.iqm"))
    best_of_a = property(attrgetter("a.best_of"))
    best_of_b = property(attrgetter("b.best_of"))
    size_a = property(attrgetter("a.size"))
    size_b = property(attrgetter("b.size"))
    diverged_a = property(attrgetter("a.diverged"))
    diverged_b = property(attrgetter("b.diverged"))
    cost_a = property(attrgetter("a.cost"))
    cost_b = property(attrgetter("b.cost"))
    accuracy_a = property(attrgetter("a.accuracy"))
    accuracy_b = property(attrgetter("b.accuracy"))
    linear = property(attrgetter("fit.error"))

    @property
    def size_ratio(self) -> float:
        """B's measure over A's."""
        return self.b.size / self.a.size

    @property
    def below_linear(self) -> bool:
        """Whether neither side's typical error is lower than the linear fit's, by 1% at least."""
        return self.fit.beaten is False


@dataclass(frozen=True, slots=True)
class Evidence:
    """The e-process over the rounds.

    Attributes:
        log_e: log E after every round.
        p_anytime: the smallest p on the way.
        stop_at: the round, from 1, at which E first reached 1/alpha; None where it has not.
        low, high: of the gmr, valid however often one looked.
        forecast: how many more rounds that may take; of an undecided verdict.
    """

    log_e: tuple[float, ...]
    p_anytime: float
    stop_at: int | None
    low: float
    high: float
    forecast: Forecast | None = None


@dataclass(frozen=True, repr=False)
class Verdict:
    """A verdict and all that it rests on. NaN stands for a figure that the design does not have.

    theta = E[y_A − y_B] in logs; gmr and the ends of intervals are ratios of A's to B's typical error: `ci` of a single
    look, `anytime` valid however often one looked, `interval` that of the rule in force.

    Attributes:
        verdict, status, reason: what was decided, and why not more than that, the reason in words.
        settings: the rule in force; `p_rule` is its p, `p_adjusted` the same after Holm over the family.
        data: the blocks and rounds.
        whole: the figures over all members, at a single look.
        equal_error: how many times the size of A does B need for the same error.
        spread: how much of that of differences is from target to target; None with one restart a target.
        students, diverged, capped: how many there are a side, how many diverged, how many scored at NMSE 1.
        label: what tells it from others that are judged with it.
        scope: where it holds, if on no distribution of functions: "splits of digits".
        next_step: what to do, with the command; empty where nothing is to be done.
    """

    settings: Rule
    data: Design = field(repr=False, compare=False)
    whole: Figures
    members: tuple[Member, ...]
    evidence: Evidence
    p_rule: float
    p_adjusted: float
    interval_low: float
    interval_high: float
    students: Counts
    diverged: Counts
    capped: Counts
    home_advantage: Ratio | None
    more_targets: MoreTargets
    equal_error: EqualError
    spread: Spread | None
    names: tuple[str, str] = ("A", "B")
    member_names: tuple[str, ...] = ()
    label: str = ""
    scope: str = ""
    notes: tuple[Note, ...] = ()
    verdict: Decision = "undecided"
    status: Status = ""
    reason: str = ""
    next_step: str = ""

    rule = property(attrgetter("settings.name"))
    alpha = property(attrgetter("settings.alpha"))
    margin = property(attrgetter("settings.margin"))
    planned = property(attrgetter("settings.planned"))
    floor = property(attrgetter("settings.floor"))
    blocks = property(attrgetter("whole.blocks"))
    theta = property(attrgetter("whole.theta"))
    gmr = property(attrgetter("whole.gmr"))
    ci_low = property(attrgetter("whole.ci_low"))
    ci_high = property(attrgetter("whole.ci_high"))
    p_value = property(attrgetter("whole.p_value"))
    p_wilcoxon = property(attrgetter("whole.p_wilcoxon"))
    p_brunnermunzel = property(attrgetter("whole.p_brunnermunzel"))
    prob_a_better = property(attrgetter("whole.prob_a_better"))
    prob_low = property(attrgetter("whole.prob_low"))
    prob_high = property(attrgetter("whole.prob_high"))
    log_e = property(attrgetter("evidence.log_e"))
    p_anytime = property(attrgetter("evidence.p_anytime"))
    stop_at = property(attrgetter("evidence.stop_at"))
    anytime_low = property(attrgetter("evidence.low"))
    anytime_high = property(attrgetter("evidence.high"))
    forecast = property(attrgetter("evidence.forecast"))

    @property
    def design(self) -> Literal["paired", "unpaired"]:
        """Whether targets have both sides; those of a crossed design do."""
        return "unpaired" if self.data.kind == "unpaired" else "paired"

    @property
    def p_equivalence(self) -> float:
        """The largest p of all members together and of each, which are all to be within the margin."""
        return float(np.max([self.whole.p_equivalence, *(m.p_equivalence for m in self.members)]))

    @property
    def size_ratio(self) -> tuple[float, ...] | None:
        """B's measure over A's, a number per member; None where the rows carry no measure."""
        ratios = tuple(m.size_ratio for m in self.members)
        return None if all(map(math.isnan, ratios)) else ratios

    @property
    def caveats(self) -> tuple[str, ...]:
        """What belongs right under the headline, in a few words each; the notes say it in full."""
        return caveats(self.notes)

    def interval(self) -> tuple[float, float]:
        """The interval of the gmr that belongs to the rule. NaN where there is none."""
        return self.interval_low, self.interval_high

    def member_name(self, member: int) -> str:
        """What a member is called: the name that was given, else its index."""
        return called(member, self.member_names)

    @property
    def own_sides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The positions of members that are for A and for B each by itself: p of a single look after Holm, no gate."""
        passed = holm([m.p_value for m in self.members]) <= self.alpha
        found = [(i, m.theta) for i, m in enumerate(self.members) if passed[i]]
        return tuple(i for i, theta in found if theta < 0), tuple(i for i, theta in found if theta > 0)

    @property
    def in_family(self) -> bool:
        """Whether it was judged with others, so that E at its line does not decide: p after Holm does."""
        return self.p_adjusted > self.p_rule * (1 + 1e-9)

    @property
    def _deciding(self) -> float:
        """The log of E at which the rule decides on the way, after Holm over the family; infinite where it does not."""
        if self.rule == "fixed":
            return math.inf
        share = EARLY if self.rule == "hybrid" else 1.0
        corrected = max(1.0, self.p_adjusted / self.p_rule) if self.p_rule > 0 else 1.0
        return math.log(corrected / (share * self.alpha))

    @property
    def decided_at(self) -> int | None:
        """The round, from 1, at which E named the winner; None where there is none, or another test did."""
        if self.verdict not in ("a_better", "b_better") or self.rule == "fixed":
            return None
        return crossing(self.log_e[: self.settings.rounds or None], math.exp(-self._deciding))

    @property
    def faded(self) -> bool:
        """Whether all rounds together no longer show what E decided on the way: neither E does, nor a single look."""
        if self.decided_at is None:
            return False
        return self.log_e[-1] < self._deciding - 1e-12 and self.p_value > self.alpha

    def sentence(self) -> str:
        """The verdict in one line."""
        return sentences.sentence(self)

    def paragraph(self) -> str:
        """The verdict with its range, evidence, sizes, counts, limits and next step, in plain words."""
        return sentences.paragraph(self)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: fixed names, null for NaN, infinity and whatever the design does not have."""
        members = [{**plain(m, MEMBER_JSON.split()), "name": self.member_name(m.member)} for m in self.members]
        said = {"sentence": self.sentence(), "members": members, "notes": [note.text for note in self.notes]}
        return {name: said[name] if name in said else plain(getattr(self, name)) for name in JSON.split()}

    def to_rich(self, width: int = 80) -> Any:
        """A `rich.table.Table` with a line per member, for a terminal so many columns wide."""
        return VIEWS["rich"](self, width)

    def __repr__(self) -> str:
        return f"Verdict: {self.sentence()}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return VIEWS["html"](self)


# The names of the JSON object and of a member in it, in their order.
JSON = """
    sentence names verdict status rule design blocks theta gmr interval_low interval_high ci_low ci_high anytime_low
    anytime_high p_value p_adjusted p_wilcoxon p_brunnermunzel p_equivalence p_anytime log_e stop_at prob_a_better
    diverged capped size_ratio members home_advantage more_targets equal_error spread notes caveats students alpha
    margin planned floor scope next_step
"""
MEMBER_JSON = """
    member blocks theta gmr ci_low ci_high p_value p_holm p_equivalence prob_a_better lower typical_a typical_b iqm_a
    iqm_b best_of_a best_of_b size_a size_b size_ratio diverged_a diverged_b control limited_by_training linear
    below_linear cost_a cost_b accuracy_a accuracy_b
"""


def plain(value: object, names: Sequence[str] = ()) -> Any:
    """A value as JSON has it; of a dataclass these names, all of its fields where none are given."""
    if is_dataclass(value):
        return {name: plain(getattr(value, name)) for name in names or [f.name for f in fields(value)]}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
