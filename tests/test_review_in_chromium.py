"""MLflow's own pages in a real browser: where the printed links lead, the evidence and the answer are seen."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from logged import QUICK

from archab.cli.compare import main

SENTENCE = "Too few targets a member for any verdict: 4 of at least 7."
PATIENCE = 60_000  # ms


@dataclass
class Reviewed:
    """A store's pages in MLflow, opened one after another.

    Attributes:
        address: of the server.
        page: of the browser.
        wrong: errors in its console, answers of the server that are errors, and requests to anyone else.
    """

    address: str
    page: Any
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url, not request.url.startswith(self.known)))
        self.page.on("response", lambda answer: self._note(f"{answer.status} {answer.url}", answer.status >= 400))

    @property
    def known(self) -> tuple[str, ...]:
        return self.address, "data:", "blob:", "about:"

    def _note(self, what: str, wrong: bool) -> None:
        if wrong and not what.endswith("/users/current"):  # MLflow asks for it where there are no users, too
            self.wrong.append(what)

    def open(self, link: str) -> Any:
        self.page.goto("about:blank")
        self.page.goto(link.replace("http://127.0.0.1:5000", self.address))
        return self.page


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    with (tmp_path / "server.txt").open("w") as said:
        mlflow = subprocess.Popen(
            [*command, "--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"],
            cwd=tmp_path, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{address}/health").close()
            break
        except OSError:
            assert time.monotonic() < deadline, (tmp_path / "server.txt").read_text()
            time.sleep(0.2)
    yield address
    os.killpg(mlflow.pid, signal.SIGTERM)  # it has workers
    mlflow.wait()


def links(text: str) -> list[str]:
    return re.findall(r"http://127\.0\.0\.1:5000/\S+", text)


@pytest.mark.slow
def test_the_printed_links_open_the_charts_and_the_report(browser, command, capfd, server):
    said = [command(*QUICK, f"seed={seed}").out for seed in (0, 1)]
    assert main(["--space", "n_diagonal_original"]) == 0
    [charts], [report] = links(said[-1]), links(capfd.readouterr().out)
    reviewed = Reviewed(server, browser.new_page(viewport={"width": 1280, "height": 1000}))

    page = reviewed.open(charts)
    page.get_by_text("Evidence by round").wait_for()
    for metric in ("log_e", "gmr"):  # the first of what is charted
        chart = page.locator("div.js-plotly-plot").nth(("log_e", "gmr").index(metric))
        chart.wait_for()
        assert page.get_by_text(metric, exact=True).first.bounding_box()["y"] < 700
    headings = page.get_by_text(re.compile(r"^(Evidence by round|By member|a|b)$"))
    assert headings.all_inner_texts()[:2] == ["Evidence by round", "By member"]

    page = reviewed.open(charts.replace("compareRunsMode=CHART&", ""))
    for column in ("gmr", "log_e", "p_value", "blocks"):
        page.get_by_role("columnheader", name=column).first.wait_for()

    page = reviewed.open(report)
    shown = page.frame_locator("iframe").locator("h1")
    shown.wait_for()
    assert shown.inner_text() == SENTENCE

    page = reviewed.open(report.replace("/artifacts/report.html", ""))
    page.get_by_text(SENTENCE).first.wait_for()
    assert reviewed.wrong == []
    page.close()
