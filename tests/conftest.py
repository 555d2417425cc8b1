"""What tests share: one thread a process, bundled families, the command line run in this process, and a browser."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from mlflow import MlflowClient

from archab import ArchitecturalSpace
from archab.engine.cpp import compiler
from archab.space import routine
from archab.space.architectures import deep, transformer
from archab.space.routine import AdamW

torch.set_num_threads(1)
os.environ.setdefault("CXX", "g++ -O1")  # most programs of the tests run for less time than -O3 takes to make them

DEFAULT_STEPS = routine.STEPS

DEEP = {"dim": 5, "depth": 2}
ENCODER = {"d_model": 6, "heads": 3, "d_ff": 6}
FAMILIES = {
    "dense": (partial(deep.dense, **DEEP), {}, [5]),
    "n_diagonal": (partial(deep.n_diagonal, **DEEP), {"rank": 2}, [5]),
    "lora": (partial(deep.lora, **DEEP), {"rank": 2}, [5]),
    "transformer": (partial(transformer.encoder, **ENCODER), {"layers": 1}, [5, 6]),
    "split_transformer": (partial(transformer.encoder, **ENCODER, activation="tanh"), {"layers": 1}, [5, 6]),
}


def family(name: str, **given: object) -> ArchitecturalSpace:
    """A space of one small member of a bundled family."""
    architecture, members, shape = FAMILIES[name]
    return ArchitecturalSpace(architecture, members, shape, **{"routine": AdamW(epochs=1), "name": name, **given})


def in_double(network: torch.nn.Module) -> None:
    """A prior that leaves the constructor's draws and makes the network's precision 64 bits."""
    network.double()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty store of programs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiler.store.cache_clear()
    yield tmp_path / "archab"
    compiler.store.cache_clear()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds nothing: to make its tables takes longer than most runs of the tests."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def stored(tmp_path: Path, empty_store: Path) -> Path:
    """A folder with such a store and nothing else."""
    shutil.copy(empty_store, tmp_path)
    return tmp_path


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(stored: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs `python -m archab ARGUMENTS` in this process, in a directory with nothing but an empty store."""
    monkeypatch.chdir(stored)
    for name in ("MLFLOW_TRACKING_URI", "HYDRA_FULL_ERROR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ended:
        from archab.cli import run as program

        GlobalHydra.instance().clear()
        program._progress.started = False
        monkeypatch.setattr(sys, "argv", ["archab", *arguments])
        code = 0
        try:
            program.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        said = capfd.readouterr()
        return Ended(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'archab[dev]'")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to run as root with its own
        chromium = started.chromium.launch(executable_path=program, args=sandbox)
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def _short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Students of tests that do not say how long take 48 steps instead of a thousand."""
    monkeypatch.setattr(routine, "STEPS", 48)


@pytest.fixture(autouse=True)
def _no_call_home() -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
