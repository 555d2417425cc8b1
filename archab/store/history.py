"""What a store holds of a space: its runs by configuration, in the order in which seeds were first started."""

import difflib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from archab import results
from archab.errors import ArchabError
from archab.evidence.contrast import Contrast
from archab.evidence.costs import joined
from archab.evidence.notes import Note, restored
from archab.evidence.study import Study
from archab.metrics.runs import same
from archab.results import CONTROL, COSTS, CURVES, ROWS, TABLES
from archab.runs.labels import PLACE, SHARED
from archab.runs.labels import labels as labelled
from archab.runs.shard import Shard

if TYPE_CHECKING:  # for the types alone: MLflow, which a run that is shown again does not wait for
    from archab.store.mlflow import Logged, Store


@dataclass(frozen=True)
class Recorded:
    """The runs of one configuration.

    Attributes:
        fingerprint: what they share.
        runs: the finished run of each seed, or all its shards, in the order in which the seeds were first started.
        order: every seed that was started, in that order.
        holes: the seeds that have no finished run.
        shards: of such a seed that was begun in shards, how many are finished, of how many.
        deleted: how many runs were deleted from the store.
        parameters: the flat configuration, without what says only where it ran.
    """

    fingerprint: str
    runs: "tuple[Logged, ...]"
    order: tuple[int, ...]
    holes: tuple[int, ...]
    shards: dict[int, tuple[int, int]]
    deleted: int
    parameters: dict[str, str]

    def value(self, key: str) -> str | None:
        """A configuration value; a key that the sides share, such as `routine.lr`, where both have the same."""
        if key.split(".")[0] not in SHARED:
            return self.parameters.get(key)
        a, b = (self.parameters.get(f"space.{side}.{key}") for side in ("a", "b"))
        return a if a == b else None

    def names(self) -> list[str]:
        """Every key that `value` knows."""
        shared = {k.removeprefix("space.a.") for k in self.parameters if k.startswith("space.a.")}
        return [
            *self.parameters,
            *(key for key in shared if key.split(".")[0] in SHARED and self.value(key) is not None),
        ]


def recorded(store: "Store", experiment: str) -> list[Recorded]:
    """The configurations of an experiment that have a finished run, in the order of their first start.

    Raises:
        ArchabError: if there is no such experiment, or no finished run in it.
    """
    runs = store.runs(experiment)
    prints = list(dict.fromkeys(run.tags["archab.fingerprint"] for run in runs if not run.deleted))
    found = [_recorded(name, [r for r in runs if r.tags["archab.fingerprint"] == name]) for name in prints]
    finished = [one for one in found if one.runs]
    if not runs and (others := store.others(experiment)):
        raise ArchabError(f"--space {experiment}: {others} runs there, none of them made by archab")
    if not finished:
        raise ArchabError(f"--space {experiment}: {len(runs)} runs there, none of them finished")
    return finished


def configuration(one: Recorded, label: str, store: "Store") -> Study:
    """The rows of a configuration and what must be known to judge them.

    Raises:
        ArchabError: if the rows of a finished run are gone.
    """
    about: list[str] = []
    rows, control, curves, costs = (_table(one.runs, name, store, about) for name in (*TABLES, COSTS))
    if one.deleted:
        about.append(f"Runs of this configuration that were deleted from the store: {one.deleted}.")
    for seed, (there, of) in one.shards.items():
        about.append(f"Of seed {seed}, {there} of {of} shards are finished by one plan.")
    assert rows is not None
    own = studied(one.runs[-1].tags, rows, control, curves)
    notes = [*own.notes, *(Note("store", text) for text in about)]
    costs = None if costs is None else joined(costs)
    return replace(own, label=label, order=one.order, holes=one.holes, notes=notes, costs=costs)


def studied(
    tags: Mapping[str, str], rows: pd.DataFrame, control: pd.DataFrame | None, curves: pd.DataFrame | None
) -> Study:
    """A study of these tables, with what a run's tags say of them."""
    names = json.loads(tags["archab.names"])
    return Study(
        rows,
        names=(names["a"], names["b"]),
        member_names=json.loads(tags["archab.members"]),
        control=control,
        control_name=names.get("reference", ""),
        curves=curves,
        longer=tags.get("archab.longer", ""),
        notes=restored(json.loads(tags["archab.notes"]), json.loads(tags.get("archab.note_kinds", "[]"))),
        contrast=[Contrast(*one) for one in json.loads(tags.get("archab.contrast", "[]"))],
        command=again(tags),
        scope=tags.get("archab.scope", ""),
        overlap=float(tags.get("archab.overlap", 0)),
    )


def again(tags: Mapping[str, str]) -> str:
    """The command that made a run, which earlier versions ran as `direct` where no protocol was typed."""
    command, protocol = tags["archab.again"], tags.get("archab.protocol")
    return f"{command} protocol=direct" if protocol == "direct" and "protocol=" not in command else command


