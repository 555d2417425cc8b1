"""The same students trained in several ways: the loop that one would write by hand, archab's engines, and JAX."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from archab.engine import compiled
from archab.engine import vmap as batched
from archab.engine.cohort import Cohort
from archab.engine.cpp import compiler
from archab.engine.loss import SquaredError, constants
from archab.engine.plan import cores, threads
from archab.networks import population
from archab.networks.population import Population
from archab.networks.probe import fitting, learnt
from archab.networks.streams import forked
from archab.space.architectures import deep, transformer
from archab.space.inputs import Inputs, Normal
from archab.space.routine import AdamW
from archab.space.space import ArchitecturalSpace

MINIBATCH = 16
ROUTINE = AdamW(lr=1e-2, epochs=1, minibatch=MINIBATCH, schedule="constant")
FEW = 4  # students of the loop, whose rate does not depend on how many follow one another
LEAST = 0.2  # seconds that each is timed for
ALL = "compiled, all cores"
JAX = "JAX, one core"
ONE_CORE = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", "JAX_PLATFORMS": "cpu"}


@dataclass(frozen=True)
class Trained:
    """What one training took.

    Attributes:
        seconds: of training alone.
        work: student-steps.
        losses: of the first few students, each the mean over all of its steps.
    """

    seconds: float
    work: int
    losses: list[float]

    @property
    def rate(self) -> float:
        """Student-steps a second."""
        return self.work / self.seconds


Baseline = Callable[[], Trained]


def dense(dim: int = 5) -> ArchitecturalSpace:
    """The full matrices of `n_diagonal`, or wider ones."""
    return ArchitecturalSpace(partial(deep.dense, dim=dim, depth=4), {}, [dim], routine=ROUTINE, name="dense")


def encoder(d_model: int = 6, heads: int = 3, d_ff: int = 6, layers: int = 1, length: int = 5) -> ArchitecturalSpace:
    """Encoder layers: one as small as that of `split_transformer`, or larger ones."""
    layer = {"layers": layers, "d_model": d_model, "heads": heads, "d_ff": d_ff, "dropout": 0.0}
    return ArchitecturalSpace(transformer.encoder, layer, [length, d_model], routine=ROUTINE, name="encoder")


class Race:
    """R students of one member, each with samples and a mini-batch order of its own, and all that can train them."""

    def __init__(
        self, space: ArchitecturalSpace, students: int, steps: int, member: int = 0, inputs: Inputs = Normal()
    ) -> None:
        self.space, self.students, self.steps = space, students, steps
        with forked(np.random.SeedSequence(0)):
            self.population = population.of([space.construct(member) for _ in range(students)])
            self.cohort = _cohort(
                space.construct(member), self.population, inputs, space.input_shape, steps * MINIBATCH
            )

    def loop(self, fused: bool | None = None) -> Trained:
        """One student after another, as one would write it; `fused` as in torch.optim.AdamW."""
        given = self.population, self.cohort.inputs, self.cohort.outputs, self.cohort.order(0)
        few = list(islice(zip(given[0].networks(), *given[1:], strict=True), FEW))
        start = time.perf_counter()
        with threads(1):
            losses = [_by_hand(*student, fused) for student in few]
        return self._trained(start, losses)

    def vmap(self) -> Trained:
        """Batched by torch.func.vmap."""
        start = time.perf_counter()
        with threads(1):
            _, loss = batched.fit(self.cohort, self.population)
        return self._trained(start, loss.total)

    def program(self, workers: int) -> Baseline:
        """The compiled program on so many threads; compiled here, outside of the time that is taken."""
        network, cohort = self.population.network, self.cohort
        x, y = fitting(network, cohort.inputs[0, :MINIBATCH]), learnt(network, cohort.outputs[0, :MINIBATCH])
        source = compiled.write(network, ROUTINE, x, y, cohort.loss)
        made = compiled.Compiled(source, compiler.load(source.text), workers)

        def train() -> Trained:
            start = time.perf_counter()
            with threads(1):
                block = compiled.fit(cohort, made, self.population)
            return self._trained(start, block.get("total")[:, 0])

        return train

    @contextmanager
    def jax(self) -> Iterator[Baseline]:
        """JAX in a process of its own on one core, compiled before it is yielded."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "students.npz"
            self._write(file)
            heads = [str(m.heads) for m in self.population.network.modules() if isinstance(m, transformer.Attention)]
            command = [sys.executable, "-m", "archab.benchmark.jax", self.space.name, str(file), *heads[:1]]
            pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            with subprocess.Popen(command, env=os.environ | ONE_CORE, **pipe) as process:
                yield partial(self._ask, process)
                process.communicate()

    def _write(self, file: Path) -> None:
        """The students and their samples, for another process."""
        cohort = self.cohort
        data = {"inputs": cohort.inputs, "outputs": cohort.outputs, "order": cohort.order(0)}
        named = {f"parameter.{name}": t for name, t in self.population.tensors.items()} | data
        np.savez(file, **{name: t.detach().numpy() for name, t in named.items()})  # type: ignore[arg-type]

    def _ask(self, process: "subprocess.Popen[str]") -> Trained:
        assert process.stdin is not None
        assert process.stdout is not None
        print("train", file=process.stdin, flush=True)
        seconds, *losses = (float(word) for word in process.stdout.readline().split())
        return Trained(seconds, self.students * self.steps, losses[:FEW])

    def _trained(self, start: float, losses: Any) -> Trained:
        """`losses`: the sum over all steps, of each student that was trained."""
        seconds = time.perf_counter() - start
        means = (torch.as_tensor(losses) / self.steps).tolist()
        return Trained(seconds, len(means) * self.steps, means[:FEW])


