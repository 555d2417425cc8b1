"""Targets that no network draws: a task gives the samples, which are checked, standardised and named here."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from numpy.random import SeedSequence
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from archab.engine.loss import Loss, kind
from archab.errors import ArchabError, explain
from archab.networks.streams import Stage, forked, generator, stream
from archab.space.inputs import Inputs
from archab.space.routine import settings
from archab.targets.base import SMALLEST_SCALE, Targets, joined, orders, sampled

ATTEMPTS = 20
UNCOUNTED = -100  # the label of a position that does not count, as torch's own losses have it
POOL = 1024  # samples of a task from which inputs are taken where no outputs are asked for


class Task(Protocol):
    """What is learnt where no network draws it. A plain function of the inputs is one, see `archab.targets.function`.

    Attributes:
        name: what a verdict calls it.
        drawn: whether a target is drawn anew, or differs from others in its samples alone.
        rows: how many samples there are, of a data set; None where they have no end.

    One that has a method `check` is given some inputs (n, *input_shape) before training, to refuse what it cannot take.

    Example:
        >>> class Doubling:
        ...     name, drawn, rows = "doubling", False, None
        ...     def draw(self, training, heldout, inputs, generator):
        ...         x = inputs(training + heldout)
        ...         return x, 2 * x
        >>> task: Task = Doubling()
        >>> x, y = task.draw(3, 1, lambda count: torch.ones(count, 2), torch.Generator())
        >>> y.shape
        torch.Size([4, 2])
    """

    @property
    def name(self) -> str: ...
    @property
    def drawn(self) -> bool: ...
    @property
    def rows(self) -> int | None: ...

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """The samples of one target, first those of training: inputs and outputs, shapes (training + heldout, …).

        Args:
            training, heldout: how many.
            inputs: draws so many of the comparison's inputs; a task may have inputs of its own.
            generator: all that is drawn comes from it alone.

        Returns:
            Outputs are numbers, or integers: the index of a class each, -100 where a position does not count.
        """


def said(task: Task, training: int, heldout: int) -> str:
    """What a target of this task is, in a sentence or two."""
    if task.rows is not None:
        return (
            f"A target is a split of {task.name}: {training:,} rows to learn and {heldout:,} to score, of "
            f"{task.rows:,}. Splits overlap, so that they are no independent data: the interval and the p-value are "
            "Nadeau and Bengio's, who correct for it, and speak of data sets like this one."
        )
    if task.drawn:
        return f"A target is drawn from {task.name}, with samples of its own."
    return (
        f"A target is {task.name}, the same each time, with samples of its own: rounds differ in samples and "
        f"initialisations, and the verdict is on this one {_kind_of(task)}."
    )


def place(task: Task) -> str:
    """Where a verdict holds that holds on no distribution of functions; empty where it is on one."""
    if task.rows is not None:
        return f"splits of {task.name}"
    return "" if task.drawn else f"this one {_kind_of(task)}, {task.name}"


def _kind_of(task: Task) -> str:
    return "function" if hasattr(task, "function") else "task"


def told_apart(tasks: Sequence[Task]) -> list[str]:
    """What each of these is called among the others: by its settings, as "pairs 4", where these differ."""
    known = [settings(getattr(task, "function", task)) for task in tasks]
    keys = [key for key in known[0] if len({repr(one.get(key)) for one in known}) > 1]
    named = [", ".join(f"{key} {one.get(key)}" for key in keys) for one in known]
    same_kind = len({task.name for task in tasks}) == 1
    return named if keys and same_kind else [task.name for task in tasks]


@dataclass(frozen=True)
class TaskSource:
    """Targets of one member, by a task; see `TargetSource`.

    Attributes:
        task: gives the samples.
        member: whose targets they are; splits of a data set are the same for all.
        inputs: the comparison's distribution of inputs.
        shape: of one input.
        output: shape of what a student answers to one.
        loss: what students are to minimise.
        samples, heldout: numbers of training and of held-out samples.
        tile: targets a tile.
        seed: the run's seed.
    """

    task: Task
    member: int
    inputs: Inputs
    shape: tuple[int, ...]
    output: tuple[int, ...]
    loss: Loss
    samples: int
    heldout: int
    tile: int
    seed: int

    def tiled(self, tile: int) -> "TaskSource":
        """See `TargetSource`."""
        return replace(self, tile=tile)

    def draw(self, first: int, last: int) -> Targets:
        """The targets first … last − 1.

        Raises:
            ArchabError: if the task gives no samples of the right shapes and types, or outputs that never vary.
        """
        return joined([self._target(i) for i in range(first, last)])

    def order(self, first: int, last: int, epoch: int) -> Tensor:
        """See `TargetSource`."""

        def draws(tile: int) -> SeedSequence:
            return stream(self.seed, Stage.ORDER, "reference", "reference", self.member, tile, epoch)

        return orders(draws, first, last, self.tile, self.samples)

    def check(self) -> None:
        """Raise an ArchabError where the task cannot be drawn, or not twice alike."""
        once, again = self.draw(0, 1), self.draw(0, 1)
        if hasattr(self.task, "check"):
            self.task.check(once.inputs[0])
        if self.task.rows is not None:  # one of which may be in no split but a later one
            replace(self, samples=self.task.rows - self.heldout).draw(0, 1)
        if once.names != again.names:
            raise ArchabError(
                f"target: {self.task.name} is drawn from a source that no seed sets; draw from the generator that it "
                "is given"
            )

    def labelled(self) -> bool:
        """Whether outputs are labels."""
        here = stream(self.seed, Stage.TARGET, "reference", "reference", self.member, 0, 0)
        return self._classes(self._samples(generator(here), here)[1])

    def _target(self, i: int) -> Targets:
        member = 0 if self.task.rows is not None else self.member
        for attempt in range(ATTEMPTS):
            here = stream(self.seed, Stage.TARGET, "reference", "reference", member, i, attempt)
            inputs, outputs = self._samples(generator(here), here)
            given, location, scale = self._standardised(outputs)
            if _varies(given[: self.samples]) and _varies(given[self.samples :]):
                n = self.samples
                names = (hashlib.blake2b(b"".join(map(_bytes, (inputs, given))), digest_size=8).hexdigest(),)
                made = [t.unsqueeze(0) for t in (inputs[:n], given[:n], inputs[n:], given[n:], location, scale)]
                return Targets(names, attempt, *made)
            if not self.task.drawn and self.task.rows is None:
                break
        raise ArchabError(
            f"target: {self.task.name} gives outputs that do not vary over {self.samples:,} training samples and "
            f"{self.heldout:,} held-out ones"
        )

    def _samples(self, draws: Generator, here: SeedSequence) -> tuple[Tensor, Tensor]:
        """Inputs and outputs as the task gives them, with their shapes and types checked."""
        count, name = self.samples + self.heldout, self.task.name

        def inputs(number: int) -> Tensor:
            with forked(here):
                return sampled(self.inputs, (1, number, *self.shape), draws)[0]

        x, y = _drawn(self.task, self.samples, self.heldout, inputs, draws)
        if not isinstance(x, Tensor) or tuple(x.shape) != (count, *self.shape):
            got = list(x.shape[1:]) if isinstance(x, Tensor) and len(x) == count else _kind(x)
            raise ArchabError(f"target: inputs of {name} have shape {got}, and the sides take {list(self.shape)}")
        if not isinstance(y, Tensor) or y.dim() == 0 or len(y) != count:
            raise ArchabError(
                f"target: {name} gives {_kind(y)} for {count:,} samples; a tensor is needed whose first axis is theirs"
            )
        for what, t in (("inputs", x), ("outputs", y)):
            if t.is_complex() or (t.is_floating_point() and not t.isfinite().all()):
                wrong = "complex numbers" if t.is_complex() else "NaN or infinite numbers"
                raise ArchabError(f"target: {what} of {name} hold {wrong}; real and finite ones are needed")
        return (x.float() if x.is_floating_point() else x), y

    def _standardised(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs as students are to give them, (y − location) / scale, with the two; classes and odds as they are."""
        plain = torch.zeros(self.output), torch.ones(())
        if self._classes(y):
            return self._shares(y), *plain
        if y.shape[1:] == self.output[:-1] and self.output[-1:] == (1,):
            y = y.unsqueeze(-1)
        if tuple(y.shape[1:]) != self.output:
            raise ArchabError(
                f"target: an output of {self.task.name} has shape {list(y.shape[1:])}, one of the sides "
                f"{list(self.output)}; both must have the same"
            )
        if kind(self.loss) == "odds":
            if not ((y == 0) | (y == 1)).all():
                raise ArchabError(f"loss: {self.loss.name} is of outputs of 0 or 1; {_range(self.task, y)}")
            return y.float(), *plain
        numbers = y.double()
        location = numbers[: self.samples].mean(0)
        scale = (numbers[: self.samples] - location).square().mean().sqrt()
        if not scale >= SMALLEST_SCALE:
            scale = torch.tensor(math.inf, dtype=torch.float64)  # all 0 then, which does not vary
        return ((numbers - location) / scale).float(), location, scale

    def _classes(self, y: Tensor) -> bool:
        """Whether these outputs are labels."""
        whole = not y.is_floating_point() and y.dtype != torch.bool
        if kind(self.loss) == "classes":
            if whole:
                return True
            raise ArchabError(
                f"loss: {self.loss.name} needs integers, the index of a class each; outputs of {self.task.name} are "
                f"of type {y.dtype}"
            )
        return whole and kind(self.loss) == "numbers" and y.dim() == len(self.output) and self.output[-1] > 1

    def _shares(self, y: Tensor) -> Tensor:
        """Labels as 1 for the right class and 0 for others; all 0 where a position does not count."""
        classes = self.output[-1] if self.output else 0
        if (*y.shape[1:], classes) != self.output:
            raise ArchabError(
                f"target: labels of {self.task.name} have shape {list(y.shape[1:])} and outputs of the sides "
                f"{list(self.output)}; a logit for each class on one axis more is needed"
            )
        counted = y != UNCOUNTED
        if kind(self.loss) != "classes" and not counted.all():
            raise ArchabError(
                f"loss: {self.loss.name} counts every position, and labels of {self.task.name} are -100 where one does "
                "not count; loss=cross_entropy is needed"
            )
        if (counted & ((y < 0) | (y >= classes))).any():
            raise ArchabError(
                f"target: {_range(self.task, y[counted])}, and outputs of the sides have {classes} classes: "
                f"0 to {classes - 1}"
            )
        return (one_hot(y.long().where(counted, 0), classes) * counted.unsqueeze(-1)).float()


