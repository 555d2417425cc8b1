"""What a user is told when the input is wrong: one message, no traceback, exit code 2."""


class ArchabError(Exception):
    """A mistake in what was asked for; the message names the key, the value and what would be right."""


def first_line(error: BaseException) -> str:
    """The first line of what an exception says; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def explain(error: BaseException) -> str:
    """An exception in one line: its kind and the first line of its message."""
    return f"{type(error).__name__}: {first_line(error)}" if str(error) else type(error).__name__
