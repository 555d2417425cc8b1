"""Sizes are what a hand formula says, and nothing learnable is overlooked."""

from functools import partial

import pytest
import torch
from conftest import family
from torch import nn

from archab import ArchitecturalSpace
from archab.errors import ArchabError
from archab.space.architectures import deep, transformer


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_sizes_of_the_deep_families_follow_the_hand_formulas(rank):
    dim, depth = 5, 4
    rest = depth * (dim + 2 * dim)  # bias and LayerNorm
    band = dim + 2 * sum(dim - k for k in range(1, rank))
    for function, arguments, matrix in (
        (deep.n_diagonal, {"rank": rank}, band),
        (deep.lora, {"rank": rank}, 2 * dim * rank),
        (deep.dense, {}, dim * dim),
    ):
        space = ArchitecturalSpace(partial(function, dim=dim, depth=depth), arguments, [dim], measure="parameter")
        assert space.size(0) == depth * matrix + rest


def test_an_encoder_layer_of_the_worked_comparison_has_258_parameters_of_32_bits():
    layers = [{"layers": n} for n in (1, 2, 3, 4)]
    space = ArchitecturalSpace(partial(transformer.encoder, d_model=6, heads=3, d_ff=6), layers, [5, 6])
    assert [space.size(i) for i in range(4)] == [258 * 32 * n for n in (1, 2, 3, 4)]


def test_information_counts_the_bits_of_each_dtype_a_shared_parameter_once_and_frozen_ones_not():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.short = nn.Parameter(torch.randn(3, dtype=torch.float16))
            self.long = nn.Parameter(torch.randn(2, dtype=torch.float64))
            self.pair = nn.Parameter(torch.randn(1, dtype=torch.complex64))
            self.again = self.long
            self.frozen = nn.Parameter(torch.randn(9), requires_grad=False)

    assert ArchitecturalSpace(Mixed).size(0) == 3 * 16 + 2 * 64 + 64
    assert ArchitecturalSpace(Mixed, measure="parameter").size(0) == 3 + 2 + 2  # a complex number is two


@pytest.mark.parametrize(
    ("view", "distinct"),
    [
        (lambda w: w.data, 12),
        (lambda w: w.data.t(), 12),
        (lambda w: w.data[1:], 12),
        (lambda w: w.data.clone(), 24),
        (lambda w: w.data[:1].expand(4, 3), 12),
    ],
)
def test_memory_that_parameters_share_counts_once(view, distinct):
    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 3))
            self.other = nn.Parameter(view(self.weight))

    assert ArchitecturalSpace(Viewing, measure="parameter").size(0) == distinct
    assert ArchitecturalSpace(Viewing).size(0) == 32 * distinct


def test_the_user_gives_one_number_a_member():
    space = ArchitecturalSpace(
        nn.Linear, [{"in_features": n, "out_features": 1} for n in (1, 2)], [1], measure=[7, 9.5]
    )
    assert [space.size(0), space.size(1)] == [7, 9.5]


def test_counting_allocates_no_memory_where_the_constructor_allows_it():
    space = ArchitecturalSpace(nn.Linear, {"in_features": 10**7, "out_features": 10**7, "bias": False}, [10**7])
    assert space.size(0) == 32 * 10**14


def test_a_constructor_that_needs_values_is_counted_all_the_same():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(3) + torch.ones(1).item())

    assert ArchitecturalSpace(Reads, measure="parameter").size(0) == 3


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.registered = nn.Parameter(torch.ones(2))
        self.diagonals = [torch.ones(3, requires_grad=True)]


class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.registered = nn.Parameter(torch.ones(2))
        self.layers = {"first": nn.Linear(2, 2)}


@pytest.mark.parametrize(("network", "name"), [(Listed, "diagonals[0]"), (Hidden, "layers['first'].weight")])
def test_a_learnable_tensor_that_is_not_registered_is_an_error_that_names_it(network, name):
    with pytest.raises(ArchabError, match="not registered") as error:
        ArchitecturalSpace(network).size(0)
    assert name in str(error.value)


def test_a_network_without_learnable_parameters_is_refused():
    with pytest.raises(ArchabError, match="no learnable parameter"):
        ArchitecturalSpace(nn.ReLU).size(0)


def test_a_lazy_network_is_refused():
    with pytest.raises(ArchabError, match="lazy"):
        ArchitecturalSpace(nn.LazyLinear, {"out_features": 2}).size(0)


@pytest.mark.parametrize("measure", ["bits", [1.0], [1.0, 2.0, 3.0], [1.0, -1.0]])
def test_a_measure_that_is_unknown_or_does_not_fit_is_refused(measure):
    with pytest.raises(ArchabError, match="measure="):
        ArchitecturalSpace(nn.Linear, [{}, {}], [1], measure=measure)


