"""Who is at work in a folder, for other hosts that share it: a file that a live process touches."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOUCHED_EVERY, STALE = 30.0, 300.0  # seconds


def holder(file: Path) -> tuple[str, bool]:
    """The host that last held the lease, and whether it was alive in the last five minutes; an empty name for none."""
    try:
        host = json.loads(file.read_text())["host"]
        return (host, time.time() - file.stat().st_mtime < STALE) if isinstance(host, str) else ("", False)
    except (OSError, ValueError, KeyError, TypeError):
        return "", False


@contextmanager
def leased(file: Path) -> Iterator[None]:
    """Hold the lease; it is gone afterwards, unless the process dies."""
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(TOUCHED_EVERY):
            with contextlib.suppress(OSError):
                file.touch()

    file.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
    threading.Thread(target=touch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        file.unlink(missing_ok=True)
