"""The site of the documentation: built without a warning, whole, self-contained, and readable by everyone."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
from browsing import CONTRAST
from filelock import FileLock

import archab

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
WIDTHS = (320, 390, 768, 1280, 1920)
LOADED = {
    ("link", "href"),
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("source", "srcset"),
    ("iframe", "src"),
}
for needed in ("sphinx", "furo", "myst_nb", "sphinx_copybutton"):
    pytest.importorskip(needed, reason=f"no {needed}: pip install 'archab[docs]'")


@cache
def part(name: str) -> ModuleType:
    """A file of the site's extension, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"archab_site_{name}", DOCS / "_ext" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Read(HTMLParser):
    """What a page holds: anchors, what it links to, what it loads, and its text."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if given.get("rel") not in ("next", "prev", "index", "search", "author"):
            self.loads += [value for name, value in given.items() if (tag, name) in LOADED]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once for all processes of the tests; where that fails, what was said."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    said = folder.with_suffix(".json")
    with FileLock(folder.with_suffix(".lock")):
        if not said.exists():
            command = [
                sys.executable,
                "-m",
                "sphinx",
                "-W",
                "--keep-going",
                "-q",
                "-d",
                f"{folder}-trees",
                DOCS,
                folder,
            ]
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            said.write_text(json.dumps([ended.returncode, ended.stdout + ended.stderr]))
    code, output = json.loads(said.read_text())
    assert (code, output.strip()) == (0, "")
    return folder


@pytest.fixture(scope="session")
def read(site: Path) -> dict[str, Read]:
    """All pages, by their place."""
    found = {}
    for file in sorted(site.rglob("*.html")):
        found[str(file.relative_to(site))] = page = Read()
        page.feed(file.read_text())
    return found


def inside(place: str, link: str) -> tuple[str, str] | None:
    """The file and the anchor that a link of a page leads to; None where it leads elsewhere."""
    to = urlsplit(link)
    if to.scheme or to.netloc:
        return None
    file = os.path.normpath(os.path.join(os.path.dirname(place), unquote(to.path))) if to.path else place
    return file, unquote(to.fragment)


def test_every_link_leads_to_a_file_and_every_anchor_is_there(site, read):
    broken = []
    for place, page in read.items():
        for link in [*page.links, *page.loads]:
            if (to := inside(place, link.split("?")[0])) is None or link == "#":
                continue
            file, anchor = to
            whole = (site / file).is_file() and (not anchor or file not in read or anchor in read[file].anchors)
            broken += [] if whole else [f"{place}: {link}"]
    assert broken == []
    assert sum(len(page.links) for page in read.values()) > 500


def test_nothing_is_loaded_from_elsewhere(site, read):
    loads = [f"{place}: {link}" for place, page in read.items() for link in page.loads]
    assert len(loads) > 50
    assert [load for load in loads if re.search(r": (\w+:)?//", load)] == []
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text()) == [], style.name


def test_every_page_is_reached_from_the_first(read):
    seen, ahead = set(), ["index.html"]
    while ahead:
        place = ahead.pop()
        if place in seen or place not in read:
            continue
        seen.add(place)
        ahead += [to[0] for link in read[place].links if (to := inside(place, link))]
    assert set(read) - seen - {"search.html"} == set()
    sources = {
        str(file.relative_to(DOCS).with_suffix(".html")) for file in DOCS.rglob("*") if file.suffix in (".md", ".ipynb")
    }
    assert sources <= seen


def test_every_key_has_a_meaning_and_stands_on_the_page(read):
    keys = part("keys")
    text = read["reference/configuration.html"].text
    found = keys.every()
    assert [key.name for key in found if len(key.meaning) < 5] == [], (
        "say it in the class's docstring or beside the key"
    )
    assert [key.name for key in found if key.name not in text] == []
    anchors = read["reference/configuration.html"].anchors
    assert {f"confval-{key.name}" for key in keys.of_schema()} <= anchors
    options = [f"{option.group}={option.name}" for group in keys.GROUPS for option in keys.options(group)]
    assert [option for option in options if option not in text] == []
    assert [
        space.name
        for space in keys.spaces()
        if f"{space.name}{space.about.replace('`', '')}" not in text.replace("\n", "")
    ] == []


@pytest.mark.parametrize(
    ("name", "default", "meaning"),
    [
        ("targets", "40", "targets a member"),
        ("tune.extend", "3", "beyond either edge"),
        ("space.a.dtype", "null", "bfloat16"),
        ("routine.beta2", "0.999", "squares"),
        ("hydra.sweeper.batch", "4", "two looks"),
        ("hydra.launcher.cpus_per_task", "1", "threads"),
        ("inputs", "inputs=normal", "distribution"),
    ],
)
def test_a_key_is_read_with_its_default_and_meaning(name, default, meaning):
    [first, *_] = [key for key in part("keys").every() if key.name == name]
    assert first.default == default
    assert meaning in first.meaning


def test_every_public_name_has_its_place(read):
    anchors = read["reference/python.html"].anchors | read["reference/any_runs.html"].anchors
    assert {f"archab.{name}" for name in archab.__all__} <= anchors
    documented = anchors | read["reference/extending.html"].anchors
    keys = part("keys")
    made = {
        option.makes
        for group in ("prior", "routine", "inputs", "target", "loss", "engine")
        for option in keys.options(group)
    }
    assert made <= documented


def test_every_command_says_what_it_says_of_itself(read):
    commands = part("commands").commands()
    text = read["reference/commands.html"].text
    assert {
        "archab",
        "archab gate",
        "archab-compare",
        "archab-sync",
        "python -m archab.check",
        "python -m archab.soak",
    } <= set(commands)
    assert [typed for typed in commands if f"$ {typed} --help" not in text] == []
    asked = subprocess.run([sys.executable, "-m", "archab", "gate", "--help"], env={**os.environ, "COLUMNS": "88"},
                           capture_output=True, text=True)  # fmt: skip
    assert asked.stdout.strip() in text
    assert "Traceback" not in text


def test_the_report_that_is_shown_is_small_and_self_contained(read, site):
    assert (site / "report.html").stat().st_size < 2**20
    assert [link for link in read["report.html"].loads if not link.startswith("data:")] == []
    assert "report.html" in read["sample.html"].links


ALIKE = (
    "%reset -f\nfrom archab.space import routine\nroutine.STEPS = 48\ndel routine\n"  # as conftest.py shortens training
)


def test_notebooks_run_anew_and_hold_what_they_printed(tmp_path, monkeypatch):
    """One after another in one kernel, which takes longer to start than they to run; none sees another's names."""
    nbclient = pytest.importorskip("nbclient", reason="no nbclient: pip install 'archab[dev]'")
    nbformat = pytest.importorskip("nbformat", reason="no nbformat: pip install 'archab[docs]'")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert len(NOTEBOOKS) >= 2
    runner = nbclient.NotebookClient(nbformat.v4.new_notebook(), timeout=120)
    runner.resources = {"metadata": {"path": str(tmp_path)}}
    with runner.setup_kernel():
        for file in NOTEBOOKS:
            runner.nb = notebook = nbformat.read(file, as_version=4)
            cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
            kept = [[output.output_type for output in cell.outputs] for cell in cells]
            assert file.stat().st_size < 300_000, file.stem
            assert sum(map(bool, kept)) >= 4, file.stem
            assert "/tmp" not in file.read_text(), file.stem
            cells[0].source = ALIKE + cells[0].source
            for index, cell in enumerate(notebook.cells):
                runner.execute_cell(cell, index)
            assert [[output.output_type for output in cell.outputs] for cell in cells] == kept, file.stem
            said = [output.text for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
            assert said == [], file.stem


PAGES = ["index", "reading", "reference/configuration", "reference/commands", "reference/python", "notebooks/tour"]


@pytest.fixture
def pages(browser, site) -> Iterator:
    """Opens a page of the site at a width, light or dark, on a screen or on paper."""
    opened = []

    def opens(name: str, width: int = 1280, **given: str):
        page = browser.new_context(viewport={"width": width, "height": 800}, **given).new_page()
        opened.append(page)
        page.goto((site / f"{name}.html").as_uri())
        return page

    yield opens
    for page in opened:
        page.context.close()


def test_no_page_is_wider_than_the_window(pages, read):
    page = pages("index")
    wide = []
    for place in read:
        page.goto(page.url.rpartition("/site/")[0] + f"/site/{place}")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append(f"{place} at {width}")
    assert wide == []


@pytest.mark.parametrize("name", PAGES)
def test_text_has_contrast(name, pages):
    page = pages(name)
    grounds = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(
            CONTRAST, "article :not(.headerlink, .only-light *, .only-dark *), .sidebar-tree *, .toc-tree *"
        )
        assert len(found) > 20
        assert {text: round(ratio, 2) for text, ratio in found if ratio < 4.5} == {}, scheme
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_shown_for_the_paper_that_it_is_made_for(scheme, pages):
    page = pages("index", color_scheme=scheme)
    shown = page.evaluate("[...document.querySelectorAll('article img')].filter(e => e.offsetParent).map(e => e.src)")
    assert [source.rpartition("/")[2] for source in shown] == [
        "n_diagonal-dark.png" if scheme == "dark" else "n_diagonal.png"
    ]
    assert page.evaluate("[...document.querySelectorAll('article img')].every(e => e.alt.length > 20)")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_verdict_in_a_notebook_is_as_dark_as_the_page(theme, pages):
    page = pages("notebooks/tour", color_scheme="light" if theme == "dark" else "dark")
    page.evaluate("theme => document.body.dataset.theme = theme", theme)
    page.wait_for_function("document.body.dataset.jpThemeLight !== ''")
    ground = page.evaluate("getComputedStyle(document.querySelector('.archab')).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 23, 28)"}[theme]


def test_the_keyboard_reaches_content_and_navigation_and_shows_where_it_is(pages):
    page = pages("reading")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("""() => {
          const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
          const places = ["article", ".sidebar-tree", ".skip-to-content", ".sidebar-search-container"];
          const place = places.find(p => e.closest(p));
          return [place, parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== "none", box.width > 0];
        }"""))  # fmt: skip
    assert reached[0][0] == ".skip-to-content"
    assert {".sidebar-tree", ".sidebar-search-container"} <= {place for place, _, _ in reached}
    assert all(seen for place, seen, _ in reached if place)
    page.reload()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('article') !== null")


def test_nothing_moves_where_motion_is_unwanted(pages):
    page = pages("reading", reduced_motion="reduce")
    moving = page.evaluate("""[...document.querySelectorAll("*")].map(e => getComputedStyle(e))
        .filter(s => /[1-9]/.test(s.transitionDuration) && s.transitionProperty !== "none" || s.animationName !== "none"
            || s.scrollBehavior === "smooth").length""")
    assert moving == 0


@pytest.mark.parametrize("name", [*PAGES, "targets"])
def test_on_a4_nothing_is_cut(name, pages, tmp_path):
    page = pages(name, width=698)  # A4 less margins of 13 mm, in CSS pixels
    page.emulate_media(media="print", color_scheme="light")
    cut = page.evaluate("""[...document.querySelectorAll("article :is(table, pre, img, dt)")]
        .filter(e => e.offsetParent)
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1)
        .map(e => e.outerHTML.slice(0, 120))""")
    assert cut == []
    assert not page.locator(".sidebar-tree").first.is_visible()
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
