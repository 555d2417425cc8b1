"""What stands in for torch's functions is what they are, argument by argument: torch's own run on the same noise."""

import math

import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import dropout as imported_by_name
from torch.utils.checkpoint import checkpoint

from archab import ArchitecturalSpace
from archab.engine.equivalence import Sample
from archab.engine.replay import Replayed, why_torchs_own
from archab.networks import stand_ins
from archab.networks.noise import Counter, Drawn
from archab.space.inputs import Normal

STUDENT = torch.tensor(2**41 + 5)
EVERY_DROPOUT = [f"{f}{a}dropout{i}" for f in ("", "feature_") for a in ("", "alpha_") for i in ("", "_")]


def double(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape)))


def both_ways(function, *inputs):
    """Outputs, gradients, and what became of the inputs: by stand-ins alone, and by torch's own on their noise."""
    for ours in (True, False):
        counter = Counter(STUDENT)
        leaves = [t.clone().requires_grad_(t.is_floating_point()) for t in inputs]
        given = [t * 1 for t in leaves]
        with counter if ours else Replayed(counter), Drawn() as drawn:
            y = function(*given)
        assert not (ours and drawn.operations)
        (y * double(*y.shape)).sum().backward()
        yield y.detach(), [t.detach() for t in given], [t.grad for t in leaves if t.requires_grad]


def assert_torchs_own(function, *inputs):
    ours, torchs = both_ways(function, *inputs)
    torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-13, equal_nan=True)
    return ours[0]


@pytest.mark.parametrize("name", EVERY_DROPOUT)
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 2), (2, 3, 2, 2, 2)])
def test_every_dropout_is_torchs_own(name, p, shape):
    x = double(*shape)
    assert_torchs_own(lambda x: getattr(torch, name)(x, p, True), x)
    assert_torchs_own(lambda x: getattr(torch, name)(x, p=p, train=False), x)
    assert_torchs_own(lambda x: x + getattr(torch._VF, name)(x, p, True), x)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout, (7, 3)),
        (nn.Dropout1d, (4, 3, 5)),
        (nn.Dropout1d, (3, 5)),
        (nn.Dropout2d, (2, 5, 3, 2)),
        (nn.Dropout3d, (2, 3, 2, 2, 2)),
        (nn.Dropout3d, (3, 2, 2, 2)),
        (nn.AlphaDropout, (7, 3)),
        (nn.FeatureAlphaDropout, (4, 3, 2)),
    ],
)
def test_dropout_layers_are_torchs_own_also_where_they_are_called_for_their_effect(layer, shape, inplace):
    drop = layer(0.4, inplace).train()

    def statement(x):
        h = x * 2
        drop(h)
        return h

    dropped = assert_torchs_own(lambda x: drop(x), double(*shape))
    assert not torch.equal(dropped, double(*shape))
    assert_torchs_own(statement, double(*shape))
    assert_torchs_own(lambda x: x + drop(x), double(*shape))
    assert torch.equal(drop.eval()(double(*shape)), double(*shape))


def test_a_function_of_python_that_was_imported_by_its_name_is_reached():
    with Counter(STUDENT), Drawn() as drawn:
        one = imported_by_name(torch.ones(50))
    with Counter(STUDENT):
        assert torch.equal(one, F.dropout(torch.ones(50)))
    assert drawn.operations == []


SEES = torch.tensor([[False, False, False], [True, False, False], [True, True, False], [True, False, True]])
ATTENTION = {
    "plain": {},
    "dropped": {"dropout_p": 0.4},
    "all dropped": {"dropout_p": 1.0},
    "causal": {"is_causal": True},
    "scaled": {"scale": -0.3},
    "boolean": {"attn_mask": SEES.tril(1)},
    "nothing seen": {"attn_mask": SEES},
    "nothing seen, dropped": {"attn_mask": SEES, "dropout_p": 0.3, "scale": 2.0},
    "nothing seen by any": {"attn_mask": torch.zeros(4, 3, dtype=torch.bool)},
    "of a key": {"attn_mask": torch.tensor([[[[True, False, True]]], [[[False, False, False]]]])},
    "of a query": {"attn_mask": SEES[:, 1:2]},
    "of each head": {"attn_mask": SEES.expand(2, 2, 4, 3) & (double(2, 2, 4, 3) > 0)},
    "minus infinity": {"attn_mask": torch.zeros(4, 3).masked_fill(~SEES, -math.inf)},
    "additive": {"attn_mask": double(4, 3)},
    "additive and minus infinity": {"attn_mask": double(4, 3).masked_fill(~SEES, -math.inf)},
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_is_torchs_own(name):
    q, k, v = double(2, 2, 4, 5), double(2, 2, 3, 5) * 2, double(2, 2, 3, 6)
    y = assert_torchs_own(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **ATTENTION[name]), q, k, v)
    assert y.isfinite().all()


