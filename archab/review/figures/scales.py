"""Ticks and labels of axes: round numbers on a log axis, none that was not asked for."""

import math
from collections.abc import Sequence

from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

_STEPS: tuple[tuple[float, ...], ...] = (
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9),
    tuple(m / 10 for m in range(10, 100)),
)
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MOST_TICKS = 7


def ticks(axis: Axis, values: Sequence[float], labels: Sequence[str]) -> None:
    """These ticks alone; set after the scale."""
    axis.set_major_locator(FixedLocator(list(values)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FixedFormatter(list(labels)))


def legible(places: Sequence[float], widths: Sequence[float]) -> list[int]:
    """Which labels to keep so that none touches the one before: indices, from places and widths of one unit."""
    kept: list[int] = []
    for i, (place, width) in enumerate(zip(places, widths, strict=True)):
        if not kept or place - places[kept[-1]] >= (width + widths[kept[-1]]) / 2:
            kept.append(i)
    return kept


def round_numbers(low: float, high: float) -> list[float]:
    """Three to seven round numbers on a log axis, as far as the range holds them; whole powers where it is wide."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    decades = [10.0**e for e in range(first, last + 1) if low <= 10.0**e <= high]
    if len(decades) > 3:
        return decades[:: -(-len(decades) // MOST_TICKS)]
    found: list[float] = []
    for steps in _STEPS:
        every = [m * 10.0**e for e in range(first, last + 1) for m in steps]
        found = [value for value in every if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if len(found) >= 3:
            break
    return found[:: -(-len(found) // MOST_TICKS)] if len(found) > MOST_TICKS + 1 else found


def number(value: float) -> str:
    """A round number as a label: 0.05, 1,200, 10⁻⁵."""
    if value >= 1e6 or value < 1e-3:
        exponent = math.floor(math.log10(value) + 1e-9)
        mantissa = value / 10.0**exponent
        power = f"10{str(exponent).translate(RAISED)}"
        return power if abs(mantissa - 1) < 1e-6 else f"{mantissa:.3g}·{power}"
    return f"{value:,.6g}" if value >= 1 else f"{value:.3g}"


def sizes(values: Sequence[float]) -> list[float]:
    """The real sizes as ticks where they are few and apart, else round numbers."""
    real = sorted(set(values))
    span = math.log(real[-1] / real[0]) if len(real) > 1 else 0.0
    kept: list[float] = []
    for value in real:
        if not kept or math.log(value / kept[-1]) >= 0.1 * span:
            kept.append(value)
    if len(kept) <= 6:
        return kept
    return round_numbers(real[0], real[-1])
