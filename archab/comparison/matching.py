"""A prior matched to the other side's: by which factors its layers vary, at initialisation, as those of the other."""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch

from archab.comparison.initial import WHOLE, Initial, Layer, corresponding, initial, layers_of, owned
from archab.engine.plan import threads
from archab.errors import ArchabError, explain
from archab.space.inputs import Inputs
from archab.space.prior import Matched
from archab.space.space import ArchitecturalSpace

DRAWS, PURPOSE = 16, 1
TRIES, TOLERANCE = 20, 5e-3  # of the logarithm of a scale
LEAST_POWER = 0.1  # of its factor, with which a scale must grow

Layers = dict[str, Layer]


def matched(spaces: Mapping[str, ArchitecturalSpace | None], inputs: Inputs) -> dict[str, ArchitecturalSpace]:
    """The side whose prior is to be matched, with its factors; none where no side asks for it.

    Layers are the modules that hold parameters of their own, in the order in which they answer. Where both sides have
    equally many with outputs of equal shape, each is brought to the scale of its counterpart, those before it scaled
    already; else the last one brings the network's outputs there. A layer whose outputs do not grow with its
    parameters, such as one that adds them, stays as it is drawn.

    Args:
        spaces: by side.
        inputs: of the comparison.

    Raises:
        ArchabError: if both sides or the reference ask for it, a network has no parameters or cannot be run, or a scale
            is 0, not finite, or does not grow with the last layer where that alone could bring it to the other's.
    """
    asked = [side for side, s in spaces.items() if s and isinstance(s.prior, Matched) and not s.prior.factors]
    if not asked:
        return {}
    if asked not in (["a"], ["b"]):
        raise ArchabError(
            f"prior=matched: asked for by {' and '.join(asked)}; one of the sides a and b is brought to the other, as "
            "by prior@space.b.prior=matched"
        )
    [side] = asked
    space, to = spaces[side], spaces["b" if side == "a" else "a"]
    assert space is not None
    assert to is not None
    assert isinstance(space.prior, Matched)
    with threads(1):
        factors = [_factors(f"space.{side}.prior=matched", space, to, member, inputs) for member in range(len(space))]
    return {side: replace(space, prior=replace(space.prior, factors=factors))}


def _factors(
    key: str, space: ArchitecturalSpace, to: ArchitecturalSpace, member: int, inputs: Inputs
) -> dict[str, float]:
    """The factors of this member's parameters, by name."""
    _ = space.size(member), to.size(member)  # which refuses a network without parameters
    try:
        # Of one stream: layers that both sides draw alike are then alike to rounding, and keep their factor of 1.
        return _brought(*(initial(one, "a", member, inputs, PURPOSE, DRAWS) for one in (space, to)))
    except Exception as error:
        said = error if isinstance(error, ArchabError) else explain(error)
        raise ArchabError(f"{key}: member {member} of {space.name} cannot be brought to {to.name}: {said}") from error


def _brought(mine: Initial, theirs: Initial) -> dict[str, float]:
    """The factors of parameters by which these networks are scaled, in place, to those."""
    layers, wanted, parameters = layers_of(mine), layers_of(theirs), owned(mine.networks[0])
    last = [name for name in (*parameters, *layers) if name != WHOLE][-1]
    factors: dict[str, float] = {}
    for name, other in corresponding(layers, wanted):
        scales = {name or WHOLE: layers[name].scale, f"{other or WHOLE} of the other": wanted[other].scale}
        if not any(scales.values()):
            continue
        if not all(0 < scale < math.inf for scale in scales.values()):
            said = " and ".join(f"{scale:g} ({of})" for of, scale in scales.items())
            raise ArchabError(f"the scales of outputs are {said}; both must be positive and finite")
        names = parameters[last if name == WHOLE else name]
        factor, layers = _led(mine, layers, name, names, wanted[other].scale)
        if factor is None and name == WHOLE:
            raise ArchabError(f"the scale of its outputs does not grow with its last layer, {last}")
        factors |= dict.fromkeys(names, factor or 1.0)
    return factors


def _led(drawn: Initial, layers: Layers, name: str, names: list[str], wanted: float) -> tuple[float | None, Layers]:
    """The factor of these parameters at which the scale of a layer is what is wanted, and all layers as they are then.

    By secants in logarithms, since what is a product of k weights grows as the factor to the k. None, and the layers as
    they were, where the scale does not grow with the parameters.
    """
    parameters = [network.get_parameter(one) for network in drawn.networks for one in names]
    before = [parameter.detach().clone() for parameter in parameters]

    def times(factor: float) -> Layers:
        with torch.no_grad():
            for parameter, own in zip(parameters, before, strict=True):
                parameter.copy_(own * factor)
        return layers_of(drawn)

    found, factor, power = layers, 1.0, 1.0
    for _ in range(TRIES):
        now = found[name].scale
        if abs(off := math.log(wanted / now)) < TOLERANCE:
            return float(f"{factor:.4g}"), found  # the same on machines that round otherwise
        factor *= math.exp(off / power)
        found = times(factor)
        power *= math.log(found[name].scale / now) / off if 0 < found[name].scale < math.inf else 0.0
        if power < LEAST_POWER:
            break
    times(1.0)
    return None, layers
