"""The sizes of a space's members: python -m archab sizes +space=NAME [key=value …], before anything is trained."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from archab.cli import overrides
from archab.cli.heading import console
from archab.errors import ArchabError

if TYPE_CHECKING:
    from archab.space.space import ArchitecturalSpace

_MATCH = "members: {match: a, by: …} solves for one"
NEAR = 0.05  # difference that pairs are proposed within, where size_tolerance asks for none


def show(arguments: Sequence[str]) -> None:
    """Print a table of every side's members and measures, and pairs of about equal size.

    Args:
        arguments: overrides, and `--config-dir=FOLDER` of the user's own configuration files.

    Raises:
        ArchabError: on a mistake in the configuration, or where a network cannot be built.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print("python -m archab sizes +space=NAME [key=value ...]: members and measures of all sides, and equal pairs")
        return
    _print(overrides.configured(arguments))


def _print(config: dict[str, Any]) -> None:
    from archab.experiment.build import matched
    from archab.experiment.build import space as built
    from archab.space import measure

    config, lines = matched(config)
    spaces = {side: built(side, node) for side in ("a", "b", "reference") if (node := config["space"][side])}
    table = Table("", "member", "measure", "parameters", "bits", "FLOPs", box=None, header_style="bold")
    for column in table.columns[2:]:
        column.justify = "right"
    sizes: dict[str, list[float]] = {}
    for side, space in spaces.items():
        sizes[side] = [space.size(m) for m in range(len(space))]
        for m, (own, size) in enumerate(zip(space.arguments, sizes[side], strict=True)):
            network = space.skeleton(m)
            counts = f"{measure.parameter(network):,.0f}", f"{measure.information(network):,.0f}", _flops(space, m)
            named = ", ".join(f"{name} {value}" for name, value in own.items())
            table.add_row(Text("" if m else space.name), Text(named), f"{size:,g}", *counts)
    out = console()
    out.print(table)
    for line in lines:
        out.print(Text(f"matched: {line}"))
    otherwise = "a finer argument, or several (by: [width, hidden]), come nearer" if lines else _MATCH
    _propose(sizes, spaces["a"].name, spaces["b"].name, config["size_tolerance"] or NEAR, otherwise)


def _flops(space: "ArchitecturalSpace", member: int) -> str:
    try:
        return f"{space.flops(member):,.0f}"
    except ArchabError:  # which matters only where it is the measure, and was raised before
        return "–"


def _propose(sizes: dict[str, list[float]], a: str, b: str, tolerance: float, otherwise: str) -> None:
    """The pairs of members, one a member of A, that are nearest in size, where they are within the tolerance."""
    pairs = []
    for i, size in enumerate(sizes["a"]):
        j = min(range(len(sizes["b"])), key=lambda k: abs(sizes["b"][k] - size))
        if abs(sizes["b"][j] / size - 1) <= tolerance:
            pairs.append(f"  member {i} of {a} and {j} of {b}: {size:,g} and {sizes['b'][j]:,g}")
    print(f"\nwithin {tolerance:.0%}:", *(pairs or [f"  no pair; {otherwise}"]), sep="\n")
