"""Linear algebra in programs: values and gradients of every operation against torch's own."""

from functools import partial

import pytest
import torch
from test_compiled import THREE, program_of, sample_of, weight
from torch import linalg, nn

from archab.engine.compiled import Block, fit
from archab.engine.cpp import compiler
from archab.engine.cpp.kernels import NoRule
from archab.networks import population

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler: install g++")


def positive(w):
    return w @ w.mT + torch.eye(w.shape[-1], dtype=w.dtype)


def skew(w):
    return w - w.mT


def of_symmetric(function, decompose, w):
    """A function of a matrix by its spectrum: the same whatever the signs of vectors are."""
    values, vectors = decompose(positive(w))
    return vectors @ torch.diag_embed(function(values)) @ vectors.mT


def of_singular(w):
    u, values, vh = linalg.svd(w, full_matrices=False)
    return (u * values.tanh().unsqueeze(-2)) @ vh


def solved_by_factors(left, adjoint, w):
    factors, pivots = linalg.lu_factor(w)
    return linalg.lu_solve(factors, pivots, 1 + w.mT, left=left, adjoint=adjoint)


def unpacked(w):
    p, lower, upper = torch.lu_unpack(*linalg.lu_factor(w))
    return p @ lower.square() @ upper.sin()


def in_parts(decompose, w):
    return torch.cat([(k + 1.0) * part.flatten().sin() for k, part in enumerate(decompose(w))])


def triangular(upper, left, unit, w):
    return linalg.solve_triangular(w, w.mT.cos(), upper=upper, left=left, unitriangular=unit)


def by_factor(upper, solve, w):
    return solve(linalg.cholesky(positive(w), upper=upper), upper)


SQUARE, BATCH, TALL, WIDE = (4, 4), (2, 3, 3), (5, 3), (3, 5)
OPERATIONS = {
    "solve": (SQUARE, lambda w: linalg.solve(w, w.cos())),
    "solve of batches": (BATCH, lambda w: linalg.solve(w, w[0].cos()) + linalg.solve(w[1], w.cos(), left=False)),
    "solve of vectors": (SQUARE, lambda w: linalg.solve(w.mT, w[0]) + linalg.solve(w, w[:, 1])),
    "solve by factors": (SQUARE, lambda w: solved_by_factors(True, False, w) + solved_by_factors(False, False, w)),
    "solve by factors, adjoint": (
        BATCH,
        lambda w: solved_by_factors(True, True, w) + solved_by_factors(False, True, w),
    ),
    "inv": (SQUARE, linalg.inv),
    "inv of a batch": (BATCH, lambda w: linalg.inv(w.mT)),
    "matrix_power": (BATCH, lambda w: linalg.matrix_power(w, 3) + linalg.matrix_power(w, -2)),
    "det": (SQUARE, linalg.det),
    "det of a batch": (BATCH, lambda w: linalg.det(w.mT)),
    "slogdet": (BATCH, lambda w: linalg.slogdet(w)[0] * linalg.slogdet(w)[1]),
    "logdet": (BATCH, lambda w: torch.logdet(positive(w))),
    "lu": (SQUARE, partial(in_parts, linalg.lu)),
    "lu of more columns": (WIDE, partial(in_parts, linalg.lu)),
    "lu of more rows": (TALL, partial(in_parts, linalg.lu)),
    "lu_unpack": (BATCH, unpacked),
    "cholesky": (SQUARE, lambda w: linalg.cholesky(positive(w))),
    "cholesky above": (BATCH, lambda w: linalg.cholesky(positive(w), upper=True)),
    "cholesky_solve": (SQUARE, partial(by_factor, False, lambda c, u: torch.cholesky_solve(c.cos(), c, u))),
    "cholesky_solve above": (BATCH, partial(by_factor, True, lambda c, u: torch.cholesky_solve(c.cos(), c, u))),
    "cholesky_inverse": (SQUARE, partial(by_factor, False, torch.cholesky_inverse)),
    "cholesky_inverse above": (SQUARE, partial(by_factor, True, torch.cholesky_inverse)),
    "triangular": (SQUARE, lambda w: triangular(False, True, False, w) + triangular(True, False, False, w)),
    "triangular of ones": (BATCH, lambda w: triangular(True, True, True, w) + triangular(False, False, True, w)),
    "qr": (SQUARE, partial(in_parts, linalg.qr)),
    "qr of more rows": ((2, *TALL), partial(in_parts, linalg.qr)),
    "qr of more columns": (WIDE, lambda w: linalg.qr(w)[0].sin()),
    "matrix_exp": (SQUARE, lambda w: torch.matrix_exp(skew(w))),
    "matrix_exp of large and small": (BATCH, lambda w: torch.matrix_exp(skew(w) * torch.tensor([[[9.0]], [[0.01]]]))),
    "eigh": (SQUARE, partial(of_symmetric, torch.log, linalg.eigh)),
    "eigh of the other triangle": (BATCH, partial(of_symmetric, torch.sin, partial(linalg.eigh, UPLO="U"))),
    "eigvalsh": (BATCH, lambda w: linalg.eigvalsh(skew(w).square() + w)),
    "svd": (SQUARE, of_singular),
    "svd of more rows": (TALL, of_singular),
    "svd of more columns": ((2, *WIDE), of_singular),
    "svdvals": (WIDE, linalg.svdvals),
    "norms": (TALL, lambda w: torch.stack([linalg.matrix_norm(w, "nuc"), linalg.matrix_norm(w, 2), linalg.cond(w)])),
    "pinv": (TALL, linalg.pinv),
    "pinv of more columns": ((2, *WIDE), linalg.pinv),
    "pinv of a symmetric one": (SQUARE, lambda w: linalg.pinv(positive(w), hermitian=True)),
    "householder_product": (TALL, lambda w: linalg.householder_product(w, w[0])),
}


