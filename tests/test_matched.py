"""A prior matched to the other side's scale, and a scaled one that acts unlike on products and sums."""

import math
import re
from functools import partial

import pandas as pd
import pytest
import torch
from conftest import family
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.cli.config import composed, resolved
from archab.comparison.products import unequal
from archab.engine.plan import Loop, Vmap
from archab.errors import ArchabError
from archab.experiment.build import comparison as built
from archab.space.inputs import Normal
from archab.space.prior import Init, Matched, Scaled

DIM = 16


class Product(nn.Module):
    """A product of k square matrices in one layer."""

    def __init__(self, k: int):
        super().__init__()
        self.factors = nn.ParameterList(torch.randn(DIM, DIM) / math.sqrt(DIM) for _ in range(k))

    def forward(self, x):
        for factor in self.factors:
            x = x @ factor
        return x


class Stack(nn.Module):
    """Layers one after another, with ReLU between them."""

    def __init__(self, layers, zero: bool = False):
        super().__init__()
        self.layers = nn.ModuleList(layers())
        if zero:
            nn.init.zeros_(self.layers[-1].weight)
            nn.init.zeros_(self.layers[-1].bias)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


def linear(count: int = 2):
    return [nn.Linear(DIM, DIM) for _ in range(count)]


def space(make, prior=None, **given) -> ArchitecturalSpace:
    return ArchitecturalSpace(make, {}, [DIM], prior=prior or Init(), **given)


def scales(space: ArchitecturalSpace, draws: int = 64) -> list[float]:
    """The root mean variance of each layer's outputs, and of the network's, by plain PyTorch."""
    torch.manual_seed(5)
    found = []
    for _ in range(draws):
        network, outputs = space.construct(0), []
        for layer in getattr(network, "layers", [network]):
            layer.register_forward_hook(lambda module, given, output, outputs=outputs: outputs.append(output))
        with torch.no_grad():
            network(torch.randn(256, DIM))
        found.append([float(output.var(0).mean()) for output in outputs])
    return torch.tensor(found).mean(0).sqrt().tolist()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_products_factor_is_the_kth_root_of_what_its_scale_lacks(k):
    wide = Comparison(space(partial(Product, k)), space(partial(Product, k), Matched(Scaled({"*": 3.0})))).b
    [factor] = set(wide.prior.factors[0].values())
    assert factor == pytest.approx(1 / 3, rel=0.01)


def test_layers_are_brought_to_their_counterparts_one_after_another():
    a = space(lambda: Stack(lambda: linear(3)))
    b = space(lambda: Stack(lambda: [Product(2), Product(1), Product(3)]), Matched())
    found = Comparison(a, b).b
    assert scales(found) == pytest.approx(scales(a), rel=0.2)
    assert scales(b) != pytest.approx(scales(a), rel=0.2)


def test_where_layers_do_not_correspond_the_last_one_brings_the_output_there():
    a = space(lambda: Stack(lambda: linear(3)))
    found = Comparison(a, space(lambda: Stack(lambda: linear(2)), Matched())).b
    assert set(found.prior.factors[0]) == {"layers.1.weight", "layers.1.bias"}
    assert scales(found)[-1] == pytest.approx(scales(a)[-1], rel=0.2)


def test_a_layer_that_its_parameters_do_not_lead_stays_as_it_is_drawn():
    class Added(nn.Module):
        def __init__(self, wide: float):
            super().__init__()
            self.wide, self.bias = wide, nn.Parameter(torch.randn(DIM))

        def forward(self, x):
            return self.wide * x + self.bias

    a, b = (space(lambda wide=wide: nn.Sequential(Added(wide), nn.Linear(DIM, DIM))) for wide in (1.0, 4.0))
    factors = Comparison(a, space(b.architecture, Matched())).b.prior.factors[0]
    assert factors["0.bias"] == 1
    assert factors["1.weight"] == pytest.approx(1 / 4, rel=0.05)


def test_draws_are_those_of_the_base_times_fixed_factors():
    a, b = space(partial(Product, 1)), space(partial(Product, 1), Matched(Scaled({"*": 2.0})))
    found = Comparison(a, b).b
    for seed in (0, 1):
        torch.manual_seed(seed)
        drawn = dict(found.construct(0).named_parameters())
        torch.manual_seed(seed)
        for name, parameter in b.construct(0).named_parameters():
            torch.testing.assert_close(drawn[name], parameter * found.prior.factors[0][name])


