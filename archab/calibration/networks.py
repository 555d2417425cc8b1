"""The platform's own test on real networks: side A against itself, many times; its p-values must be uniform."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from archab.cli import config
from archab.errors import ArchabError
from archab.evidence.verdict import judge
from archab.experiment import build
from archab.results import frame

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
    asked = build.comparison(config.resolved(config.composed([f"targets={TARGETS}", *overrides, "protocol=aa"])))
    # One long run, cut into experiments by draw: they share nothing.
    whole = replace(asked, targets=asked.targets * experiments)
    table = frame(row for part in whole.plan.parts for row in whole.run(part).rows)
    experiment = table["draw"] // asked.targets
    p = np.array(list(_p_values(table, experiment)))
    rejections = int((p <= ALPHA).sum())
    interval = stats.binomtest(rejections, experiments).proportion_ci()
    fewest, most = (int(x) for x in stats.binom.ppf([0.01, 0.99], experiments, ALPHA))
    uniform = float(stats.kstest(p, "uniform").pvalue)
    return Calibration(p, rejections, float(interval.low), float(interval.high), fewest, most, uniform)


def _p_values(table: pd.DataFrame, experiment: "pd.Series[int]") -> Iterator[float]:
    for _, rows in table.groupby(experiment):
        found = judge(rows, rule="fixed")
        if np.isnan(found.p_value):
            raise ArchabError("an experiment gave no p-value; ask for more targets")
        yield found.p_value
