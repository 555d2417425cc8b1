import numpy as np
import pandas as pd
import pytest
from tables import crossed_rows, paired_rows, random_rows, swapped, unpaired_rows

from archab.errors import ArchabError
from archab.evidence.design import arrange
from archab.evidence.e_process import crossing, log_e_path
from archab.evidence.estimate import fixed


def test_paired_blocks_are_targets_and_rounds_span_the_members():
    design = arrange(paired_rows({0: [(-3, -1), (-2, -2)], 4: [(-1, -2), (-1, -4)]}))
    assert (design.kind, design.members) == ("paired", (0, 4))
    np.testing.assert_allclose(design.values, [[-2, np.nan], [np.nan, 1], [0, np.nan], [np.nan, 3]])
    np.testing.assert_allclose(design.rounds, [-0.5, 1.5])


def test_restarts_are_averaged_inside_the_block():
    rows = paired_rows({0: [(-3.0, -1.0), (-2.0, -2.0)]})
    again = rows.assign(restart=1, nmse=rows["nmse"] * np.exp(0.5))
    design = arrange(pd.concat([rows, again]))
    np.testing.assert_allclose(design.values[:, 0], [-2, 0], atol=1e-12)
    assert len(design.values) == 2


def test_members_that_share_targets_are_averaged_inside_the_block():
    rows = paired_rows({0: [(-3, -1), (-2, -2), (-2, -5)], 1: [(-1, -2), (-1, -4), (-1, -1)]})
    shared = rows.assign(target=rows["target"].str[-3:])
    design = arrange(shared)
    np.testing.assert_allclose(design.values, [[-2, 1], [0, 3], [3, 0]], atol=1e-12)
    np.testing.assert_allclose(design.rounds, [-0.5, 1.5, 1.5])
    whole = fixed(design.values, None)
    # One stratum of three blocks, d = −.5, 1.5, 1.5: s² = 4/3.
    np.testing.assert_allclose([whole.estimate.theta, whole.estimate.se**2, whole.estimate.df], [5 / 6, 4 / 9, 2])


def test_a_shared_target_that_one_member_lacks_stays_in_the_mean_and_makes_no_round():
    rows = paired_rows({0: [(-3, -1), (-2, -2), (-2, -5)], 1: [(-1, -2), (-1, -4), (-1, -1)]})
    shared = rows.assign(target=rows["target"].str[-3:]).drop(columns="draw")
    design = arrange(shared[~((shared["member"] == 1) & (shared["target"] == "000"))])
    np.testing.assert_allclose(design.rounds, [1.5, 1.5])
    # Member 0: mean of −2, 0, 3; member 1: mean of 3, 0.
    assert np.isclose(fixed(design.values, None).estimate.theta, (1 / 3 + 3 / 2) / 2)
    assert "Draws without a partner or a member: 1." in design.notes[2].text


def test_a_round_counts_only_where_every_member_is_in_it():
    design = arrange(paired_rows({0: [(-2, -1)] * 9, 1: [(-2, -1)] * 4}))
    assert (len(design.rounds), len(design.values)) == (4, 13)


def test_draws_of_a_foreign_table_are_the_ranks_of_the_targets_names_as_strings():
    rows = paired_rows({0: [(-1, -2), (-1, -3), (-1, -4)]}).assign(target=["2", "2", "10", "10", "b", "b"])
    np.testing.assert_allclose(arrange(rows.drop(columns="draw")).rounds, [2, 1, 3])
    np.testing.assert_allclose(arrange(rows).rounds, [1, 2, 3])


def test_names_that_carry_what_was_scored_do_not_order_unpaired_rounds():
    # 150 tables, a seed each, of 25 targets a side without a difference; names follow the rank of the error.
    scores = np.sort(np.random.default_rng(11).normal(-2, 1, (150, 2, 25)))
    seed, side, rank = (index.ravel() for index in np.indices(scores.shape))
    names = [f"{'ab'[s]}{r:03}" for s, r in zip(side, rank, strict=True)]
    rows = pd.DataFrame(
        {"seed": seed, "side": np.array(["a", "b"])[side], "target": names, "nmse": np.exp(scores).ravel()}
    )
    rows = rows.assign(member=0, restart=0)
    design = arrange(rows)
    decided = [crossing(log_e_path(d)) is not None for d in design.rounds.reshape(150, 25)]
    assert sum(decided) <= 0.05 * 150
    assert [note.kind for note in design.notes] == ["unmatched", "design", "design"]
    again = arrange(swapped(rows).sample(frac=1, random_state=0))
    np.testing.assert_array_equal(again.rounds, -design.rounds)


def test_unpaired_rounds_pair_the_kth_students_and_the_rest_waits():
    design = arrange(unpaired_rows({0: ([-1, -2, -3], [-2, -2, -2, -2]), 2: ([-5, -5], [-4, -3])}))
    assert (design.kind, design.members, len(design.values)) == ("unpaired", (0, 2), 11)
    assert design.is_a.sum() == 5
    np.testing.assert_allclose(design.rounds, [(1 - 1) / 2, (0 - 2) / 2])


