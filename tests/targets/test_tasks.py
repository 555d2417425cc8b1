"""Functions, data sets and tasks as targets: drawn, checked, standardised, learnt alike by every engine, and said."""

import io
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from scipy import stats
from torch import nn

from archab import ArchitecturalSpace, Comparison, compare
from archab.comparison.study import notes_of
from archab.engine.plan import Compiled, Loop, Vmap
from archab.errors import ArchabError
from archab.evidence.estimate import fixed
from archab.evidence.rule import Rule
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.review.context import Context
from archab.review.figures import share
from archab.review.figures.scores import mean_and_interval
from archab.review.report import plain
from archab.space.architectures.perceptron import perceptron
from archab.space.routine import AdamW
from archab.targets.dataset import DataSet
from archab.targets.function import Function
from archab.targets.functions.sines import Sines
from archab.targets.sequences.parity import Parity
from archab.targets.sequences.recall import Recall
from archab.targets.trained import Trained


def side(name="tanh", inputs=4, outputs=1, routine=AdamW(lr=1e-2, epochs=2), members=({"hidden": 8},), **given):
    made = partial(perceptron, inputs=inputs, outputs=outputs, activation=name, **given)
    return ArchitecturalSpace(made, list(members), [inputs], name=name, routine=routine, measure="parameter")


SMALL = {"targets": 8, "samples": 48, "heldout_samples": 32}


def asked(target, outputs=1, inputs=4, **given):
    sides = [side(name, inputs, outputs) for name in ("tanh", "relu")]
    return Comparison(*sides, target=target, **{**SMALL, **given})


def product(x):
    return x[:, :1] * x[:, 1:2]


def wave(x, draw):
    return torch.sin(x @ torch.randn(4, 1, generator=draw))


class Tokens(nn.Module):
    def __init__(self, hidden=6, classes=4):
        super().__init__()
        self.embedding, self.mixed, self.head = (
            nn.Embedding(16, hidden),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, classes),
        )

    def forward(self, x):
        return self.head(torch.tanh(self.mixed(self.embedding(x).cumsum(1))))


def test_a_function_is_learnt_by_both_sides_from_the_same_samples():
    comparison = asked(wave)
    table = comparison.table()
    assert comparison.protocol_name == "reference"
    assert len(table) == 16
    assert (table.groupby("target")["side"].nunique() == 2).all()
    assert table["target"].nunique() == 8
    more = replace(comparison, targets=12).table()
    pd.testing.assert_frame_equal(more[more["draw"] < 8].reset_index(drop=True), table, check_exact=True)
    pd.testing.assert_frame_equal(comparison.table(), table, check_exact=True)


def test_targets_are_the_function_of_their_inputs_standardised_by_the_training_samples():
    source = asked(product).plan.lessons[0, "reference"].source
    found = source.draw(2, 5)
    for x, y, heldout, wanted, location, scale in zip(
        found.inputs,
        found.outputs,
        found.heldout_inputs,
        found.heldout_outputs,
        found.location,
        found.scale,
        strict=True,
    ):
        raw = product(x.double())
        assert float(location) == pytest.approx(float(raw.mean()), rel=1e-5, abs=1e-7)
        assert float(scale) == pytest.approx(float(raw.std(correction=0)), rel=1e-5)
        assert torch.allclose(y.double(), (raw - location) / scale, atol=1e-5)
        assert torch.allclose(wanted.double(), (product(heldout.double()) - location) / scale, atol=1e-5)
    assert len(set(source.draw(0, 8).names)) == 8


ROWS = (np.random.default_rng(0).normal(size=(90, 4)), np.random.default_rng(1).integers(0, 3, 90))
ODD = (ROWS[0], (ROWS[0][:, 0] > 0).astype(int))


@pytest.mark.parametrize(
    ("target", "outputs", "loss"),
    [
        (product, 1, "mse"),
        (wave, 1, "huber"),
        (DataSet(ROWS), 3, "cross_entropy"),
        (DataSet(ROWS), 3, "mse"),
        (DataSet(ODD), 1, "binary_cross_entropy"),
    ],
    ids=["function", "drawn function", "classes", "classes by squares", "odds"],
)
def test_rows_of_every_engine_are_those_of_the_loop(target, outputs, loss):
    alone = asked(target, outputs, loss=loss, engine=Loop()).table()
    assert alone["nmse"].between(0.01, 3).all()
    assert alone["accuracy"].notna().all() == ("cross_entropy" in loss)
    for engine in (Vmap(), Compiled()):
        comparison = asked(target, outputs, loss=loss, engine=engine)
        assert {method.engine for method in comparison.plan.methods.values()} == {type(engine).__name__.lower()}
        pd.testing.assert_frame_equal(comparison.table(), alone, rtol=3e-4)


