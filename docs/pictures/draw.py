"""The diagrams of docs/concepts.md: python docs/pictures/draw.py writes them as SVG, beside itself.

Each is a card with paper and ink of its own, so that it is readable on light and on dark pages. A is solid and a filled
circle, B dashed and a hollow square, as in all figures of archab.
"""

import math
from itertools import pairwise
from pathlib import Path
from random import Random

STYLE = """<style>
svg{--paper:#fff;--ink:#222;--pale:#767676;--a:#1f6fb4;--b:#b8590a;font:14px sans-serif}
@media(prefers-color-scheme:dark){svg{--paper:#1c1f23;--ink:#e6e6e6;--pale:#9a9a9a;--a:#6cb2f0;--b:#f0a050}}
.card{fill:var(--paper);stroke:var(--pale)}text{fill:var(--ink)}.small{font-size:12px}.pale{fill:var(--pale)}
.line{stroke:var(--ink);fill:none}.bar{stroke:var(--ink);fill:none;stroke-dasharray:2 3}
.thin{stroke:var(--pale);fill:none}.box{fill:none;stroke:var(--ink)}
.a{stroke:var(--a);fill:none;stroke-width:2}.b{stroke:var(--b);fill:none;stroke-width:2;stroke-dasharray:6 4}
.dot{fill:var(--ink)}.da{fill:var(--a)}.db{fill:var(--paper);stroke:var(--b);stroke-width:2}
</style>"""
WIDTH = 720


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{kind}">{words}</text>'


def line(points: list[tuple[float, float]], kind: str = "line") -> str:
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def arrow(x: float, y: float, to: float, down: float = 0.0) -> str:
    angle = math.atan2(down, to - x)
    tips = [(to - 8 * math.cos(angle + turn), y + down - 8 * math.sin(angle + turn)) for turn in (0.4, -0.4)]
    return line([(x, y), (to, y + down)]) + line([tips[0], (to, y + down), tips[1]])


def dot(x: float, y: float, kind: str = "dot", r: float = 3.5) -> str:
    return f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="{r:g}"/>'


def square(x: float, y: float, r: float = 4.0) -> str:
    return f'<rect class="db" x="{x - r:g}" y="{y - r:g}" width="{2 * r:g}" height="{2 * r:g}"/>'


