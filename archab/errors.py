"""What a user is told when the input is wrong: one message, no traceback, exit code 2."""


class ArchabError(Exception):
    """A mistake in what was asked for; the message names the key, the value and what would be right."""