def test_crossed_blocks_are_pairs_with_the_student_effect_and_the_home_advantage_apart():
    design = arrange(crossed_rows([(-1.0, 0.5), (-0.4, 0.2)]))
    assert design.kind == "crossed"
    np.testing.assert_allclose(design.values[:, 0], [-0.25, -0.1])
    np.testing.assert_allclose(design.home[:, 0], [0.75, 0.3])
    np.testing.assert_allclose(arrange(swapped(crossed_rows([(-1.0, 0.5)]))).home[:, 0], [0.75])


def test_seeds_come_in_the_order_of_first_start_whatever_their_numbers():
    rows = paired_rows({0: [(-1, -1 - k) for k in range(6)]}, per_seed=2)
    np.testing.assert_allclose(arrange(rows, order=[2, 0, 1]).rounds, [4, 5, 0, 1, 2, 3], atol=1e-12)
    own = rows.assign(order=rows["seed"].map({0: 7.5, 1: 9.0, 2: 7.5}))
    np.testing.assert_allclose(arrange(own).rounds, [0, 1, 4, 5, 2, 3], atol=1e-12)
    assert "the table's own column" in arrange(own).notes[0].text
    assert "ascending order" in arrange(rows).notes[0].text
    assert arrange(rows, order=[0, 1, 2]).notes == ()


def test_a_user_who_adds_seeds_in_descending_order_reads_the_same_rounds_first():
    rows = paired_rows({0: [(-1, -1 - k) for k in range(8)]}, per_seed=1)
    started = [7, 6, 5, 4, 3, 2, 1, 0]
    for looks in range(1, 9):
        seen = rows[rows["seed"].isin(started[:looks])]
        np.testing.assert_allclose(
            arrange(seen, order=started[:looks]).rounds, [7, 6, 5, 4, 3, 2, 1, 0][:looks], atol=1e-12
        )


def test_rounds_behind_a_hole_wait():
    rows = paired_rows({0: [(-1, -1 - k) for k in range(6)]}, per_seed=2)
    design = arrange(rows, order=[2, 9, 0, 1], holes=[9])
    np.testing.assert_allclose(design.rounds, [4, 5])
    assert len(design.values) == 6
    assert [note.text for note in design.notes] == [
        "Started, not finished: seed 9. Rounds that wait until it is rerun: 4."
    ]
    assert design.next_seed == 10
    assert len(arrange(rows, holes=[1]).rounds) == 2


def test_the_order_of_the_rows_changes_nothing():
    for rows in (random_rows(0), unpaired_rows({0: ([-1, -2, -3], [-2, -4]), 1: ([-1, -3], [-2, -1])})):
        one, two = arrange(rows), arrange(rows.sample(frac=1, random_state=1))
        assert one.rounds.tolist() == two.rounds.tolist()
        np.testing.assert_array_equal(one.values, two.values)


def test_uneven_restarts_and_a_single_prior_are_noted():
    rows = paired_rows({0: [(-3.0, -1.0), (-2.0, -2.0)]}).assign(source="a")
    notes = arrange(pd.concat([rows, rows[rows["side"] == "a"].assign(restart=1)]), order=[0]).notes
    assert "number of restarts differs" in notes[0].text
    assert "A's own prior" in notes[1].text


def foreign(names_a, names_b):
    """A table of one seed and member without draw or source: each side's students on targets of these names."""
    sides = [("a", name) for name in names_a] + [("b", name) for name in names_b]
    values = np.exp(np.random.default_rng(0).normal(-2, 1, len(sides))).tolist()
    return pd.DataFrame(
        [
            {"seed": 0, "member": 0, "target": name, "side": side, "restart": 0, "nmse": nmse}
            for (side, name), nmse in zip(sides, values, strict=True)
        ]
    )


@pytest.mark.parametrize(
    ("a", "b"), [("Set3", "set3"), (" x", "x"), ("3", "3.0"), ("1e1", "10"), ("ﬁt", "fit"), ("t\u00a0", "t")]
)
def test_names_that_match_but_for_their_form_are_refused_and_named(a, b):
    with pytest.raises(
        ArchabError, match=r"of side b \(seed 0, member 0\) differ in spaces, case or the form"
    ) as refused:
        arrange(foreign([a, "p"], [b, "q"]))
    assert repr(a.strip()) in str(refused.value) or repr(a) in str(refused.value)


def test_sides_whose_names_never_match_are_unpaired_and_a_note_says_so():
    design = arrange(foreign(["one", "two"], ["three", "four"]))
    assert design.kind == "unpaired"
    assert [note.text for note in design.notes if note.kind == "unmatched"] == [
        "No target has both sides by its name: each side is taken to have learnt targets of its own."
    ]
