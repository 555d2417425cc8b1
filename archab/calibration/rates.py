"""A measured rate with its Monte-Carlo standard error, and the range that is promised."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Line:
    """One measured rate, its Monte-Carlo standard error, and the range that is promised."""

    what: str
    setting: str
    value: float
    error: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the rate lies in the promised range."""
        return self.low <= self.value <= self.high

    def __str__(self) -> str:
        mark = "" if self.holds else "   <- outside"
        promised = f"{self.low:.2f} to {self.high:.2f}" if np.isfinite(self.high) else f"at least {self.low:.2f}"
        return f"{self.what:<44} {self.setting:<28} {self.value:.3f} ± {self.error:.3f}   {promised}{mark}"


def rate(what: str, setting: str, hits: np.ndarray, low: float, high: float) -> Line:
    """How often something happened, shape (experiments,) of truth values, and between which rates it must."""
    share = float(np.mean(hits))
    return Line(what, setting, share, error_of(share, hits.size), low, high)


def error_of(rate: float, experiments: int) -> float:
    """The standard error of a rate over so many experiments."""
    return float(np.sqrt(rate * (1 - rate) / experiments))
