"""Seeds of one process share what hangs on the configuration alone, and their rows are those of runs on their own."""

import pandas as pd
import pytest
from logged import QUICK

from archab.comparison import comparison as comparisons
from archab.experiment import remembered

SPACE = (*QUICK, "control=false")
TUNED = ("+tune.lr=[0.001,0.03]", "tune.targets=2")


@pytest.fixture
def surveys(monkeypatch):
    """How often networks were built to be looked at."""
    counted = []
    monkeypatch.setattr(comparisons, "survey", lambda *given, of=comparisons.survey: counted.append(1) or of(*given))
    remembered._known.clear()
    return counted


def rows(folder, seed):
    [file] = folder.glob(f".archab/*/{seed}/results.parquet")
    return pd.read_parquet(file)


@pytest.mark.parametrize("further", [(), TUNED], ids=["as described", "tuned"])
def test_a_sweep_looks_at_its_networks_once_and_each_seed_has_the_rows_of_a_run_of_its_own(
    further, command, tmp_path, surveys
):
    assert command("-m", *SPACE, *further, "seed=0,1").code == 0
    once = len(surveys)
    remembered._known.clear()
    assert command(*SPACE, *further, "seed=1", "spool=alone").code == 0
    assert len(surveys) == 2 * once
    [alone] = tmp_path.glob("alone/*/1/results.parquet")
    pd.testing.assert_frame_equal(rows(tmp_path, 1), pd.read_parquet(alone))
    assert not rows(tmp_path, 0).nmse.equals(rows(tmp_path, 1).nmse)


def test_the_question_stands_there_before_a_network_is_built(command):
    ended = command(*SPACE, "space.a.architecture._target_=archab.space.architectures.deep.none_such")
    assert ended.code == 2
    assert ended.out.startswith("archab ")
    assert "seed 0" in ended.out.splitlines()[0]
