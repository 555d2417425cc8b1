"""A run's own targets and students as functions: drawn again from their streams, trained again, asked along a line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from archab.comparison.comparison import Comparison
from archab.comparison.inspection import minibatch
from archab.comparison.plan import Part
from archab.engine.plan import Loop
from archab.evidence.fields import Verdict
from archab.experiment.build import comparison as built
from archab.experiment.context import configuration_of
from archab.networks.probe import fitting
from archab.review.functions import Functions, Typical, typical
from archab.space.inputs import Inputs
from archab.space.routine import Batches, Loss
from archab.space.space import ArchitecturalSpace
from archab.store.history import Recorded
from archab.store.mlflow import Store

POINTS, LINES = 161, 40  # of a line, and how many there are to choose from
SHOWN = 16  # targets
_SEED = 20193


@dataclass(frozen=True)
class _Lines:
    """The inputs of a comparison, with lines in the place of the held-out samples.

    Attributes:
        inputs: their distribution.
        points: shape (lines × points, *input_shape).
    """

    inputs: Inputs
    points: Tensor

    def __call__(self, shape: Sequence[int], generator: Generator) -> Tensor:
        if shape[1] != len(self.points):
            return self.inputs(shape, generator)
        return self.points.expand(shape[0], *self.points.shape)


def functions_of(one: Recorded, verdict: Verdict, store: Store) -> Functions | None:
    """Targets and students of a configuration as curves; None where the store holds no configuration to draw them by.

    Raises:
        ArchabError: if its networks cannot be built or trained here.
    """
    chosen = typical(verdict, SHOWN)
    if chosen is None:
        return None
    [run] = [run for run in one.runs if run.seed == chosen.seed]
    config = configuration_of(run, store)
    if not config:
        return None
    return portray(built(config), chosen)


def portray(comparison: Comparison, typical: Typical) -> Functions | None:
    """The first targets of a member, and one student a side on the typical one.

    Args:
        comparison: as the run was configured, with the seed of the target.

    Returns:
        Along a line and in an output coordinate on which the errors of both sides are about what they are over all
        inputs; None where inputs are no numbers that a line could join, and of tasks, which have samples alone.

    Raises:
        ArchabError: if the networks cannot be built or trained.
    """
    points = None if comparison.target else _lines(comparison)
    if points is None:
        return None
    answers: dict[str, list[Tensor]] = {"a": [], "b": []}
    a_side, b_side = (
        replace(space, routine=_watching(space, typical.member, points, answers[side]))
        for side, space in (("a", comparison.a), ("b", comparison.spaces["b"]))
    )
    few = replace(
        comparison,
        a=a_side,
        b=b_side,
        engine=Loop(),
        device="cpu",
        inputs=_Lines(comparison.inputs, points),
        heldout_samples=len(points),
        restarts=1,
        protocol="reference" if comparison.rules.twins else comparison.protocol_name,
        reference=comparison.spaces.get("reference"),
    )
    lesson = few.plan.lessons[typical.member, typical.source]
    # Targets are drawn in tiles, whose size depends on how many samples there are.
    lesson = replace(lesson, source=lesson.source.tiled(comparison.tile(typical.member, typical.source)))
    few.plan.lessons[typical.member, typical.source] = lesson
    last = max(typical.draw + 1, min(SHOWN, lesson.parts[-1].last))
    targets = _by_line(lesson.source.draw(max(0, last - SHOWN), last).heldout_outputs)
    chosen = typical.draw - max(0, last - SHOWN)
    few.run(Part(typical.member, typical.source, typical.draw, typical.draw + 1))
    a, b = (_by_line(answers[side][0].unsqueeze(0))[0] for side in ("a", "b"))
    k = _telling(targets[chosen], a, b, typical)
    x = np.linspace(0, 1, targets.shape[-1])
    return Functions(x, targets[:, k].numpy(), chosen, a[k].numpy(), b[k].numpy())


def _lines(comparison: Comparison) -> Tensor | None:
    """Each through two of the inputs, and beyond either of them by half of what they are apart."""
    shape = comparison.a.input_shape
    ends = comparison.inputs((LINES, 2, *shape), torch.Generator().manual_seed(_SEED))
    if not ends.is_floating_point():
        return None
    t = torch.linspace(-0.5, 1.5, POINTS).view(1, -1, *[1] * len(shape))
    return (ends[:, :1] + t * (ends[:, 1:] - ends[:, :1])).flatten(0, 1)


def _by_line(answers: Tensor) -> Tensor:
    """Answers, shape (targets, lines × points, …), as curves, shape (targets, lines × coordinates, points)."""
    lines = answers.flatten(2).double().unflatten(1, (-1, min(POINTS, answers.shape[1])))
    return lines.transpose(2, 3).flatten(1, 2)


def _telling(target: Tensor, a: Tensor, b: Tensor, typical: Typical) -> int:
    """Of the tenth of the curves on which the errors and their ratio are nearest to the rows', the one of longest way.

    A target of variance 1 along a flat piece of it looks like nothing, whatever the students make of it.
    """
    # Outputs have variance 1, so that a squared error is about an NMSE.
    off_a, off_b = (
        (curve - target).square().mean(1).clamp_min(1e-12).log() - y for curve, y in ((a, typical.a), (b, typical.b))
    )
    mismatch = (off_a - off_b).abs() + (off_a + off_b).abs() / 2
    near = (mismatch <= mismatch.sort().values[len(mismatch) // 10]).nonzero().flatten()
    way = target[near].diff(dim=1).abs().sum(1)
    return int(near[way.argmax()])


def _watching(space: ArchitecturalSpace, member: int, points: Tensor, answers: list[Tensor]) -> Any:
    """The member's routine, after which the network is asked at these points; its mini-batch stays what it was."""
    routine, cut = space.routine_of(member), minibatch(space, member)

    def watched(network: nn.Module, batches: Batches, loss: Loss, minibatch: int = cut) -> None:
        routine(network, batches, loss)
        network.eval()
        with torch.no_grad():
            answers.append(network(fitting(network, points)))

    return watched
