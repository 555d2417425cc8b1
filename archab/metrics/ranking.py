"""The order of more than two sides, as far as it is supported: which ones cannot be told apart."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from archab.metrics.rounds import Rounds
from archab.metrics.verdict import MetricVerdict


def ranked(rounds: Rounds) -> list[tuple[str, float]]:
    """The sides with their mean rank, the best one first: over rounds that all have, failed runs last.

    Where runs are not paired, the mean of their ranks among all runs.
    """
    scores = rounds.scores
    if rounds.paired:
        ranks = np.apply_along_axis(stats.rankdata, 1, scores[~np.isnan(scores).any(axis=1)])
    else:
        ranks = np.full(scores.shape, np.nan)
        ranks[~np.isnan(scores)] = stats.rankdata(scores[~np.isnan(scores)])
    means = np.nanmean(ranks, axis=0) if len(ranks) else np.full(len(rounds.names), np.nan)
    return [(rounds.names[i], float(means[i])) for i in np.argsort(means, kind="stable")]


def not_apart(order: Sequence[str], verdicts: Sequence[MetricVerdict]) -> list[tuple[str, ...]]:
    """The longest stretches of an order in which no two sides are told apart, two sides or more each.

    Args:
        order: the sides, the best one first.
        verdicts: one for every two of them.
    """
    told = {frozenset(v.names) for v in verdicts if v.winner}
    groups: list[tuple[str, ...]] = []
    for i in range(len(order)):
        j = i + 1
        while j < len(order) and not any(frozenset((order[k], order[j])) in told for k in range(i, j)):
            j += 1
        if j - i > 1 and not (groups and set(order[i:j]) <= set(groups[-1])):
            groups.append(tuple(order[i:j]))
    return groups


def sentence(rounds: Rounds, verdicts: Sequence[MetricVerdict]) -> str:
    """The order with what is not told apart; that there is none where no two sides are."""
    order = [name for name, _ in ranked(rounds)]
    groups = not_apart(order, verdicts)
    if any(len(group) == len(order) for group in groups):
        return f"No ranking: none of {', '.join(order)} is told apart from another."
    text = f"By mean rank, best first: {', '.join(order)}."
    return text + "".join(f" Not told apart: {', '.join(group)}." for group in groups)
