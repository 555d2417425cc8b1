"""The comparison against independent truth: closed-form optima, shared draws, and refusals before training."""

import re
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import family, in_double
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.engine.plan import Auto, Compiled, Loop, Vmap
from archab.errors import ArchabError
from archab.evidence.verdict import judge
from archab.results import COLUMNS
from archab.space.architectures import deep
from archab.space.inputs import Normal, Tokens
from archab.space.routine import SGD, AdamW

DIM = 4


class Fixed(nn.Module):
    """A linear target that its own generator draws: the same in every construction."""

    def __init__(self):
        super().__init__()
        own = torch.Generator().manual_seed(7)
        self.weight = nn.Parameter(torch.randn(DIM, DIM, generator=own))

    def forward(self, x):
        return x @ self.weight.T


def linear_optimum(kind: str, rank: int) -> float:
    """The smallest NMSE of a linear student on the fixed target, for inputs of unit covariance."""
    weight = Fixed().weight.detach().double()
    if kind == "n_diagonal":
        i, j = torch.meshgrid(torch.arange(DIM), torch.arange(DIM), indexing="ij")
        lost = weight[(i - j).abs() >= rank].square().sum()
    else:
        lost = torch.linalg.svdvals(weight)[rank:].square().sum()
    return float(lost / weight.square().sum())


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_linear_students_reach_their_closed_form_optimum(rank):
    routine = AdamW(lr=[2e-2], epochs=12, minibatch=256, weight_decay=0.0, clip=None)
    a = ArchitecturalSpace(partial(deep.NDiagonal, dim=DIM, bias=False), [{"rank": rank}], [DIM], routine=routine)
    b = ArchitecturalSpace(partial(deep.LoRA, dim=DIM, bias=False), [{"rank": rank}], [DIM], routine=routine)
    reference = ArchitecturalSpace(Fixed, {}, [DIM])
    rows = Comparison(a, b, reference, targets=3, samples=8192, heldout_samples=8192).table()
    for side, kind in (("a", "n_diagonal"), ("b", "lora")):
        reached = rows[rows["side"] == side]["nmse"].min()
        assert reached == pytest.approx(linear_optimum(kind, rank), rel=0.06, abs=2e-3)


def test_both_sides_of_a_reference_see_one_target_draw_and_each_member_its_own():
    members = [{"rank": 1}, {"rank": 2}]
    a = ArchitecturalSpace(partial(deep.n_diagonal, dim=5, depth=2), members, [5])
    b = ArchitecturalSpace(partial(deep.lora, dim=5, depth=2), members, [5])
    rows = Comparison(a, b, family("dense"), targets=3, restarts=2, samples=32).table()
    by_target = rows.groupby("target")
    assert by_target["side"].nunique().eq(2).all()
    assert by_target.size().eq(4).all()
    assert rows.groupby(["member", "draw"])["target"].nunique().eq(1).all()
    assert rows["target"].nunique() == 6
    assert list(rows.columns) == list(COLUMNS)
    assert set(rows["source"]) == {"reference"}


def test_direct_students_learn_targets_of_the_other_side():
    rows = Comparison(family("dense"), family("dense"), protocol="direct", targets=2, samples=32).table()
    assert (rows["side"] != rows["source"]).all()
    assert rows["target"].nunique() == 4


class Scaled(nn.Module):
    """One hidden layer whose input weights start as torch's, times a number."""

    def __init__(self, times: float):
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 16), nn.Linear(16, 1)
        with torch.no_grad():
            self.hidden.weight.mul_(times)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


@pytest.mark.slow
def test_harder_targets_decide_direct_which_names_no_better_side_and_not_crossed_which_is_the_default():
    routine = AdamW(lr=2e-2, epochs=30, minibatch=64)
    a, b = (ArchitecturalSpace(partial(Scaled, times=t), {}, [3], routine=routine) for t in (1.0, 4.0))
    given = {"targets": 24, "samples": 512, "heldout_samples": 128, "engine": Vmap()}
    direct, crossed = (
        judge(c.table(), names=("plain", "steep"))
        for c in (Comparison(a, b, protocol="direct", **given), Comparison(a, b, **given))
    )
    assert crossed.data.kind == "crossed"
    assert "steep's students on plain's targets err" in direct.sentence()
    assert "this design cannot tell skill from easier targets" in direct.sentence()
    assert "learns better" not in direct.paragraph()
    assert (direct.verdict, crossed.verdict) == ("b_better", "undecided")
    assert crossed.theta < 0.3 * direct.theta