@contextmanager
def everyone(race: Race, jax: bool) -> Iterator[dict[str, Baseline]]:
    """All that can train these students on this machine, by name; the plain loop first."""
    found: dict[str, Baseline] = {"loop": race.loop, "loop, fused AdamW": partial(race.loop, True), "vmap": race.vmap}
    if compiler.compiler() is not None:
        found |= {"compiled, one thread": race.program(1), ALL: race.program(cores())}
    if jax and find_spec("jax") and find_spec("optax"):
        with race.jax() as baseline:
            yield found | {JAX: baseline}
    else:
        yield found


def interleaved(baselines: dict[str, Baseline], repeats: int) -> dict[str, list[Trained]]:
    """Each after the other, `repeats` times, after a first round that does not count."""
    for train in baselines.values():
        train()
    rounds = [{name: _long_enough(train) for name, train in baselines.items()} for _ in range(repeats)]
    return {name: [found[name] for found in rounds] for name in baselines}


def _long_enough(train: Baseline) -> Trained:
    """The same training again and again, until it has taken 0.2 s in all."""
    runs = [train()]
    while (seconds := sum(run.seconds for run in runs)) < LEAST:
        runs.append(train())
    return Trained(seconds, sum(run.work for run in runs), runs[0].losses)


def _by_hand(
    network: nn.Module, inputs: torch.Tensor, outputs: torch.Tensor, order: torch.Tensor, fused: bool | None
) -> float:
    """One student; the sum of its losses."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=ROUTINE.lr, fused=fused)
    inputs, total = fitting(network, inputs), 0.0
    for at in order.split(MINIBATCH):
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(network(inputs[at]), outputs[at])
        loss.backward()
        nn.utils.clip_grad_value_(network.parameters(), 1.0)
        optimiser.step()
        total += loss.item()
    return total


def _cohort(teacher: nn.Module, students: Population, given: Inputs, shape: Sequence[int], samples: int) -> Cohort:
    """Their training: each learns one network, drawn from their own prior, on inputs of this shape."""
    count = len(students)
    inputs = given((count, samples, *shape), torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = torch.stack([teacher(x) for x in fitting(teacher, inputs)])
    order = torch.rand(count, samples).argsort(1)
    return Cohort(
        students=lambda: students,
        noise=list(range(count)),
        routines=[ROUTINE] * count,
        minibatch=MINIBATCH,
        inputs=inputs,
        outputs=outputs,
        heldout_inputs=inputs,
        heldout_outputs=outputs,
        constant=(constant := constants(SquaredError(), outputs)),
        heldout_constant=constant,
        order=lambda _: order,
        restarts=1,
        device=torch.device("cpu"),
        advance=lambda _: None,
    )
