"""Bring finished runs into the store that was not there when they ended: archab-sync."""

import argparse
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from archab import __version__
from archab.errors import ArchabError
from archab.runs.log import Record, logged


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0, 1 where a run could not be delivered, 2 on a mistake."""
    parser = argparse.ArgumentParser(prog="archab-sync", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"archab {__version__}")
    parser.add_argument("spool", nargs="?", default=".archab", help="the folder with the rows (default .archab)")
    parser.add_argument("--tracking-uri", help="bring every run there, instead of to the store that it was meant for")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds that a store is waited for (default 0)")
    given = parser.parse_args(arguments)
    if not 0 <= given.patience < math.inf:
        parser.error(f"--patience {given.patience}: a number of seconds is needed, 0 or more")
    folder = Path(given.spool)
    if not folder.is_dir():
        print(f"archab-sync: {folder}: no such folder; give the spool of your runs", file=sys.stderr)
        return 2
    try:
        return _sync(folder, given.tracking_uri, given.patience)
    except KeyboardInterrupt:
        return 130


def _sync(folder: Path, uri: str | None, patience: float) -> int:
    from archab.store.mlflow import Store
    from archab.store.upload import asked, delivered

    brought = failed = 0
    default = Store.named(uri, Path.cwd())
    for file in sorted(folder.rglob("finished.json")):
        record = Record.read(file)
        if record is None:
            print(f"archab-sync: {file}: no record of a run; it is left alone", file=sys.stderr)
            continue
        # Of a run's own stores, only MLFLOW_TRACKING_URI can tell the password.
        own = [default if shown == default.shown else Store.named(shown, Path.cwd()) for shown in record.runs]
        for store in [default] if uri else own:
            try:
                store.check()
                if store.shown in record.delivered and asked(store, partial(store.holds, record), _say, patience):
                    continue
                delivered(store, record, logged(file.parent), _say, patience)
                record.write(file)
            except ArchabError as error:
                failed += 1
                print(f"archab-sync: {error}", file=sys.stderr)
                continue
            brought += 1
            print(f"{record.name}: brought to {store.shown}")
    print(f"{brought} runs were brought to their store, {failed} could not be")
    return 1 if failed else 0


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
