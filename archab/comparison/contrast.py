"""How far apart both sides' functions are at the same weights, and at which scales they begin: measured before training."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import nn

from archab.comparison.initial import answer, drawn, fresh, streams
from archab.engine.loss import SquaredError, relative_error
from archab.engine.plan import threads
from archab.evidence.contrast import Contrast
from archab.space.inputs import Inputs
from archab.space.measure import registered
from archab.space.space import ArchitecturalSpace

SIDES, PURPOSE = ("a", "b"), 0


def contrasts(spaces: Mapping[str, ArchitecturalSpace], inputs: Inputs) -> tuple[Contrast, ...]:
    """What is known of each member; of one whose networks cannot be asked, nothing.

    Weights of one side are loaded into the other where parameters and buffers have equal names, shapes and types.
    """
    with threads(1):
        return tuple(_contrast(spaces, member, inputs) for member in range(len(spaces["a"])))


def _contrast(spaces: Mapping[str, ArchitecturalSpace], member: int, inputs: Inputs) -> Contrast:
    loss, apart = SquaredError(), list[float]()
    variances: dict[str, list[float]] = {side: [] for side in SIDES}
    try:
        for side, other in zip(SIDES, SIDES[::-1], strict=True):
            sources = streams(side, member, PURPOSE)
            taker = drawn(spaces[other], member, sources[0])
            for source, x in zip(sources, fresh(inputs, spaces[side], sources[0]), strict=True):
                network = drawn(spaces[side], member, source)
                outputs = answer(network, x)
                variances[side].append(float(loss.constant(outputs, axis=0)))
                if _described(taker) == _described(network):
                    taker.load_state_dict(network.state_dict(), strict=True)
                    apart.append(float(relative_error(loss, partial(answer, taker), x, outputs, axis=0)))
    except Exception:  # of a user's network, in what a run would not ask of it
        return Contrast()
    scales = [math.sqrt(np.mean(variances[side])) for side in SIDES]
    return Contrast(float(np.median(apart)) if apart else math.nan, *scales)


def _described(network: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in registered(network).items()}
