"""From students to blocks and rounds: which students share a target, what is compared with what, and in which order."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from archab.errors import ArchabError
from archab.evidence.notes import Note
from archab.evidence.statistics import FLOOR, Array
from archab.evidence.table import some, students

Kind = Literal["paired", "crossed", "unpaired"]


@dataclass(frozen=True)
class Design:
    """Blocks and rounds of a comparison.

    Attributes:
        kind: `paired` (a block is a target), `crossed` (a pair of targets, one from either prior), `unpaired` (a
            target with students of one side).
        members: the members' indices, length M.
        students: the checked rows.
        values: shape (blocks, M), in the order seed, draw, member; NaN where a block does not hold a member. The
            difference y_A − y_B, in `unpaired` the score y.
        home: crossed only, same shape: the home advantage h.
        is_a: unpaired only, shape (blocks,): whether the block is one of side a.
        clipped: shape (blocks,): whether a student in it scored at NMSE 1.
        member_rounds: shape (R, M): the differences of every member in the rounds that the anytime rule reads.
        rounds: shape (R,): their means d_1, d_2, … over the members.
        next_seed: the first seed above all that were started.
        holes: the seeds that were started and have not finished, in order.
        floor: smaller errors count as this one.
        notes: what a reader must know of order and gaps.
    """

    kind: Kind
    members: tuple[int, ...]
    students: pd.DataFrame
    values: Array
    home: Array | None
    is_a: np.ndarray | None
    clipped: np.ndarray
    member_rounds: Array
    rounds: Array
    next_seed: int
    holes: tuple[int, ...]
    floor: float
    notes: tuple[Note, ...]

    def sides(self, blocks: np.ndarray) -> list[np.ndarray]:
        """Values of blocks, shape (blocks, …), parted by side; in one where a block has both."""
        return [blocks] if self.is_a is None else [blocks[self.is_a], blocks[~self.is_a]]


def arrange(
    rows: pd.DataFrame, order: Sequence[int] | None = None, holes: Sequence[int] = (), floor: float = FLOOR
) -> Design:
    """Read the design from the rows.

    Args:
        rows: see `archab.evidence.table.students`.
        order: the seeds in the order in which they were first started; else a column `order`, else ascending.
        holes: seeds that were started and have not finished: their rounds and those behind them wait.
        floor: smaller errors count as this one.

    Raises:
        ArchabError: if the rows are refused, some targets have both sides and some have one, draws are ambiguous, a
            crossed target lacks its partner, or `order` lacks a seed.
    """
    table = students(rows, floor)
    _refuse_near_names(table)
    kind = _kind(table)
    ranked = () if "draw" in table else (_SHUFFLED if kind == "unpaired" else _RANKED,)
    unmatched = (_UNMATCHED,) if kind == "unpaired" and "source" not in table else ()
    table = _with_draws(table, kind)
    units = units_of(table)
    cells = {"paired": _paired, "crossed": _crossed, "unpaired": _unpaired}[kind](units)
    members = tuple(int(m) for m in np.unique(cells["member"]))
    block = cells["block"].to_numpy()
    column = np.searchsorted(members, cells["member"])
    values, home = np.full((block.max() + 1, len(members)), np.nan), None
    values[block, column] = cells["value"]
    if kind == "crossed":
        home = np.full(values.shape, np.nan)
        home[block, column] = cells["home"]
    first = np.unique(block, return_index=True)[1]
    seeds, note = _seed_order(table, order, holes)
    member_rounds, gaps = _rounds(cells, kind, len(members), seeds, holes)
    return Design(
        kind=kind,
        members=members,
        students=table,
        values=values,
        home=home,
        is_a=(cells["side"].to_numpy()[first] == "a") if kind == "unpaired" else None,
        clipped=np.bincount(block, cells["clipped"]) > 0,
        member_rounds=member_rounds,
        rounds=member_rounds.mean(axis=1),
        next_seed=max(seeds) + 1,
        holes=tuple(sorted(set(holes))),
        floor=floor,
        notes=(*unmatched, *(Note("design", text) for text in (*note, *ranked, *gaps, *_on_sides(units, kind)))),
    )


_RANKED = (
    "Draws in the order of the targets' names, for want of a column draw: the anytime rule is valid as long as a seed "
    "had all its targets before it was looked at."
)
_SHUFFLED = (
    "Draws in an order that a fixed random number gives to each target's name, for want of a column draw: the anytime "
    "rule is valid as long as a seed had all its targets before it was looked at."
)
_UNMATCHED = Note(
    "unmatched", "No target has both sides by its name: each side is taken to have learnt targets of its own."
)


def _refuse_near_names(table: pd.DataFrame) -> None:
    """Raise an ArchabError where a target of one side alone has a name that the other side writes in another form."""
    one = table[_alone(table)].drop_duplicates(["seed", "member", "name"])
    if one.empty:
        return
    plain = {name: _plain_name(str(name)) for name in one["target"].unique()}
    near = one.assign(plain=one["target"].astype(object).map(plain))
    near = near[near.duplicated(["seed", "member", "plain"], keep=False)]
    for (seed, member, _), same in near.groupby(["seed", "member", "plain"], observed=True):
        if same["side"].nunique() > 1:
            a, b = (repr(str(same.loc[same["side"] == side, "target"].iloc[0])) for side in ("a", "b"))
            raise ArchabError(
                f"target: {a} of side a and {b} of side b (seed {seed}, member {member}) differ in spaces, case or the "
                "form of a number alone: give a target that both sides learnt one name, and others names of their own"
            )


def _plain_name(name: str) -> str:
    """A target's name without what a spreadsheet or a script may have changed in it."""
    text = unicodedata.normalize("NFKC", name).strip().casefold()
    return repr(float(text)) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text) else text


