"""Matched sizes: what is solved is what counting every value by hand gives."""

from functools import partial

import pytest
from torch import nn

from archab import ArchitecturalSpace
from archab.errors import ArchabError
from archab.space.architectures import deep, transformer
from archab.space.match import matched
from archab.space.routine import AdamW


def of(architecture, members=None, shape=(16,), **given) -> ArchitecturalSpace:
    return ArchitecturalSpace(architecture, members or {}, shape, **{"measure": "parameter", "name": "B", **given})


LORA = partial(deep.lora, dim=16, depth=4)


class Layers(nn.Module):
    """A perceptron whose hidden layer only multiples of three suit."""

    def __init__(self, width=4, hidden=3):
        super().__init__()
        if hidden % 3:
            raise ValueError("hidden must be a multiple of 3")
        self.first, self.last = nn.Linear(16, width), nn.Linear(width, hidden)


def test_ranks_are_those_that_counting_by_hand_finds():
    bands = of(partial(deep.n_diagonal, dim=16, depth=4), [{"rank": r} for r in (4, 5, 7, 8, 11, 16)])
    sizes = [bands.size(m) for m in range(6)]
    found, solved = matched(of(LORA), sizes, "rank")
    # A layer: down and up, 2 · 16 · rank; a bias and a norm's two vectors.
    by_hand = {rank: 4 * (2 * 16 * rank + 16 + 32) for rank in range(1, 40)}
    assert [m["rank"] for m in found.arguments] == [
        min(by_hand, key=lambda r: abs(by_hand[r] - size)) for size in sizes
    ]
    assert [one.size for one in solved] == [by_hand[m["rank"]] for m in found.arguments]
    assert max(abs(one.off) for one in solved) == pytest.approx(0.034, abs=5e-4)


def test_bits_of_half_precision_are_half():
    def half(network: nn.Module) -> None:
        network.bfloat16()

    whole, short = of(LORA, measure="information"), of(LORA, measure="information", prior=half)
    (found, _), (twice, _) = (matched(side, [4 * 150 * 32], "rank") for side in (whole, short))
    assert found.arguments == [{"rank": 3}]
    assert twice.arguments == [{"rank": 8}]  # twice 150 numbers a layer: 32 · 8 + 48 is nearest


def test_operations_are_matched_as_sizes_are():
    found, [solved] = matched(of(LORA, measure="flops"), [4 * 2 * 16 * (16 * 3 + 16) + 100], "rank")
    assert (found.arguments, solved.size) == ([{"rank": 3}], 4 * 2 * 16 * (16 * 3 + 16))


def test_values_that_do_not_build_are_passed_over():
    found, [solved] = matched(of(Layers, {"width": 4}), [4 * 17 + 5 * 14], "hidden")
    assert found.arguments == [{"width": 4, "hidden": 15}]
    assert solved.near == ((12, 4 * 17 + 5 * 12), (15, 4 * 17 + 5 * 15))


def test_a_second_argument_takes_what_the_first_has_left():
    wanted = 9 * 17 + 10 * 6 + 1
    found, [solved] = matched(of(Layers), [wanted], ["width", "hidden"])
    sizes = {(w, h): w * 17 + (w + 1) * h for w in range(1, 30) for h in range(3, 60, 3)}
    width = max(w for w in range(1, 30) if sizes[w, 3] <= wanted)
    hidden = min(range(3, 60, 3), key=lambda h: abs(sizes[width, h] - wanted))
    alone = min(range(1, 30), key=lambda w: abs(sizes[w, 3] - wanted))
    assert solved.size == min(sizes[width, hidden], sizes[alone, 3], key=lambda size: abs(size - wanted))
    assert found.size(0) == solved.size


def test_other_arguments_of_members_stay():
    found, _ = matched(
        of(partial(transformer.encoder, d_model=6, heads=3, dropout=0.0), {"layers": 2}, (5, 6)), [900, 2000], "d_ff"
    )
    assert [m["layers"] for m in found.arguments] == [2, 2]


def test_a_list_of_the_routine_is_no_matter_of_size():
    listed = of(LORA, [{}, {}], routine=AdamW(lr=[0.001, 0.0005]))
    found, _ = matched(listed, [1000, 2000], "rank")
    assert found.arguments == matched(of(LORA), [1000, 2000], "rank")[0].arguments
    assert [found.routine_of(member).lr for member in (0, 1)] == [0.001, 0.0005]


@pytest.mark.parametrize(
    ("space", "sizes", "by", "said"),
    [
        (of(LORA), [100], "rank", "a size of 100 cannot be reached; the nearest are 320 at 1 and 448 at 2"),
        (of(LORA), [1000], "rang", "no such argument, but dim, depth, rank"),
        (of(LORA, {"rank": 2}), [1000], "activation", "'relu' is no integer"),
        (of(LORA, {"rank": 2}), [1000], "bias", "True is no integer"),
        (of(lambda unused=1: nn.Linear(16, 2)), [50], "unused", "does not change the size, 34 at 1 and at 2"),
        (of(lambda n: nn.Linear(16, abs(n - 5) + 1)), [500], "n", "the size does not grow with it, 85 at 1"),
        (of(lambda n: nn.Linear(16, min(n, 40))), [10_000], "n", "a size of 10,000 cannot be reached"),
        (of(partial(deep.lora, dim=0)), [50], "rank", "no value from 1 to 64 gives a network"),
        (of(LORA, [{"dim": 16}, {"dim": 16}]), [500] * 3, "rank", "2 members are to be matched to 3 sizes"),
        (of(LORA, measure=[500]), [500], "rank", "measure=[500] gives the sizes, so that none is left to be solved"),
    ],
)  # fmt: skip
def test_what_cannot_be_matched_is_named(space, sizes, by, said):
    with pytest.raises(ArchabError) as caught:
        matched(space, sizes, by)
    assert said in str(caught.value)
