"""Labels of configurations: short, each one different, and made of what differs between them."""

import pytest

from archab.runs.labels import LONGEST, labels, run_name

BASE = {f"space.{side}.routine.lr": "0.01" for side in ("a", "b", "reference")} | {
    "targets": "40",
    "protocol": "direct",
}
RANKS = [{"rank": rank} for rank in range(1, 6)]


def both(**values: object) -> dict[str, str]:
    """A configuration with such values of the routine on every side."""
    return BASE | {f"space.{side}.routine.{k}": str(v) for side in ("a", "b", "reference") for k, v in values.items()}


SAID = {
    "a shared value": ([BASE, both(lr=0.1)], ["routine.lr=0.01", "routine.lr=0.1"]),
    "a value of one side": (
        [BASE, BASE | {"space.b.routine.lr": "0.1"}],
        ["space.b.routine.lr=0.01", "space.b.routine.lr=0.1"],
    ),
    "a protocol": ([BASE, BASE | {"protocol": "crossed"}], ["protocol=direct", "protocol=crossed"]),
    "two values": (
        [both(lr=x) | {"targets": y} for x in (1, 2) for y in "34"],
        [f"targets={y} routine.lr={x}" for x in (1, 2) for y in (3, 4)],
    ),
    "the code alone": ([BASE, BASE, both(lr=1)], ["routine.lr=0.01 code 1", "routine.lr=0.01 code 2", "routine.lr=1"]),
    "nothing but the code": ([BASE, BASE], ["code 1", "code 2"]),
    "a class, not its arguments": (
        [both(_target_="x.SGD", momentum=0.9), both(_target_="x.Adam", beta1=0.9)],
        ["routine=SGD", "routine=Adam"],
    ),
    "one of a long list": (
        [BASE | {"space.a.members": str(RANKS)}, BASE | {"space.a.members": str([*RANKS[:4], {"rank": 9}])}],
        ["space.a.members.4.rank=5", "space.a.members.4.rank=9"],
    ),
    "the length of a long list": (
        [BASE | {"space.a.members": str(RANKS)}, BASE | {"space.a.members": str(RANKS[:1])}],
        ["space.a.members.length=5", "space.a.members.length=1"],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_a_label_says_what_differs(case):
    configurations, expected = SAID[case]
    assert labels(configurations) == expected


def test_labels_are_short_and_different_however_much_differs():
    many = [
        BASE | {f"key.{'long' * k}.{k}": f"{'value' * 9}{value * k}" for k in range(1, 9)} | {"targets": str(value % 2)}
        for value in range(9)
    ]
    made = labels(many)
    assert len(set(made)) == len(many)
    assert max(map(len, made)) <= LONGEST + 10


def test_a_run_is_named_by_what_was_typed_and_makes_it_another_experiment():
    typed = ["--config-dir=/home/me", "+space=n", "engine=loop", "tracking.uri=sqlite:///x", "hydra.job.chdir=true"]
    assert run_name("n", typed, "seed 3") == "n seed 3"
    assert run_name("n", ["targets=4", *typed, "+routine.lr=0.1", "space.b.routine.lr=0.2"], "seed 3") == (
        "n routine.lr=0.1 space.b.routine.lr=0.2 targets=4 seed 3"
    )
    name = run_name("n", [f"space.a.architecture.{'x' * k}={list(range(k))}" for k in range(9, 99, 9)], "seed 3")
    assert name.startswith("n space.a.architecture.xxxxxxxxx=[0, 1, 2,")
    assert name.endswith("… seed 3")
    assert len(name) <= LONGEST + 20
