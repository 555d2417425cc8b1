"""A run that is asked for: its configuration, where it belongs, and what hears of it while it goes on."""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from archab.errors import ArchabError
from archab.runs.folder import RunFolder
from archab.runs.identity import fingerprint
from archab.runs.labels import run_name
from archab.runs.shard import Shard
from archab.store.uri import Address, hidden

if TYPE_CHECKING:  # for the types alone: torch and scipy, which the answer to a mistake must not wait for
    from archab.comparison.comparison import Comparison
    from archab.evidence.fields import Verdict


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes:
        config: the resolved configuration.
        space: the chosen option of the group `space`.
        overrides: what was typed, without the seed, and with the user's own configuration folder first.
        folder: where the command was started: the store and the run's own folder are named from there.
        own: the sides that have a routine of their own.
        matched: a line on each side whose members were matched in size.
        target: the chosen option of the group `target`; empty where none was.
    """

    config: dict[str, Any]
    space: str
    overrides: Sequence[str]
    folder: Path
    own: Sequence[str] = ()
    matched: Sequence[str] = ()
    target: str = ""

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
    def address(self) -> Address:
        """The store that it is logged to."""
        return Address.named(self.config["tracking"]["uri"], self.folder)

    @cached_property
    def fingerprint(self) -> str:
        """What makes it the same experiment as another run."""
        return fingerprint(self.config)

    @property
    def run_folder(self) -> RunFolder:
        """Where its rows are kept on disk."""
        return RunFolder(self.folder / self.config["spool"], self.fingerprint, self.config["seed"], self.shard)

    def check(self) -> None:
        """Raise an ArchabError if its share, its folder or its store cannot be used."""
        _ = self.shard, self.patience
        if not self.config["spool"].strip():
            raise ArchabError("spool=: the name of a folder is needed, such as spool=.archab")
        self.address.check()

    def where(self, experiment_id: str) -> dict[str, str]:
        """The lines of `Watch.where`; without an experiment, in which the store has it, the page is of none."""
        return {
            "rows": str(self.run_folder.results),
            "seeds": self.compare,
            "review": self.address.review,
            "": self.address.link(experiment_id),
        }


class Watch(Protocol):
    """What hears of a run while it goes on, such as a terminal: an argument of `archab.experiment.run.run`.

    Example:
        Only the verdict and how to look at it, and a count of the students:

        >>> from contextlib import contextmanager
        >>> class Brief:
        ...     students = 0.0
        ...     def say(self, line): ...
        ...     def warn(self, line): ...
        ...     def opening(self, comparison, space, question): ...
        ...     def planned(self, comparison, seconds): ...
        ...     def share(self, shard, students, compare): ...
        ...     def verdict(self, found, redrawn):
        ...         print(found.sentence())
        ...     def where(self, lines):
        ...         print(lines["seeds"])
        ...     @contextmanager
        ...     def progress(self, students):
        ...         def advance(trained):
        ...             self.students += trained
        ...         yield advance
        >>> watch: Watch = Brief()
        >>> with watch.progress(100) as advance:
        ...     advance(40)
        ...     advance(60)
        >>> watch.students
        100.0
        >>> watch.where({"rows": "results.parquet", "seeds": "archab-compare --space n_diagonal"})
        archab-compare --space n_diagonal
    """

    def say(self, line: str) -> None:
        """A line about the run."""

    def warn(self, line: str) -> None:
        """A line that is worth a warning."""

    def opening(self, comparison: "Comparison", space: str, question: str) -> None:
        """What is about to be done, before anything is trained."""

    def planned(self, comparison: "Comparison", seconds: float) -> None:
        """How students train, and about how long it takes."""

    def progress(self, students: float) -> AbstractContextManager[Callable[[float], None]]:
        """What to call with the number of students trained since the last call."""

    def verdict(self, found: "Verdict", redrawn: int) -> None:
        """The verdict of the run alone; how many draws of targets were refused."""

    def share(self, shard: Shard, students: int, compare: str) -> None:
        """The end of a shard, whose rows alone are no verdict."""

    def where(self, lines: Mapping[str, str]) -> None:
        """Where the run can be looked at, and what to type for the verdict over all seeds."""