def test_positions_that_do_not_count_are_neither_learnt_nor_scored():
    space = ArchitecturalSpace(Tokens, {}, [9], name="tokens", routine=AdamW(lr=1e-2, epochs=2))
    task = Recall(length=9, pairs=3, keys=5, values=4)
    tables = []
    for engine in (Loop(), Vmap(), Compiled()):
        one = Comparison(space, space, target=task, loss="cross_entropy", engine=engine, **SMALL)
        tables.append(one.table())
    for other in tables[1:]:
        pd.testing.assert_frame_equal(other, tables[0], rtol=3e-4)
    targets = one.plan.lessons[0, "reference"].source.draw(0, 2)
    assert (targets.outputs[:, :, :6] == 0).all()
    assert (targets.outputs[:, :, 6:].sum(-1) == 1).all()
    network = space.construct(0)
    logits, classes = torch.randn(40, 9, 4), targets.outputs[0, :40]
    mean = one.loss.each(logits, classes).sum() / classes.sum()
    labels = torch.where(classes.sum(-1) > 0, classes.argmax(-1), -100)
    assert float(mean) == pytest.approx(
        float(nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())), rel=1e-5
    )
    assert network(targets.inputs[0]).shape == targets.outputs[0].shape


def test_the_constant_predictor_and_the_accuracy_are_those_of_a_plain_count():
    loss = asked(DataSet(ROWS), 3, loss="cross_entropy").loss
    classes = torch.eye(3)[torch.tensor(ROWS[1])]
    shares = np.bincount(ROWS[1]) / 90
    assert float(loss.constant(classes[None])) * 3 == pytest.approx(-(shares * np.log(shares)).sum())
    logits = torch.randn(90, 3, generator=torch.Generator().manual_seed(0))
    right = loss.hits(logits, classes).sum() / loss.asked(classes, 0)
    assert float(right) == pytest.approx(float((logits.argmax(1) == torch.tensor(ROWS[1])).double().mean()))
    tied = loss.hits(torch.zeros(90, 3), classes).sum() / loss.asked(classes, 0)
    assert float(tied) == pytest.approx(1 / 3)  # who says the same of all classes knows none


def test_a_list_of_targets_makes_members_that_are_called_by_what_differs():
    result = compare(
        side("tanh"), side("relu"), target=[Sines(frequency=0.5), Sines(frequency=2.0)], progress=False, **SMALL
    )
    assert result.verdict.member_names == ("frequency 0.5", "frequency 2.0")
    assert result.table()["member"].nunique() == 2
    assert any("targets of its own" in note.text for note in result.verdict.notes)


def test_a_verdict_says_what_a_target_is_and_where_it_holds(tmp_path):
    few = {**SMALL, "targets": 12}
    fixed = compare(side("tanh"), side("relu"), target=product, progress=False, **few)
    assert fixed.verdict.scope == "this one function, product"
    assert any("rounds differ in samples and initialisations" in note.text for note in fixed.verdict.notes)
    drawn = compare(side("tanh"), side("relu"), target=wave, progress=False, **few)
    assert drawn.verdict.scope == ""
    assert any(note.text == "A target is drawn from wave, with samples of its own." for note in drawn.verdict.notes)
    better = fixed.table().assign(nmse=lambda t: np.where(t["side"] == "a", 0.1, 0.5) + 0.01 * t["draw"] / 12)
    sentence = judge(better).sentence()
    assert sentence.startswith("On this one function, product: tanh learns better than relu")
    fixed.save(tmp_path / "rows.parquet")
    assert type(fixed).load(tmp_path / "rows.parquet").verdict.scope == fixed.verdict.scope


def test_against_itself_a_side_learns_a_task_too():
    comparison = asked(wave, protocol="aa")
    assert set(comparison.spaces) == {"a", "b"}
    assert comparison.table()["nmse"].notna().all()


