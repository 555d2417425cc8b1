"""The command line: python -m archab +space=NAME [key=value …]. Where the parts meet."""

import json
import os
import re
import signal
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from archab.config import home
from archab.errors import ArchabError

if TYPE_CHECKING:
    from archab.comparison import Comparison
    from archab.spool import Spool
    from archab.tracking import Tracker

_ASKS_HYDRA = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")
_OUTCOMES = "ARCHAB_OUTCOMES"  # the folder in which the jobs of a sweep say how they ended, whatever the launcher
_INTERRUPTED, _TERMINATED = 130, 143


def main() -> None:
    """Run the command line; exits 0, 1 where a job of a sweep failed, 2 on a mistake, 130 or 143 when interrupted."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    signal.signal(signal.SIGTERM, _terminate)
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


def _job(cfg: DictConfig) -> None:
    """One run. In a sweep a failing job says so and lets the others go on."""
    _progress.started = True
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        _run(cfg, HydraConfig.get().runtime.choices.get("space") or "space")
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


def _run(cfg: DictConfig, space: str) -> None:
    from archab import config
    from archab.fingerprint import fingerprint
    from archab.tracking import Store

    resolved = config.resolved(cfg)
    store = Store.named(resolved["tracking"]["uri"], Path.cwd())
    store.check()
    identity = fingerprint(resolved)

    from archab import console

    comparison = config.comparison(resolved)
    out = console.console()
    console.opening(out, comparison, comparison.survey, space, resolved["space"]["question"])
    console.engines(out, comparison, comparison.plan)

    from archab.spool import spooled

    with spooled(Path.cwd() / resolved["spool"], identity, comparison.seed) as spool:
        _train(out, comparison, resolved, space, identity, store, spool)


def _train(
    out: Any, comparison: "Comparison", resolved: dict[str, Any], space: str, identity: str, store: Any, spool: "Spool"
) -> None:
    from archab import __version__, console
    from archab.evidence.summary import summary
    from archab.tracking import commit, tracked

    tags = {
        "archab.seed": str(comparison.seed),
        "archab.fingerprint": identity,
        "archab.space": space,
        "archab.protocol": comparison.plan.protocol,
        "archab.version": __version__,
        "mlflow.source.name": "archab",
        "mlflow.source.git.commit": commit(),
    }
    experiment = resolved["tracking"]["experiment"] or space
    with tracked(store, experiment, f"{space} seed {comparison.seed}", _flat(resolved), tags) as tracker:
        spool.begin(comparison.plan.to_dict())
        with console.progress(out, comparison.survey.students(comparison)) as advance:
            _parts(comparison, identity, spool, tracker, advance)
        table = spool.finish()
        lines = summary(table)
        counts = {"redrawn": float(table.attrs["redrawn"]), "diverged": float((table["status"] == "diverged").sum())}
        tracker.log(counts, step=0)
        tracker.keep(spool.results)
        tracker.keep_values(resolved, "config.yaml")
        tracker.keep_values(comparison.plan.to_dict(), "plan.json")
    console.table(out, comparison, lines, int(counts["redrawn"]))
    console.review(out, store.review, store.link(tracker.experiment_id), spool.results)


def _parts(comparison: "Comparison", identity: str, spool: "Spool", tracker: "Tracker", advance: Any) -> None:
    """Train what is not there yet, part by part; a member's metrics are logged once it is finished."""
    import pandas as pd

    from archab.evidence.summary import summary
    from archab.results import frame

    done: list[pd.DataFrame] = []
    last = {part.member: part for part in comparison.plan.parts}
    for part in comparison.plan.parts:
        rows = spool.read(part.name)
        if rows is None:
            finished = comparison.run(part, advance)
            rows = frame(finished.rows).assign(fingerprint=identity)
            rows.attrs["redrawn"] = finished.redrawn
            spool.write(part.name, rows)
        else:
            advance(len(rows))
        done.append(rows)
        if part == last[part.member]:
            line = summary(pd.concat(done, ignore_index=True))[0]
            tracker.log(line.metrics(), step=part.member)
            done = []


def _with_space(arguments: list[str]) -> list[str]:
    """The arguments with `space=X` as `+space=X`.

    Raises:
        ArchabError: if no space is chosen, or there is none of that name.
    """
    arguments = [f"+{a}" if a.startswith("space=") else a for a in arguments]
    if any(a in _ASKS_HYDRA or a.split("=")[0] in ("--config-name", "-cn") for a in arguments):
        return arguments
    _parse(arguments)
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
    return sorted({file.stem for folder in folders for file in (folder / "space").glob("*.yaml")})


def _end_of_sweep(outcomes: Path) -> None:
    """Where a job of the sweep failed, a table of what failed and why, and exit 1."""
    ended = [json.loads(file.read_text()) for file in sorted(outcomes.glob("*.json"))]
    failed = [job for job in ended if job["failed"]]
    if failed:
        print(f"\narchab: {len(failed)} of {len(ended)} jobs failed:", file=sys.stderr)
        for job in sorted(failed, key=lambda job: job["number"]):
            print(f"  {job['number']:>4}  {job['overrides']}\n        {job['failed']}", file=sys.stderr)
        sys.exit(1)


def _outcome(failed: str) -> None:
    job = HydraConfig.get()
    said = {"number": job.job.num, "overrides": " ".join(job.overrides.task), "failed": failed}
    file = Path(os.environ[_OUTCOMES]) / f"{job.job.num:06d}.json"
    file.write_text(json.dumps(said))


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested values as one level of dotted keys; a mapping whose keys are no names stays one value."""
    if not isinstance(values, dict) or not values or not all(re.fullmatch(r"\w+", str(key)) for key in values):
        return {prefix: values}
    return {k: v for key, item in values.items() for k, v in _flat(item, f"{prefix}.{key}" if prefix else key).items()}


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
