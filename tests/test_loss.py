"""Losses: what students minimise and are scored by, the same in every engine, relative to the best constant."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import family
from scipy.optimize import minimize_scalar
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.engine import loss as losses
from archab.engine.loss import AbsoluteError, Huber, Own, SquaredError, constants
from archab.engine.plan import Compiled, Loop, Vmap
from archab.errors import ArchabError
from archab.space.routine import AdamW


def log_cosh(predictions: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    off = predictions - outputs
    return off + nn.functional.softplus(-2 * off) - np.log(2)


LOSSES = {"mse": SquaredError(), "mae": AbsoluteError(), "huber": Huber(0.5), "own": Own(log_cosh)}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_best_constant_is_the_one_that_scipy_finds(loss):
    outputs = torch.randn(3, 101, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).exp()
    for target, found in zip(outputs, loss.constant(outputs), strict=True):
        best = [
            minimize_scalar(
                lambda c, y=y: float(loss.each(torch.full_like(y, c), y).mean()),
                bounds=(float(y.min()), float(y.max())),
                method="bounded",
                options={"xatol": 1e-10},
            ).fun
            for y in target.T
        ]
        assert float(found) == pytest.approx(np.mean(best), rel=1e-8)
        assert float(loss.constant(target, 0)) == pytest.approx(float(found), rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("targets", [1, 2, 3, 17])
def test_constants_are_the_same_to_the_bit_however_many_are_found_together(loss, targets, monkeypatch):
    outputs = torch.randn(17, 40, 3, generator=torch.Generator().manual_seed(0))
    whole = loss.constant(outputs)[:targets]
    monkeypatch.setattr(losses, "AT_ONCE", 40 * 3 * 5)
    assert torch.equal(constants(loss, outputs[:targets]), whole)


@pytest.mark.parametrize("name", ["mae", "huber", "own"])
@pytest.mark.parametrize("kind", ["dense", "lora"])
def test_rows_of_every_engine_are_those_of_the_loop(name, kind):
    def table(engine):
        sides = (family(kind, routine=AdamW(lr=1e-2, epochs=2)), family("n_diagonal", routine=AdamW(lr=1e-2, epochs=2)))
        given = {"targets": 5, "samples": 48, "heldout_samples": 40, "loss": LOSSES[name], "engine": engine}
        asked = Comparison(*sides, family("dense"), **given)
        assert {method.engine for method in asked.plan.methods.values()} == {type(engine).__name__.lower()}
        return asked.table()

    alone = table(Loop())
    assert alone["nmse"].between(0.05, 2).all()
    squared = Comparison(family(kind), family("n_diagonal"), family("dense"), targets=5, samples=48, heldout_samples=40)
    assert not np.allclose(squared.table()["nmse"], alone["nmse"], rtol=0.01)
    for engine in (Vmap(), Compiled()):
        pd.testing.assert_frame_equal(table(engine), alone, rtol=2e-4)


class Zero(nn.Module):
    """Answers 0, whatever it is asked, until it is trained."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 5))

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize("engine", [Loop(), Vmap(), Compiled()], ids=["loop", "vmap", "compiled"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_student_that_answers_0_has_the_mean_error_of_0_over_that_of_the_best_constant(name, engine):
    loss, still = LOSSES[name], AdamW(lr=0.0, epochs=1, weight_decay=0.0)
    zero = ArchitecturalSpace(Zero, {}, [5], routine=still, name="zero")
    asked = Comparison(zero, zero, family("dense"), targets=3, samples=32, heldout_samples=50, loss=loss, engine=engine)
    [part] = asked.plan.parts
    targets = asked.plan.lessons[0, "reference"].source.draw(part.first, part.last)
    y = targets.heldout_outputs.double()
    wanted = loss.each(torch.zeros_like(y), y).mean((1, 2)) / loss.constant(y)
    found = asked.table().query("side == 'a'").sort_values("draw")["nmse"]
    assert found.to_numpy() == pytest.approx(wanted.numpy(), rel=1e-6)
    assert (wanted > 1 - 1e-9).all()


class Averaged(SquaredError):
    def each(self, predictions, outputs):
        return super().each(predictions, outputs).mean()


class Mixed(SquaredError):
    def each(self, predictions, outputs):
        return super().each(predictions, outputs) / predictions.abs().max()


class Signed(SquaredError):
    def each(self, predictions, outputs):
        return predictions - outputs


class Crooked(SquaredError):
    def constant(self, outputs, axis=1):
        return outputs.sum()


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("mea", "loss='mea': mse, mae, huber, cross_entropy, binary_cross_entropy, an object"),
        (Averaged(), r"squared error gave \(\) for numbers of shape \(2, 3, 2\); an error of each number is needed"),
        (Mixed(), "mixes numbers"),
        (Signed(), "at least 0, and 0 where the prediction is right"),
        (Crooked(), "the constant of squared error is .* of 2 targets"),
        (Own(lambda p, y: p.missing), "failed on numbers of shape"),
        (lambda p, y: (p - y).square() if (p - y).abs().max() < 1 else (p - y).abs(), "mixes numbers"),
        (lambda p, y: (p - y).abs().sqrt(), "is not convex"),
        (lambda p, y: (p - y) * float("nan"), "must be finite"),
        (lambda p, y: (p - y).square().detach(), "no gradient"),
        (lambda p, y: None, "gave NoneType; a tensor"),
        (lambda p, y: (p - y).square().long(), "gave torch.int64; a tensor"),
    ],
)
def test_what_is_no_loss_is_refused_in_one_line(loss, said):
    with pytest.raises(ArchabError, match=said):
        Comparison(family("dense"), family("lora"), family("dense"), loss=loss)


