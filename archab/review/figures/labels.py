"""Where the name of a line goes: the first spot within the axes at which it covers no line, mark or other name."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

WRONG = 1e6  # more than any line that is covered


@dataclass(frozen=True)
class Spot:
    """A point in data coordinates, and how text hangs on it: an offset in points and alignments."""

    x: float
    y: float
    dx: float = 0.0
    dy: float = 0.0
    ha: str = "left"
    va: str = "center"


@dataclass
class Labels:
    """Names of the lines of some axes.

    Attributes:
        axes: where they stand; limits and scales must be set.
        right: where they end, in pixels; the sheet's edge where it is not given.
        taken: boxes of the names so far, in pixels.
    """

    axes: Axes
    right: float | None = None
    taken: list[Bbox] = field(default_factory=list)

    def put(
        self,
        text: str,
        color: str,
        spots: Sequence[Spot],
        size: float = 7.0,
        weight: str = "bold",
        below: bool = False,
    ) -> None:
        """Write a name at the spot where it covers least; of equal ones the first.

        Args:
            below: keep it under the name before.
        """
        figure = self.axes.figure
        assert isinstance(figure, Figure)
        renderer = FigureCanvasAgg(figure).get_renderer()
        drawn = self._pixels()
        best = None
        for spot in spots:
            text_ = self.axes.annotate(
                text,
                (spot.x, spot.y),
                (spot.dx, spot.dy),
                textcoords="offset points",
                ha=spot.ha,
                va=spot.va,
                color=color,
                size=size,
                weight=weight,
                bbox={"fc": self.axes.figure.get_facecolor(), "alpha": 0.75, "lw": 0, "pad": 0.5},
                annotation_clip=False,
            )
            box = text_.get_window_extent(renderer).padded(1.5)
            cost = self._cost(box, drawn, figure)
            if below and self.taken and box.y1 > self.taken[-1].y0 + 1:
                cost += WRONG
            if best is None or cost < best[0]:
                if best:
                    best[1].remove()
                best = cost, text_, box
            else:
                text_.remove()
        if best:
            self.taken.append(best[2])

    def _cost(self, box: Bbox, drawn: np.ndarray, figure: Figure) -> float:
        covered = np.count_nonzero((drawn > [box.x0, box.y0]).all(1) & (drawn < [box.x1, box.y1]).all(1))
        others = sum(bool(box.overlaps(other)) for other in self.taken)
        right, frame = figure.bbox.x1 if self.right is None else self.right, self.axes.bbox
        outside = not (frame.x0 - 2 <= box.x0 and box.x1 <= right and frame.y0 <= box.y0 and box.y1 <= frame.y1)
        return covered + WRONG * others + WRONG * outside

    def _pixels(self) -> np.ndarray:
        """Points along every line of the axes."""
        pieces = [np.empty((0, 2))]
        for line in self.axes.lines:
            at = self.axes.transData.transform(np.column_stack(line.get_data()).astype(float))
            if not line.get_in_layout() or len(at) == 0:
                continue
            steps = np.linspace(0, 1, 25)[:, None, None]
            pieces.append((at[:-1] + steps * (at[1:] - at[:-1])).reshape(-1, 2) if len(at) > 1 else at)
        return np.concatenate(pieces)
