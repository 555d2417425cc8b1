"""Rows on disk as finished work units, whatever happens to the run or to the store."""

import errno
import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from filelock import FileLock, Timeout
from pyarrow import parquet

from archab import results
from archab.errors import ArchabError
from archab.runs.lease import holder, leased
from archab.runs.log import Record, logged
from archab.runs.shard import Shard


class RunFolder:
    """The folder of one run: its finished work units, and at its end `results.parquet`.

    The folder of a seed holds `plan.json`, by which its work is cut into units; those of its shards are folders in it,
    and share that plan. Units are there while a run is unfinished; the next start goes on from them.
    """

    def __init__(self, root: Path, fingerprint: str, seed: int, shard: Shard | None = None) -> None:
        self._seed = root / fingerprint / str(seed)
        self._shard = shard
        self.folder = self._seed / f"shard-{shard.number}-of-{shard.of}" if shard else self._seed
        self._parts = self.folder / "parts"
        self.results, self._control, self._curves = (self.folder / name for name in results.TABLES)
        self._costs = self.folder / results.COSTS
        self.record = self.folder / "finished.json"
        self.pictures = self.folder / results.REPORT
        self._whole, self._whole_control, self._whole_curves, self._whole_costs = (
            self._parts / name for name in ("joined", "control", "curves", "costs")
        )

    @property
    def shared(self) -> Path:
        """The folder of the configuration, which all seeds share."""
        return self._seed.parent

    @contextmanager
    def held(self) -> Iterator[set[str]]:
        """Hold the folder, so that no other process is at this run; the hosts whose earlier runs in it are dead.

        Raises:
            ArchabError: if the folder cannot be written, or another process is at this run.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock")
            lock.acquire(timeout=0)
            host, alive = holder(self.folder / "lease")
        except Timeout:
            raise ArchabError(f"another process is at this very run; its rows go to {self.folder}") from None
        except OSError as error:
            raise ArchabError(
                f"spool={self._seed.parents[1]}: cannot be written ({error.strerror}); give a writable folder"
            ) from error
        try:
            if alive and host != socket.gethostname():
                raise ArchabError(f"a process on {host} is at this very run; its rows go to {self.folder}")
            with leased(self.folder / "lease"):
                yield {socket.gethostname(), host} - {""}
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EISDIR):
                raise
            raise ArchabError(
                f"{self.folder}: cannot be written ({error.strerror}); what was finished is kept"
            ) from error
        finally:
            lock.release()

    def begin(self, plan: dict[str, Any], anew: bool = False) -> dict[str, Any]:
        """The plan to train by: that of the work units which are there, or of other shards, else this one.

        Args:
            plan: what would be done if nothing were there. Units by other versions of archab or torch, on another
                device, or of routines that were tuned otherwise, are put aside.
            anew: whether to leave units alone unless they were begun anew, too, and by this very plan.
        """
        anew = anew and self._shard is None
        with FileLock(self._seed / "plan.lock"):
            kept, was_anew = self._plan()
            if anew:
                goes_on = self.kept() > 0 and was_anew and kept == plan
            else:
                others = (folder != self.folder for folder in self._seed.glob("shard-*"))
                begun = self.kept() > 0 or (self._shard is not None and any(others))
                goes_on = begun and all(kept.get(key) == plan.get(key) for key in ("made_by", "tuned"))
            if not goes_on:
                if self._parts.exists():
                    self._parts.rename(self.folder / f"parts-{len(list(self.folder.glob('parts-*')))}")
                with results.whole(self._seed / "plan.json") as unfinished:
                    unfinished.write_text(json.dumps(plan | {"anew": anew}, indent=1, sort_keys=True))
            self._parts.mkdir(exist_ok=True)
        return kept if goes_on else plan

    def _plan(self) -> tuple[dict[str, Any], bool]:
        """The plan that is there, and whether it was begun anew; an empty one where there is none."""
        try:
            kept = json.loads((self._seed / "plan.json").read_text())
        except (OSError, ValueError):
            return {}, False
        if not isinstance(kept, dict) or not {"made_by", "memory", "methods", "lessons"} <= kept.keys():
            return {}, False
        return kept, bool(kept.pop("anew", False))

    def kept(self) -> int:
        """How many work units are finished."""
        return len(list(self._parts.glob("*.parquet")))

    def has(self, unit: str) -> bool:
        """Whether a work unit is finished; a damaged one is thrown away."""
        try:
            self.read(unit)
        except ArchabError:
            self._file(unit).unlink(missing_ok=True)
            return False
        return True

    def read(self, unit: str) -> pd.DataFrame:
        """The rows of a finished work unit.

        Raises:
            ArchabError: if it is not there, or damaged.
        """
        return results.read(self._file(unit))

    def _file(self, unit: str) -> Path:
        return self._parts / f"{unit}.parquet"

    def write(self, unit: str, rows: pd.DataFrame) -> None:
        """Keep a finished work unit."""
        results.write(rows, self._file(unit))

    def write_curves(self, unit: str, curves: pd.DataFrame) -> None:
        """Keep the training curves of a work unit."""
        results.write(curves, self._parts / f"{unit}.curves")

    def write_spent(self, unit: str, spent: pd.DataFrame) -> None:
        """Keep what training a work unit took."""
        results.write(spent, self._parts / f"{unit}.spent")

    def spent(self) -> pd.DataFrame:
        """What training took, of all work units of which it is kept: those of earlier versions have none."""
        files = sorted(self._parts.glob("*.spent"))
        return pd.concat(map(pd.read_parquet, files)) if files else results.spent_frame([])

    def keep_costs(self, costs: pd.DataFrame) -> None:
        """Keep what students cost."""
        results.write(costs, self._whole_costs)

    def join(self) -> pd.DataFrame:
        """All rows in key order; of their columns those that are judged."""
        results.join(sorted(self._parts.glob("*.parquet")), self._whole)
        if curves := sorted(self._parts.glob("*.curves")):
            results.join(curves, self._whole_curves)
        return results.read_judged(self._whole)

    def keep_control(self, rows: pd.DataFrame) -> None:
        """Keep the rows of the control, apart from those of the sides."""
        results.write(rows, self._whole_control)

    def finish(self, record: Record) -> None:
        """Put the joined tables and a record of the run in place; the single units have served."""
        tables = {
            self._whole_control: self._control,
            self._whole_curves: self._curves,
            self._whole_costs: self._costs,
            self._whole: self.results,
        }
        for unfinished, finished in tables.items():
            if unfinished.exists():
                unfinished.replace(finished)
            else:
                finished.unlink(missing_ok=True)
        record.write(self.record)
        shutil.rmtree(self._parts)

    def whole(self) -> bool:
        """Whether the rows of a finished run are there, and no torn file."""
        try:
            parquet.read_metadata(self.results)
        except (OSError, pa.ArrowException):
            return False
        return True

    def curves(self) -> pd.DataFrame | None:
        """The training curves of all work units, None where none has any."""
        return pd.read_parquet(self._whole_curves) if self._whole_curves.exists() else None

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame | None]:
        """The rows, the control and the training curves of a finished run, None where it has none."""
        control, curves = (pd.read_parquet(file) if file.exists() else None for file in (self._control, self._curves))
        return results.read(self.results), control, curves

    def files(self) -> list[Path]:
        """The finished tables, and the report with its figures where there is one."""
        return logged(self.folder)