# One of each algorithm; all of them take half a minute.
DAILY = ["solve of batches", "det", "slogdet", "cholesky above", "triangular", "qr of more rows", "matrix_exp"]
DAILY += ["eigh", "svd", "pinv", "householder_product"]


@pytest.mark.parametrize(
    "names", [pytest.param(DAILY, id="daily"), pytest.param(list(OPERATIONS), id="all", marks=pytest.mark.slow)]
)
def test_values_and_gradients_are_torchs_in_float64_and_a_student_s_own(names):
    def values(n):
        return [OPERATIONS[name][1](w).flatten() for name, w in zip(names, n.w, strict=True)]

    def run(n, x):
        return x.sum(-1, keepdim=True) * torch.cat(values(n))

    parts = {"w": lambda: nn.ParameterList([weight(*OPERATIONS[name][0])() for name in names])}
    sample = sample_of(run, parts, THREE)
    program, cohort = program_of(sample), sample.cohort(1)
    x, y = cohort.inputs.double(), cohort.outputs.double()
    block = fit(cohort, program, cohort.students())
    answers = Block(program, cohort.students(), cohort.noise).answers(x, y)
    for i, network in enumerate(sample.networks[: len(x)]):
        alone = Block(program, population.of([network]), [0]).answers(x[i : i + 1], y[:1])
        assert torch.equal(alone[0], answers[i])
        predicted = network.train()(x[i])
        (predicted - y[i]).square().mean().backward()
        sizes = [len(piece) for piece in values(network)]
        pieces = zip(names, answers[i].split(sizes, -1), predicted.detach().split(sizes, -1), network.w, strict=True)
        for k, (name, found, wanted, w) in enumerate(pieces):
            slope = torch.from_numpy(block.gradient(f"w.{k}")[i].copy()).view(w.shape)
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9, msg=lambda m, name=name: f"{name}: {m}")
            torch.testing.assert_close(
                slope, w.grad, rtol=1e-8, atol=1e-9, msg=lambda m, name=name: f"gradient of {name}: {m}"
            )


def test_large_matrices_have_no_rule():
    with pytest.raises(NoRule, match="33 × 33"):
        program_of(sample_of(lambda n, x: x + linalg.det(n.w), {"w": weight(33, 33)}, THREE))
