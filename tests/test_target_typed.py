"""How a target is typed: behind the space or before it, added or chosen, refused where it is none or two."""

import pytest

from archab.cli import compare
from archab.cli.overrides import configured, read
from archab.errors import ArchabError


@pytest.mark.parametrize("typed", [["target=polynomial", "+space=swiglu"], ["+space=swiglu", "+target=polynomial"]])
def test_a_target_goes_over_the_spaces_own_wherever_it_stands(typed):
    assert configured(read(typed))["target"]["_target_"].endswith("Polynomial")


def test_a_target_takes_the_place_of_the_reference_and_null_leaves_it():
    config = configured(read(["+space=n_diagonal", "target=sines", "target.outputs=16"]))
    assert config["space"]["reference"] is None
    assert config["target"]["outputs"] == 16
    config = configured(read(["+space=n_diagonal", "target=null"]))
    assert "target" not in config
    assert config["space"]["reference"]["name"] == "full matrices"
    assert "target" not in configured(read(["+space=swiglu", "target=null"]))


def test_members_go_over_the_rest_of_the_node():
    from archab.experiment.build import comparison

    typed = ["+space=recall", "+target.members=[{pairs: 2}, {pairs: 6}]"]
    assert [task.pairs for task in comparison(configured(read(typed))).target] == [2, 6]
    with pytest.raises(ArchabError, match=r"target.members=3: a list of mappings"):
        comparison(configured(read(["+space=recall", "+target.members=3"])))
    with pytest.raises(
        ArchabError, match=r"target.pears: Recall takes no such argument, but length, pairs, keys, values$"
    ):
        comparison(configured(read(["+space=recall", "+target.members=[{pears: 2}]"])))


REFUSED = {
    "none such": (["+space=swiglu", "target=sine"], "target=sine: no such target. There are: adding,"),
    "two": (["+space=swiglu", "target=sines", "+target=polynomial"], "one of them is needed"),
    "a list": (["+space=swiglu", "target=[sines,polynomial]"], "one target is needed; several in turn"),
    "no name": (["+space=swiglu", "target=nan"], "target=nan: Hydra reads nan as nan, which names no file"),
    "no name of a loss": (["+space=swiglu", "loss=1e3"], "loss=1e3: Hydra reads 1e3 as 1000.0, which names no file"),
}


@pytest.mark.parametrize(("typed", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_target_is_refused(typed, words):
    with pytest.raises(ArchabError, match=words):
        read(typed)


def test_the_folder_of_configurations_may_stand_anywhere(tmp_path):
    (tmp_path / "space").mkdir()
    assert read(["-m", "seed=0,1", "--config-dir", str(tmp_path), "+space=swiglu"]) == [
        "-m", "--config-dir", str(tmp_path), "seed=0,1", "+space=swiglu",
    ]  # fmt: skip


def test_a_sweep_until_decided_is_refused_on_splits(command):
    typed = ["-m", "hydra/sweeper=until_decided", "hydra.sweeper.max_seeds=2", "+space=swiglu", "target=diabetes"]
    ended = command(*typed, "targets=2", "tune.lr=null")
    assert ended.code != 0
    assert "splits of one data set overlap, so that more of them do not decide" in ended.err


def test_runs_are_told_apart_by_the_name_of_their_target(command, capfd):
    for target in ("sines", "polynomial"):
        typed = ["+space=swiglu", f"target={target}", "targets=8", "samples=64", "heldout_samples=32", "tune.lr=null"]
        assert command(*typed, "routine.steps=16", "space.a.members=[{hidden: 2}]").code == 0
    capfd.readouterr()
    assert compare.main(["--space", "swiglu"]) == 0
    out = capfd.readouterr().out
    assert "target=sines" in out
    assert "target=polynomial" in out
    assert compare.main(["--space", "swiglu", "--where", "target=polynomial", "--json"]) == 0
    assert "random polynomials" in capfd.readouterr().out
