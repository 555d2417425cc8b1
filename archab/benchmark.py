"""How fast students train together: python -m archab.benchmark times `vmap` against the loop, interleaved."""

import argparse
import json
import statistics
import time
from functools import partial

from rich.console import Console
from rich.table import Table

from archab.comparison import Comparison
from archab.engine.plan import Engine, Loop, Vmap
from archab.space.architectures import deep
from archab.space.routine import AdamW
from archab.space.space import ArchitecturalSpace

MINIBATCH = 16


def rate(engine: Engine, students: int, steps: int) -> float:
    """Student-steps a second, the drawing of targets and students and their scoring included.

    Both sides are the dense member of `n_diagonal` (dim 5, depth 4), trained by AdamW on mini-batches of 16.
    """
    routine = AdamW(lr=1e-2, epochs=1, minibatch=MINIBATCH)
    space = ArchitecturalSpace(partial(deep.dense, dim=5, depth=4), {}, [5], routine=routine)
    comparison = Comparison(space, space, space, targets=students, samples=steps * MINIBATCH, engine=engine)
    parts = comparison.plan.parts
    start = time.perf_counter()
    trained = sum(len(comparison.run(part).rows) for part in parts)
    return trained * steps / (time.perf_counter() - start)


def main() -> None:
    """Print the rates and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m archab.benchmark", description=main.__doc__)
    parser.add_argument("--replicates", type=int, default=500, help="students at once (default 500)")
    parser.add_argument("--steps", type=int, default=100, help="steps a student (default 100)")
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (default 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    given = parser.parse_args()
    few = max(1, min(given.replicates, 4))  # the loop's rate does not depend on how many follow one another
    for engine in (Loop(), Vmap()):
        rate(engine, 1, 1)  # what torch imports on first use
    found: dict[str, list[float]] = {"loop": [], "vmap": []}
    for _ in range(given.repeats):
        found["loop"].append(rate(Loop(), few, given.steps))
        found["vmap"].append(rate(Vmap(), given.replicates, given.steps))
    found["ratio"] = [v / w for v, w in zip(found["vmap"], found["loop"], strict=True)]
    figures = {k: {"median": statistics.median(v), "min": min(v), "max": max(v)} for k, v in found.items()}
    if given.json:
        print(json.dumps({"students": given.replicates, "steps": given.steps, **figures}))
        return
    table = Table(title=f"student-steps/s, {given.replicates} students, {given.steps} steps")
    for column in ("engine", "median", "min", "max"):
        table.add_column(column, justify="left" if column == "engine" else "right")
    for name, figure in figures.items():
        table.add_row(
            "vmap / loop" if name == "ratio" else name, *(f"{figure[k]:,.0f}" for k in ("median", "min", "max"))
        )
    Console().print(table)


if __name__ == "__main__":
    main()
