"""How fast students train: engines, hand-written loops and JAX on the same students, interleaved; and whole runs.

    python -m archab.benchmark                  # student-steps/s of training alone
    python -m archab.benchmark widths job growth --json found.json

`steady` times training alone, without the drawing of targets, scoring and compilation, on 500 students of the dense
member of `n_diagonal` and on 128 of one encoder layer. `widths` does so for dense networks of growing width,
`transformer` for one 64 wide, `precisions` for dense ones in half precision. `job` times a whole run from the start of
its process, first with nothing compiled and then again, against what the plain loop takes to train as many students.
`start` times a run that trains next to nothing, once all is compiled. `growth` gives seconds and memory of runs of more
and more targets, `tuning` what equal tuning adds to a run. `rival` times whole runs against those of expressivity, the
original system (extra: bench). `layers` tells which of torch's layers are compiled.
"""

import argparse
import json
import platform
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from archab.benchmark import whole_runs
from archab.benchmark.layers import LAYERS
from archab.benchmark.layers import found as of_layer
from archab.benchmark.students import ALL, JAX, MINIBATCH, Race, Trained, dense, encoder, everyone, interleaved
from archab.comparison.comparison import Comparison
from archab.engine.plan import cores
from archab.space.space import ArchitecturalSpace

LOOP = "loop"
WIDTHS = {5: (500, 100), 16: (256, 50), 64: (32, 100), 128: (16, 100), 256: (16, 50)}  # students, steps
WHOLE = {"targets": 100, "restarts": 5}
SIZES = (1_000, 2_000, 4_000, 10_000)
SLOPES = ((2_000, 10_000), (4_000, 10_000))
LARGE = 100_000
RIVALS = (200, 2_000, 20_000)  # targets a member
LONG = 100  # targets of a run that `auto` decides on, of 1,000 steps


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    students: int | None
    steps: int
    repeats: int
    jax: bool
    large: bool


@dataclass(frozen=True)
class Found:
    """What one section found: tables to be read, and the same as plain values."""

    tables: list[Table]
    figures: dict[str, Any]


def steady(asked: Asked) -> Found:
    """Student-steps/s of training alone."""
    tables, figures = [], {}
    for space, students in ((dense(), 500), (encoder(), 128)):
        race = Race(space, asked.students or students, asked.steps)
        with everyone(race, asked.jax) as baselines:
            found = _rates(interleaved(baselines, asked.repeats))
        figures[space.name] = {"students": race.students, "steps": race.steps, "engines": found}
        tables.append(_rate_table(f"{space.name}: {race.students} students, {race.steps} steps", found))
    return Found(tables, figures)


def widths(asked: Asked) -> Found:
    """The same for dense networks of growing width, on one thread, against the fused loop; and what auto takes."""
    tables, figures = [], {}
    for width, (students, steps) in WIDTHS.items():
        found, auto, title = _alone(dense(width), students, steps, asked)
        figures[str(width)] = {"students": students, "steps": steps, "engines": found, "auto": auto}
        tables.append(_rate_table(f"dim {width}: {title}", found))
    return Found(tables, figures)


def transformer(asked: Asked) -> Found:
    """The same for an encoder of two layers, 64 wide, with 8 heads, on sequences of 64."""
    found, auto, title = _alone(encoder(64, 8, 256, 2, 64), 16, 10, asked)
    figures = {"students": 16, "steps": 10, "engines": found, "auto": auto}
    return Found([_rate_table(f"encoder: {title}", found)], figures)


def precisions(asked: Asked) -> Found:
    """The same for the dense member of `n_diagonal` in half precision, beside float32."""
    tables, figures = [], {}
    for dtype in ("float32", "bfloat16", "float16"):
        found, auto, title = _alone(replace(dense(), dtype=dtype), 500, 100, replace(asked, jax=False))
        figures[dtype] = {"students": 500, "steps": 100, "engines": found, "auto": auto}
        tables.append(_rate_table(f"{dtype}: {title}", found))
    return Found(tables, figures)


def _alone(space: ArchitecturalSpace, students: int, steps: int, asked: Asked) -> tuple[dict[str, Any], str, str]:
    """Rates on one thread, what auto takes, and what this was."""
    with everyone(Race(space, students, steps), asked.jax) as baselines:
        on_one_thread = {name: baseline for name, baseline in baselines.items() if name not in (LOOP, ALL)}
        found = _rates(interleaved(on_one_thread, asked.repeats))
    auto = _chosen(space)
    return found, auto, f"{students} students, {steps} steps; engine=auto takes {auto}"