def _alone(table: pd.DataFrame) -> np.ndarray:
    """Which students are of a target that the other side did not learn."""
    is_a = (table["side"] == "a").groupby([table[name] for name in ("seed", "member", "name")])
    return (is_a.transform("all") == is_a.transform("any")).to_numpy()


def _kind(table: pd.DataFrame) -> Kind:
    single = table[_alone(table)]
    if 0 < len(single) < len(table):
        key = ["seed", "member", "name"]
        lacking = [
            f"seed {row.seed} member {row.member} target {row.target} lacks side {'b' if row.side == 'a' else 'a'}"
            for row in single.drop_duplicates(key).sort_values(key).itertuples()
        ]
        raise ArchabError(f"some targets have both sides and some have one; missing: {some(lacking)}")
    sources = set(table["source"].unique()) if "source" in table else {""}
    if not single.empty:
        sides = table.groupby("member")["side"].nunique()
        if (sides < 2).any():
            raise ArchabError(f"member {sides.idxmin()}: students of one side only; both are needed in every member")
        return "unpaired"
    if len(sources) > 1 and sources != {"a", "b"}:
        raise ArchabError(f"source: {', '.join(sorted(sources))} in one table: reference alone, or a and b, is needed")
    return "crossed" if len(sources) > 1 else "paired"


def _with_draws(table: pd.DataFrame, kind: Kind) -> pd.DataFrame:
    """Fill in source and draw where a foreign table has none, and check them.

    Draws are ranks of the targets' names. Where no target has both sides, such ranks would join the k-th names of both,
    which may carry what they scored: there they are ranks of a random number that seed and name give.
    """
    table = table if "source" in table else table.assign(source="reference")
    within = ["seed", "member", "side" if kind == "unpaired" else "source"]
    if "draw" not in table:
        shared = table.groupby(["seed", "target"])["member"].nunique().max() > 1
        # A target that members share needs one rank for all of them.
        key = table["target"].astype(object)
        if kind == "unpaired":
            key = (table["seed"].astype(str) + "/" + key).map(_digest)
        ranked = key.groupby([table[name] for name in within if name != "member" or not shared], observed=True)
        table = table.assign(draw=ranked.transform(lambda names: pd.factorize(names, sort=True)[0]).astype("int64"))
        table = table.sort_values(["seed", "draw", "member", "source", "name", "side", "restart"], ignore_index=True)
    if several := _first_of_several(table, ["seed", "name"], ["draw", "source"]):
        raise ArchabError(f"{several}: more than one draw or source; a target is drawn once")
    if several := _first_of_several(table, [*within, "draw"], ["name"]):
        raise ArchabError(f"{several}: more than one target; a draw is one target")
    if kind == "unpaired" and (several := _first_of_several(table, ["seed", "name"], ["side"])):
        raise ArchabError(f"{several}: sides a and b in different members; students of one side are needed")
    return table


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def units_of(table: pd.DataFrame) -> pd.DataFrame:
    """A row for every target, member and side, in this order: the mean score over its restarts."""
    key = ["seed", "draw", "member", "source", "name", "side"]
    if table["restart"].nunique() == 1:  # which no student shares with another of its side and target
        return table[[*key, "y", "clipped"]].assign(restarts=np.int8(1))
    means = table.groupby(key, as_index=False, observed=True)
    return means.agg(y=("y", "mean"), clipped=("clipped", "max"), restarts=("y", "size"))


def _paired(units: pd.DataFrame) -> pd.DataFrame:
    a, b = units[::2].reset_index(drop=True), units[1::2].reset_index(drop=True)  # of each target one after the other
    cells = a[["seed", "draw", "member", "source", "name"]].assign(
        value=a["y"] - b["y"], clipped=a["clipped"] | b["clipped"]
    )
    return cells.assign(block=_numbered(cells, "seed", "name"))


