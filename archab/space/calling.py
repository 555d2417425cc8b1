"""How a network is called and which of its outputs is taken, where it does not map one tensor to one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from archab.errors import ArchabError

WHOLE = "x"
_CUTS = ("column", "columns")


@dataclass(frozen=True)
class Given:
    """A hook before a forward: of the one input x that archab gives, the arguments that the network takes.

    Attributes:
        call: what stands for each argument: `x`, or a mapping with `columns: [first, last]` (x[..., first:last]) or
            `column: k` (x[..., k]), and `integers: true` where it is to be whole numbers. A list by place, a mapping by
            name.
    """

    call: Sequence[Any] | Mapping[str, Any]

    def __call__(self, network: nn.Module, given: Any, named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        [x] = given
        if isinstance(self.call, Mapping):
            return (), {name: _cut(x, item) for name, item in self.call.items()} | named
        return tuple(_cut(x, item) for item in self.call), named


@dataclass(frozen=True)
class Taken:
    """A hook after a forward: one of several outputs.

    Attributes:
        output: its place in a tuple or list, its key in a mapping, or its name in an object.
    """

    output: int | str

    def __call__(self, network: nn.Module, given: Any, found: Any) -> Any:
        outputs: Any = found
        try:
            if isinstance(found, Sequence | Mapping):
                return outputs[self.output]
            return getattr(found, str(self.output))
        except (IndexError, KeyError, TypeError, AttributeError):
            there = (
                f"{len(found)} outputs, from 0" if isinstance(found, Sequence)
                else f"outputs {', '.join(map(str, found))}" if isinstance(found, Mapping)
                else f"a {type(found).__name__}"
            )  # fmt: skip
            raise ArchabError(f"output={self.output}: its forward gives {there}") from None


def adapt(network: nn.Module, call: Sequence[Any] | Mapping[str, Any] | None, output: int | str | None) -> nn.Module:
    """A network that is called so and gives this output, in place."""
    if call is not None:
        network.register_forward_pre_hook(Given(call), with_kwargs=True)
    if output is not None:
        network.register_forward_hook(Taken(output))
    return network


def check(name: str, call: Any, output: Any) -> None:
    """Raise an ArchabError where `call` or `output` of the space of this name says nothing that could be done."""
    if output is not None and (isinstance(output, bool) or not isinstance(output, int | str)):
        raise ArchabError(f"{name}: output={output!r}: the place or the key of one output is needed, such as 0")
    if call is None:
        return
    if isinstance(call, str) or not isinstance(call, Sequence | Mapping) or not call:
        raise ArchabError(f"{name}: call={call!r}: a list of arguments, or a mapping by name, is needed: [x, x, x]")
    for item in call.values() if isinstance(call, Mapping) else call:
        if item != WHOLE and not (isinstance(item, Mapping) and _valid(item)):
            raise ArchabError(
                f"{name}: call: {item!r} is none of x, {{columns: [0, 4]}} and {{column: 4, integers: true}}"
            )


def _valid(item: Mapping[str, Any]) -> bool:
    if set(item) - {*_CUTS, "integers"} or len(set(item) & set(_CUTS)) > 1 or not item:
        return False
    columns, column = item.get("columns", [0, 1]), item.get("column", 0)
    pair = isinstance(columns, Sequence) and len(columns) == 2 and all(type(k) is int for k in columns)
    return pair and type(column) is int and isinstance(item.get("integers", True), bool)


def _cut(x: Tensor, item: Any) -> Tensor:
    if item == WHOLE:
        return x
    if "columns" in item:
        first, last = item["columns"]
        if not -x.shape[-1] <= first < (last or x.shape[-1]) <= x.shape[-1]:
            raise ArchabError(f"call: columns [{first}, {last}] of inputs that have {x.shape[-1]}")
        x = x[..., first:last]
    elif "column" in item:
        if not -x.shape[-1] <= item["column"] < x.shape[-1]:
            raise ArchabError(f"call: column {item['column']} of inputs that have {x.shape[-1]}")
        x = x[..., item["column"]]
    return x.long() if item.get("integers") else x
