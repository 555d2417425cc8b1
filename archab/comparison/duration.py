"""How long training is going to take: a few steps of every family, timed; nothing is decided by it."""

import time

import torch

from archab.engine.plan import Candidate, Method, threads
from archab.space.routine import Descent, epochs_of

FEW, MORE = 4, 8  # steps; what they cost apart is that of the steps between
LEAST = 20 * (FEW + MORE)  # steps one after another from which they are worth being timed


def lasting(candidate: Candidate, method: Method) -> float:
    """Seconds that the students of one side and member are going to take; 0 where they take few steps."""
    at_once = 1 if method.engine == "loop" else min(candidate.students, method.chunk)
    rounds = -(-candidate.students // at_once)
    if candidate.steps * rounds < LEAST:
        return 0.0
    routine = candidate.sample.routine
    epochs = 1 if isinstance(routine, Descent) else epochs_of(routine, FEW) or 1
    with threads(method.threads):
        few, more = (min(_taken(candidate, method, steps, at_once) for _ in range(2)) for steps in (FEW, MORE))
    return max(0.0, more - few) / ((MORE - FEW) * epochs) * candidate.steps * rounds


def in_words(seconds: float) -> str:
    """About how long that is."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {max(1.0, seconds):.0f} s"


def _taken(candidate: Candidate, method: Method, steps: int, students: int) -> float:
    cohort = candidate.sample.cohort(steps, students).for_one_epoch()
    with torch.random.fork_rng(devices=[]):
        start = time.perf_counter()
        method.train(cohort)
        return time.perf_counter() - start
