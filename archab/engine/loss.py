"""What students minimise and are scored by: an error of each number, and that of the best constant predictor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from archab.networks.streams import EVALUATION_SAMPLES


class Loss(Protocol):
    """An error that is learnt and scored by; every axis of samples, and of students in front of it, is kept.

    Example:
        >>> SquaredError().each(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
        tensor([0., 4.])
    """

    def each(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """The error of every number that was predicted; its mean over a mini-batch is what a step descends."""

    def constant(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """The mean error of the best constant predictor over the samples on `axis`, in float64, one a target."""


@dataclass(frozen=True)
class SquaredError:
    """The squared error; scores relative to the constant predictor are the NMSE."""

    def each(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """See `Loss`."""
        return (predictions - outputs).square()

    def constant(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """Mean variance of the output coordinates."""
        flat = outputs.double().flatten(axis + 1) if outputs.dim() > axis + 1 else outputs.double().unsqueeze(-1)
        return flat.var(axis, correction=0).mean(-1)


class Objective:
    """The mean loss of each replicate, summed over replicates; it remembers whose became NaN or infinite.

    Args:
        loss: of each number.
        axis: the first axis of the samples: 0 for one network, 1 behind a replicate axis.
    """

    def __init__(self, loss: Loss, axis: int) -> None:
        self._loss, self._axis = loss, axis
        self.total: Tensor | float = 0.0
        self.calls = 0

    def __call__(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """Predictions and outputs of one mini-batch to a scalar to call `backward` on."""
        each = self._loss.each(predictions, outputs).flatten(self._axis).mean(self._axis)
        self.total = self.total + each.detach().double()  # half precision could not hold a sum
        self.calls += 1
        return each.sum()

    def finite(self) -> Tensor:
        """Whether every loss so far was finite, one entry a replicate."""
        return torch.as_tensor(self.total).isfinite()


def relative_error(
    loss: Loss, predict: Callable[[Tensor], Tensor], inputs: Tensor, outputs: Tensor, axis: int
) -> Tensor:
    """The mean error over that of the best constant predictor, in float64, one entry a replicate.

    `inputs` and `outputs` have their samples on `axis`, as in `Objective`.
    """
    total = torch.zeros((), dtype=torch.float64, device=outputs.device)
    with torch.no_grad():
        for start in range(0, inputs.shape[axis], EVALUATION_SAMPLES):
            length = min(EVALUATION_SAMPLES, inputs.shape[axis] - start)
            wanted = outputs.narrow(axis, start, length)
            error = loss.each(predict(inputs.narrow(axis, start, length)).double(), wanted.double())
            total = total + error.flatten(axis).sum(axis)
        constant = loss.constant(outputs, axis)
    return total / outputs[0].numel() / constant if axis else total / outputs.numel() / constant
