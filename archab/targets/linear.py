"""How well the least-squares affine map of the inputs does on each target: what a student that learnt must beat."""

import numpy as np
import torch
from torch import Tensor

from archab.engine.loss import Loss, kind
from archab.targets.base import Targets

MOST_FEATURES = 256  # 10,000 targets of so many would take longer than their students' training
CONDITION = 1e6  # of XᵀX, up to which the normal equations lose no figure that matters
AT_ONCE = 2**23  # numbers of the inputs of those that are solved together: 64 MiB


def errors(targets: Targets, loss: Loss, constant: Tensor) -> np.ndarray:
    """Held-out error of each target's affine map, relative to the best constant's, both of shape (T,).

    Fitted in float64 by least squares on its training samples, whatever the loss.

    The map of least norm, where several fit alike. Its features are the input's coordinates; of integers, which name
    tokens or classes, whether each place holds each value between the least and the largest of the training samples.

    Returns:
        NaN where there are more than 256 features, or a sample is not finite: the map is then not known; and where the
        loss is of classes or odds, for which no least squares give a map.
    """
    widths = _widths(targets.inputs)
    found = np.full(len(widths), np.nan)
    if kind(loss) != "numbers":
        return found
    known = (widths <= MOST_FEATURES).nonzero().flatten()
    samples = targets.inputs.shape[1] + targets.heldout_inputs.shape[1]
    at_once = max(1, AT_ONCE // (samples * MOST_FEATURES))
    for few in known.split(at_once) if len(known) else ():
        some = few if len(few) > 1 else few.repeat(2)  # a product of one matrix is rounded otherwise
        inputs, heldout = _features(targets.inputs[some], targets.heldout_inputs[some])
        outputs, wanted = (y[some].double().flatten(2) for y in (targets.outputs, targets.heldout_outputs))
        finite = inputs.sum((1, 2)).isfinite()  # in a tenth of the time of looking at each
        solved = _solved(inputs.where(finite.view(-1, 1, 1), 0.0), outputs)
        off = loss.each(heldout @ solved, wanted).mean((1, 2)) / constant[some]
        found[some.numpy()] = off.where(finite & off.isfinite(), torch.nan).numpy()
    return found


def _solved(inputs: Tensor, outputs: Tensor) -> Tensor:
    """The least-squares maps of least norm from inputs (T, n, f) to outputs (T, n, o), shape (T, f, o).

    By the normal equations, five times as fast, where the condition number of XᵀX (1-norm) is small; else by singular
    values.
    """
    gram = inputs.mT @ inputs
    inverse, failed = torch.linalg.inv_ex(gram)
    condition = torch.linalg.matrix_norm(gram, 1) * torch.linalg.matrix_norm(inverse, 1)
    solved = inverse @ (inputs.mT @ outputs)
    hard = (failed.ne(0) | ~(condition <= CONDITION)).nonzero().flatten()
    if len(hard):
        solved[hard] = torch.linalg.lstsq(inputs[hard], outputs[hard], driver="gelsd").solution
    return solved


def _widths(inputs: Tensor) -> Tensor:
    """How many features each target's inputs (T, n, …) have beside the constant, shape (T,)."""
    if _measured(inputs):
        return torch.full((len(inputs),), inputs[0, 0].numel() * (2 if inputs.is_complex() else 1))
    each = inputs.flatten(1).long()
    return inputs[0, 0].numel() * (each.amax(1) - each.amin(1) + 1)


def _features(*inputs: Tensor) -> tuple[Tensor, ...]:
    """A constant and the features of inputs (T, n, …), in float64; those of integers are counted in the first."""
    if _measured(inputs[0]):
        numbers = [torch.view_as_real(x) if x.is_complex() else x for x in inputs]
        return tuple(_with_constant(x.flatten(2)) for x in numbers)
    first = inputs[0].flatten(1).long()
    low, high = first.amin(1), first.amax(1)
    values = low.view(-1, 1, 1, 1) + torch.arange(int((high - low).max()) + 1)
    return tuple(_with_constant((x.flatten(2).long().unsqueeze(-1) == values).flatten(2)) for x in inputs)


def _measured(inputs: Tensor) -> bool:
    return inputs.is_floating_point() or inputs.is_complex()


def _with_constant(features: Tensor) -> Tensor:
    held = torch.empty(*features.shape[:2], 1 + features.shape[2], dtype=torch.float64)
    held[:, :, 0], held[:, :, 1:] = 1.0, features  # converted as it is copied
    return held
