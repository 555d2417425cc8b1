"""What one run of a member tells before anything is trained: shapes, memory, and what is wrong."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from archab.errors import ArchabError, explain
from archab.space.measure import learnable, registered
from archab.space.precision import of_answers
from archab.space.watching import Watching


@dataclass(frozen=True)
class Shape:
    """What is known of a member before training.

    Attributes:
        output: shape of one sample's output.
        parameters: number of learnable parameters.
        network_bytes: memory of its parameters and buffers.
        step_bytes: memory of one student while it trains: parameters, gradients, two moments, and what the backward
            pass of one mini-batch keeps.
        output_bytes: memory of one sample's output.
    """

    output: tuple[int, ...]
    parameters: int
    network_bytes: int
    step_bytes: int
    output_bytes: int


def examine(where: str, network: nn.Module, inputs: Tensor) -> Shape:
    """Run a freshly drawn network, called `where` in messages, on a mini-batch, shape (n, *input_shape), n >= 2.

    Raises:
        ArchabError: where it fails, changes its input, gives no tensor of n real outputs, answers one input in two ways
            in evaluation mode, or depends on a learnable tensor that it did not register.
    """
    inputs = fitting(network, inputs)
    given = inputs.clone()
    try:
        network.eval()
        with torch.no_grad():
            first, second = network(inputs), network(inputs)
        network.train()
        trained, kept = _trained(network, inputs)
    except ArchabError as error:
        raise ArchabError(f"{where}: {error}") from error
    except Exception as error:
        raise ArchabError(
            f"{where} could not be run on {inputs.dtype} inputs of shape {tuple(inputs.shape)}: {explain(error)}"
        ) from error
    if not torch.equal(inputs, given):
        raise ArchabError(f"{where}: its forward changes its input in place; write to a copy, as in x = x + 1")
    for output in (first, trained):
        _check_output(where, output, len(inputs))
    if first.shape != second.shape or not torch.allclose(first, second, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise ArchabError(
            f"{where}: in evaluation mode it gives two answers to one input, and a network that is asked must be a "
            "function; what it draws belongs to training, as F.dropout(x, 0.1, training=self.training)"
        )
    if trained.shape != first.shape:
        raise ArchabError(
            f"{where}: its output has shape {tuple(trained.shape)} in training and {tuple(first.shape)} in evaluation"
        )
    _check_leaves(where, network, trained, inputs)
    return _shape(network, first, kept)


def check_drawn(where: str, make: Callable[[], nn.Module], stream: Callable[[], AbstractContextManager[None]]) -> None:
    """Construct networks from one stream, and see that it alone determines each, and makes each another.

    Args:
        where: what messages call them.
        make: the constructor and the prior.
        stream: sets the global generators to the start of one stream.

    Raises:
        ArchabError: if a tensor hangs on a source that no seed sets, is drawn from a seed of the constructor's own, or
            is one and the same in two networks.
    """
    with stream():
        again = make()
    with stream():
        before = _states()
        network = make()
        between = _states()
        other = make()
        after = _states()
    first, second = registered(network), registered(other)
    for name, tensor in registered(again).items():
        if not nearly(tensor, first[name]):
            raise ArchabError(
                f"{where}: {name} is drawn from a source that no seed sets; draw from torch's, numpy's or Python's "
                "global generator, or from one with a fixed seed"
            )
    elsewhere = set[StorageWeakRef]().union(*map(_memory, second.values()))
    for name, tensor in first.items():
        if _memory(tensor) & elsewhere:
            raise ArchabError(
                f"{where}: {name} is one and the same tensor in two networks, so that they would train each other's; "
                "make it in the constructor (in a configuration, by a nested _target_), or copy it there"
            )
    own = [
        name for name, *seen in zip(_GENERATORS, before, between, after, strict=True) if seen[0] != seen[1] == seen[2]
    ]
    equal = [
        name for name, t in first.items() if nearly(t, second[name]) and t.numel() and bool((t != t.flatten()[0]).any())
    ]
    if equal and not own:
        with stream(), _Reseeding():
            redrawn = registered(make())
        own = [name for name in equal if not nearly(redrawn[name], first[name])]
    if own:
        raise ArchabError(
            f"{where}: its constructor sets the seed of a generator ({own[0]}) by a function imported by its name, so "
            "that all networks would be one; leave the seed to archab"
        )


_GENERATORS = ("torch's", "numpy's", "Python's")


def _states() -> tuple[bytes, bytes, object]:
    """Of the global generators of torch, numpy and Python."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 (constructors may use it)
    numbers = numpy_state[1].tobytes() + repr(numpy_state[2:]).encode()
    return torch.get_rng_state().numpy().tobytes(), numbers, random.getstate()


