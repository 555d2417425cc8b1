"""Lists that hold one value a member, whoever says how many members there are: a side, the other, or the target."""

import pytest

from archab import Comparison
from archab.cli.config import composed, resolved
from archab.errors import ArchabError
from archab.experiment.build import comparison, matched

RATES = [0.001, 0.002, 0.003, 0.004]
ONE_MEMBER = ["space.a.members=[{hidden: 8}]", "+target.members=[{frequency: 1.0}, {frequency: 2.0}]"]


def asked(*typed: str) -> Comparison:
    return comparison(resolved(composed(typed)))


def rates(made: Comparison) -> dict[str, list[float]]:
    return {side: [space.routine_of(m).lr for m in range(len(space))] for side, space in made.spaces.items()}


def test_each_side_has_a_value_a_member_also_where_one_is_matched_and_the_reference_has_one_member():
    made = asked("+space=n_diagonal", f"routine.lr={RATES}", "tune.lr=null")
    assert rates(made) == {"a": RATES, "b": RATES, "reference": RATES}
    assert made.b.arguments == asked("+space=n_diagonal").b.arguments


def test_the_first_side_may_be_the_one_that_is_matched():
    config = resolved(composed(["+space=n_diagonal", f"routine.lr={RATES[:2]}", "tune.lr=null"]))
    config["space"]["a"]["members"] = {"match": "b", "by": "rank"}
    config["space"]["b"]["members"] = [{"rank": 3}, {"rank": 5}]
    assert rates(comparison(config)) == dict.fromkeys(("a", "b", "reference"), RATES[:2])


def test_targets_of_a_member_each_repeat_the_only_member_and_what_is_matched_to_it():
    made = asked("+space=swiglu", f"routine.lr={RATES[:2]}", "tune.lr=null", *ONE_MEMBER)
    assert rates(made) == {"a": RATES[:2], "b": RATES[:2]}
    assert len({space.size(m) for space in (made.a, asked("+space=swiglu", *ONE_MEMBER).a) for m in (0, 1)}) == 1


def test_a_list_is_tried_on_a_reference_of_one_member():
    made = asked("+space=n_diagonal", f"tune.lr=[{RATES},{RATES[::-1]}]")
    assert list(made.tune.trials("reference")) == [{"lr": RATES}, {"lr": RATES[::-1]}]
    assert len(made.reference) == 4


def test_a_reference_of_one_member_stays_one_where_no_list_asks_for_more():
    config = resolved(composed(["+space=n_diagonal", "space.reference.routine={lr: [0.01]}"]))
    found, _ = matched(config)
    assert found["space"]["reference"] == config["space"]["reference"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([f"routine.lr={RATES[:3]}"], "a list holds one value a member; there are 4 members, got 3 values"),
        ([f"measure={RATES}"], "measure=[0.001, 0.002, 0.003, 0.004] gives the sizes"),
        (["space.a.measure=information"], "n-diagonal has measure=information and LoRA measure=parameter"),
    ],
)
def test_a_list_of_another_length_and_sizes_that_are_given_are_refused(typed, said):
    with pytest.raises(ArchabError) as caught:
        asked("+space=n_diagonal", "tune.lr=null", *typed)
    assert said in str(caught.value)
