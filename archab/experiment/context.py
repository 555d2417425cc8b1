"""The context of a verdict: the configuration, curves, versions and commands behind a store's runs or a table."""

import platform
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from archab import __version__
from archab.evidence import words
from archab.results import TUNING, trials
from archab.review.context import Context
from archab.store.history import Recorded, again

if TYPE_CHECKING:  # for the types alone: MLflow, which a run does not wait for
    from archab.store.mlflow import Logged, Store

# As the measures call them, which import torch.
UNITS = {"information": "bits", "parameter": "parameters", "flops": "FLOPs"}
LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib")


def of_runs(
    one: Recorded, curves: pd.DataFrame | None, store: "Store", space: str, arguments: Sequence[str]
) -> Context:
    """The context of a configuration in the store.

    Args:
        one: its runs.
        curves: their training curves.
        space: the name of their experiment.
        arguments: the command line that asked for the verdict.
    """
    last = one.runs[-1]
    config = configuration_of(last, store)
    seeds = list(dict.fromkeys(run.seed for run in one.runs))  # shards of a run share one
    return of_configuration(
        config | {"seed": seeds[0] if len(seeds) == 1 else seeds} if config else {},
        heading=space,
        protocol=last.tags.get("archab.protocol", ""),
        curves=curves,
        tuning=_trials(last, store),
        commands=(f"{again(last.tags)} {shlex.quote(words.seeds(seeds))}", _typed(arguments)),
        versions=_trained(one) | _versions(),
    )


def of_configuration(
    config: dict[str, Any],
    *,
    heading: str,
    protocol: str,
    curves: pd.DataFrame | None = None,
    tuning: pd.DataFrame | None = None,
    commands: Sequence[str] = (),
    versions: Mapping[str, str] | None = None,
) -> Context:
    """The context of a resolved configuration; for a run that is not in the store yet, too.

    Args:
        config: in plain values; empty where it is not known.
        heading: what the page is headed by, such as the space.
        protocol: the protocol in force.
        curves: training curves.
        tuning: the trials by which the routines were chosen.
        commands: what to type to do it again.
        versions: this environment's where left out.
    """
    spaces = config.get("space") or {}
    return Context(
        heading=heading,
        question=str(spaces.get("question") or ""),
        protocol=protocol,
        reference=str((spaces.get("reference") or {}).get("name") or _task(config.get("target"))),
        heldout=config.get("heldout_samples"),
        unit=UNITS.get(str((spaces.get("a") or {}).get("measure")), ""),
        curves=curves,
        tuning=tuning,
        commands=tuple(commands),
        versions=_versions("torch") if versions is None else versions,
        config=_plain(config) if config else "",
    )


def of_table(table: Path, curves: pd.DataFrame | None, arguments: Sequence[str]) -> Context:
    """The context of a table without a store, with training curves where there are any."""
    return Context(heading=table.name, curves=curves, commands=(_typed(arguments),), versions=_versions())


def configuration_of(run: "Logged", store: "Store") -> dict[str, Any]:
    """The configuration that a run was made with, its protocol named; empty where the store does not hold it."""
    with tempfile.TemporaryDirectory(prefix="archab-") as folder:
        file = store.fetch(run, "config.yaml", Path(folder))
        config = yaml.safe_load(file.read_text()) if file else None
    protocol = run.tags.get("archab.protocol")  # what is left out was another one in earlier versions
    return config | ({"protocol": protocol} if protocol else {}) if isinstance(config, dict) else {}


def _trials(run: "Logged", store: "Store") -> pd.DataFrame | None:
    """The trials by which a run's routines were chosen; None where the store holds none that can be read."""
    with tempfile.TemporaryDirectory(prefix="archab-") as folder:
        file = store.fetch(run, TUNING, Path(folder))
        return None if file is None else trials(file)


def _task(target: Any) -> str:
    """What a configuration calls the task that gave the targets; empty where none did."""
    return str(target.get("name") or target["_target_"].rpartition(".")[2]) if isinstance(target, dict) else ""


def _typed(arguments: Sequence[str]) -> str:
    return shlex.join(["archab-compare", *arguments])


def _trained(one: Recorded) -> dict[str, str]:
    by = sorted({run.tags.get("archab.version", "") for run in one.runs} - {""})
    commits = sorted({run.tags.get("mlflow.source.git.commit", "") for run in one.runs} - {""})
    found = {"configuration": one.fingerprint, "trained by archab": ", ".join(by), "at commit": ", ".join(commits[:3])}
    torch = sorted({run.tags.get("archab.torch", "") for run in one.runs} - {""})
    found |= {"torch": ", ".join(torch)}
    return {name: value for name, value in found.items() if value}


def _versions(*training: str) -> dict[str, str]:
    found = {"judged by archab": __version__, "python": platform.python_version()}
    for name in (*training, *LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _plain(config: dict[str, Any]) -> str:
    """As YAML without anchors, which only a machine would follow."""
    dumper = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda self, data: True})
    return yaml.dump(config, Dumper=dumper, allow_unicode=True, default_flow_style=None, width=100)
