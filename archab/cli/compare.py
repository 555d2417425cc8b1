"""From finished runs, any table of rows, or runs of one's own to a verdict: archab-compare --space NAME."""

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archab import __version__
from archab.cli import metrics, signals
from archab.errors import ArchabError, first_line
from archab.store.uri import TRAINING, Address, of_store, told

if TYPE_CHECKING:
    from archab.evidence.fields import Verdict
    from archab.evidence.study import Study
    from archab.review.context import Context
    from archab.review.functions import Functions
    from archab.store.history import Recorded
    from archab.store.mlflow import Store, Tracker

UNDECIDED = 3  # or what else --fail-on names
WATCH_EVERY = 2.0
DEFAULTS = {"family": "all", "rule": None, "alpha": 0.05, "margin": 1.10, "planned": None, "floor": 1e-12}


@dataclass(frozen=True)
class Asked:
    """Which configurations are shown, out of how many, and the rows of those that are judged together.

    Attributes:
        judged: the rows.
        shown: the labels of those that are shown.
        of: how many there are.
        contexts: looks up what else is known of those that are shown, in their order.
        functions: draws targets and students of the first one that is shown, as curves, where that can be.
    """

    judged: "list[Study]"
    shown: list[str]
    of: int
    contexts: "Callable[[], list[Context]]"
    functions: "Callable[[Verdict], Functions | None]"


