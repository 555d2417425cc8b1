"""One run, a straight line: plan, work units, rows on disk, a run in the store, a verdict."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from archab.comparison.comparison import Comparison
from archab.comparison.costs import costs_of
from archab.comparison.parallel import trained, why_alone, workers
from archab.comparison.plan import Part
from archab.comparison.study import notes_of, study_of
from archab.evidence.design import arrange
from archab.evidence.fields import Verdict
from archab.evidence.members import at_a_glance
from archab.evidence.series import by_round
from archab.evidence.verdict import judge
from archab.experiment.context import of_configuration
from archab.experiment.describe import flat, here, tags_of
from archab.experiment.job import Job, Watch
from archab.experiment.memory import give_back
from archab.experiment.remembered import described, remember
from archab.experiment.tuning import in_force, tuned
from archab.results import JUDGED, TUNING, curve_frame, frame, spent_frame, write
from archab.review.context import Context
from archab.review.markdown import described as in_markdown
from archab.runs.folder import RunFolder
from archab.runs.log import Record
from archab.store.desk import Desk
from archab.store.upload import Live, tracked
from archab.store.uri import hidden

SHORT = 3.0  # seconds of training that need not wait for the store's consent

Draw = Callable[[list[Verdict], list[Context], Path], object]


def run(job: Job, watch: Watch, draw: Draw | None = None) -> None:
    """Train what is not there yet, log it, judge it and say so.

    Args:
        job: what is asked for.
        watch: what hears of it.
        draw: draws the report of verdicts and their contexts into a folder, such as `archab.review.files.drawn`, which
            imports matplotlib; None for no report.

    Raises:
        ArchabError: on a mistake in the configuration, or a store or folder that cannot be used.
    """
    store = Desk(job.address.uri, job.address.artifacts)
    comparison, folder = described(job), job.run_folder
    store.contact()
    watch.opening(comparison, job.space, job.config["space"]["question"])
    for line in job.matched:
        watch.say(f"  matched     {line}")
    with folder.held() as hosts:
        if comparison.settles:
            comparison = tuned(comparison, folder.shared, watch)
        own = comparison.plan.to_dict()
        plan = folder.begin(own, job.config["rerun"])
        if plan != own:
            comparison = comparison.by(plan)
            hint = "" if job.config["rerun"] else ": rerun=true trains anew"
            watch.say(f"  as it was begun, by the plan that is kept{hint}")
        remember(comparison, folder.shared)
        watch.planned(comparison, comparison.expected)
        _tracked(comparison, job, store, folder, hosts, watch, draw)


def _tracked(
    comparison: Comparison, job: Job, store: Desk, folder: RunFolder, hosts: set[str], watch: Watch, draw: Draw | None
) -> None:
    units = job.shard.take(comparison.plan.parts) if job.shard else comparison.plan.parts
    tags = tags_of(comparison, job, notes_of(comparison)) | here(folder.folder)
    config = json.loads(hidden(json.dumps(in_force(comparison, job.config))))
    chosen = {"target": job.target} if job.target else {}  # as it was typed, beside what the file of that name holds
    record = Record(job.experiment, job.name, flat(config) | chosen, tags, job.engine)
    if earlier := Record.read(folder.record):
        record.first = earlier.first or earlier.start
    record.values = {"config.yaml": config, "plan.json": comparison.plan.to_dict()}
    with tracked(store, record, hosts, watch.warn, job.patience) as live:
        if comparison.expected > SHORT:
            _ = live.entry
        redrawn = _trained(comparison, units, job, folder, live, watch)
        table, control = folder.join(), None
        give_back()
        costs = costs_of(comparison.counted, folder.spent())
        folder.keep_costs(costs)
        if comparison.tuning is not None:
            write(comparison.tuning, folder.folder / TUNING)
        if job.config["control"]:
            learnt = [row for unit in units if unit.first == 0 for row in comparison.control(unit.member)]
            if learnt:  # by students of the reference's own family, on each member's first targets
                control = frame(learnt).assign(fingerprint=job.fingerprint)
                folder.keep_control(control)
        record.log({"diverged": float((table["status"] == "diverged").sum()), "redrawn": float(redrawn)}, step=0)
        if job.shard:
            watch.share(job.shard, len(table), job.compare)
        else:
            verdict = judge(study_of(comparison, table, control, folder.curves(), costs, job.own, job.again))
            record.log_series(by_round(verdict))
            record.log({"p_value": verdict.p_value, "blocks": float(verdict.blocks)}, step=0)
            record.tags |= {"archab.verdict": verdict.verdict, "mlflow.note.content": in_markdown([verdict])}
            watch.verdict(verdict, redrawn)
            if draw:
                context = of_configuration(
                    config,
                    heading=job.space,
                    protocol=comparison.protocol_name,
                    curves=folder.curves(),
                    tuning=comparison.tuning,
                    commands=(f"{job.again} seed={comparison.seed}",),
                )
                draw([verdict], [context], folder.pictures)
        folder.finish(record)
        live.deliver(folder.files())
        record.write(folder.record)
    watch.where(job.where(live.entry.experiment_id))


def _trained(
    comparison: Comparison, units: Sequence[Part], job: Job, folder: RunFolder, live: Live, watch: Watch
) -> int:
    """Train what is missing, by as many processes as pay; how many draws of targets were refused.

    A member's metrics are logged once it is finished; those of a short run all at its end.
    """
    kept = folder.kept()
    processes = workers(comparison, len(units) - kept)
    if processes > 1 and (why := why_alone(comparison)):
        watch.warn(f"one process trains, since the networks or routines cannot be sent to others ({why})")
        processes = 1
    if processes > 1:
        watch.say(f"  workers     {processes} processes")
    if kept:
        watch.say(f"  going on from {kept} of {len(units)} finished parts")
    missing = dict.fromkeys(unit for unit in units if not folder.has(unit.name))
    students, still = (sum(map(comparison.students_of, some)) for some in (units, missing))
    last = {unit.member: unit for unit in units}
    rows: list[pd.DataFrame] = []  # of members that are not logged yet
    redrawn = 0
    with (
        watch.progress(students) as advance,
        closing(trained(comparison, list(missing), processes, advance)) as finished,
    ):
        advance(students - still)
        for unit in units:
            if unit in missing:
                one = next(finished)
                table = one.table.assign(fingerprint=job.fingerprint)
                table.attrs["redrawn"] = one.redrawn
                if unit.first == 0:
                    folder.write_curves(unit.name, curve_frame(comparison.seed, unit.member, unit.source, one.curves))
                folder.write_spent(unit.name, spent_frame(one.spent))
                folder.write(unit.name, table)
            else:
                table = folder.read(unit.name)
            redrawn += int(table.attrs["redrawn"])
            rows.append(table[list(JUDGED)])
            if unit == units[-1] or (unit == last[unit.member] and comparison.expected > SHORT):
                design = arrange(pd.concat(rows, ignore_index=True), [comparison.seed])
                for member, figures in at_a_glance(design).items():
                    live.record.log(figures, step=member)
                live.send()
                rows = []
                give_back()
    return redrawn
