"""Memory that was freed, given back to the system."""

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Let the C library return what it keeps of freed memory, where it can: after 100,000 targets, 100 MB."""
    with suppress(OSError, AttributeError, TypeError):  # glibc alone has this
        ctypes.CDLL(None).malloc_trim(0)
