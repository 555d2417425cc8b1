"""Constructors are the schema: every file composes, and says exactly the arguments that its target takes."""

import inspect
from dataclasses import fields

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_object

from archab import Comparison
from archab.cli import config
from archab.comparison.tuning import Tune
from archab.experiment import build
from archab.space.space import ArchitecturalSpace

FILES = [f for f in sorted(config.home().glob("*/*.yaml")) if "\n_target_:" in f"\n{f.read_text()}"]
SPACES = sorted(f.stem for f in (config.home() / "space").glob("*.yaml"))


def composed(*overrides):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config.home()), version_base="1.3"):
        return compose("config", list(overrides))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_a_file_holds_every_argument_of_its_target_and_no_other(file):
    values = yaml.safe_load(file.read_text())
    target = get_object(values.pop("_target_"))
    members = {"rank", "layers", "hidden"}  # given by the members of a space, if not in the file
    assert (
        set(inspect.signature(target).parameters) - members <= set(values) <= set(inspect.signature(target).parameters)
    )
    defaults = {n: p.default for n, p in inspect.signature(target).parameters.items() if p.default is not p.empty}
    different = {name for name, value in values.items() if name in defaults and defaults[name] != value}
    assert different <= {"activation"}, "a file's values are the constructor's defaults"


@pytest.mark.parametrize("space", SPACES)
def test_every_space_composes_builds_and_names_its_question_and_command(space):
    made = build.comparison(config.resolved(composed(f"+space={space}")))
    assert isinstance(made, Comparison)
    assert made.students > 0
    text = (config.home() / "space" / f"{space}.yaml").read_text().splitlines()
    assert text[1].startswith("# ")
    assert text[1].rstrip().endswith("?")
    assert text[2] == f"#   python -m archab +space={space}"


def test_the_schema_and_the_classes_have_the_same_fields():
    side = {f.name for f in fields(config.Side)}
    assert side - {"tune"} == {f.name for f in fields(ArchitecturalSpace)}
    run = {f.name for f in fields(config.Run)} - {
        "spool",
        "control",
        "rerun",
        "report",
        "shard",
        "tracking",
        "space",
        "output_shape",
        *config.SHARED,
    }
    assert run == {f.name for f in fields(Comparison)} - {"a", "b", "reference", "trials", "tuning"}


def test_the_defaults_of_the_command_line_are_those_of_the_class():
    values = yaml.safe_load((config.home() / "config.yaml").read_text())
    for field in fields(Comparison):
        if field.name in values and field.name != "tune":
            assert values[field.name] == field.default, field.name
    asked = values["tune"]
    assert asked.pop("lr") is None
    assert all(asked[f.name] == f.default for f in fields(Tune) if f.name in asked)


def test_a_side_keeps_what_is_its_own_and_takes_the_rest_from_what_is_shared():
    cfg = composed(
        "+space=n_diagonal_original", "routine.lr=0.5", "routine@space.b.routine=sgd", "space.b.routine.lr=0.125"
    )
    resolved = config.resolved(cfg)
    assert resolved["space"]["a"]["routine"]["lr"] == 0.5
    assert resolved["space"]["b"]["routine"]["lr"] == 0.125
    assert "routine" not in resolved
    changed = config.resolved(composed("+space=n_diagonal_original", "prior=small"))
    targets = {side: changed["space"][side]["prior"]["_target_"].rpartition(".")[2] for side in ("a", "b", "reference")}
    assert targets == {"a": "Scaled", "b": "Scaled", "reference": "Init"}


def test_the_worked_comparisons_have_the_sizes_and_samples_they_promise():
    bands = build.comparison(config.resolved(composed("+space=n_diagonal_original"))).survey
    assert bands.sizes == {
        "a": [80, 112, 136, 152, 160],
        "b": [100, 140, 180, 220, 260],
        "reference": [160],
    }
    assert set(bands.samples.values()) == {640}
    split = build.comparison(config.resolved(composed("+space=split_transformer_original"))).survey
    assert split.sizes["a"] == split.sizes["b"] == [258 * 32 * n for n in (1, 2, 3, 4)]
    assert split.samples[0, "a"] == split.samples[0, "b"] == 1040
