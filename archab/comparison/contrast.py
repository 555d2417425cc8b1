"""How far apart both sides' functions are at the same weights, and at which scales they begin, before training."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from archab.comparison.initial import Initial, answer, initial
from archab.engine.loss import SquaredError, relative_error
from archab.engine.plan import threads
from archab.evidence.contrast import Contrast
from archab.networks.population import copied
from archab.space.inputs import Inputs
from archab.space.measure import registered
from archab.space.space import ArchitecturalSpace

PURPOSE = 0


def contrasts(spaces: Mapping[str, ArchitecturalSpace], inputs: Inputs) -> tuple[Contrast, ...]:
    """A contrast for each member; of one whose networks cannot be asked, nothing is known.

    Weights of one side are loaded into the other where parameters and buffers have equal names, shapes and types.
    """
    with threads(1):
        return tuple(_contrast(spaces, member, inputs) for member in range(len(spaces["a"])))


def _contrast(spaces: Mapping[str, ArchitecturalSpace], member: int, inputs: Inputs) -> Contrast:
    try:
        a, b = (initial(spaces[side], side, member, inputs, PURPOSE) for side in ("a", "b"))
        outputs = a.outputs(), b.outputs()
        scales = [math.sqrt(np.mean([float(SquaredError().constant(y, axis=0)) for y in own])) for own in outputs]
        apart = [*_errors(b.networks[0], a, outputs[0]), *_errors(a.networks[0], b, outputs[1])]
    except Exception:  # of a user's network, in what a run does not ask of it
        return Contrast()
    return Contrast(float(np.median(apart)) if apart else math.nan, *scales)


def _errors(network: nn.Module, drawn: Initial, outputs: list[Tensor]) -> list[float]:
    """The NMSE of a network of the other side with the weights of each of these; none where it has others."""
    taker, found = copied(network), []
    for own, x, y in zip(drawn.networks, drawn.inputs, outputs, strict=True):
        if _described(taker) == _described(own):
            taker.load_state_dict(own.state_dict(), strict=True)
            found.append(float(relative_error(SquaredError(), partial(answer, taker), x, y, axis=0)))
    return found


def _described(network: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in registered(network).items()}
