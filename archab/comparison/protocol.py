"""Protocols: which students learn targets from which source."""

from dataclasses import dataclass

from archab.results import Side


@dataclass(frozen=True)
class Protocol:
    """A way to compare two sides.

    Attributes:
        lessons: pairs of a source and the sides whose students learn its targets.
        says: the protocol in one sentence.
        equal_sizes: whether the sides' sizes must match at equal index.
        divided: whether the sources share the targets among them, in pairs.
        twins: whether side B is side A again, with initialisations of its own: the platform's own test.
    """

    lessons: tuple[tuple[str, tuple[Side, ...]], ...]
    says: str
    equal_sizes: bool = False
    divided: bool = False
    twins: bool = False

    @property
    def reference(self) -> bool:
        """Whether targets come from a third space."""
        return self.lessons[0][0] == "reference"


PROTOCOLS = {
    "reference": Protocol(
        lessons=(("reference", ("a", "b")),),
        says="both sides learn each target, the same samples in the same order",
    ),
    "crossed": Protocol(
        lessons=(("a", ("a", "b")), ("b", ("a", "b"))),
        says="both sides learn each target, half drawn from A and half from B",
        equal_sizes=True,
        divided=True,
    ),
    "direct": Protocol(
        lessons=(("a", ("b",)), ("b", ("a",))),
        says="each side learns targets drawn from the other",
        equal_sizes=True,
    ),
    "aa": Protocol(
        lessons=(("reference", ("a", "b")),),
        says="A against itself, initialised anew: no difference is there to be found",
        twins=True,
    ),
}
