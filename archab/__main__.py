"""python -m archab +space=NAME [key=value …]."""

import atexit
import logging
import os
import sys
import threading
from contextlib import suppress

from archab.cli import run


def main() -> None:
    """Run the command line, and leave at once: to take torch and MLflow apart takes Python over a second."""
    code: str | int | None = 0
    try:
        run.main()
    except SystemExit as ended:
        code = ended.code
    if isinstance(code, str) or any(not t.daemon for t in threading.enumerate() if t is not threading.main_thread()):
        sys.exit(code)  # Python's own way, which waits for threads
    atexit._run_exitfuncs()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read what is printed has gone
            stream.flush()
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
