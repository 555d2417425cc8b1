"""A scaled prior that both sides share, on products and sums alike: a product of k matrices takes a factor k times."""

import math
from collections.abc import Mapping
from dataclasses import replace

from archab.comparison.initial import WHOLE, Layer, corresponding, initial, layers_of
from archab.engine.plan import threads
from archab.space.inputs import Inputs
from archab.space.prior import Init, Scaled
from archab.space.space import ArchitecturalSpace

DRAWS, PURPOSE = 2, 2
APART = 1.5  # times the change of the other side


def unequal(spaces: Mapping[str, ArchitecturalSpace], inputs: Inputs) -> list[str]:
    """A warning where a scaled prior that both sides share changes the layers of one more than those of the other.

    Outputs of a layer that is linear in its weights change as the factor, those of a product of two as its square.
    """
    a, b = spaces["a"], spaces["b"]
    if not isinstance(a.prior, Scaled) or a.prior != b.prior:
        return []
    pairs: list[tuple[tuple[float, str], tuple[float, str]]] = []  # a change and its layer, of either side
    try:
        with threads(1):
            for member in range(len(a)):
                (layers, mine), (others, theirs) = (_changes(space, member, inputs) for space in (a, b))
                pairs += [((mine[x], x or WHOLE), (theirs[y], y or WHOLE)) for x, y in corresponding(layers, others)]
    except Exception:  # of a user's network, in what a run does not ask of it
        return []
    (by_a, at_a), (by_b, at_b) = max(pairs, key=lambda pair: abs(math.log(pair[0][0] / pair[1][0])))
    if max(by_a / by_b, by_b / by_a) < APART:
        return []
    side, name = ("a", a.name) if abs(math.log(by_a)) > abs(math.log(by_b)) else ("b", b.name)
    return [
        f"both sides share prior.factors, which multiply outputs of {a.name} ({at_a}) by {by_a:.2g} and those of "
        f"{b.name} ({at_b}) by {by_b:.2g}, since a product of k matrices takes a factor k times: give {name} its k-th "
        f"root (prior@space.{side}.prior=scaled), or prior@space.{side}.prior=matched"
    ]


def _changes(space: ArchitecturalSpace, member: int, inputs: Inputs) -> tuple[dict[str, Layer], dict[str, float]]:
    """The layers of draws that are not scaled, and by what the scale of each one's outputs changes if it is."""
    plain, scaled = (initial(s, "a", member, inputs, PURPOSE, DRAWS) for s in (replace(space, prior=Init()), space))
    layers, changed = layers_of(plain), layers_of(scaled, inside=plain)
    varying = {name: min(one.scale, changed[name].scale) > 0 for name, one in layers.items()}
    return layers, {name: changed[name].scale / one.scale if varying[name] else 1.0 for name, one in layers.items()}
