"""A figure within a page: one SVG for light and dark, whose colours are the page's and whose names are its own."""

import io
import re

import matplotlib as mpl
from markupsafe import Markup

from archab.review.figures.palette import LIGHT, Palette
from archab.review.figures.picture import Picture
from archab.review.figures.sheet import STYLE

PIXELS = 200  # an inch, of points that are an image


def svg(picture: Picture, prefix: str) -> Markup:
    """The bare figure as an SVG element.

    Args:
        prefix: put before every id, so that figures of one page do not share any.
    """
    stream = io.StringIO()
    figure = picture.figure(LIGHT, bare=True)
    figure.patch.set_visible(False)
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", dpi=PIXELS, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\g<1>#{prefix}-", text)
    text = re.sub(r"-?\d+\.\d{3,}(?=[ \"\n,)])", _shorter, text)
    text = isolated(text)
    text = re.sub(r"\b(fill|stroke): (#[0-9a-f]{6})\b", _themed, text)
    head = Markup('<svg role="img" aria-label="{}"').format(picture.alt)
    text = re.sub(r'^<svg (?:width|height)="[^"]*" (?:width|height)="[^"]*"|^<svg', lambda _: str(head), text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*pt"', r"\1", text, count=1)
    return Markup(re.sub(r'(<svg[^>]*?) height="[^"]*pt"', r"\1", text, count=1))


def _shorter(number: re.Match[str]) -> str:
    """Two decimals of a point are enough."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


_NAMES = {colour: name for name, colour in LIGHT.items()}


def _themed(style: re.Match[str]) -> str:
    name = _NAMES.get(style[2])
    return f"{style[1]}: var(--{name})" if name else style[0]


def isolated(text: str) -> str:
    """Words of Hebrew, Arabic and their like kept from turning the numbers beside them round; SVG has no bdi."""
    return re.sub(rf"{_RIGHT_TO_LEFT}(?:[ …]{_RIGHT_TO_LEFT})*", "\u2068\\g<0>\u2069", text)


_RIGHT_TO_LEFT = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+"


def variables(palette: Palette) -> str:
    """A palette as declarations of a style sheet."""
    return " ".join(f"--{name}: {colour};" for name, colour in palette.items())
