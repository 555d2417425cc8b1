"""How a verdict shows itself beyond text, `html` and `rich`: a room above draws it, and the package names that one."""

from collections.abc import Callable
from typing import Any

VIEWS: dict[str, Callable[..., Any]] = {}
