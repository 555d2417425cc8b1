"""Training curves: the mean loss of each student between at most 50 steps, kept as it trains."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from torch import Tensor

MOST = 50
QUARTILES = (0.25, 0.5, 0.75)


class Curve:
    """The losses of R students that step together, summed since their start, after some of their steps.

    Where the number of steps is not known before, every second point goes whenever there are too many.
    """

    def __init__(self) -> None:
        self._every, self._step = 1, 0
        self._points: list[tuple[int, int, np.ndarray]] = [(0, 0, np.zeros(1))]

    def step(self, total: Tensor | float, calls: int) -> None:
        """A step is done: the sum of the losses so far, shape (R,) or a number, and of how many."""
        self._step += 1
        if self._step % self._every == 0:
            self.add(self._step, total, calls)

    def add(self, step: int, total: Tensor | np.ndarray | float, calls: int) -> None:
        """A point after this step."""
        losses = total.detach().cpu().numpy() if isinstance(total, Tensor) else total
        self._points.append((step, calls, np.array(losses, dtype=float).reshape(-1)))
        if len(self._points) > MOST + 1:
            self._points = self._points[::2]
            self._every *= 2

    def means(self) -> list[tuple[int, np.ndarray]]:
        """At each point its step, and each student's mean loss since the point before, shape (R,)."""
        pairs = zip(self._points, self._points[1:], strict=False)
        with np.errstate(invalid="ignore"):  # broken losses
            return [(step, (total - before) / max(1, n - m)) for (_, m, before), (step, n, total) in pairs]


def quartiles(curves: Sequence[Curve]) -> list[tuple[int, float, float, float]]:
    """Step and quartiles over students, at the steps that at least half of them took; a broken loss is infinite."""
    values: dict[int, list[np.ndarray]] = defaultdict(list)
    for curve in curves:
        for step, mean in curve.means():
            values[step].append(np.nan_to_num(mean, nan=np.inf, posinf=np.inf))
    joined = {step: np.concatenate(values[step]) for step in sorted(values)}
    most = max((students.size for students in joined.values()), default=0)
    shared = [step for step, students in joined.items() if 2 * students.size >= most]
    kept = shared[:: -(-len(shared) // MOST) or 1]
    found = [(step, np.quantile(joined[step], QUARTILES, method="inverted_cdf")) for step in kept]
    return [(step, float(low), float(middle), float(high)) for step, (low, middle, high) in found]
