"""Evidence that may be looked at after every round: the e-process of symmetric differences. Arrays in, numbers out.

    r_t = sqrt((d_1² + … + d_t²) / t)        z_t = d_t / r_t
    E_n = mean over c in {1/4, 1/2, 1, 2} and s in {+1, −1} of  Π_{t <= n} (1 + tanh(s c z_t))

r_t depends on d_t only through |d_t|. If sign(d_t) is a fair coin given |d_t| and the past, every factor has mean 1:
E_n is a martingale of mean 1, and P(exists n: E_n >= 1/alpha) <= alpha by Ville's inequality, for any tails and scale.
Background: Vovk and Wang, "Efficiency of nonparametric e-tests" (arXiv:2208.08925); Ramdas, Grünwald, Vovk and Shafer
2023, "Game-theoretic statistics and safe anytime-valid inference" (arXiv:2210.01948).

An infinite difference says that one side failed, and which: it is read as the largest |z| so far, at least 1, and left
out of r. That is again a function of absolute values alone, so that the sign stays a fair coin.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from archab.evidence.statistics import Array, counted, paired_estimate, sign_flip_p, t_interval

SCALES = np.array([0.25, 0.5, 1.0, 2.0])
RESAMPLES = 500
LONGEST_FORECAST = 2000
_SEED = 20191
_HAIR = 1e-12  # to which E = 1/alpha is a crossing
_HALVINGS, _FAR = 40, 20.0  # of the way to the end of an interval; logs of E beyond which its slope tells nothing

# The hybrid rule's share of alpha: E >= 1 / (0.4 alpha) on the way, sign-flip p <= 0.6 alpha at the planned N.
EARLY, FINAL = 0.4, 0.6


@dataclass(frozen=True, slots=True)
class Forecast:
    """More rounds until E crosses, were the future like the past: median and 80% point; None where not in sight."""

    median: int | None
    point80: int | None


def fewest_rounds(alpha: float = 0.05) -> int:
    """Rounds without which E cannot reach 1/alpha, however clear the differences are: 7 at .05."""
    rounds = 1
    while log_e_path(np.ones(rounds))[-1] < -np.log(alpha):
        rounds += 1
    return rounds


def one_sided(differences: ArrayLike) -> tuple[Array, Array]:
    """Logs of the two one-sided mixtures over c, after every round.

    Args:
        differences: shape (…, n), the rounds in the order fixed before the data.

    Returns:
        (for d > 0, for d < 0), each of shape (…, n). The first is the larger one where B's errors are the smaller ones.
    """
    up, down = (np.cumsum(factors, axis=-1) for factors in _log_factors(np.asarray(differences, dtype=float)))
    return _log_mean(up), _log_mean(down)


def log_e_path(differences: ArrayLike) -> Array:
    """log E_n for n = 1 … N; `differences` and the result have shape (…, N)."""
    up, down = one_sided(differences)
    return np.asarray(np.logaddexp(up, down) - np.log(2))


def anytime_p(log_e: ArrayLike) -> float:
    """min(1, 1 / max over m of E_m) of a path of shape (n,); 1 where there is no round yet."""
    path = np.asarray(log_e, dtype=float)
    return float(np.exp(-max(0.0, path.max()))) if path.size else 1.0


def crossing(log_e: ArrayLike, alpha: float = 0.05) -> int | None:
    """The first round, counted from 1, with E >= 1/alpha; None if there is none. The path has shape (n,)."""
    # A hair below, since E = 1/alpha to rounding is a crossing.
    above = np.asarray(log_e, dtype=float) >= -np.log(alpha) - _HAIR
    return int(above.argmax()) + 1 if above.any() else None


def direction(differences: ArrayLike, round_: int) -> int:
    """−1 where A's errors are the smaller ones, +1 where B's: the larger one-sided mixture at that round (from 1)."""
    up, down = one_sided(np.asarray(differences, dtype=float)[:round_])
    return 1 if up[-1] > down[-1] else -1


def anytime_interval(differences: ArrayLike, alpha: float = 0.05) -> tuple[float, float]:
    """All theta that no round has excluded: E_m(d − theta) < 1/alpha for every m <= n.

    The confidence sets of all rounds hold theta together with probability 1 − alpha, and so does what they share: it
    never grows, and it holds 0 exactly where E has not reached 1/alpha at any round.

    Args:
        differences: shape (n,).

    Returns:
        (low, high); (−inf, inf) where n rounds cannot exclude anything, however far (below 7 at alpha = .05), and NaN
        where all differences are equal (nothing was measured) or every theta is excluded. An end is infinite where
        failures alone leave it open.
    """
    d = np.asarray(differences, dtype=float)
    bar = -np.log(alpha)
    if d.size < fewest_rounds(alpha):
        return -np.inf, np.inf
    finite = d[np.isfinite(d)]
    spread = float(np.ptp(finite)) if finite.size else 0.0
    if spread <= 1e-12:
        return np.nan, np.nan
    # Beyond the data all z_t tend to one sign, and E to its largest value: look there for a point outside on each side.
    # A side that failed often is worse by any amount: no difference is too far out then.
    reach = spread * 2.0 ** np.arange(60)
    over = cache(lambda theta: tuple(highest - bar for highest in _highest(d, theta)))
    below = next((x for x in finite.min() - reach if over(x)[0] >= -_HAIR), -np.inf)
    above = next((x for x in finite.max() + reach if over(x)[1] >= -_HAIR), np.inf)
    from_low, from_high = max(below, finite.min() - 4 * spread), min(above, finite.max() + 4 * spread)
    if over(from_high)[0] >= -_HAIR or over(from_low)[1] >= -_HAIR:
        return np.nan, np.nan
    low = _end(lambda theta: over(theta)[0], from_high, below) if below > -np.inf else below
    high = _end(lambda theta: over(theta)[1], from_low, above) if above < np.inf else above
    return (low, high) if low < high else (np.nan, np.nan)


def anytime_within(differences: ArrayLike, margin: float, alpha: float = 0.05) -> bool:
    """Whether the anytime interval of differences, shape (n,), lies within ± log(margin), a ratio above 1."""
    d, edge = np.asarray(differences, dtype=float), float(np.log(margin))
    if d.size < fewest_rounds(alpha):
        return False
    if not (_excludes(d, -np.log(alpha), -edge)[0] and _excludes(d, -np.log(alpha), edge)[1]):
        return False
    # The rounds may exclude every theta between them, hardly ever the mean.
    return not any(_excludes(d, -np.log(alpha), float(d.mean()))) or bool(np.isfinite(anytime_interval(d, alpha)).all())


def hybrid_interval(differences: ArrayLike, planned: int, alpha: float = 0.05) -> tuple[float, float]:
    """What both looks of the hybrid rule leave, by the same union bound; the t interval stands in from N rounds on.

    Returns:
        (low, high) as of `anytime_interval`; NaN where the two exclude each other.
    """
    d = np.asarray(differences, dtype=float)[:planned]
    low, high = anytime_interval(d, EARLY * alpha)
    if d.size == planned and np.isfinite(low) and np.isfinite(d).all():
        ends = t_interval(paired_estimate(d / planned), FINAL * alpha)
        low, high = max(low, ends[0]), min(high, ends[1])
    return (low, high) if low < high else (np.nan, np.nan)


def hybrid_p(differences: ArrayLike, planned: int) -> float:
    """p of the hybrid rule: min(1, 2.5 p_anytime(<= N), 5/3 p_N), the last term from N rounds on.

    p <= alpha says E >= 1/(.4 alpha) at some round up to N (50 at .05) or a sign-flip p <= .6 alpha (.03) on exactly
    the first N = `planned` rounds; the union bound keeps alpha.
    """
    d = np.asarray(differences, dtype=float)[:planned]
    p = anytime_p(log_e_path(d)) / EARLY
    if d.size == planned:
        p = min(p, sign_flip_p(counted(d)) / FINAL)
    return min(1.0, p)


def hybrid_direction(differences: ArrayLike, planned: int, alpha: float = 0.05) -> int:
    """−1 or +1 as in `direction`: at the early stop if there was one, else by the mean of the first N rounds."""
    d = np.asarray(differences, dtype=float)[:planned]
    early = crossing(log_e_path(d), EARLY * alpha)
    return direction(d, early) if early else (1 if counted(d).mean() > 0 else -1)


def forecast(differences: ArrayLike, alpha: float = 0.05) -> Forecast:
    """How many more rounds until E >= 1/alpha: observed differences resampled forward 500 times. Indicative only.

    Looks ahead 20 times what there is, at least 200 and at most 2,000 rounds.
    """
    d = np.asarray(differences, dtype=float)
    if d.size < 2 or not d.any():
        return Forecast(None, None)
    ahead = min(max(20 * d.size, 200), LONGEST_FORECAST)
    draws = np.random.default_rng(_SEED).choice(d, (RESAMPLES, ahead))
    waits = np.full(RESAMPLES, np.inf)
    for i, future in enumerate(draws):
        first = crossing(log_e_path(np.concatenate([d, future]))[d.size :], alpha)
        waits[i] = first or np.inf
    median, point80 = np.sort(waits)[[RESAMPLES // 2 - 1, RESAMPLES * 4 // 5 - 1]]
    return Forecast(*(int(x) if np.isfinite(x) else None for x in (median, point80)))


def _standardised(d: Array) -> Array:
    met = np.isfinite(d)
    known = np.where(met, d, 0.0)
    largest = np.abs(known).max(initial=0.0)
    if not 1e-140 < largest < 1e140:  # whose squares would be lost; z has no scale
        known = known / largest if largest else known
    r = np.sqrt(np.cumsum(known**2, axis=-1) / np.maximum(np.cumsum(met, axis=-1), 1))
    z = np.divide(known, r, out=np.zeros_like(d), where=known != 0)
    if met.all():
        return z
    worst = np.maximum(np.maximum.accumulate(np.abs(z), axis=-1), 1.0)
    return np.where(met, z, np.sign(d) * worst)


def _log_factors(d: Array) -> tuple[Array, Array]:
    """log(1 + tanh(c z)) and log(1 − tanh(c z)), shape (…, scales, n)."""
    x = _standardised(d)[..., None, :] * (2 * SCALES[:, None])
    both = np.abs(x)  # exchanged sides must exchange the two to the last bit
    for step in (np.negative, np.exp, np.log1p):
        step(both, out=both)
    np.subtract(np.log(2), both, out=both)
    return both + np.minimum(x, 0), both + np.minimum(-x, 0)


def _log_mean(log_products: Array) -> Array:
    return np.asarray(np.logaddexp.reduce(log_products, axis=-2) - np.log(SCALES.size))


def _excludes(d: Array, bar: float, theta: float) -> tuple[bool, bool]:
    """Whether a round excludes theta as too low, and whether one does as too high."""
    too_low, too_high = _highest(d, theta)
    return too_low >= bar - _HAIR, too_high >= bar - _HAIR


def _highest(d: Array, theta: float) -> tuple[float, float]:
    """The largest log E of d − theta among rounds that find theta too low, and among those that find it too high."""
    up, down = (np.cumsum(factors, axis=-1) for factors in _log_factors(d - theta))
    of_up, of_down = up.max(axis=-2), down.max(axis=-2)
    return _largest(up, down, of_up, of_down), _largest(down, up, of_down, of_up)


def _largest(mine: Array, other: Array, of_mine: Array, of_other: Array) -> float:
    """The largest log E among rounds at which the mean of `mine`, logs over scales, is above that of `other`.

    A mean of four is at most its largest, and at least a quarter of that: only rounds that may be the one are summed.
    """
    scales = np.log(SCALES.size)
    sure = of_mine[of_mine - scales > of_other].max(initial=-np.inf) - scales - np.log(2)
    may = (of_mine + scales >= of_other) & (of_mine >= sure - _HAIR)
    here, there = _log_mean(mine[:, may]), _log_mean(other[:, may])
    return float((np.logaddexp(here, there) - np.log(2))[here > there].max(initial=-np.inf))


def _end(above: Callable[[float], float], low: float, high: float) -> float:
    """Where a function becomes positive on the way from a point where it is not to one where it is, from the first.

    By interpolation, truncation and projection (Oliveira and Takahashi 2021, doi:10.1145/3423597): never more steps
    than halving takes to 2⁻⁴⁰ of the way, and one.
    """
    most, slack = _HALVINGS + 1, 0.2 / abs(high - low)
    tiny = abs(high - low) * 2.0**-most
    before, after = (np.clip(above(x), -_FAR, _FAR) for x in (low, high))
    for step in range(most):
        width = abs(high - low)
        if width <= 2 * tiny:
            break
        middle, straight = (low + high) / 2, (low * after - high * before) / (after - before)
        toward = np.sign(middle - straight)
        at = straight + toward * min(slack * width**2, abs(middle - straight))
        reach = tiny * 2.0 ** (most - step) - width / 2
        at = at if abs(at - middle) <= reach else middle - toward * reach
        value = np.clip(above(at), -_FAR, _FAR)
        if value > 0:
            high, after = at, value
        else:
            low, before = at, value
    return float(low)
