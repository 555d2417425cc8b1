"""What a fixed number of blocks says: estimate, tests and intervals. Arrays in, numbers out.

Scores are logs of NMSE, so every effect is a log ratio. A random test owns its seed and sees its data in canonical
order: neither the order of the rows nor the names of the sides change a p-value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # whose statistics take most of a second to import: they come when first asked for
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]

EXACT_BLOCKS = 14
FLOOR = 1e-12  # the smallest error that a score tells from none, by default
LARGEST_PERMUTED = 2000
RESAMPLES = 9999
_SEED = 20190


@dataclass(frozen=True, slots=True)
class Estimate:
    """A stratified estimate. `se` and `df` are NaN where a stratum holds a single block."""

    theta: float
    se: float
    df: float


@dataclass(frozen=True, slots=True)
class Group:
    """One stratum of an unpaired design: each side's scores, shapes (n_a,) and (n_b,), and the stratum's weight."""

    a: Array
    b: Array
    weight: float = 1.0


def score(nmse: ArrayLike, floor: float = FLOOR) -> Array:
    """log(clip(nmse, floor, 1)); a diverged student (NaN or infinite) scores as NMSE 1."""
    values = np.asarray(nmse, dtype=float)
    return np.asarray(np.log(np.clip(np.where(np.isfinite(values), values, 1.0), floor, 1.0)))


def paired_estimate(contributions: ArrayLike, strata: ArrayLike | None = None, overlap: float = 0.0) -> Estimate:
    """Stratified mean of block differences.

    Args:
        contributions: shape (n,), w_b d_b: what every block adds to theta.
        strata: shape (n,), a label per block; blocks of one label are alike. One stratum where left out.
        overlap: held-out over training rows, where the blocks of a stratum are random splits of one data set. Its
            standard error over data sets is then that of Nadeau and Bengio 2003, "Inference for the Generalization
            Error", Machine Learning 52, section 5: the variance s²/J of a mean over J splits is (1/J + overlap) s².

    Returns:
        theta = sum of w_b d_b; se² = sum over strata of n_s var(w d); degrees of freedom after Satterthwaite 1946.
        In one stratum that is the mean, s/√n and n − 1.
    """
    c = np.asarray(contributions, dtype=float)
    labels = np.zeros(c.size) if strata is None else np.asarray(strata)
    parts = [c[labels == label] for label in np.unique(labels)]
    terms = [(part.size * _variance(part) * (1 + part.size * overlap), part.size - 1) for part in parts]
    return _satterthwaite(float(c.sum()), terms)


def unpaired_estimate(groups: Sequence[Group]) -> Estimate:
    """Stratified difference of means, a − b, with Welch's standard error.

    se² = sum over strata of weight² (s_a²/n_a + s_b²/n_b), degrees of freedom after Welch 1947 and Satterthwaite 1946.
    """
    theta = sum(g.weight * float(np.mean(g.a) - np.mean(g.b)) for g in groups)
    # Both sides of a stratum are added before anything else: a + b is b + a to the last bit.
    terms = [[(g.weight**2 * _variance(x) / x.size, x.size - 1) for x in (g.a, g.b)] for g in groups]
    return _satterthwaite(theta, *terms)


def t_interval(estimate: Estimate, alpha: float = 0.05) -> tuple[float, float]:
    """Two-sided 1 − alpha interval for theta; NaN where nothing varies or a stratum holds one block."""
    if not estimate.se > 0:
        return float("nan"), float("nan")
    half = estimate.se * t_quantile(1 - alpha / 2, estimate.df)
    return estimate.theta - half, estimate.theta + half


def t_quantile(share: float, df: float) -> float:
    """The quantile of Student's t distribution below which this share of it lies."""
    return float(special.stdtrit(df, share))


def t_p(estimate: Estimate) -> float:
    """Two-sided p of Student's t for theta = 0; NaN where a stratum holds one block."""
    if estimate.se == 0:
        return 0.0 if estimate.theta else 1.0
    return float(2 * special.stdtr(estimate.df, -abs(estimate.theta) / estimate.se))


