"""Numbers in plain words: ratios as "21% lower", ranges, counts and evidence. Numbers in, text out."""

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"


def lower(ratio: float, what: str = "lower", bar: float = math.nan) -> str:
    """A ratio of errors below 1 in words: "21% lower", from a half on "62% lower (2.6 times)"; `bar`: see `percent`."""
    times = f" ({factor(1 / ratio)} times)" if ratio <= 0.5 else ""
    return f"{percent(1 - ratio, bar)} {what}{times}"


def percent(share: float, bar: float = math.nan) -> str:
    """A share in per cent: whole above 1%, and never rounded to 0% or 100%, nor onto or over a bar that it misses."""
    value = 100 * share
    if 0 < value < 0.1:
        return "less than 0.1%"
    if value < 0.95 or 99.5 <= value < 100:
        return f"{math.floor(value * 10) / 10:g}%" if value > 99 else f"{value:.1f}%".replace(".0%", "%")
    return f"{telling(value, 100 * bar, f'{value:.0f}')}%"


def telling(value: float, bar: float, usual: str) -> str:
    """A positive number as it is usually rounded, or with as many figures as it takes to stay on its side of a bar.

    A figure that is below the bar must not read as on it, nor one that is above it. A NaN bar is none.
    """
    if (
        math.isnan(bar)
        or math.isclose(value, bar, rel_tol=1e-9)
        or _same_side(float(usual.replace(",", "")), value, bar)
    ):
        return usual
    figures = (f"{value:.{digits}g}" for digits in range(2, 15))
    return next(shown for shown in figures if _same_side(float(shown), value, bar))


def _same_side(shown: float, value: float, bar: float) -> bool:
    return shown < bar if value < bar else shown > bar


def margin(ratio: float) -> str:
    """A margin as the share that it allows: 1.10 is "10%"."""
    return f"{100 * (ratio - 1):.3g}%"


def margin_share(ratio: float) -> float:
    """By what share an error is lower at a margin, the bar of `percent`: 1.10 is .0909."""
    return 1 - 1 / ratio


def level(alpha: float) -> str:
    """The level of an interval: .05 is "95%"."""
    return f"{100 * (1 - alpha):g}%"


def signed(ratio: float) -> str:
    """A ratio as a change for tables: "−21%", "+26%", "0%"; a dash where there is none."""
    if not math.isfinite(ratio):
        return "–"
    value = round(100 * (ratio - 1))
    return f"+{value}%" if value > 0 else f"{MINUS}{-value}%" if value < 0 else "0%"


def span(low: float, high: float, names: tuple[str, str], bar: float = math.nan) -> str:
    """An interval for the ratio of A's to B's error: "12% to 28% lower", or from one side's gain to the other's."""
    if low < 1 < high:
        return f"from {names[0]} {percent(1 - low, bar)} lower to {names[1]} {percent(1 - 1 / high, bar)} lower"
    return f"{between(low, high, bar)} lower"


def between(low: float, high: float, bar: float = math.nan) -> str:
    """The same for tables: "12% to 28%" of the lower side, "A 3% to B 5%", or that there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval"
    if high <= 1:
        return f"{percent(1 - high, bar)} to {percent(1 - low, bar)}"
    if low >= 1:
        return f"{percent(1 - 1 / low, bar)} to {percent(1 - 1 / high, bar)}"
    return f"A {percent(1 - low, bar)} to B {percent(1 - 1 / high, bar)}"


def factor(value: float) -> str:
    """How many times: two decimals below 2, one below 10, whole above."""
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.{2 if value < 2 else 1}f}".rstrip("0").rstrip(".")


def times(value: float) -> str:
    """How many times, below 1 too, and never rounded onto it: "1.25", "0.62", "1.003"."""
    return telling(value, 1, factor(value) if value >= 1 else f"{value:.2g}")


def factors(values: Sequence[float]) -> str:
    """A range of factors: "1.25 to 1.63", or one where they agree."""
    low, high = factor(min(values)), factor(max(values))
    return low if low == high else f"{low} to {high}"


def error(value: float) -> str:
    """An error with two figures: "0.10", "0.081"."""
    return f"{value:#.2g}"


def errors(values: Sequence[float]) -> str:
    """A range of errors: "0.021 to 0.10", or one where they agree."""
    low, high = error(min(values)), error(max(values))
    return low if low == high else f"{low} to {high}"


def small(value: float) -> str:
    """A small number: "1e-12" is "10⁻¹²"; of others "0.001", "2e-09"."""
    power = round(math.log10(value))
    if power < -3 and math.isclose(value, 10.0**power):
        return f"10{str(power).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    return f"{value:g}"


def counted(number: int, what: str) -> str:
    """ "1 target", "1,200 targets"."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def seeds(numbers: Sequence[int]) -> str:
    """Seeds as an override: "seed=3", "seed=1,5", "seed=range(0,8)"."""
    ordered = sorted(numbers)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"seed=range({ordered[0]},{ordered[-1] + 1})"
    return f"seed={','.join(map(str, ordered))}"


def evidence(log_e: float, bar: float = math.nan) -> str:
    """E in words: "7.9", "1,200", "7.9 million", "10^15"; never rounded onto a bar that it misses, such as 20."""
    if log_e < math.log(1e6):
        e = math.exp(log_e)
        return telling(e, bar, f"{e:.2g}" if e < 100 else f"{e:,.0f}")
    if log_e < math.log(1e9):
        return f"{math.exp(log_e) / 1e6:,.3g} million"
    return f"10^{log_e / math.log(10):.0f}"


def probability(p: float, alpha: float = math.nan) -> str:
    """A p-value for tables: "0.012", "<.001", a dash where there is none; never rounded onto an alpha it misses."""
    if not math.isfinite(p):
        return "–"
    if p < 0.001 and not p > alpha:
        return "<.001"
    return telling(p, alpha, f"{p:.2g}" if p >= 0.0995 or p < 0.001 else f"{p:.3f}")


def p_is(p: float, alpha: float = math.nan) -> str:
    """A p-value for a sentence: "p = 0.012", "p < .001"."""
    shown = probability(p, alpha)
    return f"p < {shown[1:]}" if shown.startswith("<") else f"p = {shown}"


def called(member: int, names: Sequence[str]) -> str:
    """What a member is called: the name that was given, else its index."""
    return names[member] if member < len(names) else f"member {member}"


def listed(items: Sequence[str]) -> str:
    """ "1", "1 and 4", "1, 4 and 5"; parted by semicolons where an item has a comma of its own."""
    if any("," in item for item in items):
        return "; ".join(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def effect(gmr: float, names: tuple[str, str] = ("A", "B")) -> str:
    """A ratio of A's to B's error as who is lower: "A 21% lower", "equal"."""
    if not math.isfinite(gmr):
        return "–"
    if (share := percent(1 - min(gmr, 1 / gmr))) == "0%":
        return "equal"
    return f"{names[0] if gmr < 1 else names[1]} {share} lower"
