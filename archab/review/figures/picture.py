"""A figure before it is drawn: what it is called, what it finds, what it shows and how."""

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from archab.review.figures.names import drawable
from archab.review.figures.palette import LIGHT, Palette
from archab.review.figures.sheet import STYLE

Body = Callable[[Palette, str, str], Figure]


@dataclass(frozen=True)
class Picture:
    """One figure of a verdict.

    Attributes:
        name: of its file.
        title: the finding, in the verdict's own words.
        caption: what is drawn, with n and the unit of replication.
        alt: what it looks like, for who cannot see it.
        body: draws it on a sheet with this palette, title and caption.
    """

    name: str
    title: str
    caption: str
    alt: str
    body: Body

    def figure(self, palette: Palette = LIGHT, bare: bool = False) -> Figure:
        """The drawing; bare, without title and caption, for a page that sets them itself."""
        with mpl.rc_context(STYLE):
            return self.body(palette, "" if bare else drawable(self.title), "" if bare else drawable(self.caption))


@dataclass(frozen=True)
class Absent:
    """A figure that a verdict does not have, and why."""

    name: str
    title: str
    why: str
