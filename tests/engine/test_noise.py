"""Dropout by a counter: right in distribution, and the same masks wherever a student trains."""

import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from archab.networks.noise import Counter


def counter(student: int = 12345678901234) -> Counter:
    return Counter(torch.tensor(student))


def test_uniform_numbers_are_uniform_and_uncorrelated_between_students_steps_sites_and_elements():
    n, rows = 840_000, []  # ten million in all
    for student in (1, 2, 2**40 + 1):
        for step in (0, 1):
            one = counter(student)
            one.step = step
            rows += [one.uniform((n,), torch.zeros((), dtype=torch.float64)) for _site in range(2)]
    u = torch.stack(rows)
    assert stats.kstest(u.flatten().numpy(), "uniform").pvalue > 1e-3
    largest = (torch.corrcoef(u) - torch.eye(len(u))).abs().max()
    assert largest < 4.5 / n**0.5
    lagged = torch.corrcoef(torch.stack([u[:, :-1].flatten(), u[:, 1:].flatten()]))[0, 1].abs()
    assert lagged < 4.5 / u.numel() ** 0.5


def test_the_numbers_of_a_step_and_site_do_not_depend_on_what_else_was_drawn():
    one, other = counter(), counter()
    one.uniform((7,), torch.zeros(()))
    one.next_step()
    other.next_step()
    assert torch.equal(one.uniform((5,), torch.zeros(())), other.uniform((5,), torch.zeros(())))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_dropout_keeps_the_mean_and_drops_its_share(p):
    x = torch.ones(100_000)
    with counter():
        y = F.dropout(x, p)
        assert torch.equal(F.dropout(x, p, training=False), x)
    assert (y == 0).float().mean() == pytest.approx(p, abs=0.01)
    assert p == 1 or y.mean() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(
    ("layer", "shape", "whole"),
    [
        (nn.Dropout1d(0.5), (64, 32, 5), (2,)),
        (nn.Dropout2d(0.5), (64, 32, 3, 3), (2, 3)),
        (nn.Dropout3d(0.5), (64, 32, 2, 2, 2), (2, 3, 4)),
    ],
)
def test_dropout_of_channels_drops_whole_channels(layer, shape, whole):
    with counter():
        y = layer.train()(torch.ones(shape))
    sums = y.sum(whole)
    full = 2 * torch.ones(shape)[0, 0].numel()
    assert set(sums.unique().tolist()) == {0.0, float(full)}
    assert (sums == 0).float().mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("masked", ["none", "causal", "boolean", "additive"])
def test_attention_without_dropout_is_torchs_own(masked):
    q, k, v = torch.randn(3, 2, 4, 5, 6, dtype=torch.float64)
    given = {
        "none": {},
        "causal": {"is_causal": True},
        "boolean": {"attn_mask": torch.rand(5, 5) > 0.3 + torch.zeros(5, 5).fill_diagonal_(-1)},
        "additive": {"attn_mask": torch.randn(5, 5, dtype=torch.float64), "scale": 0.3},
    }[masked]
    expected = F.scaled_dot_product_attention(q, k, v, **given)
    with counter():
        torch.testing.assert_close(F.scaled_dot_product_attention(q, k, v, **given), expected)


def test_torchs_functions_are_back_afterwards_and_torchs_generator_was_not_used():
    before, state = F.dropout, torch.get_rng_state()
    with counter():
        F.dropout(torch.ones(3), 0.5)
    assert F.dropout is before
    assert torch.equal(torch.get_rng_state(), state)


def test_every_dropout_of_torchs_encoder_layer_is_reached():
    from archab import ArchitecturalSpace, Comparison
    from archab.engine.plan import Loop, Vmap

    given = {
        "d_model": 6,
        "nhead": 3,
        "dim_feedforward": 6,
        "dropout": 0.3,
        "batch_first": True,
        "dtype": torch.float64,
    }
    space = ArchitecturalSpace(nn.TransformerEncoderLayer, given, [5, 6])
    comparison = Comparison(space, space, targets=2, samples=64, heldout_samples=32, engine=Vmap())
    assert comparison.plan.notes == ()
    rows = [
        Comparison(space, space, targets=2, samples=64, heldout_samples=32, engine=e()).table() for e in (Vmap, Loop)
    ]
    assert rows[0]["nmse"].to_numpy() == pytest.approx(rows[1]["nmse"].to_numpy(), rel=1e-12)