def test_a_trained_network_is_a_function_like_any(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Tanh(), nn.Linear(6, 1))
    torch.save(network.state_dict(), tmp_path / "teacher.pt")
    again = Trained(
        nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Tanh(), nn.Linear(6, 1)), tmp_path / "teacher.pt"
    )
    source = asked(again).plan.lessons[0, "reference"].source
    found = source.draw(0, 1)
    wanted = network.eval()(found.inputs[0])
    assert torch.allclose(found.outputs[0] * found.scale[0].float() + found.location[0].float(), wanted, atol=1e-5)
    assert asked(again).scope == "this one function, teacher"
    with pytest.raises(ArchabError, match=r"target.file=.*no such file"):
        Trained(network, tmp_path / "none.pt")
    with pytest.raises(ArchabError, match="does not fit the network"):
        Trained(nn.Linear(4, 1), tmp_path / "teacher.pt")
    torch.save({"weight": print}, tmp_path / "code.pt")
    with pytest.raises(ArchabError, match="weights_only"):
        Trained(nn.Linear(4, 1), tmp_path / "code.pt")


def changes(x):
    x[:, 0] = 0
    return x[:, :1]


def global_draw(x):
    return x[:, :1] + torch.randn(len(x), 1)


def global_numpy(x, draw):
    return x[:, :1] * float(np.random.normal())  # noqa: NPY002


def from_nowhere(x, draw):
    return x[:, :1] + torch.from_numpy(np.random.default_rng().normal(size=(len(x), 1)))


BAD = {
    "shape": (lambda x: x, "an output of .* has shape .4., one of the sides .1."),
    "not a tensor": (lambda x: 3.0, "gives a float for"),
    "fewer": (lambda x: x[:5, :1], "a tensor is needed whose first axis is theirs"),
    "nan": (lambda x: x[:, :1] * torch.nan, "hold NaN or infinite numbers"),
    "complex": (lambda x: x[:, :1] * 1j, "hold complex numbers"),
    "constant": (lambda x: x[:, :1] * 0, "do not vary over 48 training samples"),
    "in place": (changes, "changes its inputs in place"),
    "fails": (lambda x: x @ torch.ones(7), "failed on .* samples"),
    "global": (global_draw, "draws from a global generator.*take a second argument, draw"),
    "global numpy": (global_numpy, "draws from a global generator.*draw from draw"),
    "mixes samples": (lambda x: x[:, :1] - x[:, :1].mean(), "gives a sample another output when others are asked"),
    "no seed": (from_nowhere, "drawn from a source that no seed sets"),
}


@pytest.mark.parametrize(("function", "words"), BAD.values(), ids=BAD)
def test_a_function_that_is_none_is_refused_before_training(function, words):
    with pytest.raises(ArchabError, match=f"(?s)^target: .*{words}"):
        _ = asked(Function(function, name="bad")).plan


REFUSED = {
    "none in a list": ({"target": []}, "target=..: at least one is needed"),
    "a class": ({"target": Parity}, "Parity is a class; give one of it"),
    "an array": ({"target": np.ones((3, 2))}, "target: a ndarray is none; .* for arrays and tables"),
    "splits and others": ({"target": [DataSet((ROWS[0], ROWS[0][:, :1])), product]}, "them and the others apart"),
    "a name": ({"target": "digits"}, "a name chooses a file on the command line alone"),
    "no function": ({"target": 3}, "target: a int is none; a function of the inputs"),
    "two sources": ({"target": product, "reference": side()}, "target=product: the reference tanh would draw targets"),
    "protocol": ({"target": product, "protocol": "crossed"}, "protocol=crossed: the target product takes the place"),
    "members": ({"target": [product] * 3, "a": side(members=({"hidden": 2}, {"hidden": 3})),
                 "b": side(members=({"hidden": 2}, {"hidden": 3}))}, "there are 3 of them and 2 members"),
    "labels of no task": ({"loss": "cross_entropy"}, "binary|cross-entropy is of labels, and networks draw numbers"),
    "numbers for labels": ({"target": product, "loss": "cross_entropy"}, "needs integers, the index of a class each"),
    "no odds": ({"target": product, "loss": "binary_cross_entropy"}, "is of outputs of 0 or 1; outputs of product go"),
    "labels out of range": ({"target": DataSet((ROWS[0], ROWS[1] + 1)), "loss": "cross_entropy", "a": side(outputs=3),
                             "b": side(outputs=3)}, "go from 1 to 3, and outputs of the sides have 3 classes: 0 to 2"),
    "too few classes": ({"target": DataSet(ROWS), "loss": "cross_entropy", "a": side(outputs=2), "b": side(outputs=2)},
                        "go from 0 to 2, and outputs of the sides have 2 classes"),
    "noise": ({"target": product, "noise": -1}, "noise=-1: a number of at least 0"),
    "all wrong": ({"target": DataSet(ROWS), "loss": "cross_entropy", "a": side(outputs=3), "b": side(outputs=3),
                   "noise": 1}, "noise=1: of labels a share below 1 is wrong"),
    "input shape": ({"target": Parity(length=8)}, "an input of the target parity has .8., and the sides take .4."),
}  # fmt: skip


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_go_together_is_refused_in_one_line(given, words):
    with pytest.raises(ArchabError, match=words) as refused:
        _ = Comparison(**{"a": side(), "b": side("relu"), **SMALL, **given}).plan
    assert "\n" not in str(refused.value)


