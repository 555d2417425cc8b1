"""A verdict as one self-contained HTML page: the answer, the evidence, the caveats, and how to do it again."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from archab.errors import ArchabError
from archab.evidence import sentences
from archab.evidence import words as words
from archab.evidence.fields import Verdict
from archab.review import finding, paper
from archab.review.context import Context
from archab.review.figures import pictures
from archab.review.figures.palette import DARK, LIGHT
from archab.review.figures.picture import Absent, Picture
from archab.review.report import plain
from archab.review.report.inline import svg, variables
from archab.review.report.strip import strip

MOST_WITH_FIGURES = 12  # configurations of one page
STYLE = (Path(__file__).parent / "style.css").read_text()


@dataclass(frozen=True)
class Shown:
    """A figure on the page: its title, and either the drawing with its caption or why there is none."""

    title: str
    svg: Markup | None
    text: str


def write(verdicts: Sequence[Verdict], file: Path, contexts: Sequence[Context] = ()) -> None:
    """Write one page for one verdict, or for a family of several.

    Args:
        verdicts: at least one.
        file: where; an existing file is replaced.
        contexts: one a verdict, in the same order; none where nothing but the rows is known.

    Raises:
        ArchabError: if the file cannot be written, or a table of training curves is refused.
    """
    page = _page(verdicts, contexts or [Context()] * len(verdicts))
    try:
        with file.open("w", encoding="utf-8") as stream:
            for part in page:
                stream.write(part)
    except OSError as error:
        raise ArchabError(f"{file}: cannot be written ({error.strerror or error})") from error


def fragment(verdict: Verdict) -> str:
    """A verdict as HTML for a notebook: the sentence, the interval, the differences and the table of members."""
    template = _environment().get_template("notebook.html.j2")
    picture = next(p for p in pictures(verdict) if p.name == "differences")
    assert isinstance(picture, Picture)
    return template.render(**_of(verdict), figure=svg(picture, "notebook"), **_colours())


def _page(verdicts: Sequence[Verdict], contexts: Sequence[Context]) -> Iterator[str]:
    template = _environment().get_template("report.html.j2")
    cases = (
        {**_of(v), "context": c, "figures": list(_figures(v, c, i, len(verdicts))), "index": i}
        for i, (v, c) in enumerate(zip(verdicts, contexts, strict=True))
    )
    return template.generate(
        verdicts=verdicts,
        context=contexts[0],
        cases=cases,
        **_colours(),
        style=Markup(STYLE),
    )


def _colours() -> dict[str, Markup]:
    return {"light": Markup(variables(LIGHT)), "dark": Markup(variables(DARK))}


def _of(verdict: Verdict) -> dict[str, Any]:
    """What a template shows of a verdict."""
    return {
        "v": verdict,
        "strip": strip(verdict),
        "counts": finding.counts(verdict),
        "marked": _marker(verdict.names, coloured=True),
        "plainly": _marker(verdict.names, coloured=False),
        "step": _step(verdict.next_step),
    }


def _step(text: str) -> tuple[str, str]:
    """A next step as its sentence and the command that it ends in; the command is empty where there is none."""
    for found in reversed(list(re.finditer(": ", text))):
        command = text[found.end() :]
        # A colon within quotes is the command's own.
        if "seed=" in command and command.count("'") % 2 == 0:
            return text[: found.start() + 1], command
    return text, ""


def _figures(verdict: Verdict, context: Context, index: int, of: int) -> Iterator[Shown]:
    if of > MOST_WITH_FIGURES:
        return
    for i, picture in enumerate(pictures(verdict, context.unit, context.curves, context.tuning)):
        if isinstance(picture, Absent):
            yield Shown(picture.title, None, picture.why)
        else:
            yield Shown(picture.title, svg(picture, f"c{index}f{i}"), picture.caption)


def _marker(names: tuple[str, str], coloured: bool) -> Callable[[str], Markup]:
    """What sets the sides' names in a sentence apart: from the direction of the text around, and by their colours."""
    sides = dict(zip(names, ("a", "b"), strict=True))
    longest = sorted((re.escape(name) for name in sides if name.strip()), key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)({'|'.join(longest)})(?!\w)") if longest else None

    def name(text: str) -> Markup:
        opening = Markup('<bdi class="{}">').format(sides[text]) if coloured else Markup("<bdi>")
        return opening + text + Markup("</bdi>")

    def marked(text: str) -> Markup:
        # Names and what stands between them alternate.
        pieces = pattern.split(text) if pattern else [text]
        return Markup("").join(name(piece) if i % 2 else _numbers(piece) for i, piece in enumerate(pieces))

    return marked


def _numbers(text: str) -> Markup:
    """Powers raised, and E kept on the line of its value."""
    safe = re.sub(r"\b10\^(\d+)", r"10<sup>\1</sup>", str(escape(text)))
    return Markup(safe.replace("E = ", "E&nbsp;=&nbsp;"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(plain=plain, paper=paper, finding=finding, words=words, sentences=sentences)
    return environment
