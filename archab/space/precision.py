"""The precision of a side: its networks are drawn as they are built, then rounded to the dtype that they train in."""

from typing import Any

import torch
from torch import Tensor, nn

PRECISIONS = {
    str(dtype).removeprefix("torch."): dtype for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16)
}


def converted(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The network with its floating-point parameters and buffers in this dtype, in place.

    In half precision it answers in float32, so that no loss and no score is rounded again.

    Example:
        >>> line = converted(nn.Linear(2, 1), torch.bfloat16)
        >>> line.weight.dtype, line(torch.ones(3, 2, dtype=torch.bfloat16)).dtype
        (torch.bfloat16, torch.float32)
    """
    network.to(dtype)
    if _wide(dtype) != dtype:
        # In front of what a network's answers pass through later, which is then not rounded either.
        network.register_forward_hook(_widened, prepend=True)
    return network


def of_answers(network: nn.Module) -> torch.dtype:
    """The dtype that a network answers and is taught in: that of its parameters, float32 where it was `converted`."""
    dtype = next(network.parameters()).dtype.to_real()
    return _wide(dtype) if _widened in network._forward_hooks.values() else dtype


def _widened(network: nn.Module, inputs: Any, output: Any) -> Any:
    return output.to(_wide(output.dtype)) if isinstance(output, Tensor) and output.is_floating_point() else output


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
