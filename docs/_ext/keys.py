"""Every key of the configuration, with default, type and meaning: read from the schema, the files and docstrings.

A meaning stands once, in the docstring of the class that takes the value, or beside the key in its file.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

import yaml
from hydra.utils import get_object

from archab import Comparison
from archab.cli import config
from archab.comparison.tuning import Tune
from archab.space.space import ArchitecturalSpace
from hydra_plugins.archab_until_decided import UntilDecidedConfig

GROUPS = ("architecture", "prior", "routine", "inputs", "target", "loss", "engine", "tracking")
# Whose docstring says what the keys of a part of the schema mean, in the order in which they are asked.
SAID_BY = {
    config.Run: (config.Run, Comparison, ArchitecturalSpace),
    config.Tuned: (Tune,),
    config.Spaces: (config.Spaces,),
    config.Side: (config.Side, ArchitecturalSpace),
    config.Tracking: (),
}
_ITEM = re.compile(r"([*\w]+(?:, [*\w]+)*): (.*)")
_LINE = re.compile(
    r"(?P<indent> *)(?P<key>[\w.\"]+):(?P<value>(?:[^#\"']|\"[^\"]*\"|'[^']*'|(?<! )#)*?)(?: +# (?P<said>.*))?"
)


@dataclass(frozen=True)
class Key:
    """A key as it is typed, its default and type as text, and what it means; empty where nobody says so."""

    name: str
    default: str
    kind: str
    meaning: str


@dataclass(frozen=True)
class Option:
    """A file of a group: what it is, the commands of its head, the class that it makes, and its keys."""

    group: str
    name: str
    about: str
    commands: tuple[str, ...]
    makes: str
    keys: tuple[Key, ...]


def described(documented: Any) -> dict[str, str]:
    """What the sections Attributes and Args of a docstring say, by name; those of parent classes, too."""
    parents = documented.__mro__[:-1] if inspect.isclass(documented) else (documented,)
    found: dict[str, str] = {}
    for parent in reversed(parents):
        found |= _sections(inspect.cleandoc(parent.__doc__ or ""))
    return found


def _sections(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    inside, names = False, []
    for line in text.splitlines():
        if not line.startswith(" "):
            inside, names = line in ("Attributes:", "Args:") or (inside and not line), []
        elif inside and (item := _ITEM.fullmatch(line[4:])):
            names = item[1].split(", ")
            found |= dict.fromkeys(names, item[2])
        elif inside and names:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def comments(file: Path) -> dict[str, str]:
    """What a YAML file says beside its keys, by their dotted paths; the lines of comment below a line go on with it."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    last = ""
    for line in file.read_text().splitlines():
        if match := _LINE.fullmatch(line):
            indent, key = len(match["indent"]), match["key"].strip('"')
            path = [*((i, name) for i, name in path if i < indent), (indent, key)]
            last = ".".join(name for _, name in path)
            if match["said"]:
                found[last] = match["said"]
        elif last in found and re.match(r" {12,}# ", line):
            found[last] += " " + line.strip().removeprefix("# ")
    return found


def head(file: Path) -> tuple[str, tuple[str, ...]]:
    """What stands at the top of a YAML file: its text, and the commands that it names."""
    lines = []
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    lines = [line for line in lines if not line.startswith("@package")]
    commands = tuple(line.strip() for line in lines if line.startswith("  "))
    return " ".join(line for line in lines if line and not line.startswith("  ")), commands


def of_schema() -> list[Key]:
    """The keys of a run, those of a part behind the part."""
    values = yaml.safe_load((config.home() / "config.yaml").read_text())
    return list(_of_part(config.Run, "", values, comments(config.home() / "config.yaml")))


def _of_part(schema: type, prefix: str, values: dict[str, Any], beside: dict[str, str]) -> Iterator[Key]:
    said: dict[str, str] = {}
    for documented in reversed(SAID_BY[schema]):
        said |= described(documented)
    if schema is config.Tracking:
        beside = {f"tracking.{key}": text for key, text in comments(config.home() / "tracking/mlflow.yaml").items()}
    hints = get_type_hints(schema)
    for one in fields(schema):
        name, hint = f"{prefix}{one.name}", hints[one.name]
        part = next((kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)), None)
        if part is config.Side and one.name != "a":  # whose keys are those of a
            part = None
        meaning = said.get(one.name) or beside.get(name) or (_first_line(part) if part else "")
        yield Key(name, "" if part else _default(values, one), "" if part else _kind(hint), _in_yaml(meaning))
        if part:
            yield from _of_part(part, f"{name}.", values.get(one.name) or {}, beside)


