"""All of a network but the values of its parameters and buffers: where two differ in it, they cannot be batched."""

from collections.abc import Hashable

import numpy as np
import torch
from torch import Tensor, nn

_OWN = frozenset(vars(nn.Module()))


def signature(network: nn.Module) -> Hashable:
    """Classes, attributes, and the shapes and types of parameters and buffers, by name, to be compared."""
    attributes = tuple(
        (name, _class(module), tuple((key, _plain(value)) for key, value in vars(module).items() if key not in _OWN))
        for name, module in network.named_modules()
    )
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return attributes, tuple((name, t.shape, t.dtype, t.requires_grad) for name, t in tensors)


def _plain(value: object) -> Hashable:
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes():
            return type(value), value
        case nn.Parameter():  # a registered one, listed again as torch's recurrent layers do: others are refused
            return value.shape
        case Tensor():
            return value.dtype, _plain(
                value.detach().cpu().resolve_conj().numpy()
            ) if value.dtype != torch.bfloat16 else 0
        case np.ndarray():
            return value.shape, value.tobytes()
        case nn.Module():
            return signature(value)
        case list() | tuple():
            return tuple(_plain(item) for item in value)
        case dict():
            return tuple((key, _plain(item)) for key, item in value.items())
        case _ if callable(value) and hasattr(value, "__qualname__"):
            return id(value)
        case _:
            return _class(value)


def _class(value: object) -> str:
    # By name: parametrisations make a class anew for each module.
    return f"{type(value).__module__}.{type(value).__qualname__}"
