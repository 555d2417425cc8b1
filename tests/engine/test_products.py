"""Products and folds of a program of one student, against numpy: every way through `products.h`."""

import ctypes
from pathlib import Path

import numpy as np
import pytest

from archab.engine import cpp
from archab.engine.cpp import compiler

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler: install g++")
HEADER = (Path(cpp.__file__).parent / "products.h").read_text()

# Rows, columns and summands; which of the two factors, and the result, are held transposed; room beside each row.
PRODUCTS = [
    *((m, n, k, "", 0) for m, n, k in ((16, 64, 64), (1, 1, 1), (17, 33, 5), (3, 2, 100), (100, 7, 0), (0, 4, 4))),
    *((16, 48, 31, held, 3) for held in ("a", "b", "o", "ab", "ao", "bo", "abo")),
    (63, 16, 3000, "b", 0),  # more summands than are moved at once
    (5, 65, 3000, "abo", 1),
]
FOLDED = (1, 2, 3, 15, 16, 17, 64, 100)


def strides(rows: int, columns: int, transposed: bool, room: int) -> tuple[int, int]:
    return (1, rows + room) if transposed else (columns + room, 1)


def laid(memory: np.ndarray, shape: tuple[int, int], at: tuple[int, int]) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(memory, shape, [step * memory.itemsize for step in at])


@pytest.fixture(scope="module")
def library():
    text = [HEADER]
    for kind in ("float", "double"):
        for i, (m, n, k, held, room) in enumerate(PRODUCTS):
            each = strides(m, k, "a" in held, room), strides(k, n, "b" in held, room), strides(m, n, "o" in held, room)
            sizes = ", ".join(map(str, (1, 1, m, n, k, *each[0], *each[1], *each[2])))
            given = ", ".join(f"{kind}* {name}" for name in "abo")
            text.append(f'extern "C" void {kind}{i}({given}) {{ matmul<{sizes}>(a, b, o); }}')
        for join in ("Sum", "Largest", "Smallest"):
            calls = "".join(
                f"if (n == {n}) return folded<{join}, {n}>(a, [&](long i) {{ return x[i]; }});" for n in FOLDED
            )
            text.append(f'extern "C" {kind} {kind}{join}({kind} a, const {kind}* x, long n) {{ {calls} return 0; }}')
    return compiler.load("\n".join(text))


@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize("which", range(len(PRODUCTS)), ids=lambda i: "x".join(map(str, PRODUCTS[i])))
def test_a_product_is_numpys_and_writes_nothing_else(library, which, kind):
    m, n, k, held, room = PRODUCTS[which]
    dtype, rng = np.dtype(kind if kind == "double" else "float32"), np.random.default_rng(0)
    shapes = {"a": (m, k), "b": (k, n), "o": (m, n)}
    at = {name: strides(*shape, name in held, room) for name, shape in shapes.items()}
    memory = {
        name: rng.normal(size=1 + sum(s * t for s, t in zip(shape, at[name], strict=True))).astype(dtype)
        for name, shape in shapes.items()
    }
    a, b = (laid(memory[name], shapes[name], at[name]) for name in "ab")
    wanted = memory["o"].copy()
    laid(wanted, shapes["o"], at["o"])[...] = a.astype(float) @ b.astype(float)
    getattr(library, f"{kind}{which}")(*(ctypes.c_void_p(memory[name].ctypes.data) for name in "abo"))
    tolerance = (1e-5 if kind == "float" else 1e-13) * max(1, k) ** 0.5
    np.testing.assert_allclose(memory["o"], wanted, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize("join", ["Sum", "Largest", "Smallest"])
@pytest.mark.parametrize("n", FOLDED)
def test_a_fold_is_numpys_and_nan_goes_through(library, n, join, kind):
    number = ctypes.c_float if kind == "float" else ctypes.c_double
    fold = getattr(library, f"{kind}{join}")
    fold.restype, fold.argtypes = number, [number, ctypes.c_void_p, ctypes.c_long]
    reduce = {"Sum": np.sum, "Largest": np.max, "Smallest": np.min}[join]
    x = np.random.default_rng(n).normal(size=n).astype(np.dtype(number))
    assert fold(0.25, x.ctypes.data, n) == pytest.approx(reduce(np.append(x, x.dtype.type(0.25))), rel=1e-5, abs=1e-6)
    x[n // 2] = np.nan
    assert np.isnan(fold(0.25, x.ctypes.data, n))
