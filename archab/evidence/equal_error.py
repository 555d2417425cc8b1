"""At equal error: how many times the size of A does B need, over the errors that both were seen to reach."""

import math
from dataclasses import dataclass

import numpy as np

from archab.evidence.design import Design, units_of
from archab.evidence.estimate import patterns
from archab.evidence.rule import FEWEST_BLOCKS
from archab.evidence.statistics import LARGEST_PERMUTED, Array
from archab.evidence.words import error, telling

NAN = float("nan")
RESAMPLES = 2999
LEVELS = 33  # odd: one of them is the middle
_SEED = 31290


@dataclass(frozen=True, slots=True)
class EqualError:
    """Sizes at equal error; NaN where nothing can be said, and for an end of the interval that is open.

    Attributes:
        size_ratio: B's size over A's, the geometric mean over the errors that both sides reach.
        ci_low, ci_high: its interval, of a single look.
        error_low, error_high: the errors that both sides reach, NMSE.
        size_a, size_b: the sizes at which they reach the middle of these, their geometric mean.
        reason: why nothing can be said, in one sentence; else empty.
    """

    size_ratio: float = NAN
    ci_low: float = NAN
    ci_high: float = NAN
    error_low: float = NAN
    error_high: float = NAN
    size_a: float = NAN
    size_b: float = NAN
    reason: str = ""

    @property
    def larger(self) -> str:
        """The side that needs the larger size, `a` or `b`; empty where the interval leaves that open."""
        return "b" if self.ci_low > 1 else "a" if self.ci_high < 1 else ""


def at_equal_error(design: Design, sizes: Array, names: tuple[str, str], alpha: float, one_prior: bool) -> EqualError:
    """What the blocks of a design say of sizes at equal error, or why they say nothing.

    Args:
        design: whose students were scored.
        sizes: measures of both sides' members, shape (2, M); NaN where they are not known.
        names: what the sides are called.
        alpha: 1 − alpha is the level of the interval.
        one_prior: False where members are known to learn targets of different priors.
    """
    if not np.isfinite(sizes).all():
        return EqualError(reason="The sizes are not known.")
    for name, own in zip(names, sizes, strict=True):
        if np.unique(own).size < 2:
            return EqualError(reason=f"{name} was tried at one size only.")
    if design.kind == "unpaired":
        return EqualError(reason="Each side learnt targets of its own, on which errors do not compare.")
    if not one_prior or (design.students["source"] != "reference").any():
        return EqualError(reason="Each size has a prior of its own, and errors on targets of two do not compare.")
    scores = _scores(design)
    if np.bincount(patterns(_held(scores))).min() < FEWEST_BLOCKS:
        return EqualError(reason=f"At least {FEWEST_BLOCKS} targets a member are needed.")
    for name, own in zip(names, np.fmin.reduce(scores, axis=(0, 2)), strict=True):
        if own >= 0:
            return EqualError(reason=f"{name} learnt nothing: all its errors are 1 or more.")
    found = size_ratio(scores, sizes, alpha)
    if 0 < found.size_ratio < math.inf:
        return found
    worse, better = (1, 0) if found.size_ratio else (0, 1)
    typical = np.exp(np.nanmean(scores, axis=0))
    best, bar = float(typical[worse].min()), float(typical[better, sizes[better].argmin()])
    reached = f"{telling(best, bar, error(best))} at best, against {error(bar)}"
    tried = f"No size of {names[worse]} that was tried reaches the error of {names[better]} at its smallest"
    return EqualError(reason=f"{tried}: {reached}.")


