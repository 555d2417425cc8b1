"""Rules for the linear algebra of small matrices: calls of linalg.h for every matrix of a batch, with LAPACK's signs.

The signs of eigenvectors and of singular vectors are no one's: a network that they change is found by the check.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from archab.engine.cpp.kernels import A, NoRule, Program, place, rule
from archab.engine.cpp.lanes import Buffer, Raw, Text, View, number

LARGEST = 32  # rows and columns; of an exponential twice that, since its gradient is one of twice its size


@rule(A.linalg_lu_factor_ex.default)
def lu_factor(program: Program, node: fx.Node, a: Any, pivot: bool = True, check_errors: bool = False) -> list[Any]:
    factors, pivots, info = _outputs(node)
    _factored(program, _matrix(program, a), factors, pivots, pivot)
    return [factors, pivots, info]


@rule(A.linalg_lu.default)
def lu(program: Program, node: fx.Node, a: Any, pivot: bool = True) -> list[View]:
    view = _matrix(program, a)
    m, n = view.shape[-2:]
    factors, pivots = _scratch(view, m, n), _scratch(view, min(m, n), 1, torch.int32)
    return _unpacked(program, node, _factors(view, pivot), a=view, f=factors, i=pivots)


@rule(A.lu_unpack.default)
def lu_unpack(program: Program, node: fx.Node, factors: Any, pivots: Any, *_: Any, **__: Any) -> list[View]:
    places = program.stored(pivots, lanes=True)
    return _unpacked(program, node, "", f=_matrix(program, factors), i=_column(places))


def _unpacked(program: Program, node: fx.Node, first: str, **views: View) -> list[View]:
    """The permutation and both triangles of factors f and pivots i, which `first` makes; what is not asked is empty."""
    p, lower, upper = outs = _outputs(node)
    m, n = views["f"].shape[-2:]
    k = min(m, n)
    texts = {
        "p": (p, f"identity<{m}, {m}>(p); permute<{m}, {m}, {k}, true>(i, p);"),
        "l": (lower, f"triangle<{m}, {k}, false, true>(f, l);"),
        "u": (upper, f"triangle<{k}, {n}, true, false>(f, u);"),
    }
    asked = {name: one for name, one in texts.items() if math.prod(one[0].shape)}
    text = " ".join([first, *(text for _, text in asked.values())])
    _call(program, text, outs, **views, **{name: out for name, (out, _) in asked.items()})
    return outs


@rule(A.linalg_lu_solve.default)
def lu_solve(
    program: Program, node: fx.Node, factors: Any, pivots: Any, b: Any, left: bool = True, adjoint: bool = False
) -> View:
    out = program.fresh(node, node.meta["val"].dtype, True)
    view, places = _matrix(program, factors), program.stored(pivots, lanes=True)
    _solved(program, view, places, program.stored(b, lanes=True), out, left, adjoint)
    return out


@rule(A._linalg_solve_ex.default)
def solve(program: Program, node: fx.Node, a: Any, b: Any, left: bool = True, check_errors: bool = False) -> list[Any]:
    out, factors, pivots, _ = outs = _outputs(node)
    view, given, seen = _matrix(program, a), program.stored(b, lanes=True), out
    turned = _turned(node)
    _factored(program, _transposed(view) if turned else view, factors, pivots)
    if len(given.shape) == 1 or given.shape == view.shape[:-1]:
        given, seen = _column(given), _column(out)
    _solved(program, factors, pivots, given, seen, left, turned)
    return outs


def _factored(program: Program, a: View, factors: View, pivots: View, pivot: bool = True) -> None:
    m, n = a.shape[-2:]
    text = f"{_factors(a, pivot)} copy<{m}, {n}>(f, x);"
    _call(program, text, [factors, pivots], a=a, f=_scratch(a, m, n), x=factors, i=_column(pivots))


def _factors(a: View, pivot: bool = True) -> str:
    """Of a, the factors f and pivots i."""
    if not pivot:
        raise NoRule("LU factors without pivots")
    m, n = a.shape[-2:]
    return f"copy<{m}, {n}>(a, f); lu<{m}, {n}>(f, i);"


def _solved(program: Program, factors: View, pivots: View, b: View, out: View, left: bool, transposed: bool) -> None:
    seen = out
    if not left:
        b, seen, transposed = _transposed(b), _transposed(out), not transposed
    n, k = seen.shape[-2:]
    flag = str(transposed).lower()
    text = f"copy<{n}, {k}>(b, work); lu_solve<{n}, {k}, {flag}>(f, i, work); copy<{n}, {k}>(work, x);"
    _call(program, text, [out], f=factors, i=_column(pivots), b=b, work=_scratch(seen, n, k), x=seen)


@rule(A.linalg_inv_ex.default)
def inverse(program: Program, node: fx.Node, a: Any, check_errors: bool = False) -> list[Any]:
    out, info = _outputs(node)
    view = _matrix(program, a)
    n = view.shape[-1]
    factors, pivots = _scratch(view, n, n), _scratch(view, n, 1, torch.int32)
    text = f"{_factors(view)} identity<{n}, {n}>(x); lu_solve<{n}, {n}, false>(f, i, x);"
    _call(program, text, [out], a=view, f=factors, i=pivots, x=out)
    return [out, info]


@rule(A._linalg_det.default, A._linalg_slogdet.default)
def determinant(program: Program, node: fx.Node, a: Any) -> list[View]:
    *found, factors, pivots = outs = _outputs(node)
    view = _matrix(program, a)
    view = _transposed(view) if _turned(node) else view
    function = "determinant" if len(found) == 1 else "log_determinant"
    text = f"{_factors(view)} {function}<{view.shape[-1]}>(f, i, d, size);"
    # A determinant has no size beside it.
    numbers = dict(zip(("d", "size"), [_column(_column(v)) for v in (found[0], found[-1])], strict=True))
    _call(program, text, outs, a=view, f=factors, i=_column(pivots), **numbers)
    return outs


@rule(A.linalg_cholesky_ex.default)
def cholesky(program: Program, node: fx.Node, a: Any, upper: bool = False, check_errors: bool = False) -> list[Any]:
    out, info = _outputs(node)
    view, seen = _matrix(program, a), out
    if upper:
        view, seen = _transposed(view), _transposed(out)
    _call(program, f"cholesky<{view.shape[-1]}>(a, x);", [out], a=view, x=seen)
    return [out, info]


@rule(A.cholesky_solve.default)
def cholesky_solve(program: Program, node: fx.Node, b: Any, a: Any, upper: bool = False) -> View:
    out = program.fresh(node, node.meta["val"].dtype, True)
    view = _matrix(program, a)
    n, k = out.shape[-2:]
    text = f"copy<{n}, {k}>(b, x); cholesky_solve<{n}, {k}>(a, x);"
    view = _transposed(view) if upper else view
    _call(program, text, [out], a=view, b=program.stored(b, lanes=True), x=out)
    return out


@rule(A.cholesky_inverse.default)
def cholesky_inverse(program: Program, node: fx.Node, a: Any, upper: bool = False) -> View:
    out = program.fresh(node, node.meta["val"].dtype, True)
    view = _matrix(program, a)
    n = view.shape[-1]
    text = f"identity<{n}, {n}>(x); cholesky_solve<{n}, {n}>(a, x);"
    _call(program, text, [out], a=_transposed(view) if upper else view, x=out)
    return out


@rule(A.linalg_solve_triangular.default)
def solve_triangular(
    program: Program, node: fx.Node, a: Any, b: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> View:
    out = program.fresh(node, node.meta["val"].dtype, True)
    view, given, seen = _matrix(program, a), program.stored(b, lanes=True), out
    if not left:
        view, given, seen, upper = _transposed(view), _transposed(given), _transposed(out), not upper
    n, k = seen.shape[-2:]
    flags = ", ".join(str(flag).lower() for flag in (upper, unitriangular))
    text = f"copy<{n}, {k}>(b, x); solve_triangular<{n}, {k}, {flags}>(a, x);"
    _call(program, text, [out], a=view, b=given, x=seen)
    return out


@rule(A.linalg_qr.default)
def qr(program: Program, node: fx.Node, a: Any, mode: str = "reduced") -> list[View]:
    view = _matrix(program, a)
    q, r = outs = _outputs(node)
    m, n = view.shape[-2:]
    k = min(m, n)
    text = f"""copy<{m}, {n}>(a, work);
        reflectors<{m}, {n}>(work, t);
        triangle<{r.shape[-2]}, {n}, true, false>(work, r);"""
    views = {"a": view, "work": _transposed(_scratch(view, n, m)), "t": _scratch(view, k, 1), "r": r}
    if mode != "r":
        text += f"product<{m}, {q.shape[-1]}, {k}>(work, t, q);"
        views["q"] = q
    _call(program, text, outs, **views)
    return outs


@rule(A.linalg_householder_product.default)
def householder_product(program: Program, node: fx.Node, a: Any, taus: Any) -> View:
    out = program.fresh(node, node.meta["val"].dtype, True)
    factors = _column(program.stored(taus, lanes=True))
    m, n = out.shape[-2:]
    text = f"product<{m}, {n}, {factors.shape[-2]}>(a, t, q);"
    _call(program, text, [out], a=_matrix(program, a), t=factors, q=out)
    return out


@rule(A.linalg_matrix_exp.default)
def exponential(program: Program, node: fx.Node, a: Any) -> View:
    out = program.fresh(node, node.meta["val"].dtype, True)
    view = _matrix(program, a, 2 * LARGEST)
    n = view.shape[-1]
    _call(program, f"exponential<{n}>(a, work, x);", [out], a=view, work=_scratch(view, 6 * n, n), x=out)
    return out


@rule(A._linalg_eigh.default)
def eigh(program: Program, node: fx.Node, a: Any, uplo: str = "L", compute_v: bool = True) -> list[View]:
    view = _matrix(program, a)
    values, vectors = outs = _outputs(node)
    n = view.shape[-1]
    text = f"mirror<{n}>(a, work); eigh<{n}>(work, w, v);"
    seen = vectors if compute_v else _scratch(view, n, n)
    view = view if uplo.upper() == "L" else _transposed(view)
    _call(program, text, outs, a=view, work=_scratch(view, n, n), w=_column(values), v=seen)
    return outs


@rule(A._linalg_svd.default)
def svd(
    program: Program, node: fx.Node, a: Any, full_matrices: bool = False, compute_uv: bool = True, **_: Any
) -> list[View]:
    view = _matrix(program, a)
    u, values, vh = outs = _outputs(node)
    k = min(view.shape[-2:])
    left, right = (u, _transposed(vh)) if compute_uv else (_scratch(view, s, k) for s in view.shape[-2:])
    if view.shape[-2] < view.shape[-1]:
        view, left, right = _transposed(view), right, left
    m, n = view.shape[-2:]
    text = _svd(view, left, f"copy<{m}, {n}>")
    _call(program, text, outs, **_working(view), u=left, w=_column(values), v=right)
    return outs


def _svd(a: View, u: View, copy: str) -> str:
    """Of a, at least as tall as wide, the values w and the vectors u and v, in columns."""
    m, n = a.shape[-2:]
    return f"{copy}(a, work); svd<{m}, {n}, {u.shape[-1]}>(work, t, u, w, v);"


def _working(a: View) -> dict[str, View]:
    m, n = a.shape[-2:]
    return {"a": a, "work": _transposed(_scratch(a, n, m)), "t": _scratch(a, n, 1)}


@rule(A.linalg_pinv.atol_rtol_tensor)
def pseudoinverse(
    program: Program, node: fx.Node, a: Any, atol: Any = None, rtol: Any = None, hermitian: bool = False
) -> View:
    out = program.fresh(node, node.meta["val"].dtype, True)
    view, seen = _matrix(program, a), out
    absolute, relative = _bound(atol), _bound(rtol)
    if rtol is None and not absolute:
        relative = max(view.shape[-2:]) * torch.finfo(view.dtype).eps
    if view.shape[-2] < view.shape[-1]:
        view, seen = _transposed(view), _transposed(out)
    m, n = view.shape[-2:]
    u, v, values = (_scratch(view, *size) for size in ((m, n), (n, n), (n, 1)))
    bounds = ", ".join(number(bound, torch.float64) for bound in (absolute, relative))
    first = _svd(view, u, f"mirror<{n}>" if hermitian else f"copy<{m}, {n}>")
    text = f"{first} pseudoinverse<{m}, {n}>(u, w, v, {bounds}, x);"
    _call(program, text, [out], **_working(view), u=u, v=v, w=values, x=seen)
    return out


def _bound(given: Any) -> float:
    if given is None:
        return 0.0
    if isinstance(given, Tensor) and given.numel() == 1:
        return float(given)
    raise NoRule("a pseudoinverse whose bound hangs on data")


# What the rules share


def _matrix(program: Program, given: Any, largest: int = LARGEST) -> View:
    """A matrix, or a batch of them, in memory.

    Raises:
        NoRule: where it is too large, or empty.
    """
    view = program.stored(given, lanes=True)
    m, n = view.shape[-2:]
    if not 0 < min(m, n) <= max(m, n) <= largest:
        raise NoRule(f"linear algebra of a {m} × {n} matrix: of 1 to {largest} rows and columns alone")
    return view


def _outputs(node: fx.Node) -> list[Any]:
    """Memory for each of a node's results, as torch lays them out; zeros for what says that all went well."""
    returns = node.target._schema.returns  # type: ignore[union-attr]
    return [
        torch.zeros(seen.shape, dtype=seen.dtype)
        if returned.name == "info"
        else View(Buffer(seen.dtype, True, seen.numel()), tuple(seen.shape), tuple(seen.stride()))
        for seen, returned in zip(node.meta["val"], returns, strict=True)
    ]


