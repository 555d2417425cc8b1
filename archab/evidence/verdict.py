"""Rows in, verdict out: which figures are computed, which of them decides, and what a reader must be told."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from archab.errors import ArchabError
from archab.evidence import contrast, equivalence, floored, sentences, spread, statistics
from archab.evidence import e_process as sequential
from archab.evidence import words as words
from archab.evidence.costs import checked as known_costs
from archab.evidence.curves import training_notes
from archab.evidence.design import Design, arrange
from archab.evidence.equal_error import EqualError, at_equal_error
from archab.evidence.estimate import estimate_of, fixed, member_column, ratio_interval
from archab.evidence.fields import Counts, Decision, Evidence, Ratio, Status, Verdict
from archab.evidence.members import below_linear, describe, limited, unbeaten
from archab.evidence.next_step import more_targets, next_step, train_longer
from archab.evidence.notes import Note, noted
from archab.evidence.rule import FEWEST_BLOCKS, Rule, RuleName
from archab.evidence.statistics import FLOOR
from archab.evidence.study import Study

MOST_CLIPPED = 0.2


def judge(
    rows: Study | pd.DataFrame,
    *,
    rule: RuleName | None = None,
    alpha: float = 0.05,
    margin: float = 1.10,
    planned: int | None = None,
    floor: float = FLOOR,
    names: tuple[str, str] | None = None,
    member_names: Sequence[str] | None = None,
    order: Sequence[int] | None = None,
    holes: Sequence[int] | None = None,
    control: pd.DataFrame | None = None,
    control_name: str | None = None,
    curves: pd.DataFrame | None = None,
    costs: pd.DataFrame | None = None,
    notes: Sequence[Note | str] = (),
    command: str | None = None,
) -> Verdict:
    """The verdict on one configuration.

    Args:
        rows: a study, the table of a `Comparison`, which holds all of its study, or any table with one trained student
            a row; see `archab.evidence.table.students` for the columns.
        rule: `anytime` (valid however often one looks), `fixed` (one look), `hybrid` (early stop, else at `planned`);
            by default anytime, and fixed where targets are splits of one data set, of which it alone knows.
        alpha: error rate of the rule.
        margin: ratio of typical errors from which a difference matters, above 1.
        planned: the hybrid's maximum number of rounds, fixed before the data.
        floor: smaller errors count as this one.
        names, member_names, order, holes, control, control_name, curves, costs, command: in the place of the study's
            own, see `archab.evidence.study.Study`.
        notes: what must stand with the verdict, beside the study's own.

    Raises:
        ArchabError: if the rows or a setting are refused; the message says what would be right.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> rows = pd.DataFrame(
        ...     [
        ...         (0, 0, target, side, 0, hard * better * np.exp(0.1 * rng.normal()))
        ...         for target, hard in enumerate(rng.uniform(0.1, 0.5, 30))
        ...         for side, better in (("a", 1.0), ("b", 0.7))
        ...     ],
        ...     columns=["seed", "member", "target", "side", "restart", "nmse"],
        ... )
        >>> verdict = judge(rows, names=("gate", "plain"))
        >>> verdict.verdict, round(verdict.gmr, 1), verdict.blocks
        ('b_better', 1.4, 30)
    """
    if not isinstance(rows, pd.DataFrame):  # a result of `compare` has its study
        rows = getattr(rows, "study", rows)
    if not isinstance(rows, Study | pd.DataFrame):
        raise ArchabError(
            f"judge({rows!r}): a table of students (a pandas DataFrame) or a Study is needed; a file is read by "
            "pandas.read_csv or read_parquet, or judged by archab-compare --table FILE"
        )
    study = (rows if isinstance(rows, Study) else Study.of(rows)).with_(
        notes,
        names=names,
        member_names=member_names,
        order=order,
        holes=holes,
        control=control,
        control_name=control_name,
        curves=curves,
        costs=costs,
        command=command,
    )
    settings = Rule(rule, alpha, margin, planned, floor, study.overlap)
    return decide(assess(study, settings), command=study.command)


def assess(study: Study, settings: Rule) -> Verdict:
    """Every figure of a verdict that does not depend on the other configurations of its family; not yet decided."""
    design, names = arrange(study.rows, study.order, study.holes, settings.floor), study.names
    if names[0] == names[1]:
        names = (f"{names[0]} (A)", f"{names[1]} (B)")
    alpha, students = settings.alpha, design.students
    whole = fixed(design.values, design.is_a, alpha, settings.margin, settings.overlap)
    members = describe(design, whole.p_value, settings, study.control, known_costs(study.costs))
    evidence = Evidence((), math.nan, None, math.nan, math.nan) if settings.overlap else _evidence(design, alpha)
    p, interval = evidence.p_anytime, (evidence.low, evidence.high)
    if settings.name == "fixed":
        p, interval = whole.p_value, (whole.ci_low, whole.ci_high)
    elif settings.name == "hybrid":
        p = sequential.hybrid_p(design.rounds, settings.rounds)
        interval = ratio_interval(*sequential.hybrid_interval(design.rounds, settings.rounds, alpha))
    sizes = np.array([[m.size_a for m in members], [m.size_b for m in members]])
    parts = None if settings.overlap else _spread(design, alpha)
    one_prior = all(note.kind != "own targets" for note in noted(study.notes))
    verdict = Verdict(
        settings=settings,
        data=design,
        whole=whole,
        members=members,
        evidence=evidence,
        p_rule=p,
        p_adjusted=p,
        interval_low=interval[0],
        interval_high=interval[1],
        students=_counts(students, students["y"].notna()),
        diverged=_counts(students, students["diverged"]),
        capped=_counts(students, students["clipped"]),
        home_advantage=_home_advantage(design, alpha),
        more_targets=more_targets(design, whole, alpha, settings.overlap),
        equal_error=EqualError(reason=_OVERLAP)
        if settings.overlap
        else at_equal_error(design, sizes, names, alpha, one_prior),
        spread=parts,
        scope=study.scope,
        names=names,
        member_names=tuple(study.member_names),
        notes=(
            *_notes(design, settings),
            *_diverged(students, names),
            *floored.notes(design, whole.theta, settings.margin, names),
            *below_linear(members, names, study.member_names, study.longer),
            *limited(members, study.control_name, study.member_names),
            *contrast.notes(study.contrast, members, names, study.member_names),
            *([Note("spread", spread.sentence(parts, "target", "targets", "restart", "restarts"))] if parts else []),
            *_said(study, names, settings.margin),
        ),
    )
    return replace(verdict, notes=(*verdict.notes, *_disagreement_note(verdict)))


_NULL_OF_SPLITS = "Tested is whether the mean difference of A and B is 0 over data sets of as many rows."
_MORE_ROWS = "Further splits of the same rows add little; more rows would tell more."
_OVERLAP = "Splits of one data set overlap, and no interval of sizes is known for them."


def _evidence(design: Design, alpha: float) -> Evidence:
    """What rounds say that are independent of each other, which splits of one data set are not."""
    log_e = sequential.log_e_path(design.rounds)
    return Evidence(
        tuple(log_e.tolist()),
        sequential.anytime_p(log_e),
        sequential.crossing(log_e, alpha),
        *ratio_interval(*sequential.anytime_interval(design.rounds, alpha)),
    )


def _spread(design: Design, alpha: float) -> spread.Spread | None:
    """Of differences between the k-th restarts of both sides; None where there is one a target, or targets differ."""
    if design.kind == "unpaired" or design.students["restart"].nunique() < 2:
        return None
    key = ["member", "source", "seed", "name", "restart"]
    sides = design.students.pivot(index=key, columns="side", values="y").dropna()
    at = sides.index.to_frame(index=False)
    d = (sides["a"] - sides["b"]).to_numpy(dtype=float)
    groups = at.groupby(["seed", "name"], observed=True).ngroup().to_numpy()
    return spread.split(d, groups, at.groupby(["member", "source"], observed=True).ngroup().to_numpy(), alpha)


def _said(study: Study, names: tuple[str, str], margin: float) -> list[Note]:
    """The study's own notes, and those on its training; of unequal training what the configuration says of it."""
    own = noted(study.notes)
    unequal = any(note.kind == "unequal training" for note in own)
    known = {"unequal training"} if unequal else set()
    if {"budget", "still falling"} & {note.kind for note in own}:  # of doublings, whatever a curve says
        known.add("still falling")
    seen = training_notes(study.curves, names, margin, study.longer)
    return [*own, *(note for note in seen if note.kind not in known)]


