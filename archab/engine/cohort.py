"""The seam between the comparison and the engines: a cohort of students goes in, their errors come out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from archab.engine.curve import Curve
from archab.networks.noise import Counter
from archab.networks.population import Population
from archab.networks.streams import EVALUATION_SAMPLES
from archab.space.routine import Routine


@dataclass(frozen=True)
class Cohort:
    """Students of one side and member that learn a run of T targets, `restarts` students each.

    Attributes:
        students: draws the T × restarts students from their prior, those of one target side by side.
        noise: what names each student's stream of dropout and other noise, 63 bits each.
        routine: how each of them trains.
        minibatch: samples a mini-batch.
        inputs, outputs: training samples, shape (T, n, …).
        heldout_inputs, heldout_outputs: fresh samples, shape (T, h, …).
        order: the order of the samples in an epoch, shape (T, n): both sides' students meet the same.
        restarts: students a target.
        device: where they train.
        advance: called with the number of students (or the part of one) that has been trained since the last call.
        curves: where engines put the training curves; None where none are asked for.
    """

    students: Callable[[], Population]
    noise: list[int]
    routine: Routine
    minibatch: int
    inputs: Tensor
    outputs: Tensor
    heldout_inputs: Tensor
    heldout_outputs: Tensor
    order: Callable[[int], Tensor]
    restarts: int
    device: torch.device
    advance: Callable[[float], None]
    curves: list[Curve] | None = None


@dataclass(frozen=True)
class Outcome:
    """What training gave, an entry a student: held-out and training NMSE, and whether its loss or a parameter broke."""

    nmse: np.ndarray
    train_nmse: np.ndarray
    diverged: np.ndarray


Trainer = Callable[[Cohort], Outcome]


class Batches:
    """The mini-batches of one epoch after another: each pass over it is an epoch, its length the steps of one."""

    def __init__(
        self,
        take: Callable[[Tensor], tuple[Tensor, Tensor]],
        order: Callable[[int], Tensor],
        minibatch: int,
        samples: int,
        counter: Counter,
        epoch_done: Callable[[], None],
        step_done: Callable[[], None],
    ) -> None:
        self._take, self._order, self._minibatch, self._counter = take, order, minibatch, counter
        self._epoch, self._epoch_done, self._steps = 0, epoch_done, -(-samples // minibatch)
        self._step_done = step_done

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order(self._epoch)
        self._epoch += 1
        for at in order.split(self._minibatch, dim=-1):
            self._counter.next_step()
            yield self._take(at)
            self._step_done()
        self._epoch_done()


class MeanSquaredError:
    """The mean squared error of each replicate, summed over replicates; it remembers whose became NaN or infinite.

    Args:
        axis: the first axis of the samples: 0 for one network, 1 behind a replicate axis.
    """

    def __init__(self, axis: int) -> None:
        self._axis = axis
        self.total: Tensor | float = 0.0
        self.calls = 0

    def __call__(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """Predictions and outputs of one mini-batch to a scalar to call `backward` on."""
        each = (predictions - outputs).square().flatten(self._axis).mean(self._axis)
        self.total = self.total + each.detach().double()  # half precision could not hold a sum
        self.calls += 1
        return each.sum()

    def finite(self) -> Tensor:
        """Whether every loss so far was finite, one entry a replicate."""
        return torch.as_tensor(self.total).isfinite()


def watched(cohort: Cohort, loss: MeanSquaredError) -> Callable[[], None]:
    """What to call after every step of students whose losses these are, for their training curve."""
    if cohort.curves is None:
        return lambda: None
    curve = Curve()
    cohort.curves.append(curve)
    return lambda: curve.step(loss.total, loss.calls)


def normalised_error(predict: Callable[[Tensor], Tensor], inputs: Tensor, outputs: Tensor, axis: int) -> Tensor:
    """NMSE: mean squared error over the mean variance of the output coordinates, in float64, one entry a replicate.

    `inputs` and `outputs` have their samples on `axis`, as in `MeanSquaredError`.
    """
    total = torch.zeros((), dtype=torch.float64, device=outputs.device)
    with torch.no_grad():
        for start in range(0, inputs.shape[axis], EVALUATION_SAMPLES):
            length = min(EVALUATION_SAMPLES, inputs.shape[axis] - start)
            wanted = outputs.narrow(axis, start, length)
            error = predict(inputs.narrow(axis, start, length)).double() - wanted.double()
            total = total + error.square().flatten(axis).sum(axis)
        variance = variances(outputs, axis)
    return total / outputs[0].numel() / variance if axis else total / outputs.numel() / variance


def variances(outputs: Tensor, axis: int = 1) -> Tensor:
    """Mean variance of the output coordinates, in float64, over the samples on `axis`, one entry a target."""
    flat = outputs.double().flatten(axis + 1) if outputs.dim() > axis + 1 else outputs.double().unsqueeze(-1)
    return flat.var(axis, correction=0).mean(-1)
