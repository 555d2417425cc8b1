"""The scale on which differences are shown: how far it reaches, and what its ratios are called."""

import math

import numpy as np


def reach(differences: np.ndarray, margin: float) -> float:
    """The ratio beyond which differences (of logs) are drawn at the edge: it holds 97% of them and the margin."""
    within = float(np.quantile(np.abs(differences), 0.97)) if differences.size else 0.0
    return next((r for r in WORDS if within <= math.log(r) and 1.2 * (margin - 1) <= r - 1), max(WORDS))


WORDS: dict[float, dict[float, str]] = {
    1.5: {1 / 1.5: "≤ −33%", 1 / 1.25: "−20%", 1: "equal", 1.25: "+25%", 1.5: "≥ +50%"},
    2.0: {0.5: "≤ half", 0.75: "−25%", 1: "equal", 4 / 3: "+33%", 2: "≥ double"},
    4.0: {0.25: "≤ ¼", 0.5: "half", 1: "equal", 2: "double", 4: "≥ 4×"},
    10.0: {0.1: "≤ ⅒", 1 / 3: "⅓", 1: "equal", 3: "3×", 10: "≥ 10×"},
    100.0: {0.01: "≤ 1/100", 0.1: "1/10", 1: "equal", 10: "10×", 100: "≥ 100×"},
    1e12: {1e-12: "≤ 10⁻¹²", 1e-6: "10⁻⁶", 1: "equal", 1e6: "10⁶×", 1e12: "≥ 10¹²×"},
}
