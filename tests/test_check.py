"""The check of a space: which engine trains it, why not a faster one, and whether its rows are the loop's."""

from dataclasses import replace

import torch
from logged import HEAD, TWO
from test_loss import SHORT
from torch import nn

from archab.check.__main__ import main
from archab.engine import plan

SPACE = (
    HEAD
    + """\
input_shape: [3]
size_tolerance: 0.5
space:
  a: {name: spectrum, architecture: {_target_: test_check.Spectrum}, members: {}}
  b: {name: writes, architecture: {_target_: test_check.Writes}, members: {}}
"""
)


class Spectrum(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3) + 0.1 * torch.randn(3, 3))

    def forward(self, x):
        return x * torch.linalg.eigvals(self.weight).abs().sum()


class Writes(nn.Module):
    """Puts its weight into a tensor that vmap does not batch."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))

    def forward(self, x):
        whole = torch.zeros(3, 3)
        whole[:] = self.weight
        return (x @ whole).tanh()


def test_networks_that_every_engine_trains_give_the_rows_of_the_loop(capsys):
    assert main([*SHORT, *TWO]) == 0
    out = capsys.readouterr().out
    assert "n-diagonal" in out
    assert "not compiled" not in out
    assert out.count("full matrices") == 1


def test_what_keeps_a_network_off_an_engine_is_said(tmp_path, capsys):
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "own.yaml").write_text(SPACE)
    assert main(["--config-dir", str(tmp_path), "+space=own"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "spectrum, not compiled: aten." in said
    assert "writes, not vmap: " in said
    assert "spectrum, not vmap" not in said


def test_rows_that_are_not_the_loops_end_the_check_with_1(monkeypatch, capsys):
    trainer = plan.compiled.trainer

    def wrong(program):
        train = trainer(program)
        return lambda cohort: (lambda found: replace(found, nmse=1.1 * found.nmse))(train(cohort))

    monkeypatch.setattr(plan.compiled, "trainer", wrong)
    typed = [word for word in SHORT if not word.startswith("engine")]
    assert main([*typed, "engine=compiled"]) == 1
    assert "1e-01" in capsys.readouterr().out


def test_a_mistake_is_one_line_and_no_argument_is_help(capsys):
    assert main(["+space=n_diagnal"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "n_diagonal" in line
    assert main([]) == 0
    assert "python -m archab.check" in capsys.readouterr().out


def test_a_network_is_checked_alone_by_its_import_path(capsys):
    layer = ["torch.nn.GRU", "input_size=3", "hidden_size=4", "batch_first=true", "input_shape=[5,3]"]
    assert main([*layer, "output=0"]) == 0
    out = capsys.readouterr().out
    assert out.count("GRU  ") == 1
    assert "GRU, not vmap:" in out
    assert main(layer) == 2
    assert "output: 0 takes one" in capsys.readouterr().err
    assert main(layer[:-1]) == 2
    assert "input_shape=[…] is needed" in capsys.readouterr().err
    assert main([*layer, "size"]) == 2
    assert "size: key=value is needed" in capsys.readouterr().err
    tokens = ["torch.nn.Embedding", "num_embeddings=8", "embedding_dim=3", "input_shape=[5]", "tokens=8"]
    assert main(tokens) == 0