def test_noise_is_on_what_is_learnt_and_scores_are_on_what_is_clean():
    clean, noisy = (asked(product, noise=noise, samples=3200).plan.lessons[0, "reference"].source for noise in (0, 0.5))
    one, other = clean.draw(0, 3), noisy.draw(0, 3)
    assert torch.equal(one.heldout_outputs, other.heldout_outputs)
    assert one.names == other.names
    assert float((other.outputs - one.outputs).std()) == pytest.approx(0.5, rel=0.03)
    labels = {"target": DataSet((np.random.default_rng(0).normal(size=(4000, 4)), np.arange(4000) % 3))}
    sides = side(outputs=3), side("relu", outputs=3)
    given = {"loss": "cross_entropy", "samples": 3200, "heldout_samples": 32, **labels}
    one, other = (
        Comparison(*sides, noise=noise, **given).plan.lessons[0, "reference"].source.draw(0, 2) for noise in (0, 0.3)
    )
    wrong = (one.outputs.argmax(-1) != other.outputs.argmax(-1)).double().mean()
    assert float(wrong) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(other.outputs.sum(-1), torch.ones(2, 3200))
    odds = {"target": DataSet((ROWS[0].repeat(40, 0), ODD[1].repeat(40))), "loss": "binary_cross_entropy"}
    one, other = (
        Comparison(side(), side("relu"), noise=n, samples=3200, heldout_samples=32, **odds)
        .plan.lessons[0, "reference"].source.draw(0, 1) for n in (0, 0.2)
    )  # fmt: skip
    assert float((one.outputs != other.outputs).double().mean()) == pytest.approx(0.2, abs=0.03)


def test_a_linear_fit_of_noisy_targets_errs_as_the_formula_says():
    """Of n samples with d normal inputs, the excess error of least squares is noise² (d + 1) / (n − d − 2), nearly."""

    def plane(x, draw):
        return x @ torch.randn(4, 1, generator=draw)

    n, noise = 48, 0.5
    found = asked(plane, targets=400, noise=noise, heldout_samples=64).table()["linear"]
    assert float(found.mean()) == pytest.approx(noise**2 * 5 / (n - 6), rel=0.1)


def test_splits_are_of_the_same_rows_for_all_members_and_none_is_both_learnt_and_scored():
    x = np.arange(120, dtype=float)[:, None] * np.ones((1, 4))
    data = DataSet((x / 120, x[:, :1] + np.random.default_rng(0).normal(size=(120, 1))), standardise=False)
    members = ({"hidden": 3}, {"hidden": 4})
    comparison = Comparison(
        side(members=members), side("relu", members=members), target=data, targets=6, heldout_samples=24
    )
    assert set(comparison.survey.samples.values()) == {96}  # all that are left
    sources = [comparison.plan.lessons[member, "reference"].source for member in (0, 1)]
    one, other = (source.draw(0, 6) for source in sources)
    assert one.names == other.names
    for learnt, scored in zip(one.inputs[..., 0], one.heldout_inputs[..., 0], strict=True):
        assert sorted([*learnt.tolist(), *scored.tolist()]) == pytest.approx(sorted(x[:, 0] / 120))
    verdict = judge(comparison.study())
    assert verdict.rule == "fixed"
    assert verdict.scope == "splits of the data set"