SHORT = (
    "+space=n_diagonal_original", "space.a.members=[{rank: 2}]", "space.b.members=[{rank: 2}]", "targets=6",
    "samples=32", "heldout_samples=32", "routine.epochs=1", "engine=loop", "control=false",
)  # fmt: skip


def test_the_command_trains_by_a_loss_says_it_and_keeps_it_apart(command, tmp_path, capfd):
    from archab.cli import compare

    squared, absolute = command(*SHORT), command(*SHORT, "loss=mae")
    assert (squared.code, absolute.code) == (0, 0), absolute.err
    said = "Trained and scored by the absolute error, relative to that of the best constant."
    assert said in " ".join(absolute.out.replace("|", " ").split())
    assert "Trained and scored" not in squared.out
    assert len(list(tmp_path.glob(".archab/*"))) == 2
    assert "finished before" in command(*SHORT, "loss=mae").out
    capfd.readouterr()
    assert (
        compare.main(["--space", "n_diagonal_original", "--where", "loss._target_=archab.engine.loss.AbsoluteError"])
        == 0
    )
    assert said in " ".join(capfd.readouterr().out.replace("|", " ").split())


def test_the_command_takes_a_function_and_refuses_what_is_no_loss(command, tmp_path):
    (tmp_path / "configs" / "loss").mkdir(parents=True)
    for name, target in (("log_cosh", "test_loss.log_cosh"), ("averaged", "torch.nn.functional.l1_loss")):
        (tmp_path / "configs" / "loss" / f"{name}.yaml").write_text(f"_target_: {target}\n")
    own = command("--config-dir", "configs", *SHORT, "loss=log_cosh")
    assert own.code == 0, own.err
    assert "scored by the log_cosh" in " ".join(own.out.replace("|", " ").split())
    averaging = command("--config-dir", "configs", *SHORT, "loss=averaged")
    assert averaging.code == 2
    assert "training A" not in averaging.out
    assert "l1_loss gave () for numbers of shape (2, 3, 2)" in averaging.err
    wrong = command(*SHORT, "loss=huber", "loss.delta=0")
    assert wrong.code == 2
    assert "training A" not in wrong.out
    assert wrong.err == "archab: loss.delta=0: a positive number is needed\n"


def test_a_partial_function_is_called_what_the_function_is():
    assert Own(partial(log_cosh)).name == "log_cosh"