def box(x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>'


def wave(t: float) -> float:
    return 118 - 34 * math.sin(5.2 * t + 0.5) - 12 * math.sin(11 * t)


def target() -> tuple[int, str]:
    """A random network is asked at random inputs; students of both sides learn the samples."""
    layers = [[(70, y) for y in (88, 118, 148)], [(115, y) for y in (73, 103, 133, 163)], [(160, 118)]]
    edges = [line([p, q], "thin") for before, after in pairwise(layers) for p in before for q in after]
    rng = Random(1)
    asked = sorted(rng.random() for _ in range(14))
    grid = [i / 60 for i in range(61)]
    parts = [
        *edges,
        *(dot(x, y, r=5) for layer in layers for x, y in layer),
        text(115, 32, "a random network"),
        text(115, 200, "drawn from a prior", "small pale"),
        arrow(185, 118, 225),
        *(dot(245 + 190 * t, wave(t)) for t in asked),
        text(340, 32, "is asked at random inputs"),
        text(340, 200, "these samples are the target", "small pale"),
        arrow(450, 118, 490),
        *(dot(505 + 190 * t, wave(t)) for t in asked),
        line([(505 + 190 * t, wave(t) + 5 * math.sin(17 * t)) for t in grid], "a"),
        line([(505 + 190 * t, 118 - 24 * math.sin(5.2 * t + 0.7)) for t in grid], "b"),
        text(600, 32, "two students learn them"),
        text(600, 200, "A solid, B dashed; scored on fresh inputs", "small pale"),
    ]
    return 220, "".join(parts)


def pairs() -> tuple[int, str]:
    """Members are paired at equal index; both sides learn the same targets."""
    parts = [text(110, 32, "side A"), text(330, 32, "targets of the member"), text(530, 32, "side B")]
    parts += [text(645, 32, "sizes, A / B")]
    for i, (y, r, size) in enumerate(((75, 9, "153 / 151"), (130, 14, "457 / 461"), (198, 20, "1,500 / 1,490"))):
        phase = Random(i).random() * 6
        parts += [
            line([(280 + 100 * t / 30, y - 13 * math.sin(0.25 * t + phase)) for t in range(31)]),
            arrow(265, y, 150),
            arrow(395, y, 490),
            dot(110, y, "da", r),
            square(530, y, r),
            text(40, y + 5, f"member {i}", "small pale"),
            text(645, y + 5, size),
        ]
    return 240, "".join(parts)


def rounds() -> tuple[int, str]:
    """A round is one target of every member; evidence moves with each."""
    rng = Random(4)
    parts = [text(20, 55, "member 0", "small", "start"), text(20, 85, "member 1", "small", "start")]
    parts += [
        text(20, 190, "evidence E", "small", "start"),
        text(20, 128, "difference", "small", "start"),
        text(20, 143, "(up: A lower)", "small pale", "start"),
    ]
    log_e, path = 0.0, [(95.0, 230.0)]
    for k in range(12):
        x = 120 + 48 * k
        found = rng.gauss(-0.7, 0.8)
        log_e += math.log1p(math.tanh(-0.9 * found))
        path.append((x + 20, 230 - 17 * log_e))
        parts += [box(x, 36, 40, 62), text(x + 20, 27, str(k + 1), "small pale")]
        for y in (50, 80):
            parts += [dot(x + 13, y, "da", 4), square(x + 28, y)]
        parts += [line([(x + 20, 130), (x + 20, 130 + 13 * found)], "a" if found < 0 else "b")]
    parts += [
        line([(110, 130), (700, 130)], "thin"),
        line(path, "line"),
        line([(95, 230 - 17 * math.log(20)), (700, 230 - 17 * math.log(20))], "bar"),
        text(120, 224 - 17 * math.log(20), "20: decided", "small", "start"),
        line([(95, 230), (700, 230)], "thin"),
        text(88, 234, "1", "small pale", "end"),
        text(408, 254, "rounds, in the order in which seeds were first started", "small pale"),
    ]
    return 270, "".join(parts)


def verdict() -> tuple[int, str]:
    """From rows to one of four words."""
    parts = [box(20, 75, 120, 60), text(80, 100, "rows"), text(80, 120, "a student each", "small pale")]
    parts += [arrow(140, 105, 175), box(175, 75, 150, 60), text(250, 100, "differences")]
    parts += [text(250, 120, "target by target, logs", "small pale")]
    ends = (
        (40, "E reaches 20", "A better, or B better"),
        (105, "range within 10%, each member too", "equivalent"),
        (170, "neither, or something forbids it", "undecided, and what next"),
    )
    for y, why, word in ends:
        parts += [arrow(325, 105, 375, y - 105), text(385, y - 3, why, "small pale", "start")]
        parts += [text(385, y + 16, word, "", "start")]
    parts += [box(585, 22, 115, 166), text(642, 60, "read with it"), text(642, 90, "sizes, tuning", "small pale")]
    parts += [text(642, 110, "length, costs", "small pale"), text(642, 130, "diverged students", "small pale")]
    parts += [text(642, 150, "members", "small pale")]
    return 210, "".join(parts)


PICTURES = {"target": target, "pairs": pairs, "rounds": rounds, "verdict": verdict}


def drawn(name: str) -> str:
    """The picture of this name, as SVG."""
    height, body = PICTURES[name]()
    title = (PICTURES[name].__doc__ or "").strip()
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    card = f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
    return f"{head}<title>{title}</title>{STYLE}{card}{body}</svg>\n".replace("><", ">\n<")


if __name__ == "__main__":
    for name in PICTURES:
        Path(__file__).with_name(f"{name}.svg").write_text(drawn(name), encoding="utf-8")