def size_ratio(scores: Array, sizes: Array, alpha: float = 0.05) -> EqualError:
    """B's size over A's at equal error, over the errors that both sides reach; no curve is followed beyond its ends.

    A side's curve joins its (log size, mean log error) by straight lines, which is exact for a power law. Asked of it
    is the smallest size at which it is down to an error. No falling curve is needed for that: where large students are
    the harder ones to train, their errors rise again, and an isotonic fit would spread what they lose over the smaller
    ones. Both sides reach the errors from the lower of their first ones (at their smallest sizes) down to the higher of
    their least ones; over these, evenly in logs, the mean of log(B's size / A's) is taken.

    The interval is the percentile interval (Efron 1979) of the same over resampled blocks, in strata of blocks that
    hold the same members, so that whatever shares a target is drawn together. Of n blocks n − 1 are drawn: their mean
    then has the variance s²/n, which is too small where n are drawn (Rao and Wu 1988). A resample whose curves share no
    error has a ratio beyond all others, and an end of the interval that falls there is open. Two power laws with 6, 20
    and 100 targets a member: it covered their ratio in .93, .94 and .95 of 500 experiments (± .01).

    Args:
        scores: mean log errors of blocks, shape (n, 2, M): side A, side B; NaN where a block does not hold a member.
            Of blocks that hold the same members there are at least two.
        sizes: shape (2, M), above 0, of at least two different ones a side.
        alpha: 1 − alpha is the level of the interval.

    Returns:
        All of it; where no error is shared the ratio alone, infinite where it is B that does not reach A's, else 0.

    Example:
        >>> sizes = np.array([[100.0, 200.0, 400.0], [100.0, 200.0, 400.0]])
        >>> errors = np.log([[0.2, 0.1, 0.05], [0.4, 0.2, 0.1]])
        >>> round(size_ratio(np.tile(errors, (6, 1, 1)), sizes).size_ratio, 9)
        2.0
    """
    order = np.argsort(sizes, axis=1, kind="stable")
    at = np.log(np.take_along_axis(sizes, order, axis=1))
    means = np.take_along_axis(np.mean(scores, axis=0, keepdims=True, where=~np.isnan(scores)), order[None], axis=2)
    [ratio] = _log_ratio(means, at)
    if not math.isfinite(ratio):
        return EqualError(float(np.exp(ratio)))
    ratios = np.sort(_log_ratio(np.take_along_axis(_resampled(scores), order[None], axis=2), at))
    k = int(alpha / 2 * (RESAMPLES + 1) + 1e-9)
    ends = [ratios[k - 1], ratios[-k]] if k else [-math.inf, math.inf]
    first, last = (math.exp(end) if math.isfinite(end) else NAN for end in ends)
    [low], [high] = _shared(means)
    a, b = (math.exp(reached[0, LEVELS // 2]) for reached in _reached(means, at))
    return EqualError(math.exp(ratio), first, last, math.exp(low), math.exp(high), a, b)


def _smallest(errors: Array, sizes: Array, levels: Array) -> Array:
    """The smallest size at which a curve of straight lines is down to a level; all in logs.

    Args:
        errors: shape (R, k), of R curves.
        sizes: shape (k,), ascending.
        levels: shape (R, L), none above the curve's first error or below its least.

    Returns:
        Shape (R, L).
    """
    least = np.minimum.accumulate(errors, axis=1)
    right = np.clip((least[:, :, None] > levels[:, None, :]).sum(axis=1), 1, sizes.size - 1)
    start, end = (np.take_along_axis(errors, i, axis=1) for i in (right - 1, right))
    fall = start - end
    part = np.divide(start - levels, fall, out=np.zeros_like(fall), where=fall > 0)
    return np.asarray(sizes[right - 1] + part * (sizes[right] - sizes[right - 1]))


def _log_ratio(errors: Array, sizes: Array) -> Array:
    """Of R pairs of curves, shape (R, 2, M), by ascending log size."""
    low, high = _shared(errors)
    a, b = _reached(errors, sizes)
    beyond = np.where(errors[:, 1].min(axis=1) > errors[:, 0, 0], math.inf, -math.inf)
    return np.where(low <= high, (b - a).mean(axis=1), beyond)


def _shared(errors: Array) -> tuple[Array, Array]:
    """The least and the largest error that both curves of a pair reach, shape (R,) each."""
    return errors.min(axis=2).max(axis=1), errors[:, :, 0].min(axis=1)


def _reached(errors: Array, sizes: Array) -> list[Array]:
    """The log sizes at which either side is down to errors spread evenly over the shared ones, shape (R, L) each."""
    low, high = _shared(errors)
    levels = low[:, None] + (high - low)[:, None] * (np.arange(LEVELS) + 0.5) / LEVELS
    return [_smallest(errors[:, side], sizes[side], levels) for side in (0, 1)]


def _resampled(scores: Array) -> Array:
    """Mean scores of resampled blocks, shape (resamples, 2, M)."""
    rng, held = np.random.default_rng(_SEED), _held(scores)
    strata, first = patterns(held), np.unique(patterns(held), return_index=True)[1]
    totals = np.zeros((RESAMPLES, *scores.shape[1:]))
    for stratum, members in enumerate(held[first]):
        own = scores[strata == stratum][:, :, members]
        means = _drawn(own.reshape(len(own), -1), rng)
        totals[:, :, members] += len(own) * means.reshape(RESAMPLES, 2, -1)
    return totals / held.sum(axis=0)


def _drawn(values: Array, rng: np.random.Generator) -> Array:
    """Means of n − 1 of n blocks, shape (n, k), as (resamples, k); above 2,000 blocks normal ones, their limit."""
    n = len(values)
    if n > LARGEST_PERMUTED:
        return rng.multivariate_normal(values.mean(axis=0), np.cov(values.T) / n, RESAMPLES)
    times = rng.multinomial(n - 1, np.full(n, 1 / n), RESAMPLES)
    return np.asarray(times @ values / (n - 1))


def _held(scores: Array) -> np.ndarray:
    return ~np.isnan(scores[:, 0])


def _scores(design: Design) -> Array:
    """A paired design's scores, shape (blocks, 2, M), blocks in the order seed, draw, target."""
    units = units_of(design.students)
    a, b = units[::2], units[1::2]  # sides lie side by side
    block, column = a.groupby(["seed", "draw", "name"]).ngroup(), np.searchsorted(design.members, a["member"])
    scores = np.full((block.max() + 1, 2, len(design.members)), np.nan)
    scores[block, 0, column], scores[block, 1, column] = a["y"], b["y"]
    return scores
