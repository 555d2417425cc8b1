"""Rows on disk as finished parts, whatever happens to the run or to the store."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from archab import results
from archab.errors import ArchabError


class Spool:
    """The folder of one run: `plan.json`, its finished parts, and at its end `results.parquet`.

    Parts are there while a run is unfinished; a run of the same plan goes on from them. A table's attribute `redrawn`
    counts the targets that were drawn again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts = folder / "parts"
        self.results = folder / "results.parquet"
        self._control = folder / "control.parquet"
        self._said = folder / "finished.json"

    def begin(self, plan: dict[str, Any]) -> int:
        """Start a run by this plan; how many parts are there. Those that were made by another plan are put aside."""
        described = json.dumps(plan, indent=1, sort_keys=True)
        kept = self.folder / "plan.json"
        if self._parts.exists() and (not kept.exists() or kept.read_text() != described):
            aside = self.folder / f"parts-{len(list(self.folder.glob('parts-*')))}"
            self._parts.rename(aside)
        self._parts.mkdir(exist_ok=True)
        kept.write_text(described)
        return len(list(self._parts.glob("*.parquet")))

    def read(self, part: str) -> pd.DataFrame | None:
        """The rows of a finished part, None where it is not finished or damaged."""
        file = self._parts / f"{part}.parquet"
        if not file.exists():
            return None
        try:
            return results.read(file)
        except ArchabError:
            file.unlink()
            return None

    def write(self, part: str, rows: pd.DataFrame) -> None:
        """Keep a finished part."""
        results.write(rows, self._parts / f"{part}.parquet")

    def keep_said(self, said: dict[str, str]) -> None:
        """Keep what a finished run said, and where it was logged."""
        unfinished = self._said.with_name(f".{self._said.name}")
        unfinished.write_text(json.dumps(said, indent=1))
        unfinished.replace(self._said)

    def said(self) -> dict[str, str] | None:
        """What `keep_said` kept, None where no run has finished."""
        try:
            return dict(json.loads(self._said.read_text())) if self.results.exists() else None
        except (OSError, ValueError):
            return None

    def keep_control(self, rows: pd.DataFrame) -> None:
        """Keep the rows of the control, apart from those of the sides."""
        results.write(rows, self._control)

    def files(self) -> list[Path]:
        """The finished tables."""
        return [file for file in (self.results, self._control) if file.exists()]

    def finish(self) -> pd.DataFrame:
        """All rows in key order, written to `results.parquet`; the parts have served."""
        parts = sorted(self._parts.glob("*.parquet"))
        results.join(parts, self.results)
        shutil.rmtree(self._parts)
        return results.read(self.results)


def place(root: Path, fingerprint: str, seed: int) -> Path:
    """The folder of one run."""
    return root / fingerprint / str(seed)


@contextmanager
def spooled(root: Path, fingerprint: str, seed: int) -> Iterator[Spool]:
    """The spool of one run, held by this process alone.

    Raises:
        ArchabError: if the folder cannot be written, or another process is at this run.
    """
    folder = place(root, fingerprint, seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise ArchabError(f"another process is at this very run (seed {seed}); its rows go to {folder}") from None
    except OSError as error:
        raise ArchabError(f"spool={root}: cannot be written ({error.strerror}); give a writable folder") from error
    try:
        yield Spool(folder)
    finally:
        lock.release()
