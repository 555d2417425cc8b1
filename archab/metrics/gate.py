"""A gate for loops that propose one change after another: keep, discard or one more seed, with few false keeps.

Each proposal is a one-sided e-process over its rounds: E_n = mean over c of Π (1 + tanh(c z_t)), with z_t the gain of
the new over the old, standardised as in `archab.evidence.e_process`. Where the new is no better (in every round at most
a fair coin given the size of the gain), E_n is a supermartingale that starts at 1. The t-th proposal of a session is
kept once E reaches 1/α_t, by e-LOND (Xu and Ramdas 2024, "Online multiple testing with e-values", arXiv:2311.06412):
α_t = α γ_t (1 + keeps before it), with γ_t = 1/N over a session of N proposals. The expected share of false keeps among
all is then at most α, however proposals depend on each other (they share the old runs) and however often one looks;
where no proposal is an improvement, the probability of any keep in the whole session is at most α.
"""

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from archab.errors import ArchabError
from archab.evidence import e_process as sequential
from archab.evidence.statistics import Array

Decision = Literal["keep", "discard", "more"]
FUTURES, HOPELESS, FEWEST_SEEN = 500, 0.05, 4
_SEED = 20192
_MARK = 0x61726368  # of the file, so that no other database is taken for one: "arch"
_TABLES = """
CREATE TABLE IF NOT EXISTS session (settings TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS proposal (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, level REAL NOT NULL, labels TEXT NOT NULL, gains TEXT NOT NULL,
    decision TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a whole session.

    Attributes:
        metric, direction, scale, pair: what is compared.
        alpha: error rate of the session.
        proposals: how many it may have at most, N.
        seeds: rounds after which a proposal that is not kept is discarded.
    """

    metric: str
    direction: str
    scale: str
    pair: tuple[str, ...]
    alpha: float = 0.05
    proposals: int = 50
    seeds: int = 30

    def __post_init__(self) -> None:
        if not 1e-9 <= self.alpha < 0.5:
            raise ArchabError(f"--alpha {self.alpha:g}: an error rate from 1e-9 to below 0.5 is needed, such as 0.05")
        if self.proposals < 1:
            raise ArchabError(f"--proposals {self.proposals}: at least 1 is needed")
        if self.seeds < (least := fewest(self.alpha / self.proposals)):
            raise ArchabError(
                f"--seeds {self.seeds}: with {self.proposals} proposals at {self.alpha:g} none can be kept before "
                f"{least} seeds"
            )


@dataclass(frozen=True, slots=True)
class Proposal:
    """One change that was proposed.

    Attributes:
        number: its place in the session, from 1.
        name: what it is called.
        level: α_t.
        labels: of the rounds, such as their seeds.
        gains: shape (n,), how much better the new one is in each; infinite where the old one failed, −infinite where
            the new one did.
        decision: as it stands.
    """

    number: int
    name: str
    level: float
    labels: tuple[str, ...]
    gains: tuple[float, ...]
    decision: Decision

    @property
    def log_e(self) -> float:
        """The highest log E so far; 0 before the first round."""
        return max(0.0, float(evidence(self.gains).max(initial=0.0)))

    @property
    def bar(self) -> float:
        """The E at which it is kept."""
        return 1 / self.level


def evidence(gains: Sequence[float] | Array) -> Array:
    """log E of the one-sided mixture after every round, shape (…, n)."""
    return sequential.one_sided(np.asarray(gains, dtype=float))[0]


def fewest(level: float) -> int:
    """Rounds without which no proposal is kept at this level, however clear it is."""
    path = evidence(np.ones(400))
    return int(np.argmax(path >= -math.log(level) - 1e-12)) + 1


def decide(gains: Sequence[float], level: float, seeds: int) -> Decision:
    """Keep once E has reached 1/level; discard after so many rounds, or where keeping by then is not in sight.

    It is not where fewer than a twentieth of 500 futures, drawn from the gains so far, are kept by then; a discard
    costs no error rate, and may be decided by any means.
    """
    d = np.asarray(gains, dtype=float)
    bar = -math.log(level) - 1e-12
    if d.size and evidence(d).max() >= bar:
        return "keep"
    if d.size >= seeds:
        return "discard"
    if d.size < FEWEST_SEEN:
        return "more"
    future = np.random.default_rng(_SEED).choice(d, (FUTURES, seeds - d.size))
    paths = evidence(np.concatenate([np.broadcast_to(d, (FUTURES, d.size)), future], axis=1))
    return "more" if (paths.max(axis=1) >= bar).mean() >= HOPELESS else "discard"


