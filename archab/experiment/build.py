"""From a resolved configuration to the comparison that it describes."""

from typing import Any

from archab.comparison.comparison import Comparison
from archab.comparison.tuning import Tune
from archab.experiment.instantiate import bound, holds_nodes, made
from archab.space.space import ArchitecturalSpace

_COMPARISON = (
    "targets",
    "restarts",
    "seed",
    "samples",
    "samples_per_measure",
    "heldout_samples",
    "protocol",
    "size_tolerance",
    "device",
)


def comparison(config: dict[str, Any]) -> Comparison:
    """The comparison that a resolved configuration describes.

    Raises:
        ArchabError: if an object cannot be imported or made, or the comparison is not a valid one.
    """
    spaces = config["space"]
    return Comparison(
        a=space("a", spaces["a"]),
        b=space("b", spaces["b"]),
        reference=None if spaces["reference"] is None else space("reference", spaces["reference"]),
        inputs=made("inputs", config["inputs"]),
        engine=made("engine", config["engine"]),
        tune=Tune(**config["tune"]) if config.get("tune") else None,
        **{key: config[key] for key in _COMPARISON},
    )


def space(side: str, node: dict[str, Any]) -> ArchitecturalSpace:
    """The space of a side, from its node with what is shared copied into it."""
    key = f"space.{side}"
    architecture = bound(f"{key}.architecture", node["architecture"], anew=holds_nodes(node["members"]))
    prior, routine = (made(f"{key}.{name}", node[name]) for name in ("prior", "routine"))
    given = {name: node[name] for name in ("members", "input_shape", "measure")}
    return ArchitecturalSpace(architecture, prior=prior, routine=routine, name=node["name"] or "", **given)