def _scratch(like: View, rows: int, columns: int, dtype: torch.dtype | None = None) -> View:
    """Memory of one matrix, row by row, for all of a batch in turn."""
    batch = like.shape[:-2]
    buffer = Buffer(dtype or like.dtype, True, rows * columns)
    return View(buffer, (*batch, rows, columns), (*[0] * len(batch), columns, 1))


def _column(view: View) -> View:
    return view.through(lambda t: t.unsqueeze(-1))


def _transposed(view: View) -> View:
    return view.through(lambda t: t.mT)


def _turned(node: fx.Node) -> bool:
    """Whether torch factors the transposed matrix, which it does where that is in LAPACK's order."""
    given: Any = node.args[0]
    return bool(given.meta["val"].is_contiguous())


def _call(program: Program, text: str, written: Sequence[View], **views: View) -> None:
    """Add C that names matrices (of one row or column, too), for each of the batch that they make together."""
    batch = tuple(torch.broadcast_shapes(*(v.shape[:-2] for v in views.values())))
    placed = {name: v.expanded((*batch, *v.shape[-2:])) for name, v in views.items()}

    def body(kernel: Text, names: list[str]) -> list[str]:
        lines = ["using namespace linalg;"]
        for name, v in placed.items():
            at = place(View(v.buffer, batch, v.strides[:-2], v.offset), names)
            down, right = v.strides[-2:]
            lines.append(f"auto {name} = matrix<{down}, {right}>({kernel.name(v.buffer)} + {at});")
        return [*lines, text]

    touched = {v.buffer: v for v in placed.values()}
    program.add(Raw(batch, tuple(touched.values()), body), *written)
