"""The size of a network: what is counted, and what must not be overlooked."""

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from archab.errors import ArchabError


def learnable(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training changes, by name, a shared one once.

    Raises:
        ArchabError: if one has no shape yet (a lazy module).
    """
    found = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if lazy := [name for name, p in found.items() if isinstance(p, UninitializedParameter)]:
        raise ArchabError(f"{type(network).__name__}: {lazy[0]} is lazy and has no size; give its input size instead")
    return found


def parameter(network: nn.Module) -> float:
    """The number of learnable parameters."""
    return float(sum(p.numel() for p in learnable(network).values()))


def information(network: nn.Module) -> float:
    """The size in bits: learnable parameters times the bits of their dtype."""
    return float(sum(p.numel() * p.element_size() * 8 for p in learnable(network).values()))


MEASURES: Mapping[str, Callable[[nn.Module], float]] = {"information": information, "parameter": parameter}
UNITS: Mapping[str, str] = {"information": "bits", "parameter": "parameters"}


def unregistered(network: nn.Module) -> list[str]:
    """Names of learnable tensors that the network holds but did not register, so that no optimiser would find them."""
    registered = {id(p) for p in network.parameters()}
    names = (
        name
        for prefix, module in network.named_modules()
        for key, value in vars(module).items()
        if key not in _OWN
        for name, tensor in _tensors(value, f"{prefix}.{key}" if prefix else key, set())
        if tensor.requires_grad and tensor.is_leaf and id(tensor) not in registered
    )
    return list(names)


_OWN = frozenset(vars(nn.Module()))


def _tensors(value: object, name: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if id(value) in seen:
        return
    seen.add(id(value))
    match value:
        case Tensor():
            yield name, value
        case list() | tuple() | set() | frozenset():
            for i, item in enumerate(value):
                yield from _tensors(item, f"{name}[{i}]", seen)
        case dict():
            for key, item in value.items():
                yield from _tensors(item, f"{name}[{key!r}]", seen)
        case nn.Module():
            for key, tensor in value.named_parameters():
                yield f"{name}.{key}", tensor
