"""All of a network but the values of its parameters and buffers: where two differ in it, they cannot be batched.

What `copy.deepcopy` would copy is described, and nothing is overlooked: an object is what its `__reduce_ex__` says of
it, a function is itself, and what cannot be described equals nothing.
"""

import copyreg
import hashlib
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archab.space.measure import registered, shared_storage

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)
_OWN = frozenset(vars(nn.Module())) - frozenset(_HOOKS)
_TENSORS_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def signature(network: nn.Module, values: bool = True) -> Hashable:
    """Classes, attributes, hooks, and the shapes and types of parameters and buffers, by name, to be compared.

    Args:
        network: the network.
        values: whether tensors and arrays that are not registered count by their values.
    """
    return _Description(network, values).whole


def not_in_tensors(network: nn.Module) -> str | None:
    """Why a copy of a network, given other tensors of the same shapes, would not be a network of its family.

    None where it would, as far as its tensors tell.
    """
    named = registered(network)
    if tied := shared_storage(named):
        return f"{' and '.join(tied[0])} share memory"
    for name, tensor in named.items():
        if tensor.layout != torch.strided:
            return f"{name} is a sparse tensor"
        if any(getattr(tensor, hooks, None) for hooks in _TENSORS_HOOKS):
            return f"{name} has a hook"
    return None


class _Description:
    """One description of one network: things that it holds twice, or in a circle, are described once."""

    def __init__(self, network: nn.Module, values: bool) -> None:
        self._values = values
        self._registered = {id(t): name for name, t in registered(network).items()}
        self._seen: dict[int, tuple[int, object]] = {}
        modules = tuple((name, self._module(module)) for name, module in network.named_modules())
        tensors = [*network.named_parameters(), *network.named_buffers()]
        self.whole = modules, tuple((name, t.shape, t.dtype, t.requires_grad) for name, t in tensors)

    def _module(self, module: nn.Module) -> Hashable:
        self._seen.setdefault(id(module), (len(self._seen), module))
        state = _state(module)
        hooks = tuple((key, self._items(state.get(key, {}).values())) for key in _HOOKS)
        held = ((key, value) for key, value in state.items() if key not in _OWN and key not in _HOOKS)
        return _class(module), hooks, tuple((key, self._of(value)) for key, value in held)

    def _items(self, values: Any) -> tuple[Hashable, ...]:
        return tuple(self._of(value) for value in values)

    def _of(self, value: Any) -> Hashable:
        match value:
            case None | bool() | int() | str() | bytes() | torch.dtype() | torch.device():
                return type(value), value
            case float() | complex():
                return type(value), repr(value)  # not a number is itself here
            case type():
                return f"{value.__module__}.{value.__qualname__}"
            case Tensor() if id(value) in self._registered:  # listed again, as torch's recurrent layers do
                return self._registered[id(value)]
            case Tensor():
                return value.dtype, _digest(value) if self._values else None
            case _ if callable(value) and hasattr(value, "__qualname__") and not isinstance(value, MethodType):
                return id(value)
        if id(value) in self._seen:
            return "seen", self._seen[id(value)][0]
        self._seen[id(value)] = len(self._seen), value
        return _class(value), self._inside(value)

    def _inside(self, value: Any) -> Hashable:
        match value:
            case np.ndarray() if value.dtype != object:
                return str(value.dtype), value.shape, value.tobytes() if self._values else None
            case nn.Module():
                inner = tuple((name, self._module(module)) for name, module in value.named_modules())
                return inner, tuple((name, self._of(t)) for name, t in registered(value).items())
            case list() | tuple() | deque():
                return self._items(value)
            case set() | frozenset():
                return frozenset(self._items(value))
            case dict() | OrderedDict() if type(value) in (dict, OrderedDict):
                return tuple((self._of(key), self._of(item)) for key, item in value.items())
            case MethodType():
                return id(value.__func__), self._of(value.__self__)
        try:
            return tuple(self._reduced(value))
        except Exception:  # what cannot be copied or told apart is like nothing else
            return id(value)

    def _reduced(self, value: Any) -> Iterator[Hashable]:
        reduce = copyreg.dispatch_table.get(type(value))
        said: Any = reduce(value) if reduce else value.__reduce_ex__(4)
        if isinstance(said, str):
            yield said
            return
        made, arguments, state, items, pairs = (*said, None, None, None)[:5]
        yield self._of(made)
        yield self._items(arguments)
        yield self._of(state)
        yield self._items(items or ())
        yield tuple((self._of(key), self._of(item)) for key, item in pairs or ())


def _state(module: nn.Module) -> dict[str, Any]:
    """What a copy of a module would be given."""
    try:
        state = module.__getstate__()
    except RuntimeError:  # parametrised modules refuse
        return vars(module)
    return state if isinstance(state, dict) else vars(module)


def _digest(tensor: Tensor) -> Hashable:
    """Shape and bytes; of a tensor that holds none, its shape alone."""
    try:
        dense = tensor.detach().cpu().to_dense() if tensor.layout != torch.strided else tensor.detach().cpu()
        plain = dense.resolve_conj().resolve_neg().contiguous().flatten().view(torch.uint8)
        return tuple(tensor.shape), hashlib.blake2b(plain.numpy().data, digest_size=16).digest()
    except (RuntimeError, NotImplementedError, TypeError):
        return (tuple(tensor.shape),)


def _class(value: object) -> str:
    # By name: parametrisations make a class anew for each module.
    return f"{type(value).__module__}.{type(value).__qualname__}"
