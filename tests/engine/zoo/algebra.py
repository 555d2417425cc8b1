"""Layers that solve, factor, exponentiate or take the spectrum of small matrices."""

import torch
from torch import linalg, nn
from torch.nn.utils import parametrizations

from zoo.kind import of


class Matrix(nn.Module):
    """A learnt matrix, of 3 rows and as many columns unless asked otherwise."""

    def __init__(self, *shape):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape or (3, 3)))

    @property
    def one(self):
        return torch.eye(3, dtype=self.weight.dtype)

    @property
    def positive(self):
        return self.one + self.weight @ self.weight.mT


@of(3)
class Equilibrium(Matrix):
    """The state at which a linear recurrence stands still."""

    def forward(self, x):
        return linalg.solve(2 * self.one - self.weight.tanh() / 3, x.mT).mT


@of(3)
class Mixing(Matrix):
    """A flow's step by a matrix, its way back, and how it changes volumes."""

    def forward(self, x):
        return torch.cat([x @ self.weight, x @ linalg.inv(self.positive), linalg.slogdet(self.weight)[1] + x], -1)


@of(3)
class Volumes(Matrix):
    """Determinants of a matrix that each sample shifts."""

    def forward(self, x):
        return linalg.det(self.weight + torch.diag_embed(x)).unsqueeze(-1) + x


@of(3)
class GaussianProcess(Matrix):
    """The mean at a sample, given values at learnt points."""

    def __init__(self):
        super().__init__(4, 3)
        self.values = nn.Parameter(torch.randn(4, 2))

    def near(self, x):
        return (-(x.unsqueeze(1) - self.weight).square().sum(-1) / 4).exp()

    def forward(self, x):
        known = self.near(self.weight) + 0.1 * torch.eye(4, dtype=x.dtype)
        return self.near(x) @ torch.cholesky_solve(self.values, linalg.cholesky(known))


@of(3)
class Whitened(Matrix):
    """Samples in the units of a learnt covariance, by its factor and by one of ones on the diagonal."""

    def forward(self, x):
        first = linalg.solve_triangular(linalg.cholesky(self.positive), x.mT, upper=False).mT
        return linalg.solve_triangular(self.weight.tanh(), first, upper=True, left=False, unitriangular=True)


@of(3)
class GramSchmidt(Matrix):
    """An orthonormal basis of learnt vectors, and their coordinates in it."""

    def __init__(self):
        super().__init__(2, 4, 3)

    def forward(self, x):
        q, r = linalg.qr(self.weight)
        return ((x @ q.mT).sin() @ q @ r.tanh()).sum(0)


@of(3)
class Householder(nn.Module):
    """A weight of orthonormal columns, as torch makes them where there are more outputs than inputs."""

    def __init__(self):
        super().__init__()
        self.linear = parametrizations.orthogonal(nn.Linear(3, 5))

    def forward(self, x):
        return self.linear(x)


@of(3)
class OrthogonalByCayley(nn.Module):
    """A weight kept orthogonal by a quotient."""

    def __init__(self):
        super().__init__()
        self.linear = parametrizations.orthogonal(nn.Linear(3, 3), orthogonal_map="cayley")

    def forward(self, x):
        return self.linear(x)


@of(3)
class Rotating(nn.Module):
    """Each sample turned by a rotation of its own, some through many angles."""

    def __init__(self):
        super().__init__()
        self.field = nn.Linear(3, 9)

    def forward(self, x):
        a = 2 * self.field(x).view(-1, 3, 3)
        return (torch.matrix_exp(a - a.mT) @ x.unsqueeze(-1)).squeeze(-1)


@of(3)
class GraphFilter(Matrix):
    """A function of a learnt graph's Laplacian, by its spectrum, which is an output too."""

    def forward(self, x):
        edges = (self.weight + self.weight.mT).square()
        values, vectors = linalg.eigh(torch.diag(edges.sum(0)) - edges)
        return torch.cat([x @ (vectors * (-values).exp()) @ vectors.mT, x + values], -1)


@of(3)
class SoftRank(Matrix):
    """A matrix whose singular values are bounded."""

    def __init__(self):
        super().__init__(3, 4)

    def forward(self, x):
        u, values, vh = linalg.svd(self.weight, full_matrices=False)
        return x @ (u * values.tanh()) @ vh


@of(3, by="vmap")
class Embedded(Matrix):
    """Eigenvectors as they come, with signs that are LAPACK's alone."""

    def forward(self, x):
        return x @ linalg.eigh(self.positive)[1].sin()


@of(3)
class LeastSquares(Matrix):
    """The nearest combination of learnt columns."""

    def __init__(self):
        super().__init__(3, 2)

    def forward(self, x):
        return x @ linalg.pinv(self.weight).mT.tanh()


@of(3)
class Factored(Matrix):
    """A matrix by its own triangles, and a system that these solve."""

    def forward(self, x):
        p, lower, upper = linalg.lu(self.weight)
        return x @ p @ lower @ upper.tanh() + linalg.lu_solve(*linalg.lu_factor(self.positive), x.mT).mT
