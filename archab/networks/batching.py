"""What networks run under when `vmap` runs many: torch's embedding put right, and no word about missing rules."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def batching() -> Iterator[None]:
    """Enter this around every call under `vmap`."""
    with warnings.catch_warnings(), patch.object(F, "embedding", _embedding), sdpa_kernel(SDPBackend.MATH):
        warnings.filterwarnings("ignore", message="There is a performance drop")
        yield


_torchs_embedding = F.embedding


def _embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None, *rest: Any, **named: Any) -> Tensor:
    """`F.embedding`; torch 2.13's batching rule forgets that the padding row does not learn."""
    if padding_idx is not None:
        padding = torch.arange(len(weight), device=weight.device) == padding_idx % len(weight)
        weight = torch.where(padding.unsqueeze(1), weight.detach(), weight)
    return _torchs_embedding(input, weight, None, *rest, **named)
