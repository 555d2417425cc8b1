"""Activation functions by their name in torch, so that a configuration can choose one."""

from collections.abc import Callable

import torch
from torch import Tensor


def named(name: str) -> Callable[[Tensor], Tensor]:
    """The elementwise function of this name in `torch` or `torch.nn.functional`; `identity` leaves values as they are.

    Raises:
        ValueError: if there is none.
    """
    if name == "identity":
        return torch.clone
    for module in (torch, torch.nn.functional):
        function = getattr(module, name, None)
        if callable(function):
            return function
    raise ValueError(f"activation={name}: no such function in torch or torch.nn.functional, such as relu, tanh or gelu")
