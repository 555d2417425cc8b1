"""Priors: the distribution over a network's parameters, as a callable on each freshly constructed network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

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