def decide(verdict: Verdict, *, p_adjusted: float | None = None, family: int = 1, command: str = "") -> Verdict:
    """Decide an assessed verdict: too little data, a rejection, an equivalence, or undecided, in this order.

    Args:
        verdict: what `assess` returned.
        p_adjusted: p of the rule in force after Holm over the family; its own p where it stands alone.
        family: how many configurations are judged together; equivalence is asked for at alpha over this number.
        command: what the further seeds are appended to in the next command.
    """
    p = verdict.p_rule if p_adjusted is None else p_adjusted
    decision, status, reason = _decision(verdict, p, family)
    decided = replace(verdict, verdict=decision, status=status, reason=reason, p_adjusted=p)
    decided = replace(decided, notes=(*decided.notes, *_faded_note(decided)))
    if decision != "undecided" or status == "below_linear":
        return replace(decided, next_step=train_longer(decided, command))
    if verdict.settings.overlap:
        return replace(decided, next_step=train_longer(decided, command) or _MORE_ROWS)
    ahead = sequential.forecast(verdict.data.rounds, verdict.alpha / family)
    # Students that would go on learning make another configuration: further targets of this one would not answer it.
    step = train_longer(decided, command) or next_step(verdict, ahead, fewest(verdict), command)
    return replace(decided, evidence=replace(decided.evidence, forecast=ahead), next_step=step)


