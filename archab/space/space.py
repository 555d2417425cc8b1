"""The architectural space: networks of growing size from one family, their prior, measure and training routine."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from archab.errors import ArchabError, explain
from archab.space import calling
from archab.space import measure as sizes
from archab.space import routine as routines
from archab.space.precision import PRECISIONS, converted
from archab.space.prior import Init, Matched
from archab.space.routine import AdamW, Routine
from archab.space.seeding import unseeded

CHEAP = 1e9  # learnable parameters times numbers of an input: up to there a network is rather run than only described


@dataclass(frozen=True)
class ArchitecturalSpace:
    """A list of networks of growing size of one family, each with a distribution over its parameters.

    Attributes:
        architecture: a class or function that returns an `nn.Module`; it maps inputs of shape (n, *input_shape) to
            outputs of shape (n, …).
        members: the keyword arguments of each member, in order of size; one mapping counts as a list of one.
        input_shape: shape of one sample.
        prior: called on each freshly constructed network, to change its parameters in place; `Init()` leaves the
            constructor's own draws.
        measure: how size is counted: `information` (bits: learnable parameters times the bits of their dtype),
            `parameter` (their number), `flops` (of one forward pass for one sample), or one number a member.
        routine: how a student trains; a hyperparameter that is a list holds one value a member.
        name: what reports call it; the architecture's own name by default.
        dtype: the precision that the networks live and train in, a torch.dtype or its name: `float64`, `float32`,
            `bfloat16` or `float16`. They are drawn as they are built, then rounded. None leaves them as they are built.
        call: the arguments of a network that takes more than one input, see `archab.space.calling.Given`.
        output: which output is taken of several: its place in a tuple, its key, or its name.

    Raises:
        ArchabError: if there is no member, the measure or the dtype is unknown, or a list has another length than
            `members`.

    Example:
        >>> from torch import nn
        >>> members = [{"in_features": 3, "out_features": n} for n in (2, 4)]
        >>> lines = ArchitecturalSpace(nn.Linear, members, input_shape=[3], measure="parameter", name="lines")
        >>> [lines.size(member) for member in range(len(lines))]
        [8.0, 16.0]
        >>> coarse = ArchitecturalSpace(nn.Linear, members, input_shape=[3], dtype="bfloat16")
        >>> [coarse.size(member) for member in range(len(coarse))]  # in bits
        [128.0, 256.0]
    """

    architecture: Callable[..., nn.Module]
    members: Sequence[Mapping[str, Any]] | Mapping[str, Any] = field(default_factory=dict)
    input_shape: Sequence[int] = ()
    prior: Callable[[nn.Module], Any] = Init()
    measure: str | Sequence[float] = "information"
    routine: Routine = AdamW()
    name: str = ""
    dtype: torch.dtype | str | None = None
    call: Sequence[Any] | Mapping[str, Any] | None = None
    output: int | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or _name(self.architecture))
        object.__setattr__(self, "members", self._checked_members())
        object.__setattr__(self, "input_shape", self._checked_shape())
        self._check_measure()
        object.__setattr__(self, "dtype", self._checked_dtype())
        calling.check(self.name, self.call, self.output)
        for key in ("architecture", "prior", "routine"):
            if not callable(value := getattr(self, key)):
                raise ArchabError(f"{self.name}: {key}={value!r}: something to call is needed")
        for member in range(len(self)):
            self.routine_of(member)

    def _checked_members(self) -> list[Mapping[str, Any]]:
        members = [self.members] if isinstance(self.members, Mapping) else self.members
        if not isinstance(members, Sequence) or not members or not all(isinstance(m, Mapping) for m in members):
            raise ArchabError(
                f"{self.name}: members={self.members!r}: a list of keyword arguments, one mapping a member, is needed"
            )
        return list(members)

    def _checked_shape(self) -> tuple[int, ...]:
        shape = self.input_shape
        if not isinstance(shape, Sequence) or not all(isinstance(size, int) and size >= 1 for size in shape):
            shown = list(shape) if isinstance(shape, Sequence) else shape
            raise ArchabError(f"{self.name}: input_shape={shown}: a list of sizes of at least 1 is needed, such as [5]")
        return tuple(shape)

    def _check_measure(self) -> None:
        measure = self.measure
        if isinstance(measure, str) and measure in sizes.UNITS:
            return
        if isinstance(measure, list | tuple) and len(measure) == len(self) and all(map(_is_size, measure)):
            return
        raise ArchabError(
            f"{self.name}: measure={measure}: one of {', '.join(sizes.UNITS)}, or a list of one positive number for "
            f"each of {len(self)} members"
        )

    def _checked_dtype(self) -> torch.dtype | None:
        known = PRECISIONS.get(str(self.dtype).removeprefix("torch."))
        if known is None and self.dtype is not None:
            raise ArchabError(f"{self.name}: dtype={self.dtype}: one of {', '.join(PRECISIONS)}, or null, as built")
        return known

    def __len__(self) -> int:
        return len(self.members)

    @property
    def arguments(self) -> list[Mapping[str, Any]]:
        """The keyword arguments of each member."""
        return list(self.members)  # type: ignore[arg-type]

    @property
    def unit(self) -> str:
        """What one step of the measure is called."""
        return sizes.UNITS[self.measure] if isinstance(self.measure, str) else "units given by the user"

    def routine_of(self, member: int) -> Routine:
        """The training routine with this member's hyperparameters."""
        return routines.of_member(self.routine, member, len(self))

    def construct(self, member: int) -> nn.Module:
        """Draw one network of this member from its prior, in the precision of the space; see `drawn`."""
        return self.converted(self.drawn(member))

    def converted(self, network: nn.Module) -> nn.Module:
        """A network that was drawn, in the precision of the space, in place."""
        return converted(network, self.dtype) if isinstance(self.dtype, torch.dtype) else network

    def drawn(self, member: int) -> nn.Module:
        """Draw one network of this member as it is built, from torch's global generator, which nothing may seed.

        Raises:
            ArchabError: with the user's own exception as its cause, where the constructor or the prior fails.
        """
        with unseeded():
            return self._drawn(member)

    def _drawn(self, member: int) -> nn.Module:
        arguments = self.arguments[member]
        try:
            network = self.architecture(**arguments)
        except Exception as error:
            raise ArchabError(
                f"{self.name}: member {member} could not be constructed with {dict(arguments)}: {explain(error)}"
            ) from error
        if not isinstance(network, nn.Module):
            raise ArchabError(f"{self.name}: {_name(self.architecture)} gave a {type(network).__name__}, no nn.Module")
        calling.adapt(network, self.call, self.output)
        try:
            given = self.prior(network, member) if isinstance(self.prior, Matched) else self.prior(network)
        except ArchabError:
            raise
        except Exception as error:
            raise ArchabError(f"{self.name}: its prior failed on member {member}: {explain(error)}") from error
        if given is not None and given is not network:
            raise ArchabError(
                f"{self.name}: its prior gives a {type(given).__name__}; it must change the network in place"
            )
        return network

    def skeleton(self, member: int) -> nn.Module:
        """A network of this member to be counted, without memory for its parameters where its constructor allows it."""
        try:
            with torch.device("meta"):
                network = self.drawn(member)
        except ArchabError:
            network = self.drawn(member)
        if self.dtype is not None:
            self._check_convertible(network)
        return self.converted(network)

    def _check_convertible(self, network: nn.Module) -> None:
        sizes.learnable(network)  # which names what has no shape yet
        held = sizes.registered(network)
        if pairs := [name for name, tensor in held.items() if tensor.is_complex()]:
            raise ArchabError(f"{self.name}: dtype={self.dtype}: {pairs[0]} is complex; only dtype=null leaves it so")
        if tied := sizes.shared_storage(held):
            raise ArchabError(
                f"{self.name}: dtype={self.dtype}: {' and '.join(tied[0])} share memory, which a conversion would "
                "part; make them one nn.Parameter, or build the network in this dtype"
            )

    def size(self, member: int) -> float:
        """The measure of one member.

        Raises:
            ArchabError: if the network holds a learnable tensor that it did not register, or none at all.
        """
        network = self.skeleton(member)
        if names := sizes.unregistered(network):
            raise ArchabError(
                f"{self.name}: {', '.join(names[:3])}: a learnable tensor that is not registered is neither counted "
                "nor trained; use nn.Parameter as an attribute, nn.ParameterList or nn.ModuleList"
            )
        if not sizes.learnable(network):
            raise ArchabError(f"{self.name}: member {member} has no learnable parameter")
        if self.measure == "flops":
            return self.flops(member)
        if isinstance(self.measure, str):
            return sizes.MEASURES[self.measure](network)
        return float(self.measure[member])

    def flops(self, member: int, samples: int = 1) -> float:
        """The floating-point operations of one forward pass, see `archab.space.measure.flops`.

        Counted without memory where a larger network allows it, on real numbers, or on tokens where it takes no others.

        Args:
            member: its index.
            samples: of the mini-batch that is passed forward.

        Raises:
            ArchabError: if the network cannot be run so, or torch's counter knows none of its operations.
        """
        shape, why = (samples, *self.input_shape), ""
        ways = [("meta", self.skeleton), ("cpu", self.construct)]
        if sizes.parameter(self.skeleton(member)) * math.prod(shape) <= CHEAP:
            ways.reverse()  # tensors without memory make torch import its compiler, which takes a second
        for device, make in ways:
            for tokens in (False, True):
                network = make(member)
                try:
                    dtype = torch.int64 if tokens else next(network.parameters()).dtype.to_real()
                    with torch.device(device):
                        counted = sizes.flops(network, torch.zeros(shape, dtype=dtype))
                except Exception as error:  # of the user's network
                    why = why if tokens else explain(error)
                    continue
                if counted:
                    return counted
                raise ArchabError(
                    f"{self.name}: measure=flops: torch's counter finds no operation that it knows in member {member}; "
                    "it counts matrix products, convolutions and attention. measure=parameter counts parameters"
                )
        raise ArchabError(f"{self.name}: measure=flops: member {member} could not be run on {list(shape)}: {why}")


def repeated(space: ArchitecturalSpace, members: int) -> ArchitecturalSpace:
    """A space of one member with so many of it; any other as it is."""
    if len(space) != 1:
        return space
    measure = space.measure if isinstance(space.measure, str) else list(space.measure) * members
    routine = routines.of_member(space.routine, 0, 1)
    return replace(space, members=space.arguments * members, measure=measure, routine=routine)


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < math.inf


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", None) or _name(getattr(function, "func", type(function)))
