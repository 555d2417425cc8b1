"""The command line python -m archab +space=NAME [key=value …]: from what is typed to runs."""

import gc
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from archab import __version__
from archab.cli import overrides as arguments
from archab.cli import signals, sweep
from archab.cli.config import asks_for_match, home, resolved
from archab.errors import ArchabError


def main() -> None:
    """Run the command line; exits 0, 1 where a job of a sweep failed, 2 on a mistake, 130 or 143 when interrupted."""
    _importable(Path.cwd())
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # its own keeps three times what a table needs
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray calls home
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode is no reason to fail
    if "--version" in sys.argv:  # Hydra would say its own
        print(f"archab {__version__}")
        return
    try:
        if "sizes" in sys.argv[1:]:
            from archab.cli import sizes

            sizes.show([argument for argument in sys.argv[1:] if argument != "sizes"])
            return
        if sys.argv[1:2] == ["gate"]:
            from archab.cli import gate

            sys.exit(gate.main(sys.argv[2:]))
        if sys.argv[1:2] == ["new"]:
            from archab.cli import new

            new.make(sys.argv[2:])
            return
        sys.argv[1:] = arguments.read(sys.argv[1:])
        _launched(any(a in ("-m", "--multirun", "hydra.mode=MULTIRUN") for a in sys.argv[1:]))
    except ArchabError as error:
        _fail(error)
    except BrokenPipeError:
        signals.unread()
    except KeyboardInterrupt:
        print("archab: interrupted; finished rows are kept, and the same command goes on from them", file=sys.stderr)
        sys.exit(signals.INTERRUPTED)


def _importable(folder: Path) -> None:
    """Let modules be found in a folder."""
    if (here := str(folder)) not in sys.path:
        sys.path.insert(0, here)


def _launched(several: bool) -> None:
    """Run through Hydra; a sweep says at its end how its jobs ended, however it ends itself."""
    with sweep.noted(Path.cwd() if several and os.access(".", os.W_OK) else None) as jobs:
        signals.handle(jobs.stop)
        try:
            _hydra(jobs)
        finally:
            finished = jobs.told()
        if not finished:
            sys.exit(1)
        if several and not jobs.outcomes():
            print(
                "archab: no job could tell here how it ended (on another machine?); archab-compare tells what is stored"
            )


@dataclass
class _Progress:
    started: bool = False


def _hydra(jobs: sweep.Sweep) -> None:
    """Compose and run; what Hydra refuses is the user's mistake, and exits 2."""
    try:
        hydra.main(version_base="1.3", config_path=str(home()), config_name="config")(_job)()
    except SystemExit as ended:
        if ended.code == 1 and not (_progress.started or jobs.outcomes()):
            sys.exit(2)
        raise


_progress = _Progress()


def _job(cfg: DictConfig) -> dict[str, str] | None:
    """One run, and where it is to be found. In a sweep a failing job says so and lets the others go on."""
    _progress.started = True
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return _job_of_sweep(cfg)
    try:
        return _run(cfg)
    except ArchabError as error:
        _fail(error)
    except BrokenPipeError:  # which Hydra would take for a failure
        signals.unread()


def _job_of_sweep(cfg: DictConfig) -> dict[str, str] | None:
    signals.handle_in_worker()
    hydras = HydraConfig.get()
    try:
        arguments.check_sweeper(f"hydra.sweeper._target_={hydras.sweeper._target_}")
    except ArchabError as error:  # of a sweeper that a file has chosen: it could do nothing with any job
        _fail(error)
    begun = sweep.begin(hydras.job.num, list(hydras.overrides.task))
    if begun is None:
        return None
    try:
        found = _run(cfg)
    except ArchabError as error:
        print(f"archab: {error}", file=sys.stderr)
        sweep.end(begun, sweep.FAILED, str(error))
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        sweep.end(begun, sweep.FAILED, f"{type(error).__name__}: {error}")
    except BaseException as ending:
        sweep.end(begun, sweep.INTERRUPTED)
        if not isinstance(ending, signals.Told):
            raise
    else:
        sweep.end(begun, found["ended"], compare=found["compare"])
        return found
    return None


def _run(cfg: DictConfig) -> dict[str, str]:
    """Train what is not there yet, log it and print it; where it is to be found again, and whether it was there before.

    Raises:
        ArchabError: on a mistake in the configuration, or a store or folder that cannot be used.
    """
    # What is imported here takes longer the further down it is: a mistake is answered before torch is there, a run
    # that is shown again needs no torch, and few runs draw a report.
    config, hydras = resolved(cfg), HydraConfig.get()
    folders = [source.path for source in hydras.runtime.config_sources if source.provider == "command-line"]
    typed = [override for override in hydras.overrides.task if override.split("=")[0] not in ("seed", "shard", "rerun")]
    again = [*(f"--config-dir={folder}" for folder in folders), *typed]
    own = [side for side in ("a", "b") if cfg.space[side].routine is not None]
    folder = Path(hydras.runtime.cwd)  # where the command was started, also in a worker, and under hydra.job.chdir
    _importable(folder)
    _check_typed(typed, config)
    if "until_decided" in str(hydras.runtime.choices.get("hydra/sweeper")) and _resampled(config):
        raise ArchabError(
            "hydra/sweeper=until_decided: splits of one data set overlap, so that more of them do not decide; "
            "-m 'seed=range(0,4)' trains as many as are planned"
        )
    space, target = (hydras.runtime.choices.get(group) or "" for group in ("space", "target"))
    from archab.cli.heading import heading

    heading(space or "space", config["seed"], config["space"]["question"])
    lines: list[str] = []
    if asks_for_match(config):
        from archab.experiment.build import matched

        config, lines = matched(config)
    from archab.experiment.job import Job

    job = Job(config, space or "space", again, folder, own, lines, target)
    job.check()
    from archab.store import desk

    desk.begin()  # its process imports MLflow meanwhile
    with _uncollected():
        from archab.cli.console import Terminal
        from archab.experiment.again import shown_again

    watch = Terminal()
    known = not job.config["rerun"] and shown_again(job, watch)
    if not known:
        with _uncollected():
            from archab.experiment.run import run

        if job.config["report"]:
            from archab.review.files import drawn

            run(job, watch, drawn)
        else:
            run(job, watch)
    ended = sweep.BEFORE if known else sweep.FINISHED
    found = {"store": job.address.uri, "experiment": job.experiment, "fingerprint": job.fingerprint}
    return {**found, "ended": ended, "compare": job.compare}


@contextmanager
def _uncollected() -> Iterator[None]:
    """Import without looking for garbage, of which there is none, nor ever look at what was imported again."""
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _resampled(config: dict[str, Any]) -> bool:
    """Whether targets are splits of a data set, as far as the configuration tells."""
    return str(config.get("target", {}).get("_target_")).endswith(".DataSet")


def _check_typed(typed: Sequence[str], config: dict[str, Any]) -> None:
    """Raise an ArchabError where a value of the routine is typed that tuning would put another in the place of."""
    tried = config.get("tune", {}).get("grid", {})
    for override in typed:
        named = re.fullmatch(r"(?:space\.\w+\.)?routine\.(\w+)", override.split("=")[0].lstrip("+"))
        if named and named[1] in tried:
            raise ArchabError(
                f"{override}: tune.{named[1]} tries {len(tried[named[1]])} values in its place; tune.{named[1]}=null "
                "trains by this one"
            )


def _fail(error: ArchabError) -> NoReturn:
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    print(f"archab: {error}", file=sys.stderr)
    sys.exit(2)
