"""The command line: python -m archab +space=NAME [key=value …]. Where the parts meet."""

import importlib.util
import io
import os
import shlex
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from archab import job, signals, sweep
from archab.config import home, resolved
from archab.errors import ArchabError

_ASKS_HYDRA = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")
_LAUNCHERS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit", "ray": "ray"}  # by extra
MOST_SHARDS = 10_000


def main() -> None:
    """Run the command line; exits 0, 1 where a job of a sweep failed, 2 on a mistake, 130 or 143 when interrupted."""
    _importable(Path.cwd())
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # its own keeps three times what a table needs
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray calls home
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode is no reason to fail
    try:
        sys.argv[1:] = _with_space(sys.argv[1:])
        _launched(any(a in ("-m", "--multirun", "hydra.mode=MULTIRUN") for a in sys.argv[1:]))
    except ArchabError as error:
        _fail(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read what is printed has gone
        sys.exit(signals.UNREAD)
    except KeyboardInterrupt:
        print("archab: interrupted; finished rows are kept", file=sys.stderr)
        sys.exit(signals.INTERRUPTED)


def _importable(folder: Path) -> None:
    """Let modules be found in a folder."""
    if (here := str(folder)) not in sys.path:
        sys.path.insert(0, here)


def _launched(several: bool) -> None:
    """Run through Hydra; a sweep says at its end how its jobs ended, however it ends itself."""
    with sweep.noted(Path.cwd() if several and os.access(".", os.W_OK) else None) as jobs:
        signals.mind(jobs.stop)
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
        return job.run(_described(cfg))
    except ArchabError as error:
        _fail(error)


def _job_of_sweep(cfg: DictConfig) -> dict[str, str] | None:
    signals.mind_in_worker()
    hydras = HydraConfig.get()
    begun = sweep.begin(hydras.job.num, list(hydras.overrides.task))
    if begun is None:
        return None
    try:
        found = job.run(_described(cfg))
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


def _described(cfg: DictConfig) -> job.Job:
    hydras = HydraConfig.get()
    folders = [source.path for source in hydras.runtime.config_sources if source.provider == "command-line"]
    typed = [override for override in hydras.overrides.task if override.split("=")[0] not in ("seed", "shard", "rerun")]
    again = [*(f"--config-dir={folder}" for folder in folders), *typed]
    own = [side for side in ("a", "b") if cfg.space[side].routine is not None]
    folder = Path(hydras.runtime.cwd)  # where the command was started, also in a worker, and under hydra.job.chdir
    _importable(folder)
    return job.Job(resolved(cfg), hydras.runtime.choices.get("space") or "space", again, folder, own)


def _with_space(arguments: list[str]) -> list[str]:
    """The arguments with `space=X` as `+space=X`, `launch=X` as `+launch=X`, and `shards=N` as a sweep of N shards.

    Raises:
        ArchabError: if no space is chosen, or there is none of that name.
    """
    arguments = [f"+{a}" if a.startswith(("space=", "launch=")) else a for a in arguments]
    if any(a.startswith("shards=") for a in arguments):
        if any(a.startswith("shard=") for a in arguments):
            raise ArchabError("shards=N is all shards, and shard=K/N one of them: give one of the two")
        arguments = ["-m", *map(_shards, arguments)]
    if {"-m", "--multirun"} & set(arguments):  # in front, since argparse takes no overrides behind a flag behind others
        arguments = ["-m", *(a for a in arguments if a not in ("-m", "--multirun"))]
    if any(a in _ASKS_HYDRA or a.split("=")[0] in ("--config-name", "-cn") for a in arguments):
        return arguments
    _parse(arguments)
    _check_launcher(arguments)
    if not os.access(".", os.W_OK) and not any("hydra.run.dir" in a or "hydra.sweep.dir" in a for a in arguments):
        raise ArchabError(f"{Path.cwd()}: cannot be written, and Hydra keeps its outputs there; give hydra.run.dir=DIR")
    spaces = _spaces(arguments)
    chosen = [a.split("=", 1)[1] for a in arguments if a.startswith("+space=")]
    if not chosen:
        raise ArchabError(
            f"no space is chosen. There are: {', '.join(spaces)}. For example:\n"
            "  python -m archab +space=n_diagonal\n"
            "  python -m archab -m +space=split_transformer 'seed=range(0,2)' targets=4 samples_per_measure=0.02"
        )
    for name in chosen[-1].split(","):
        if name.strip("'\"[] ") not in spaces and "(" not in name and not any("searchpath" in a for a in arguments):
            raise ArchabError(f"+space={name}: no such space. There are: {', '.join(spaces)}")
    return arguments


def _shards(argument: str) -> str:
    key, _, number = argument.partition("=")
    if key != "shards":
        return argument
    if not number.isdecimal() or not 1 <= int(number) <= MOST_SHARDS:
        raise ArchabError(f"{argument}: a number of shards is needed, from 1 to {MOST_SHARDS:,}, such as shards=8")
    return "shard=" + ",".join(f"{k}/{int(number)}" for k in range(1, int(number) + 1))


def _check_launcher(arguments: list[str]) -> None:
    """Raise an ArchabError where the chosen launcher is not installed."""
    for name in [a.split("=", 1)[1] for a in arguments if a.startswith("+launch=")]:
        if not {"-m", "--multirun", "hydra.mode=MULTIRUN"} & set(arguments):
            raise ArchabError(f"+launch={name}: goes with a sweep: python -m archab -m +launch={name} …")
        extra = _LAUNCHERS.get(name)
        if extra and importlib.util.find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
            raise ArchabError(f"+launch={name}: its launcher is not installed; pip install 'archab[{extra}]'")


def _parse(arguments: list[str]) -> None:
    """Raise an ArchabError where Hydra could not read an override; its own message does not say which."""
    for argument in arguments:
        if "=" in argument and not argument.startswith("-") and (said := _unread(argument)):
            key, _, value = argument.partition("=")
            quoted = f'{key}="{value}"'
            right = f"quote it, or escape special characters ({said})"
            right = right if _unread(quoted) else f"type it as {shlex.quote(quoted)}"
            raise ArchabError(f"{argument}: cannot be read: {right}")


def _unread(override: str) -> str:
    """Why Hydra cannot read an override, empty where it can."""
    try:
        OverridesParser.create().parse_override(override)
    except HydraException as error:
        return str(error).splitlines()[0]
    return ""


def _spaces(arguments: list[str]) -> list[str]:
    folders = [home()]
    for argument, following in pairwise([*arguments, ""]):
        key, _, value = argument.partition("=")
        if key in ("--config-dir", "-cd"):
            folders.append(Path(value or following))
            if not folders[-1].is_dir():
                raise ArchabError(f"{key} {folders[-1]}: no such directory")
    return sorted({file.stem for folder in folders for file in (folder / "space").glob("*.yaml")})


def _fail(error: ArchabError) -> NoReturn:
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    print(f"archab: {error}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
