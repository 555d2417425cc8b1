"""Runs of any MLflow experiment as a table, whoever logged them: parameters, tags and metrics with their steps."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.entities import ViewType

from archab.errors import ArchabError
from archab.metrics.runs import Runs, Step
from archab.store.mlflow import Store

PAGE = 1000


def logged(source: str, folder: Path) -> Runs:
    """The runs of `URI#EXPERIMENT` that are not deleted; `#EXPERIMENT` may be left out where one alone has runs.

    Args:
        source: an SQLite or other database, a server, or a folder of runs, such as `sqlite:///mlflow.db#gates`.
        folder: what a relative path starts from.

    Raises:
        ArchabError: if there is no such store or experiment, no run in it, or more than one experiment to choose from.
    """
    uri, _, experiment = source.partition("#")
    if "://" not in uri and not (folder / uri).is_dir():
        raise ArchabError(
            f"--runs {source}: no such file, folder or store. A store is named as sqlite:///mlflow.db#NAME"
        )
    store = Store.named(uri if "://" in uri else str((folder / uri).resolve()), folder)
    store.check_there()
    identity = _experiment(store, source, experiment)
    rows = [_row(run) for run in _pages(store, identity)]
    if not rows:
        raise ArchabError(f"--runs {source}: no runs in it")
    client = store.client()

    def at(run: str, metric: str, step: Step, lower: bool) -> float:
        history = [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run, metric)]
        if isinstance(step, int):
            found = [value for at, _, value in sorted(history) if at == step]
            return found[-1] if found else float("nan")
        values = [value for _, _, value in history if np.isfinite(value)]
        return (min(values) if lower else max(values)) if values else float("nan")

    return Runs(pd.DataFrame(rows), source, at)


def _experiment(store: Store, source: str, name: str) -> str:
    client = store.client()
    there = [e for e in client.search_experiments() if not name or e.name == name]
    if name and not there:
        names = ", ".join(e.name for e in client.search_experiments() if e.name != "Default")
        raise ArchabError(f"--runs {source}: no such experiment in {store.shown}. There are: {names or 'none'}")
    filled = [e for e in there if name or client.search_runs([e.experiment_id], max_results=1)]
    if len(filled) > 1:
        names = ", ".join(sorted(e.name for e in filled))
        raise ArchabError(f"--runs {source}: which experiment, as {source}#NAME? There are: {names}")
    if not filled:
        raise ArchabError(f"--runs {source}: no runs in it")
    return str(filled[0].experiment_id)


def _pages(store: Store, identity: str) -> Iterator[Any]:
    order, token = ["attributes.start_time ASC"], None
    while True:
        page = store.client().search_runs([identity], "", ViewType.ACTIVE_ONLY, PAGE, order, token)
        yield from page
        if not (token := page.token):
            return


def _row(run: Any) -> dict[str, Any]:
    info, data = run.info, run.data
    return {
        "attributes.run_id": info.run_id,
        "attributes.run_name": info.run_name,
        "attributes.status": info.status,
        "attributes.start_time": info.start_time,
        **{f"params.{name}": value for name, value in data.params.items()},
        **{f"tags.{name}": value for name, value in data.tags.items()},
        # As text where it is none: a value that was lost, not one that was never logged.
        **{f"metrics.{name}": "NaN" if math.isnan(value) else value for name, value in data.metrics.items()},
    }
