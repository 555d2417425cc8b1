"""Which direction is better, on which scale sides are compared, and how a difference reads."""

import math

import numpy as np
import pytest

from archab.errors import ArchabError
from archab.metrics.metric import Metric, directed, direction


@pytest.mark.parametrize(
    "name",
    ["val_loss", "loss", "test/mse", "valLoss", "rmse", "eval_mae", "train.err", "ppl", "val_bpb", "nll", "error_rate",
     "metrics.val_loss", "crossentropyloss", "perplexity", "val_loss_epoch", "loss/val", "train_loss_step"],
)  # fmt: skip
def test_lower_is_known_to_be_better(name):
    assert direction(name) is True


@pytest.mark.parametrize(
    "name",
    [
        "val_acc",
        "accuracy",
        "f1",
        "test_f1",
        "AUC",
        "val_auroc",
        "r2",
        "reward",
        "ValAccuracy",
        "acc_top5",
        "f1_macro",
        "auc_roc",
        "acc@1",
        "top1acc",
    ],
)
def test_higher_is_known_to_be_better(name):
    assert direction(name) is False


@pytest.mark.parametrize(
    "name",
    [
        "score",
        "neg_mean_squared_error",
        "x",
        "",
        "seconds",
        "macro",
        "lossless",
        "1-acc",
        "1 - auc",
        "-loss",
        "inaccuracy",
        "acc_drop",
        "auc_gap",
        "reward_std",
        "loss_improvement",
        "val_loss_reduction",
        "error_recovery_rate",
        "loss_scale",
    ],
)
def test_a_name_that_says_nothing_needs_a_word(name):
    assert direction(name) is None
    with pytest.raises(ArchabError, match="--lower-is-better"):
        directed(name)
    assert directed(name, False) is False


def test_scores_are_lower_where_better_on_every_scale():
    assert Metric("x", True).scores([1, 3]).tolist() == [1, 3]
    assert Metric("x", False).scores([1, 3]).tolist() == [-1, -3]
    assert Metric("x", True, "log").scores([1, math.e]).tolist() == pytest.approx([0, 1])
    assert Metric("x", False, "logit").scores([0.5, 0.75]).tolist() == pytest.approx([0, -math.log(3)])
    assert np.isnan(Metric("x", True).scores([np.inf, np.nan])).all()


@pytest.mark.parametrize(("scale", "value"), [("log", 0.0), ("log", -1.0), ("logit", 1.0), ("logit", 0.0)])
def test_a_value_that_has_no_place_on_the_scale_is_refused(scale, value):
    with pytest.raises(ArchabError, match=f"x: {value:g} on the scale {scale}"):
        Metric("x", True, scale).scores([0.5, value])


@pytest.mark.parametrize(
    ("metric", "theta", "claim", "apart"),
    [
        (Metric("loss", True), -0.0123, "its loss is 0.0123 lower", "−0.0123"),
        (Metric("acc", False), -0.0123, "its acc is 0.0123 higher", "+0.0123"),
        (Metric("loss", True, "log"), math.log(0.8), "its loss is 20% lower", "0.8"),
        (Metric("rate", False, "log"), -math.log(1.25), "its rate is 25% higher", "1.25"),
        (Metric("acc", False, "logit"), -math.log(1.5), "its odds of acc are 1.5 times higher", "1.5"),
    ],
)
def test_a_difference_reads_as_it_is(metric, theta, claim, apart):
    assert metric.claim(theta) == claim
    assert metric.apart(theta) == apart


@pytest.mark.parametrize(("scale", "margin"), [("difference", 0), ("difference", -1), ("log", 1), ("logit", 0.5)])
def test_a_margin_that_is_none_is_refused(scale, margin):
    with pytest.raises(ArchabError, match="margin="):
        Metric("loss", True, scale, margin)
