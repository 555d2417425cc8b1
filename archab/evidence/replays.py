"""What looking after every round would do where there is no difference: the data replayed with sides by coin.

Under the null every sign of a round's difference is a fair coin given its size: flipping the signs of the differences
at hand replays the experiment as it would have gone had A and B been exchangeable.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from archab.evidence.e_process import log_e_path
from archab.evidence.statistics import Array

LONGEST = 2000  # rounds that are replayed
MOST, FEWEST = 2000, 200
_SEED = 20192


@dataclass(frozen=True)
class Replays:
    """Replays of the first rounds.

    Attributes:
        count: how many.
        rounds: shape (k,): the rounds, from 1, at which the next figures are given.
        paths: shape (shown, k): log E of some of them.
        this_rule: shape (k,): share of all replays whose E had reached 1/alpha by then.
        t_test: shape (k,): the same for a t test at level alpha after every round from the third on.
    """

    count: int
    rounds: np.ndarray
    paths: Array
    this_rule: Array
    t_test: Array


def replay(differences: Array, alpha: float, shown: int = 40, points: int = 100) -> Replays:
    """Replay the rounds' differences, shape (n,), n >= 1, with fair signs: 2,000 times, fewer where they are many."""
    d = np.asarray(differences, dtype=float)[:LONGEST]
    count = int(np.clip(1_000_000 // d.size, FEWEST, MOST))
    rng = np.random.default_rng(_SEED)
    spaced = np.geomspace(1, d.size, points) if d.size > points else np.arange(1, d.size + 1)
    at = np.unique(spaced.round().astype(int)) - 1
    rule, test = np.zeros(d.size), np.zeros(d.size)
    paths: list[Array] = []
    step = max(1, 200_000 // d.size)  # bounds the memory, whatever the number of rounds
    for first in range(0, count, step):
        flipped = d * rng.choice([-1.0, 1.0], (min(step, count - first), d.size))
        log_e = log_e_path(flipped)
        rule += np.maximum.accumulate(log_e >= -np.log(alpha), axis=1).sum(0)
        test += np.maximum.accumulate(_t_test(flipped, alpha), axis=1).sum(0)
        paths.append(log_e[: max(0, shown - first), at])
    return Replays(count, at + 1, np.concatenate(paths), (rule / count)[at], (test / count)[at])


def _t_test(d: Array, alpha: float) -> np.ndarray:
    """Whether a two-sided t test of the first n rounds rejects, for every n from 3 on; shape of `d`."""
    n = np.arange(1, d.shape[1] + 1)
    total, squares = np.cumsum(d, axis=1), np.cumsum(d**2, axis=1)
    variance = np.maximum(squares - total**2 / n, 0) / np.maximum(n - 1, 1)
    critical = special.stdtrit(np.maximum(n - 1, 1), 1 - alpha / 2)
    return np.asarray((n >= 3) & (variance > 0) & (total**2 > critical**2 * variance * n))