@pytest.mark.parametrize(("heads", "of_keys", "of_values"), [(4, 2, 1), (4, 4, 2), (6, 1, 3), (2, 2, 2)])
def test_attention_of_grouped_heads_is_torchs_own(heads, of_keys, of_values):
    q, k, v = double(2, heads, 4, 5), double(2, of_keys, 3, 5), double(2, of_values, 3, 5)
    assert_torchs_own(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, SEES, enable_gqa=True), q, k, v)


def test_a_mask_that_learns_gets_torchs_gradient():
    q, k, v = double(1, 2, 4, 5), double(1, 2, 3, 5), double(1, 2, 3, 5)
    assert_torchs_own(
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m.masked_fill(~SEES, -math.inf)),
        q,
        k,
        v,
        double(4, 3),
    )


@pytest.mark.parametrize("given", [{"attn_mask": SEES, "is_causal": True}, {"attn_mask": SEES.long()}])
def test_what_torchs_attention_refuses_is_refused(given):
    with Counter(STUDENT), pytest.raises(RuntimeError):
        F.scaled_dot_product_attention(double(2, 4, 5), double(2, 3, 5), double(2, 3, 5), **given)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_torchs_attention_layer_with_padding_is_torchs_own(weights, causal):
    layer = nn.MultiheadAttention(6, 2, 0.2, batch_first=True, dtype=torch.float64).train()
    padding = torch.tensor([[False, False, True, True], [False, True, True, True], [True, True, True, True]])
    hidden = torch.ones(4, 4, dtype=torch.bool).triu(1) if causal else None
    rows = slice(0, 2) if weights else slice(None)  # with weights, torch's own gives NaN where nothing is seen
    assert_torchs_own(lambda x: layer(x, x, x, padding[rows], weights, hidden)[0], double(3, 4, 6)[rows].contiguous())


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.rrelu(x, training=True),
        lambda x: F.rrelu(x, 0.2, 0.9, True, True),
        lambda x: x + F.rrelu(x, 0.1, 0.4, True, inplace=True),
        lambda x: torch.rrelu(x, lower=0.1, upper=0.1, training=True),
        lambda x: nn.RReLU(0.1, 0.7).eval()(x),
        lambda x: F.gumbel_softmax(x, 0.7),
        lambda x: F.gumbel_softmax(x, hard=True, dim=0),
        lambda x: x * torch.bernoulli(x.sigmoid()) + torch.bernoulli(x.detach(), 0.3) + x.detach().bernoulli(0.2),
        lambda x: x * torch.empty(1).bernoulli_(0.6).div_(0.6) + x.clone().bernoulli_(x.sigmoid()),
        lambda x: x + torch.normal(x, 0.3) + torch.normal(0.0, x.abs()) + torch.normal(x, x.abs()),
        lambda x: x + torch.randn_like(x) * torch.rand(6, 1) + torch.normal(0.0, 2.0, (6, 5)),
        lambda x: x[torch.randperm(6)] * torch.randint(1, 9, (5,)) + torch.randint_like(x, 4),
        lambda x: x * F.one_hot(x.exp().multinomial(1)[:, 0], 5) + x.gather(1, x.exp().multinomial(5)),
        lambda x: x * torch.empty(6, 5).uniform_(-1, 2) + torch.empty(6, 5).exponential_(2.0).log(),
    ],
)
def test_random_functions_keep_torchs_formulas_and_gradients(function):
    assert_torchs_own(function, double(6, 5))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("given", [{}, {"batch_first": True, "bidirectional": True}, {"bias": False}])
def test_the_dropout_between_recurrent_layers_is_torchs_own(kind, given):
    layer = kind(4, 3, 3, dropout=0.4, dtype=torch.float64, **given).train()
    assert_torchs_own(lambda x: layer(x)[0], double(3, 2, 4))

    def packed(x):
        out, end = layer(nn.utils.rnn.pack_padded_sequence(x, [2, 1], "batch_first" in given))
        return torch.cat([out.data.flatten(), *(t.flatten() for t in ([end] if torch.is_tensor(end) else end))])

    assert_torchs_own(packed, double(2, 2, 4))


