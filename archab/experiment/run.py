"""One run, a straight line: plan, parts, rows on disk, a run in the store, a verdict."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pandas as pd

from archab.comparison.comparison import Comparison
from archab.comparison.duration import expected
from archab.comparison.parallel import trained, why_alone, workers
from archab.comparison.plan import Part
from archab.comparison.study import notes_of, study_of
from archab.evidence.design import arrange
from archab.evidence.fields import Verdict
from archab.evidence.members import at_a_glance
from archab.evidence.series import by_round
from archab.evidence.verdict import judge
from archab.experiment.build import comparison as built
from archab.experiment.context import of_configuration
from archab.experiment.describe import flat, here, tags_of
from archab.experiment.job import Job, Watch, where
from archab.results import curve_frame, frame
from archab.review.markdown import described
from archab.runs.folder import Spool
from archab.runs.log import Record
from archab.store.upload import Live, asked, tracked
from archab.store.uri import hidden


def run(job: Job, watch: Watch) -> None:
    """Train what is not there yet, log it, judge it and say so.

    Raises:
        ArchabError: on a mistake in the configuration, or a store or folder that cannot be used.
    """
    comparison, spool = built(job.config), job.spool
    watch.opening(comparison, job.space, job.config["space"]["question"])
    with spool.held() as hosts:
        own = comparison.plan.to_dict()
        plan = spool.begin(own, job.config["rerun"])
        if plan != own:
            comparison = comparison.by(plan)
            hint = "" if job.config["rerun"] else ": rerun=true trains anew"
            watch.say(f"  as it was begun, by the plan that is kept{hint}")
        watch.planned(comparison, expected(comparison))
        _tracked(comparison, job, spool, hosts, watch)


def _tracked(comparison: Comparison, job: Job, spool: Spool, hosts: set[str], watch: Watch) -> None:
    parts = job.shard.take(comparison.plan.parts) if job.shard else comparison.plan.parts
    tags = tags_of(comparison, job, notes_of(comparison)) | here(spool.folder)
    config = json.loads(hidden(json.dumps(job.config)))
    record = Record(job.experiment, job.name, flat(config), tags, job.engine)
    if earlier := Record.read(spool.record):
        record.first = earlier.first or earlier.start
    record.values = {"config.yaml": config, "plan.json": comparison.plan.to_dict()}
    if dead := asked(job.store, lambda: job.store.end_dead(record, hosts), watch.warn, job.patience):
        watch.say(f"  {dead} earlier run of this seed had died: ended as KILLED")
    with tracked(job.store, record, watch.warn, job.patience) as live:
        redrawn = _trained(comparison, parts, job, spool, live, watch)
        table = spool.join()
        control = _control(comparison, parts, job.fingerprint) if job.config["control"] else None
        if control is not None:
            spool.keep_control(control)
        record.log({"diverged": float((table["status"] == "diverged").sum()), "redrawn": float(redrawn)}, step=0)
        if job.shard:
            watch.share(job.shard, len(table), job.compare)
        else:
            verdict = judge(study_of(comparison, table, control, spool.curves(), job.own, job.again))
            _log(record, verdict)
            watch.verdict(verdict, redrawn)
            if job.config["report"]:
                _draw(config, job, comparison, verdict, spool)
        spool.finish(record)
        live.deliver(spool.files())
        record.write(spool.record)
    watch.where(where(job, live.tracker.experiment_id))


def _trained(comparison: Comparison, parts: Sequence[Part], job: Job, spool: Spool, live: Live, watch: Watch) -> int:
    """Train what is missing, by as many processes as pay; how many draws of targets were refused."""
    kept = spool.kept()
    processes = workers(comparison, len(parts) - kept)
    if processes > 1 and (why := why_alone(comparison)):
        watch.warn(f"one process trains, since the networks or routines cannot be sent to others ({why})")
        processes = 1
    if processes > 1:
        watch.say(f"  workers     {processes} processes")
    if kept:
        watch.say(f"  going on from {kept} of {len(parts)} finished parts")
    with watch.progress(sum(map(comparison.students_of, parts))) as advance:
        return _train(comparison, parts, job.fingerprint, spool, live, processes, advance)


def _train(
    comparison: Comparison,
    parts: Sequence[Part],
    identity: str,
    spool: Spool,
    live: Live,
    processes: int,
    advance: Callable[[float], None],
) -> int:
    """Train those parts that are not there yet; how many draws of targets were refused.

    A member's metrics are logged once it is finished.
    """
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


def _metrics(comparison: Comparison, rows: Any) -> dict[str, float]:
    """The figures of one member, to be logged with the member as the step."""
    return at_a_glance(arrange(rows, [comparison.seed], ()))


def _control(comparison: Comparison, parts: Sequence[Part], identity: str) -> Any:
    """Rows of the reference's own family on each member's first targets, None where the protocol has no reference."""
    rows = [row for part in parts if part.first == 0 for row in comparison.control(part.member)]
    return frame(rows).assign(fingerprint=identity) if rows else None


def _log(record: Record, verdict: Verdict) -> None:
    record.log_series(by_round(verdict))
    record.log({"p_value": verdict.p_value, "blocks": float(verdict.blocks)}, step=0)
    record.tags |= {"archab.verdict": verdict.verdict, "mlflow.note.content": described([verdict])}


def _draw(config: dict[str, Any], job: Job, comparison: Comparison, verdict: Verdict, spool: Spool) -> None:
    """The report and the figures of one run, beside its rows."""
    context = of_configuration(
        config,
        heading=job.space,
        protocol=comparison.protocol_name,
        curves=spool.curves(),
        commands=(f"{job.again} seed={comparison.seed}",),
    )
    from archab.review.files import drawn  # with matplotlib, which few runs need

    drawn([verdict], [context], spool.pictures)