def test_the_corrected_t_is_that_of_nadeau_and_bengio():
    rng = np.random.default_rng(0)
    d = rng.normal(0.05, 0.2, 15)
    rows = pd.DataFrame(
        [(0, 0, t, s, 0, 0.1 * np.exp(d[t]) if s == "a" else 0.1) for t in range(15) for s in "ab"],
        columns=["seed", "member", "target", "side", "restart", "nmse"],
    )
    found = judge(Study(rows, overlap=0.25, scope="splits of rows"))
    se = np.sqrt((1 / 15 + 0.25) * d.var(ddof=1))
    assert found.p_value == pytest.approx(2 * stats.t.sf(d.mean() / se, 14))
    low, high = stats.t.interval(0.95, 14, d.mean(), se)
    assert (found.interval_low, found.interval_high) == pytest.approx((np.exp(low), np.exp(high)))
    assert found.members[0].p_value == pytest.approx(found.p_value)
    assert found.log_e == ()
    assert np.isnan(found.p_wilcoxon)
    assert "over data sets of as many rows" in found.notes[0].text
    assert np.isnan(found.p_anytime)  # no evidence by round, which overlapping splits do not give
    assert found.next_step == "Further splits of the same rows add little; more rows would tell more."
    for rule in ("anytime", "hybrid"):
        with pytest.raises(ArchabError, match=f"rule={rule}: targets are splits of one data set"):
            judge(Study(rows, overlap=0.25), rule=rule, planned=15)


def test_on_data_sets_without_a_difference_the_corrected_rule_errs_rarely_and_the_plain_one_often():
    """Two least-squares learners, each with half of the columns, on data in which all columns tell alike."""
    rng, plain, corrected, runs = np.random.default_rng(11), 0, 0, 1000
    for _ in range(runs):
        x = rng.normal(size=(100, 8))
        y = x.sum(1) + rng.normal(size=100)
        rows = []
        for split in range(12):
            order = rng.permutation(100)
            learnt, scored = order[:80], order[80:]
            for name, columns in (("a", slice(0, 4)), ("b", slice(4, 8))):
                weights = np.linalg.lstsq(x[learnt, columns], y[learnt], rcond=None)[0]
                error = np.square(y[scored] - x[scored, columns] @ weights).mean() / (9 * 20)
                rows.append((0, 0, split, name, 0, error))
        table = pd.DataFrame(rows, columns=["seed", "member", "target", "side", "restart", "nmse"])
        d = np.log(table["nmse"].to_numpy()).reshape(12, 2) @ [[1.0], [-1.0]]
        plain += fixed(d, None).p_value <= 0.05
        corrected += fixed(d, None, overlap=20 / 80).p_value <= 0.05
    assert plain / runs > 0.25
    assert corrected / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_a_linear_student_ends_where_the_closed_form_is():
    """Ridge, on the same splits: full batches, and the penalty in the gradient (torch's Adam, weight_decay)."""
    datasets = pytest.importorskip("sklearn.datasets", reason="no scikit-learn: pip install 'archab[sklearn]'")
    linear_model = pytest.importorskip("sklearn.linear_model")
    from archab.space.routine import Adam

    rows = datasets.load_diabetes()
    decay, n = 0.05, 352
    routine = Adam(lr=0.05, epochs=1500, minibatch=n, weight_decay=decay, clip=None)
    space = ArchitecturalSpace(nn.Linear, {"in_features": 10, "out_features": 1, "bias": False}, [10], routine=routine)
    given = {"samples": n, "heldout_samples": 90, "targets": 4}
    comparison = Comparison(space, space, target=DataSet(rows, name="diabetes"), **given)
    table = comparison.table()
    targets = comparison.plan.lessons[0, "reference"].source.draw(0, 4)
    for draw in range(4):
        # mean of squares + decay/2 · |w|² is, times n, sklearn's |y − Xw|² + α |w|²
        fitted = linear_model.Ridge(alpha=decay * n / 2, fit_intercept=False).fit(
            targets.inputs[draw], targets.outputs[draw]
        )
        y = targets.heldout_outputs[draw].numpy()
        error = np.square(fitted.predict(targets.heldout_inputs[draw]).reshape(y.shape) - y).mean() / y.var()
        assert table[table["draw"] == draw]["nmse"].to_numpy() == pytest.approx(error, rel=2e-3)


