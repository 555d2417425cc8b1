"""Random streams: everything drawn in a run is a function of its one seed and of what is drawn, never of how.

A tile is a run of targets whose random numbers come from one stream. Numbers are drawn on the CPU, whole or from the
start, and cut to what is needed: more targets extend the same draws, and no engine, chunk or device changes them.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch
from numpy.random import SeedSequence

EVALUATION_SAMPLES = 512  # a constant, since a network may mix the samples of a batch
TILE_TARGETS = 512
TILE_BYTES = 32 * 2**20


class Stage(IntEnum):
    """What a stream is for."""

    TARGET = 0
    INPUTS = 1
    ORDER = 2
    STUDENT = 3
    NOISE = 4
    CHECK = 5
    INITIAL = 6
    DISTURBANCE = 7


SIDES = ("a", "b", "reference")


def stream(seed: int, stage: Stage, source: str, side: str, member: int, tile: int, k: int) -> SeedSequence:
    """The stream of one tile.

    Args:
        seed: the run's seed.
        stage: what is drawn.
        source: the side that the targets are drawn from.
        side: whose numbers these are: `source` again for targets, the student's side for students.
        member: index of the member.
        tile: index of the tile.
        k: the restart of a student, the epoch of an order, or the attempt at drawing a target.
    """
    return SeedSequence(seed, spawn_key=(stage, SIDES.index(source), SIDES.index(side), member, tile, k))


def generator(sequence: SeedSequence) -> torch.Generator:
    """Torch's generator at the start of a stream."""
    return torch.Generator().manual_seed(_word(sequence))


def words(sequence: SeedSequence, count: int) -> list[int]:
    """The first `count` numbers of a stream, each of 63 bits."""
    return [int(word) >> 1 for word in sequence.generate_state(count, np.uint64)]


@contextmanager
def forked(sequence: SeedSequence) -> Iterator[None]:
    """The global generators of torch, numpy and `random` at the start of a stream; afterwards as they were before."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 (constructors may use it)
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        try:
            seed = _word(sequence)
            torch.default_generator.manual_seed(
                seed
            )  # torch.manual_seed notes a whole traceback for each idle GPU back end
            if torch.cuda.is_available():
                torch.cuda.manual_seed_all(seed)
            np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002
            random.seed(seed)
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def tile_size(bytes_per_target: int) -> int:
    """Targets a tile: the largest power of two up to 512 that keeps a tile within 32 MiB, and at least one."""
    fitting = max(1, min(TILE_TARGETS, TILE_BYTES // max(1, bytes_per_target)))
    return int(1 << (fitting.bit_length() - 1))


def tiles(first: int, last: int, size: int) -> Iterator[tuple[int, int, int]]:
    """The tiles that hold the draws first … last − 1, as (tile, start, stop) with start and stop inside the tile."""
    for tile in range(first // size, -(-last // size)):
        yield tile, max(first - tile * size, 0), min(last - tile * size, size)


def _word(sequence: SeedSequence) -> int:
    return int(sequence.generate_state(1, np.uint64)[0])