def _crossed(units: pd.DataFrame) -> pd.DataFrame:
    single = _paired(units)
    key = ["seed", "draw", "member"]
    pairs = single[single["source"] == "a"].merge(
        single[single["source"] == "b"], on=key, how="outer", suffixes=("_a", "_b"), validate="one_to_one"
    )
    alone = pairs[pairs["value_a"].isna() | pairs["value_b"].isna()]
    if not alone.empty:
        lacking = [
            f"seed {seed} member {member} draw {draw} from {'a' if np.isnan(value) else 'b'}'s prior"
            for seed, member, draw, value in alone[["seed", "member", "draw", "value_a"]].itertuples(index=False)
        ]
        raise ArchabError(f"crossed targets come in pairs, one from either prior; missing: {some(lacking)}")
    cells = pairs.sort_values(key, ignore_index=True)
    return cells[key].assign(
        value=(cells["value_a"] + cells["value_b"]) / 2,
        home=(cells["value_b"] - cells["value_a"]) / 2,
        clipped=cells["clipped_a"].astype(bool) | cells["clipped_b"].astype(bool),
        block=_numbered(cells, "block_a", "block_b"),
    )


def _numbered(cells: pd.DataFrame, *key: str) -> pd.Series:
    """A number for every combination of these columns, in the order in which they appear."""
    return cells.groupby(list(key), sort=False).ngroup()


def _unpaired(units: pd.DataFrame) -> pd.DataFrame:
    cells = units.sort_values(["seed", "draw", "member", "side"], ignore_index=True)
    return cells.assign(value=cells["y"], block=_numbered(cells, "seed", "name"))


def _rounds(
    cells: pd.DataFrame, kind: Kind, members: int, seeds: Sequence[int], holes: Sequence[int]
) -> tuple[Array, list[str]]:
    """Differences of the rounds in their order, shape (R, members), and the notes on gaps and holes."""
    if kind == "unpaired":
        k = cells.groupby(["seed", "member", "side"]).cumcount()
        sides = cells.assign(draw=k).pivot(index=["seed", "draw", "member"], columns="side", values="value")
        difference = sides["a"] - sides["b"]
    else:
        difference = cells.set_index(["seed", "draw", "member"])["value"]
    whole = difference.unstack("member").dropna().sort_index(axis=1)
    left = len(difference) - members * len(whole)
    notes = []
    if left:
        notes.append(f"Draws without a partner or a member: {left}. They are in the mean, not in the anytime evidence.")
    position = {seed: i for i, seed in enumerate(seeds)}
    first_hole = min((position[hole] for hole in holes), default=len(seeds))
    seed, draw = (whole.index.get_level_values(name) for name in ("seed", "draw"))
    at = seed.map(position).to_numpy(dtype=int)
    order = np.lexsort((draw, at))
    ready = whole.to_numpy(dtype=float)[order[at[order] < first_hole]]
    if holes:
        shown = some([str(hole) for hole in sorted(set(holes))])
        waiting = len(whole) - len(ready)
        notes.append(f"Started, not finished: seed {shown}. Rounds that wait until it is rerun: {waiting}.")
    return ready, notes


def _seed_order(table: pd.DataFrame, order: Sequence[int] | None, holes: Sequence[int]) -> tuple[list[int], list[str]]:
    present = {int(seed) for seed in table["seed"].unique()}
    caveat = "the anytime rule is valid as long as no seed was put in front after looking."
    if order is not None:
        known, note = [int(seed) for seed in order], []
    elif "order" in table:
        starts = table.groupby("seed")["order"].agg(["min", "nunique"])
        if table["order"].isna().any() or (starts["nunique"] > 1).any():
            raise ArchabError("order: every row of a seed needs the same number, its place in the order of start")
        known = [int(s) for s in starts.reset_index().sort_values(["min", "seed"])["seed"]]
        note = [f"Seeds in the order of the table's own column: {caveat}"]
    else:
        known, note = sorted(present | {int(hole) for hole in holes}), [f"Seeds in ascending order: {caveat}"]
    if absent := sorted((present | {int(hole) for hole in holes}) - set(known)):
        raise ArchabError(f"order: seed {some([str(s) for s in absent])} is missing from the order of first start")
    if len(set(known)) < len(known):
        raise ArchabError(f"order: {known} names a seed twice; each was first started once")
    return known, note


def _first_of_several(table: pd.DataFrame, key: list[str], columns: list[str]) -> str:
    """The first key, in words, at which one of these columns holds several values; empty where none does."""
    found = table[[*key, *columns]].drop_duplicates()
    twice = found[found.duplicated(key)].sort_values(key)
    if twice.empty:
        return ""
    row = table.loc[twice.index[0]]
    return " ".join(f"{name} {row[name]}" for name in (k.replace("name", "target") for k in key))


def _on_sides(units: pd.DataFrame, kind: Kind) -> list[str]:
    notes = []
    restarts = units.groupby("side")["restarts"].agg(["min", "max"])
    if restarts["min"].min() != restarts["max"].max():
        notes.append("The number of restarts differs between students: the sides are then not quite exchangeable.")
    source = units["source"].iloc[0]
    if kind == "paired" and source in ("a", "b"):
        notes.append(f"All targets come from {source.upper()}'s own prior: a home advantage counts as skill here.")
    return notes