def fewest(verdict: Verdict) -> tuple[int, int]:
    """How many there are of what the rule counts (rounds, else blocks), and how few it can work with."""
    design = verdict.data
    have = len(verdict.log_e) if verdict.rule == "anytime" else min(map(len, design.sides(design.values)))
    return have, needed(verdict.settings)


def needed(settings: Rule) -> int:
    """How many rounds (of the anytime rule) or blocks a rule needs, however clear they are."""
    if settings.name == "anytime":
        return max(FEWEST_BLOCKS, sequential.fewest_rounds(settings.alpha))
    return max(FEWEST_BLOCKS, math.ceil(1 - math.log2(settings.alpha)))


def _decision(verdict: Verdict, p: float, family: int) -> tuple[Decision, Status, str]:
    have, need = fewest(verdict)
    if have < need:
        pairs = "pairs of targets" if verdict.data.kind == "crossed" else "targets"
        each = " a member" if verdict.rule == "anytime" and len(verdict.members) > 1 else ""
        return "undecided", "too_few", f"Too few {pairs}{each} for any verdict: {have} of at least {need}."
    if refused := [note for note in verdict.notes if note.kind == "tuned unequally" and note.command]:
        told = f"{refused[0].command} names a winner all the same"
        return "undecided", "tuned_unequally", f"Undecided: the sides are tuned unequally, which may decide; {told}."
    # A hair more, since E = 1/alpha to rounding is a crossing.
    if p <= verdict.alpha * (1 + 1e-12):
        better = _direction(verdict)
        if better * verdict.theta > 0:
            return ("a_better" if better < 0 else "b_better"), "", ""
        return "undecided", *_disagreement(verdict)
    within = _within_margin(verdict, family)
    if within.all or _nothing_measured(verdict.data):
        status, refusal = _refusal(verdict)
        return ("undecided" if status else "equivalent"), status, refusal
    if where := _opposite(verdict):
        return "undecided", "members_disagree", f"Undecided: members disagree. {where}."
    if not within.pooled:
        return "undecided", "", ""
    beyond = sentences.places(verdict, tuple(i for i, inside in enumerate(within.members) if not inside))
    together = f"all members together are within {words.margin(verdict.margin)}, not yet so {beyond}"
    return "undecided", "members_open", f"Undecided: {together}."


def _direction(verdict: Verdict) -> int:
    """−1 where the rule that rejected points to A as the better side, +1 for B."""
    design, settings = verdict.data, verdict.settings
    if settings.name == "fixed":
        return -1 if verdict.theta < 0 else 1
    if settings.name == "hybrid":
        return sequential.hybrid_direction(design.rounds, settings.rounds, settings.alpha)
    return sequential.direction(design.rounds, verdict.stop_at or len(design.rounds))


def _within_margin(verdict: Verdict, family: int) -> equivalence.Within:
    design, settings = verdict.data, verdict.settings
    alpha = settings.alpha / family
    if settings.name == "anytime":
        return equivalence.anytime(design.member_rounds, settings.margin, alpha)
    if settings.name == "hybrid":
        planned = design.member_rounds[: settings.rounds]
        if len(planned) < settings.rounds:
            return equivalence.Within(False, tuple(False for _ in verdict.members))
        return equivalence.of_rounds(planned, settings.margin, alpha)
    overlap = settings.overlap
    members = [estimate_of(*member_column(design.values, design.is_a, j), overlap) for j in range(len(design.members))]
    return equivalence.one_look(estimate_of(design.values, design.is_a, overlap), members, settings.margin, alpha)


