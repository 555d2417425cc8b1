"""Each network is a draw of its own from the run's stream, and stays what its constructor made of it."""

import random
import warnings
from functools import partial
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import manual_seed as seed_by_name
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.engine.plan import Loop, Vmap
from archab.errors import ArchabError
from archab.experiment.instantiate import bound, made
from archab.space.inputs import Tokens
from archab.space.prior import Init
from archab.space.routine import SGD

ENCODER = {
    "_target_": "torch.nn.TransformerEncoder",
    "encoder_layer": {
        "_target_": "torch.nn.TransformerEncoderLayer",
        "d_model": 4,
        "nhead": 2,
        "dim_feedforward": 4,
        "batch_first": True,
    },
    "num_layers": 1,
    "enable_nested_tensor": False,
}


def small(space, **given):
    """A space against itself, its warnings as notes."""
    standard = {"targets": 4, "samples": 32, "heldout_samples": 32, "engine": Loop(), "protocol": "crossed"}
    return Comparison(space, space, **{**standard, **given})


def rows(comparison):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return comparison.table()


class Net(nn.Module):
    """Two layers, the first one given."""

    def __init__(self, layer=None, width=3):
        super().__init__()
        self.first, self.second = layer or nn.Linear(3, width), nn.Linear(width, 1)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


def test_a_nested_node_is_drawn_anew_for_every_network_as_a_plain_constructor_draws():
    torch.manual_seed(3)
    made_by_node = [bound("architecture", ENCODER)() for _ in range(2)]
    torch.manual_seed(3)
    layers = [nn.TransformerEncoderLayer(4, 2, 4, batch_first=True) for _ in range(2)]
    for network, layer in zip(made_by_node, layers, strict=True):
        for found, wanted in zip(network.layers[0].parameters(), layer.parameters(), strict=True):
            assert torch.equal(found, wanted)
    space = ArchitecturalSpace(bound("architecture", ENCODER), {}, [3, 4])
    first, again = (rows(small(space, targets=2)) for _ in range(2))
    assert first.equals(again)
    assert first["target"].nunique() == 2


def test_members_reach_into_nested_nodes_and_places_and_classes_are_given_as_hydra_gives_them():
    wide = bound("architecture", ENCODER)(encoder_layer={"dim_feedforward": 7})
    assert wide.layers[0].linear1.out_features == 7
    linear = {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 3}
    activation = {"_target_": "hydra.utils.get_class", "path": "torch.nn.Tanh"}
    network = bound("architecture", {"_target_": f"{__name__}.with_places", "_args_": [linear, activation]})()
    assert isinstance(network[1], nn.Tanh)
    node = {"_target_": f"{__name__}.shifted", "_args_": [2.0]}
    assert made("prior", node)(nn.Linear(1, 1)).bias == 2.0


def with_places(layer, activation, /):
    return nn.Sequential(layer, activation())


def shifted(network, by, /):
    with torch.no_grad():
        network.bias.fill_(by)
    return network


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.Liner"}]}, r"k\._args_\[0\]\._target_="),
        ({**ENCODER, "encoder_layer": {**ENCODER["encoder_layer"], "heads": 2}}, r"k\.encoder_layer\.heads: .* no"),
        ({"_target_": f"{__name__}.shifted", "by": 2.0}, r"k\.by: shifted takes it by its place alone: _args_: "),
    ],
)
def test_a_mistake_in_a_nested_node_is_found_before_any_network_is_made(node, said):
    with pytest.raises(ArchabError, match=said):
        bound("k", node)


class Seeding(Net):
    """It would make all networks one."""

    def __init__(self):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        super().__init__()


class SeedingByName(Net):
    """The same, where nothing can keep it from it."""

    def __init__(self):
        seed_by_name(0)
        super().__init__()