def _memory(tensor: Tensor) -> set[StorageWeakRef]:
    if tensor.layout != torch.strided or not tensor.numel():
        return set()
    return {StorageWeakRef(tensor.untyped_storage())}


class _Reseeding(TorchFunctionMode):
    """Sets torch's global generator anew before each operation: no seed of a constructor's own survives."""

    calls = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        torch.default_generator.manual_seed(0xA5C3 + self.calls)
        return function(*args, **(kwargs or {}))


def nearly(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal up to rounding, relative to the largest value of the other; NaN equals NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    one, other = (t.detach().to_dense() if t.layout != torch.strided else t.detach() for t in (one, other))
    if not (one.is_floating_point() or one.is_complex()) or not one.numel():
        return torch.equal(one, other)
    tolerance = 64 * torch.finfo(one.dtype).eps * float(other.abs().nan_to_num(0, 0, 0).max())
    wide = torch.complex128 if one.is_complex() else torch.float64
    return torch.allclose(one.to(wide), other.to(wide), rtol=0, atol=tolerance, equal_nan=True)


def fitting(network: nn.Module, inputs: Tensor) -> Tensor:
    """The inputs in the precision of the network's parameters; integers stay integers."""
    dtype = next(network.parameters()).dtype
    return inputs.to(dtype.to_real()) if inputs.is_floating_point() else inputs


def learnt(network: nn.Module, outputs: Tensor) -> Tensor:
    """Outputs that a network is to give, in the precision that it answers in."""
    return outputs.to(of_answers(network)) if outputs.is_floating_point() else outputs


def _check_output(where: str, output: object, samples: int) -> None:
    if not isinstance(output, Tensor):
        which = "output: 0" if isinstance(output, Sequence) else "output: NAME"
        raise ArchabError(
            f"{where}: its forward gives a {type(output).__name__}; one tensor of outputs is needed ({which} takes one)"
        )
    if output.dim() == 0 or len(output) != samples or output.numel() == 0:
        raise ArchabError(
            f"{where}: {samples} samples give outputs of shape {tuple(output.shape)}; the first axis must be theirs"
        )
    if not output.is_floating_point():
        raise ArchabError(f"{where}: its outputs are of type {output.dtype}; real floating-point outputs are needed")


def _trained(network: nn.Module, inputs: Tensor) -> tuple[Tensor, int]:
    """Its outputs in training mode, and the bytes that they keep for the backward pass."""
    kept = [0]

    def keep(tensor: Tensor) -> Tensor:
        kept[0] += tensor.numel() * tensor.element_size()
        return tensor

    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            return network(inputs), kept[0]
    except RuntimeError:  # torch.func.grad in a forward allows no hooks
        with _Made() as made:
            return network(inputs), made.bytes


class _Made(Watching):
    """Counts the bytes of all that is made under it: at most that much is kept."""

    bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        self.bytes += sum(t.numel() * t.element_size() for t in tree_leaves(made) if isinstance(t, Tensor))
        return made


def _check_leaves(where: str, network: nn.Module, output: Tensor, inputs: Tensor) -> None:
    registered = {id(p) for p in network.parameters()}
    leaves = list(_leaves(output))
    foreign = [leaf for leaf in leaves if id(leaf) not in registered]
    # What a forward makes itself, to differentiate by it, is another tensor in every pass.
    if foreign and any(leaf is again for leaf in _leaves(network(inputs)) for again in foreign):
        raise ArchabError(f"{where}: its output depends on a learnable tensor that is not registered as a parameter")
    if not leaves:
        raise ArchabError(f"{where}: its output depends on no learnable parameter, so it could not be trained")


def _leaves(output: Tensor) -> Iterator[Tensor]:
    waiting, seen = [output.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (variable := getattr(node, "variable", None)) is not None:
            yield variable
        waiting.extend(following for following, _ in node.next_functions)


def _shape(network: nn.Module, output: Tensor, kept: int) -> Shape:
    held = [*network.parameters(), *network.buffers()]
    trained = [p.numel() * p.element_size() for p in learnable(network).values()]
    return Shape(
        output=tuple(output.shape[1:]),
        parameters=sum(p.numel() for p in learnable(network).values()),
        network_bytes=sum(t.numel() * t.element_size() for t in held),
        step_bytes=4 * sum(trained) + kept,
        output_bytes=output[0].numel() * output.element_size(),
    )
