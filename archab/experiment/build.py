"""From a resolved configuration to the comparison that it describes."""

from collections.abc import Iterable
from typing import Any

from archab.comparison.comparison import Comparison
from archab.comparison.tuning import Tune
from archab.engine.loss import SquaredError
from archab.errors import ArchabError
from archab.experiment.instantiate import bound, holds_nodes, made
from archab.space.match import matched as solved
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
    "noise",
    "device",
    "budget",
    "budget_limit",
)


def comparison(config: dict[str, Any]) -> Comparison:
    """The comparison that a resolved configuration describes.

    Raises:
        ArchabError: if an object cannot be imported or made, or the comparison is not a valid one.
    """
    config, _ = matched(config)
    spaces = config["space"]
    return Comparison(
        a=space("a", spaces["a"]),
        b=space("b", spaces["b"]),
        reference=None if spaces["reference"] is None else space("reference", spaces["reference"]),
        inputs=made("inputs", config["inputs"]),
        engine=made("engine", config["engine"]),
        loss=made("loss", config["loss"]) if "loss" in config else SquaredError(),
        target=target(config["target"]) if "target" in config else None,
        tune=Tune(**config["tune"]) if config.get("tune") else None,
        **{key: config[key] for key in _COMPARISON if key in config},
    )


def target(node: dict[str, Any]) -> list[Any]:
    """The tasks that a node names: one, or one for each of its `members`, mappings that go over the rest of the node.

    Raises:
        ArchabError: as `made` does, or if members are no such list.
    """
    if not isinstance(node, dict):
        raise ArchabError(f"target={node!r}: a configuration with _target_, the import path of a class or function")
    members = node.get("members", [{}])
    if not isinstance(members, list) or not members or not all(isinstance(member, dict) for member in members):
        raise ArchabError(f"target.members={members!r}: a list of mappings is needed, one a member")
    shared = {key: value for key, value in node.items() if key != "members"}
    return [made("target", shared | member) for member in members]


def space(side: str, node: dict[str, Any]) -> ArchitecturalSpace:
    """The space of a side, from its node with what is shared copied into it."""
    key = f"space.{side}"
    architecture = bound(f"{key}.architecture", node["architecture"], anew=holds_nodes(node["members"]))
    prior, routine = (made(f"{key}.{name}", node[name]) for name in ("prior", "routine"))
    given = {name: node[name] for name in ("members", "input_shape", "measure")}
    given |= {name: node[name] for name in ("dtype", "call", "output") if name in node}
    return ArchitecturalSpace(architecture, prior=prior, routine=routine, name=node["name"] or "", **given)


SIDES = ("a", "b", "reference")


def matched(config: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The configuration with the members of every side, and a line on each that was solved.

    A side's `members: {match: a, by: rank}` have the sizes of side A's; further keys are arguments of all of them. One
    member that stands for all of A's (of the reference), or for each of a target's, is repeated where a list that it
    shares holds one value a member.

    Args:
        config: resolved, with what the sides share copied into them.

    Raises:
        ArchabError: if what is to be matched is no other side with members of its own, sides are measured unlike, or a
            size cannot be reached.
    """
    learnt = _count(config.get("target"))
    sides = {side: _repeated(node, learnt) for side in SIDES if (node := config["space"][side]) is not None}
    lines = []
    for side, node in sides.items():
        if not isinstance(node["members"], dict) or "match" not in node["members"]:
            continue
        key, (to, by, others) = f"space.{side}.members", _asked(side, node["members"])
        if to == side or to not in sides or "match" in sides[to]["members"]:
            raise ArchabError(f"{key}.match={to}: another side whose members are written out is needed, such as a")
        wanted = space(to, sides[to])
        own = space(side, node | {"members": [others] * len(wanted)})
        if wanted.measure != own.measure:
            raise ArchabError(
                f"{key}.match={to}: {wanted.name} has measure={wanted.measure} and {own.name} measure={own.measure}; "
                "sizes are matched in one measure of both"
            )
        found, each = solved(own, [wanted.size(m) for m in range(len(wanted))], by)
        sides[side] = node | {"members": [dict(member) for member in found.arguments]}
        values = ", ".join(" and ".join(f"{name} {value}" for name, value in one.arguments.items()) for one in each)
        left = f"{min(one.off for one in each):+.1%} to {max(one.off for one in each):+.1%}"
        lines.append(f"{found.name}: {values}; {left} of the sizes of {wanted.name}")
    if "reference" in sides:
        tune = config.get("tune") or {}
        grid = tune.get("own", {}).get("reference", tune.get("grid", {}))
        tried = [value for values in grid.values() if isinstance(values, list) for value in values]
        sides["reference"] = _repeated(sides["reference"], _count(sides["a"]), tried)
    return config | {"space": config["space"] | sides}, lines


def _count(node: object) -> int:
    """The members that a node writes out; 1 where it has no list of them."""
    members = node.get("members") if isinstance(node, dict) else None
    return len(members) if isinstance(members, list) else 1


def _repeated(node: dict[str, Any], count: int, tried: Iterable[object] = ()) -> dict[str, Any]:
    """The node with its only member so many times, where a list, also one of those to be tried, holds a value for each.

    As it is where no list does: what was drawn for one member stays so.
    """
    members, routine = node["members"], node["routine"]
    values = [node["measure"], *(routine.values() if isinstance(routine, dict) else ()), *tried]
    if count == 1 or _count(node) > 1 or (isinstance(members, dict) and "match" in members):
        return node
    if not any(isinstance(value, list) and len(value) == count for value in values):
        return node
    return node | {"members": (members if isinstance(members, list) else [members]) * count}


def _asked(side: str, members: dict[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    if "by" not in members:
        raise ArchabError(f"space.{side}.members.match={members['match']}: by=… is needed, such as by: rank")
    return members["match"], members["by"], {k: v for k, v in members.items() if k not in ("match", "by")}
