"""How many more blocks a fixed test would need, by the noncentral t distribution. Arrays in, numbers out."""

import numpy as np
from scipy import special

from archab.evidence.statistics import Estimate, t_quantile

MOST = 1_000_000


def power(theta: float, se: float, df: float, alpha: float = 0.05) -> float:
    """Power of the two-sided t test: P(|T| >= t_crit) for T noncentral t with noncentrality theta/se and df degrees."""
    critical, shift = t_quantile(1 - alpha / 2, df), abs(theta) / se
    above = 1 - special.nctdtr(df, shift, critical)
    return float(above + np.nan_to_num(special.nctdtr(df, shift, -critical)))  # NaN where it underflows


def cautious_sd_factor(df: float) -> float:
    """sqrt(df / chi²_.2): what turns a standard deviation into its one-sided upper 80% limit (Browne 1995)."""
    return float(np.sqrt(df / special.chdtri(df, 0.8)))


def more_blocks(estimate: Estimate, blocks: float, target_power: float, alpha: float = 0.05) -> int | None:
    """Fewest further blocks a stratum with which the t test finds the observed effect with this power.

    Args:
        estimate: what `blocks` blocks a stratum gave (their harmonic mean where the strata differ).

    Returns:
        A count >= 0; None where nothing varies or was found, or where more than a million would be needed.
    """
    if not estimate.se > 0 or estimate.theta == 0 or blocks <= 1:
        return None
    sd = estimate.se * np.sqrt(blocks) * cautious_sd_factor(estimate.df)
    df_per_block = estimate.df / (blocks - 1)

    def enough(more: int) -> bool:
        n = blocks + more
        return power(estimate.theta, sd / np.sqrt(n), df_per_block * (n - 1), alpha) >= target_power

    if not enough(MOST):
        return None
    low, high = -1, 1
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
