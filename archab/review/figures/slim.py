"""An SVG of matplotlib in half of its bytes: without what no reader shows, places to a hundredth of a point."""

import re

_FONT = re.compile(r"font-family: ([^;\"]*);? ?")
_DROPPED = (
    re.compile(r"<!DOCTYPE.*?>\s*", re.S),
    re.compile(r"\s*<metadata>.*?</metadata>", re.S),
    re.compile(r"<clipPath.*?</clipPath>", re.S),
    re.compile(r' id="(?:figure|patch|axes|line2d|text|xtick|matplotlib\.axis)_\d+"'),
    re.compile(r' transform="rotate\(-?0 [^"]*\)"'),
    re.compile(r' clip-path="[^"]*"'),
)


def slim(svg: str) -> str:
    """The same picture, of one font; nothing may rely on being clipped. What is written in it stays as it is."""
    for pattern in _DROPPED:
        svg = pattern.sub("", svg)
    if font := _FONT.search(svg):
        svg = _FONT.sub("", svg).replace("</style>", f"text{{font-family: {font[1]}}}</style>", 1)
    svg = re.sub(r"<[^>]*>", _shorter, svg)
    svg = re.sub(r">\s*\n\s*<", "><", svg).replace("<defs></defs>", "")
    while svg != (bare := re.sub(r"<g>((?:(?!</?g\b).)*)</g>", r"\1", svg, flags=re.S)):
        svg = bare
    return svg.strip() + "\n"


def _shorter(tag: re.Match[str]) -> str:
    short = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), tag[0])
    return re.sub(r"\s*\n\s*", " ", short).replace("; ", ";").replace(": ", ":")
