"""Priors over functions against what defines them: covariances, degrees, frequencies, bends, boxes."""

import math

import numpy as np
import pytest
import torch
from scipy.special import gamma, kv

from archab.errors import ArchabError
from archab.targets.functions.causal import CausalModel
from archab.targets.functions.gaussian_process import GaussianProcess
from archab.targets.functions.pieces import PiecewiseLinear
from archab.targets.functions.polynomial import Polynomial
from archab.targets.functions.sines import Sines
from archab.targets.functions.tree import DecisionTree


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def matern(nu, r):
    """Rasmussen and Williams 2006, equation 4.14, with Bessel's function."""
    scaled = math.sqrt(2 * nu) * r
    return 1.0 if r == 0 else 2 ** (1 - nu) / gamma(nu) * scaled**nu * kv(nu, scaled)


@pytest.mark.parametrize("kernel", ["rbf", "matern12", "matern32", "matern52"])
def test_a_gaussian_process_has_the_covariance_of_its_kernel(kernel):
    x, scale = torch.tensor([[0.0, 0.0], [0.3, 0.1], [1.0, -1.0]]), 0.7
    values = GaussianProcess(kernel, scale, outputs=40_000)(x, draw())
    found = (values @ values.T / values.shape[1]).numpy()
    distances = torch.cdist(x, x).numpy() / (scale * math.sqrt(2))
    smooth = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5}
    wanted = np.vectorize(lambda r: matern(smooth[kernel], r) if kernel in smooth else math.exp(-(r**2) / 2))(distances)
    assert found == pytest.approx(wanted, abs=0.03)


def test_a_gaussian_process_takes_inputs_that_are_equal():
    values = GaussianProcess()(torch.ones(20, 3), draw())
    assert values.std() < 1e-2


def test_sines_hold_no_frequency_above_the_largest():
    x = torch.linspace(0, 16, 4097, dtype=torch.float64)[:-1, None]
    for seed in range(5):
        power = np.abs(np.fft.rfft(Sines(frequency=4, outputs=1)(x, draw(seed))[:, 0].numpy() * np.hanning(4096))) ** 2
        frequencies = np.fft.rfftfreq(4096, 16 / 4096)
        assert power[frequencies > 4.3].sum() < 1e-3 * power.sum()
        assert power[frequencies > 1].sum() > 0.01 * power.sum()


def test_a_polynomial_is_one_of_its_degree_and_of_no_lower_one():
    x = torch.randn(200, 2, dtype=torch.float64, generator=draw())
    y = Polynomial(degree=3)(x, draw(1)).numpy()
    for degree, fits in ((3, True), (2, False)):
        powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
        features = np.stack([x[:, 0].numpy() ** i * x[:, 1].numpy() ** j for i, j in powers], 1)
        left = y - features @ np.linalg.lstsq(features, y, rcond=None)[0]
        assert (np.abs(left).max() < 1e-9) == fits


def test_pieces_bend_where_a_line_meets_their_hyperplanes_and_nowhere_else():
    along = torch.linspace(-5, 5, 20_001, dtype=torch.float64)[:, None]
    line = along * torch.tensor([[0.6, 0.8]]) + torch.tensor([[0.1, -0.2]])
    for seed in range(5):
        y = PiecewiseLinear(pieces=6)(line, draw(seed))[:, 0]
        bends = (y[2:] - 2 * y[1:-1] + y[:-2]).abs() > 1e-9
        starts = int(bends[0]) + int((bends[1:] & ~bends[:-1]).sum())
        assert 1 <= starts <= 6


def test_a_tree_is_constant_on_boxes_along_the_axes():
    x = torch.randn(500, 3, dtype=torch.float64, generator=draw())
    y = DecisionTree(depth=3)(x, draw(2))[:, 0]
    boxes = {value: x[y == value] for value in y.unique().tolist()}
    assert 4 <= len(boxes) <= 8
    for value, held in boxes.items():
        inside = ((x >= held.amin(0)) & (x <= held.amax(0))).all(1)
        assert (y[inside] == value).all()
    labels = DecisionTree(depth=3, classes=3)(x, draw(2))
    assert set(labels.tolist()) <= {0, 1, 2}


def test_a_causal_model_hangs_on_its_inputs_alone():
    x = torch.randn(300, 4, dtype=torch.float64, generator=draw())
    for seed in range(5):
        y = CausalModel(variables=12, outputs=2)(x, draw(seed))
        assert torch.allclose(CausalModel(variables=12, outputs=2)(x[:10], draw(seed)), y[:10])
        assert y.shape == (300, 2)
    assert any(CausalModel()(x, draw(seed)).std() > 0.1 for seed in range(5))


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: GaussianProcess("cubic"), "target.kernel=cubic"),
        (lambda: GaussianProcess(scale=0), "target.scale=0"),
        (lambda: Sines(frequency=-1), "target.frequency=-1"),
        (lambda: Polynomial(degree=0), "target.degree=0"),
        (lambda: Polynomial(degree=9)(torch.zeros(2, 20), draw()), "monomials"),
        (lambda: PiecewiseLinear(pieces=0), "target.pieces=0"),
        (lambda: DecisionTree(depth=0), "target.depth=0"),
        (lambda: DecisionTree(classes=1), "target.classes=1"),
        (lambda: CausalModel(variables=1, outputs=2), "target.variables=1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(make, key):
    with pytest.raises(ArchabError, match=key):
        make()
