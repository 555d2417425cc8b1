"""What the site makes of its pages: lines `<!-- archab: NAME -->` are filled in, pictures have a twin for dark paper.

Pages stay plain Markdown that a forge shows as well. Docstrings stay plain text, in which backticks alone are markup.
"""

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import commands
import keys
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (".md", ".ipynb")
_FILL = re.compile(r"^<!-- archab: (?P<name>.+?) -->$", re.M)
_PICTURE = re.compile(
    r"<picture>\s*<source [^>]*\bsrcset=\"(?P<dark>[^\"]*)\"[^>]*>\s*<img (?P<image>[^>]*)>\s*</picture>", re.S
)
_NAMED = re.compile(r"\[[\w/]+\.md\]\(([\w/.]+\.md)\)")  # a link that says the file's name, and here the page's title
_EDGE = re.compile(r' *(\w+)(?:\["(.+?)"\])? --> (\w+)(?:\["(.+?)"\])?')
_CODE = re.compile(r"(``.+?``|`[^`]+`)")


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx call these."""
    app.connect("source-read", filled)
    app.connect("autodoc-process-docstring", plain, priority=400)  # before napoleon, which writes markup
    for one in PyObject.doc_field_types:
        one.label = "Attributes" if one.name == "variable" else one.label
    app.add_css_file("site.css")
    app.add_js_file("theme.js")
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def filled(app: Sphinx, document: str, source: list[str]) -> None:
    """The text of a page as the site shows it."""
    if app.env.doc2path(document).suffix == ".md":
        text = _FILL.sub(lambda found: "\n".join(_made(found["name"])), source[0])
        source[0] = _NAMED.sub(r"[](\1)", _PICTURE.sub(twins, text))


def _made(asked: str) -> Iterator[str]:
    name, _, rest = asked.partition(" ")
    fill: dict[str, Callable[[], Iterator[str]]] = {
        "pages": lambda: _pages(*rest.split(": ")),
        "commands": commands.page,
        "schema": lambda: (line for key in keys.of_schema() for line in _setting(key)),
        "groups": lambda: (line for group in keys.GROUPS for line in _group(group)),
        "launch": lambda: (line for option in keys.launchers() for line in _option(option, "###")),
        "sweeper": lambda: (line for key in keys.of_sweeper() for line in _setting(key)),
        "spaces": _spaces,
        "changelog": lambda: _file("CHANGELOG.md"),
        "contributing": lambda: _file("CONTRIBUTING.md"),
    }
    if name not in fill:
        raise ValueError(f"<!-- archab: {name} -->: nothing is made of that. There is {', '.join(fill)}")
    return fill[name]()


def _pages(caption: str, patterns: str) -> Iterator[str]:
    """A part of the navigation: the pages that these patterns find, in their order; one that finds none is left out."""
    found = [file for pattern in patterns.split() for file in sorted(DOCS.glob(f"{pattern}.*")) if file.suffix in PAGES]
    names = [str(file.relative_to(DOCS).with_suffix("")) for file in found]
    yield from ("```{toctree}", f":caption: {caption}", ":hidden:", "", *names, "```")


def _setting(key: keys.Key) -> Iterator[str]:
    yield f":::{{confval}} {key.name}"
    if key.kind:
        yield f":type: {key.kind}"
    if key.default:
        yield f":default: `{key.default}`"
    yield from ("", _escaped(key.meaning), ":::", "")


def _group(group: str) -> Iterator[str]:
    yield from (f"### {group}", "")
    for option in keys.options(group):
        yield from _option(option)


def _option(option: keys.Option, level: str = "####") -> Iterator[str]:
    yield from (f"{level} {option.group}={option.name}", "", _escaped(option.about), "")
    if option.commands:
        yield from ("```bash", *option.commands, "```", "")
    if option.keys:
        yield from ("| key | value | meaning |", "|---|---|---|")
        yield from (f"| `{key.name}` | `{key.default}` | {_escaped(key.meaning)} |" for key in option.keys)
        yield ""
    if option.makes:
        role = "" if option.group == "architecture" else "{py:obj}"  # of which the reference has no list
        yield from (f"Made by {role}`{option.makes}`.", "")


def _spaces() -> Iterator[str]:
    yield from ("| `+space=` | asks |", "|---|---|")
    yield from (f"| `{space.name}` | {_escaped(space.about)} |" for space in keys.spaces())


def _file(name: str) -> Iterator[str]:
    """A file beside `docs`, with its links as seen from there, and a flow chart as lines of text."""
    text = (ROOT / name).read_text().replace("](docs/", "](")
    yield re.sub(r"```mermaid\n(.*?)```", lambda found: "```text\n" + _chart(found[1]) + "```", text, flags=re.S)


def _chart(text: str) -> str:
    """The arrows of a flow chart in words: each box with those that it leads to."""
    edges = [found.groups() for found in map(_EDGE.fullmatch, text.splitlines()) if found]
    labels = {box: label for a, of_a, b, of_b in edges for box, label in ((a, of_a), (b, of_b)) if label}
    leads: dict[str, list[str]] = {}
    for a, _, b, _ in edges:
        leads.setdefault(a, []).append(b)
    width = max(map(len, labels.values()))
    lines = [f"{label:<{width}}  → {', '.join(leads.get(box, []))}".rstrip(" →") for box, label in labels.items()]
    return "\n".join(lines) + "\n"


def twins(found: re.Match[str]) -> str:
    """A picture with a twin for dark paper, as two of which the site's theme shows one."""
    image = dict(re.findall(r'\b(src|alt|width)="([^"]*)"', found["image"]))
    alt = " ".join(unescape(image.get("alt", "")).split())
    width = [f":width: {image['width']}"] if "width" in image else []
    lines = []
    for theme, file in (("light", image["src"]), ("dark", found["dark"])):
        lines += [f"```{{image}} {file}", f":alt: {alt}", f":class: only-{theme}", *width, "```", ""]
    return "\n".join(["", *lines])


def plain(app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]) -> None:
    """Escape what reST would read as markup in a docstring, but for what stands in backticks or in an example."""
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else _without_markup(line) for line in lines]


def _without_markup(line: str) -> str:
    parts = _CODE.split(line)
    parts[::2] = [re.sub(r"([*|])|(?<=\w)_(?!\w)", lambda mark: "\\" + mark[0], part) for part in parts[::2]]
    return "".join(parts)


def _escaped(text: str) -> str:
    """Text of a docstring in Markdown: nothing is markup but what stands in backticks."""
    parts = _CODE.split(text)
    parts[::2] = [re.sub(r"([*_|<\[$])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [part.replace("|", "\\|") for part in parts[1::2]]
    return "".join(parts)
