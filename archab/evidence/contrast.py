"""Whether the contrast acts: how far apart both sides' functions are before training, against what students err by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from archab.evidence.fields import Member
from archab.evidence.notes import Note
from archab.evidence.words import called, errors, factor, listed

NAN = math.nan
FAR_BELOW = 0.1  # of the better side's typical error
UNLIKE = 3.0  # times the other side's scale


@dataclass(frozen=True, slots=True)
class Contrast:
    """What the networks of a member tell before training; NaN where that is not known.

    Attributes:
        nmse: of one side's function for the other's at the same weights, drawn from either prior: median over draws.
        scale_a, scale_b: root mean variance of a side's outputs, over inputs and draws of its prior.
    """

    nmse: float = NAN
    scale_a: float = NAN
    scale_b: float = NAN

    @property
    def unlike(self) -> float:
        """How many times the scale of one side is that of the other; 1 where one of them is 0 or not known."""
        low, high = sorted((self.scale_a, self.scale_b))
        return high / low if low > 0 and high < math.inf else 1.0


def facts(found: Sequence[Contrast], names: tuple[str, str]) -> list[str]:
    """What is known of these members, a sentence each."""
    a, b = names
    said = []
    if apart := [one.nmse for one in found if math.isfinite(one.nmse)]:
        differ = f"differ by an NMSE of {errors(apart)}" if max(apart) > 0 else "are the same function"
        said.append(f"With the same weights, drawn from the priors, {a} and {b} {differ}.")
    if known := [one for one in found if math.isfinite(one.scale_a + one.scale_b)]:
        scales = errors([one.scale_a for one in known]), errors([one.scale_b for one in known])
        said.append(f"At initialisation outputs have the scale {scales[0]} ({a}) and {scales[1]} ({b}).")
    return said


def unlike(found: Sequence[Contrast], names: tuple[str, str], member_names: Sequence[str]) -> list[str]:
    """A warning where the outputs of a member's sides begin at another scale: of the one where they differ most."""
    i, most = max(enumerate(found), key=lambda pair: pair[1].unlike, default=(0, Contrast()))
    if most.unlike < UNLIKE:
        return []
    a_wider = most.scale_a > most.scale_b
    wide, narrow = names if a_wider else names[::-1]
    return [
        f"at initialisation outputs of {wide} have {factor(most.unlike)} times the scale of those of {narrow} "
        f"({called(i, member_names)}), which may decide in the place of the architecture: "
        f"prior@space.{'b' if a_wider else 'a'}.prior=matched brings {narrow} to the scale of {wide}"
    ]


def notes(
    found: Sequence[Contrast], members: Sequence[Member], names: tuple[str, str], member_names: Sequence[str]
) -> list[Note]:
    """What a verdict says of it: the facts, and at which members students err by far more than both sides differ."""
    said = [Note("contrast", " ".join(facts(found, names)))] if facts(found, names) else []
    said += [Note("scales", f"{text[0].upper()}{text[1:]}.") for text in unlike(found, names, member_names)]
    better = {m.member: min(m.a.typical, m.b.typical) for m in members if m.member < len(found)}
    # Of sides that are one function, priors or routines are compared.
    held = [i for i, error in better.items() if 0 < found[i].nmse < FAR_BELOW * error]
    if held:
        where = "" if len(held) == len(members) else f" at {listed([called(i, member_names) for i in held])}"
        said.append(
            Note(
                "hardly differ",
                f"With the same weights the sides differ by {errors([found[i].nmse for i in held])}, far below the "
                f"students' errors ({errors([better[i] for i in held])}){where}: this asks almost nothing of the "
                "architectures. Draw larger weights where they differ (prior=scaled).",
            )
        )
    return said