def test_students_of_a_matched_prior_are_drawn_and_train_together():
    b = family("lora", prior=Matched())
    given = {"targets": 3, "samples": 32, "heldout_samples": 32}
    tables = {}
    for engine in (Loop(), Vmap()):
        comparison = Comparison(family("n_diagonal"), b, family("dense"), engine=engine, **given)
        assert comparison.survey.draws["b"][0].together
        tables[type(engine)] = comparison.table()
    pd.testing.assert_frame_equal(tables[Vmap], tables[Loop], rtol=1e-3)


def test_a_configuration_names_it_for_a_side():
    one = [f"space.{side}.members=[{{rank: 1}}]" for side in "ab"]
    config = resolved(composed(["+space=n_diagonal_original", "prior@space.b.prior=matched", "prior=small", *one]))
    found = built(config)
    assert isinstance(found.b.prior, Matched)
    assert len(found.b.prior.factors) == len(found.b)
    [factor] = {round(f, 2) for name, f in found.b.prior.factors[0].items() if name.startswith("linear.0")}
    assert 0.005 < factor < 0.02, "a product of two takes the root of 1e-4"


REFUSED = {
    "both sides": ((Matched(), Matched(), None), "asked for by a and b; one of the sides a and b is brought"),
    "the reference": ((Init(), Init(), Matched()), "asked for by reference"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_side_alone_can_be_matched(case):
    priors, why = REFUSED[case]
    spaces = [space(partial(Product, 1), prior) if prior else None for prior in priors]
    with pytest.raises(ArchabError, match=why):
        Comparison(*spaces)


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (lambda: Stack(linear, zero=True), lambda: Stack(linear), r"scales of outputs are 0\.\d+ \(layers.1\) and 0 "),
        (lambda: Stack(linear), lambda: Stack(linear, zero=True), r"scales of outputs are 0 \(layers.1\) and 0\.\d+"),
        (lambda: Stack(linear), nn.Identity, "has no learnable parameter"),
        (lambda: Stack(linear), lambda: Stack(lambda: [nn.Linear(3, 3)]), "cannot be brought to .*RuntimeError: mat1"),
        (lambda: Stack(linear), lambda: Stack(lambda: [nn.LayerNorm(DIM), nn.BatchNorm1d(5)]), "cannot be brought"),
    ],
    ids=["zero", "zero of its own", "no parameters", "fails", "wrong"],
)
def test_what_cannot_be_matched_is_one_line_that_says_why(a, b, why):
    with pytest.raises(ArchabError, match=why) as raised:
        Comparison(space(a), space(b, Matched()))
    assert "\n" not in str(raised.value)


WARNED = {
    "a product": (
        "dense",
        "lora",
        {"linear.*": 0.1},
        r"of dense \(linear\.\d\) by 0\.1 and those of lora .* by 0\.01, ",
    ),
    "sums": ("dense", "n_diagonal", {"linear.*": 0.1}, ""),
    "biases": ("dense", "lora", {"linear.*.bias": 0.1}, ""),
    "what tanh makes of it": ("transformer", "split_transformer", {"*query*": 8.0, "*key*": 8.0}, ""),
}


@pytest.mark.parametrize("case", WARNED)
def test_a_shared_scaled_prior_that_a_product_takes_twice_is_a_warning(case):
    *names, factors, said = WARNED[case]
    a, b = (family(name, prior=Scaled(factors)) for name in names)
    found = unequal({"a": a, "b": b}, Normal())
    assert len(found) == bool(said)
    assert all(re.search(f"{said}.*give lora its k-th root .prior@space.b.prior=scaled", note) for note in found)


def test_the_plan_warns_of_it_and_a_root_for_the_product_ends_that():
    a, shared, own = (
        family(n, prior=Scaled({"linear.*": s})) for n, s in (("dense", 0.1), ("lora", 0.1), ("lora", 0.32))
    )
    for b, warnings in ((shared, 1), (own, 0)):
        found = Comparison(a, b, size_tolerance=0.9, engine=Loop()).plan.notes
        assert sum("both sides share prior.factors" in note for note in found) == warnings
