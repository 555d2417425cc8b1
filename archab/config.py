"""From the composed configuration to objects: the schema of the command line, and who shares what."""

import difflib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from archab.errors import ArchabError

if TYPE_CHECKING:
    from archab.comparison import Comparison
    from archab.space import ArchitecturalSpace


@dataclass
class Side:
    """One space: see `ArchitecturalSpace`. What is null is shared with the other sides."""

    architecture: Any = MISSING
    members: Any = MISSING
    input_shape: Any = None
    prior: Any = None
    measure: Any = None
    routine: Any = None
    name: str = ""


@dataclass
class Spaces:
    """What a file of the group `space` defines, with the question that it asks."""

    question: str = ""
    a: Side = MISSING
    b: Side = MISSING
    reference: Side | None = None


@dataclass
class Tracking:
    """Where runs are logged."""

    uri: str | None = None
    experiment: str | None = None
    patience: float = 90.0


@dataclass
class Run:
    """Every key of a run: see `Comparison`."""

    seed: int = 0
    targets: int = 40
    restarts: int = 1
    samples: int | None = None
    samples_per_measure: float | None = None
    heldout_samples: int = 512
    protocol: str | None = None
    size_tolerance: float = 0.0
    device: str = "cpu"
    spool: str = ".archab"
    control: bool = True
    rerun: bool = False
    report: bool = False
    shard: str | None = None
    measure: Any = "information"
    input_shape: Any = MISSING
    inputs: Any = MISSING
    prior: Any = MISSING
    routine: Any = MISSING
    engine: Any = MISSING
    tracking: Tracking = field(default_factory=Tracking)
    space: Spaces = MISSING


def cores(jobs: int = 1) -> int:
    """Cores for each of so many jobs at once, at least 1; -1 jobs are as many as there are cores."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if jobs == 0:
        raise ArchabError("0 jobs at once: at least 1 is needed, or -1 for as many as there are cores")
    return max(1, mine // jobs)


ConfigStore.instance().store(name="schema", node=Run)
OmegaConf.register_new_resolver("archab.cores", cores, replace=True)

SHARED = ("prior", "routine", "measure", "input_shape")
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


def home() -> Path:
    """The folder of archab's own configuration files: in the package where it was installed, else beside it."""
    package = Path(__file__).resolve().parent
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


def composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration that these overrides give on the command line.

    Raises:
        ArchabError: with Hydra's message, where it cannot be composed.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    try:
        with initialize_config_dir(str(home()), version_base="1.3"):
            return compose("config", list(overrides))
    except HydraException as error:
        raise ArchabError(" ".join(str(error).split())) from error


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration in plain values; what is shared is copied into the sides that lack it, then removed.

    Raises:
        ArchabError: if a value is missing or cannot be resolved.
    """
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ArchabError(
            f"{error.full_key}: {str(error).splitlines()[0]}; give it on the command line or in the space's file"
        ) from error
    assert isinstance(plain, dict)
    config: dict[str, Any] = {str(key): value for key, value in plain.items()}
    named = {f"space.{s}": config["space"][s] for s in ("a", "b", "reference") if config["space"][s] is not None}
    _refuse_unknown("", config, Run)
    _refuse_unknown("space.", config["space"], Spaces)
    for name, side in named.items():
        _refuse_unknown(f"{name}.", side, Side)
    sides = list(named.values())
    for key in SHARED:
        shared = config.pop(key)
        for side in sides:
            side[key] = shared if side[key] is None else side[key]
    return config


def _refuse_unknown(prefix: str, node: dict[str, Any], schema: type) -> None:
    known = {field.name for field in fields(schema)}
    for key in node:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1) or sorted(known)
            raise ArchabError(f"+{prefix}{key}: no such key, nothing would read it. There is {', '.join(near)}")


def comparison(config: dict[str, Any]) -> "Comparison":
    """The comparison that a resolved configuration describes.

    Raises:
        ArchabError: if an object cannot be imported or made, or the comparison is not a valid one.
    """
    from archab.comparison import Comparison

    spaces = config["space"]
    return Comparison(
        a=_space("a", spaces["a"]),
        b=_space("b", spaces["b"]),
        reference=None if spaces["reference"] is None else _space("reference", spaces["reference"]),
        inputs=_made("inputs", config["inputs"]),
        engine=_made("engine", config["engine"]),
        **{key: config[key] for key in _COMPARISON},
    )


def _space(side: str, node: dict[str, Any]) -> "ArchitecturalSpace":
    from archab.space import ArchitecturalSpace

    architecture = _bound(f"space.{side}.architecture", node["architecture"])
    prior, routine = (_made(f"space.{side}.{key}", node[key]) for key in ("prior", "routine"))
    given = {key: node[key] for key in ("members", "input_shape", "measure")}
    return ArchitecturalSpace(architecture, prior=prior, routine=routine, name=node["name"] or "", **given)


def _made(key: str, node: object) -> Any:
    """The object that `_target_` makes; a function is bound to its arguments, to be called later."""
    function = _bound(key, node)
    if not inspect.isclass(function.func) or (isinstance(node, dict) and node.get("_partial_")):
        return function
    return _call(key, function)


def _bound(key: str, node: object) -> "partial[Any]":
    from hydra.utils import get_object

    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        raise ArchabError(f"{key}={node!r}: a configuration with _target_, the import path of a class or function")
    target = node["_target_"]
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL + 1)  # what it would log is said below
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        function: Callable[..., Any] = get_object(target)
    except Exception as error:
        cause = error.__cause__ or error
        raise ArchabError(
            f"{key}._target_={target}: cannot be imported ({type(cause).__name__}: {_first_line(cause)}); modules are "
            "found in the current directory and on PYTHONPATH"
        ) from error
    if not callable(function):
        raise ArchabError(f"{key}._target_={target}: is a {type(function).__name__}, no class or function")
    arguments = {name: _nested(f"{key}.{name}", value) for name, value in node.items() if not _hydras(name)}
    _check_arguments(key, function, arguments)
    return partial(function, **arguments)


def _check_arguments(key: str, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins have none
        return
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    if wrong := [name for name in arguments if name not in parameters]:
        raise ArchabError(
            f"{key}.{wrong[0]}: {function.__name__} takes no such argument, but {', '.join(parameters)}. A node "
            "that is written over another choice of its group inherits its keys: choose it in the defaults list instead"
        )


def _nested(key: str, value: object) -> object:
    return _made(key, value) if isinstance(value, dict) and "_target_" in value else value


def _hydras(name: str) -> bool:
    return name in ("_target_", "_partial_", "_convert_", "_recursive_")


def _call(key: str, function: "partial[Any]") -> Any:
    try:
        return function()
    except ArchabError:
        raise
    except Exception as error:
        raise ArchabError(
            f"{key}: {function.func.__name__} could not be made with {function.keywords}: {_first_line(error)}"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]
