"""Does archab train these networks, how fast, and alike by every engine?

    python -m archab.check +space=NAME [key=value ...]     # and --config-dir=FOLDER, as a run takes it
    python -m archab.check mine.layers.Gate width=4 input_shape=[4]     # one network, by what it is built with

Every member of every side is built, counted and run; then a few students of each train by the loop, by vmap and by a
program of their own, and their rows are compared. Under the table stands why an engine is left out: what keeps a
network off the programs, or off vmap. Exits 1 where rows of an engine that a run would take are not those of the loop.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
import yaml
from rich.table import Table
from rich.text import Text

from archab.cli.heading import console
from archab.cli.overrides import configured
from archab.comparison.comparison import Comparison
from archab.engine.equivalence import why_not_batched
from archab.engine.plan import Candidate, Compiled, Loop, Vmap, programs, threads
from archab.errors import ArchabError, first_line
from archab.experiment.build import comparison
from archab.experiment.instantiate import bound, imported
from archab.results import together
from archab.space.inputs import Normal, Tokens
from archab.space.routine import Descent
from archab.space.space import ArchitecturalSpace

TARGETS, SAMPLES = 4, 64
NEAR = 1e-3  # relative difference of errors that rounding leaves after so few steps, in 32 bits and more
KEY = ["member", "source", "draw", "side", "restart"]


@dataclass(frozen=True)
class Checked:
    """What was found of one member of one side.

    Attributes:
        side, member: which it is.
        why: by engine that does not train it, the reason.
        off: by engine, the largest relative difference of a row from the loop's.
        engine: by which a run trains it.
        near: the difference that rounding explains.
    """

    side: str
    member: int
    why: dict[str, str]
    off: dict[str, float]
    engine: str
    near: float

    @property
    def wrong(self) -> bool:
        """Whether a run would give other rows than the loop."""
        return self.off.get(self.engine, 0.0) > self.near


def check(asked: Comparison) -> list[Checked]:
    """Train a few students of every member by every engine, and compare their rows with the loop's.

    Args:
        asked: the comparison whose networks, inputs and routines they are.

    Raises:
        ArchabError: as `Comparison.survey` does.
    """
    taken = {key: method.engine for key, method in asked.plan.methods.items()}
    why = {key: _why(candidate) for key, candidate in asked.candidates.items()}
    few = _few(asked)
    alone = _rows(replace(few, engine=Loop()))
    rows = {name: _rows(replace(few, engine=engine)) for name, engine in (("vmap", Vmap()), ("compiled", Compiled()))}
    found = []
    for side, member in taken:
        own = [name for name in rows if name not in why[side, member] and side != "reference"]
        off = {name: _off(rows[name], alone, side, member) for name in own}
        precision = next(asked.spaces[side].skeleton(member).parameters()).dtype.to_real()
        near = max(NEAR, 8 * torch.finfo(precision).eps)
        found.append(Checked(side, member, why[side, member], off, taken[side, member], near))
    return found


def alone(target: str, *arguments: str) -> Comparison:
    """A network against itself, on targets of its own.

    Args:
        target: the import path of a class or function that returns it.
        arguments: `key=value` of what it is built with, and of a space: input_shape, call, output, dtype; tokens=N
            where its inputs are whole numbers below N.

    Raises:
        ArchabError: if an argument cannot be read, or the network cannot be built.
    """
    imported("check", {"_target_": target})
    given: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        try:
            given[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ArchabError(f"{argument}: cannot be read ({first_line(error)})") from error
        if not equals:
            raise ArchabError(f"{argument}: key=value is needed")
    if "input_shape" not in given:
        raise ArchabError(f"{target}: input_shape=[…] is needed, the shape of one input")
    of_space = {key: given.pop(key) for key in ("input_shape", "call", "output", "dtype") if key in given}
    inputs = Tokens(given.pop("tokens")) if "tokens" in given else Normal()
    network = bound("check", {"_target_": target, **given})
    space = ArchitecturalSpace(network, {}, measure="parameter", **of_space)
    return Comparison(space, space, space, inputs=inputs)


def _why(candidate: Candidate) -> dict[str, str]:
    [made] = programs([candidate])
    with threads(1):
        reasons = {"compiled": made.why, "vmap": why_not_batched(candidate.sample) or ""}
        if (own := candidate.by_torch) is not None:
            reasons = {"compiled": own, "vmap": own}
    return {name: reason for name, reason in reasons.items() if reason}


def _few(asked: Comparison) -> Comparison:
    def short(space: ArchitecturalSpace | None) -> Any:
        if space is None or not isinstance(space.routine, Descent):
            return space
        return replace(space, routine=replace(space.routine, epochs=1, steps=None))

    sides = {side: short(getattr(asked, side)) for side in ("a", "b", "reference")}
    given: dict[str, Any] = {"targets": TARGETS, "restarts": 1, "samples": SAMPLES, "heldout_samples": SAMPLES}
    return replace(asked, **sides, **given, tune=None, budget=None, size_tolerance=0.99)


def _rows(few: Comparison) -> pd.DataFrame:
    return together([few.run(part).table for part in few.plan.parts]).set_index(KEY)


def _off(rows: pd.DataFrame, alone: pd.DataFrame, side: str, member: int) -> float:
    """The largest relative difference of an error; NaN where every student diverged."""
    found, wanted = (table["nmse"].xs((side, member), level=("side", "member")) for table in (rows, alone))
    return float(((found - wanted).abs() / wanted).max())


def _printed(asked: Comparison, found: Sequence[Checked]) -> None:
    table = Table("", "member", asked.a.measure if isinstance(asked.a.measure, str) else "size", box=None)
    for name in ("compiled", "vmap", "a run takes"):
        table.add_column(name)
    reasons: dict[str, list[str]] = {}
    for one in found:
        space = asked.spaces[one.side]
        if one.side != "a" and space is asked.a:  # a network that was named alone
            continue
        named = ", ".join(f"{key} {value}" for key, value in space.arguments[one.member].items())
        cells = [_cell(one, name) for name in ("compiled", "vmap")]
        size = f"{space.size(one.member):,g}"
        table.add_row(Text("" if one.member else space.name), Text(named), size, *cells, one.engine)
        for name, why in one.why.items():
            reasons.setdefault(f"{space.name}, not {name}: {why}", []).append(named)
    out = console()
    out.print(table)
    for reason in reasons:
        out.print(Text(reason))
    out.print("compiled, vmap: the largest relative difference of an error from that of the loop, over a few students")


def _cell(one: Checked, name: str) -> str:
    if name in one.why:
        return "no"
    return f"{one.off[name]:.0e}" if one.off.get(name) is not None else "yes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the networks that these arguments name; 0, 1 where rows differ, 2 on a mistake."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if not typed or {"-h", "--help"} & set(typed):
        print(__doc__)
        return 0
    try:
        asked = comparison(configured(typed)) if "=" in typed[0] or typed[0].startswith("-") else alone(*typed)
        found = check(asked)
    except ArchabError as error:
        print(f"archab: {error}", file=sys.stderr)
        return 2
    _printed(asked, found)
    return int(any(one.wrong for one in found))


if __name__ == "__main__":
    sys.exit(main())