def job(asked: Asked) -> Found:
    """A whole run, its start and the compiler included, against the loop's training."""
    loop = whole_runs.loop_cost(asked.repeats)
    by_hand = [WHOLE["targets"] * WHOLE["restarts"] * seconds for seconds in loop.seconds]
    first, second = zip(*(whole_runs.first_and_second(**WHOLE) for _ in range(asked.repeats)), strict=True)
    seconds = {LOOP: by_hand, "first run ever": [c.seconds for c in first], "second run": [c.seconds for c in second]}
    found = {name: {"seconds": _spread(s), "over the loop": _ratio(by_hand, s)} for name, s in seconds.items()}
    work = WHOLE["targets"] * WHOLE["restarts"] * loop.steps
    table = _table(f"a whole run of {work:,} student-steps", "run", "seconds", "min", "max", "× loop")
    for name, of in found.items():
        table.add_row(name, *_shown(of["seconds"], ".1f"), _times(of["over the loop"]["median"]))
    return Found([table], {"student_steps": work, "runs": found})


def start(asked: Asked) -> Found:
    """A run of next to nothing: its fixed cost."""
    seconds = [cost.seconds for cost in whole_runs.starting(asked.repeats)]
    table = _table("a run of one target a member, of a seed behind the first", "run", "seconds", "min", "max")
    table.add_row("start to end of its process", *_shown(_spread(seconds), ".1f"))
    return Found([table], {"seconds": _spread(seconds)})


def growth(asked: Asked) -> Found:
    """Seconds and memory of runs of more and more targets, and what a further target costs."""
    costs = whole_runs.growing([*SIZES, *([LARGE] if asked.large else [])], asked.repeats)
    loop = whole_runs.loop_cost(asked.repeats)
    by_hand = statistics.median(loop.seconds)
    table = _table(
        f"runs of n_diagonal, one restart, fastest of {asked.repeats}", "targets a member", "seconds", "peak MB"
    )
    for n, cost in costs.items():
        table.add_row(f"{n:,}", f"{cost.seconds:.1f}", f"{cost.memory:,.0f}")
    further = _table("seconds for a further target of all members", "by", "seconds", "× loop")
    further.add_row(LOOP, f"{by_hand:.5f}", "1.0")
    slopes = {}
    for few, many in SLOPES:
        slope = slopes[f"{few} to {many}"] = (costs[many].seconds - costs[few].seconds) / (many - few)
        further.add_row(f"archab, {few:,} to {many:,}", f"{slope:.5f}", _times(by_hand / slope))
    figures = {"runs": {str(n): asdict(c) for n, c in costs.items()}, "seconds_per_target": slopes}
    return Found([table, further], figures | {"loop_seconds_per_target": _spread(loop.seconds)})


def tuning(asked: Asked) -> Found:
    """What tuning adds to a whole run: 6 learning rates on 8 targets a member, before 40 are scored."""
    plain, tuned = zip(*(whole_runs.plain_and_tuned() for _ in range(asked.repeats)), strict=True)
    seconds = {"untuned": [c.seconds for c in plain], "tuned": [c.seconds for c in tuned]}
    found = {
        name: {"seconds": _spread(s), "over untuned": _ratio(s, seconds["untuned"])} for name, s in seconds.items()
    }
    table = _table(f"a whole run of {whole_runs.TUNED} targets a member", "run", "seconds", "min", "max", "× untuned")
    for name, of in found.items():
        table.add_row(name, *_shown(of["seconds"], ".1f"), _times(of["over untuned"]["median"]))
    return Found([table], found)


def rival(asked: Asked) -> Found:
    """A whole run against the original system's, as many students each on one core."""
    if find_spec("expressivity") is None:
        raise SystemExit("rival: expressivity is not installed; pip install 'archab[bench]'")
    table = _table("whole runs, one core", "students", "archab, s", "expressivity, s", "×")
    figures = {}
    with tempfile.TemporaryDirectory() as cache:
        whole_runs.against_expressivity(whole_runs.LEAST, Path(cache))
        for targets in RIVALS[: 3 if asked.large else 2]:
            mine, theirs = whole_runs.against_expressivity(targets, Path(cache))
            students = 2 * len(whole_runs.RANKS) * targets
            table.add_row(f"{students:,}", f"{mine.seconds:.1f}", f"{theirs:.1f}", _times(theirs / mine.seconds))
            figures[str(students)] = {"archab": asdict(mine), "expressivity": theirs}
    return Found([table], figures)


