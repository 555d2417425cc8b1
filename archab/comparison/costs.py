"""What a student of each member and side costs, whatever measure was chosen."""

from collections.abc import Mapping, Sequence

import pandas as pd
from numpy.random import SeedSequence

from archab.comparison.inspection import minibatch
from archab.errors import ArchabError
from archab.evidence.costs import COLUMNS, KEY, joined
from archab.networks.streams import forked
from archab.space import measure
from archab.space.space import ArchitecturalSpace

PASSES = 3  # that a step costs: one forward, and the backward pass two


Counted = tuple[int, str, float, float, float, float]  # member, side, bits, parameters, FLOPs of a sample, of a step


def counted(spaces: Mapping[str, ArchitecturalSpace]) -> tuple[Counted, ...]:
    """What of the costs of both sides' students is a matter of shapes; operations are NaN where they are not known."""
    rows = []
    with forked(SeedSequence(0)):
        for side, space in ((side, spaces[side]) for side in ("a", "b")):
            for member in range(len(space)):
                network = space.skeleton(member)
                sizes = measure.information(network), measure.parameter(network)
                operations = _flops(space, member, 1), _flops(space, member, minibatch(space, member))
                rows.append((member, side, *sizes, *operations))
    return tuple(rows)


def costs_of(known: Sequence[Counted], spent: pd.DataFrame) -> pd.DataFrame:
    """The costs of both sides, see `archab.evidence.costs.Cost`; tuning and control are not in them.

    A training step is taken for three forward passes of its mini-batch, since the backward pass costs about two
    (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", arXiv:2001.08361, section 2.1).

    Args:
        known: see `counted`.
        spent: what training each part of the run took, `archab.results.SPENT_COLUMNS`; of a run that was begun by an
            earlier version, of some parts or none.

    Returns:
        One row a member and side, columns `archab.evidence.costs.COLUMNS`; NaN where operations or steps are not known.
    """
    table = pd.DataFrame(known, columns=[*KEY, "information", "parameters", "flops", "step"])
    table = table.merge(joined(spent), how="left", on=KEY)
    table["training_flops"] = PASSES * table["steps"] * table["step"]
    return table.assign(students=table["students"].fillna(0).astype(int))[list(COLUMNS)]


def _flops(space: ArchitecturalSpace, member: int, samples: int) -> float:
    try:
        return space.flops(member, samples)
    except ArchabError:
        return float("nan")