class Keeping(Net):
    """Fixed features from a seed by name, the generator put back behind it."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng([]):
            seed_by_name(0)
            self.register_buffer("features", torch.randn(3))

    def forward(self, x):
        return super().forward(x * self.features)


class Fixed(Net):
    """Fixed features from a generator of their own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("features", torch.randn(3, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return super().forward(x * self.features)


def test_a_constructors_seed_is_passed_over_and_said():
    def plain(seed):
        rows_ = rows(small(ArchitecturalSpace(Net, {}, [3]), seed=seed))
        return rows_["nmse"].tolist()

    comparison = small(ArchitecturalSpace(Seeding, {}, [3]))
    assert rows(comparison)["nmse"].tolist() == plain(0) != plain(1)
    assert any("torch.manual_seed, which is passed over" in note for note in comparison.plan.notes)
    assert torch.manual_seed(0) is torch.default_generator


@pytest.mark.parametrize(("network", "of"), [(SeedingByName, "torch's"), (Keeping, "features")])
def test_a_seed_that_cannot_be_passed_over_is_refused(network, of):
    with pytest.raises(ArchabError, match=rf"member 0: its constructor sets the seed of a generator \({of}\)"):
        small(ArchitecturalSpace(network, {}, [3])).plan  # noqa: B018


def test_fixed_features_zeros_and_constants_are_no_seed():
    for network, prior in ((Fixed, Init()), (partial(nn.Linear, 3, 1), zero)):
        space = ArchitecturalSpace(network, {}, [3], prior=prior)
        comparison = Comparison(space, space, ArchitecturalSpace(Net, {}, [3]), targets=2, samples=32, engine=Loop())
        assert len(rows(comparison)) == 4


def zero(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()


SHARED = nn.Linear(3, 3)


def test_a_layer_that_two_networks_share_is_refused_by_its_name():
    for shared in (partial(Net, layer=SHARED), partial(Net, layer=nn.BatchNorm1d(3))):
        with pytest.raises(ArchabError, match=r"member 0: first\.weight is one and the same tensor in two networks"):
            small(ArchitecturalSpace(shared, {}, [3])).plan  # noqa: B018


class Registered(Net):
    """It looks its layers up by its own identity, which no copy has."""

    known: ClassVar[dict] = {}

    def __init__(self):
        super().__init__()
        self.known[id(self)], self.mine = self.first, id(self) % 1

    def forward(self, x):
        return self.second(torch.tanh(self.known.get(id(self), nn.Identity())(x)))


class Stateful(Net):
    """A random constant in an object that is no module."""

    def __init__(self):
        super().__init__()
        self.box = SimpleNamespace(inner=[torch.randn(3, dtype=torch.bfloat16)])

    def forward(self, x):
        return super().forward(x * self.box.inner[0].to(x.dtype))


class Marked(Net):
    """A parameter that carries a learning rate of its own, which a routine reads."""

    def __init__(self):
        super().__init__()
        self.first.weight.own_lr = 0.0


def by_marks(network, batches, loss, lr=0.1):
    groups = [{"params": [p], "lr": getattr(p, "own_lr", lr)} for p in network.parameters()]
    optimiser = torch.optim.SGD(groups)
    for inputs, outputs in batches:
        optimiser.zero_grad()
        loss(network(inputs), outputs).backward()
        optimiser.step()


@pytest.mark.parametrize(
    ("network", "why"),
    [(Registered, "a copy of it is another network"), (Stateful, "differ in more than their parameters")],
)
def test_what_tensors_do_not_tell_is_kept_as_it_was_constructed(network, why):
    notes = small(ArchitecturalSpace(network, {}, [3]), engine=Loop()).survey.draws["a"][0].whole
    assert why in notes


@pytest.mark.parametrize("engine", [Loop, Vmap])
def test_a_copy_keeps_what_is_written_on_a_parameter(engine):
    def errors(network, learns, routine):
        def prior(network):
            np.random.rand()  # noqa: NPY002 (each network by a call of its own)
            network.first.weight.requires_grad_(learns)

        space = ArchitecturalSpace(network, {}, [3], prior=prior, routine=routine)
        reference = ArchitecturalSpace(Net, {}, [3])
        comparison = small(space, reference=reference, protocol="reference", samples=128, engine=engine())
        assert comparison.plan.methods["a", 0].engine == engine.__name__.lower(), comparison.plan.notes
        return rows(comparison)["nmse"]

    plain = SGD(lr=0.1, epochs=1, clip=None, schedule="constant")
    np.testing.assert_allclose(errors(Marked, True, by_marks), errors(Net, False, plain), rtol=1e-5)


class Adjacent(Net):
    """A graph's sparse matrix."""

    def __init__(self, sparse):
        super().__init__()
        matrix = torch.from_numpy(np.random.rand(3, 3)).float()  # noqa: NPY002 (each network by a call of its own)
        self.register_buffer("graph", matrix.to_sparse() if sparse else matrix)

    def forward(self, x):
        return super().forward((self.graph @ x.T).T)


def test_a_sparse_buffer_gives_what_a_dense_one_gives():
    sparse, dense = (rows(small(ArchitecturalSpace(Adjacent, {"sparse": s}, [3])))["nmse"] for s in (True, False))
    np.testing.assert_allclose(sparse, dense, rtol=1e-4)


class Looked(nn.Module):
    """An embedding with sparse gradients."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(4, 2, sparse=True)

    def forward(self, x):
        return self.table(x).mean(1)


def test_sparse_gradients_are_refused_in_one_line():
    with pytest.raises(
        ArchabError, match=r"Looked: the gradient of table\.weight is sparse.*sparse=False gives the same"
    ):
        rows(small(ArchitecturalSpace(Looked, {}, [3]), inputs=Tokens(4)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("engine", [pytest.param(Loop, marks=pytest.mark.slow), Vmap])
def test_half_precision_trains_as_whole_precision_does_to_its_rounding(dtype, engine):
    def as_(dtype, network):
        np.random.rand()  # noqa: NPY002 (each network by a call of its own)
        network.to(dtype)

    def space(dtype):
        return ArchitecturalSpace(Net, {}, [3], prior=partial(as_, dtype), routine=SGD(lr=0.1))

    half, whole = space(dtype), space(torch.float32)
    given = {"reference": ArchitecturalSpace(Net, {}, [3]), "protocol": "reference", "samples": 128, "engine": engine()}
    np.testing.assert_allclose(*(rows(small(side, **given))["nmse"] for side in (half, whole)), rtol=0.1)
    assert half.size(0) * 2 == whole.size(0)
