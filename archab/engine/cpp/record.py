"""A function of tensors as a flat graph of the small operations that torch runs for it: run once, and written down.

Torch's own `make_fx` does the same with tensors that have no values; it is several times slower, and its first call
imports torch's compiler.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import local
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, fx
from torch._decomp import decomposition_table
from torch._functorch import eager_transforms
from torch.func import functionalize
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from torch.utils.weak import WeakIdKeyDictionary

from archab.engine.cpp.halves import HALVES, widened
from archab.engine.cpp.kernels import A, is_view, shaped
from archab.engine.cpp.opened import opened
from archab.engine.cpp.rules import RULES
from archab.errors import explain
from archab.networks.noise import draws
from archab.space.uncompiled import kept, uncompiled
from archab.space.watching import Watching


class Untraceable(Exception):
    """Why a network cannot be traced; another engine trains it."""


def flat(function: Callable[..., Any], *arguments: Any) -> fx.GraphModule:
    """The graph of a function, from the tensors in its arguments, in order, to those in what it gives.

    Nothing is written on in it but by `copy_`. Every node of a tensor has `meta["val"]`, a tensor like it without
    values. Tensors that come from elsewhere are constants, attributes of the module.

    Args:
        function: pure, but for what it draws, or writes on what it has made itself.
        arguments: tensors, in any nest of lists, tuples and dictionaries, whose values decide nothing.

    Raises:
        Untraceable: if it fails, if an operation draws random numbers, takes a number out of a tensor, or gives as many
            as the values decide.
    """
    given = tree_map(lambda t: t.detach().clone(memory_format=torch.contiguous_format), arguments)
    recording = _Recording(tree_flatten(given)[0])
    try:
        with torch.random.fork_rng(devices=()), opened(), _traced(), recording:
            found = functionalize(function, remove="mutations")(*given)
        return recording.ended(tree_flatten(found)[0])
    except Untraceable:
        raise
    except Exception as error:  # whatever torch makes of a user's network
        raise Untraceable(explain(error)) from error


class _Recording(Watching):
    """Writes down what runs under it, larger operations as those that they are decomposed into."""

    def __init__(self, inputs: list[Tensor]) -> None:
        super().__init__()
        self._graph, self._root = fx.Graph(), torch.nn.Module()
        self._nodes: Any = WeakIdKeyDictionary()
        self._varying: set[fx.Node] = set()  # hang on an input
        for i, tensor in enumerate(inputs):
            self._varying.add(self._noted(self._graph.placeholder(f"input{i}"), tensor))

    def ended(self, outputs: list[Tensor]) -> fx.GraphModule:
        """The graph, with these as its outputs."""
        self._graph.output([self._node(t) for t in outputs])
        self._graph.eliminate_dead_code()
        return fx.GraphModule(self._root, self._graph)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if draws(func, args, kwargs):
            raise Untraceable(f"{func.overloadpacket} draws random numbers that no counter reaches")
        larger = None if func in RULES else _opened(func)
        if larger is not None:
            rounded = _rounded(func, args, kwargs)
            with self:
                found = larger(*args, **kwargs) if rounded is None else rounded(larger)
            if found is not NotImplemented:
                return found
        return self._recorded(func, args, kwargs)

    def _recorded(self, operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if not operation._schema.returns and not operation._schema.is_mutable:
            return None  # what it asks of values, such as whether a matrix could be factored, decides nothing here
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        varies = any(self._nodes.get(t) in self._varying for t in tensors)
        # Called as an operation, a prim would import torch's compiler.
        found = getattr(operation, "impl_aten", operation)(*args, **kwargs)
        if not isinstance(found, Tensor | tuple | list):  # a number, for Python
            if varies:
                raise Untraceable(f"{operation.overloadpacket} takes a number out of a tensor")
            return found
        if varies and _chooses(operation, args):
            raise Untraceable(f"{operation}: its shape depends on data")
        places, named = tree_map(lambda v: self._node(v) if isinstance(v, Tensor) else v, (tuple(args), kwargs))
        node = self._graph.call_function(operation, places, named)
        made = {node}
        if isinstance(found, Tensor):
            self._noted(node, found)
        else:
            node.meta["val"] = [_shaped(t) for t in found]
            of_several = ((i, t) for i, t in enumerate(found) if isinstance(t, Tensor))
            made |= {self._noted(self._graph.call_function(operator.getitem, (node, i)), t) for i, t in of_several}
        if varies:
            self._varying |= made
        return found

    def _noted(self, node: fx.Node, tensor: Tensor) -> fx.Node:
        node.meta["val"] = _shaped(tensor)
        self._nodes[tensor] = node
        return node

    def _node(self, tensor: Tensor) -> fx.Node:
        """Its node; of one from elsewhere that of a constant."""
        known: fx.Node | None = self._nodes.get(tensor)
        if known is not None:
            return known
        name = f"constant{len(list(self._root.buffers()))}"
        self._root.register_buffer(name, tensor.detach())
        return self._noted(self._graph.create_node("get_attr", name), tensor)


def _shaped(tensor: Any) -> Any:
    """A tensor as it, without values."""
    if not isinstance(tensor, Tensor):
        return tensor
    return shaped(tensor, tensor.dtype)


def _chooses(operation: Any, args: Any) -> bool:
    """Whether values decide how much it gives, as where a mask says which elements are read."""
    if operation in (A.index.Tensor, A._unsafe_index.Tensor):
        return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
    return torch.Tag.dynamic_output_shape in operation.tags


@cache
def _opened(operation: Any) -> Callable[..., Any] | None:
    """What runs an operation as smaller ones, by torch's decompositions, where it has one."""
    if _composite(operation):
        return operation.decompose
    if operation in (A.complex.default, A.polar.default):  # which torch's writes part by part
        return None
    found: Callable[..., Any] | None = decomposition_table.get(operation)
    return found