@dataclass(frozen=True)
class TaskInputs:
    """The inputs of a task's samples, whatever their outputs: an `Inputs`.

    Attributes:
        task: gives samples.
        inputs: the comparison's distribution of inputs.
        shape: of one input.
    """

    task: Task
    inputs: Inputs
    shape: tuple[int, ...]

    def __call__(self, shape: Sequence[int], generator: Generator) -> Tensor:
        """Draw inputs of this shape, whose last axes are those of one; where they are many, some more than once."""
        lead = tuple(shape[: len(shape) - len(self.shape)])
        count = math.prod(lead)
        pool = min(count, POOL, self.task.rows or POOL)

        def inputs(number: int) -> Tensor:
            return sampled(self.inputs, (1, number, *self.shape), generator)[0]

        x, _ = _drawn(self.task, max(pool - 1, 1), 1, inputs, generator)
        if not isinstance(x, Tensor) or tuple(x.shape[1:]) != tuple(self.shape):
            got = list(x.shape[1:]) if isinstance(x, Tensor) else _kind(x)
            raise ArchabError(
                f"input_shape: an input of the target {self.task.name} has {got}, and the sides take {list(self.shape)}"
            )
        x = x.float() if x.is_floating_point() else x
        return x[torch.randint(len(x), (count,), generator=generator)].reshape(*lead, *self.shape)


def _drawn(
    task: Task, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
) -> tuple[Tensor, Tensor]:
    try:
        x, y = task.draw(training, heldout, inputs, generator)
    except ArchabError:
        raise
    except Exception as error:
        raise ArchabError(f"target: {task.name} failed on {training + heldout:,} samples: {explain(error)}") from error
    return x, y


def _varies(outputs: Tensor) -> bool:
    """Whether some of these samples have other outputs, those aside that do not count."""
    counted = outputs if outputs.dim() == 1 else outputs.flatten(1)
    return len(counted) > 1 and bool((counted != counted[:1]).any())


def _range(task: Task, y: Tensor) -> str:
    return f"outputs of {task.name} go from {y.min().item():g} to {y.max().item():g}"


def _kind(value: object) -> str:
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()
