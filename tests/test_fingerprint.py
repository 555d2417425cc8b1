"""What is inside the fingerprint: every value of the configuration but a few, and the user's own source."""

import copy

import pytest

from archab.cli.config import composed, resolved
from archab.runs.identity import OUTSIDE, fingerprint, sources

CONFIG = {
    "seed": 0,
    "device": "cpu",
    "targets": 40,
    "engine": {"_target_": "archab.engine.plan.Auto"},
    "tracking": {"uri": None},
    "spool": ".archab",
    "space": {"a": {"architecture": {"_target_": "mine.net.Net", "dim": 5}, "members": [{"rank": 1}]}},
}


def changed(*path, value):
    config = copy.deepcopy(CONFIG)
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return config


def test_the_fingerprint_is_stable_and_does_not_depend_on_the_order_of_keys():
    backwards = dict(reversed(CONFIG.items()))
    assert fingerprint(CONFIG) == fingerprint(backwards)
    assert len(fingerprint(CONFIG)) == 16


@pytest.mark.parametrize("key", OUTSIDE)
def test_what_does_not_change_the_experiment_is_outside(key):
    assert fingerprint(changed(key, value="another")) == fingerprint(CONFIG)


@pytest.mark.parametrize("path", [("targets",), ("space", "a", "architecture", "dim"), ("space", "a", "members")])
def test_all_else_is_inside(path):
    assert fingerprint(changed(*path, value=7)) != fingerprint(CONFIG)


def test_a_protocol_that_is_left_out_is_the_one_in_force():
    with_reference = changed("space", "reference", value={"members": []})
    assert fingerprint(changed("protocol", value=None)) == fingerprint(CONFIG)
    assert fingerprint(changed("protocol", value="crossed")) == fingerprint(CONFIG)
    assert fingerprint(changed("protocol", value="direct")) != fingerprint(CONFIG)
    assert fingerprint(with_reference | {"protocol": "reference"}) == fingerprint(with_reference)
    assert fingerprint(with_reference | {"protocol": "crossed"}) != fingerprint(with_reference)


def test_the_users_own_source_and_what_it_imports_are_inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('never executed')\n")
    (package / "net.py").write_text("import math\nimport torch\nfrom .parts import half\nfrom archab import results\n")
    (package / "parts.py").write_text("import mine.deeper as d\nhalf = 1\n")
    (package / "deeper.py").write_text("x = 1\n")
    (package / "unused.py").write_text("y = 1\n")
    found = {file.name for file in sources({"mine.net.Net"})}
    assert found == {"__init__.py", "net.py", "parts.py", "deeper.py"}
    before = fingerprint(CONFIG)
    (package / "unused.py").write_text("y = 2\n")
    assert fingerprint(CONFIG) == before
    (package / "deeper.py").write_text("x = 2\n")
    assert fingerprint(CONFIG) != before


def test_libraries_and_archab_itself_are_not_the_users_source():
    assert sources({"torch.nn.Linear", "archab.space.architectures.deep.dense", "json.dumps", "absent.thing"}) == []


OUTSIDE_ON_PURPOSE = {
    "seed",  # what a sweep is over
    "shard",  # what share of the work is done here
    "device",
    "spool",
    "control",  # its rows are kept apart
    "rerun",
    "report",
    "engine._target_",  # draws do not hang on it
    "engine.memory",
    "engine.chunk",
    "engine.workers",
    "tracking.uri",
    "tracking.experiment",
    "tracking.patience",
}


@pytest.mark.parametrize("space", ["n_diagonal_original", "split_transformer_original"])
def test_every_value_of_a_configuration_is_inside_but_those_that_are_outside_on_purpose(space):
    config = resolved(composed([f"+space={space}"]))
    before = fingerprint(config)
    outside = set()
    for path in leaves(config):
        other = copy.deepcopy(config)
        place = other
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = "another"
        if fingerprint(other) == before:
            outside.add(".".join(map(str, path)))
    assert outside == OUTSIDE_ON_PURPOSE


def leaves(node, path=()):
    """The path of every value that is no mapping and no list."""
    if isinstance(node, dict | list) and node:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*path, key))
    else:
        yield path
