"""archab gate: keep, discard or one more seed, for a loop that proposes one change after another."""

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archab.cli import signals
from archab.errors import ArchabError

if TYPE_CHECKING:
    from archab.metrics.contrast import Contrast
    from archab.metrics.gate import Proposal
    from archab.metrics.metric import Metric
    from archab.metrics.rounds import Rounds

KEEP, DISCARD, MISTAKE, MORE = 0, 1, 2, 3
EXIT = {"keep": KEEP, "discard": DISCARD, "more": MORE}
ABOUT = """Is the new one better than the old one? Exit 0: keep, 1: discard, 3: run one more seed of both, 2: a mistake.

Over a session of proposals (--state FILE) the error is controlled: where none of them is an improvement, the
probability that any is kept is at most --alpha, however often one looks (e-LOND; docs/runs.md)."""


def main(arguments: Sequence[str]) -> int:
    """Run the command line. Whatever goes wrong exits 2, so that it is never taken for a discard."""
    given = _parser().parse_args(arguments)
    try:
        with signals.handled():
            return _judged(given)
    except ArchabError as error:
        print(f"archab gate: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return signals.INTERRUPTED
    except Exception:
        traceback.print_exc()
    return MISTAKE


def _judged(given: argparse.Namespace) -> int:
    import pandas as pd

    from archab.metrics.contrast import contrast
    from archab.metrics.gate import Proposal, Session, Settings
    from archab.metrics.metric import Metric, directed
    from archab.metrics.rounds import arrange
    from archab.metrics.runs import Runs, read

    tables = {side: read(Path(getattr(given, side))).table for side in ("new", "old")}
    both = pd.concat([table.assign(**{SIDE: side}) for side, table in tables.items()], ignore_index=True)
    runs = Runs(both, f"{given.new} and {given.old}")
    column = runs.column(given.metric, "metric")
    if given.lower_is_better and given.higher_is_better:
        raise ArchabError("--lower-is-better and --higher-is-better: one of them")
    asked = True if given.lower_is_better else False if given.higher_is_better else None
    metric = Metric(given.metric, directed(given.metric, asked), given.scale)
    pair = _pair(given.pair, tables)
    rounds = arrange(runs, metric, f"{SIDE}=new,old", pair, shown=column, fewest=0, as_listed=True)
    found = contrast(rounds, 0, 1)
    notes = [*rounds.notes, *_alone(rounds)]
    proposals = given.proposals if given.proposals is not None else 50 if given.state else 1
    settings = Settings(metric.name, metric.better, metric.scale, tuple(pair), given.alpha, proposals, given.seeds)
    labels = [rounds.labels[i] for i in found.at]
    gains = (-found.differences + 0.0).tolist()  # the new one is A, and lower scores are better
    if labels:
        session = Session(Path(given.state) if given.state else None, settings)
        proposal = session.judged(labels, gains, given.proposal or "")
    else:
        proposal = Proposal(0, given.proposal or "no proposal yet", settings.alpha / proposals, (), (), "more")
    _show(given.json, proposal, metric, found, notes, settings.seeds)
    return EXIT[proposal.decision]


SIDE = "archab.side"


def _pair(asked: Sequence[str] | None, tables: dict[str, Any]) -> list[str]:
    """The columns that pair runs: those asked for, else `seed` where both files have it."""
    if asked:
        return list(asked)
    return ["seed"] if all("seed" in table for table in tables.values()) else []


def _alone(rounds: "Rounds") -> list[str]:
    """What is said of runs that the other side has none of, or none yet."""
    from archab.evidence.table import some

    met = rounds.scores == rounds.scores
    alone = [[rounds.labels[i] for i in (met[:, side] & ~met[:, 1 - side]).nonzero()[0]] for side in (0, 1)]
    notes = [f"Of new alone: {some(alone[0])}: run the old one there, too."] if alone[0] and rounds.paired else []
    return notes + ([f"Not ended: {int(rounds.waiting.sum())}."] if rounds.waiting.any() else [])


def _show(
    as_json: bool, proposal: "Proposal", metric: "Metric", found: "Contrast", notes: list[str], seeds: int
) -> None:
    from archab.evidence import words

    e = words.evidence(proposal.log_e, proposal.bar)
    verb = {"keep": "keep", "discard": "discard", "more": "one more seed"}[proposal.decision]
    theta = found.theta
    told = f"{'new' if theta < 0 else 'old'} by {metric.amount(theta)}" if theta else "equal"
    told = "nothing to compare yet" if theta != theta else told
    if as_json:
        values = {
            "decision": proposal.decision,
            "proposal": proposal.number,
            "name": proposal.name,
            "rounds": len(proposal.gains),
            "seeds": seeds,
            "log_e": proposal.log_e,
            "bar": proposal.bar,
            "level": proposal.level,
            "difference": None if theta != theta else (theta if metric.lower else -theta),
            "failed": list(found.failed),
            "notes": notes,
        }
        print(json.dumps(values, allow_nan=False))
        return
    print(
        f"{verb}: {proposal.name}, {words.counted(len(proposal.gains), 'round')} of at most {seeds}: E = {e} "
        f"({proposal.bar:,.0f} keeps it); {metric.name}: {told} ({metric.better} is better)"
    )
    for note in notes:
        print(f"  {note}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="archab gate", description=ABOUT, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--new", required=True, metavar="FILE", help="runs of the proposal: .jsonl, .csv, .parquet")
    parser.add_argument("--old", required=True, metavar="FILE", help="runs of what it would replace")
    parser.add_argument("--metric", required=True, help="a column of both, such as val_bpb")
    parser.add_argument("--lower-is-better", action="store_true", help="known from names such as val_bpb and loss")
    parser.add_argument("--higher-is-better", action="store_true", help="known from names such as val_acc and f1")
    parser.add_argument("--scale", choices=["difference", "log", "logit"], default="difference")
    parser.add_argument(
        "--pair", nargs="+", metavar="COLUMN", help="what runs of a pair share (seed, where it is there)"
    )
    parser.add_argument("--state", metavar="FILE", help="the session: one file, made by the first proposal")
    parser.add_argument("--proposal", metavar="NAME", help="what is proposed; else told by its runs")
    parser.add_argument("--proposals", type=int, metavar="N", help="of the session at most (50; without --state 1)")
    parser.add_argument("--seeds", type=int, default=30, metavar="N", help="rounds of a proposal at most (30)")
    parser.add_argument("--alpha", type=float, default=0.05, help="error rate of the session (0.05)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
