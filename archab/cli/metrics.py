"""archab-compare --runs SOURCE: a verdict on a metric of runs that archab did not make."""

import argparse
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archab.errors import ArchabError

if TYPE_CHECKING:
    from archab.metrics.compare import Compared
    from archab.metrics.runs import Step

# Options that go with --runs alone, and those that do not go with it.
OWN = ("sides", "pair", "metric", "lower_is_better", "higher_is_better", "scale", "step", "baseline")
OTHERS = ("watch", "tracking_uri", "hero", "curves", "names")


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of --runs."""
    own = parser.add_argument_group("with --runs (docs/runs.md)")
    own.add_argument(
        "--sides", metavar="COLUMN=A,B", help="a column, parameter or tag, and its values that are compared"
    )
    own.add_argument(
        "--pair", nargs="+", metavar="COLUMN", help="whose values runs of a pair share, such as params.seed"
    )
    own.add_argument("--metric", help="what is compared, such as val_loss")
    own.add_argument("--lower-is-better", action="store_true", help="known from names such as val_loss, mae, ppl")
    own.add_argument("--higher-is-better", action="store_true", help="known from names such as val_acc, f1, reward")
    own.add_argument("--scale", choices=["difference", "log", "logit"], help="how values are compared (difference)")
    own.add_argument("--step", metavar="last|best|N", help="which value of a run counts (last)")
    own.add_argument("--baseline", metavar="A", help="the side that all others are compared with, not all pairs")
    parser.add_argument(
        "--all-sides",
        action="store_true",
        help="of a --space: every two sides of all its configurations (docs/runs.md)",
    )


def check(given: argparse.Namespace) -> None:
    """Raise an ArchabError where options do not go together."""
    if not given.runs:
        if given.all_sides and (not given.space or given.watch or given.hero or given.family != "all"):
            raise ArchabError("--all-sides goes with --space, and without --watch, --hero and --family")
        if used := [name for name in OWN if getattr(given, name) and not (given.all_sides and name == "baseline")]:
            raise ArchabError(f"--{used[0].replace('_', '-')} goes with --runs SOURCE")
        return
    if given.all_sides:
        raise ArchabError("--all-sides goes with --space; with --runs, --sides COLUMN takes every value there is")
    if used := [name for name in OTHERS if getattr(given, name)]:
        raise ArchabError(f"--{used[0].replace('_', '-')} does not go with --runs")
    if given.family != "all":
        raise ArchabError("--family goes with --space; all pairs of --sides are one family")
    if given.floor != 1e-12:
        raise ArchabError("--floor goes with --space and --table: a metric of --runs has no floor")
    for name, example in (("sides", "params.model=new,old"), ("metric", "val_loss")):
        if not getattr(given, name):
            raise ArchabError(f"--runs {given.runs}: --{name} is needed, such as --{name} {example}")
    if given.lower_is_better and given.higher_is_better:
        raise ArchabError("--lower-is-better and --higher-is-better: one of them")
    if given.step and given.step not in ("last", "best") and not given.step.isdigit():
        raise ArchabError(f"--step {given.step}: last, best or the number of a step is needed")


def compared(given: argparse.Namespace) -> "Compared":
    """The verdicts that were asked for."""
    from archab.evidence.rule import Rule
    from archab.metrics.compare import compare_runs
    from archab.metrics.runs import read

    if Path(given.runs).is_file() and not given.runs.startswith("sqlite:"):
        runs = read(Path(given.runs))
    else:
        from archab.store.logged import logged

        runs = logged(given.runs, Path.cwd())
    step: Step = int(given.step) if (given.step or "").isdigit() else given.step or "last"
    lower = True if given.lower_is_better else False if given.higher_is_better else None
    return compare_runs(
        runs,
        sides=given.sides,
        metric=given.metric,
        pair=given.pair or (),
        lower_is_better=lower,
        scale=given.scale or "difference",
        margin=given.margin,
        step=step,
        where=given.where,
        baseline=given.baseline,
        rule=Rule(given.rule, given.alpha, planned=given.planned),
    )


def of_space(given: argparse.Namespace) -> "Compared":
    """The verdicts on every two sides of a space's configurations in the store, which learnt the same targets."""
    from archab.evidence.rule import Rule
    from archab.metrics.compare import judged
    from archab.metrics.configurations import side_by_side
    from archab.store.history import configuration, labels, recorded, selected
    from archab.store.mlflow import Store
    from archab.store.uri import Address

    Address.named(given.tracking_uri, Path.cwd()).check_there()
    store = Store.named(given.tracking_uri, Path.cwd())
    every = recorded(store, given.space)
    found = [one for one in every if selected(one, given.where, every)]
    names = [label.rpartition(".")[2] for label in labels(found)] if len(found) > 1 else [given.space] * len(found)
    studies = [configuration(one, name, store) for one, name in zip(found, names, strict=True)]
    runs = [run for one in found for run in one.runs]
    started = {seed: min(run.start for run in runs if run.seed == seed) for seed in {run.seed for run in runs}}
    holes = {study.label: study.holes for study in studies}
    rule = Rule(given.rule, given.alpha, given.margin or 1.10, given.planned, given.floor)
    return judged(side_by_side(studies, rule.floor, rule.margin, started, holes), rule, given.baseline)


def show(found: "Compared", as_json: bool) -> None:
    """Print the verdicts."""
    if as_json:
        from archab.metrics import ranking

        objects = [verdict.to_dict() for verdict in found.verdicts]
        several: dict[str, Any] = {"verdicts": objects, "baseline": found.baseline or None}
        if len(objects) > 1 and not found.baseline:
            order = [name for name, _ in ranking.ranked(found.rounds)]
            several |= {"order": order, "not_apart": ranking.not_apart(order, found.verdicts)}
        print(json.dumps(objects[0] if len(objects) == 1 else several, allow_nan=False), flush=True)
        return
    from archab.cli.heading import Screen
    from archab.review.metrics import terminal

    terminal.show(Screen(highlight=False), found)


def write(found: "Compared", given: argparse.Namespace) -> Iterator[str]:
    """Write the page, the figure and the words that were asked for, and say each."""
    if not (given.report or given.figures or given.latex):
        return
    from archab.review.metrics import files
    from archab.store.uri import hidden

    command = hidden(f"archab-compare {shlex.join(given.typed)}")
    asked = {name: getattr(given, name) for name in ("report", "figures", "latex", "bare")}
    yield from files.write(found, hidden(given.runs or given.space), command, **asked)
