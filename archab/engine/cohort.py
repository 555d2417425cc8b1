"""The seam between the comparison and the engines: a cohort of students goes in, their errors come out."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from threading import Event

import numpy as np
import torch
from torch import Tensor

from archab.engine.curve import Curve
from archab.engine.loss import Loss, Objective, SquaredError
from archab.networks.noise import Counter
from archab.networks.population import Population
from archab.space.routine import Descent, Routine


@dataclass(frozen=True)
class Cohort:
    """Students of one side and member that learn a run of T targets, `restarts` students each.

    Attributes:
        students: draws the T × restarts students from their prior, those of one target side by side.
        noise: what names each student's stream of dropout and other noise, 63 bits each.
        routines: how each of them trains, an entry a student; those of one cohort differ in numbers alone, see
            `archab.space.routine.kind`.
        minibatch: samples a mini-batch.
        inputs, outputs: training samples, shape (T, n, …).
        heldout_inputs, heldout_outputs: fresh samples, shape (T, h, …).
        constant, heldout_constant: the mean error of the best constant predictor on either, shape (T,), in float64.
        order: the order of the samples in an epoch, shape (T, n): both sides' students meet the same.
        restarts: students a target.
        device: where they train.
        advance: called with the number of students (or the part of one) that has been trained since the last call.
        curves: where engines put the training curves; None where none are asked for.
        loss: what they minimise, and are scored by.
    """

    students: Callable[[], Population]
    noise: list[int]
    routines: Sequence[Routine]
    minibatch: int
    inputs: Tensor
    outputs: Tensor
    heldout_inputs: Tensor
    heldout_outputs: Tensor
    constant: Tensor
    heldout_constant: Tensor
    order: Callable[[int], Tensor]
    restarts: int
    device: torch.device
    advance: Callable[[float], None]
    curves: list[Curve] | None = None
    loss: Loss = SquaredError()

    @property
    def routine(self) -> Routine:
        """That of the first of them: epochs, mini-batches and optimiser are the same for all."""
        return self.routines[0]

    def for_one_epoch(self) -> "Cohort":
        """The same, where archab's own routines train for an epoch alone; others know no epochs."""
        of = {id(r): replace(r, epochs=1, steps=None) if isinstance(r, Descent) else r for r in self.routines}
        return replace(self, routines=[of[id(r)] for r in self.routines])  # one for all who share one


@dataclass(frozen=True)
class Outcome:
    """What training gave.

    Attributes:
        nmse, train_nmse: held-out and training NMSE, an entry a student.
        accuracy: the share of held-out outputs that are right; NaN where the loss is of no classes.
        diverged: whether the loss or a parameter of each broke.
        steps: calls of the loss by one student, the mean over students: optimiser steps in archab's own routines and in
            any that takes a step a mini-batch; NaN where a routine has a loss of its own, so that they are not known.
        seconds: that training and scoring all of them took, see `archab.engine.plan.side_by_side`; NaN until known.
    """

    nmse: np.ndarray
    train_nmse: np.ndarray
    diverged: np.ndarray
    accuracy: np.ndarray
    steps: float = math.nan
    seconds: float = math.nan


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


def watched(cohort: Cohort, loss: Objective) -> Callable[[], None]:
    """What to call after every step of students whose losses these are, for their training curve."""
    if cohort.curves is None:
        return lambda: None
    curve = Curve()
    cohort.curves.append(curve)
    return lambda: curve.step(loss.total, loss.calls)


def until(stopped: Event, advance: Callable[[float], None]) -> Callable[[float], None]:
    """What to call with students that were trained: once it is stopped, it ends who calls it by a CancelledError."""

    def heeding(students: float) -> None:
        if stopped.is_set():
            raise CancelledError
        advance(students)

    return heeding
