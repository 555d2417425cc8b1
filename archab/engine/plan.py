"""Which engine trains a member's students, and how many at once: by configuration and shapes, never by a timing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch

from archab.engine import batched, loop
from archab.engine.check import why_not_batched
from archab.engine.cohort import Trainer
from archab.errors import ArchabError
from archab.space.examine import Shape
from archab.space.inputs import Inputs
from archab.space.space import ArchitecturalSpace

AT_ONCE = 512  # eager vmap gains nothing from more (measured on n_diagonal), and an interrupted run loses a chunk
LARGE = 250_000  # learnable parameters of a student from which batching stopped paying (1.2 times at dim 256, depth 4)
LOOP_CHUNK = 16  # students after which the loop's rows are written


@dataclass(frozen=True)
class Method:
    """How the students of one side and member train.

    Attributes:
        engine: `vmap` or `loop`.
        chunk: students whose rows are written together.
        threads: torch's threads while they train.
        why: why the loop, where another engine was asked for; empty otherwise.
        train: the trainer.
    """

    engine: str
    chunk: int
    threads: int
    why: str = ""
    train: Trainer = field(default=loop.train, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """What is written down before the first student trains."""
        return {key: value for key, value in asdict(self).items() if key != "train"}


@dataclass(frozen=True)
class Candidate:
    """What an engine decides from: one member of one side, on one device."""

    space: ArchitecturalSpace
    member: int
    shape: Shape
    minibatch: int
    inputs: Inputs
    device: torch.device


class Engine(Protocol):
    """A choice of the group `engine`."""

    def method(self, candidate: Candidate) -> Method:
        """How this candidate's students train."""


@dataclass(frozen=True)
class Vmap:
    """Students of one member at once, by `torch.func.vmap`, where that gives the loop's results; else the loop.

    Attributes:
        memory: MiB for the state of the students that train at once.
        chunk: students at once; null for as many as fit, up to 512.
    """

    memory: int = 1024
    chunk: int | None = None

    def __post_init__(self) -> None:
        _check(self.memory, self.chunk)

    def method(self, candidate: Candidate) -> Method:
        """Batched where the engine's check passes."""
        with threads(1):
            why = why_not_batched(
                candidate.space,
                candidate.member,
                candidate.minibatch,
                candidate.inputs,
                candidate.shape.output,
                candidate.device,
            )
        if why is not None:
            return Loop(self.memory, self.chunk).method(candidate, why)
        shape, memory = candidate.shape, self.memory * 2**20
        chunk = self.chunk or max(1, min(AT_ONCE, memory // shape.step_bytes))
        evaluated = batched.evaluated_at_once(memory, shape.step_bytes, shape.output_bytes, candidate.minibatch)
        return Method("vmap", chunk, _threads(shape), train=batched.trainer(evaluated))


@dataclass(frozen=True)
class Loop:
    """One student after another; `chunk` is the number of students whose rows are written together."""

    memory: int = 1024
    chunk: int | None = None

    def __post_init__(self) -> None:
        _check(self.memory, self.chunk)

    def method(self, candidate: Candidate, why: str = "") -> Method:
        """The loop."""
        return Method("loop", self.chunk or LOOP_CHUNK, _threads(candidate.shape), why)


@dataclass(frozen=True)
class Auto:
    """Batched where it pays: the loop for networks so large that one of them fills the machine."""

    memory: int = 1024
    chunk: int | None = None

    def __post_init__(self) -> None:
        _check(self.memory, self.chunk)

    def method(self, candidate: Candidate) -> Method:
        """`Vmap`'s method for small networks, `Loop`'s for large ones."""
        engine = Loop if candidate.shape.parameters >= LARGE else Vmap
        return engine(self.memory, self.chunk).method(candidate)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch with this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_named(name: str) -> torch.device:
    """The device called `cpu`, `cuda`, `cuda:N` or `auto` (a GPU where there is one).

    Raises:
        ArchabError: if it is not there.
    """
    if not isinstance(name, str):
        raise ArchabError(f"device={name!r}: one of cpu, cuda, cuda:N or auto")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ArchabError(f"device={name}: one of cpu, cuda, cuda:N or auto")
    there = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= there:
        found = f"{there} CUDA devices" if there else "no CUDA device"
        raise ArchabError(
            f"device={name}: torch finds {found} on this machine; device=cpu or device=auto runs anywhere"
        )
    return device


def _threads(shape: Shape) -> int:
    # At the small operations of small networks threads wait for each other, and for any other process on the machine: a
    # busy neighbour made two threads 20 times slower than one, which is at most 1.4 times slower than two.
    return torch.get_num_threads() if shape.parameters >= LARGE else 1


def _check(memory: int, chunk: int | None) -> None:
    if not isinstance(memory, int) or memory < 1:
        raise ArchabError(f"engine.memory={memory!r}: at least 1 MiB is needed")
    if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
        raise ArchabError(f"engine.chunk={chunk!r}: at least 1 student at once, or null for as many as fit")