def test_a_linear_student_of_digits_ends_where_logistic_regression_does():
    datasets = pytest.importorskip("sklearn.datasets", reason="no scikit-learn: pip install 'archab[sklearn]'")
    linear_model = pytest.importorskip("sklearn.linear_model")
    from archab.space.routine import Adam

    decay, n = 0.01, 400
    routine = Adam(lr=0.05, epochs=800, minibatch=n, weight_decay=decay, clip=None)
    space = ArchitecturalSpace(nn.Linear, {"in_features": 64, "out_features": 10, "bias": False}, [64], routine=routine)
    data = DataSet(datasets.load_digits(), name="digits")
    comparison = Comparison(space, space, target=data, samples=n, heldout_samples=400, targets=2, loss="cross_entropy")
    table = comparison.table()
    targets = comparison.plan.lessons[0, "reference"].source.draw(0, 2)
    for draw in range(2):
        x, y = targets.inputs[draw].numpy(), targets.outputs[draw].argmax(-1).numpy()
        # our mean is over the 10 numbers of a sample, too
        model = linear_model.LogisticRegression(
            C=1 / (decay * n * 10), fit_intercept=False, tol=1e-8, max_iter=5000
        ).fit(x, y)
        held, labels = targets.heldout_inputs[draw].numpy(), targets.heldout_outputs[draw].argmax(-1).numpy()
        shares = np.bincount(labels, minlength=10) / len(labels)
        error = -np.log(model.predict_proba(held)[np.arange(400), labels]).mean() / -(shares * np.log(shares)).sum()
        own = table[table["draw"] == draw]
        assert own["nmse"].to_numpy() == pytest.approx(error, rel=2e-3)
        assert own["accuracy"].to_numpy() == pytest.approx(model.score(held, labels), abs=0.006)


def write(table, file):
    table.to_csv(file, index=False) if file.suffix == ".csv" else table.to_parquet(file)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz", "torch", "mapping", "frame"])
def test_a_data_set_is_read_from_whatever_holds_it(kind, tmp_path):
    x, y = ROWS[0].astype(np.float32), ROWS[1]
    table = pd.DataFrame(x, columns=list("pqrs")).assign(label=y)
    data, given = {"torch": torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)),
                   "mapping": {"data": x, "target": y}, "frame": table}.get(kind), {}  # fmt: skip
    if kind in ("csv", "parquet"):
        write(table, data := tmp_path / f"rows.{kind}")
    if kind == "npz":
        np.savez(data := tmp_path / "rows.npz", x=x, y=y)
    if kind in ("csv", "parquet", "frame"):
        given = {"outputs": "label"}
    one = DataSet(data, standardise=False, **given)
    found, labels = one.draw(60, 30, None, torch.Generator().manual_seed(0))
    assert one.rows == 90
    rows = {tuple(np.round(row, 5)): label for row, label in zip(x.tolist(), y.tolist(), strict=True)}
    assert {tuple(np.round(row, 5)): label for row, label in zip(found.tolist(), labels.tolist(), strict=True)} == rows


HOLED = pd.DataFrame({"p": [1.0, np.nan, 3.0, 4.0], "word": ["a", "b", "c", "d"], "y": [0, 1, 0, 1]})
DAMAGED = {
    "missing": (lambda: DataSet(HOLED, outputs="y", inputs="p"), "target.inputs: column p of .* lacks 1 of 4 values"),
    "text": (lambda: DataSet(HOLED.fillna(0), outputs="y"), r"column word of .* holds text \('a'\)"),
    "no column": (lambda: DataSet(HOLED, outputs="z"), "has no column z. There are p, word, y"),
    "no output": (lambda: DataSet(HOLED), "target.outputs: the column of .* to predict is needed"),
    "one class": (lambda: DataSet((ROWS[0], np.ones(90, int))), "all outputs of .* are 1"),
    "nan": (lambda: DataSet((ROWS[0] * np.nan, ROWS[1])), "target.inputs: .* lacks 360 of 360 values"),
    "strings": (lambda: DataSet((ROWS[0], np.array(["a", "b", "c"] * 30))), "target.outputs: .* holds <U1"),
    "lengths": (lambda: DataSet((ROWS[0], ROWS[1][:80])), "has 90 inputs and 80 outputs"),
    "few": (lambda: DataSet(([[0.0]] * 3, [1, 2, 3])), "has 3 rows"),
    "no file": (lambda: DataSet("none.csv", outputs="y"), "target.data=none.csv: no such file"),
    "no arrays": (lambda: DataSet({"p": ROWS[0]}), "has no data and target or inputs and outputs"),
    "ragged": (lambda: DataSet(([[1, 2], [3]], [0, 1])), "target.inputs: .* is no array"),
    "twice": (lambda: DataSet(pd.concat([HOLED, HOLED], axis=1), outputs="y"), "has more than one column p"),
    "nothing": (lambda: DataSet(3), "a int is no data set"),
}


@pytest.mark.parametrize(("make", "words"), DAMAGED.values(), ids=DAMAGED)
def test_a_data_set_that_cannot_be_learnt_is_refused_by_its_key(make, words):
    with pytest.raises(ArchabError, match=words):
        make()


