"""Do verdicts on metrics of any runs keep their promise? A against A on each path, as archab-compare --runs judges.

Kinds of metric: normal, heavy tails (t with 3 degrees), skewed (log-normal), rounded to ties, accuracies at their
ceiling, and a tenth of runs failed; runs of a pair share the pair's own level. Three sides without a difference are
judged together.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from archab.calibration.rates import Line, error_of, rate
from archab.evidence.rule import Rule
from archab.evidence.statistics import Array
from archab.metrics.contrast import contrast
from archab.metrics.metric import Metric
from archab.metrics.rounds import Rounds
from archab.metrics.verdict import p_of, together

ALPHA, RUNS, LOOKS = 0.05, 12, 60
Kind = Callable[[np.random.Generator, tuple[int, int]], Array]


def _at_the_ceiling(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Accuracies of 100 examples, most of them 1."""
    return np.asarray(rng.binomial(100, 0.995, shape) / 100)


def _failing(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    return np.where(rng.random(shape) < 0.1, np.inf, rng.normal(size=shape))


KINDS: dict[str, Kind] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t3": lambda rng, shape: rng.standard_t(3, shape),
    "log-normal": lambda rng, shape: rng.lognormal(size=shape),
    "ties": lambda rng, shape: rng.normal(size=shape).round(),
    "at the ceiling": _at_the_ceiling,
    "a tenth failed": _failing,
}


def sides(kind: Kind, rng: np.random.Generator, runs: int, paired: bool, k: int = 2) -> Rounds:
    """Runs of k sides without a difference."""
    level = rng.normal(size=(runs, 1)) if paired and kind is not _at_the_ceiling else 0.0
    scores = kind(rng, (runs, k)) + level
    names, labels = tuple("abcdefgh"[:k]), tuple(map(str, range(runs)))
    raw, waiting = np.where(np.isfinite(scores), scores, np.nan), np.zeros(scores.shape, bool)
    return Rounds(Metric("loss", True), names, raw, scores, waiting, paired, ("seed",) if paired else (), labels, ())


def calibrate(experiments: int = 2000, seed: int = 0) -> Iterator[Line]:
    """A line a kind, design and rule; then three sides at once."""
    most = ALPHA + 3 * error_of(ALPHA, experiments)
    cases = [(name, paired) for paired in (True, False) for name in KINDS]
    for (name, paired), stream in zip(cases, np.random.SeedSequence(seed).spawn(len(cases)), strict=True):
        rng, setting = np.random.default_rng(stream), f"{'paired' if paired else 'unpaired'}, {name}"
        found = [contrast(sides(KINDS[name], rng, RUNS, paired), 0, 1) for _ in range(experiments)]
        yield rate(
            f"A/A of runs, one look at {RUNS}", setting, np.array([c.p_value for c in found]) <= ALPHA, 0.0, most
        )
        found = [contrast(sides(KINDS[name], rng, LOOKS, paired), 0, 1) for _ in range(experiments)]
        p = np.array([p_of(c, Rule("anytime")) for c in found])
        yield rate(f"A/A of runs, anytime, {LOOKS} looks", setting, p <= ALPHA, 0.0, most)
    for rule, runs in ((Rule("fixed"), RUNS), (Rule("anytime"), LOOKS)):
        rng, wrong = np.random.default_rng(seed), []
        for _ in range(experiments):
            three = sides(KINDS["normal"], rng, runs, True, 3)
            contrasts = [contrast(three, a, b) for a, b in combinations(range(3), 2)]
            wrong.append(min(together(contrasts, [p_of(c, rule) for c in contrasts], rule, runs)) <= ALPHA)
        what = "Holm" if rule.name == "fixed" else f"e-Holm, {runs} looks"
        yield rate(f"A/A of three sides, {what}", "any of three pairs", np.array(wrong), 0.0, most)
