"""One run, from a resolved configuration to rows on disk, a run in the store and a verdict."""

import json
import math
import shlex
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archab import config as configuration
from archab.about import flat, here, notes_of, study_of, tags_of
from archab.address import hidden
from archab.delivery import Live, asked, delivered, tracked
from archab.errors import ArchabError
from archab.fingerprint import fingerprint
from archab.labels import run_name
from archab.record import Record
from archab.shard import Shard
from archab.spool import Spool
from archab.tracking import Store

if TYPE_CHECKING:
    from rich.console import Console

    from archab.comparison import Comparison
    from archab.evidence.outcome import Verdict
    from archab.schedule import Part


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes:
        config: the resolved configuration.
        space: the chosen option of the group `space`.
        overrides: what was typed, without the seed, and with the user's own configuration folder first.
        folder: where the command was started: the store and the spool are named from there.
        own: the sides that have a routine of their own.
    """

    config: dict[str, Any]
    space: str
    overrides: Sequence[str]
    folder: Path
    own: Sequence[str] = ()

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
        return hidden(shlex.join(["python", "-m", "archab", "-m", *self.overrides]))

    @property
    def compare(self) -> str:
        """The command that gives the verdict over all seeds."""
        uri = self.config["tracking"]["uri"]
        where = ["--tracking-uri", uri] if uri else []
        return hidden(shlex.join(["archab-compare", "--space", self.experiment, *where]))

    @property
    def shard(self) -> Shard | None:
        """Its share of the run, None for the whole."""
        named = self.config["shard"]
        return None if named is None else Shard.named(str(named))

    @property
    def name(self) -> str:
        """What its run is called."""
        seed = f"seed {self.config['seed']}"
        return run_name(self.space, self.overrides, f"{seed} shard {self.shard}" if self.shard else seed)

    @property
    def patience(self) -> float:
        """Seconds that a store which does not answer is waited for."""
        patience = float(self.config["tracking"]["patience"])
        if not 0 <= patience < math.inf:
            raise ArchabError(f"tracking.patience={patience}: a number of seconds is needed, 0 or more")
        return patience

    @property
    def store(self) -> Store:
        """Where it is logged."""
        return Store.named(self.config["tracking"]["uri"], self.folder)


def run(job: Job) -> dict[str, str]:
    """Train what is not there yet, log it and print it; where it is to be found again, and whether it was there before.

    Raises:
        ArchabError: on a mistake in the configuration, or a store or folder that cannot be used.
    """
    shard, _ = job.shard, job.patience
    if not job.config["spool"].strip():
        raise ArchabError("spool=: the name of a folder is needed, such as spool=.archab")
    job.store.check()
    identity = fingerprint(job.config)
    spool = Spool(job.folder / job.config["spool"], identity, job.config["seed"], shard)
    known = not job.config["rerun"] and _finished(job, spool)
    if not known:
        _trained(job, identity, spool)
    ended = "finished before" if known else "finished"
    found = {"store": job.store.uri, "experiment": job.experiment, "fingerprint": identity}
    return {**found, "ended": ended, "compare": job.compare}


def _finished(job: Job, spool: Spool) -> bool:
    """Whether this very run has finished before: say so, and bring it into the store if that has lost it."""
    record = Record.read(spool.record)
    if record is None or not spool.whole():
        if spool.results.exists():
            print(f"  ! {spool.folder}: what a run left there is damaged, and is made anew")
        return False
    by = "" if record.engine == job.engine else f" by engine={record.engine}"
    print(f"{job.name}: finished before{by}; rerun=true trains it anew\n")
    _shown_again(job, record, spool)
    if record.experiment != job.experiment:  # as a store that lacks it
        record.experiment = job.experiment
        record.runs.pop(job.store.shown, None)
    holds = partial(asked, job.store, partial(job.store.holds, record), print, job.patience)
    page = holds()
    if job.store.shown not in record.delivered or page is None:
        print(f"  its rows are brought to {job.store.shown}, which lacked them")
        delivered(job.store, record, spool.files(), print, job.patience)
        record.write(spool.record)
        page = holds()
    _review(job, spool, page or "")
    return True


def _shown_again(job: Job, record: Record, spool: Spool) -> None:
    """What a finished run says, drawn from its rows for this terminal."""
    from archab import console
    from archab.evidence.verdict import judge
    from archab.history import studied

    tables = spool.tables()
    if job.shard:
        return console.share(console.console(), job.shard, len(tables[0]), job.compare)
    redrawn = sum(int(value) for name, value, _, _ in record.points if name == "redrawn")
    return console.verdict(console.console(), judge(studied(record.tags, *tables), order=[job.config["seed"]]), redrawn)


def _review(job: Job, spool: Spool, experiment_id: str) -> None:
    """Where the run can be looked at, and what to type for the verdict over all seeds."""
    lines = {
        "rows": str(spool.results),
        "seeds": job.compare,
        "review": job.store.review,
        "": job.store.link(experiment_id),
    }
    print("", *(f"  {name:<8}{text}" for name, text in lines.items() if text), sep="\n")


def _trained(job: Job, identity: str, spool: Spool) -> None:
    from archab import console
    from archab.pace import expected

    comparison = configuration.comparison(job.config)
    out = console.console()
    console.opening(out, comparison, comparison.survey, job.space, job.config["space"]["question"])
    with spool.held() as hosts:
        own = comparison.plan.to_dict()
        plan = spool.begin(own, job.config["rerun"])
        if plan != own:
            comparison = comparison.by(plan)
            hint = "" if job.config["rerun"] else ": rerun=true trains anew"
            out.print(f"  as it was begun, by the plan that is kept{hint}")
        console.engines(out, comparison, comparison.plan, expected(comparison))
        _tracked(out, comparison, job, identity, spool, hosts)


def _tracked(out: "Console", comparison: "Comparison", job: Job, identity: str, spool: Spool, hosts: set[str]) -> None:
    from archab import console
    from archab.evidence.verdict import judge
    from archab.pool import why_alone, workers

    parts = job.shard.take(comparison.plan.parts) if job.shard else comparison.plan.parts
    notes = notes_of(comparison)
    tags = tags_of(comparison, job, identity, notes) | here(spool.folder)
    config = json.loads(hidden(json.dumps(job.config)))
    record = Record(job.experiment, job.name, flat(config), tags, job.engine)
    if earlier := Record.read(spool.record):
        record.first = earlier.first or earlier.start
    record.values = {"config.yaml": config, "plan.json": comparison.plan.to_dict()}

    def say(line: str) -> None:
        out.print(f"  ! {line}", style="yellow", markup=False)

    if dead := asked(job.store, lambda: job.store.end_dead(record, hosts), say, job.patience):
        out.print(f"  {dead} earlier run of this seed had died: ended as KILLED")
    with tracked(job.store, record, say, job.patience) as live:
        processes = workers(comparison, len(parts) - spool.kept())
        if processes > 1 and (why := why_alone(comparison)):
            say(f"one process trains, since the networks or routines cannot be sent to others ({why})")
            processes = 1
        if processes > 1:
            out.print(f"  workers     {processes} processes")
        if kept := spool.kept():
            out.print(f"  going on from {kept} of {len(parts)} finished parts")
        with console.progress(out, sum(map(comparison.students_of, parts))) as advance:
            redrawn = _train(comparison, parts, identity, spool, live, processes, advance)
        table = spool.join()
        control = _control(comparison, parts, identity) if job.config["control"] else None
        if control is not None:
            spool.keep_control(control)
        record.log({"diverged": float((table["status"] == "diverged").sum()), "redrawn": float(redrawn)}, step=0)
        if job.shard:
            console.share(out, job.shard, len(table), job.compare)
        else:
            verdict = judge(study_of(comparison, table, control, spool.curves(), job.own, job.again))
            _log(record, verdict)
            console.verdict(out, verdict, redrawn)
            if job.config["report"]:
                _draw(config, job, comparison, verdict, spool)
        spool.finish(record)
        live.deliver(spool.files())
        record.write(spool.record)
    _review(job, spool, live.tracker.experiment_id)


def _train(
    comparison: "Comparison",
    parts: "Sequence[Part]",
    identity: str,
    spool: Spool,
    live: Live,
    processes: int,
    advance: Callable[[float], None],
) -> int:
    """Train those parts that are not there yet; how many draws of targets were refused.

    A member's metrics are logged once it is finished.
    """
    import pandas as pd

    from archab.pool import trained
    from archab.results import curve_frame, frame

    done: list[pd.DataFrame] = []
    last = {part.member: part for part in parts}
    redrawn = 0
    missing = dict.fromkeys(part for part in parts if not spool.has(part.name))
    advance(sum(map(comparison.students_of, parts)) - sum(map(comparison.students_of, missing)))
    with closing(trained(comparison, list(missing), processes, advance)) as finished:
        for part in parts:
            if part in missing:
                one = next(finished)
                rows = frame(one.rows).assign(fingerprint=identity)
                rows.attrs["redrawn"] = one.redrawn
                if part.first == 0:
                    spool.write_curves(part.name, curve_frame(comparison.seed, part.member, part.source, one.curves))
                spool.write(part.name, rows)
            else:
                rows = spool.read(part.name)
            redrawn += int(rows.attrs["redrawn"])
            done.append(rows)
            if part == last[part.member]:
                live.record.log(_metrics(comparison, pd.concat(done, ignore_index=True)), step=part.member)
                live.send()
                done = []
    return redrawn


def _metrics(comparison: "Comparison", rows: Any) -> dict[str, float]:
    """The figures of one member, to be logged with the member as the step."""
    from archab.evidence.design import arrange
    from archab.evidence.members import at_a_glance

    return at_a_glance(arrange(rows, [comparison.seed], ()))


def _control(comparison: "Comparison", parts: "Sequence[Part]", identity: str) -> Any:
    """Rows of the reference's own family on each member's first targets, None where the protocol has no reference."""
    from archab.results import frame

    rows = [row for part in parts if part.first == 0 for row in comparison.control(part.member)]
    return frame(rows).assign(fingerprint=identity) if rows else None


def _log(record: Record, verdict: "Verdict") -> None:
    from archab.evidence.markdown import described
    from archab.evidence.series import by_round

    record.log_series(by_round(verdict))
    record.log({"p_value": verdict.p_value, "blocks": float(verdict.blocks)}, step=0)
    record.tags |= {"archab.verdict": verdict.verdict, "mlflow.note.content": described([verdict])}


def _draw(config: dict[str, Any], job: Job, comparison: "Comparison", verdict: "Verdict", spool: Spool) -> None:
    """The report and the figures of one run, beside its rows."""
    from archab.background import of_configuration
    from archab.pages import drawn

    context = of_configuration(
        config,
        heading=job.space,
        protocol=comparison.protocol_name,
        curves=spool.curves(),
        commands=(f"{job.again} seed={comparison.seed}",),
    )
    drawn([verdict], [context], spool.pictures)