def test_fewer_rows_than_a_split_needs_are_refused_with_what_would_do():
    with pytest.raises(
        ArchabError, match=r"heldout_samples=512: the data set has 90 rows.* such as heldout_samples=18"
    ):
        _ = Comparison(side(outputs=3), side(outputs=3), target=DataSet(ROWS), loss="cross_entropy").plan
    with pytest.raises(
        ArchabError, match=r"samples=80 \(whole mini-batches\), heldout_samples=30: the data set has 90 rows"
    ):
        _ = asked(DataSet(ROWS), 3, loss="cross_entropy", samples=80, heldout_samples=30).plan


def test_a_label_out_of_range_is_found_in_whichever_row_it_is():
    y = ROWS[1].copy()
    for row in range(0, 90, 7):
        odd = y.copy()
        odd[row] = 7
        with pytest.raises(ArchabError, match="go from 0 to 7, and outputs of the sides have 3 classes"):
            _ = asked(DataSet((ROWS[0], odd)), 3, loss="cross_entropy", samples=16, heldout_samples=16).plan


def test_columns_of_whole_numbers_are_measured_unless_they_are_to_be_tokens():
    whole = np.arange(360).reshape(90, 4)
    x, _ = DataSet((whole, ROWS[1])).draw(60, 30, None, torch.Generator().manual_seed(0))
    assert x.dtype == torch.float32
    assert torch.allclose(x[:60].std(0, correction=0), torch.ones(4), atol=1e-5)
    x, _ = DataSet((whole, ROWS[1]), standardise=False).draw(60, 30, None, torch.Generator().manual_seed(0))
    assert x.dtype == torch.int64


def test_the_accuracy_stands_beside_the_error(capsys):
    result = compare(
        side("tanh", outputs=3),
        side("relu", outputs=3),
        target=DataSet(ROWS),
        loss="cross_entropy",
        progress=False,
        **SMALL,
    )
    table, [member] = result.table(), result.verdict.members
    assert member.accuracy_a == pytest.approx(table[table["side"] == "a"]["accuracy"].mean())
    shown = Console(width=200, file=io.StringIO())
    shown.print(result.verdict.to_rich(200))
    assert f"{member.accuracy_a:.1%}/{member.accuracy_b:.1%}" in shown.file.getvalue()
    assert result.verdict.to_dict()["members"][0]["accuracy_b"] == member.accuracy_b
    with pytest.raises(ArchabError, match="rule=anytime: targets are splits of one data set"):
        compare(side(outputs=3), side(outputs=3), target=DataSet(ROWS), loss="cross_entropy", rule="anytime", **SMALL)
    plain = compare(side("tanh"), side("relu"), target=product, progress=False, **SMALL)
    assert plain.verdict.to_dict()["members"][0]["accuracy_a"] is None


def test_classes_that_are_learnt_as_numbers_are_said_to_be():
    said = [note.text for note in notes_of(asked(DataSet(ROWS), 3))]
    assert any("Classes are learnt as the numbers 0 and 1" in text for text in said)
    for comparison in (asked(DataSet(ROWS), 3, loss="cross_entropy"), asked(product)):
        assert not any("Classes are learnt" in note.text for note in notes_of(comparison))


def test_a_result_of_splits_has_its_verdict_and_is_read_again_with_it(tmp_path):
    sides = side(outputs=3), side("relu", outputs=3)
    result = compare(*sides, target=DataSet(ROWS), loss="cross_entropy", progress=False, **SMALL)
    assert result.verdict.rule == "fixed"
    result.save(tmp_path / "rows.parquet")
    again = type(result).load(tmp_path / "rows.parquet").verdict
    assert (again.rule, again.p_value) == ("fixed", result.verdict.p_value)


def test_rows_of_splits_that_have_lost_the_rest_are_judged_by_their_rule_all_the_same(tmp_path):
    sides = side(outputs=3), side("relu", outputs=3)
    given = {"target": DataSet(ROWS), "loss": "cross_entropy", "progress": False, **SMALL}
    whole = compare(*sides, **given, seeds=2)
    parts = pd.concat([compare(*sides, **given, seeds=[seed]).table() for seed in (0, 1)], ignore_index=True)
    parts.attrs = {}
    found = judge(parts)
    assert (found.rule, found.p_value, found.log_e) == ("fixed", whole.verdict.p_value, ())
    parts.to_csv(tmp_path / "rows.csv", index=False)
    assert judge(pd.read_csv(tmp_path / "rows.csv")).p_value == pytest.approx(found.p_value)
    strict = type(whole)(whole.study, Rule("fixed", alpha=0.01, margin=1.2))
    assert (strict.verdict.alpha, strict.verdict.margin) == (0.01, 1.2)
    assert type(whole)(whole.study, Rule(margin=1.2)).verdict.rule == "fixed"


