"""A run's own targets and students as functions: drawn again from their streams, trained again, asked along a line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from archab.comparison import Comparison
from archab.engine.plan import Loop
from archab.evidence.functions import Functions, Typical
from archab.schedule import Part
from archab.space.examine import fitting
from archab.space.inputs import Inputs
from archab.space.routine import Batches, Loss
from archab.space.space import ArchitecturalSpace
from archab.survey import minibatch

POINTS = 241  # of the line
SHOWN = 16  # targets
_SEED = 20193


@dataclass(frozen=True)
class _Line:
    """The inputs of a comparison, with a line in the place of the held-out samples.

    Attributes:
        inputs: their distribution.
        line: shape (points, *input_shape).
    """

    inputs: Inputs
    line: Tensor

    def __call__(self, shape: Sequence[int], generator: Generator) -> Tensor:
        if shape[1] != len(self.line):
            return self.inputs(shape, generator)
        return self.line.expand(shape[0], *self.line.shape)


def portray(comparison: Comparison, typical: Typical) -> Functions | None:
    """The first targets of a member, and one student a side on the typical one.

    Args:
        comparison: as the run was configured, with the seed of the target.

    Returns:
        None where inputs are no numbers that a line could join.

    Raises:
        ArchabError: if the networks cannot be built or trained.
    """
    line = _line(comparison)
    if line is None:
        return None
    answers: dict[str, list[Tensor]] = {"a": [], "b": []}
    a_side, b_side = (
        replace(space, routine=_watching(space, typical.member, line, answers[side]))
        for side, space in (("a", comparison.a), ("b", comparison.spaces["b"]))
    )
    few = replace(
        comparison,
        a=a_side,
        b=b_side,
        engine=Loop(),
        device="cpu",
        inputs=_Line(comparison.inputs, line),
        heldout_samples=len(line),
        restarts=1,
        protocol="reference" if comparison.rules.twins else comparison.protocol_name,
        reference=comparison.spaces.get("reference"),
    )
    lesson = few.plan.lessons[typical.member, typical.source]
    last = max(typical.draw + 1, min(SHOWN, lesson.parts[-1].last))
    targets = lesson.source.draw(max(0, last - SHOWN), last).heldout_outputs.flatten(2)
    chosen = typical.draw - max(0, last - SHOWN)
    few.run(Part(typical.member, typical.source, typical.draw, typical.draw + 1))
    coordinate = _liveliest(targets[chosen])
    a, b = (answers[side][0].flatten(1)[:, coordinate].double().numpy() for side in ("a", "b"))
    return Functions(np.linspace(0, 1, len(line)), targets[:, :, coordinate].double().numpy(), chosen, a, b)


def _line(comparison: Comparison) -> Tensor | None:
    """Through two of the inputs, and beyond each of them by half of what they are apart."""
    ends = comparison.inputs((1, 2, *comparison.a.input_shape), torch.Generator().manual_seed(_SEED))[0]
    if not ends.is_floating_point():
        return None
    t = torch.linspace(-0.5, 1.5, POINTS).view(-1, *[1] * len(comparison.a.input_shape))
    return ends[0] + t * (ends[1] - ends[0])


def _liveliest(answers: Tensor) -> int:
    """The output coordinate, whose curve turns most: the longest way for its range."""
    way, extent = answers.diff(dim=0).abs().sum(0), answers.amax(0) - answers.amin(0)
    return int((way / extent.clamp_min(1e-12) * (extent > 0.25 * extent.max())).argmax())


def _watching(space: ArchitecturalSpace, member: int, line: Tensor, answers: list[Tensor]) -> Any:
    """The member's routine, after which the network is asked along the line; its mini-batch stays what it was."""
    routine, cut = space.routine_of(member), minibatch(space, member)

    def watched(network: nn.Module, batches: Batches, loss: Loss, minibatch: int = cut) -> None:
        routine(network, batches, loss)
        network.eval()
        with torch.no_grad():
            answers.append(network(fitting(network, line)))

    return watched
