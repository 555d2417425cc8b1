"""The trials of tuning on disk: made once for a configuration, and read by each of its seeds and shards."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from archab import results
from archab.comparison import tuning
from archab.comparison.comparison import Comparison
from archab.comparison.parallel import trained, why_alone, workers
from archab.errors import ArchabError
from archab.evidence.tuning import Trial, choose
from archab.experiment.job import Watch


def tuned(comparison: Comparison, folder: Path, watch: Watch) -> Comparison:
    """The comparison with the routines that its trials chose.

    Trials that are on disk are read. Others are trained and kept, work unit by work unit, so that an interrupted search
    goes on; of several processes one trains them while the others wait.

    Args:
        comparison: one that is to be tuned.
        folder: of its configuration.
        watch: what hears of it.

    Raises:
        ArchabError: if the folder cannot be written.
    """
    assert comparison.tune is not None
    file = folder / results.TUNING
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "tuning.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            watch.say("  tuning      by another process; this one waits for it")
            lock.acquire()
    except OSError as error:
        raise ArchabError(f"{folder}: cannot be written ({error.strerror}); give a writable spool=") from error
    try:
        table = _read(file)
        if table is None:
            run = partial(_run, comparison, folder, watch)
            table = tuning.search(comparison.tune, run, comparison.valid)
            results.write(table, file)
            shutil.rmtree(folder / "trials")
    finally:
        lock.release()
    for note in tuning.notes_of(comparison.tune, table, {side: s.name for side, s in comparison.spaces.items()}):
        watch.say(f"  tuned       {note.text}")
    return comparison.tuned(table)


def in_force(comparison: Comparison, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as it is kept with a run: the routines by which it trained, and what was tuned as `tuned`."""
    if comparison.tuning is None:
        return config
    chosen = choose(comparison.tuning).chosen
    sides = {side: config["space"][side] for side in chosen}
    space = {side: node | {"routine": node["routine"] | chosen[side]} for side, node in sides.items()}
    rest = {key: value for key, value in config.items() if key != "tune"}
    return rest | {"space": config["space"] | space, "tuned": config["tune"]}


def _read(file: Path) -> pd.DataFrame | None:
    """The trials that are kept; None where there are none, or the file is damaged."""
    try:
        return pd.read_parquet(file)
    except Exception:  # pyarrow raises many kinds
        return None


def _run(comparison: Comparison, folder: Path, watch: Watch, trials: Sequence[Trial]) -> pd.DataFrame:
    tried = comparison.attempts(trials)
    asked = json.dumps([tried.plan.made_by, list(trials)], sort_keys=True)
    place = folder / "trials" / hashlib.sha256(asked.encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    units = {unit: place / f"{unit.name}-{unit.last:08d}.parquet" for unit in tried.plan.parts}
    known = {unit: table for unit, file in units.items() if (table := _read(file)) is not None}
    missing = [unit for unit in units if unit not in known]
    processes = 1 if why_alone(tried) else workers(tried, len(missing))
    watch.say(f"  tuning      {', '.join(tuning.in_words(trial) for trial in trials)}")
    with (
        watch.progress(sum(map(tried.students_of, units))) as advance,
        closing(trained(tried, missing, processes, advance)) as finished,
    ):
        advance(sum(map(tried.students_of, known)))
        for unit in missing:
            known[unit] = tried.attempted([next(finished)])
            results.write(known[unit], units[unit])
    return pd.concat([known[unit] for unit in units], ignore_index=True)
