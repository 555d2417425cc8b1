"""The same training in JAX: one jitted call, a scan over the steps under a vmap over the students, with optax.

    python -m archab.benchmark.jax dense|encoder FILE [HEADS]

trains the students of a file on one core each time that it reads a line, and prints the seconds that this took and the
mean loss of every student. The first call, which compiles, comes before the first line is read.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

MINIBATCH, RATE, DECAY, CLIP = 16, 1e-2, 1e-2, 1.0
EPSILON = 1e-5  # of torch's LayerNorm


def main() -> None:
    """Serve one file."""
    family, file, *heads = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with np.load(file) as held:
        data = dict(held)
    learnable = {name.removeprefix("parameter."): t for name, t in data.items() if name.startswith("parameter.")}
    train = trainer(dense if family == "dense" else partial(encoder, int(heads[0])))
    given = learnable, data["inputs"], data["outputs"], data["order"]
    train(*given)
    for _ in sys.stdin:
        start = time.perf_counter()
        losses = train(*given)
        print(time.perf_counter() - start, *losses.tolist(), flush=True)


def trainer(forward: Callable[[dict[str, Any], Any], Any]) -> Callable[..., np.ndarray]:
    """The training of R students by one network function: their mean losses over all steps, shape (R,)."""
    optimiser = optax.chain(optax.clip(CLIP), optax.adamw(RATE, weight_decay=DECAY))

    def student(learnable: Any, inputs: Any, outputs: Any, order: Any) -> Any:
        def step(state: Any, at: Any) -> Any:
            learnable, moments = state
            x, y = inputs[at], outputs[at]
            loss, gradients = jax.value_and_grad(lambda p: ((forward(p, x) - y) ** 2).mean())(learnable)
            change, moments = optimiser.update(gradients, moments, learnable)
            return (optax.apply_updates(learnable, change), moments), loss

        start = learnable, optimiser.init(learnable)
        state, losses = jax.lax.scan(step, start, order.reshape(-1, MINIBATCH))
        return losses.mean(), state[0]

    together = jax.jit(jax.vmap(student))
    return lambda *given: np.asarray(jax.block_until_ready(together(*given))[0])


def dense(p: dict[str, Any], x: Any) -> Any:
    """Residual layers norm(x + relu(W x + b)); shape (n, dim) to the same."""
    for k in range(sum(name.startswith("linear.") for name in p) // 2):
        x = _norm(p, f"norm.{k}", x + jax.nn.relu(_linear(p, f"linear.{k}", x)))
    return x


def encoder(heads: int, p: dict[str, Any], x: Any) -> Any:
    """Encoder layers, normalised after each sum; shape (n, sequence, d_model) to the same."""
    for k in range(sum(name.endswith("up.weight") for name in p)):

        def split(name: str, k: int = k, x: Any = x) -> Any:
            projected = x @ p[f"{k}.attention.{name}.weight"].T
            return projected.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)

        query, key, value = (split(name) for name in ("query", "key", "value"))
        weight = jax.nn.softmax(query @ key.swapaxes(2, 3) / jnp.sqrt(query.shape[-1]), -1)
        mixed = (weight @ value).swapaxes(1, 2).reshape(x.shape)
        x = _norm(p, f"{k}.norm_attention", x + _linear(p, f"{k}.attention.out", mixed))
        forward = _linear(p, f"{k}.down", jax.nn.relu(_linear(p, f"{k}.up", x)))
        x = _norm(p, f"{k}.norm_forward", x + forward)
    return x


def _linear(p: dict[str, Any], name: str, x: Any) -> Any:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _norm(p: dict[str, Any], name: str, x: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    scale = jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    return centred * scale * p[f"{name}.weight"] + p[f"{name}.bias"]


if __name__ == "__main__":
    main()