def _default(values: dict[str, Any], one: Any) -> str:
    """Of the command line: what config.yaml has, else the schema."""
    value = values.get(one.name, one.default)
    if value == "???" and (chosen := _chosen().get(one.name)):
        return f"{one.name}={chosen}"
    return "required" if value == "???" else _text(value)


def _chosen() -> dict[str, str]:
    """The option of each group that config.yaml takes."""
    defaults = yaml.safe_load((config.home() / "config.yaml").read_text())["defaults"]
    return {group: name for item in defaults if isinstance(item, dict) for group, name in item.items()}


def _kind(hint: Any) -> str:
    if hint is Any or is_dataclass(hint):
        return ""
    if isinstance(hint, UnionType):
        kinds = ["null" if kind is NoneType else _kind(kind) for kind in get_args(hint)]
        return " or ".join(kinds) if all(kinds) else ""
    return {"int": "whole number", "float": "number", "str": "text", "bool": "true or false"}[hint.__name__]


def options(group: str) -> list[Option]:
    """What there is to choose from in a group."""
    return [_option(group, file) for file in sorted((config.home() / group).glob("*.yaml"))]


def _option(group: str, file: Path) -> Option:
    values = yaml.safe_load(file.read_text())
    beside = comments(file)
    about, commands = head(file)
    if "_target_" in (values.get(group) or {}):  # of a file that sets more than its own group
        values, beside = values[group], {key.removeprefix(f"{group}."): text for key, text in beside.items()}
    if "_target_" not in values:
        prefix = "" if "hydra" in values else f"{group}."
        said = beside if "hydra" in values else {f"{group}.{key}": text for key, text in beside.items()}
        return Option(group, file.stem, about, commands, "", tuple(_plain(prefix, values, said)))
    makes = values.pop("_target_")
    made = get_object(makes)
    said = beside | described(made)
    names = list(values) + [name for name in inspect.signature(made).parameters if name not in values]
    keys = tuple(
        Key(f"{'' if group == 'architecture' else group + '.'}{name}", _given(made, name, values), "",
            _in_yaml(said.get(name, "")))
        for name in names
    )  # fmt: skip
    return Option(group, file.stem, about or _first_line(made), commands, makes, keys)


def _given(made: Any, name: str, values: dict[str, Any]) -> str:
    """The value in the file, else the argument's default."""
    value = values.get(name, inspect.signature(made).parameters[name].default)
    if value is inspect.Parameter.empty:
        return "by the members"
    return "required" if value == "???" else _text(value)


def _plain(prefix: str, values: dict[str, Any], beside: dict[str, str], around: str = "") -> Iterator[Key]:
    """The leaves of a file that makes no one object; a leaf without a comment has that of the mapping around it."""
    for name, value in values.items():
        said = beside.get(f"{prefix}{name}", around)
        if isinstance(value, dict) and value:
            yield from _plain(f"{prefix}{name}.", value, beside, said)
        elif name not in ("defaults", "_target_"):
            yield Key(f"{prefix}{name}", _text(value), "", _in_yaml(said))


def launchers() -> list[Option]:
    """Where the jobs of a sweep run."""
    return options("launch")


def of_sweeper() -> list[Key]:
    """The keys of hydra/sweeper=until_decided."""
    said, hints = described(UntilDecidedConfig), get_type_hints(UntilDecidedConfig)
    return [
        Key(f"hydra.sweeper.{one.name}", _text(one.default), _kind(hints[one.name]), _in_yaml(said.get(one.name, "")))
        for one in fields(UntilDecidedConfig)
        if not one.name.startswith("_")
    ]


def spaces() -> list[Option]:
    """The bundled comparisons, with their questions."""
    found = []
    for file in sorted((config.home() / "space").glob("*.yaml")):
        lines = file.read_text().splitlines()
        found.append(Option("space", file.stem, lines[1].removeprefix("# "), head(file)[1], "", ()))
    return found


def every() -> list[Key]:
    """All of them."""
    chosen = [option for group in GROUPS for option in options(group)] + launchers()
    return [*of_schema(), *of_sweeper(), *(key for option in chosen for key in option.keys)]


def _first_line(documented: Any) -> str:
    return inspect.cleandoc(documented.__doc__ or "").partition("\n")[0]


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return re.sub(r"'(\$\{.*?\})'", r"\1", str(value)).replace("'", "")
    return str(value)


def _in_yaml(meaning: str) -> str:
    """In the words of a file: `null`, not None."""
    return re.sub(r"`?\bNone\b`?", "null", meaning).strip().rstrip(".")
