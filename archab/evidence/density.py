"""A band that holds at every error at once, around the share of targets that were learnt to within it."""

import math

import numpy as np

from archab.evidence.statistics import Array


def effective(weights: Array) -> float:
    """How many targets of equal weight tell as much as these (Kish 1965): (sum of u)² / sum of u², u of shape (n,)."""
    return float(np.sum(weights) ** 2 / np.sum(weights**2))


def half_width(n: float, alpha: float) -> float:
    """Half of the simultaneous 1 − alpha band of a mean of n distribution functions: sqrt(log(2/alpha) / (2 n)).

    Dvoretzky, Kiefer and Wolfowitz 1956 with the constant of Massart 1990 ("The Tight Constant in the
    Dvoretzky-Kiefer-Wolfowitz Inequality", corollary 1), which holds for n targets of one stratum whatever their
    number.

    M members are strata of equal weight: the share is the sum over targets of u G, with G the target's own (the share
    of its members that are within each error) and u the sum of 1/(M n_m) over those members; n is then `effective(u)`.
    That is proven in the limit of many targets, where the deviation is Gaussian with the covariance sum of u² Cov(G).
    A single indicator drawn from G varies more than G, and one drawn from the mixture of the targets' means, in shares
    of u², more than each about its own mean: either adds a covariance, and by Anderson 1955 ("The Integral of a
    Symmetric Unimodal Function") whatever is added makes the largest deviation stochastically larger. What is reached
    is that of n draws from the mixture, to which the inequality applies. In simulations it held from 1 target a member
    on. A union bound over members, (1/M) sum of sqrt(log(2 M/alpha) / (2 n_m)), needs no limit but is far too wide: for
    5 members of 40 targets ± 26%, where this is ± 10%.

    Args:
        n: targets, above 0.
        alpha: 1 − alpha is the level of the band.
    """
    return math.sqrt(math.log(2 / alpha) / (2 * n))
