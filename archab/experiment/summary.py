"""The summary run of an experiment: the verdict over all its seeds, in MLflow beside the runs that it rests on."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from archab.evidence.fields import Verdict
from archab.evidence.series import by_round
from archab.review.markdown import described
from archab.runs.labels import cut
from archab.runs.log import Record
from archab.store.mlflow import Store, Tracker
from archab.store.uri import Address

BY_ROUND = ("log_e", "gmr")


def write(store: Store, experiment: str, verdicts: Sequence[Verdict], asked: str) -> Tracker:
    """Write what was found into a summary run of an experiment, as its description: one for each way to ask.

    Of one verdict the evidence is logged by round, as each run logs its own. The run is written on while its rounds
    go on from those that it has; else it is deleted, and another takes its place.
    """
    tags = {"archab.kind": "verdict", "archab.asked": asked}
    record = Record(experiment, cut(f"verdict {asked}".strip()), {}, tags, "")
    series = _series(verdicts[0]) if len(verdicts) == 1 else {}
    found = store.summaries(experiment, asked)
    kept = [tracker for tracker in found if _continued(tracker, series)][:1]
    for tracker in found:
        if tracker not in kept:
            tracker.delete()
    tracker = kept[0] if kept else store.begin(record)
    text = f"`{asked}`\n\n{described(verdicts)}" if asked else described(verdicts)
    tracker.tag({"archab.verdict": ", ".join(v.verdict for v in verdicts), "mlflow.note.content": text})
    last = max(tracker.history("log_e"), default=-1)
    record.log_series({name: [point for point in own if point[0] > last] for name, own in series.items()})
    if len(verdicts) == 1:
        record.log(_totals(verdicts[0]), step=0)
    tracker.points(record.points)
    tracker.end()
    return tracker


def of_result(address: Address, experiment: str, verdict: Verdict, files: Mapping[str, Callable[[Path], None]]) -> str:
    """A summary run of one verdict that no runs in the store stand behind, with files that are written for it.

    Args:
        address: of the store.
        experiment: of the run.
        verdict: what was found.
        files: by name, what writes each.

    Returns:
        The ID of the run.
    """
    store = Store(address.uri, address.artifacts)
    store.made(experiment)
    tracker = write(store, experiment, [verdict], " against ".join(verdict.names))
    with TemporaryDirectory(prefix="archab-") as folder:
        for name, made in files.items():
            made(file := Path(folder) / name)
            tracker.keep(file, Path(folder))
    return tracker.run_id


def _series(verdict: Verdict) -> dict[str, list[tuple[int, float]]]:
    """By round, and at the last one the ratio over all targets: those that no round holds are in the verdict's, too."""
    series = by_round(verdict)
    if not series:
        return {"gmr": [(0, verdict.gmr)]}
    series["gmr"][-1] = (series["gmr"][-1][0], verdict.gmr)
    return series


def _totals(verdict: Verdict) -> dict[str, float]:
    seeds = float(verdict.data.students["seed"].nunique())
    return {"p_value": verdict.p_value, "blocks": float(verdict.blocks), "seeds": seeds}


def _continued(tracker: Tracker, series: dict[str, list[tuple[int, float]]]) -> bool:
    """Whether the rounds that a run has are the first ones of these."""
    for name in BY_ROUND:
        known, now = tracker.history(name), dict(series.get(name, []))
        shared = known.keys() & now.keys()
        if known and (not shared or max(known) > max(now)):
            return False
        if any(not math.isclose(known[step], now[step], rel_tol=1e-9, abs_tol=1e-12) for step in shared):
            return False
    return True
