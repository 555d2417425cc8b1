"""What is compared: a metric, which direction of it is better, on which scale, and how a difference of it reads."""

import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from archab.errors import ArchabError
from archab.evidence import words
from archab.evidence.statistics import Array

Scale = Literal["difference", "log", "logit"]
SCALES: tuple[Scale, ...] = ("difference", "log", "logit")
# What a metric is called, as a part of its name or at a part's end; behind it only what says of which data, or when.
_LOWER = (
    "loss", "mse", "rmse", "mae", "mape", "err", "error", "errors", "ppl", "perplexity", "bpb", "bpc", "nll", "wer",
    "cer", "fid",
)  # fmt: skip
_HIGHER = (
    "acc", "accuracy", "f1", "auc", "auroc", "auprc", "r2", "reward", "rewards", "bleu", "psnr", "ssim", "ndcg",
)  # fmt: skip
_BEHIND = (
    "train", "training", "val", "valid", "validation", "test", "testing", "eval", "dev", "heldout", "epoch", "step",
    "mean", "avg", "average", "total", "rate", "score", "macro", "micro", "weighted", "best", "last", "final", "ema",
    "top", "at", "roc", "pr",
)  # fmt: skip


def direction(name: str) -> bool | None:
    """Whether the lower value of a metric of this name is the better one; None where the name does not say."""
    if re.search(r"(^|[\d\s(])\s*-", name):  # 1-acc, -loss
        return None
    parts = re.findall(r"[a-z]+\d*|\d+", re.sub(r"([a-z\d])([A-Z])", r"\1 \2", name).lower())
    while parts and (parts[-1].rstrip("0123456789") in ("", *_BEHIND)) and parts[-1] not in _HIGHER:
        parts.pop()
    if not parts or any(part in ("neg", "negative", "minus", "one", "inverse") for part in parts):
        return None
    last = parts[-1]
    if last in _LOWER or last.endswith("loss"):
        return True
    return False if last in _HIGHER else None


