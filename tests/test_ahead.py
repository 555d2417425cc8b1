"""Each part is drawn while the one before trains: the same rows, nothing lost, and an end when nobody wants more."""

from threading import Event

import pandas as pd
import pytest
from conftest import family
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.comparison.ahead import ahead
from archab.engine.plan import Compiled
from archab.errors import ArchabError
from archab.results import together
from archab.space.routine import AdamW

PATIENCE = 60.0  # seconds


def comparison(**given: object) -> Comparison:
    a, b = (family(name, routine=AdamW(epochs=2)) for name in ("n_diagonal", "lora"))
    engine = Compiled(chunk=16)
    return Comparison(a, b, family("dense"), samples=32, heldout_samples=32, engine=engine, **given)


def test_rows_are_those_of_one_part_after_another_to_the_bit():
    asked = comparison(targets=40, restarts=2)
    assert len(asked.plan.parts) == 5
    alone = together([asked.run(part).table for part in asked.plan.parts])
    pd.testing.assert_frame_equal(asked.table(), alone, check_exact=True)


def test_rows_do_not_depend_on_the_targets_of_a_part_to_the_bit():
    def narrow(width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 1))

    def rows(chunk: int) -> pd.DataFrame:
        sides = [
            ArchitecturalSpace(narrow, {"width": width}, [4], routine=AdamW(epochs=1), name=f"{width} wide")
            for width in (4, 5, 6)
        ]
        return Comparison(*sides, targets=12, samples=64, engine=Compiled(chunk=chunk)).table()

    whole = rows(64)
    for chunk in (1, 3):
        pd.testing.assert_frame_equal(rows(chunk), whole, check_exact=True)


def test_a_part_is_drawn_while_the_one_before_it_trains():
    drawn = {part: Event() for part in range(4)}

    def draw(part: int) -> int:
        drawn[part].set()
        return part

    def train(part: int) -> int:
        assert part == 3 or drawn[part + 1].wait(PATIENCE)
        return 10 * part

    assert list(ahead(range(4), draw, train, lambda: None)) == [0, 10, 20, 30]
    assert list(ahead([], draw, train, lambda: None)) == []


def test_what_was_trained_is_given_although_the_next_part_cannot_be_drawn():
    def draw(part: int) -> int:
        if part == 2:
            raise ArchabError("no such target")
        return part

    parts = ahead(range(4), draw, lambda part: part, lambda: None)
    assert [next(parts), next(parts)] == [0, 1]
    with pytest.raises(ArchabError, match="no such target"):
        next(parts)


@pytest.mark.parametrize("by", ["closing", "an interrupt while the next is drawn"])
def test_training_ends_where_nobody_wants_more(by):
    stopped, ended = Event(), []

    def draw(part: int) -> int:
        if part == 2 and by != "closing":
            raise KeyboardInterrupt
        return part

    def train(part: int) -> int:
        if part == 1:
            ended.append(stopped.wait(PATIENCE))
        return part

    parts = ahead(range(4), draw, train, stopped.set)
    assert next(parts) == 0
    if by == "closing":
        parts.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            next(parts)
    assert ended == [True]
