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