def equivalence_p(estimate: Estimate, margin: float) -> float:
    """TOST (Schuirmann 1987): the larger p of two one-sided t tests of |theta| >= log(margin), a ratio > 1."""
    if not estimate.se > 0:
        return float("nan")
    distance = (np.log(margin) - abs(estimate.theta)) / estimate.se
    return float(special.stdtr(estimate.df, -distance))


def sign_flip_p(contributions: ArrayLike) -> float:
    """Two-sided sign-flip test of |sum of w_b d_b|: all 2ⁿ vectors to 14 blocks, else 9,999 random ones with +1.

    Under the null "A and B are exchangeable given the target" every sign is a fair coin given |d|.
    """
    c = np.asarray(contributions, dtype=float)
    if c.size < 2 or not c.any():
        return 1.0
    x, least = c / np.abs(c).sum(), 0 if c.size <= EXACT_BLOCKS else 1
    # Rounded, since sums that tie in exact arithmetic differ in their last bits.
    sums = np.round(np.abs(x.sum() - 2 * np.concatenate([flipped @ x for flipped in _flips(c.size)])), 12)
    return float((least + np.count_nonzero(sums >= np.round(abs(x.sum()), 12))) / (least + sums.size))


def _flips(blocks: int) -> Iterator[Array]:
    """Which blocks change their sign, shape (vectors, blocks) a piece: every vector to 14 blocks, else random ones."""
    if blocks <= EXACT_BLOCKS:
        yield (np.arange(2**blocks)[:, None] >> np.arange(blocks) & 1).astype(float)
        return
    rng, batch = np.random.default_rng(_SEED), max(1, 2_000_000 // blocks)
    for first in range(0, RESAMPLES, batch):
        octets = rng.integers(0, 256, (min(batch, RESAMPLES - first), -(-blocks // 8)), np.uint8)
        yield np.unpackbits(octets, axis=1, count=blocks).astype(float)


def paired_p(contributions: ArrayLike, strata: ArrayLike | None = None) -> float:
    """The sign-flip test; above 2,000 blocks the t test, which is its limit."""
    c = np.asarray(contributions, dtype=float)
    return sign_flip_p(c) if c.size <= LARGEST_PERMUTED else t_p(paired_estimate(c, strata))


def unpaired_p(groups: Sequence[Group]) -> float:
    """Welch's |t| over strata, labels permuted within each (Janssen 1997): 9,999 random ones with +1.

    Where a side of a stratum holds one block, |theta| takes the place of |t|; above 2,000 blocks the t test does.
    """
    if sum(g.a.size + g.b.size for g in groups) > LARGEST_PERMUTED:
        return t_p(unpaired_estimate(groups))
    rng = np.random.default_rng(_SEED)
    theta, variance = np.zeros(RESAMPLES + 1), np.zeros(RESAMPLES + 1)
    for group, a_is_drawn in zip(groups, _drawn_sides(groups), strict=True):
        difference, squared = _relabelled(*((group.a, group.b) if a_is_drawn else (group.b, group.a)), rng)
        theta += group.weight * (difference if a_is_drawn else -difference)
        variance += group.weight**2 * squared
    t = np.abs(theta)
    if not np.isnan(variance).any():
        with np.errstate(divide="ignore"):
            t = np.divide(t, np.sqrt(variance), out=np.zeros_like(t), where=t > 1e-12)
    return float((1 + np.count_nonzero(t[1:] >= t[0] * (1 - 1e-9))) / (RESAMPLES + 1))


def signed_ranks(differences: ArrayLike) -> Array:
    """Wilcoxon's signed ranks of differences, shape (n,): ties share a rank, infinite ones have the largest."""
    d = np.asarray(differences, dtype=float)
    _, place, ties = np.unique(np.abs(d), return_inverse=True, return_counts=True)
    return np.asarray(np.sign(d) * (np.cumsum(ties) - (ties - 1) / 2)[place])


def counted(differences: ArrayLike) -> Array:
    """What a test of a mean counts: the differences, or where some are infinite, since a side failed, their ranks."""
    d = np.asarray(differences, dtype=float)
    return d if np.isfinite(d).all() else signed_ranks(d)


def wilcoxon_p(differences: ArrayLike) -> float:
    """Wilcoxon's signed-rank test, two-sided; NaN where all differences are zero."""
    d = np.asarray(differences, dtype=float)
    return float(scipy.stats.wilcoxon(d).pvalue) if d.any() else float("nan")


def brunner_munzel_p(groups: Sequence[Group]) -> float:
    """Brunner and Munzel 2000, two-sided; strata are aligned first (Hodges and Lehmann 1962: each minus its own level).

    NaN where the sides do not overlap or nothing varies: the statistic has no variance there.
    """
    level = [(np.mean(g.a) + np.mean(g.b)) / 2 if len(groups) > 1 else 0.0 for g in groups]
    sides = [
        np.concatenate([g.a - x for g, x in zip(groups, level, strict=True)]),
        np.concatenate([g.b - x for g, x in zip(groups, level, strict=True)]),
    ]
    first, second = sorted(sides, key=_rank_of_side)
    apart = first.max() < second.min() or second.max() < first.min()
    if min(first.size, second.size) < 2 or apart or np.ptp(np.concatenate(sides)) == 0:
        return float("nan")
    return float(scipy.stats.brunnermunzel(first, second).pvalue)


def share_lower(differences: ArrayLike, alpha: float = 0.05) -> tuple[float, float, float]:
    """Share of differences below zero, with Wilson's interval: (share, low, high)."""
    d = np.asarray(differences, dtype=float)
    share = np.count_nonzero(d < 0) / d.size
    low, high = wilson(share, d.size, alpha)
    return share, float(low), float(high)


def wilson(share: ArrayLike, n: float, alpha: float = 0.05) -> tuple[Array, Array]:
    """Wilson's 1927 interval for a share of n, each of the shares' shape."""
    p, z2 = np.asarray(share, dtype=float), special.ndtri(1 - alpha / 2) ** 2
    middle = p + z2 / (2 * n)
    half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n**2)))
    low, high = (np.clip((middle + end) / (1 + z2 / n), 0.0, 1.0) for end in (-half, half))
    return np.where(p == 0, 0.0, low), np.where(p == 1, 1.0, high)


def probability_lower(groups: Sequence[Group]) -> float:
    """P(a student of A has the smaller error than one of B) + half of P(equal): Mann and Whitney's U / (n_a n_b)."""
    return float(sum(g.weight * np.mean([_below(g.a, g.b, side) for side in ("left", "right")]) for g in groups))


def _below(a: Array, b: Array, side: Literal["left", "right"]) -> float:
    """P(a < b), or P(a <= b) of the right side."""
    return float(np.searchsorted(np.sort(a), b, side).mean() / a.size)


def holm(p_values: ArrayLike) -> Array:
    """Holm 1979: the i-th smallest of k times (k − i + 1), with the running maximum. NaN stays, and counts."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    adjusted = np.empty(p.shape)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return adjusted


def iqm(values: ArrayLike) -> float:
    """Interquartile mean: the mean of the middle half (Agarwal et al. 2021, arXiv:2108.13264)."""
    x = np.sort(np.asarray(values, dtype=float))
    return float(x[x.size // 4 : x.size - x.size // 4].mean())


def expected_best(errors: ArrayLike) -> Array:
    """Expected smallest of k errors drawn without replacement, for k = 1 … n.

    The unbiased U-statistic of Tang et al. 2020, "Showing Your Work Doesn't Always Work" (arXiv:2004.13705):
    sum over i of x_(i) C(n − i, k − 1) / C(n, k), with x_(i) the i-th smallest.

    Args:
        errors: shape (…, n), n >= 1, none NaN (a diverged student counts as 1, and that is the caller's choice).

    Returns:
        Shape (…, n), same unit as `errors`; the last entry is their minimum.

    Raises:
        ValueError: if `errors` is empty or holds a NaN.
    """
    x = np.sort(np.asarray(errors, dtype=float), axis=-1)
    if x.size == 0 or np.isnan(x).any():
        raise ValueError(f"expected_best needs finished trials, got {x.size} of which {int(np.isnan(x).sum())} are NaN")
    n, i, k = x.shape[-1], np.arange(1, x.shape[-1] + 1), np.arange(1, x.shape[-1] + 1)[:, None]
    # In logs, since binomials overflow from n = 1,030 on; where i leaves no k − 1 others, exp(−inf) is right.
    weight = np.exp(_log_binomial(n - i, k - 1) - _log_binomial(n, k))
    return np.asarray(x @ weight.T)


def _log_binomial(n: NDArray[np.int64] | int, k: NDArray[np.int64]) -> Array:
    return np.asarray(special.gammaln(np.add(n, 1)) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


def _variance(values: Array) -> float:
    """Sample variance; NaN for one value, and zero where all are equal to rounding (scores are at most 28 in size)."""
    if values.size < 2:
        return float("nan")
    return 0.0 if np.ptp(values) <= 1e-13 else float(np.var(values, ddof=1))


def _satterthwaite(theta: float, *terms: list[tuple[float, int]]) -> Estimate:
    """Squares of standard errors with their degrees of freedom, summed list by list."""
    squared = sum(sum(v for v, _ in part) for part in terms)
    if not squared > 0:
        return Estimate(theta, float(np.sqrt(squared)), float("nan"))
    return Estimate(theta, float(np.sqrt(squared)), squared**2 / sum(sum(v**2 / f for v, f in part) for part in terms))


def _rank_of_side(values: Array) -> tuple[int, tuple[float, ...]]:
    return values.size, tuple(np.sort(values).tolist())


def _drawn_sides(groups: Sequence[Group]) -> list[bool]:
    """Per stratum, whether side a is the one that is drawn: the smaller side, of two equal ones that of smaller values.

    Where both sides hold the same values, the side that the first other stratum draws: never a matter of names.
    """
    ranks = [(_rank_of_side(g.a), _rank_of_side(g.b)) for g in groups]
    default = next((a < b for a, b in ranks if a != b), True)
    return [default if a == b else a < b for a, b in ranks]


def _relabelled(small: Array, large: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Difference of means, small − large, and its Welch variance: for the labels as they are (entry 0) and random ones.

    Random subsets of the pooled values in ascending order: the same ones whatever the order of the rows.
    """
    pooled, is_small = np.concatenate([small, large]), np.arange(small.size + large.size) < small.size
    order = np.lexsort((~is_small, pooled))
    x, k, n = pooled[order] - np.mean(pooled[order]), small.size, pooled.size
    inside, squares_inside = np.zeros(RESAMPLES + 1), np.zeros(RESAMPLES + 1)
    inside[0], squares_inside[0] = is_small[order] @ x, is_small[order] @ x**2
    step = max(1, 2_000_000 // n)
    for start in range(1, RESAMPLES + 1, step):
        block = slice(start, min(start + step, RESAMPLES + 1))
        drawn = x[rng.random((block.stop - start, n)).argpartition(k - 1, axis=1)[:, :k]]
        inside[block], squares_inside[block] = drawn.sum(axis=1), (drawn**2).sum(axis=1)
    total, squares = x.sum(), (x**2).sum()
    difference = inside / k - (total - inside) / (n - k)
    variance = _welch_term(squares_inside, inside, k) + _welch_term(squares - squares_inside, total - inside, n - k)
    variance[variance <= 1e-12 * squares] = 0.0
    return difference, variance


def _welch_term(squares: Array, total: Array, n: int) -> Array:
    if n < 2:
        return np.full(total.shape, np.nan)
    return np.asarray(np.maximum(0.0, squares - total**2 / n) / ((n - 1) * n))
