"""What one run of a member tells before anything is trained: shapes, memory, and what is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archab.errors import ArchabError
from archab.space.measure import learnable
from archab.space.space import explain


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
    except Exception as error:
        raise ArchabError(
            f"{where} could not be run on {inputs.dtype} inputs of shape {tuple(inputs.shape)}: {explain(error)}"
        ) from error
    if not torch.equal(inputs, given):
        raise ArchabError(f"{where}: its forward changes its input in place; write to a copy, as in x = x + 1")
    for output in (first, trained):
        _check_output(where, output, len(inputs))
    if first.shape != second.shape or not torch.allclose(first, second, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise ArchabError(f"{where}: in evaluation mode it gives two answers to one input; a target must be a function")
    if trained.shape != first.shape:
        raise ArchabError(
            f"{where}: its output has shape {tuple(trained.shape)} in training and {tuple(first.shape)} in evaluation"
        )
    _check_leaves(where, network, trained, inputs)
    return _shape(network, first, kept)


def check_reproducible(where: str, network: nn.Module, again: nn.Module) -> None:
    """Compare two networks that were drawn from one state of the global generators.

    Raises:
        ArchabError: if a parameter differs, so that no seed would determine it.
    """
    others = dict(again.named_parameters())
    for name, parameter in network.named_parameters():
        if not torch.equal(parameter, others[name]) and not parameter.isnan().any():
            raise ArchabError(
                f"{where}: {name} is drawn from a source that no seed sets; draw from torch's, numpy's or Python's "
                "global generator, or from one with a fixed seed"
            )


def fitting(network: nn.Module, inputs: Tensor) -> Tensor:
    """The inputs in the precision of the network's parameters; integers stay integers."""
    dtype = next(network.parameters()).dtype
    return inputs.to(dtype.to_real()) if inputs.is_floating_point() else inputs


def _check_output(where: str, output: object, samples: int) -> None:
    if not isinstance(output, Tensor):
        raise ArchabError(f"{where}: its forward gives a {type(output).__name__}; one tensor of outputs is needed")
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


class _Made(TorchDispatchMode):
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
