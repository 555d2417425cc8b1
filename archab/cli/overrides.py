"""The command line before Hydra reads it: what stands for more than it says, and what Hydra would explain badly."""

import importlib.util
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from archab.cli.config import composed, home, resolved
from archab.errors import ArchabError, first_line

_ASKS_HYDRA = ("--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")
_LAUNCHERS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit", "ray": "ray"}  # by extra
_OPTIMISERS = re.compile(r"optuna|nevergrad|smac|orion|hyper|\bax\b|_ax_")
_PACKAGE = re.compile(r"(\s*#.*\n)*\s*#\s*@package\s+_global_")
_GROUP = re.compile(r"\+?(architecture|engine|inputs|loss|prior|routine|target)(?:@[\w.]+)?=([\w.+-]+)")
_TARGET = re.compile(r"\+?target=[\w,/]+")
MOST_SHARDS = 10_000


def read(arguments: list[str]) -> list[str]:
    """The arguments with `space=X` as `+space=X`, `launch=X` as `+launch=X`, and `shards=N` as a sweep of N shards.

    Raises:
        ArchabError: if no space is chosen, or Hydra could not read what is given, or would fail without a word why.
    """
    arguments = [f"+{a}" if a.startswith(("space=", "launch=")) else a for a in arguments]
    if any(a.startswith("shards=") for a in arguments):
        if any(a.startswith("shard=") for a in arguments):
            raise ArchabError("shards=N is all shards, and shard=K/N one of them: give one of the two")
        arguments = ["-m", *map(_shards, arguments)]
    if {"-m", "--multirun"} & set(arguments):  # in front, since argparse takes no overrides behind a flag behind others
        arguments = ["-m", *(a for a in arguments if a not in ("-m", "--multirun"))]
    if any(a in _ASKS_HYDRA or a.split("=")[0] in ("--config-name", "-cn") for a in arguments):
        return arguments
    arguments = _folders_first(arguments)
    _parse(arguments)
    for argument in arguments:
        check_sweeper(argument)
    _check_launcher(arguments)
    if not os.access(".", os.W_OK) and not any("hydra.run.dir" in a or "hydra.sweep.dir" in a for a in arguments):
        raise ArchabError(f"{Path.cwd()}: cannot be written, and Hydra keeps its outputs there; give hydra.run.dir=DIR")
    folders = [home(), *without_folders(arguments)[0]]
    spaces = sorted({file.stem for folder in folders for file in (folder / "space").glob("*.yaml")})
    chosen = [a.split("=", 1)[1] for a in arguments if a.startswith("+space=")]
    if not chosen:
        raise ArchabError(
            f"no space is chosen. There are: {', '.join(spaces)}. For example:\n"
            "  python -m archab +space=n_diagonal\n"
            "  python -m archab -m +space=split_transformer 'seed=range(0,2)' targets=4 samples_per_measure=0.02"
        )
    for argument in arguments:
        if (named := _GROUP.fullmatch(argument)) and isinstance(read_as := _value(argument), int | float):
            raise ArchabError(
                f"{argument}: Hydra reads {named[2]} as {read_as}, which names no file; give that another name"
            )
    for name in (name.strip("'\"[] ") for name in chosen[-1].split(",")):
        if name not in spaces and "(" not in name and not any("searchpath" in a for a in arguments):
            raise ArchabError(f"+space={name}: no such space. {_elsewhere(name)}There are: {', '.join(spaces)}")
    _check_files(folders[1:], arguments, chosen[-1])
    return with_target(arguments, folders)


