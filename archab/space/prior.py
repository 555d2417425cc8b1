"""Priors: the distribution over a network's parameters, as a callable on each freshly constructed network."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from archab.errors import ArchabError


@dataclass(frozen=True)
class Init:
    """The constructor's own draws: the prior is defined in the network's `__init__`.

    Example:
        >>> line = nn.Linear(2, 1)
        >>> before = line.weight.clone()
        >>> Init()(line)
        >>> torch.equal(line.weight, before)
        True
    """

    def __call__(self, network: nn.Module) -> None:
        """Leave the network as it was constructed."""


@dataclass(frozen=True)
class Scaled:
    """The constructor's own draws, times a factor for each pattern that a parameter's name matches.

    Attributes:
        factors: shell-style pattern of parameter names (`*.weight`) to factor; factors of several patterns multiply.

    Example:
        >>> line = nn.Linear(2, 1)
        >>> before = line.weight.clone()
        >>> Scaled({"weight": 0.5})(line)
        >>> torch.equal(line.weight, before / 2)
        True
    """

    factors: Mapping[str, float]

    def __call__(self, network: nn.Module) -> None:
        """Scale the parameters in place.

        Raises:
            ArchabError: if a pattern matches no parameter.
        """
        parameters = dict(network.named_parameters())
        for pattern in self.factors:
            if not any(fnmatchcase(name, pattern) for name in parameters):
                raise ArchabError(
                    f"prior.factors: the pattern {pattern!r} matches no parameter of {type(network).__name__}; "
                    f"there are: {', '.join(parameters)}"
                )
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.mul_(math.prod(f for pattern, f in self.factors.items() if fnmatchcase(name, pattern)))


@dataclass(frozen=True)
class Matched:
    """Draws of another prior, each layer times a factor at which its outputs vary as those of the other side's layer.

    In the spirit of layer-sequential unit-variance initialisation (Mishkin and Matas 2016, "All you need is a good
    init", arXiv:1511.06422), which scales each layer of one network until its outputs have unit variance. Here a
    comparison measures the factors, once a member, on a few draws of both sides; they are the same for every draw, so
    that draws stay those of one fixed distribution. See `archab.comparison.matching`.

    Attributes:
        base: the prior whose draws are scaled; None for the constructor's own.
        factors: of a parameter by its name, a mapping a member; None before a comparison has measured them: draws are
            then not scaled.

    Example:
        >>> from functools import partial
        >>> from archab import ArchitecturalSpace, Comparison
        >>> a = ArchitecturalSpace(partial(nn.Linear, 64, 64), {}, [64], name="plain")
        >>> b = ArchitecturalSpace(partial(nn.Linear, 64, 64), {}, [64], prior=Matched(Scaled({"*": 4.0})), name="wide")
        >>> comparison = Comparison(a, b)
        >>> {name: round(factor, 1) for name, factor in comparison.b.prior.factors[0].items()}
        {'weight': 0.2, 'bias': 0.2}
    """

    base: Callable[[nn.Module], Any] | None = None
    factors: Sequence[Mapping[str, float]] | None = None

    def __call__(self, network: nn.Module, member: int = 0) -> Any:
        """Draw from the base, then scale the parameters of this member in place."""
        given = self.base(network) if self.base else None
        factors = self.factors[member] if self.factors else {}
        with torch.no_grad():
            for name, factor in factors.items():
                network.get_parameter(name).mul_(factor)
        return given
