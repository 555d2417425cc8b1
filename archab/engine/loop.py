"""One student after another: the plain loop, right for every network, against which other engines are checked."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from archab.engine.cohort import Batches, Cohort, Outcome, watched
from archab.engine.loss import Objective, scores
from archab.errors import ArchabError, explain
from archab.networks.noise import Counter, unfused
from archab.networks.probe import fitting, learnt
from archab.networks.streams import forked


def train(cohort: Cohort, by_torch: bool = False) -> Outcome:
    """Train and score the students of a cohort one by one; see `fit`."""
    order = cache(cohort.order)
    outcomes, calls = [], 0
    for student, network in enumerate(cohort.students().networks()):
        loss = fit(cohort, student, network.to(cohort.device), order, by_torch)
        outcomes.append(_score(cohort, student // cohort.restarts, network, loss))
        calls += loss.calls
        cohort.advance(1.0)
    nmse, train_nmse, right, diverged = np.array(outcomes, dtype=float).reshape(-1, 4).T
    return Outcome(nmse, train_nmse, diverged.astype(bool), right, steps=calls / len(outcomes) if calls else np.nan)


def fit(
    cohort: Cohort, student: int, network: nn.Module, order: Callable[[int], Tensor], by_torch: bool = False
) -> Objective:
    """Train one student in place.

    Args:
        cohort: the student is one of it.
        student: its index.
        network: the student.
        order: the order of the samples in an epoch.
        by_torch: whether torch's own functions draw, from the student's own stream, where else a counter would.

    Raises:
        ArchabError: with the user's own exception as its cause, where the routine fails.
    """
    target, device = student // cohort.restarts, cohort.device
    inputs = fitting(network, cohort.inputs[target]).to(device)
    outputs = learnt(network, cohort.outputs[target]).to(device)
    counter, loss = Counter(torch.tensor(cohort.noise[student], device=device)), Objective(cohort.loss, axis=0)
    batches = Batches(
        take=lambda at: (inputs[at], outputs[at]),
        order=lambda epoch: order(epoch)[target].to(device),
        minibatch=cohort.minibatch,
        samples=inputs.shape[0],
        counter=counter,
        epoch_done=lambda: None,
        step_done=watched(cohort, loss),
    )
    # What the counter does not reach draws from the student's own stream.
    with forked(np.random.SeedSequence(cohort.noise[student])), unfused() if by_torch else counter:
        network.train()
        try:
            cohort.routines[student](network, batches, loss)
        except ArchabError:
            raise
        except Exception as error:
            raise ArchabError(f"the routine failed on a {type(network).__name__}: {explain(error)}") from error
    return loss


def _score(cohort: Cohort, target: int, network: nn.Module, loss: Objective) -> tuple[float, float, float, bool]:
    network.eval()

    def found(inputs: Tensor, outputs: Tensor, constants: Tensor) -> list[float]:
        here = fitting(network, inputs[target]), outputs[target], constants[target]
        x, y, constant = (t.to(cohort.device) for t in here)
        return scores(cohort.loss, network, x, y, 0, constant).tolist()

    with unfused():
        nmse, right = found(cohort.heldout_inputs, cohort.heldout_outputs, cohort.heldout_constant)
        train_nmse, _ = found(cohort.inputs, cohort.outputs, cohort.constant)
    finite = bool(loss.finite()) and all(bool(p.isfinite().all()) for p in network.parameters())
    diverged = not (finite and np.isfinite(nmse) and np.isfinite(train_nmse))
    return (np.nan, np.nan, np.nan, True) if diverged else (nmse, train_nmse, right, False)
