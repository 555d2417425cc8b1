"""The size of a network: what is counted, and what must not be overlooked."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import UninitializedParameter
from torch.utils.flop_counter import flop_registry

from archab.errors import ArchabError
from archab.space.watching import Watching


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
    """The number of learnable parameters: real numbers, of which a complex one is two; shared memory counts once."""
    kept = _distinct(learnable(network).values())
    return float(sum(count * (2 if dtype.is_complex else 1) for dtype, count in kept))


def information(network: nn.Module) -> float:
    """The size in bits: learnable parameters times the bits of their dtype; shared memory counts once."""
    return float(sum(count * dtype.itemsize * 8 for dtype, count in _distinct(learnable(network).values())))


def flops(network: nn.Module, inputs: Tensor) -> float:
    """Floating-point operations of one forward pass in evaluation mode, by the formulas of torch's own counter.

    A multiplication and an addition are two. Matrix products, convolutions and attention are counted, products of
    complex numbers as those of real ones; all else (norms, activations, lookups, elementwise products) counts 0.

    Args:
        network: of which only shapes matter, so that it may be on the meta device.
        inputs: a mini-batch on the device of the network.
    """
    with _spelled_out(), torch.no_grad(), _Counted() as counted:
        network.eval()(inputs)
    return float(counted.operations)


class _Counted(Watching):
    """Torch's counter without its table by module: what has no formula is taken apart where torch knows how."""

    operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        formula = flop_registry.get(function.overloadpacket)
        if formula is None:
            with self:
                parts = function.decompose(*args, **named)
            return function(*args, **named) if parts is NotImplemented else parts
        found = function(*args, **named)
        self.operations += formula(*args, **named, out_val=found)
        return found


@contextmanager
def _spelled_out() -> Iterator[None]:
    """Torch without its fused attention, encoder and recurrence, which the counter takes for nothing on a CPU."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch on itself
            with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def registered(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, a shared one once."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def shared_storage(named: Mapping[str, Tensor]) -> list[list[str]]:
    """The names of different tensors that lie in one memory, as a layer's weight and another's view of it do."""
    held: dict[StorageWeakRef, list[str]] = defaultdict(list)
    for name, tensor in named.items():
        if tensor.layout == torch.strided and tensor.numel():
            held[StorageWeakRef(tensor.untyped_storage())].append(name)
    return [names for names in held.values() if len(names) > 1]


def _distinct(tensors: Iterable[Tensor]) -> Iterator[tuple[torch.dtype, int]]:
    """How many elements there are of each type in each memory, those of several tensors once."""
    held: dict[tuple[StorageWeakRef, torch.dtype], list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        if tensor.layout == torch.strided:
            held[StorageWeakRef(tensor.untyped_storage()), tensor.dtype].append(tensor)
        else:
            yield tensor.dtype, tensor.numel()
    for (_, dtype), views in held.items():
        yield dtype, views[0].numel() if len(views) == 1 else _places(views)


def _places(views: list[Tensor]) -> int:
    """How many elements of one memory these tensors hold together."""
    reach = max(
        1 + t.storage_offset() + sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True)) for t in views
    )
    memory = torch.arange(int(reach), device="cpu")
    return (
        torch.cat([memory.as_strided(t.shape, t.stride(), t.storage_offset()).flatten() for t in views])
        .unique()
        .numel()
    )


MEASURES: Mapping[str, Callable[[nn.Module], float]] = {"information": information, "parameter": parameter}
UNITS: Mapping[str, str] = {"information": "bits", "parameter": "parameters", "flops": "FLOPs"}  # of every measure


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
