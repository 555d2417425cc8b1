"""The trials of tuning on disk: made once for a configuration, and read by each of its seeds and shards."""

import hashlib
import json
import shutil
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from archab import results
from archab.comparison.comparison import Comparison
from archab.comparison.parallel import trained, why_alone, workers
from archab.comparison.study import notes_of
from archab.errors import ArchabError
from archab.evidence.budget import settled
from archab.evidence.tuning import choose, in_words
from archab.experiment.job import Watch
from archab.experiment.remembered import after_trials
from archab.space.routine import settings


def tuned(comparison: Comparison, folder: Path, watch: Watch) -> Comparison:
    """The comparison with the routines, and their length, that its trials chose.

    Trials that are on disk are read. Others are trained and kept, work unit by work unit, so that an interrupted search
    goes on; of several processes one trains them while the others wait.

    Args:
        comparison: one that `settles`.
        folder: of its configuration.
        watch: what hears of it.

    Raises:
        ArchabError: if the folder cannot be written.
    """
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
        table = results.trials(file)
        if table is None:
            table = comparison.search(partial(_run, folder, watch), lambda line: watch.say(f"  budget      {line}"))
            results.write(table, file)
            shutil.rmtree(folder / "trials")
    finally:
        lock.release()
    found = after_trials(comparison, table)
    said = {"tuned": "tuned", "tuned unequally": "tuned", "budget": "budget", "still falling": "budget"}
    for note in notes_of(found):
        if note.kind in said:
            watch.say(f"  {said[note.kind]:<11} {note.text}")
    return found


def in_force(comparison: Comparison, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as it is kept with a run: the routines by which it trained, and what was tuned as `tuned`."""
    if comparison.tuning is None:
        return config
    space = {}
    for side, chosen in choose(settled(comparison.tuning)).chosen.items():
        node = config["space"][side]
        known = settings(comparison.spaces[side].routine)
        length = {name: known[name] for name in ("epochs", "steps") if name in known} if comparison.budget else {}
        space[side] = node | {"routine": node["routine"] | length | chosen}
    rest = {key: value for key, value in config.items() if key != "tune"}
    tuned = {"tuned": config["tune"]} if "tune" in config else {}
    return rest | {"space": config["space"] | space, **tuned}


def _run(folder: Path, watch: Watch, times: int, tried: Comparison) -> pd.DataFrame:
    asked = json.dumps([tried.plan.made_by, list(tried.trials), *([times] if times > 1 else [])], sort_keys=True)
    place = folder / "trials" / hashlib.sha256(asked.encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    units = {unit: place / f"{unit.name}-{unit.last:08d}.parquet" for unit in tried.plan.parts}
    known = {unit: table for unit, file in units.items() if (table := results.trials(file)) is not None}
    missing = [unit for unit in units if unit not in known]
    processes = 1 if why_alone(tried) else workers(tried, len(missing))
    if tried.tune is not None:
        watch.say(f"  tuning      {', '.join(in_words(trial) for trial in tried.trials)}")
    with (
        watch.progress(sum(map(tried.students_of, units))) as advance,
        closing(trained(tried, missing, processes, advance)) as finished,
    ):
        advance(sum(map(tried.students_of, known)))
        for unit in missing:
            known[unit] = tried.attempted([next(finished)])
            results.write(known[unit], units[unit])
    return pd.concat([known[unit] for unit in units], ignore_index=True)