def test_lists_of_hyperparameters_hold_one_value_a_member():
    from archab.space.routine import AdamW

    members = [{"rank": r} for r in (1, 2)]
    space = ArchitecturalSpace(deep.lora, members, [5], routine=AdamW(lr=[0.1, 0.2], clip=[None, 1.0]))
    assert [(space.routine_of(i).lr, space.routine_of(i).clip) for i in (0, 1)] == [(0.1, None), (0.2, 1.0)]
    with pytest.raises(ArchabError, match="2 members, got 3"):
        ArchitecturalSpace(deep.lora, members, [5], routine=AdamW(lr=[0.1, 0.2, 0.3]))


def test_one_mapping_of_arguments_is_a_list_of_one_member():
    assert len(family("lora")) == 1


def flops(architecture, shape, **given) -> float:
    return ArchitecturalSpace(architecture, input_shape=shape, measure="flops", **given).size(0)


class Attention(nn.Module):
    """Self-attention of width 8 with two heads."""

    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.heads(x, x, x, need_weights=False)[0]


class Values(Attention):
    """The same, but it asks for values, so that it cannot be counted without memory."""

    def forward(self, x):
        return super().forward(x) if x.sum().item() < 1 else x


class Recurrence(nn.Module):
    """An LSTM of width 5 on inputs of width 4: four gates a step."""

    def __init__(self, values=False):
        super().__init__()
        self.values, self.cell = values, nn.LSTM(4, 5, batch_first=True)

    def forward(self, x):
        return self.cell(x)[0] if not self.values or x.sum().item() < 1 else x


PRODUCTS = 2 * 7 * 7 * 4 * 2 * 2  # 7 queries with 7 keys, heads of width 4, two products, two heads
BY_HAND = {
    "a linear layer": (partial(nn.Linear, 3, 4), [3], 2 * 3 * 4),
    "a layer of each of seven tokens": (partial(nn.Linear, 3, 4, bias=False), [7, 3], 7 * 2 * 3 * 4),
    "a convolution": (partial(nn.Conv2d, 3, 8, 5, padding=2), [3, 6, 6], 6 * 6 * 8 * 2 * 3 * 5 * 5),
    "attention": (Attention, [7, 8], 7 * 2 * 8 * (24 + 8) + PRODUCTS),
    "attention with memory": (Values, [7, 8], 7 * 2 * 8 * (24 + 8) + PRODUCTS),
    "an encoder layer": (partial(nn.TransformerEncoderLayer, 8, 2, 16, batch_first=True), [7, 8],
                         7 * 2 * 8 * (24 + 8) + PRODUCTS + 7 * 2 * 8 * 16 * 2),
    "recurrence": (Recurrence, [3, 4], 3 * 2 * (4 + 5) * 4 * 5),
    "recurrence with memory": (partial(Recurrence, values=True), [3, 4], 3 * 2 * (4 + 5) * 4 * 5),
    "tokens": (lambda: nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 2)), [7], 7 * 2 * 6 * 2),
    "thin matrices": (partial(deep.lora, dim=16, depth=3, rank=2), [16], 3 * (2 * 16 * 2 * 16 + 2 * 16 * 16)),
    "the layer of the worked comparison": (partial(transformer.encoder, d_model=6, heads=3, d_ff=6, layers=1), [5, 6],
                                           5 * 2 * 6 * (4 * 6 + 2 * 6) + 2 * 5 * 5 * 2 * 3 * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_operations_are_those_counted_by_hand(name):
    architecture, shape, wanted = BY_HAND[name]
    assert flops(architecture, shape) == wanted


def test_counting_operations_allocates_no_memory_and_grows_with_the_mini_batch():
    wide = ArchitecturalSpace(nn.Linear, {"in_features": 10**7, "out_features": 10**7}, [10**7])
    assert [wide.flops(0), wide.flops(0, samples=16)] == [2e14, 32e14]


def test_of_a_product_of_matrices_a_mini_batch_pays_once():
    thin = ArchitecturalSpace(partial(deep.lora, dim=16, depth=1, rank=2), {}, [16])
    assert thin.flops(0, samples=8) == 2 * 16 * 2 * 16 + 8 * 2 * 16 * 16


class Scaled(nn.Module):
    """Elementwise products alone, of which torch's counter knows none."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.scale * x


@pytest.mark.parametrize(
    ("architecture", "shape", "said"),
    [
        (Scaled, [3], "scaled: measure=flops: torch's counter finds no operation that it knows in member 0"),
        (partial(nn.Linear, 3, 4), [5], r"scaled: measure=flops: member 0 could not be run on \[1, 5\]: RuntimeError"),
    ],
)
def test_operations_that_cannot_be_counted_are_an_error_that_says_why(architecture, shape, said):
    with pytest.raises(ArchabError, match=said):
        flops(architecture, shape, name="scaled")
