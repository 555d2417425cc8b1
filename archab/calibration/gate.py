"""How many changes that do nothing does a gate keep? Sessions of 50 proposals, by archab gate and by rules of thumb.

    python -m archab.calibration gate                   # 400 sessions, about five minutes
    python -m archab.calibration gate experiments=40

A run is the seed's difficulty, which both sides share, plus noise of its own; the old one's runs are those of the last
change that was kept, as in a loop that goes on from what it kept. Seeds count runs of the new one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from archab.evidence.statistics import Array
from archab.metrics.gate import Decision, decide

ALPHA, PROPOSALS, SEEDS = 0.05, 50, 30
Rule = Callable[[Array, Array], Decision]  # of the new one's and the old one's runs so far, lower is better


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a gate's sessions; of each proposal with how many runs it took."""

    gate: str
    gain: float
    kept: float
    sessions: float
    error: float
    runs: float

    @property
    def holds(self) -> bool:
        """Whether archab's gate keeps its promise: a false keep in at most .05 of sessions."""
        return self.gain > 0 or self.gate != "archab gate" or self.sessions <= ALPHA + 3 * self.error

    def __str__(self) -> str:
        any_kept = f"{self.sessions:.3f} ± {self.error:.3f}" if self.gain == 0 else ""
        mark = "" if self.holds else "   <- more than promised"
        return f"{self.gate:<36} {self.gain:>5g} {self.kept:>8.3f} {any_kept:>19} {self.runs:>15.1f}{mark}"


HEAD = f"{'gate':<36} {'gain':>5} {'kept':>8} {'sessions with any':>19} {'runs a proposal':>15}"


def archab(new: Array, old: Array, level: float = ALPHA / PROPOSALS) -> Decision:
    """archab gate."""
    return decide((old - new).tolist(), level, SEEDS)


def better_once(new: Array, old: Array) -> Decision:
    """One run, lower than the old one's."""
    return "keep" if new[0] < old[0] else "discard"


def better_mean(new: Array, old: Array) -> Decision:
    """Three runs, lower in the mean."""
    if new.size < 3:
        return "more"
    return "keep" if new.mean() < old.mean() else "discard"


def better_by_an_sd(new: Array, old: Array) -> Decision:
    """Three runs, lower in the mean by a standard deviation of the old one's."""
    if new.size < 3:
        return "more"
    return "keep" if new.mean() < old.mean() - old.std(ddof=1) else "discard"


def t_test(new: Array, old: Array) -> Decision:
    """Five runs, paired t test, lower at .05 (two-sided)."""
    if new.size < 5:
        return "more"
    found = stats.ttest_rel(new, old)
    return "keep" if found.statistic < 0 and found.pvalue <= ALPHA else "discard"


def peeking(new: Array, old: Array) -> Decision:
    """The same after every run from the third to the tenth."""
    if new.size < 3:
        return "more"
    found = stats.ttest_rel(new, old)
    if found.statistic < 0 and found.pvalue <= ALPHA:
        return "keep"
    return "more" if new.size < 10 else "discard"


GATES: dict[str, Rule] = {
    "archab gate": archab,
    "one run is lower": better_once,
    "mean of 3 runs is lower": better_mean,
    "mean of 3 runs is lower by 1 sd": better_by_an_sd,
    "t test of 5 runs, .05": t_test,
    "t test after each run, 3 to 10, .05": peeking,
}


def session(rule: Rule, rng: np.random.Generator, gain: float = 0.0, proposals: int = PROPOSALS) -> tuple[int, int]:
    """How many proposals were kept, and how many runs all took; each lowers the metric by `gain` sd of a run."""
    old, keeps, runs = rng.normal(size=SEEDS), 0, 0
    for _ in range(proposals):
        new = rng.normal(size=SEEDS) - gain
        n, decision = 0, "more"
        while decision == "more":
            n += 1
            decision = rule(new[:n], old[:n])
        runs += n
        if decision == "keep":
            keeps, old = keeps + 1, new + gain  # from there on it is what changes are measured against
    return keeps, runs


def calibrate(experiments: int = 400, seed: int = 0) -> Iterator[Outcome]:
    """A line a gate without any improvement, then archab's with improvements of .5, 1 and 2 sd of a run."""
    cases = [(name, 0.0) for name in GATES] + [("archab gate", gain) for gain in (0.5, 1.0, 2.0)]
    for (name, gain), stream in zip(cases, np.random.SeedSequence(seed).spawn(len(cases)), strict=True):
        rng = np.random.default_rng(stream)
        # Of improvements, one proposal a session: each is then one of 50 at the level of the first.
        count = 1 if gain else PROPOSALS
        found = np.array([session(GATES[name], rng, gain, count) for _ in range(experiments)])
        any_kept = float((found[:, 0] > 0).mean())
        error = float(np.sqrt(any_kept * (1 - any_kept) / experiments))
        kept, runs = found.mean(axis=0) / count
        yield Outcome(name, gain, float(kept), any_kept, error, float(runs))
