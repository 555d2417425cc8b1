"""From the composed configuration to objects: the schema of the command line, and who shares what."""

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import archab
from archab.errors import ArchabError, first_line
from archab.runs.labels import SHARED


@dataclass
class Side:
    """One space: see `ArchitecturalSpace`. What is null is shared with the other sides.

    Attributes:
        tune: values to try for this side alone, by hyperparameter; null: those that are tried on both.
    """

    architecture: Any = MISSING
    members: Any = MISSING
    input_shape: Any = None
    prior: Any = None
    measure: Any = None
    routine: Any = None
    name: str = ""
    dtype: Any = None
    call: Any = None
    output: Any = None
    tune: Any = None


@dataclass
class Spaces:
    """What a file of the group `space` defines, with the question that it asks.

    Attributes:
        question: in a sentence; reports are headed by it.
        target: what is learnt, as the key `target`, which goes before it.
        b: the other side; keys as those of a.
        reference: draws the targets that both sides learn; keys as those of a, null for none.
    """

    question: str = ""
    target: Any = None
    a: Side = MISSING
    b: Side = MISSING
    reference: Side | None = None


@dataclass
class Tuned:
    """What is tried on both sides, see `archab.comparison.tuning.Tune`; any hyperparameter of the routine beside lr."""

    lr: Any = None
    targets: int = 8
    extend: int = 3
    unequal: bool = False


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
    budget: Any = None
    budget_limit: int = 16
    tune: Tuned | None = field(default_factory=Tuned)
    measure: Any = "information"
    input_shape: Any = MISSING
    inputs: Any = MISSING
    output_shape: Any = None
    loss: Any = MISSING
    target: Any = None
    noise: float = 0.0
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


def home() -> Path:
    """The folder of archab's own configuration files: in the package where it was installed, else beside it."""
    package = Path(archab.__file__).resolve().parent
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
            f"{error.full_key}: {first_line(error)}; give it on the command line or in the space's file"
        ) from error
    assert isinstance(plain, dict)
    config: dict[str, Any] = {str(key): value for key, value in plain.items()}
    named = {f"space.{s}": config["space"][s] for s in ("a", "b", "reference") if config["space"][s] is not None}
    _refuse_unknown("", config, Run)
    _refuse_unknown("space.", config["space"], Spaces)
    for name, side in named.items():
        _refuse_unknown(f"{name}.", side, Side)
    if config["target"] or config["space"]["target"]:
        named.pop("space.reference", None)
    config |= {
        "tune": _tune(
            config.pop("tune"), {name.removeprefix("space."): side.pop("tune") for name, side in named.items()}
        )
    }
    if config["tune"] is None:
        config.pop("tune")
    if config["budget"] is None:
        config.pop("budget"), config.pop("budget_limit")
    _set_target(config)
    if config["loss"] == {"_target_": "archab.engine.loss.SquaredError"}:
        config.pop("loss")  # as if there were no such key, so that fingerprints stay what they were
    sides = list(named.values())
    for key in SHARED:
        shared = config.pop(key)
        for side in sides:
            side[key] = shared if side[key] is None else side[key]
    for side in sides:
        for key in ("dtype", "call", "output"):  # as if there were no such key: fingerprints stay what they were
            if side[key] is None:
                side.pop(key)
    return config


def _set_target(config: dict[str, Any]) -> None:
    """The target of the command line, else of the space's file, in the place of the reference; no key where none is."""
    of_space, given = config["space"].pop("target"), config.pop("target")
    if target := given or of_space:
        config["target"] = target
        config["space"]["reference"] = None
    for key, nothing in (("noise", 0), ("output_shape", None)):  # so that fingerprints stay what they were
        if config[key] == nothing:
            config.pop(key)


def asks_for_match(config: dict[str, Any]) -> bool:
    """Whether the members of a side are to be matched in size to another's, see `archab.experiment.build.matched`."""
    sides = [config["space"][side] for side in ("a", "b", "reference")]
    return any(side is not None and isinstance(side["members"], dict) and "match" in side["members"] for side in sides)


def _tune(node: dict[str, Any] | None, own: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of `Tune`; None where nothing is to be tuned."""
    node = asdict(Tuned()) if node is None else node
    how = {name: node.pop(name) for name in ("targets", "extend", "unequal")}
    grid = {name: values for name, values in node.items() if values is not None}
    others = {side: {k: v for k, v in g.items() if v is not None} for side, g in own.items() if g is not None}
    return {"grid": grid, **how, "own": others} if grid or any(others.values()) else None


def _refuse_unknown(prefix: str, node: dict[str, Any], schema: type) -> None:
    known = {field.name for field in fields(schema)}
    for key in node:
        if key not in known:
            paths = [path for path in _paths(node) if not path.startswith(("space.", "tune."))]
            below = [path for path in paths if path.endswith(f".{key}")]
            near = below or difflib.get_close_matches(key, known, 1) or sorted(known)
            raise ArchabError(f"+{prefix}{key}: no such key, nothing would read it. There is {', '.join(near)}")


def _paths(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted keys of all values in it."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        yield from _paths(value, f"{prefix}{key}.") if isinstance(value, dict) else ()
