"""Rows as tables: written, joined and read back."""

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from archab import results
from archab.evidence.estimate import patterns
from archab.evidence.verdict import judge


def part(first: int, targets: int = 4, restarts: int = 1) -> pd.DataFrame:
    rng, students = np.random.default_rng(first), targets * restarts
    sides = [
        results.columns(
            fingerprint="print",
            seed=0,
            member=0,
            target=np.repeat(np.array([f"t{i}" for i in range(first, first + targets)], dtype=object), restarts),
            draw=np.repeat(np.arange(first, first + targets), restarts),
            source="reference",
            side=side,
            restart=np.tile(range(restarts), targets),
            nmse=rng.uniform(0.1, 0.9, students),
            train_nmse=rng.uniform(0.1, 0.9, students).astype("float32"),
            measure=3.0,
            status=np.where(rng.uniform(size=students) < 0.2, "diverged", "ok"),
            linear=rng.uniform(0.5, 1.0, students),
            accuracy=np.full(students, np.nan),
            overlap=0.0,
        )
        for side in "ab"
    ]
    return results.together(sides)


def test_columns_are_the_table_of_the_same_rows():
    table = part(0, restarts=2)
    pd.testing.assert_frame_equal(results.frame(results.rows_of(table)), table, check_exact=True)
    assert all(isinstance(row.draw, int) and isinstance(row.nmse, float) for row in results.rows_of(table))


@pytest.fixture
def joined(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "JOINED_ROWS", 16)
    files = [tmp_path / f"{first:03}.parquet" for first in range(0, 40, 4)]
    for first, file in zip(range(0, 40, 4), files, strict=True):
        results.write(part(first), file)
    results.join(files, tmp_path / "whole")
    return tmp_path / "whole"


def test_joined_rows_are_written_a_few_parts_at_a_time(joined):
    groups = parquet.read_metadata(joined)
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [16, 16, 16, 16, 16]


def test_a_verdict_reads_one_column_after_another_and_none_that_it_does_not_need(joined, monkeypatch):
    whole, asked = results.read(joined), []
    read = parquet.ParquetFile.read

    def noted(file, columns=None, *args, **given):
        asked.append(columns)
        return read(file, columns, *args, **given)

    monkeypatch.setattr(parquet.ParquetFile, "read", noted)
    judged = results.read_judged(joined)
    assert asked == [[name] for name in results.JUDGED]
    assert judged["seed"].dtype == judged["restart"].dtype == judged["draw"].dtype == "int8"
    for name in results.JUDGED:
        assert judged[name].tolist() == whole[name].tolist() or judged[name].isna().all()
    a, b = judge(judged), judge(whole)
    assert (a.theta, a.p_value, a.interval_low, a.log_e) == (b.theta, b.p_value, b.interval_low, b.log_e)


@pytest.mark.parametrize("members", [1, 5, 8, 9, 20])
def test_patterns_are_numbered_as_by_numpy(members):
    held = np.random.default_rng(members).random((60, members)) < 0.7
    held = np.concatenate([held, held[::2]])
    assert patterns(held).tolist() == np.unique(held, axis=0, return_inverse=True)[1].ravel().tolist()
