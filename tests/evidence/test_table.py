import numpy as np
import pandas as pd
import pytest
from tables import crossed_rows, paired_rows, random_rows, unpaired_rows

from archab.errors import ArchabError
from archab.evidence.design import arrange
from archab.evidence.table import students
from archab.evidence.verdict import judge

GOOD = paired_rows({0: [(-1.0, -2.0)] * 7, 1: [(-2.0, -1.5)] * 7})


def changed(column: str, value: object, row: int = 3) -> pd.DataFrame:
    rows = GOOD.astype({column: object}) if column in GOOD else GOOD.assign(**{column: None})
    rows.loc[row, column] = value
    return rows


BAD = {
    "a missing column": (GOOD.drop(columns="restart"), "no column restart: .* nmse; this one has seed, member, target"),
    "an empty table": (GOOD.iloc[:0], "the table is empty"),
    "one side only": (GOOD[GOOD["side"] == "a"], "only a in the table: students of side b are needed"),
    "a side that is none": (changed("side", "c"), "side: 'c' in row 3: one of a, b is needed"),
    "a duplicate": (pd.concat([GOOD, GOOD.iloc[[5]]]), "this student is in the table twice"),
    "mixed fingerprints": (GOOD.assign(fingerprint=["x", "y"] * 14), "fingerprint: 'x', 'y' in one table"),
    "a fingerprint beside none": (changed("fingerprint", "x"), "fingerprint: '', 'x' in one table"),
    "a negative error": (changed("nmse", -0.25), "nmse: -0.25 in row 3: an error is 0 or more"),
    "an error in words": (
        changed("nmse", "small"),
        "nmse: 'small' in row 3 is no number; the cell of a student that diverged stays empty",
    ),
    "half a seed": (changed("seed", 0.5), "seed: 0.5 in row 3"),
    "no member": (changed("member", None), "member: nan in row 3"),
    "no target": (changed("target", None), "target: empty in row 3"),
    "a status that is none": (GOOD.assign(status="fine"), "status: 'fine' in row 0: one of ok, diverged is needed"),
    "a source that is none": (GOOD.assign(source="c"), "source: 'c' in row 0"),
    "a target with one side": (GOOD.drop(index=3), "member 0 target t0_001 lacks side b"),
    "a target with two draws": (changed("draw", 90, row=2), "seed 0 target t0_001: more than one draw or source"),
    "a draw with two targets": (GOOD.assign(draw=0), "more than one target; a draw is one target"),
    "sources that do not go together": (
        random_rows(0, members=1).assign(source=["a", "a", "reference", "reference"] * 6),
        "source: a, reference in one table",
    ),
    "a crossed target without its partner": (
        crossed_rows([(0.1, 0.2), (0.3, 0.1)]).query("target != 'b001'"),
        "missing: seed 0 member 0 draw 1 from b's prior",
    ),
    "a member with one side": (
        unpaired_rows({0: ([-1, -2], [-1, -3]), 1: ([-1, -2], [])}),
        "member 1: students of one side only",
    ),
    "a table order that changes within a seed": (GOOD.assign(order=range(28)), "order: every row of a seed"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_refused_with_one_clear_message(name):
    rows, message = BAD[name]
    with pytest.raises(ArchabError, match=message) as caught:
        arrange(rows)
    assert "\n" not in str(caught.value)


def test_the_list_of_what_is_missing_is_short():
    with pytest.raises(ArchabError, match="and 8 more"):
        arrange(GOOD.drop(index=range(1, 27, 2)))


def test_the_order_of_start_must_name_every_seed_once():
    with pytest.raises(ArchabError, match="order: seed 1 is missing"):
        arrange(random_rows(0, targets=6), order=[0, 2])
    with pytest.raises(ArchabError, match="order: seed 7 is missing"):
        arrange(random_rows(0, targets=6), order=[0, 1, 2], holes=[7])
    with pytest.raises(ArchabError, match="names a seed twice"):
        arrange(random_rows(0, targets=6), order=[0, 1, 2, 1])


def test_nan_infinity_and_an_empty_cell_are_diverged_students_and_a_huge_error_is_not():
    cells = ["nan", "inf", "", "1e9", "0.5", None, "NaN", "Infinity"]
    table = students(paired_rows({0: [(-1.0, -1.0)] * 4}).assign(nmse=cells))
    assert table["diverged"].tolist() == [True, True, True, False, False, True, True, True]
    assert table["clipped"].tolist() == [True, True, True, True, False, True, True, True]
    np.testing.assert_allclose(table["y"], [0, 0, 0, 0, np.log(0.5), 0, 0, 0])


def test_status_alone_makes_a_student_diverged():
    table = students(GOOD.assign(status=["diverged", "OK"] * 14))
    assert table["diverged"].tolist() == [True, False] * 14


def test_a_csv_file_with_sides_in_capitals_is_read_as_it_is(tmp_path):
    GOOD.assign(side=GOOD["side"].str.upper()).drop(columns="draw").to_csv(tmp_path / "rows.csv", index=False)
    design = arrange(pd.read_csv(tmp_path / "rows.csv"))
    np.testing.assert_allclose(design.rounds, arrange(GOOD).rounds)


def with_errors(low, high, **columns):
    rng = np.random.default_rng(0)
    rows = [(0, 0, t, side, 0, rng.uniform(low, high)) for t in range(20) for side in "ab"]
    return pd.DataFrame(rows, columns=["seed", "member", "target", "side", "restart", "nmse"]).assign(**columns)


def test_a_column_that_looks_like_an_accuracy_or_a_loss_is_said_to():
    def said(rows):
        return [note.text for note in judge(rows).notes if "column nmse" in note.text]

    [accuracies] = said(with_errors(0.7, 0.99))
    assert "100% of the column nmse lie between 0.5 and 1, as accuracies often do" in accuracies
    [losses] = said(with_errors(1.5, 3.0))
    assert "100% of the column nmse are above 1, where a constant is, and count as 1 each" in losses
    assert "the column nmse may hold no relative errors" in judge(with_errors(0.7, 0.99)).caveats
    assert said(with_errors(0.01, 0.9)) == []
    assert said(with_errors(0.7, 0.99, train_nmse=0.1)) == []  # rows of a comparison, whose errors are relative