UNIFORM = stats.uniform(-1, 3)
DISTRIBUTIONS = {
    "rand": (lambda n: torch.rand(n), stats.uniform()),
    "rand_like": (lambda n: torch.rand_like(torch.ones(n)), stats.uniform()),
    "uniform_": (lambda n: torch.empty(n).uniform_(-1, 2), UNIFORM),
    "uniform_, named": (lambda n: torch.empty(n).uniform_(**{"from": -1.0, "to": 2.0}), UNIFORM),
    "randn": (lambda n: torch.randn((n,), dtype=torch.float64), stats.norm()),
    "randn_like": (lambda n: torch.randn_like(torch.ones(n)), stats.norm()),
    "normal": (lambda n: torch.normal(torch.ones(n), 2.0), stats.norm(1, 2)),
    "normal, of a size": (lambda n: torch.normal(1.0, 2.0, (n,)), stats.norm(1, 2)),
    "normal_": (lambda n: nn.init.normal_(torch.empty(n), 1.0, 2.0), stats.norm(1, 2)),
    "exponential_": (lambda n: torch.empty(n).exponential_(2.0), stats.expon(scale=0.5)),
    "log_normal_": (lambda n: torch.empty(n).log_normal_(0.5, 0.25), stats.lognorm(0.25, scale=math.exp(0.5))),
    "cauchy_": (lambda n: torch.empty(n).cauchy_(1.0, 2.0), stats.cauchy(1, 2)),
    "distributions.Normal": (lambda n: torch.distributions.Normal(1.0, 2.0).sample((n,)), stats.norm(1, 2)),
}
COUNTS = {
    "randint": (lambda n: torch.randint(5, (n,)), [0.2] * 5),
    "randint, of both": (lambda n: torch.randint(low=-2, high=3, size=(n,)) + 2, [0.2] * 5),
    "randint_like": (lambda n: torch.randint_like(torch.ones(n), 1, 5) - 1, [0.25] * 4),
    "random_": (lambda n: torch.empty(n, dtype=torch.int64).random_(3, 7) - 3, [0.25] * 4),
    "randperm": (lambda n: torch.stack([torch.randperm(3) for _ in range(n // 3)])[:, 0], [1 / 3] * 3),
    "bernoulli": (lambda n: torch.bernoulli(torch.full((n,), 0.3)), [0.7, 0.3]),
    "bernoulli_": (lambda n: torch.empty(n).bernoulli_(0.02), [0.98, 0.02]),
    "multinomial": (lambda n: torch.tensor([1.0, 0, 3]).expand(n, 3).multinomial(1), [0.25, 0, 0.75]),
    "multinomial, again": (lambda n: torch.tensor([1.0, 0, 3]).multinomial(n, replacement=True), [0.25, 0, 0.75]),
    "multinomial, second": (lambda n: torch.ones(n // 3, 3).multinomial(2)[:, 1], [1 / 3] * 3),
    "geometric_": (lambda n: torch.empty(n).geometric_(0.5).clamp(max=3) - 1, [0.5, 0.25, 0.25]),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_continuous_numbers_have_the_distribution_that_torch_documents(name):
    draw, wanted = DISTRIBUTIONS[name]
    with Counter(STUDENT), Drawn() as drawn:
        numbers = draw(20_000)
    assert drawn.operations == []
    assert stats.kstest(numbers.double().numpy(), wanted.cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", COUNTS)
def test_counted_numbers_have_the_distribution_that_torch_documents(name):
    draw, wanted = COUNTS[name]
    with Counter(STUDENT), Drawn() as drawn:
        found = draw(9_000).flatten().long()
    assert drawn.operations == []
    counts = torch.bincount(found, minlength=len(wanted)).double()
    expected = torch.tensor(wanted, dtype=torch.float64) * len(found)
    possible = expected > 0
    assert len(counts) == len(wanted)
    assert counts[~possible].sum() == 0
    assert stats.chisquare(counts[possible].numpy(), expected[possible].numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.rand(2, 3),
        lambda: torch.rand((2, 3), dtype=torch.float64),
        lambda: torch.randn(size=(2,), dtype=torch.bfloat16),
        lambda: torch.rand([]),
        lambda: torch.rand(0, 2),
        lambda: torch.randint(3, (2, 2)),
        lambda: torch.randint(0, 3, (2,), dtype=torch.float32),
        lambda: torch.randint(2**40, (2,)),
        lambda: torch.randperm(4, dtype=torch.int32),
        lambda: torch.rand_like(torch.ones(3, 2).T),
        lambda: torch.randn_like(torch.ones(2, 3), dtype=torch.float64),
        lambda: torch.randn(2, dtype=torch.complex64),
        lambda: torch.rand(2, requires_grad=True),
        lambda: torch.bernoulli(torch.ones(2, 3, dtype=torch.float16)),
        lambda: torch.ones(2, 3).multinomial(2),
        lambda: torch.normal(torch.zeros(2, 1), torch.ones(3)),
        lambda: torch.empty(3, dtype=torch.int32).random_(),
        lambda: torch.rand(2, out=torch.empty(2)),
    ],
)
def test_drawn_tensors_have_torchs_shape_type_and_strides(draw):
    wanted = draw()
    with Counter(STUDENT):
        found = draw()
    assert (found.shape, found.dtype, found.stride()) == (wanted.shape, wanted.dtype, wanted.stride())
    assert found.requires_grad == wanted.requires_grad


def test_half_precision_never_rounds_up_to_1():
    with Counter(STUDENT):
        for dtype in (torch.bfloat16, torch.float16):
            assert torch.rand(100_000, dtype=dtype).max() < 1


def test_a_generator_or_a_seed_of_the_networks_own_is_torchs():
    def seeded():
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return torch.rand(4)

    def generated():
        return torch.rand(4, generator=torch.Generator().manual_seed(3))

    wanted = generated()
    with Counter(STUDENT):
        first = torch.rand(4)
        assert torch.equal(seeded(), wanted)
        assert torch.equal(generated(), wanted)
        second = torch.rand(4)
    with Counter(STUDENT):
        assert torch.equal(torch.stack([first, second]), torch.stack([torch.rand(4), torch.rand(4)]))


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_drops_the_same_again(reentrant):
    x = torch.ones(40, dtype=torch.float64, requires_grad=True)
    with Counter(STUDENT):
        y = checkpoint(lambda x: F.dropout(x.exp(), 0.5), x, use_reentrant=reentrant)
        F.dropout(x, 0.5)
        y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())


def test_in_evaluation_all_that_draws_is_torchs_own():
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    with Counter(None):
        assert torch.equal(torch.rand(3), wanted)


class Dropping(nn.Module):
    """Dropout in place, called for its effect, and attention of which a query sees nothing."""

    def __init__(self):
        super().__init__()
        self.linear, self.drop = nn.Linear(5, 5), nn.Dropout(0.5, inplace=True)

    def forward(self, x):
        h = self.linear(x)
        self.drop(h)
        return F.scaled_dot_product_attention(h, x, x, torch.ones(4, 4, dtype=torch.bool).tril(-1))


def sample() -> Sample:
    return Sample(ArchitecturalSpace(Dropping, {}, [4, 5]), 0, 8, Normal(), (4, 5), torch.device("cpu"))


def test_a_network_of_stand_ins_is_torchs_own():
    assert why_torchs_own(sample()) is None


def softmax_alone(query, key, value, attn_mask):
    weight = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    return weight.masked_fill(~attn_mask, -math.inf).softmax(-1) @ value


@pytest.mark.parametrize(
    ("table", "name", "wrong"),
    [
        (stand_ins.FUNCTIONS, "dropout_", lambda noise, *given: stand_ins.FUNCTIONS["dropout"](noise, *given)),
        (vars(stand_ins), "attention", softmax_alone),
        (
            stand_ins.FUNCTIONS,
            "dropout_",
            lambda noise, x, p, train: x.mul_((noise.uniform(x.shape, x) >= p) / p**1.01),
        ),
    ],
)
def test_a_stand_in_that_differs_is_found_and_torchs_own_functions_train_instead(monkeypatch, table, name, wrong):
    from archab import Comparison
    from archab.engine.plan import Vmap

    space = ArchitecturalSpace(Dropping, {}, [4, 5])
    asked = {"targets": 2, "samples": 32, "heldout_samples": 32, "engine": Vmap()}
    monkeypatch.setitem(table, name, wrong)
    assert "what stands in for torch's attention and random functions changes its outputs" in str(
        why_torchs_own(sample())
    )
    with pytest.warns(UserWarning, match="trained one student after another: what stands in for torch's"):
        rows = Comparison(space, space, **asked).table()
    assert (rows["status"] == "ok").all()