class Session:
    """The proposals so far, in one SQLite file; each call is one transaction, so that a kill leaves all or nothing."""

    def __init__(self, file: Path | None, settings: Settings) -> None:
        """Open or begin it; without a file, a session of a single proposal in memory.

        Raises:
            ArchabError: if the file is none of a session, cannot be written, or was begun with other settings.
        """
        self.file, self.settings = file, settings

    def judged(self, labels: Sequence[str], gains: Sequence[float], name: str = "") -> Proposal:
        """The proposal that these rounds are of, with its decision, which is kept.

        Rounds among which are all of a proposal's are that one; others are a new proposal, and unless it has a name,
        whatever was open is discarded. A decided proposal stays decided.

        Args:
            labels: of the rounds; those that were judged before keep their place, whatever the order of the others.
            gains: how much better the new one is in each.
            name: of the proposal, where it has one: rounds that do not continue its own are then refused.

        Raises:
            ArchabError: if rounds of a named proposal have changed, or no proposal is left.
        """
        rounds = dict(zip(labels, gains, strict=True))
        with self._open() as connection:
            known = list(_proposals(connection))
            found = self._same(known, rounds, name)
            if found is None:
                if len(known) >= self.settings.proposals:
                    raise ArchabError(
                        f"--state {self.file}: all {self.settings.proposals} proposals of this session are used up; "
                        "a new file begins another session, with an error rate of its own"
                    )
                keeps = sum(one.decision == "keep" for one in known)
                level = min(0.5, self.settings.alpha / self.settings.proposals * (1 + keeps))
                number = len(known) + 1
                if not name:
                    connection.execute("UPDATE proposal SET decision = 'discard' WHERE decision = 'more'")
                found = Proposal(number, name or f"proposal {number}", level, (), (), "more")
            if found.decision == "more":
                order = [*found.labels, *(label for label in labels if label not in found.labels)][
                    : self.settings.seeds
                ]
                gains = [rounds[label] for label in order]
                decision = decide(gains, found.level, self.settings.seeds)
                found = replace(found, labels=tuple(order), gains=tuple(gains), decision=decision)
            row = (
                found.number,
                found.name,
                found.level,
                json.dumps(found.labels),
                json.dumps(found.gains),
                found.decision,
            )
            connection.execute("INSERT OR REPLACE INTO proposal VALUES (?, ?, ?, ?, ?, ?)", row)
        return found

    def _same(self, known: list[Proposal], rounds: Mapping[str, float], name: str) -> Proposal | None:
        for one in reversed(known):
            same = all(rounds.get(label) == gain for label, gain in zip(one.labels, one.gains, strict=True))
            if name and one.name == name and not same:
                raise ArchabError(
                    f"--proposal {name}: its first {len(one.labels)} rounds are not those that were judged before "
                    f"({', '.join(one.labels[:5])}…); a run that was made anew is no new evidence. Another name begins "
                    "another proposal"
                )
            if same and (not name or one.name == name):
                return one
        return None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        shown = f"--state {self.file}"
        try:
            with closing(sqlite3.connect(self.file or ":memory:", timeout=30, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    self._begun(connection)
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise ArchabError(f"{shown}: cannot be read or written as the state of a session ({error})") from error

    def _begun(self, connection: sqlite3.Connection) -> None:
        [mark], tables = (
            connection.execute("PRAGMA application_id").fetchone(),
            connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall(),
        )
        if mark != _MARK and tables:
            raise ArchabError(
                f"--state {self.file}: a database of something else ({tables[0][0]}, …); nothing was written"
            )
        connection.execute(f"PRAGMA application_id = {_MARK}")
        for statement in filter(str.strip, _TABLES.split(";")):
            connection.execute(statement)
        mine = {name: getattr(self.settings, name) for name in Settings.__slots__}
        row = connection.execute("SELECT settings FROM session").fetchone()
        if row is None:
            connection.execute("INSERT INTO session VALUES (?)", (json.dumps(mine),))
            return
        theirs = json.loads(row[0])
        for name, value in json.loads(json.dumps(mine)).items():
            if theirs.get(name) != value:
                raise ArchabError(
                    f"--state {self.file}: this session was begun with {name} = {theirs.get(name)}, not {value}; it "
                    "holds for all of its proposals. A new file begins another"
                )


def _proposals(connection: sqlite3.Connection) -> Iterator[Proposal]:
    for number, name, level, labels, gains, decision in connection.execute("SELECT * FROM proposal ORDER BY number"):
        yield Proposal(number, name, level, tuple(json.loads(labels)), tuple(json.loads(gains)), decision)
