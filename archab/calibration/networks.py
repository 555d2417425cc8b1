"""The platform's own test on real networks: side A against itself, many times; its p-values must be uniform.

Where the overrides ask for tuning, each experiment tunes both sides on tuning targets of its own, as a comparison does,
with the grid as it is given: values beyond its edges are not tried.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from archab.cli import config
from archab.comparison.comparison import Comparison
from archab.errors import ArchabError
from archab.evidence.tuning import choose
from archab.evidence.verdict import judge
from archab.experiment import build
from archab.results import together

ALPHA = 0.05
TARGETS = 4  # a member and experiment, where none are asked for


@dataclass(frozen=True)
class Calibration:
    """What many experiments without a difference gave.

    Attributes:
        p_values: of the fixed-n test, one an experiment.
        rejections: how many are at most .05.
        low, high: exact 95% interval of the rate.
        fewest, most: the rejections between which a calibrated test lies with probability .98.
        uniform: p of Kolmogorov and Smirnov's test of the p-values against the uniform distribution.
    """

    p_values: np.ndarray
    rejections: int
    low: float
    high: float
    fewest: int
    most: int
    uniform: float

    @property
    def holds(self) -> bool:
        """Whether the number of rejections is one that a calibrated test gives."""
        return self.fewest <= self.rejections <= self.most

    def __str__(self) -> str:
        n = len(self.p_values)
        rate = f"{self.rejections / n:.3f} ({self.low:.3f} to {self.high:.3f}, 95%)"
        expected = f"{self.fewest} to {self.most} expected; p-values against uniform: p = {self.uniform:.2g}"
        text = f"{self.rejections} of {n} experiments without a difference rejected at {ALPHA:g}: {rate}; {expected}"
        return text if self.holds else f"{text}   <- outside"


def calibrate(overrides: Sequence[str], experiments: int) -> Calibration:
    """Compare side A of a space with itself on real networks.

    Args:
        overrides: as on the command line, `+space=NAME` among them; `targets` is a member and experiment.
        experiments: how many.

    Raises:
        ArchabError: on a mistake in the overrides.
    """
    asked = config.resolved(config.composed([f"targets={TARGETS}", *overrides]))
    if "tune" in asked:
        tables = _tuned(build.comparison(asked), experiments)
    else:
        tables = _cut(build.comparison(asked | {"protocol": "aa"}), experiments)
    p = np.array([_p_value(table) for table in tables])
    rejections = int((p <= ALPHA).sum())
    interval = stats.binomtest(rejections, experiments).proportion_ci()
    fewest, most = (int(x) for x in stats.binom.ppf([0.01, 0.99], experiments, ALPHA))
    uniform = float(stats.kstest(p, "uniform").pvalue)
    return Calibration(p, rejections, float(interval.low), float(interval.high), fewest, most, uniform)


def _cut(comparison: Comparison, experiments: int) -> Iterator[pd.DataFrame]:
    """The rows of each experiment: one long run, cut by draw; they share nothing."""
    whole = replace(comparison, targets=comparison.targets * experiments)
    table = together([whole.run(part).table for part in whole.plan.parts])
    for _, rows in table.groupby(table["draw"] // comparison.targets):
        yield rows


def _tuned(comparison: Comparison, experiments: int) -> Iterator[pd.DataFrame]:
    """The rows of each experiment, those of the trial that its own tuning targets chose.

    Students of every trial learn the scored targets, too, and each experiment keeps those of its choice.
    """
    a, third = comparison.a, comparison.reference or comparison.a
    again = replace(comparison, b=replace(a, name=f"{a.name} again"), reference=third, protocol="reference")
    trials = list(again.tuned_by.trials("a"))
    tuning = again.attempts(trials)
    scored = replace(tuning, targets=again.targets, seed=again.seed)
    for tried, own in zip(_cut(tuning, experiments), _cut(scored, experiments), strict=True):
        chosen = choose(tuning.attempted_rows(tried)).chosen
        kept = own["side"].astype(str).map({side: trials.index(chosen[side]) for side in ("a", "b")})
        yield own[own["restart"] == kept].assign(restart=0)


def _p_value(rows: pd.DataFrame) -> float:
    found = judge(rows, rule="fixed")
    if np.isnan(found.p_value):
        raise ArchabError("an experiment gave no p-value; ask for more targets")
    return found.p_value
