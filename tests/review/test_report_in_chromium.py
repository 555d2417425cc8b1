"""The report in a real browser: nothing is asked for, the answer is seen first, and it can be read by everyone."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browsing import CONTRAST
from tables import crossed_rows, random_rows

from archab.evidence.family import judge_family
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.review import report
from archab.review.context import Context

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def curves() -> pd.DataFrame:
    steps = range(0, 401, 20)
    quartiles = [(m, s, step, 0.8 * q, q, 1.2 * q) for m in range(2) for s in "ab" for step in steps
                 for q in [0.5 ** (step / 100)]]  # fmt: skip
    return pd.DataFrame(quartiles, columns=["member", "side", "step", "q25", "q50", "q75"])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A decided, an undecided and a hostile page."""
    folder = tmp_path_factory.mktemp("pages")
    decided = random_rows(0, targets=60, effect=0.6).assign(measure=lambda t: 80.0 * (t["member"] + 1))
    long = "a_very_long_name_of_a_side_" * 9
    crossed = crossed_rows(np.random.default_rng(0).normal(-0.05, 0.3, (12, 2)).tolist())
    made = {
        "decided": (
            judge(decided, names=("gate", "plain layer"), notes=["Shared learning rate, not tuned."]),
            curves(),
        ),
        "undecided": (judge(crossed, names=("softmax", "tanh")), None),
        "hostile": (judge(decided, names=(long, "<img src=http://example.org/x onerror=alert(1)>")), None),
    }
    for name, (verdict, table) in made.items():
        context = Context(
            heading="gates", question="Does a gate learn better?", curves=table, unit="parameters",
            commands=(f"python -m archab +space={'gates' * 30}",), config=f"name: {long}\n",
        )  # fmt: skip
        report.write([verdict], folder / f"{name}.html", [context])
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", ["decided", "hostile"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_no_error_no_request_and_the_verdict_without_scrolling(name, viewport, browser, pages):
    page = browser.new_page(viewport=viewport)
    errors: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(pages[name].as_uri())
    assert errors == []
    assert [url for url in requests if not url.startswith("data:")] == [pages[name].as_uri()]
    answer = page.locator("h1").bounding_box()
    assert answer["y"] >= 0
    if name != "hostile":
        assert answer["y"] + answer["height"] <= viewport["height"]
        assert page.locator(".lead").bounding_box()["y"] < viewport["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.locator("img").count() == 0
    page.close()


def test_diverged_and_tuning_are_on_the_first_screen(browser, pages):
    page = browser.new_page(viewport=DESK)
    page.goto(pages["decided"].as_uri())
    for text in ("Diverged", "not tuned"):
        box = page.locator("dl").get_by_text(text).first.bounding_box()
        assert box["y"] + box["height"] <= DESK["height"]
    page.close()


HARD = {
    "long": ("x" * 300, "y" * 300),
    "right to left": ("المحول المنقسم", "המרה"),
    "wide": ("分割変換器" * 30, "変換器"),
}


@pytest.mark.parametrize(("kind", "effect"), [("long", 0.6), ("right to left", 0.05), ("wide", 0.6)])
def test_no_name_widens_the_page(kind, effect, browser, tmp_path):
    names = HARD[kind]
    rows = random_rows(0, targets=60, effect=effect).assign(measure=lambda t: 80.0 * (t["member"] + 1))
    rows.loc[rows["side"] == "b", "measure"] *= 1.5
    verdict = judge(rows, names=names, member_names=names, notes=[f"{names[0]} was not tuned."])
    families = judge_family([Study(rows, names, label=f"name={name}") for name in names])
    for verdicts in ([verdict], families):
        context = Context(heading=names[0], question=names[1], commands=names, config=names[0], unit=names[0])
        report.write(verdicts, tmp_path / "page.html", [context] * len(verdicts))
        page = browser.new_page()
        for viewport in (DESK, PHONE):
            page.set_viewport_size(viewport)
            page.goto((tmp_path / "page.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            wide = page.evaluate("""() => [...document.querySelectorAll("main *")].filter(e => !e.closest(".table"))
                .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))""")
            assert wide == []
        page.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1920, pytest.param(600, marks=pytest.mark.slow)])
def test_no_word_of_a_table_is_stacked_letter_by_letter(width, browser, tmp_path):
    rows = random_rows(0, targets=60, effect=0.6)
    rows["measure"] = [
        123_456.0 * (m + 1) * (1.5 if s == "b" else 1) for m, s in zip(rows.member, rows.side, strict=True)
    ]
    members = [f"attention layer width={w}, hidden={2 * w}" for w in (16, 32)]
    verdict = judge(rows, names=("gate", "plain"), member_names=members)
    families = judge_family([Study(rows, label=f"space.b.routine.lr={lr}, routine.epochs=4") for lr in (0.1, 0.2)])
    for verdicts in ([verdict], families):
        report.write(verdicts, tmp_path / "page.html")
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto((tmp_path / "page.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(BROKEN_WORDS) == []
        lines = page.evaluate("""() => [...document.querySelectorAll("td:has(+ td) b")]
            .filter(e => e.offsetParent).map(e => e.getClientRects().length)""")
        assert max(lines) <= (2 if width < 390 else 1)
        page.close()


# Words of tables that stand on more than one line.
BROKEN_WORDS = """() => [...document.querySelectorAll("table *")].flatMap(e => [...e.childNodes])
  .filter(n => n.nodeType === 3 && n.parentElement.getClientRects().length).flatMap(n => {
    const range = document.createRange();
    return [...n.data.matchAll(/[^\\s=,.-]+/g)].filter(word => {
      range.setStart(n, word.index);
      range.setEnd(n, word.index + word[0].length);
      return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1;
    }).map(word => word[0]);
  })"""


def test_numbers_stay_behind_a_name_from_right_to_left(browser, tmp_path):
    verdict = judge(random_rows(0, targets=60, effect=0.6), names=HARD["right to left"])
    report.write([verdict], tmp_path / "page.html")
    page = browser.new_page(viewport=DESK)
    page.goto((tmp_path / "page.html").as_uri())
    places = page.evaluate("""() => {
      const dd = [...document.querySelectorAll("dt")].find(e => e.textContent === "Diverged").nextElementSibling;
      const [name, number] = [dd.childNodes[0], dd.childNodes[1]];
      const range = document.createRange();
      range.setStart(number, 1);
      range.setEnd(number, 2);
      return [name.getBoundingClientRect().right, range.getBoundingClientRect().left];
    }""")
    assert places[0] <= places[1]
    page.close()


def test_the_facts_stand_together_however_long_the_answer_beside_them(browser, tmp_path):
    verdict = judge(random_rows(1, targets=30, effect=0.1), command=f"python -m archab {'long ' * 400}")
    report.write([verdict], tmp_path / "page.html")
    page = browser.new_page(viewport=DESK)
    page.goto((tmp_path / "page.html").as_uri())
    rows = page.evaluate("""() => [...document.querySelectorAll("dd")].map(e => {
      const text = document.createRange();
      text.selectNodeContents(e);
      return [text.getBoundingClientRect().top, text.getBoundingClientRect().bottom];
    })""")
    assert len(rows) >= 3
    assert max(after[0] - before[1] for before, after in pairwise(rows)) < 16
    page.close()


@pytest.mark.parametrize("theme", ["", "true", "false"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_notebook_is_as_dark_as_its_theme_says(scheme, theme, browser):
    shown = report.fragment(judge(random_rows(0, targets=60, effect=0.6), names=("gate", "plain layer")))
    page = browser.new_page(viewport=DESK, color_scheme=scheme)
    page.set_content(f'<body data-jp-theme-light="{theme}"><main>{shown}</main></body>')
    dark = theme == "false" or (theme == "" and scheme == "dark")
    ground = page.evaluate("getComputedStyle(document.querySelector('.archab')).backgroundColor")
    assert ground == ("rgb(19, 23, 28)" if dark else "rgb(255, 255, 255)")
    assert {text: ratio for text, ratio in page.evaluate(CONTRAST, "main *") if ratio < 4.5} == {}
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(scheme, browser, pages):
    page = browser.new_page(viewport=DESK, color_scheme=scheme)
    page.goto(pages["decided"].as_uri())
    found = page.evaluate(CONTRAST, "main *")
    assert len(found) > 100
    assert {text: ratio for text, ratio in found if ratio < 4.5} == {}
    grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 23, 28)"}[scheme]
    page.close()


def test_every_drawing_is_described_and_every_heading_in_order(browser, pages):
    page = browser.new_page(viewport=DESK)
    page.goto(pages["decided"].as_uri())
    described = page.evaluate("[...document.querySelectorAll('svg[role=img]')].map(e => e.getAttribute('aria-label'))")
    assert len(described) == page.locator("figure svg[role=img]").count() + 1 == 6
    assert all(len(text) > 20 for text in described)
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    page.close()


def test_figures_are_drawn_and_nothing_stands_outside_them(browser, pages):
    page = browser.new_page(viewport=DESK)
    page.goto(pages["decided"].as_uri())
    outside = page.evaluate("""() => [...document.querySelectorAll("figure svg")].flatMap(svg => {
      const frame = svg.getBoundingClientRect();
      return [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()])
        .filter(([, box]) => box.left < frame.left - 3 || box.right > frame.right + 3).map(([text]) => text);
    })""")
    assert outside == []
    assert page.locator("figure svg").first.bounding_box()["height"] > 100
    page.close()


def test_it_can_be_read_without_scripts_and_printed(browser, pages, tmp_path):
    context = browser.new_context(java_script_enabled=False, viewport=DESK)
    page = context.new_page()
    page.goto(pages["decided"].as_uri())
    assert page.get_by_text("What it cannot say").is_visible()
    assert page.get_by_text("Null hypothesis:").is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    context.close()
