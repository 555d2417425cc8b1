"""The command line: python -m archab +space=NAME [key=value …]. Where the parts meet."""

import io
import json
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from archab import job
from archab.config import home, resolved
from archab.errors import ArchabError

_ASKS_HYDRA = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")
_OUTCOMES = "ARCHAB_OUTCOMES"  # the folder in which the jobs of a sweep say how they ended, whatever the launcher
_INTERRUPTED, _TERMINATED = 130, 143


def main() -> None:
    """Run the command line; exits 0, 1 where a job of a sweep failed, 2 on a mistake, 130 or 143 when interrupted."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # its own keeps three times what a table needs
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode is no reason to fail
    try:
        sys.argv[1:] = _with_space(sys.argv[1:])
        with tempfile.TemporaryDirectory(prefix="archab-") as outcomes:
            os.environ[_OUTCOMES] = outcomes
            _hydra()
            _end_of_sweep(Path(outcomes))
    except ArchabError as error:
        _fail(error)
    except KeyboardInterrupt:
        print("archab: interrupted; finished rows are kept", file=sys.stderr)
        sys.exit(_INTERRUPTED)


@dataclass
class _Progress:
    started: bool = False


def _hydra() -> None:
    """Compose and run; what Hydra refuses is the user's mistake, and exits 2."""
    try:
        hydra.main(version_base="1.3", config_path=str(home()), config_name="config")(_job)()
    except SystemExit as ended:
        if ended.code == 1 and not _progress.started:
            sys.exit(2)
        raise


_progress = _Progress()


def _job(cfg: DictConfig) -> dict[str, str] | None:
    """One run, and where it is to be found. In a sweep a failing job says so and lets the others go on."""
    _progress.started = True
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        found = job.run(_described(cfg))
    except ArchabError as error:
        if not sweep:
            _fail(error)
        print(f"archab: {error}", file=sys.stderr)
        _outcome(str(error))
    except Exception as error:
        if not sweep:
            raise
        sys.excepthook(type(error), error, error.__traceback__)
        _outcome(f"{type(error).__name__}: {error}")
    else:
        if sweep:
            _outcome("")
        return found
    return None


def _described(cfg: DictConfig) -> job.Job:
    hydras = HydraConfig.get()
    folders = [source.path for source in hydras.runtime.config_sources if source.provider == "command-line"]
    typed = [override for override in hydras.overrides.task if override.split("=")[0] not in ("seed", "shard", "rerun")]
    again = [*(f"--config-dir={folder}" for folder in folders), *typed]
    return job.Job(resolved(cfg), hydras.runtime.choices.get("space") or "space", again)


def _with_space(arguments: list[str]) -> list[str]:
    """The arguments with `space=X` as `+space=X`.

    Raises:
        ArchabError: if no space is chosen, or there is none of that name.
    """
    arguments = [f"+{a}" if a.startswith("space=") else a for a in arguments]
    if any(a in _ASKS_HYDRA or a.split("=")[0] in ("--config-name", "-cn") for a in arguments):
        return arguments
    _parse(arguments)
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


def _parse(arguments: list[str]) -> None:
    """Raise an ArchabError where Hydra could not read an override; its own message does not say which."""
    parser = OverridesParser.create()
    for argument in arguments:
        if "=" in argument and not argument.startswith("-"):
            try:
                parser.parse_override(argument)
            except HydraException as error:
                said = str(error).splitlines()[0]
                raise ArchabError(
                    f"{argument}: cannot be read ({said}); quote it, or escape special characters"
                ) from error


def _spaces(arguments: list[str]) -> list[str]:
    folders = [home()]
    for argument, following in pairwise([*arguments, ""]):
        key, _, value = argument.partition("=")
        if key in ("--config-dir", "-cd"):
            folders.append(Path(value or following))
            if not folders[-1].is_dir():
                raise ArchabError(f"{key} {folders[-1]}: no such directory")
    return sorted({file.stem for folder in folders for file in (folder / "space").glob("*.yaml")})


def _end_of_sweep(outcomes: Path) -> None:
    """Where a job of the sweep failed, a table of what failed and why, and exit 1."""
    ended = [json.loads(file.read_text()) for file in sorted(outcomes.glob("*.json"))]
    failed = [ended_job for ended_job in ended if ended_job["failed"]]
    if failed:
        print(f"\narchab: {len(failed)} of {len(ended)} jobs failed:", file=sys.stderr)
        for one in sorted(failed, key=lambda one: one["number"]):
            print(f"  {one['number']:>4}  {one['overrides']}\n        {one['failed']}", file=sys.stderr)
        sys.exit(1)


def _outcome(failed: str) -> None:
    hydras = HydraConfig.get()
    said = {"number": hydras.job.num, "overrides": " ".join(hydras.overrides.task), "failed": failed}
    file = Path(os.environ[_OUTCOMES]) / f"{hydras.job.num:06d}.json"
    file.write_text(json.dumps(said))


def _fail(error: ArchabError) -> NoReturn:
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    print(f"archab: {error}", file=sys.stderr)
    sys.exit(2)


def _terminate(number: int, stack: FrameType | None) -> NoReturn:
    print("archab: terminated; finished rows are kept", file=sys.stderr)
    sys.exit(_TERMINATED)


if __name__ == "__main__":
    main()
