"""archab: A/B tests for neural-network architectures."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archab.comparison.comparison import Comparison
    from archab.space import ArchitecturalSpace

__all__ = ["ArchitecturalSpace", "Comparison", "__version__"]

_HOME = {"ArchitecturalSpace": "archab.space", "Comparison": "archab.comparison.comparison"}


def __getattr__(name: str) -> Any:
    # On first use, so that the command line answers a mistake without waiting for torch.
    if name == "__version__":
        return version("archab")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'archab' has no attribute {name!r}")
