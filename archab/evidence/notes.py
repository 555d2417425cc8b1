"""Notes: what must be read with a verdict, by kind; some kinds are caveats that belong right under the headline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "null",  # the hypothesis that was tested
    "limit",  # where the test may err
    "direct",
    "diverged",  # most students of a side
    "loss",  # by which students were trained and scored, where it is not the squared error
    "not tuned",
    "tuned",
    "tuned unequally",
    "budget",  # how long students train, and what longer would give
    "still falling",
    "unequal training",
    "linear fit",
    "limited by training",
    "members disagree",
    "faded",
    "floor",
    "unmatched",
    "foreign",  # a table of one's own, whose errors may be none
    "spread",  # where that of differences comes from, and what to buy next
    "targets",  # what they are, where no space draws them
    "design",  # order, gaps and holes of the rows
    "sizes",
    "contrast",  # what the sides are before training
    "scales",
    "hardly differ",
    "own targets",  # of each member, from a prior that changes with it
    "family",
    "store",  # deleted, damaged or unfinished runs
    "said",  # whatever else the caller adds
]

# What is said of a caveat in the line under the headline.
CAVEATS: Mapping[Kind, str] = {
    "foreign": "the column nmse may hold no relative errors",
    "direct": "skill and the targets' difficulty are confounded",
    "diverged": "most students of a side diverged",
    "hardly differ": "the sides hardly differ at the same weights",
    "linear fit": "neither side beats a linear fit",
    "still falling": "training had not ended",
    "unequal training": "unequal training",
    "limited by training": "limited by training",
    "members disagree": "members disagree",
    "faded": "the evidence has faded since",
    "floor": "errors at the floor carry the result",
    "tuned unequally": "tuned unequally",
    "not tuned": "not tuned",
}


@dataclass(frozen=True, slots=True)
class Note:
    """A whole sentence or two, and what kind of note it is.

    Attributes:
        command: what to type about it, such as `routine.epochs=20`; empty where there is nothing.
    """

    kind: Kind
    text: str
    command: str = ""

    @property
    def caveat(self) -> bool:
        """Whether it belongs in a visible line under the headline, as `CAVEATS` says it."""
        return self.kind in CAVEATS


def noted(notes: Iterable[Note | str]) -> tuple[Note, ...]:
    """Notes, of which a plain text is whatever the caller adds."""
    return tuple(note if isinstance(note, Note) else Note("said", note) for note in notes)


def caveats(notes: Sequence[Note]) -> tuple[str, ...]:
    """The caveats among these in a few words each, the gravest first."""
    kinds = {note.kind for note in notes}
    return tuple(short for kind, short in CAVEATS.items() if kind in kinds)


def kept(notes: Sequence[Note]) -> list[list[str]]:
    """Kind and command of each, to be kept beside the texts."""
    return [[note.kind, note.command] for note in notes]


def restored(texts: Sequence[str], beside: Sequence[Sequence[str]] = ()) -> tuple[Note, ...]:
    """Notes from their texts and what `kept` gave; without it, and for a kind that is not known, "said"."""
    if len(beside) != len(texts):
        return noted(texts)
    known = get_args(Kind)
    return tuple(
        Note(kind if kind in known else "said", text, command)  # type: ignore[arg-type]
        for text, (kind, command) in zip(texts, beside, strict=True)
    )
