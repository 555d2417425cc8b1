"""Layers as people have them: several inputs or outputs, dictionaries, whole numbers, torch's own layers from YAML."""

from functools import partial
from itertools import pairwise

import pandas as pd
import pytest
import torch
from logged import HEAD
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.cli.config import composed, resolved
from archab.engine.plan import Compiled, Loop, Vmap
from archab.errors import ArchabError
from archab.experiment import build
from archab.space.routine import AdamW

SMALL = {"targets": 4, "samples": 32, "heldout_samples": 24}


class Mixed(nn.Module):
    """Whole numbers and measured ones by keyword, and a dictionary of outputs."""

    def __init__(self, width=4):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(8, width), nn.Linear(width + 2, 3)

    def forward(self, *, ids, values):
        return {"logits": self.linear(torch.cat([self.embedding(ids), values], -1)), "ids": ids}


class Named(nn.Module):
    """An object with outputs as attributes, made of positional arguments alone."""

    def __init__(self, *widths):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(n, m) for n, m in pairwise(widths)))

    def forward(self, first, second):
        return type("Found", (), {"last_hidden_state": self.layers(first) + second})()


def columns(shape, generator):
    x = torch.randn(*shape, generator=generator)
    x[..., 0] = torch.randint(8, shape[:-1], generator=generator).float()
    return x


LAYERS = {
    "GRU": (nn.GRU, {"input_size": 3, "hidden_size": 3, "batch_first": True}, [5, 3], {"output": 0}),
    "LSTM": (nn.LSTM, {"input_size": 3, "hidden_size": 3, "batch_first": True}, [5, 3], {"output": 0}),
    "attention": (
        nn.MultiheadAttention,
        {"embed_dim": 4, "num_heads": 2, "batch_first": True},
        [5, 4],
        {"call": ["x", "x", "x"], "output": 0},
    ),
    "encoder": (
        nn.TransformerEncoderLayer,
        {"d_model": 4, "nhead": 2, "dim_feedforward": 8, "batch_first": True},
        [5, 4],
        {},
    ),
    "Conv1d": (nn.Conv1d, {"in_channels": 3, "out_channels": 2, "kernel_size": 3}, [3, 6], {}),
    "Conv2d": (nn.Conv2d, {"in_channels": 2, "out_channels": 2, "kernel_size": 3, "padding": 1}, [2, 4, 4], {}),
    "dictionaries": (
        Mixed,
        {},
        [3],
        {"call": {"ids": {"column": 0, "integers": True}, "values": {"columns": [1, 3]}}, "output": "logits"},
    ),
    "objects": (
        partial(Named, 2, 5, 4),
        {},
        [6],
        {"call": [{"columns": [0, 2]}, {"columns": [2, 6]}], "output": "last_hidden_state"},
    ),
}


def space(name, **given):
    network, arguments, shape, how = LAYERS[name]
    return ArchitecturalSpace(
        network, arguments, shape, name=name, routine=AdamW(lr=1e-2, epochs=1), **{**how, **given}
    )


@pytest.mark.parametrize("name", LAYERS)
def test_every_engine_trains_it_as_the_loop_does(name):
    one = space(name)
    given = SMALL | ({"inputs": columns} if name == "dictionaries" else {})
    alone = Comparison(one, one, one, engine=Loop(), **given).table()
    assert alone["nmse"].between(0, 3).all()
    recurrent = name in ("GRU", "LSTM")  # for which torch has no batching rule
    for engine in (Compiled(),) if recurrent else (Vmap(), Compiled()):
        made = Comparison(one, one, one, engine=engine, **given)
        assert {method.engine for method in made.plan.methods.values()} == {type(engine).__name__.lower()}
        pd.testing.assert_frame_equal(made.table(), alone, rtol=3e-4)


YAML = (
    HEAD
    + """\
input_shape: [6, 4]
space:
  a:
    name: recurrent
    architecture: {_target_: torch.nn.GRU, input_size: 4, batch_first: true}
    members: [{hidden_size: 4}]
    output: 0
  b:
    name: attention
    architecture: {_target_: torch.nn.MultiheadAttention, embed_dim: 4, num_heads: 2, batch_first: true}
    members: [{}]
    call: [x, x, x]
    output: 0
"""
)


def test_torchs_layers_are_sides_from_a_file_alone(tmp_path):
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "layers.yaml").write_text(YAML)
    typed = [f"hydra.searchpath=[file://{tmp_path}]", "+space=layers", "+target=sines", "target.outputs=4"]
    with pytest.raises(ArchabError, match=r"an output of sums of sines has shape .4., one of the sides .6, 4."):
        _ = build.comparison(resolved(composed([*typed, "targets=4"]))).plan
    made = build.comparison(resolved(composed([*typed[:2], "size_tolerance=0.9", "targets=4", "samples=32"])))
    assert [shape[0].output for shape in made.survey.shapes.values()] == [(6, 4), (6, 4)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"output": 5}, "output=5: its forward gives 2 outputs, from 0"),
        ({"output": "hidden"}, "output=hidden: its forward gives 2 outputs, from 0"),
        ({"output": None}, "its forward gives a tuple; one tensor of outputs is needed .output: 0 takes one"),
        ({"output": 1.5}, "output=1.5: the place or the key"),
        ({"call": "x"}, "call='x': a list of arguments"),
        ({"call": ["y"]}, "call: 'y' is none of x"),
        ({"call": [{"columns": [0]}]}, "is none of x"),
        ({"call": ["x", {"rows": 1}]}, "is none of x"),
    ],
)
def test_what_names_no_output_or_argument_is_refused(given, words):
    with pytest.raises(ArchabError, match=words):
        _ = Comparison(space("GRU", **given), space("GRU", **given), space("GRU", **given), **SMALL).survey
