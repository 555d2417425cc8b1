"""What verdicts on a metric are written to besides the terminal: a page, the figure alone, words for a paper."""

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from archab import __version__
from archab.errors import ArchabError
from archab.evidence import words
from archab.metrics import ranking
from archab.metrics.compare import Compared
from archab.review.figures import PIXELS
from archab.review.figures.palette import DARK, LIGHT
from archab.review.figures.sheet import save
from archab.review.metrics import forest, paper
from archab.review.metrics.terminal import between
from archab.review.report import STYLE
from archab.review.report.inline import svg, variables


def write(
    compared: Compared,
    source: str,
    command: str,
    *,
    report: str | None,
    figures: str | None,
    latex: str | None,
    bare: bool,
) -> Iterator[str]:
    """Write what has a name, and say each when it is there.

    Args:
        source: of the runs, as it was named.
        command: what made it.
        report: an HTML file.
        figures: a folder.
        latex: a file of LaTeX.
        bare: whether figures have neither title nor caption.

    Raises:
        ArchabError: if a file cannot be written.
    """
    for option, name in (("report", report), ("latex", latex)):
        if name is None:
            continue
        made = page(compared, source, command) if option == "report" else paper.latex(compared.verdicts)
        try:
            Path(name).write_text(made, encoding="utf-8")
        except OSError as error:
            raise ArchabError(f"--{option} {name}: cannot be written ({error.strerror})") from error
        yield f"{option}: {name}"
    if figures is None:
        return
    picture = forest.picture(compared.verdicts)
    try:
        for palette, shade in ((LIGHT, ""), (DARK, "-dark")):
            for suffix in ("svg", "pdf", "png"):
                file = Path(figures) / f"{picture.name}{shade}.{suffix}"
                save(picture.figure(palette, bare), file, PIXELS, picture.title)
    except OSError as error:
        raise ArchabError(f"--figures {figures}: cannot be written ({error.strerror})") from error
    yield f"figures: {figures}"


def page(compared: Compared, source: str, command: str) -> str:
    """One self-contained HTML page."""
    verdicts, first = compared.verdicts, compared.verdicts[0]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(words=words, between=between)
    picture = forest.picture(verdicts)
    decided = sum(bool(v.winner) for v in verdicts)
    many = f"{len(verdicts)} pairs of sides by {first.metric.name}: {decided} decided"
    return environment.get_template("page.html.j2").render(
        verdicts=verdicts,
        first=first,
        heading=first.sentence() if len(verdicts) == 1 else many,
        ranking="" if compared.baseline or len(verdicts) == 1 else ranking.sentence(compared.rounds, verdicts),
        notes=list(dict.fromkeys(note for v in verdicts for note in v.notes)),
        source=source,
        command=command,
        version=__version__,
        level=words.level(first.rule.alpha),
        figure=svg(picture, "forest"),
        caption=picture.caption,
        methods=paper.methods(verdicts),
        references=paper.references(verdicts),
        light=Markup(variables(LIGHT)),
        dark=Markup(variables(DARK)),
        style=Markup(STYLE),
    )
