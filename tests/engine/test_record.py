"""A function that was written down gives of any tensors what it gives itself."""

import threading
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch._functorch import eager_transforms
from torch.func import grad_and_value

from archab.engine.cpp.record import Untraceable, flat
from archab.space.uncompiled import kept, uncompiled


def written_on(x: Tensor, y: Tensor) -> list[Tensor]:
    z = x.clone()
    z[:, 1] = y[0]
    z[0].mul_(2)
    return [z, z.sum(), torch.zeros(3).copy_(y[1])]


def by_place(x: Tensor, y: Tensor) -> list[Tensor]:
    best, at = x.max(1)
    return [y.gather(1, at[:, None]), best, x[torch.tensor([1, 0])], y[at]]


def normalised(x: Tensor, y: Tensor) -> list[Tensor]:
    return [torch.nn.functional.layer_norm(x, [3], y[0]), torch.nn.functional.gelu(y), torch.var_mean(x, 1)[0]]


def slopes(x: Tensor, y: Tensor) -> list[Tensor]:
    gradients, value = grad_and_value(lambda x: (torch.tanh(x) @ y.mT).square().mean())(x)
    return [gradients, value]


def of_a_constant(x: Tensor, y: Tensor) -> list[Tensor]:
    sizes = torch.tensor([2, 1])
    return [x * sizes.sum().item(), y + sizes.to(y.dtype).var()]


@pytest.mark.parametrize("function", [written_on, by_place, normalised, slopes, of_a_constant])
def test_a_graph_gives_of_other_tensors_what_its_function_gives(function):
    x, y, others = *torch.randn(2, 3, 3, dtype=torch.float64), torch.randn(2, 3, 3, dtype=torch.float64)
    before = torch.get_rng_state()
    graph = flat(function, x, y)
    assert torch.equal(torch.get_rng_state(), before)
    wanted = function(*others)
    found = graph(*others)
    assert len(found) == len(wanted)
    for mine, its, node in zip(found, wanted, list(graph.graph.nodes)[-1].args[0], strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-12, atol=1e-12)
        assert (node.meta["val"].shape, node.meta["val"].dtype) == (its.shape, its.dtype)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x * x.sum().item(), "takes a number out of a tensor"),
        (lambda x: x[x > 0], "its shape depends on data"),
        (lambda x: x.nonzero(), "its shape depends on data"),
        (lambda x: x + torch.randn(3), "draws random numbers that no counter reaches"),
        (lambda x: x.numpy() * 2, "hands a tensor to numpy"),
        (lambda x: np.sin(x), "hands a tensor to numpy"),
        (lambda x: x * x.tolist()[0], "tolist"),
        (lambda x: x.frobenius(), "AttributeError"),
    ],
)
def test_what_hangs_on_values_or_on_chance_has_no_graph(function, reason):
    with pytest.raises(Untraceable, match=reason):
        flat(function, torch.randn(3))


@pytest.mark.parametrize("function", [normalised, lambda x, y: x.sum().item(), lambda x, y: x.numpy()])
def test_torch_is_left_as_it_was_also_by_what_has_no_graph(function):
    before = Tensor.numpy, Tensor.__bool__, eager_transforms._autograd_grad
    with suppress(Untraceable):
        flat(function, *torch.randn(2, 3, 3))
    assert (Tensor.numpy, Tensor.__bool__, eager_transforms._autograd_grad) == before
    assert not [f for f in kept(vars(torch._refs).values()) if vars(f).get("__dynamo_disable") is f]


def test_a_tensor_of_another_thread_goes_to_numpy_while_one_is_traced():
    seen = []

    def elsewhere(x):
        other = threading.Thread(target=lambda: seen.append(torch.ones(3).numpy().tolist()))
        other.start()
        other.join()
        return x + 1

    flat(elsewhere, torch.zeros(3))
    assert seen == [[1, 1, 1]]


@pytest.mark.parametrize("operation", [torch.ops.aten.sgn.default, torch.ops.aten.gelu.default])
def test_what_a_decomposition_calls_is_found_however_it_is_wrapped(operation):
    assert kept([decomposition_table[operation]])


def test_what_is_not_compiled_here_is_not_compiled_until_the_last_has_left():
    [add] = kept([torch.optim.Optimizer.add_param_group])
    mark = vars(add).pop("__dynamo_disable", None)
    with uncompiled([add]):
        with uncompiled([add]):
            assert vars(add)["__dynamo_disable"] is add
        assert vars(add)["__dynamo_disable"] is add
    assert "__dynamo_disable" not in vars(add)
    if mark is not None:
        vars(add)["__dynamo_disable"] = mark