@dataclass(frozen=True)
class Judged:
    """Verdicts, and what looks up what else is known of them; see `Asked`."""

    verdicts: "list[Verdict]"
    contexts: "Callable[[], list[Context]]"
    functions: "Callable[[Verdict], Functions | None]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0, 2 on a mistake, 3 where `--fail-on undecided` applies."""
    given = _parser().parse_args(arguments)
    try:
        _check(given)
        metrics.check(given)
        given.typed = list(sys.argv[1:] if arguments is None else arguments)
        if given.runs or given.all_sides:
            return _of_runs(given)
        given.margin = DEFAULTS["margin"] if given.margin is None else given.margin
        rule = {name: getattr(given, name) for name in DEFAULTS if name != "family"}
        with signals.handled():
            for found in _seen(given, rule):
                _show(found.verdicts, given.json)
                _write(found, given)
        return _ended(given, [verdict.verdict for verdict in found.verdicts])
    except ArchabError as error:
        print(f"archab-compare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        signals.unread()
    except Exception as error:
        if not of_store(error):
            raise
        print(f"archab-compare: the store or the disk failed ({told(error)})", file=sys.stderr)
        return 2


def _of_runs(given: argparse.Namespace) -> int:
    """The verdicts on runs that archab did not make, or on every two sides of configurations."""
    with signals.handled():
        found = metrics.of_space(given) if given.all_sides else metrics.compared(given)
        metrics.show(found, given.json)
        for line in metrics.write(found, given):
            print(line, file=sys.stderr)
    return _ended(given, [verdict.verdict for verdict in found.verdicts])


def _ended(given: argparse.Namespace, verdicts: Sequence[str]) -> int:
    return UNDECIDED if set(given.fail_on) & set(verdicts) else 0


def _check(given: argparse.Namespace) -> None:
    """Raise an ArchabError where an option could not be heeded; make the folder of the figures."""
    if given.table and (given.where or given.watch or given.tracking_uri or given.family != "all"):
        raise ArchabError("--table needs no store: --where, --watch, --family and --tracking-uri go with --space")
    if given.bare and not given.figures:
        raise ArchabError("--bare goes with --figures DIR")
    if given.names and not given.table:
        raise ArchabError("--names goes with --table; the runs of a space bring their own")
    if given.curves and not given.table:
        raise ArchabError("--curves goes with --table; the runs of a space bring their own")
    for option, name in (("report", given.report), ("hero", given.hero), ("latex", given.latex)):
        if name is not None and (Path(name).is_dir() or not os.access(Path(name).parent, os.W_OK)):
            raise ArchabError(f"--{option} {name}: cannot be written there; the name of a file in a folder is needed")
    if given.report is not None and not given.report.endswith((".html", ".htm")):
        raise ArchabError(f"--report {given.report}: a name that ends in .html is needed")
    if given.hero is not None and not given.hero.endswith((".png", ".svg", ".pdf")):
        raise ArchabError(f"--hero {given.hero}: a name that ends in .png, .svg or .pdf is needed")
    if given.latex is not None and not given.latex.endswith(".tex"):
        raise ArchabError(f"--latex {given.latex}: a name that ends in .tex is needed")
    if given.figures is not None:
        try:
            Path(given.figures).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArchabError(f"--figures {given.figures}: cannot be written ({error.strerror})") from error


def _seen(given: argparse.Namespace, rule: dict[str, Any]) -> Iterator[Judged]:
    """The verdicts, once, or with --watch anew whenever a seed has finished."""
    if given.table:
        yield _judged(_from_table(given), rule)
        return
    Address.named(given.tracking_uri, Path.cwd()).check_there()
    from archab.store.mlflow import Store

    store = Store.named(given.tracking_uri, Path.cwd())
    seen = None
    while True:
        found = _found(store, given.space)
        state = [(one.fingerprint, len(one.runs), one.holes) for one in found]
        if state != seen:
            judged = _judged(_asked(found, given, store), rule)
            summary = _summarised(store, given, judged.verdicts)
            yield judged
            if summary is not None and _illustrated(summary, judged, store) and not given.json:
                _review(store, summary)
        if not given.watch:
            return
        seen = state
        time.sleep(WATCH_EVERY)


def verdict_of(uri: str, experiment: str, fingerprint: str, rule: dict[str, Any]) -> "Verdict":
    """The verdict on one configuration, over every seed of it in the store, as one of all configurations there."""
    from archab.evidence.family import judge_family
    from archab.store.history import configuration
    from archab.store.mlflow import Store

    store = Store.named(uri, Path.cwd())
    found = _found(store, experiment)
    verdicts = judge_family([configuration(one, one.fingerprint, store) for one in found], **rule)
    [verdict] = [verdict for verdict in verdicts if verdict.label == fingerprint]
    return verdict


def _found(store: "Store", space: str) -> "list[Recorded]":
    from archab.store.history import recorded

    return recorded(store, space)


def _asked(found: "list[Recorded]", given: argparse.Namespace, store: "Store") -> Asked:
    from archab.store.history import configuration, labels, selected

    names = labels(found) if len(found) > 1 else [given.space]
    chosen = [name for name, one in zip(names, found, strict=True) if selected(one, given.where, found)]
    if not chosen:
        raise ArchabError(f"--where {' '.join(given.where)}: none of {len(found)} configurations has these values")
    if given.hero and len(chosen) > 1:
        raise ArchabError(f"--hero draws one configuration of {len(chosen)}: choose it by --where KEY=VALUE")
    judged = [
        configuration(one, name, store)
        for name, one in zip(names, found, strict=True)
        if given.family == "all" or name in chosen
    ]

    def contexts() -> "list[Context]":
        from archab.experiment.context import of_runs

        shown = [(name, one) for name, one in zip(names, found, strict=True) if name in chosen]
        curves = {study.label: study.curves for study in judged}
        return [of_runs(one, curves[name], store, given.space, given.typed) for name, one in shown]

    def functions(verdict: "Verdict") -> "Functions | None":
        from archab.experiment.example import functions_of

        [one] = [one for name, one in zip(names, found, strict=True) if name == verdict.label]
        return functions_of(one, verdict, store)

    return Asked(judged, chosen, len(found), cache(contexts), functions)


def _judged(asked: Asked, rule: dict[str, Any]) -> Judged:
    from archab.evidence.family import judge_family

    verdicts = judge_family(asked.judged, **rule, family_size=asked.of)
    return Judged([verdict for verdict in verdicts if verdict.label in asked.shown], asked.contexts, asked.functions)


def _from_table(given: argparse.Namespace) -> Asked:
    """A table of rows without a store; what it may hold is checked by the evidence."""
    import pandas as pd

    from archab.evidence.study import Study
    from archab.results import read_curves

    file = Path(given.table)
    try:
        rows = pd.read_parquet(file) if file.suffix in (".parquet", ".pq") else pd.read_csv(file, dtype={"target": str})
    except Exception as error:  # pandas and pyarrow raise many kinds
        raise ArchabError(f"--table {file}: cannot be read as CSV or Parquet ({first_line(error)})") from error

    def contexts() -> "list[Context]":
        from archab.experiment.context import of_table

        return [of_table(file, judged.curves, given.typed)]

    judged = Study.of(rows).with_(
        label=str(file),
        names=tuple(given.names) if given.names else None,
        curves=read_curves(Path(given.curves)) if given.curves else None,
    )
    return Asked([judged], [str(file)], 1, contexts, lambda verdict: None)


def _narrowed(given: argparse.Namespace) -> str:
    """The options by which this look differs from the usual one, as typed; empty where it is that."""
    words = [word for condition in sorted(given.where) for word in ("--where", condition)]
    for name in DEFAULTS:
        if (value := getattr(given, name)) != DEFAULTS[name]:
            words += [f"--{name}", f"{value}"]
    return shlex.join(words)


def _summarised(store: "Store", given: argparse.Namespace, verdicts: "list[Verdict]") -> "Tracker | None":
    """The summary run in the store; a store that cannot be written keeps nobody from the verdict."""
    from archab.experiment import summary

    written = None
    with _minding(f"the verdict is not kept in {store.shown}"):
        written = summary.write(store, given.space, verdicts, _narrowed(given))
    return written


def _illustrated(summary: "Tracker", found: Judged, store: "Store") -> bool:
    """Keep the report and the figures in the summary run; whether they are there."""
    from archab.review.files import drawn

    kept = False
    with tempfile.TemporaryDirectory(prefix="archab-") as folder:
        files = drawn(found.verdicts, found.contexts(), Path(folder))
        with _minding(f"report and figures are not kept in {store.shown}"):
            for file in files:
                summary.keep(file, Path(folder))
            kept = True
    return kept


@contextmanager
def _minding(what: str) -> Iterator[None]:
    """Say so, and go on, where the store cannot be written."""
    try:
        yield
    except Exception as error:
        if not of_store(error):
            raise
        print(f"archab-compare: {what} ({told(error)})", file=sys.stderr)


def _review(store: "Store", summary: "Tracker") -> None:
    """Where report and figures are to be seen."""
    page = store.link(summary.experiment_id, f"runs/{summary.run_id}/artifacts/report.html?{TRAINING}")
    lines = {"review": store.review, "": page}
    print(*(f"  {name:<8}{text}" for name, text in lines.items() if text), sep="\n", flush=True)


def _show(verdicts: "list[Verdict]", as_json: bool) -> None:
    if as_json:
        objects = [{**({"label": v.label} if len(verdicts) > 1 else {}), **v.to_dict()} for v in verdicts]
        print(json.dumps(objects[0] if len(verdicts) == 1 else {"verdicts": objects}, allow_nan=False), flush=True)
        return
    from archab.cli.heading import Screen
    from archab.review import terminal

    out = Screen(highlight=False)
    if len(verdicts) > 1:
        out.print(terminal.family(verdicts, terminal.glyphs(out)))
        out.print()
    for verdict in verdicts:
        terminal.show(out, verdict)


def _write(found: Judged, given: argparse.Namespace) -> None:
    """The page and the pictures that were asked for."""
    if given.figures or given.report or given.hero or given.latex:
        from archab.review import files

        asked = {name: getattr(given, name) for name in ("report", "figures", "hero", "latex", "bare")}
        for line in files.write(found.verdicts, found.contexts(), found.functions, **asked):
            print(line, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="archab-compare", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"archab {__version__}")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--space", help="the experiment in the store, named after its space")
    source.add_argument("--table", metavar="FILE", help="rows in a CSV or Parquet file, without a store")
    source.add_argument(
        "--runs", metavar="SOURCE", help="any runs: a CSV, Parquet or JSONL file, or URI#EXPERIMENT of MLflow"
    )
    parser.add_argument("--names", nargs=2, metavar=("A", "B"), help="what the sides of a --table are called")
    parser.add_argument("--tracking-uri", help="the MLflow store (default MLFLOW_TRACKING_URI, else ./mlflow.db)")
    parser.add_argument("--where", action="append", default=[], metavar="KEY=VALUE", help="only these configurations")
    parser.add_argument("--family", choices=["all", "shown"], help="what the correction counts")
    parser.add_argument("--rule", choices=["anytime", "fixed", "hybrid"])
    parser.add_argument("--planned", type=int, metavar="N", help="the hybrid's maximum number of rounds")
    parser.add_argument("--alpha", type=float, help="error rate (default 0.05)")
    parser.add_argument(
        "--margin",
        type=float,
        help="ratio of errors that matters (default 1.10); with --runs a difference of the metric",
    )
    parser.add_argument("--floor", type=float, help="smaller errors count as this one (default 1e-12)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--figures", metavar="DIR", help="write the figures there, as SVG, PDF and PNG, light and dark")
    parser.add_argument("--bare", action="store_true", help="with --figures: without title and caption, for a paper")
    parser.add_argument("--report", metavar="FILE", help="write one self-contained HTML page: verdict, figures, limits")
    parser.add_argument(
        "--hero", metavar="FILE", help="draw the whole experiment: a .png, .svg or .pdf, light and dark"
    )
    parser.add_argument("--latex", metavar="FILE", help="write a table, a methods paragraph and references, as LaTeX")
    parser.add_argument("--curves", metavar="FILE", help="training curves of a --table (docs/reading.md)")
    parser.add_argument(
        "--fail-on", nargs="+", default=[], choices=["a_better", "b_better", "equivalent", "undecided"],
        help="exit 3 where a verdict is one of these",
    )  # fmt: skip
    parser.add_argument("--watch", action="store_true", help="print the verdict anew as seeds finish")
    metrics.options(parser)
    parser.set_defaults(**(DEFAULTS | {"margin": None}))
    return parser


if __name__ == "__main__":
    sys.exit(main())
