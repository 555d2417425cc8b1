"""Sizes at equal error: the ratio against power laws, the interval against brute force and by coverage, refusals."""

import math

import numpy as np
import pandas as pd
import pytest
from tables import crossed_rows, swapped

from archab.evidence import equal_error
from archab.evidence.equal_error import EqualError, size_ratio
from archab.evidence.notes import Note
from archab.evidence.verdict import judge

SIZES = np.array([100.0, 200.0, 400.0, 800.0])


def power_laws(
    rng: np.random.Generator, ratio: float, powers: tuple[float, float] = (1, 1), targets: int = 20, own: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of targets of each member and sizes: the error of A is .3 (size/100)^-p, B's the same at `ratio` its size.

    The targets' own difficulty, the same for both sides, has twice the spread of the students' noise.
    """
    sizes = np.stack([SIZES, 1.3 * SIZES])
    scores = np.full((4 * targets, 2, 4), np.nan)
    for m in range(4):
        level = [
            math.log(0.3) - p * math.log(s[m] / 100 / r) for p, s, r in zip(powers, sizes, (1, ratio), strict=True)
        ]
        noise = rng.normal(0, 2 * own, (targets, 1)) + rng.normal(0, own, (targets, 2))
        scores[m * targets : (m + 1) * targets, :, m] = np.array(level) + noise
    return scores, sizes


def table(scores: np.ndarray, sizes: np.ndarray) -> pd.DataFrame:
    blocks, sides, members = np.nonzero(~np.isnan(scores))
    rows = pd.DataFrame(
        {"seed": 0, "member": members, "target": [f"t{b}" for b in blocks], "restart": 0}
        | {"side": np.array(["a", "b"])[sides], "nmse": np.exp(scores[blocks, sides, members])}
        | {"measure": sizes[sides, members]}
    )
    return rows.assign(draw=rows.groupby(["member", "side"]).cumcount())


@pytest.mark.parametrize("ratio", [1.5, 0.4, 1.0])
def test_without_noise_it_is_the_ratio_of_two_power_laws(ratio):
    found = size_ratio(*power_laws(np.random.default_rng(0), ratio, own=0.0))
    assert (found.size_ratio, found.ci_low, found.ci_high) == pytest.approx((ratio, ratio, ratio))
    # From the lower of the errors at the smallest sizes, 100 and 130, to the higher of those at the largest.
    assert found.error_high == pytest.approx(0.3 * min(1, ratio / 1.3))
    assert found.error_low == pytest.approx(0.3 * max(1 / 8, ratio / 1.3 / 8))
    assert found.size_b / found.size_a == pytest.approx(ratio)
    assert found.size_a == pytest.approx(30 / math.sqrt(found.error_low * found.error_high))


def test_of_unlike_powers_it_is_the_geometric_mean_over_the_errors_that_both_reach():
    found = size_ratio(*power_laws(np.random.default_rng(0), 1.5, powers=(1, 1.5), own=0.0))
    errors = np.exp(np.linspace(math.log(found.error_low), math.log(found.error_high), 10_001))
    a, b = 100 * (0.3 / errors), 150 * (0.3 / errors) ** (1 / 1.5)
    assert found.size_ratio == pytest.approx(np.exp(np.log(b / a).mean()), rel=1e-4)


def test_a_curve_that_rises_again_is_asked_for_the_smallest_size_that_reaches_an_error():
    errors = np.log([[0.4, 0.1, 0.3, 0.2], [0.4, 0.2, 0.1, 0.05]])
    found = size_ratio(np.tile(errors, (6, 1, 1)), np.stack([SIZES, SIZES]))
    levels = np.log(0.1) + np.log(4) * (np.arange(10_000) + 0.5) / 10_000
    a = np.log(100) + np.log(2) * (np.log(0.4) - levels) / np.log(4)
    b = np.log(100) + np.log(2) * (np.log(0.4) - levels) / np.log(2)
    assert (found.error_low, found.error_high) == pytest.approx((0.1, 0.4))
    assert found.size_ratio == pytest.approx(np.exp((b - a).mean()), rel=1e-4)


def test_a_side_that_only_gets_worse_is_met_at_its_one_error():
    errors = np.log([[0.2, 0.25, 0.3, 0.4], [0.4, 0.1, 0.1, 0.1]])
    found = size_ratio(np.tile(errors, (6, 1, 1)), np.stack([SIZES, SIZES]))
    assert (found.error_low, found.error_high) == pytest.approx((0.2, 0.2))
    assert found.size_ratio == pytest.approx(math.sqrt(2))  # B is at .2 halfway from .4 to .1, in logs


@pytest.mark.parametrize("shared", [False, True], ids=["own targets", "shared targets"])
def test_the_interval_is_that_of_blocks_drawn_one_by_one(shared):
    rng = np.random.default_rng(1)
    scores, sizes = power_laws(rng, 1.5, targets=8)
    if shared:
        scores = scores[~np.isnan(scores)].reshape(4, 8, 2).transpose(1, 2, 0) + rng.normal(0, 0.5, (8, 1, 1))
    found = size_ratio(scores, sizes)
    drawn = []
    for _ in range(2000):
        if shared:
            means = scores[rng.integers(0, 8, 7)].mean(axis=0)
        else:
            means = np.stack([scores[8 * m + rng.integers(0, 8, 7), :, m].mean(axis=0) for m in range(4)], axis=1)
        low, high = means.min(axis=1).max(), means[:, 0].min()
        levels = np.linspace(low, high, 30)
        curves = [np.minimum.accumulate(own)[::-1] for own in means]
        a, b = (np.interp(levels, c, np.log(s)[::-1]) for c, s in zip(curves, sizes, strict=True))
        drawn.append((b - a).mean())
    assert np.log([found.ci_low, found.ci_high]) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


def test_neither_names_nor_the_order_of_rows_and_members_matter():
    scores, sizes = power_laws(np.random.default_rng(2), 1.5)
    rows = table(scores, sizes)
    found = judge(rows).equal_error
    other = judge(swapped(rows)).equal_error
    assert found.ci_low < found.size_ratio < found.ci_high
    assert (other.size_ratio, other.ci_low) == pytest.approx((1 / found.size_ratio, 1 / found.ci_high))
    assert judge(rows.sample(frac=1, random_state=0)).equal_error == found
    # B's members backwards: what is compared at one index changes, what is reached at which size does not.
    mirrored = rows.assign(member=rows["member"].where(rows["side"] == "a", 3 - rows["member"]))
    again = judge(mirrored.assign(target=mirrored["draw"])).equal_error
    assert (again.size_ratio, again.error_low) == pytest.approx((found.size_ratio, found.error_low))


def test_one_target_and_all_that_shares_it_are_drawn_together():
    rng = np.random.default_rng(3)
    scores, sizes = power_laws(rng, 1.5, own=0.0)
    # Large differences between targets that all members and sides share move both curves alike.
    shared = scores[~np.isnan(scores)].reshape(4, 20, 2).transpose(1, 2, 0) + rng.normal(0, 0.4, (20, 1, 1))
    found = size_ratio(shared, sizes)
    assert (found.ci_low, found.ci_high) == pytest.approx((1.5, 1.5))


def test_of_very_many_blocks_the_normal_limit_stands_in(monkeypatch):
    scores, sizes = power_laws(np.random.default_rng(9), 1.5, targets=60)
    drawn = size_ratio(scores, sizes)
    monkeypatch.setattr(equal_error, "LARGEST_PERMUTED", 59)
    limit = size_ratio(scores, sizes)
    assert limit.ci_low != drawn.ci_low
    assert np.log([limit.ci_low, limit.ci_high]) == pytest.approx(np.log([drawn.ci_low, drawn.ci_high]), abs=0.01)


def coverage(experiments: int, targets: int) -> float:
    rng = np.random.default_rng(4)
    found = [size_ratio(*power_laws(rng, 1.5, targets=targets)) for _ in range(experiments)]
    return float(np.mean([f.ci_low <= 1.5 <= f.ci_high for f in found]))


def test_the_interval_covers_a_known_ratio():
    assert coverage(40, targets=20) >= 0.85  # three standard errors below .95


@pytest.mark.slow
@pytest.mark.parametrize("targets", [6, 20, 100])
def test_the_interval_covers_a_known_ratio_in_its_share_of_experiments(targets):
    found = coverage(500, targets)
    assert (0.90 if targets < 20 else 0.92) <= found <= 0.975


def test_an_end_that_resamples_do_not_reach_is_open():
    scores, sizes = power_laws(np.random.default_rng(5), 9.0, targets=8)
    found = size_ratio(scores, sizes)
    assert found.ci_low > 5
    assert math.isnan(found.ci_high)
    said = judge(table(scores, sizes), names=("new", "old"))
    assert "old needs" in said.paragraph()
    assert f"interval of a single look: at least {found.ci_low:.1f})" in said.paragraph()
    assert said.to_dict()["equal_error"]["ci_high"] is None
    assert math.isnan(size_ratio(*power_laws(np.random.default_rng(5), 1.5), alpha=1e-6).ci_low)


def test_the_sentence_gives_the_larger_size_and_leaves_open_what_the_interval_does():
    rng = np.random.default_rng(6)
    for ratio, said in (
        (1.5, "old needs 1.5"),
        (1 / 1.5, "new needs 1.5"),
        (1.0, "which side needs the larger size is open"),
    ):
        verdict = judge(table(*power_laws(rng, ratio, targets=40)), names=("new", "old"))
        line = next(line for line in verdict.paragraph().split(". ") if line.startswith("At equal error"))
        assert said in line
        assert "95% interval of a single look" in line


def refused(rows: pd.DataFrame, **given: object) -> str:
    verdict = judge(rows, names=("new", "old"), **given)  # type: ignore[arg-type]
    found = verdict.equal_error
    assert found.reason.endswith(".")
    assert found == EqualError(reason=found.reason) or math.isnan(found.size_ratio)
    assert "At equal error" not in verdict.paragraph()
    return found.reason


def test_what_cannot_be_said_has_its_reason():
    rng = np.random.default_rng(7)
    rows = table(*power_laws(rng, 1.5))
    assert refused(rows.drop(columns="measure")) == "The sizes are not known."
    assert refused(rows[rows["member"] == 0]) == "new was tried at one size only."
    assert (
        refused(rows.assign(measure=rows["measure"].where(rows["side"] == "a", 1))) == "old was tried at one size only."
    )
    assert "At least 6 targets" in refused(rows[rows["draw"] < 5])
    diverged = rows.assign(nmse=rows["nmse"].mask(rows["side"] == "b"))
    assert refused(diverged) == "old learnt nothing: all its errors are 1 or more."
    note = Note("own targets", "Each member learns other targets.")
    assert "a prior of its own" in refused(rows, notes=[note])
    assert "a prior of its own" in refused(rows.assign(source="a"))
    one_side = rows.assign(target=rows["target"] + rows["side"], source=rows["side"])
    assert "Each side learnt targets of its own" in refused(one_side)
    crossed = pd.concat(crossed_rows([(-0.2, 0.1)] * 9).assign(member=m, measure=100 * 2**m) for m in range(2))
    assert "a prior of its own" in refused(crossed.assign(target=crossed["target"] + crossed["member"].astype(str)))


@pytest.mark.parametrize(("ratio", "side", "other"), [(20.0, "old", "new"), (1 / 20, "new", "old")])
def test_no_curve_is_followed_beyond_its_ends(ratio, side, other):
    scores, sizes = power_laws(np.random.default_rng(8), ratio, own=0.1)
    typical = np.exp(np.nanmean(scores, axis=0))
    a, b = (1, 0) if side == "old" else (0, 1)
    assert refused(table(scores, sizes)) == (
        f"No size of {side} that was tried reaches the error of {other} at its smallest: "
        f"{typical[a].min():#.2g} at best, against {typical[b, 0]:#.2g}."
    )