def test_pairs_need_an_even_number_of_targets():
    with pytest.raises(ArchabError, match=r"targets=3: protocol=crossed draws them in pairs, .* such as targets=4"):
        Comparison(family("dense"), family("dense"), targets=3)


def test_a_learns_its_own_smaller_members_to_a_small_error():
    routine = AdamW(lr=1e-2, epochs=40)
    own = partial(deep.n_diagonal, dim=4, depth=1)
    large = ArchitecturalSpace(own, {"rank": 4}, [4], routine=routine)
    small = ArchitecturalSpace(own, {"rank": 2}, [4])
    rows = Comparison(large, large, small, targets=4, restarts=3, samples=1024).table()
    assert rows.groupby("target")["nmse"].min().median() < 0.01


def test_an_untrained_student_scores_about_one_or_more_and_the_constant_predictor_exactly_one():
    class Mean(nn.Module):
        """Predicts the held-out mean of a target that is standardised on its training samples: zero."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return x * self.weight * 0

    reference = ArchitecturalSpace(nn.Linear, {"in_features": 3, "out_features": 3}, [3])
    side = ArchitecturalSpace(Mean, {}, [3])
    rows = Comparison(side, side, reference, targets=2, samples=20_000, heldout_samples=20_000).table()
    assert rows["nmse"].to_numpy() == pytest.approx(1, abs=0.01)
    assert rows["train_nmse"].to_numpy() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("engine", [Vmap()])
def test_a_diverging_student_is_a_row_with_a_status(engine):
    wild = ArchitecturalSpace(nn.Linear, {"in_features": 3, "out_features": 3}, [3], routine=SGD(lr=1e6, clip=None))
    calm = ArchitecturalSpace(nn.Linear, {"in_features": 3, "out_features": 3}, [3])
    rows = Comparison(wild, calm, calm, targets=3, samples=640, engine=engine).table()
    status = rows.groupby("side")["status"].unique()
    assert list(status["a"]) == ["diverged"]
    assert list(status["b"]) == ["ok"]
    assert rows[rows["side"] == "a"]["nmse"].isna().all()
    assert len(rows) == 6


def test_samples_follow_the_measure_and_are_rounded_up_to_whole_mini_batches():
    side = family("lora", measure="parameter", routine=AdamW(minibatch=24))
    size = side.size(0)

    def samples(**given):
        survey = Comparison(side, side, family("dense", measure="parameter"), **given).survey
        return survey.samples[0, "reference"]

    assert samples(samples=25, samples_per_measure=4) == 48
    assert samples(samples_per_measure=4) == -(-4 * 80 // 24) * 24
    assert samples() == -(-256 // 24) * 24
    assert size == 70


def adagrad(network, batches, loss, lr=0.05, epochs=2, minibatch=8, after=lambda network: None):
    optimiser = torch.optim.Adagrad(network.parameters(), lr=lr)
    for _ in range(epochs):
        for inputs, outputs in batches:
            optimiser.zero_grad()
            loss(network(inputs), outputs).backward()
            after(network)
            optimiser.step()


def alone_and_by_default(routine):
    side = family("dense", prior=in_double, routine=routine)
    alone, default = (Comparison(side, side, targets=2, samples=32, engine=e) for e in (Loop(), Auto()))
    engines = {m.engine for lesson in default.plan.lessons.values() for m in lesson.methods.values()}
    return alone.table(), default.table(), engines, default.plan.notes


def test_a_users_routine_in_plain_pytorch_trains_students_together_where_it_does_not_couple_them():
    alone, together, engines, notes = alone_and_by_default(partial(adagrad, lr=[0.1]))
    assert engines == {"vmap"}
    assert not notes
    np.testing.assert_allclose(together["nmse"], alone["nmse"], rtol=1e-12)
    assert (alone["status"] == "ok").all()


def bounded(network):
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)


class Stop(Exception):
    pass


def stopping(network, batches, loss, epochs=3):
    """Stops at a loss that only students of large outputs reach."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    for _ in range(epochs):
        for inputs, outputs in batches:
            optimiser.zero_grad()
            value = loss(network(inputs), outputs)
            if value.item() > 50:
                return
            value.backward()
            optimiser.step()


def content(network, batches, loss, epochs=10):
    """Stops once it knows its target well enough."""
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for epoch in range(epochs):
        total = 0.0
        for inputs, outputs in batches:
            optimiser.zero_grad()
            value = loss(network(inputs), outputs)
            value.backward()
            optimiser.step()
            total += value.item()
        if epoch >= 6 and total / len(batches) < 0.5:
            return


