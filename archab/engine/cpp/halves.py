"""Half precision in programs: numbers are float32, rounded after every operation as torch rounds what it gives."""

from typing import Any

import torch
from torch import Tensor, fx

from archab.engine.cpp.kernels import A, P, Program, is_view, rule, shaped
from archab.engine.cpp.lanes import Value

_ROUNDED = {torch.bfloat16: "bf16_({0})", torch.float16: "f16_({0})"}
HALVES = tuple(_ROUNDED)
# What gives numbers that it was given, but for their signs, or zeros.
_EXACT: set[Any] = {
    *(A.neg.default, P.neg.default, A.abs.default, P.abs.default, A.relu.default, A.threshold_backward.default),
    *(A.clone.default, A.detach.default, A.alias.default),
}


def wide(dtype: torch.dtype) -> torch.dtype:
    """The type in which a program holds numbers of this one."""
    return torch.float32 if dtype in _ROUNDED else dtype


def widened(tensor: Tensor) -> Tensor:
    """A tensor as a program holds it."""
    return tensor.to(wide(tensor.dtype))


def rounded(x: Tensor, to: torch.dtype) -> Tensor:
    """Rounded to half precision."""
    return x.to(to).float()


@rule(rounded)
def _rounded(program: Program, node: fx.Node, x: Any, to: torch.dtype) -> Value:
    return program.pointwise(node, _ROUNDED[to], torch.float32, program.value(x, torch.float32))


def widen(graph: fx.GraphModule) -> None:
    """Let a graph compute in float32, rounded, what it computes in half precision."""
    for node in list(graph.graph.nodes):
        seen = node.meta.get("val")
        if isinstance(seen, list | tuple):
            node.meta["val"] = [_wide(one) if isinstance(one, Tensor) else one for one in seen]
        elif isinstance(seen, Tensor) and seen.dtype in _ROUNDED:
            node.meta["val"] = _wide(seen)
            if node.op == "get_attr":
                setattr(graph, node.target, getattr(graph, node.target).float())
            elif node.target is A.copy_.default:
                _round(graph, node.args[1], seen.dtype, node)
            elif node.op == "call_function" and not (node.target in _EXACT or is_view(node.target)):
                _round(graph, node, seen.dtype)


def round_update(graph: fx.GraphModule, dtype: torch.dtype) -> None:
    """Let an update in float32 take a rounded gradient, which was scaled, and give rounded numbers.

    Nothing is done where this type is not of half precision.
    """
    if dtype not in _ROUNDED:
        return
    _, gradient, *_ = (node for node in graph.graph.nodes if node.op == "placeholder")
    _round(graph, gradient, dtype)
    [output] = [node for node in graph.graph.nodes if node.op == "output"]
    for node in set(output.all_input_nodes):
        _round(graph, node, dtype, output)


def _round(graph: fx.GraphModule, node: fx.Node, dtype: torch.dtype, reader: fx.Node | None = None) -> None:
    """Let all readers of a node, or one, read it rounded."""
    with graph.graph.inserting_before(reader) if reader else graph.graph.inserting_after(node):
        found = graph.graph.call_function(rounded, (node, dtype))
    found.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(found, lambda user: user is not found and reader in (None, user))


def _wide(seen: Tensor) -> Tensor:
    return shaped(seen, wide(seen.dtype))
