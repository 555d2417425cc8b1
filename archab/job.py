"""One run, from a resolved configuration to rows on disk, a run in the store and a verdict."""

import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archab import config as configuration
from archab.fingerprint import fingerprint
from archab.spool import Spool, place, spooled
from archab.tracking import Store, commit, here, tracked

if TYPE_CHECKING:
    from rich.console import Console

    from archab.comparison import Comparison
    from archab.evidence.outcome import Verdict
    from archab.tracking import Tracker


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes:
        config: the resolved configuration.
        space: the chosen option of the group `space`.
        overrides: what was typed, without the seed, and with the user's own configuration folder first.
    """

    config: dict[str, Any]
    space: str
    overrides: Sequence[str]

    @property
    def experiment(self) -> str:
        """The MLflow experiment that the run belongs to."""
        return self.config["tracking"]["experiment"] or self.space

    @property
    def engine(self) -> str:
        """The name of the chosen engine."""
        return str(self.config["engine"]["_target_"]).rsplit(".", 1)[-1].lower()

    @property
    def again(self) -> str:
        """The command that a further sweep of seeds is appended to."""
        return shlex.join(["python", "-m", "archab", "-m", *self.overrides])

    @property
    def store(self) -> Store:
        """Where it is logged."""
        return Store.named(self.config["tracking"]["uri"], Path.cwd())


def run(job: Job) -> dict[str, str]:
    """Train what is not there yet, log it and print it; where it is to be found again, and whether it was there before.

    Raises:
        ArchabError: on a mistake in the configuration, or a store or folder that cannot be used.
    """
    job.store.check()
    identity = fingerprint(job.config)
    where = {"store": job.store.uri, "experiment": job.experiment, "fingerprint": identity}
    root = Path.cwd() / job.config["spool"]
    if not job.config["rerun"] and (said := _finished(job, Spool(place(root, identity, job.config["seed"])))):
        print(said)
        return where | {"ended": "finished before"}

    from archab import console

    comparison = configuration.comparison(job.config)
    out = console.console()
    console.opening(out, comparison, comparison.survey, job.space, job.config["space"]["question"])
    console.engines(out, comparison, comparison.plan)

    with spooled(root, identity, comparison.seed) as spool:
        _tracked(out, comparison, job, identity, spool)
    return where | {"ended": "finished"}


def _finished(job: Job, spool: Spool) -> str | None:
    """What the run of this very seed said when it ended, None where none has, or where the store has lost it."""
    said = spool.said()
    if said is None or said["store"] != job.store.uri or not job.store.holds(said["run"]):
        return None
    by = "" if said["engine"] == job.engine else f" by engine={said['engine']}"
    head = f"archab · {job.space} · seed {job.config['seed']}: finished before{by}; rerun=true trains it anew"
    return f"{head}\n{said['text']}"


def _tracked(out: "Console", comparison: "Comparison", job: Job, identity: str, spool: Spool) -> None:
    from archab import console

    notes = _notes(comparison)
    name = f"{job.space} seed {comparison.seed}"
    tags = _tags(comparison, job, identity, notes) | here(spool.folder)
    if dead := job.store.end_dead(job.experiment, identity, comparison.seed, spool.folder):
        out.print(f"  {dead} earlier run of this seed had died: ended as KILLED")
    with tracked(job.store, job.experiment, name, flat(job.config), tags) as tracker:
        if kept := spool.begin(comparison.plan.to_dict()):
            out.print(f"  going on from {kept} of {len(comparison.plan.parts)} finished parts")
        with console.progress(out, comparison.students) as advance:
            _train(comparison, identity, spool, tracker, advance)
        table = spool.finish()
        redrawn = int(table.attrs["redrawn"])
        control = _control(comparison, identity) if job.config["control"] else None
        if control is not None:
            spool.keep_control(control)
        verdict = _judge(comparison, table, control, notes, job.again)
        _log(tracker, spool, verdict, redrawn)
        tracker.keep_values(job.config, "config.yaml")
        tracker.keep_values(comparison.plan.to_dict(), "plan.json")
    links = job.store.review, job.store.link(tracker.experiment_id), spool.results, job.experiment
    paper = console.kept()
    for screen in (out, paper):
        console.verdict(screen, verdict, redrawn)
        console.review(screen, *links)
    text = paper.export_text()
    spool.keep_said({"store": job.store.uri, "run": tracker.run_id, "engine": job.engine, "text": text})


def _train(
    comparison: "Comparison", identity: str, spool: Spool, tracker: "Tracker", advance: Callable[[float], None]
) -> None:
    """Train what is not there yet, part by part; a member's metrics are logged once it is finished."""
    import pandas as pd

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
            tracker.log(_metrics(comparison, pd.concat(done, ignore_index=True)), step=part.member)
            done = []


