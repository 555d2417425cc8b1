"""Programs give what torch gives at zeros, infinities, NaN and the ends of the range, not only on ordinary numbers."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archab.engine.compiled import Compiled, answerer, write
from archab.engine.cpp import compiler
from archab.engine.loss import SquaredError
from archab.networks import population
from archab.space.routine import AdamW

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")

EDGES = (-1.0, 0.0, 1.0)
ONE = (
    "exp log sin cos tanh erf expm1 log1p sqrt floor ceil trunc atan sinh cosh acos asin acosh asinh atanh log2 log10 "
    "exp2 erfc lgamma digamma erfinv abs sign neg relu reciprocal rsqrt sigmoid round square frac signbit isnan isinf "
    "isfinite nan_to_num sinc"
)
TWO = "add sub mul div atan2 hypot maximum minimum fmax fmin pow floor_divide logaddexp copysign xlogy eq lt le"
OF_ONE = {name: getattr(torch, name) for name in ONE.split()} | {
    "softplus": F.softplus,
    "elu": F.elu,
    "hardswish": F.hardswish,
    "logsigmoid": F.logsigmoid,
    "softsign": F.softsign,
    "hardshrink": F.hardshrink,
    "leaky_relu": F.leaky_relu,
    **{f"x ** {p}": lambda x, p=p: x**p for p in (-1, -0.5, 0, 0.5, 1.5, 2, 3)},
    "x // -3": lambda x: x // -3,
    "clamp": lambda x: x.clamp(-1, 1),
    "bucketize": lambda x: torch.bucketize(x, torch.tensor(EDGES, dtype=x.dtype)),
    "x > 0": lambda x: x > 0,
    "x >= 0": lambda x: x >= 0,
    "x != x": lambda x: x != x,
}
OF_TWO = {name: getattr(torch, name) for name in TWO.split()}


class Side(nn.Module):
    """Several functions of the same inputs, side by side, times a weight of one."""

    def __init__(self, functions, precision):
        super().__init__()
        self.weight, self.functions = nn.Parameter(torch.ones(1, dtype=precision)), functions

    def forward(self, x: Tensor) -> Tensor:
        arguments = x.unbind(-1)
        return torch.stack([f(*arguments).to(x.dtype) for f in self.functions], -1) * self.weight


@pytest.mark.parametrize("precision", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("functions", [OF_ONE, OF_TWO], ids=["of one number", "of two numbers"])
def test_every_function_is_torchs_own_there(functions, precision):
    ends = torch.finfo(precision)
    values = [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 5.1, 20.0, 1e-5, 1e10, math.inf]
    values += [ends.max, ends.tiny, ends.eps, 1 + ends.eps]
    values = torch.tensor([*values, *(-v for v in values), math.nan], dtype=precision)
    given = values[:, None] if functions is OF_ONE else torch.cartesian_prod(values, values)
    network = Side(list(functions.values()), precision)
    ordinary = torch.rand(8, given.shape[1], dtype=precision)
    source = write(network, AdamW(), ordinary, network(ordinary).detach(), SquaredError())
    program = Compiled(source, compiler.load(source.text), 1)
    found = answerer(program, (len(functions),))(population.of([network]), given[None])[0]
    with torch.no_grad():
        wanted = network(given).double()
    rounding = 1e-11 if precision == torch.float64 else 2e-5
    off = ~torch.isclose(found, wanted, rtol=rounding, atol=4 * ends.tiny, equal_nan=True)
    assert not [
        f"{list(functions)[k]} of {given[i].tolist()} is {found[i, k]}, not {wanted[i, k]}" for i, k in off.nonzero()
    ]