def test_several_data_sets_are_each_corrected_by_their_own_splits():
    rng, rows = np.random.default_rng(0), []
    d = rng.normal([0.2, -0.1], [0.1, 0.3], (8, 2))
    for split in range(8):
        for member in (0, 1):
            for name, error in (("a", 0.1 * np.exp(d[split, member])), ("b", 0.1)):
                rows.append((0, member, f"{member}/{split}", name, 0, error))
    table = pd.DataFrame(rows, columns=["seed", "member", "target", "side", "restart", "nmse"])
    whole = judge(Study(table, overlap=0.25)).whole
    se = np.sqrt(((1 / 8 + 0.25) * d.var(axis=0, ddof=1)).sum() / 4)
    assert whole.estimate.se == pytest.approx(se)


def test_figures_of_splits_have_corrected_intervals_or_none():
    y = np.log(np.random.default_rng(0).uniform(0.1, 0.2, 15))
    _, low, high = mean_and_interval(y, 0.05, overlap=0.25)
    half = stats.t.ppf(0.975, 14) * np.sqrt((1 / 15 + 0.25) * y.var(ddof=1))
    assert (np.log(low), np.log(high)) == pytest.approx((y.mean() - half, y.mean() + half))
    rows = pd.DataFrame(
        [(0, 0, t, s, 0, 0.1 + 0.01 * t + 0.02 * (s == "a")) for t in range(15) for s in "ab"],
        columns=["seed", "member", "target", "side", "restart", "nmse"],
    )
    found = judge(Study(rows, overlap=0.25))
    assert "Wilson" not in share.picture(found).caption
    assert "Wilson" in share.picture(judge(rows)).caption
    page = plain.design(found, Context())
    assert any("corrected resampled t-test" in line for line in page)
    assert not any("exchangeable" in line or "sign-flip" in line for line in page)


def test_labels_by_an_error_of_numbers_have_label_noise_and_no_positions_that_do_not_count():
    given = {"samples": 3200, "heldout_samples": 32, "loss": "mse"}
    data = DataSet((np.random.default_rng(0).normal(size=(4000, 4)), np.arange(4000) % 3))
    one, other = (
        Comparison(side(outputs=3), side("relu", outputs=3), target=data, noise=noise, **given)
        .plan.lessons[0, "reference"].source.draw(0, 1).outputs for noise in (0, 0.3)
    )  # fmt: skip
    assert set(other.unique().tolist()) == {0.0, 1.0}
    assert float((one.argmax(-1) != other.argmax(-1)).double().mean()) == pytest.approx(0.3, abs=0.03)
    space = ArchitecturalSpace(Tokens, {}, [9], routine=AdamW(epochs=1))
    with pytest.raises(ArchabError, match="counts every position, and labels of associative recall are -100"):
        _ = Comparison(space, space, target=Recall(length=9, pairs=3, keys=5, values=4), loss="mse", **SMALL).plan


ODD_ROWS = {
    "columns that are numbers": (pd.DataFrame({0: [1.0, 2, 3, 4], 1: [0, 1, 1, 0]}), {"outputs": 1}),
    "true and false": (pd.DataFrame({"p": [1.0, 2, 3, 4], "q": [True, False] * 2, "y": [0, 1] * 2}), {"outputs": "y"}),
    "nullable": (pd.DataFrame({"p": pd.array([1, 2, 3, 4], dtype="Int64"), "y": [0.5, 1, 1, 0]}), {"outputs": "y"}),
    "a frame and a series": ((pd.DataFrame({"p": [1.0, 2, 3, 4], "q": [True] * 4}), pd.Series([0, 1, 1, 0])), {}),
    "tensors with gradients": ((torch.ones(4, 2, requires_grad=True), torch.arange(4)), {}),
    "half precision": ((torch.ones(4, 2, dtype=torch.bfloat16), torch.arange(4)), {}),
}  # fmt: skip


@pytest.mark.parametrize(("data", "given"), ODD_ROWS.values(), ids=ODD_ROWS)
def test_a_data_set_of_any_numbers_is_read(data, given):
    x, _ = DataSet(data, **given).draw(3, 1, None, torch.Generator().manual_seed(0))
    assert x.dtype == torch.float32


def test_no_warning_points_into_archab():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked(wave).table()