def labels(found: Sequence[Recorded]) -> list[str]:
    """What tells configurations apart."""
    return labelled([one.parameters for one in found])


def selected(one: Recorded, where: Sequence[str], found: Sequence[Recorded]) -> bool:
    """Whether a configuration has these values, KEY=VALUE each.

    Args:
        one: a configuration.
        where: the conditions.
        found: all configurations there are.

    Raises:
        ArchabError: if a condition is none, or its key is known to no configuration.
    """
    for condition in where:
        key, equals, wanted = condition.partition("=")
        if not equals:
            raise ArchabError(f"--where {condition}: KEY=VALUE is needed, such as --where routine.lr=0.01")
        if key in ("seed", "shard"):
            raise ArchabError(
                f"--where {condition}: a verdict takes every seed of a configuration, or looking would choose"
            )
        if all(other.value(key) is None for other in found):
            known = sorted({name for other in found for name in other.names()})
            ends = [name for name in known if name.endswith(f".{key}")]
            first = sorted(known, key=lambda name: (name.count("."), name))[:12]
            near = ends[:3] or difflib.get_close_matches(key, known, 3, 0.6) or [*first, "…"]
            raise ArchabError(f"--where {condition}: no configuration has the key {key}. There are: {', '.join(near)}")
        if (value := one.value(key)) is None or not same(value, wanted):
            return False
    return True


def _recorded(fingerprint: str, runs: "Sequence[Logged]") -> Recorded:
    kept = sorted((run for run in runs if not run.deleted), key=lambda run: (run.start, run.seed))
    order = tuple(dict.fromkeys(run.seed for run in kept))
    runs_of = {seed: [run for run in kept if run.seed == seed and run.status == "FINISHED"] for seed in order}
    finished = {seed: _whole(done) for seed, done in runs_of.items()}
    shards = {seed: _most(done) for seed, done in runs_of.items() if done and not finished[seed]}
    parameters = {k: v for k, v in (kept[-1].params if kept else {}).items() if k.split(".")[0] not in PLACE}
    if kept and (protocol := kept[-1].tags.get("archab.protocol")):
        parameters["protocol"] = protocol  # the one in force, where none was given
    return Recorded(
        fingerprint=fingerprint,
        runs=tuple(run for seed in order for run in finished[seed]),
        order=order,
        holes=tuple(seed for seed in order if not finished[seed]),
        shards=shards,
        deleted=sum(run.deleted for run in runs),
        parameters=parameters,
    )


def _whole(done: "Sequence[Logged]") -> "list[Logged]":
    """The first finished run of a seed (a rerun is no new evidence), else its shards, if they cover its targets."""
    if undivided := [run for run in done if not run.tags.get("archab.shard")]:
        return undivided[:1]
    complete = [list(found.values()) for (of, _), found in _by_cut(done).items() if len(found) == of]
    return complete[0] if complete else []


def _most(done: "Sequence[Logged]") -> tuple[int, int]:
    """How many shards are there, of how many, where most of them are."""
    return max((len(found), of) for (of, _), found in _by_cut(done).items())


def _by_cut(done: "Sequence[Logged]") -> "dict[tuple[int, str], dict[int, Logged]]":
    """The shards of each way in which a run was cut: their number and plan; the first of each."""
    cuts: dict[tuple[int, str], dict[int, Logged]] = {}
    for run in done:
        shard = Shard.named(run.tags["archab.shard"])
        cuts.setdefault((shard.of, run.tags["archab.plan"]), {}).setdefault(shard.number, run)
    return cuts


def _table(runs: "Sequence[Logged]", name: str, store: "Store", damaged: list[str]) -> pd.DataFrame | None:
    """The tables of this name of all runs in one, None where there are none.

    Rows must be there and whole; of other tables that are damaged, it is noted that they are left out.
    """
    tables = []
    with tempfile.TemporaryDirectory(prefix="archab-") as place:
        folder = Path(place)
        if name in (CURVES, COSTS) and not any(store.fetch(run, name, folder) for run in (runs[-1], runs[0])):
            return None  # no other run is asked: most stores have none
        for run in runs:
            file = store.fetch(run, name, folder)
            if file is None and name == ROWS:
                raise ArchabError(
                    f"run {run.run_id} (seed {run.seed}): its rows, {name}, are gone from {store.shown}. Where its "
                    "spool is still there, archab-sync brings them back; else delete the run"
                )
            try:
                if file:
                    read = results.read if name in (ROWS, CONTROL) else results.read_curves
                    tables.append(read(file) if name != CURVES else read(file).assign(seed=run.seed))
            except ArchabError:
                if name == ROWS:
                    raise
                damaged.append(f"Left out, since it cannot be read: {name} of seed {run.seed}.")
    return pd.concat(tables, ignore_index=name in (CURVES, COSTS)) if tables else None
