"""A sweep that is killed with -9 at random moments and started again."""

import pytest

from archab import soak


@pytest.mark.slow
def test_a_sweep_that_is_killed_ends_as_an_undisturbed_one(capfd):
    assert soak.main(["--kills", "1", "--seeds", "1"]) == 0
    assert "the same to the bit, each once" in capfd.readouterr().out


@pytest.mark.slow
def test_a_sweep_that_is_killed_thirty_times_ends_as_an_undisturbed_one():
    assert soak.main(["--kills", "30", "--seeds", "12"]) == 0