def directed(name: str, lower: bool | None = None) -> bool:
    """Whether lower is better: as was said, else as the name says.

    Raises:
        ArchabError: if neither does.
    """
    if (known := direction(name) if lower is None else lower) is None:
        raise ArchabError(
            f"--metric {name}: the name does not say which direction is better; add --lower-is-better or "
            "--higher-is-better"
        )
    return known


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with its direction and scale.

    Attributes:
        name: as it was logged.
        lower: whether the lower value is the better one.
        scale: on which sides are compared: `difference` in the metric's own unit, `log` of positive values (ratios),
            `logit` of shares between 0 and 1 (ratios of odds).
        margin: the smallest difference that matters: in the metric's unit, on the other scales a ratio above 1; None
            where none was declared, and nothing is then called equivalent.

    Raises:
        ArchabError: if the margin is none of its scale.
    """

    name: str
    lower: bool
    scale: Scale = "difference"
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ArchabError(f"scale={self.scale}: no such scale. There are: {', '.join(SCALES)}")
        if self.margin is None:
            return
        if self.scale == "difference" and not 0 < self.margin < math.inf:
            raise ArchabError(f"margin={self.margin:g}: a positive difference of {self.name} is needed, in its unit")
        if self.scale != "difference" and not 1 < self.margin < math.inf:
            raise ArchabError(
                f"margin={self.margin:g}: on the scale {self.scale} a ratio above 1 is needed, such as 1.1"
            )

    @property
    def better(self) -> str:
        """ "lower" or "higher"."""
        return "lower" if self.lower else "higher"

    @property
    def edge(self) -> float:
        """The margin as a difference of scores; NaN where there is none."""
        if self.margin is None:
            return math.nan
        return self.margin if self.scale == "difference" else math.log(self.margin)

    @property
    def said(self) -> str:
        """Direction and scale in words: "lower val_loss is better, compared by its ratio"."""
        by = {"difference": "its difference", "log": "its ratio", "logit": "the ratio of its odds"}[self.scale]
        return f"{self.better} {self.name} is better, compared by {by}"

    def scores(self, values: ArrayLike) -> Array:
        """Values on the scale, turned so that the lower score is the better one; NaN and infinities become NaN.

        Raises:
            ArchabError: if a value has no place on the scale.
        """
        x = np.asarray(values, dtype=float)
        x = np.where(np.isfinite(x), x, np.nan)
        if self.scale == "log":
            self._refuse(x[~np.isnan(x) & (x <= 0)], "the log of positive values alone exists")
            x = np.log(x)
        elif self.scale == "logit":
            self._refuse(
                x[~np.isnan(x) & ((x <= 0) | (x >= 1))], "the logit of shares above 0 and below 1 alone exists"
            )
            x = np.log(x) - np.log1p(-x)
        return x if self.lower else -x

    def _refuse(self, wrong: Array, why: str) -> None:
        if wrong.size:
            raise ArchabError(
                f"{self.name}: {wrong[0]:g} on the scale {self.scale}: {why}; --scale difference takes any"
            )

    def amount(self, theta: float) -> str:
        """How far apart two scores are, without a sign: "0.012", "21%", "1.4 times"."""
        size = abs(theta)
        if self.scale == "log":
            # A lower value is said as a share of the higher one, as errors are; a higher one as a share of the lower.
            return words.percent(-math.expm1(-size) if self.lower else math.expm1(min(size, 700)))
        return words.factor(math.exp(min(size, 700))) + " times" if self.scale == "logit" else number(size)

    def gain(self, theta: float) -> str:
        """What the better side has over the other: "0.012 lower", "21% lower", "1.4 times higher odds"."""
        return f"{self.amount(theta)} {self.better}{' odds' if self.scale == 'logit' else ''}"

    def claim(self, theta: float) -> str:
        """The same of the metric: "its val_loss is 0.012 lower", "its odds of acc are 1.4 times higher"."""
        verb = f"odds of {self.name} are" if self.scale == "logit" else f"{self.name} is"
        return f"its {verb} {self.amount(theta)} {self.better}"

    def span(self, low: float, high: float, names: tuple[str, str]) -> str:
        """An interval of A's score less B's: "new 0.004 to 0.021 lower", "from new 0.001 lower to old 0.02 lower"."""
        if math.isnan(low):
            return "no interval"
        if low < 0 < high:
            ends = zip(names, (low, high), strict=True)
            a, b = (
                f"{name} {self.gain(x)}" if math.isfinite(x) else f"{name} any amount {self.better}" for name, x in ends
            )
            return f"from {a} to {b}"
        better, (least, most) = names[0 if high <= 0 else 1], sorted((abs(low), abs(high)))
        if math.isinf(most):
            return f"{better} at least {self.gain(least)}"
        return f"{better} {self.amount(least)} to {self.gain(most)}"

    def apart(self, theta: float) -> str:
        """A's value less B's for tables, from scores: "−0.012", "+0.3"; on the other scales the ratio "0.98"."""
        if math.isnan(theta):
            return "–"
        x = theta if self.lower else -theta
        if self.scale == "difference":
            return f"{words.MINUS if x < 0 else '+' if x > 0 else ''}{number(abs(x))}"
        return words.times(math.exp(min(x, 700)))

    @property
    def column(self) -> str:
        """The head of such a column."""
        return {"difference": "A less B", "log": "A over B", "logit": "odds A over B"}[self.scale]

    def bound(self) -> str:
        """The margin in words: "0.01", "10%", "1.1 times the odds"."""
        assert self.margin is not None
        if self.scale == "difference":
            return number(self.margin)
        return words.margin(self.margin) if self.scale == "log" else f"{self.margin:g} times the odds"


def number(value: float) -> str:
    """A number with three figures: "0.0123", "1,230", "1.2e-07"."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def mean_of(mean: float, deviation: float) -> str:
    """Mean and standard deviation: "0.91 ± 0.004", a dash where there is none."""
    return f"{number(mean)} ± {number(deviation)}" if math.isfinite(mean) else "–"