def _refusal(verdict: Verdict) -> tuple[Status, str]:
    """Why two sides that look alike are not called equivalent; empty where they are."""
    design = verdict.data
    shares = (verdict.capped.a / verdict.students.a, verdict.capped.b / verdict.students.b)
    if max(shares) > MOST_CLIPPED:
        worse = shares.index(max(shares))
        learnt = f"{words.percent(shares[worse], MOST_CLIPPED)} of {verdict.names[worse]}'s students learnt nothing"
        return "learnt_nothing", f"Undecided: {learnt}, and two untrained sides are not equal."
    if (below := min(int((~side).sum()) for side in design.sides(design.clipped))) < FEWEST_BLOCKS:
        learnt = f"something was learnt on {below} targets, and at least {FEWEST_BLOCKS} are needed"
        return "few_learnt", f"Undecided: {learnt}."
    if _nothing_measured(design):
        return "nothing_measured", "Undecided: all differences are equal, so nothing was measured."
    if any(m.below_linear for m in verdict.members):
        where = unbeaten(verdict.members, verdict.member_names)
        return (
            "below_linear",
            f"Undecided: neither side beats a linear fit{where}, and what was not learnt is not equal.",
        )
    return "", ""


def _nothing_measured(design: Design) -> bool:
    """Whether all differences (unpaired: all scores of a side) are equal."""
    return all(np.nanmax(side) - np.nanmin(side) <= 1e-12 for side in design.sides(design.values))


def _disagreement(verdict: Verdict) -> tuple[Status, str]:
    if where := _opposite(verdict):
        return "members_disagree", f"Undecided: members disagree. {where}."
    return "opposed", "Undecided: the evidence and the mean point to opposite sides; members may disagree."


def _opposite(verdict: Verdict) -> str:
    """Which members are decided for A and which for B, each by itself; empty where not both are."""
    own = [[verdict.member_name(verdict.members[i].member) for i in side] for side in verdict.own_sides]
    if not all(own):
        return ""
    lower = "is better" if verdict.design == "paired" else "has the lower error"
    return f"{verdict.names[0]} {lower} at {words.listed(own[0])}, {verdict.names[1]} at {words.listed(own[1])}"


def _disagreement_note(verdict: Verdict) -> list[Note]:
    where = _opposite(verdict)
    return [Note("members disagree", f"Members disagree: {where}, each by itself.")] if where else []


def _faded_note(verdict: Verdict) -> list[Note]:
    if not verdict.faded:
        return []
    range_ = words.span(verdict.ci_low, verdict.ci_high, verdict.names)
    single = f"{words.p_is(verdict.p_value, verdict.alpha)}, {range_}"
    stopped = f"The rule allowed to stop at round {verdict.decided_at:,}, and its error rate is that of stopping there"
    return [Note("faded", f"{stopped}. What came after does not bear it out: a single look at all gives {single}.")]


def _home_advantage(design: Design, alpha: float) -> Ratio | None:
    if design.home is None or np.abs(design.home).max() <= 1e-12:  # all at the cap: nothing was measured
        return None
    estimate = estimate_of(design.home)
    return Ratio(math.exp(estimate.theta), *ratio_interval(*statistics.t_interval(estimate, alpha)))


def _counts(students: pd.DataFrame, which: pd.Series) -> Counts:
    return Counts(*(int((which & (students["side"] == side)).sum()) for side in ("a", "b")))


def _diverged(students: pd.DataFrame, names: tuple[str, str]) -> list[Note]:
    """What is said where most students of a side diverged: their errors are those of a constant."""
    found = [(name, students[students["side"] == side]["diverged"]) for name, side in zip(names, "ab", strict=True)]
    said = [f"{own.sum():,} of {len(own):,} students of {name} diverged" for name, own in found if own.mean() > 0.5]
    return [Note("diverged", f"{words.listed(said)}: a lower learning rate is needed.")] if said else []


def _notes(design: Design, settings: Rule) -> list[Note]:
    notes = [
        Note(
            "limit",
            "Where the means are equal and the differences strongly skewed, the test may find a difference more often "
            "than it should (over 200 looks in 13% of cases where they are exponential, in 27% where log-normal).",
        )
    ]
    if design.kind == "unpaired":
        notes.insert(0, Note("null", "Tested is whether errors of A and B are exchangeable."))
        notes.append(Note("direct", "Skill and the target's difficulty are confounded: no target has both sides."))
    else:
        null = "Tested is whether A and B are exchangeable given the target."
        notes.insert(0, Note("null", _NULL_OF_SPLITS if settings.overlap else null))
    if len(design.values) > statistics.LARGEST_PERMUTED:
        text = "Above 2,000 blocks the t test stands in for the permutation test, its limit."
        notes.append(Note("design", text))
    if settings.planned and settings.name != "hybrid":
        notes.append(Note("design", f"planned={settings.planned} is read by rule=hybrid only."))
    return notes + list(design.notes)
