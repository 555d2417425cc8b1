"""Sources of programs kept between runs, under a key of all that shaped them, so that a known family is not traced.

A key that misses costs a trace. One that hits wrongly, since something outside of it changed a network's code, would be
found by the check that every program passes before it is used, and traced anew.
"""

import hashlib
import io
import json
import os
import pickle
import sys
import sysconfig
from collections import OrderedDict
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archab.engine.cpp import compiler
from archab.engine.cpp.source import Slot, Source

_TORCHS = str(Path(torch.__file__).parents[1])  # an environment may find its packages in another's directory
_OWN = f"{Path(__file__).parents[2]}{os.sep}"


def recall(network: nn.Module, *rest: Any) -> Source | None:
    """The source kept for this network and the rest of what shapes it; None where there is none."""
    key = _key(network, rest)
    held = None if key is None else compiler.recall(f"{key}.json")
    return None if held is None else _read(held)


def keep(made: Source, network: nn.Module, *rest: Any) -> None:
    """Keep a source that has passed its check."""
    if (key := _key(network, rest)) is not None:
        compiler.keep(f"{key}.json", _written(made))


def _key(network: nn.Module, rest: Any) -> str | None:
    """None where a network cannot be described, as with a lambda among its attributes."""
    described = io.BytesIO()
    pickler = pickle.Pickler(described)
    registered = {id(t) for t in (*network.parameters(), *network.buffers())}

    def described_as(thing: object) -> Any:
        if isinstance(thing, OrderedDict) and any(type(key) is int for key in thing):
            return "hooks", *thing.values()  # without the numbers that torch gives them, new ones in each network
        if isinstance(thing, set | frozenset):
            return "set", *sorted(map(repr, thing))  # whose own order is another in each process
        if not isinstance(thing, Tensor):
            return None
        shape = tuple(thing.shape), str(thing.dtype), thing.requires_grad
        if id(thing) in registered:
            return shape
        return *shape, thing.detach().flatten().view(torch.uint8).numpy().tobytes()  # numpy knows no bfloat16

    pickler.persistent_id = described_as  # type: ignore[method-assign]
    try:
        pickler.dump((network, [name for name, _ in network.named_parameters()], rest))
    except Exception:  # whatever a user's attribute raises
        return None
    digest = hashlib.sha256(described.getvalue())
    digest.update(_code(network).encode())
    digest.update(f"{torch.__version__} {sys.version}".encode())
    return digest.hexdigest()[:32]


def _code(network: nn.Module) -> str:
    """A hash of a network's code, of archab's from the engine down, and of all other modules that are neither Python's
    nor installed, with their constants.
    """
    elsewhere = *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), _TORCHS, _OWN
    files = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    own = {f for f in files if f and not f.startswith(elsewhere)} | _shaping()
    classes = {type(m).__module__ for m in network.modules()}
    own |= {str(getattr(sys.modules.get(name), "__file__", "")) for name in classes}
    constants = [
        f"{name}.{key}={value!r}"
        for name, module in sorted(sys.modules.items())
        if str(getattr(module, "__file__", None) or "") in own
        and (name not in ("__main__", "__mp_main__") or name in classes)
        for key, value in vars(module).items()
        if type(value) in (bool, int, float, str)  # asked of its class alone: some attributes warn when they are read
    ]
    return hashlib.sha256("".join([*map(_contents, sorted(own)), *constants]).encode()).hexdigest()


@cache
def _shaping() -> frozenset[str]:
    """archab's own files that shape programs."""
    rooms = (Path(_OWN, room) for room in ("space", "networks", "engine"))
    return frozenset(str(file) for room in rooms for file in room.rglob("*") if file.suffix in (".py", ".h"))


@cache
def _contents(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return file


def _written(made: Source) -> bytes:
    return json.dumps(asdict(made), default=str).encode()


def _read(held: bytes) -> Source:
    values = json.loads(held)
    for table in ("slots", "gradients"):
        values[table] = {
            name: Slot(slot["start"], _dtype(slot["dtype"]), tuple(slot["shape"]))
            for name, slot in values[table].items()
        }
    return Source(**{**values, "dtype": _dtype(values["dtype"])})


def _dtype(name: str) -> torch.dtype:
    return getattr(torch, name.removeprefix("torch."))