@pytest.mark.filterwarnings("ignore:.*one student after another")
@pytest.mark.parametrize("routine", [partial(adagrad, after=bounded), stopping, content])
def test_a_users_routine_that_couples_students_gets_the_loop_and_one_warning(routine):
    alone, default, engines, notes = alone_and_by_default(routine)
    assert engines == {"loop"}
    assert len(notes) == 1
    assert re.search("one student after another: its routine .*", notes[0])
    np.testing.assert_array_equal(default["nmse"], alone["nmse"])


def space(**given):
    return ArchitecturalSpace(
        **{"architecture": nn.Linear, "members": {"in_features": 3, "out_features": 3}, "input_shape": [3], **given}
    )


def module(forward, train=None):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)
            self.generator = torch.Generator().manual_seed(0)

        def forward(self, x):
            return forward(self, x)

    return Network


def in_place(self, x):
    x += 1
    return self.linear(x)


def random_answers(self, x):
    return self.linear(x) + torch.rand(3, generator=self.generator)


def against(other=None, reference=None, **given):
    """A comparison of one linear layer with another space, described by what differs from it."""
    return lambda: Comparison(space(), space(**other or {}), reference and space(**reference), **given)


def running(forward):
    return against({"architecture": module(forward), "members": {}})


def unseeded():
    network = nn.Linear(3, 3)
    own = torch.Generator()
    own.seed()
    nn.init.normal_(network.weight, generator=own)
    return network


