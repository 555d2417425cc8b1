"""Objects from nodes of a configuration: what `_target_` names, made by Hydra once, or anew at each call."""

import difflib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf

from archab.errors import ArchabError, first_line
from archab.networks.streams import forked

ITSELF = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")


@dataclass(frozen=True)
class Anew:
    """Calls what a node names, and makes the nodes inside of it anew for each call.

    What is random in them is then drawn as the rest of the call draws, and nothing is shared between two calls.

    Attributes:
        func: what is called.
        node: its arguments, with nodes among them.
    """

    func: Callable[..., Any]
    node: dict[str, Any]

    def __call__(self, *given: Any, **named: Any) -> Any:
        """What the node gives; `named` goes over its own arguments, mapping by mapping."""
        own, places = dict(self.node), self.node.get("_args_", [])
        own.pop("_partial_", None)
        try:
            if given and places:  # Hydra would let those of the call take the place of the node's
                own.pop("_args_")
                given = (*given, *instantiate(places, _convert_="all"))
            merged = OmegaConf.merge(OmegaConf.create(own, flags={"allow_objects": True}), named)
            return instantiate(merged, *given, _convert_="all")
        except InstantiationException as error:
            raise error.__cause__ or error from None

    @cached_property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(partial(self.func, *self.node.get("_args_", ()), **_arguments(self.node)))


def bound(key: str, node: object, anew: bool = False) -> Callable[..., Any]:
    """What a node names, bound to its arguments, to be called later.

    Args:
        key: where the node stands, for messages.
        node: a mapping with `_target_`.
        anew: whether nodes come with the call's own arguments, too.

    Raises:
        ArchabError: if it names nothing that can be called so.
    """
    function = imported(key, node)
    assert isinstance(node, dict)
    _check(key, node)
    arguments = _arguments(node)
    if anew or "_args_" in node or any(map(holds_nodes, arguments.values())):
        return Anew(function, node)
    return partial(function, **arguments)


def made(key: str, node: object) -> Any:
    """The object that a node makes; a function is bound to its arguments, to be called later.

    Raises:
        ArchabError: as `bound` does, or if the object cannot be made.
    """
    function: Any = bound(key, node)
    assert isinstance(node, dict)
    if not inspect.isclass(function.func) or node.get("_partial_"):
        return function
    try:
        with forked(np.random.SeedSequence(0)):  # what it draws is the same in every run
            return function()
    except ArchabError:
        raise
    except Exception as error:
        arguments = {name: value for name, value in node.items() if name != "_target_"}
        said = first_line(error.__cause__ or error)
        raise ArchabError(f"{key}: {function.func.__name__} could not be made with {arguments}: {said}") from error


def imported(key: str, node: object) -> Callable[..., Any]:
    """What `_target_` names; modules of the current directory are found, too.

    Raises:
        ArchabError: if there is no such thing to be called.
    """
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        raise ArchabError(f"{key}={node!r}: a configuration with _target_, the import path of a class or function")
    target = node["_target_"]
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL + 1)  # what it would log is said below
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        function: Callable[..., Any] = get_object(target)
    except Exception as error:
        cause = error.__cause__ or error
        places = "modules are found in the current directory and on PYTHONPATH"
        why = _misspelt(target) or f"({type(cause).__name__}: {first_line(cause)}); {places}"
        raise ArchabError(f"{key}._target_={target}: cannot be imported {why}") from error
    if not callable(function):
        raise ArchabError(f"{key}._target_={target}: is a {type(function).__name__}, no class or function")
    return function


def _misspelt(target: str) -> str:
    """What there is instead, where the name of something in a module is wrong; empty where the module is."""
    module, _, name = target.rpartition(".")
    there = sys.modules.get(module)
    if there is None or hasattr(there, name):
        return ""
    callables = [other for other in dir(there) if callable(getattr(there, other)) and not other.startswith("_")]
    near = difflib.get_close_matches(name, callables, 3) or callables[:8]
    return f"({module} has no {name}). There are: {', '.join(near) or 'none'}"


def holds_nodes(values: object) -> bool:
    """Whether a node, or positional arguments, are among these values."""
    if isinstance(values, Mapping):
        return "_target_" in values or "_args_" in values or any(map(holds_nodes, values.values()))
    return isinstance(values, list | tuple) and any(map(holds_nodes, values))


def _arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name not in ITSELF}


def _check(key: str, value: object) -> None:
    """Import what a node and those inside of it name, and see that each takes its arguments."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check(f"{key}[{i}]", item)
    if isinstance(value, dict):
        if "_target_" in value:
            _check_arguments(key, imported(key, value), _arguments(value))
        for name, item in value.items():
            _check(f"{key}.{name}", item)


def _check_arguments(key: str, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins have none
        return
    for name in arguments:
        if name in parameters and parameters[name].kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ArchabError(
                f"{key}.{name}: {function.__name__} takes it by its place alone: _args_: [{arguments[name]!r}]"
            )
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    if wrong := [name for name in arguments if name not in parameters]:
        inherited = (
            ". A node that is written over another choice of its group inherits its keys: choose it in the defaults "
            "list instead"
        )
        raise ArchabError(
            f"{key}.{wrong[0]}: {function.__name__} takes no such argument, but {', '.join(parameters)}"
            f"{inherited if len(wrong) > 1 else ''}"
        )