def layers(asked: Asked) -> Found:
    """Which of torch's layers programs train, and how much faster than the loop `auto` is at 200 students of each."""
    table = _table("a layer in a small network, one thread", "layer", "engine=auto", "× loop")
    figures: dict[str, Any] = {}
    for name, layer in LAYERS.items():
        engine, over = of_layer(layer, name, asked.students or 200, asked.repeats)
        figures[name] = {"engine": engine, "over the loop": over}
        table.add_row(name, engine, _times(over))
    engines = [of["engine"] for of in figures.values()]
    counts = {engine: engines.count(engine) for engine in ("compiled", "vmap", "loop")}
    median = statistics.median(of["over the loop"] for of in figures.values())
    table.add_section()
    table.add_row(f"all {len(figures)}", ", ".join(f"{count} {engine}" for engine, count in counts.items()), "")
    table.add_row("median", "", _times(median))
    return Found([table], {"layers": figures, "counts": counts, "median": median})


SECTIONS = {
    one.__name__: one for one in (steady, widths, transformer, precisions, job, start, growth, tuning, rival, layers)
}


def main() -> None:
    """Print the sections that are asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m archab.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="section", help=f"{', '.join(SECTIONS)} (default steady)")
    parser.add_argument("--students", type=int, help="students at once in steady (default 500 and 128)")
    parser.add_argument("--steps", type=int, default=100, help="steps a student in steady (default 100)")
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (default 5)")
    parser.add_argument("--no-jax", action="store_true", help="leave JAX out, where it is installed (pip extra: bench)")
    parser.add_argument("--large", action="store_true", help=f"growth up to {LARGE:,} targets")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found as one JSON object")
    given = parser.parse_args()
    if unknown := sorted(set(given.sections) - set(SECTIONS)):
        parser.error(f"{', '.join(unknown)}: no such section. There are: {', '.join(SECTIONS)}")
    if min(given.steps, given.repeats, given.students or 1) < 1:
        parser.error("--students, --steps and --repeats must be at least 1")
    asked = Asked(given.students, given.steps, given.repeats, not given.no_jax, given.large)
    found: dict[str, Any] = {"machine": _machine()}
    for name in given.sections or ["steady"]:
        section = SECTIONS[name](asked)
        found[name] = section.figures
        for table in section.tables:
            Console().print(table)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


def _rates(found: dict[str, list[Trained]]) -> dict[str, Any]:
    """Of each its rate, its rate over that of the first (a loop) and of JAX in the same repeat, and its losses."""
    rates = {name: [trained.rate for trained in runs] for name, runs in found.items()}
    against = {"over the loop": next(iter(rates.values()))} | ({"over JAX": rates[JAX]} if JAX in rates else {})
    return {
        name: {
            "rate": _spread(mine),
            **{how: _ratio(mine, theirs) for how, theirs in against.items()},
            "losses": found[name][0].losses,
        }
        for name, mine in rates.items()
    }


def _rate_table(title: str, found: dict[str, Any]) -> Table:
    ratios = [f"× {next(iter(found))}", *(["× JAX"] if JAX in found else [])]
    table = _table(title, "student-steps/s", "median", "min", "max", *ratios)
    for name, of in found.items():
        medians = [of[how]["median"] for how in ("over the loop", "over JAX") if how in of]
        table.add_row(name, *_shown(of["rate"], ",.0f"), *map(_times, medians))
    return table


def _chosen(space: ArchitecturalSpace) -> str:
    """What engine=auto takes for a long run."""
    taught = replace(space, routine=replace(space.routine, epochs=10))  # type: ignore[type-var]
    lessons = Comparison(taught, taught, taught, targets=LONG, samples=100 * MINIBATCH).plan.lessons
    return lessons[0, "reference"].methods["a"].engine


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    return table


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    return _spread([a / b for a, b in zip(above, below, strict=True)])


def _shown(spread: dict[str, float], how: str) -> list[str]:
    return [format(spread[key], how) for key in ("median", "min", "max")]


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}"


def _machine() -> dict[str, Any]:
    return {"cores": cores(), "processor": platform.machine(), "torch": torch.__version__}


if __name__ == "__main__":
    main()