NO_BIAS = {"in_features": 3, "out_features": 3, "bias": False}
REFUSED = {
    "sizes": (against({"members": NO_BIAS}), r"\[384\].*\[288\]"),
    "members": (against({"members": [{}, {}]}), "has 1 and .* has 2"),
    "measure": (against({"measure": "parameter"}), "measured by information"),
    "input shape": (against({"input_shape": [4]}), "input_shape"),
    "output shape": (against({"members": {"in_features": 3, "out_features": 4}}, {"name": "third"}), "output"),
    "reference": (against({}, {"members": [{}, {}]}), "the reference"),
    "no reference": (against(protocol="reference"), "no third network"),
    "protocol": (against(protocol="duel"), "protocol=duel"),
    "targets": (against(targets=0), "targets=0: at least 1 target a member is needed"),
    "targets in words": (against(targets="8"), "targets='8': a whole number is needed"),
    "no second side": (lambda: Comparison(space(), None), "b=None: an ArchitecturalSpace is needed"),
    "an engine's name": (against(engine="loop"), r"engine='loop': an object is needed, such as .*plan.Loop\(\)"),
    "restarts": (against(restarts=0), "restarts=0"),
    "seed": (against(seed=-1), "seed=-1"),
    "held-out": (against(heldout_samples=1), "heldout_samples=1"),
    "samples": (against(samples=0), "samples=0"),
    "tolerance": (against(size_tolerance=1.5), "size_tolerance=1.5"),
    "device": (against(device="tpu"), "device=tpu"),
    "cuda": (against(device="cuda:99"), "device=cuda:99"),
    "construction": (against({"members": {"width": 3}}), "could not be constructed"),
    "no module": (against({"architecture": dict, "members": {}}), "no nn.Module"),
    "a prior": (against({"prior": lambda network: network.absent}), "prior failed"),
    "in place": (running(in_place), "changes its input"),
    "two answers": (running(random_answers), "two answers"),
    "a tuple": (running(lambda self, x: (self.linear(x),)), "tuple"),
    "no seed": (against({"architecture": unseeded, "members": {}}), "weight is drawn from a source that no seed sets"),
    "a prior that replaces": (against({"prior": lambda network: nn.Linear(3, 3)}), "its prior gives a Linear"),
    "no samples": (running(lambda self, x: self.linear(x).sum(0)), "samples give"),
    "integers": (running(lambda self, x: self.linear(x).long()), "int64"),
    "runs": (against({"members": {"in_features": 5, "out_features": 3}}, {"name": "third"}), "could not be run"),
    "no derivative": (
        running(lambda self, x: torch.heaviside(self.linear(x), torch.ones(())) * self.linear(x)),
        "member 0 could not make a training step: .*derivative for aten::heaviside is not implemented",
    ),
    "epochs": (lambda: space(routine=AdamW(epochs=0)), "epochs=0"),
    "lr": (lambda: space(routine=AdamW(lr="fast")), "lr='fast'"),
    "no members": (lambda: space(members=[]), "members"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compared_is_refused_before_training(case):
    make, said = REFUSED[case]
    with pytest.raises(ArchabError, match=said):
        _ = make().plan


def test_a_size_within_the_tolerance_is_a_warning():
    wide = space(members={"in_features": 3, "out_features": 3, "bias": False})
    plan = Comparison(space(), wide, size_tolerance=0.25).plan
    assert "sizes differ by up to 25.0%" in plan.notes[0]


def test_sizes_further_apart_than_5_percent_are_a_warning_before_training_where_they_need_not_match():
    def notes(thin: float, wide: float) -> list[str]:
        a, b = (replace(family("dense"), measure=[size], name=n) for size, n in ((thin, "thin"), (wide, "wide")))
        return [note for note in Comparison(a, b, family("dense"), engine=Loop()).plan.notes if "unequal sizes" in note]

    [note] = notes(100, 106)
    assert note.startswith("unequal sizes: wide has 1.06 times the size of thin; members: {match: a, by: …}")
    assert notes(100, 105) == notes(105, 100) == []
    assert len(notes(106, 100)) == 1


def test_unequal_training_is_said():
    plan = Comparison(space(), space(routine=AdamW(epochs=5))).plan
    assert any("unequal training: epochs is 3 for Linear and 5 for Linear" in note for note in plan.notes)


def test_a_reference_that_grows_with_the_members_is_said_and_no_size_at_equal_error():
    members = [{"in_features": 3, "out_features": 3}, {"in_features": 3, "out_features": 3, "bias": False}]
    sides = space(members=members), space(members=members, routine=AdamW(lr=0.02))
    for reference, said in ((space(), False), (space(members=members), True)):
        verdict = judge(Comparison(*sides, reference, targets=8, samples=32, heldout_samples=32).table())
        assert any("learns targets of its own" in note.text for note in verdict.notes) == said
        assert ("prior of its own" in verdict.equal_error.reason) == said


def test_rows_are_iterated_one_a_student():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = list(Comparison(space(), space(), targets=2, samples=16))
    assert len(rows) == 4
    assert pd.DataFrame(rows)["nmse"].notna().all()


def test_crossed_students_of_both_sides_learn_targets_of_both_priors_in_pairs():
    rows = Comparison(family("dense"), family("dense"), protocol="crossed", targets=6, samples=32).table()
    assert rows.groupby(["source", "draw"])["side"].nunique().eq(2).all()
    assert rows.groupby("source")["draw"].unique().map(list).to_dict() == {"a": [0, 1, 2], "b": [0, 1, 2]}
    assert rows["target"].nunique() == 6
    nmse = rows.pivot(index=["source", "draw"], columns="side", values="nmse")
    assert (nmse["a"] != nmse["b"]).all(), "initialisations are never shared"


@pytest.mark.parametrize(
    ("given", "said"),
    [({"targets": 5}, "targets=5"), ({"targets": 4, "b": family("lora")}, "sizes must be equal")],
)
def test_crossed_needs_pairs_and_equal_sizes(given, said):
    with pytest.raises(ArchabError, match=said):
        _ = Comparison(**{"a": family("dense"), "b": family("dense"), "protocol": "crossed", **given}).plan


def test_against_itself_a_has_the_same_targets_and_other_initialisations():
    rows = Comparison(family("dense"), family("lora"), protocol="aa", targets=3, samples=64).table()
    nmse = rows.pivot(index="target", columns="side", values="nmse")
    assert nmse.notna().all(axis=None)
    assert (nmse["a"] != nmse["b"]).all()
    assert rows["measure"].nunique() == 1


def test_the_control_learns_the_first_targets_of_each_member_and_no_row_of_a_side_changes():
    members = [{"rank": 1}, {"rank": 2}, {"rank": 3}, {"rank": 4}, {"rank": 5}]
    a = ArchitecturalSpace(partial(deep.n_diagonal, dim=5, depth=2), members, [5])
    comparison = Comparison(a, a, family("dense"), targets=10, samples=32)
    before = comparison.table()
    control = [row for member in range(5) for row in comparison.control(member)]
    assert len(control) == 40
    assert {row.side for row in control} == {"reference"}
    first = before[before["draw"] < 8]
    assert {row.target for row in control} == set(first["target"])
    pd.testing.assert_frame_equal(before, comparison.table())


class Bounded(nn.Module):
    """No free output layer: answers between 2 and 4, or those times ten."""

    def __init__(self, louder=1):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.louder = louder

    def forward(self, x):
        return (torch.tanh(self.linear(x)) + 3) * self.louder


@pytest.mark.parametrize("engine", [Loop(), *(pytest.param(e, marks=pytest.mark.slow) for e in (Vmap(), Compiled()))])
def test_a_reference_that_cannot_give_standardised_outputs_is_a_control_on_the_scale_of_its_own(engine):
    routine = SGD(lr=0.1, epochs=30, clip=None)

    def errors(**arguments):
        reference = ArchitecturalSpace(Bounded, arguments, [3], routine=routine)
        return [row.nmse for row in Comparison(space(), space(), reference, targets=4, engine=engine).control(0)]

    own = errors()
    assert len(own) == 4
    assert max(own) < 0.01, "a student that equals the target has an error of 0"
    assert errors(louder=10) == pytest.approx(own, rel=1e-2, abs=1e-5), "the scale of the outputs is no matter to SGD"


def test_where_a_control_shows_nothing_there_is_none():
    fixed = ArchitecturalSpace(Fixed, {}, [DIM])
    side = ArchitecturalSpace(nn.Linear, {"in_features": DIM, "out_features": DIM}, [DIM])
    assert Comparison(side, side, fixed, targets=4, samples=16).control(0) == [], "all draws are one function"
    wide = {"in_features": 3, "out_features": 3}
    members = ArchitecturalSpace(nn.Linear, [{**wide, "bias": False}, wide], [3])
    own_size = Comparison(members, members, space(), targets=40, samples=16)
    assert [len(own_size.control(member)) for member in (0, 1)] == [32, 0]


def constant_coordinate(shape, generator):
    inputs = torch.randn(*shape, generator=generator)
    inputs[..., 0] = 2
    return inputs


def nearly_the_same(shape, generator):
    inputs = torch.randn(*shape, generator=generator)
    inputs[..., 0] = inputs[..., 1] + 1e-5 * inputs[..., 0]
    return inputs


def as_numbers(x, seen):
    return x.reshape(len(x), -1).astype(float)


def as_places(x, seen):
    return np.concatenate([x == value for value in range(seen.min(), seen.max() + 1)], axis=1).astype(float)


class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(9, 2), nn.Linear(2, 3)

    def forward(self, tokens):
        return self.linear(torch.tanh(self.embedding(tokens)).prod(1))


@pytest.mark.parametrize(
    ("made", "inputs", "features"),
    [
        ({"architecture": Bounded, "members": {}}, Normal(), as_numbers),
        ({"architecture": Bounded, "members": {}}, constant_coordinate, as_numbers),
        ({"architecture": Bounded, "members": {}}, nearly_the_same, as_numbers),
        ({"architecture": Embedded, "members": {}, "input_shape": [2]}, Tokens(9), as_places),
    ],
)
def test_the_linear_fit_of_a_target_is_what_lstsq_finds_on_its_training_samples(made, inputs, features):
    side = space(**made)
    comparison = Comparison(side, side, side, protocol="reference", targets=5, samples=64, inputs=inputs)
    rows = comparison.table()
    targets = comparison.plan.lessons[0, "reference"].source.draw(0, 5)
    for k, (x, y, fresh, wanted) in enumerate(
        zip(*(t.numpy() for t in (targets.inputs, targets.outputs, targets.heldout_inputs, targets.heldout_outputs)),
            strict=True)
    ):  # fmt: skip
        train, new = (np.insert(features(given, x), 0, 1, axis=1) for given in (x, fresh))
        off = new @ np.linalg.lstsq(train, y.astype(float), rcond=None)[0] - wanted
        assert rows[rows["draw"] == k]["linear"].unique() == pytest.approx(np.mean(off**2) / wanted.var(0).mean())


def test_a_linear_fit_to_more_than_256_features_is_not_known():
    wide = ArchitecturalSpace(nn.Linear, {"in_features": 257, "out_features": 1}, [257])
    assert Comparison(wide, wide, targets=2, samples=16).table()["linear"].isna().all()


def test_a_target_whose_outputs_are_ten_times_larger_gives_the_same_errors():
    class Louder(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 10

    side = space()
    rows = [
        Comparison(side, side, space(architecture=reference), targets=4, samples=64).table()["nmse"].to_numpy()
        for reference in (nn.Linear, Louder)
    ]
    assert rows[0] == pytest.approx(rows[1], rel=1e-3)


def test_samples_of_a_part_fit_into_the_engines_memory():
    side = ArchitecturalSpace(partial(nn.Linear, 1000, 10), {}, [1000])
    parts = Comparison(side, side, targets=100, samples=1024, heldout_samples=2, engine=Auto(memory=64)).plan.parts
    assert 1 <= max(part.last - part.first for part in parts) <= 64 * 2**20 // (1026 * 1010 * 4)