def _composite(operation: Any) -> bool:
    """Whether torch itself runs smaller operations for it, and has no kernel."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(operation.name(), "CompositeImplicitAutograd"))


def _rounded(operation: Any, args: Any, kwargs: dict[str, Any]) -> Callable[[Callable[..., Any]], Any] | None:
    """What calls a decomposition in float32 and rounds what it gives, as torch's kernels do in half precision.

    None where no number is in half precision, or torch has no kernel that could do so.
    """
    flat, nest = tree_flatten((args, kwargs))
    tensors = [(i, value) for i, value in enumerate(flat) if isinstance(value, Tensor)]
    if not any(t.dtype in HALVES for _, t in tensors) or _composite(operation) or is_view(operation):
        return None
    tried = flat.copy()
    for i, tensor in tensors:
        tried[i] = tensor.clone()
    try:
        again, named = tree_unflatten(tried, nest)
        given = tree_flatten(operation(*again, **named))[0]
    except Exception:  # of these numbers it knows none
        return None
    written = [i for i, tensor in tensors if not torch.equal(tensor, tried[i])]  # such as running means

    def of_type(x: Any, y: Any) -> Any:
        return x.to(y.dtype) if isinstance(x, Tensor) and isinstance(y, Tensor) else x

    def called(larger: Callable[..., Any]) -> Any:
        held = [widened(value) if isinstance(value, Tensor) else value for value in flat]
        wider, named = tree_unflatten(held, nest)
        found = larger(*wider, **named)
        for i in written:
            flat[i].copy_(held[i])
        if found is NotImplemented:
            return found
        several, each = tree_flatten(found)
        return tree_unflatten(list(map(of_type, several, given)), each)

    return called


@contextmanager
def _traced() -> Iterator[None]:
    """Within it, torch works without its compiler, and no tensor of this thread goes to numpy."""
    with (
        uncompiled(_decompositions()),
        patch.object(eager_transforms, "_autograd_grad", _gradients),
        patch.object(Tensor, "numpy", _to_numpy),
    ):
        _here.traces = True
        try:
            yield
        finally:
            _here.traces = False


_here = local()
_TO_NUMPY = Tensor.numpy


def _to_numpy(tensor: Tensor, *given: Any, **named: Any) -> Any:
    """As torch's, which of a tensor that is traced would show memory that is none of its own."""
    if getattr(_here, "traces", False):
        raise Untraceable("it hands a tensor to numpy")
    return _TO_NUMPY(tensor, *given, **named)


def _gradients(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    grad_outputs: Sequence[Tensor] | None = None,
    retain_graph: bool = False,
    create_graph: bool = True,
) -> tuple[Tensor, ...]:
    """What torch's transforms ask autograd for; their own way there imports the compiler to say that it is not used."""
    slopes: Sequence[Tensor | None] = grad_outputs or [None] * len(outputs)
    given = zip(outputs, slopes, strict=True)
    if not (reached := [pair for pair in given if pair[0].requires_grad]):
        return tuple(map(torch.zeros_like, inputs))
    further: Any = {"retain_graph": retain_graph, "create_graph": create_graph, "materialize_grads": True}
    of, slopes = zip(*reached, strict=True)
    return torch.autograd.grad(of, inputs, slopes, **further)


@cache
def _decompositions() -> list[Any]:
    """Functions by which torch decomposes, which it keeps from being compiled."""
    return kept([*vars(torch._refs).values(), *decomposition_table.values()])