def _metrics(comparison: "Comparison", rows: Any) -> dict[str, float]:
    """The figures of one member, to be logged with the member as the step."""
    from archab.evidence.design import arrange
    from archab.evidence.members import at_a_glance

    return at_a_glance(arrange(rows, [comparison.seed], ()))


def _control(comparison: "Comparison", identity: str) -> Any:
    """Rows of the reference's own family, None where the protocol has no reference."""
    from archab.results import frame

    rows = [row for member in range(len(comparison.a)) for row in comparison.control(member)]
    return frame(rows).assign(fingerprint=identity) if rows else None


def _judge(comparison: "Comparison", table: Any, control: Any, notes: Sequence[str], again: str) -> "Verdict":
    from archab.evidence.verdict import judge

    spaces = comparison.spaces
    return judge(
        table,
        names=(spaces["a"].name, spaces["b"].name),
        member_names=_member_names(comparison),
        order=[comparison.seed],
        control=control,
        control_name=spaces["reference"].name if "reference" in spaces else "",
        notes=notes,
        command=again,
    )


def _log(tracker: "Tracker", spool: Spool, verdict: "Verdict", redrawn: int) -> None:
    from archab.evidence.markdown import described
    from archab.evidence.series import by_round

    tracker.log_series(by_round(verdict))
    diverged = {"diverged": float(verdict.diverged.a + verdict.diverged.b), "redrawn": float(redrawn)}
    tracker.log({**diverged, "p_value": verdict.p_value, "blocks": float(verdict.blocks)}, step=0)
    tracker.tag({"archab.verdict": verdict.verdict, "mlflow.note.content": described([verdict])})
    for file in spool.files():
        tracker.keep(file)


def _notes(comparison: "Comparison") -> list[str]:
    """What must stand with every verdict of this configuration."""
    from archab.space.routine import settings

    a, b = (
        [settings(s.routine_of(m)).get("lr") for m in range(len(s))] for s in (comparison.a, comparison.spaces["b"])
    )
    tuned = "Shared learning rate, not tuned." if a == b else "Learning rates set by hand, not tuned."
    return [tuned, *(f"{note[0].upper()}{note[1:]}." for note in comparison.survey.notes)]


def _member_names(comparison: "Comparison") -> list[str]:
    """What a member is called: side A's own arguments, such as "rank 2"."""
    plain = [
        ", ".join(f"{key} {value}" for key, value in member.items() if isinstance(value, int | float | str))
        for member in comparison.a.arguments
    ]
    return [name or f"member {i}" for i, name in enumerate(plain)]


def _tags(comparison: "Comparison", job: Job, identity: str, notes: Sequence[str]) -> dict[str, str]:
    from archab import __version__

    return {
        "archab.kind": "run",
        "archab.seed": str(comparison.seed),
        "archab.fingerprint": identity,
        "archab.space": job.space,
        "archab.protocol": comparison.protocol_name,
        "archab.version": __version__,
        "archab.names": json.dumps({side: space.name for side, space in comparison.spaces.items()}),
        "archab.members": json.dumps(_member_names(comparison)),
        "archab.notes": json.dumps(list(notes)),
        "archab.again": job.again,
        "mlflow.source.name": "archab",
        "mlflow.source.git.commit": commit(),
    }


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested values as one level of dotted keys; a mapping whose keys are no names stays one value."""
    if not isinstance(values, dict) or not values or not all(re.fullmatch(r"\w+", str(key)) for key in values):
        return {prefix: values}
    return {k: v for key, item in values.items() for k, v in flat(item, f"{prefix}.{key}" if prefix else key).items()}
