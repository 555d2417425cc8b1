"""The split of a variance, held against statsmodels, a closed form and simulation."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import mixedlm

from archab.evidence.spread import sentence, split
from archab.evidence.verdict import judge


def made(rng, groups=12, each=4, between=1.0, within=1.0):
    d = (rng.normal(0, between, (groups, 1)) + rng.normal(0, within, (groups, each))).ravel()
    return d, np.repeat(np.arange(groups), each)


@pytest.mark.filterwarnings("ignore")  # of statsmodels' optimiser
@pytest.mark.parametrize("key", range(3))
def test_balanced_groups_agree_with_restricted_maximum_likelihood(key):
    d, group = made(np.random.default_rng(key))
    found = split(d, group)
    fit = mixedlm("d ~ 1", pd.DataFrame({"d": d, "g": group}), groups="g").fit(reml=True)
    assert found.between == pytest.approx(float(fit.cov_re.iloc[0, 0]), rel=1e-3)
    assert found.within == pytest.approx(float(fit.scale), rel=1e-3)


def test_the_interval_covers_the_share_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = [(s := split(*made(rng, between=0.7))).low <= 0.49 / 1.49 <= s.high for _ in range(600)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def test_strata_of_unequal_level_do_not_count_as_spread():
    rng = np.random.default_rng(1)
    d, group = made(rng, between=0.0)
    twice = np.concatenate([d, d + 100])
    found = split(twice, np.tile(group, 2), np.repeat([0, 1], d.size))
    assert found.share < 0.3


def test_what_is_left_after_buying_is_that_of_the_variance_of_the_mean():
    found = split(*made(np.random.default_rng(2)))
    now = found.between / 12 + found.within / 48
    assert (found.between / 24 + found.within / 96) / now == pytest.approx(found.buying_groups)
    assert (found.between / 12 + found.within / 96) / now == pytest.approx(found.buying_each)
    assert "twice as many targets leave 50%" in sentence(found, "target", "targets", "restart", "restarts")


def test_it_is_silent_where_it_cannot_tell():
    assert split(np.arange(3.0), np.arange(3)) is None
    assert split(np.arange(8.0), np.arange(8)) is None
    assert split(np.zeros(16), np.repeat(np.arange(8), 2)) is None


def test_a_verdict_with_restarts_says_it_and_one_without_does_not():
    rng, rows = np.random.default_rng(0), []
    for target in range(10):
        effect = rng.normal()
        rows += [(0, 0, target, side, restart, np.exp(-3 + rng.normal(0, 0.3) + effect * (side == "a")))
                 for side in "ab" for restart in range(3)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["seed", "member", "target", "side", "restart", "nmse"])
    found = judge(table)
    assert found.spread.groups == 10
    assert "from one target to the next" in found.paragraph()
    assert found.to_dict()["spread"]["share"] == found.spread.share
    alone = judge(table[table["restart"] == 0])
    assert alone.spread is None
    assert alone.to_dict()["spread"] is None
