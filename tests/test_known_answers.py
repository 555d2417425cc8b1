"""Contrasts of known answer through the whole path: the sign that short, untuned training gives, and the right one."""

from dataclasses import replace

import torch
from torch import nn

from archab import ArchitecturalSpace
from archab.cli.config import composed, resolved
from archab.comparison.comparison import Comparison
from archab.comparison.tuning import Tune
from archab.evidence.verdict import Verdict, judge
from archab.experiment.build import comparison
from archab.space.match import matched
from archab.space.routine import AdamW

DIM = 8
UNTUNED = AdamW(lr=1e-3, epochs=3, schedule="constant")
GRID = Tune({"lr": [3e-3, 1e-2, 3e-2]})


class Relu(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(DIM, hidden), nn.Linear(hidden, DIM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(torch.relu(self.up(x)))


class SwiGLU(nn.Module):
    """Shazeer 2020, arXiv:2002.05202, equation 6, with biases."""

    def __init__(self, hidden: int, scale: float = 1.0) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(DIM, hidden), nn.Linear(DIM, hidden), nn.Linear(hidden, DIM)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(nn.functional.silu(self.gate(x)) * self.up(x))


def answer(asked: Comparison) -> Verdict:
    return judge(asked.ready.study())


def test_a_gated_layer_wins_on_gated_functions_only_where_it_is_tuned_and_trained():
    a = ArchitecturalSpace(SwiGLU, {"hidden": 21}, [DIM], measure="parameter", routine=UNTUNED, name="SwiGLU")
    relu = ArchitecturalSpace(Relu, {"hidden": 1}, [DIM], measure="parameter", routine=UNTUNED, name="ReLU")
    b, _ = matched(relu, [a.size(0)], by="hidden")
    targets = ArchitecturalSpace(SwiGLU, {"hidden": 32, "scale": 2.0}, [DIM], measure="parameter", name="gated")
    assert abs(b.size(0) / a.size(0) - 1) < 0.01
    short = answer(Comparison(a, b, targets, targets=40, samples=256))
    assert short.verdict == "b_better"
    long = AdamW(steps=2000)
    a, b, targets = (replace(space, routine=long) for space in (a, b, targets))
    fair = answer(Comparison(a, b, targets, targets=16, samples=1024, tune=GRID))
    assert fair.verdict == "a_better"
    assert fair.gmr < 0.65
    assert [note.kind for note in fair.notes].count("tuned") == 1


def test_a_family_that_holds_every_target_wins_only_where_it_is_trained():
    rank = "space.a.members=[{rank: 5}]", "space.b.members=[{rank: 5}]"

    def asked(*typed: str) -> Verdict:
        return answer(comparison(resolved(composed(["+space=n_diagonal_original", *rank, *typed]))))

    short = asked("targets=200", "samples_per_measure=1")
    assert short.verdict == "b_better"
    trained = asked("targets=160", "tune.lr=[0.01,0.03,0.1]", "routine.epochs=50", "routine.schedule=cosine")
    assert trained.whole.ci_high < 1, "n-diagonal of rank 5 is the family of the targets: it must be ahead"
