"""archab: A/B tests for neural-network architectures."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from archab.evidence.views import VIEWS

if TYPE_CHECKING:
    from archab.comparison.comparison import Comparison
    from archab.evidence.verdict import judge
    from archab.experiment.compare import compare
    from archab.metrics.compare import compare_runs
    from archab.space import ArchitecturalSpace

__all__ = ["ArchitecturalSpace", "Comparison", "__version__", "compare", "compare_runs", "judge"]

_HOME = {
    "ArchitecturalSpace": "archab.space",
    "Comparison": "archab.comparison.comparison",
    "compare": "archab.experiment.compare",
    "compare_runs": "archab.metrics.compare",
    "judge": "archab.evidence.verdict",
}


def __getattr__(name: str) -> Any:
    # On first use, so that the command line answers a mistake without waiting for torch.
    if name == "__version__":
        return version("archab")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'archab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


# A verdict shows itself by the room above its own, which is imported with its drawing when one is first looked at.
VIEWS["html"] = lambda verdict: import_module("archab.review.report").fragment(verdict)
VIEWS["rich"] = lambda verdict, width: import_module("archab.review.terminal").table(verdict, width)