def with_target(arguments: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """The choice of a target behind that of the space, over which it goes; added where the space's file chooses none.

    Args:
        arguments: overrides.
        folders: of configuration files, archab's own among them.

    Raises:
        ArchabError: if there is no such target.
    """
    if listed := [a for a in arguments if re.match(r"\+?target=\[", a)]:
        raise ArchabError(f"{listed[0]}: one target is needed; several in turn are -m target=sines,polynomial")
    targets = [a for a in arguments if _TARGET.fullmatch(a)]
    if not targets:
        return list(arguments)
    if len(targets) > 1:
        raise ArchabError(f"{' '.join(targets)}: one of them is needed; several in turn are -m target=sines,polynomial")
    known = sorted({file.stem for folder in folders for file in (folder / "target").glob("*.yaml")})
    for name in targets[-1].partition("=")[2].split(","):
        if name not in (*known, "null") and not any("searchpath" in a for a in arguments):
            raise ArchabError(f"+target={name}: no such target. There are: {', '.join(known)}")
    spaces = [a.split("=", 1)[1] for a in arguments if a.startswith("+space=")]
    files = [file for folder in folders for name in spaces if (file := folder / "space" / f"{name}.yaml").is_file()]
    chosen = any(re.search(r"^\s*-\s*/?target:", f.read_text(), re.M) for f in files)
    rest, [target] = [a for a in arguments if a not in targets], targets
    if target.endswith("=null"):
        return [*rest, "~target"] if chosen else rest
    return [*rest, target.lstrip("+") if chosen else f"+{target.lstrip('+')}"]


def _folders_first(arguments: list[str]) -> list[str]:
    """--config-dir in front of the overrides, behind which argparse takes no option."""
    front, rest, left = list[str](), list[str](), iter(arguments)
    for argument in left:
        if argument in ("--config-dir", "-cd"):
            front += [argument, next(left, "")]
        elif argument.startswith("--config-dir=") or argument in ("-m", "--multirun"):
            front.append(argument)
        else:
            rest.append(argument)
    return [*front, *rest]


def _elsewhere(name: str) -> str:
    """Where a space lies that is not looked for there."""
    for folder in ("configs", "conf", "config", "."):
        if Path(folder, "space", f"{name}.yaml").is_file():
            return f"It is in ./{folder}: put --config-dir {folder} in front of it. "
    return ""


def _shards(argument: str) -> str:
    key, _, number = argument.partition("=")
    if key != "shards":
        return argument
    if not number.isdecimal() or not 1 <= int(number) <= MOST_SHARDS:
        raise ArchabError(f"{argument}: a number of shards is needed, from 1 to {MOST_SHARDS:,}, such as shards=8")
    return "shard=" + ",".join(f"{k}/{int(number)}" for k in range(1, int(number) + 1))


def _check_launcher(arguments: list[str]) -> None:
    """Raise an ArchabError where the chosen launcher is not installed."""
    for name in [a.split("=", 1)[1] for a in arguments if a.startswith("+launch=")]:
        if not {"-m", "--multirun", "hydra.mode=MULTIRUN"} & set(arguments):
            raise ArchabError(f"+launch={name}: goes with a sweep: python -m archab -m +launch={name} …")
        extra = _LAUNCHERS.get(name)
        if extra and importlib.util.find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
            raise ArchabError(f"+launch={name}: its launcher is not installed; pip install 'archab[{extra}]'")


def _parse(arguments: list[str]) -> None:
    """Raise an ArchabError where Hydra could not read an override; its own message does not say which."""
    for argument in arguments:
        if "=" in argument and not argument.startswith("-") and (said := _unread(argument)):
            key, _, value = argument.partition("=")
            quoted = f'{key}="{value}"'
            right = f"quote it, or escape special characters ({said})"
            right = right if _unread(quoted) else f"type it as {shlex.quote(quoted)}"
            raise ArchabError(f"{argument}: cannot be read: {right}")


def _unread(override: str) -> str:
    """Why Hydra cannot read an override, empty where it can."""
    try:
        OverridesParser.create().parse_override(override)
    except HydraException as error:
        return first_line(error)
    return ""


def _value(override: str) -> object:
    return OverridesParser.create().parse_override(override).value()


def configured(arguments: Sequence[str]) -> dict[str, Any]:
    """The configuration of these overrides, and of --config-dir among them, for a command that trains no run.

    Raises:
        ArchabError: on a mistake in it.
    """
    folders, typed = without_folders(arguments)
    searched = [f"hydra.searchpath=[{','.join(f'file://{folder.resolve()}' for folder in folders)}]"] if folders else []
    return resolved(composed([*searched, *with_target(typed, [home(), *folders])]))


def without_folders(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The user's folders of configurations, by --config-dir or -cd, and the rest of the arguments.

    Raises:
        ArchabError: if one is not there.
    """
    found, rest, left = list[Path](), list[str](), iter(arguments)
    for argument in left:
        key, given, value = argument.partition("=")
        if key not in ("--config-dir", "-cd"):
            rest.append(argument)
            continue
        found.append(Path(value if given else next(left, "")))
        if not found[-1].is_dir():
            raise ArchabError(f"{key} {found[-1]}: no such directory")
    return found, rest


def _check_files(folders: list[Path], arguments: list[str], chosen: str) -> None:
    """Raise an ArchabError where a file of the user's that is used is no YAML, or a space does not say its package."""
    files = {
        file: file.read_text(errors="replace")
        for folder in folders
        for file in [*folder.glob("*.yaml"), *folder.glob("*/*.yaml")]
    }
    spaces = {file: text for file, text in files.items() if file.parent.name == "space" and file.stem in chosen}
    named = " ".join([*arguments, *spaces.values()])
    for file, text in sorted(files.items()):
        if file not in spaces and (file.parent.name == "space" or file.stem not in named):
            continue
        try:
            yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            where = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
            problem = getattr(error, "problem", "") or first_line(error)
            tab = ": indent with spaces, not with tabs" if r"'\t'" in problem else ""
            raise ArchabError(f"{file}{where}: is no YAML ({problem}){tab}") from error
        if file in spaces and re.search(r"^space:", text, re.M) and not _PACKAGE.match(text):
            raise ArchabError(f"{file}: a space's file begins with the line: # @package _global_")


def check_sweeper(argument: str) -> None:
    """Raise an ArchabError where an override chooses a sweeper that looks for the least of what runs return."""
    key, _, value = argument.partition("=")
    if key.lstrip("+") in ("hydra/sweeper", "hydra.sweeper._target_") and _OPTIMISERS.search(value.lower()):
        raise ArchabError(
            f"{argument}: looks for the run that returns the least number, and no run here returns one, since two "
            "sides are compared. Sweep what is to be compared, 'routine.lr=1e-3,1e-2', or run seeds until there is a "
            "verdict: hydra/sweeper=until_decided"
        )
