"""What makes two runs the same experiment: a hash of the configuration and of the user's own source."""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from archab.results import RESULT_VERSION
from archab.runs.labels import PLACE

OUTSIDE = PLACE


def fingerprint(config: dict[str, Any]) -> str:
    """Sixteen hexadecimal digits; equal for runs that differ in seed, engine, device or place alone.

    Args:
        config: the resolved configuration; what its keys `OUTSIDE` hold does not count, and a protocol that is left
            out is the one in force.
    """
    protocol = in_force(
        config.get("protocol"), config.get("space", {}).get("reference") is not None or "target" in config
    )
    inside = {key: value for key, value in config.items() if key not in OUTSIDE} | {"protocol": protocol}
    inside["space"] = {name: _as_before(side) for name, side in inside.get("space", {}).items()}
    digest = hashlib.blake2b(digest_size=8)
    digest.update(json.dumps([RESULT_VERSION, inside], sort_keys=True, default=str).encode())
    for file in (*sources(set(_targets(inside))), *_files(inside.get("target"))):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _as_before(side: Any) -> Any:
    """A side without the keys that an earlier version lacked, where they say nothing: what it finished is finished."""
    routine = side.get("routine") if isinstance(side, dict) else None
    if not isinstance(routine, dict) or not str(routine.get("_target_")).startswith("archab."):
        return side
    return side | {"routine": {key: value for key, value in routine.items() if (key, value) != ("steps", None)}}


def in_force(asked: str | None, reference: bool) -> str:
    """The name of the protocol that was asked for, else the one that fits: with a third space it draws the targets."""
    return asked or ("reference" if reference else "crossed")


def sources(targets: set[str]) -> list[Path]:
    """The user's own files behind these import paths and all that they import, found without executing them."""
    waiting, found = [name for target in targets for name in _prefixes(target)], {}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = file = _file(name)
        if file is not None:
            waiting += list(_imports(file, name))
    return sorted({file for file in found.values() if file is not None})


def _targets(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
            if value["_target_"].startswith("hydra.utils.get_") and isinstance(value.get("path"), str):
                yield value["path"]
        for item in value.values():
            yield from _targets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _targets(item)


def _files(target: object) -> Iterator[Path]:
    """The files that a target names, such as a data set."""
    values = target.values() if isinstance(target, dict) else target if isinstance(target, list) else ()
    for value in values:
        if isinstance(value, str) and Path(value).is_file():
            yield Path(value)
        yield from _files(value)


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _file(name: str) -> Path | None:
    """The source of a module, None where there is none or where it is not the user's."""
    top, *rest = name.split(".")
    if top in sys.stdlib_module_names or top == "archab":
        return None
    path, spec = [str(Path.cwd()), *sys.path], None
    for length in range(len(rest) + 1):
        spec = PathFinder.find_spec(".".join([top, *rest[:length]]), path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    file = Path(spec.origin)
    return None if {"site-packages", "dist-packages"} & set(file.parts) else file


def _imports(file: Path, name: str) -> Iterator[str]:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _prefixes(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module or ""]).strip(".")
            for alias in node.names:
                yield from _prefixes(f"{module}.{alias.name}" if module else alias.name)
