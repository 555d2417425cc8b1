"""The command line as a user types it: what runs, what is refused and how, and what is kept."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import pandas as pd
import pytest
from logged import AMOUNT, AUTO, QUICK, SLOW, artifacts, client, runs, started

from archab import __version__
from archab.cli import compare, config, sync
from archab.cli.overrides import check_sweeper
from archab.errors import ArchabError
from archab.evidence.verdict import judge
from archab.experiment import build
from archab.results import COLUMNS

SPLIT = ("+space=split_transformer_original", "space.a.members=[{layers:1}]", "space.b.members=[{layers:1}]")


def test_a_run_ends_in_a_table_a_finished_mlflow_run_and_a_link_to_it(command, tmp_path):
    ended = command("+space=n_diagonal_original", *AMOUNT)
    assert (ended.code, ended.err) == (0, "")
    for said in ("Do banded matrices", "80  112  136  152  160", "100  140  180  220  260", "rank 5", "mlflow ui"):
        assert said in ended.out
    [run] = runs(tmp_path, "n_diagonal_original").to_dict("records")
    assert f"#/experiments/{run['experiment_id']}/runs?compareRunsMode=CHART" in ended.out
    assert run["status"] == "FINISHED"
    assert run["tags.archab.seed"] == "0"
    assert run["tags.archab.space"] == "n_diagonal_original"
    assert run["tags.archab.protocol"] == "reference"
    assert run["params.space.a.routine.lr"] == "0.01"
    history = client(tmp_path).get_metric_history(run["run_id"], "gmr")
    assert [point.step for point in history] == [1, 2]  # by round
    by_member = client(tmp_path).get_metric_history(run["run_id"], "a/nmse")
    assert [point.step for point in by_member] == [0, 1, 2, 3, 4]
    assert run["tags.archab.verdict"] == "undecided"
    assert "Too few targets" in ended.out
    assert "Too few targets" in run["tags.mlflow.note.content"]
    folder = Path(client(tmp_path).download_artifacts(run["run_id"], "."))
    rows = pd.read_parquet(folder / "results.parquet")
    assert list(rows.columns) == list(COLUMNS)
    assert len(rows) == 5 * 2 * 2
    assert set(rows["fingerprint"]) == {run["tags.archab.fingerprint"]}
    beside = {"config.yaml", "plan.json", "control.parquet", "curves.parquet", "costs.parquet"}
    assert {p.name for p in folder.iterdir()} >= beside
    curves = pd.read_parquet(folder / "curves.parquet")
    assert set(zip(curves["member"], curves["side"], strict=True)) == {(m, side) for m in range(5) for side in "ab"}
    assert (curves["q25"] <= curves["q75"]).all()
    spooled = tmp_path / ".archab" / run["tags.archab.fingerprint"] / "0" / "results.parquet"
    pd.testing.assert_frame_equal(rows, pd.read_parquet(spooled))


def without_seconds(verdict: dict) -> dict:
    """The object without what differs whenever it is measured."""
    for member in verdict["members"]:
        assert all(member[f"cost_{side}"].pop("seconds") > 0 for side in "ab")
    return verdict


def test_python_says_what_the_command_says(command, tmp_path):
    asked = ("+space=n_diagonal_original", "targets=7", "samples=64", "heldout_samples=32", "seed=3")
    assert command(*asked).code == 0
    with redirect_stdout(io.StringIO()) as printed:
        assert compare.main(["--space", "n_diagonal_original", "--json"]) == 0
    told = without_seconds(json.loads(printed.getvalue()))
    comparison = build.comparison(config.resolved(config.composed(asked)))
    with pytest.warns(match=".") if comparison.plan.notes else nullcontext():
        table = comparison.table()
    table.to_parquet(tmp_path / "rows.parquet")
    for rows in (table, table[table["member"] >= 0], pd.read_parquet(tmp_path / "rows.parquet")):
        said = without_seconds(judge(rows).to_dict())
        assert said.pop("next_step") != told["next_step"], "there is no command to type in Python"
        assert said == {key: value for key, value in told.items() if key != "next_step"}
    assert "training had not ended" in told["caveats"]
    assert "routine.epochs=20 seed=3" in told["next_step"] or "(routine.epochs=20)" in told["next_step"]
    assert all(member["control"] for member in told["members"])


def test_the_same_command_gives_the_same_rows_to_the_bit_and_another_engine_the_same_fingerprint(command, tmp_path):
    def rows(spool: str, *more: str) -> pd.DataFrame:
        assert command(*SPLIT, *AMOUNT, f"spool={spool}", *more).code == 0
        [file] = tmp_path.glob(f"{spool}/*/0/results.parquet")
        return pd.read_parquet(file)

    first = rows("one")
    pd.testing.assert_frame_equal(rows("two"), first, check_exact=True)
    pd.testing.assert_frame_equal(rows("three", "engine=loop"), first, rtol=1e-3)


def test_a_sweep_leaves_a_finished_run_a_seed_where_it_was_started_though_jobs_have_folders_of_their_own(
    command, tmp_path
):
    arguments = (*SPLIT, "-m", "seed=range(0,2)", "targets=2", "samples_per_measure=0.004")
    arguments = (*arguments, "hydra.job.chdir=true", "tracking.uri=sqlite:///mlflow.db")
    assert command(*arguments).code == 0
    table = runs(tmp_path, "split_transformer_original")
    assert list(table["status"]) == ["FINISHED"] * 2
    assert set(table["tags.archab.seed"]) == {"0", "1"}
    assert table["tags.archab.fingerprint"].nunique() == 1
    assert {file.parent for file in tmp_path.rglob("*.db")} == {tmp_path}
    assert {file.parents[2] for file in tmp_path.rglob("finished.json")} == {tmp_path / ".archab"}
    assert "2 jobs: 2 finished before" in command(*arguments).out


def test_a_failing_job_of_a_sweep_does_not_stop_the_others(command, tmp_path):
    ended = command("-m", *QUICK, "protocol=direct,reference")
    assert ended.code == 1
    assert "1 of 2 jobs failed" in ended.err
    assert "sizes must be equal at equal index" in ended.err
    assert "Traceback" not in ended.err
    assert list(runs(tmp_path, "n_diagonal_original")["status"]) == ["FINISHED"]


def test_what_is_shared_and_what_a_side_has_of_its_own(command, tmp_path):
    ended = command(
        "+space=n_diagonal_original",
        *AMOUNT,
        "routine.lr=0.5",
        "routine@space.b.routine=sgd",
        "space.b.routine.minibatch=8",
        "prior@space.a.prior=scaled",
        "space.a.prior.factors={linear.*:0.5}",
    )
    assert ended.code == 0, ended.err
    assert "unequal training: epochs" in ended.out
    [run] = runs(tmp_path, "n_diagonal_original").to_dict("records")
    assert run["params.space.a.routine.lr"] == "0.5"
    assert run["params.space.b.routine._target_"] == "archab.space.routine.SGD"
    assert run["params.space.b.routine.lr"] == "0.01"
    assert run["_run_name"].startswith("n_diagonal_original routine.lr=0.5 routine@space.b.routine=sgd ")
    assert run["params.space.b.prior._target_"] == "archab.space.prior.Init"
    assert run["params.space.reference.prior._target_"] == "archab.space.prior.Init"


REFUSED = {
    "no space": ((), "n_diagonal, n_diagonal_original, "),
    "no space in a sweep": (("-m", "seed=1,2"), "no space is chosen"),
    "an unknown space": (
        ("+space=n_diagonl",),
        "+space=n_diagonl: no such space. There are: adapter, block_diagonal, cubic",
    ),
    "an unknown space without plus": (("space=nothing",), "+space=nothing: no such space"),
    "an unknown key": (("+space=n_diagonal_original", "targts=3"), "targts"),
    "an unknown nested key": (("+space=n_diagonal_original", "routine.rate=3"), "rate"),
    "an unknown key of a side": (("+space=n_diagonal_original", "space.a.member=3"), "member"),
    "an unknown group option": (("+space=n_diagonal_original", "engine=warp"), "engine/warp"),
    "an unknown routine": (("+space=n_diagonal_original", "routine=adam2"), "routine/adam2"),
    "a type": (("+space=n_diagonal_original", "targets=many"), "targets"),
    "a real for a whole number": (("+space=n_diagonal_original", "seed=1.5"), "seed"),
    "bad grammar": (("+space=n_diagonal_original", "targets=[1"), "targets"),
    "no targets": (("+space=n_diagonal_original", "targets=0"), "targets=0: at least 1 target a member"),
    "no restarts": (("+space=n_diagonal_original", "restarts=0"), "restarts=0"),
    "a negative seed": (("+space=n_diagonal_original", "seed=-1"), "seed=-1"),
    "no held-out samples": (("+space=n_diagonal_original", "heldout_samples=0"), "heldout_samples=0"),
    "no samples": (("+space=n_diagonal_original", "samples_per_measure=0"), "samples_per_measure=0"),
    "an unknown protocol": (("+space=n_diagonal_original", "protocol=duel"), "protocol=duel"),
    "a protocol that does not fit": (("+space=split_transformer_original", "protocol=reference"), "no third network"),
    "unequal sizes": (("+space=n_diagonal_original", "protocol=direct"), "[80, 112, 136, 152, 160]"),
    "an unknown device": (("+space=n_diagonal_original", "device=tpu"), "device=tpu"),
    "an absent device": (("+space=n_diagonal_original", "device=cuda:77"), "device=cuda:77"),
    "an unknown measure": (("+space=n_diagonal_original", "measure=bytes"), "measure=bytes"),
    "measures that differ": (("+space=n_diagonal_original", "space.a.measure=information"), "measured by information"),
    "a list of another length": (("+space=n_diagonal_original", "routine.lr=[0.1,0.2]"), "routine.lr=[0.1, 0.2]"),
    "a learning rate in words": (("+space=n_diagonal_original", "routine.lr=fast"), "routine.lr='fast'"),
    "no epochs": (("+space=n_diagonal_original", "routine.epochs=0"), "routine.epochs=0"),
    "an activation": (("+space=n_diagonal_original", "space.a.architecture.activation=rellu"), "activation=rellu"),
    "a rank": (("+space=n_diagonal_original", "space.a.members=[{rank:9},{},{},{},{}]"), "rank=9"),
    "other members": (("+space=n_diagonal_original", "space.a.members=[{rank:1}]"), "has 1 and LoRA has 5"),
    "heads": (("+space=split_transformer_original", "space.a.architecture.heads=4"), "heads=4"),
    "a module": (
        ("+space=n_diagonal_original", "space.a.architecture._target_=nowhere.Net"),
        "nowhere.Net: cannot be imported",
    ),
    "a name in a module": (
        ("+space=n_diagonal_original", "space.a.architecture._target_=torch.nn.Linaer"),
        "torch.nn has no Linaer). There are: Linear",
    ),
    "no target": (("+space=n_diagonal_original", "prior={}", "~prior._target_"), "prior"),
    "no class": (
        ("+space=n_diagonal_original", "space.a.architecture._target_=torch.nn.Linear"),
        "Linear takes no such argument",
    ),
    "input shape": (("+space=n_diagonal_original", "input_shape=[7]"), "could not be run"),
    "an input shape of zero": (("+space=n_diagonal_original", "input_shape=[0]"), "input_shape=[0]"),
    "a pattern": (
        ("+space=n_diagonal_original", "prior=scaled", "prior.factors={absent:2}"),
        "'absent' matches no parameter",
    ),
    "a chunk": (("+space=n_diagonal_original", "engine.chunk=0"), "engine.chunk=0"),
    "memory": (("+space=n_diagonal_original", "engine.memory=0"), "engine.memory=0"),
    "a key that nothing reads": (
        ("+space=n_diagonal_original", "+lr=3"),
        "+lr: no such key, nothing would read it. There is routine.lr",
    ),
    "an experiment": (("+space=n_diagonal_original", "+experiment=foo"), "There is tracking.experiment"),
    "a sweeper that looks for the least": (
        ("-m", "+space=n_diagonal_original", "hydra/sweeper=optuna", "routine.lr=1,2"),
        "hydra/sweeper=until_decided",
    ),
    "a key of a side that nothing reads": (
        ("+space=n_diagonal_original", "+space.a.rank=3"),
        "+space.a.rank: no such key",
    ),
    "no measure": (("+space=n_diagonal_original", "measure=null"), "measure=None"),
    "a number for a measure": (("+space=n_diagonal_original", "measure=5"), "measure=5"),
    "a number for a shape": (("+space=n_diagonal_original", "input_shape=4"), "input_shape=4"),
    "no shape": (("+space=n_diagonal_original", "input_shape=null"), "input_shape=None"),
    "no members": (("+space=n_diagonal_original", "space.a.members=null"), "members=None"),
    "a number for members": (("+space=n_diagonal_original", "space.a.members=5"), "members=5"),
    "a seed too large": (
        ("+space=n_diagonal_original", "seed=99999999999999999999"),
        "seed=99999999999999999999: at most",
    ),
    "too many targets": (("+space=n_diagonal_original", "targets=1000000000000"), "targets=1000000000000: at most"),
    "inputs without spread": (("+space=n_diagonal_original", "inputs.std=-1"), "std=-1"),
    "inputs that are no number": (("+space=n_diagonal_original", "inputs.mean=nan"), "mean=nan"),
    "an empty range": (("+space=n_diagonal_original", "inputs=uniform", "inputs.low=2"), "low=2"),
    "a momentum": (("+space=n_diagonal_original", "routine.beta1=1"), "routine.beta1=1"),
    "a routine over another": (
        ("+space=n_diagonal_original", "routine._target_=archab.space.routine.SGD"),
        "SGD takes no such argument",
    ),
    "a config directory": (
        ("--config-dir", "absent", "+space=n_diagonal_original"),
        "--config-dir absent: no such directory",
    ),
    "an odd number of pairs": (("+space=split_transformer_original", "targets=3"), "targets=3: protocol=crossed"),
    "a store in memory": (("+space=n_diagonal_original", "tracking.uri='sqlite://'"), "in memory"),
    "a store in SQLite's memory": (
        ("+space=n_diagonal_original", "tracking.uri='sqlite:///file:x?mode=memory&uri=true'"),
        "in memory",
    ),
    "two slashes": (("+space=n_diagonal_original", "tracking.uri=sqlite://mlflow.db"), "sqlite:///mlflow.db"),
    "an address that is not quoted": (
        ("+space=n_diagonal_original", "tracking.uri=sqlite:///mlflow.db?timeout=60"),
        """: type it as 'tracking.uri="sqlite:///mlflow.db?timeout=60"'""",
    ),
    "a store's folder": (
        ("+space=n_diagonal_original", "tracking.uri=sqlite:////absent/folder/m.db"),
        "there is no folder",
    ),
    "a server": (("+space=n_diagonal_original", "tracking.uri=http://127.0.0.1:9"), "no MLflow server answers"),
    "a kind of store": (
        ("+space=n_diagonal_original", "tracking.uri=ftp://host/x"),
        "tracking.uri=ftp://host/x: no store of",
    ),
    "a database": (
        ("+space=n_diagonal_original", "tracking.uri=postgresql://127.0.0.1:9/x"),
        "no PostgreSQL server answers",
    ),
    "patience": (("+space=n_diagonal_original", "tracking.patience=-1"), "tracking.patience=-1"),
    "no patience": (("+space=n_diagonal_original", "tracking.patience=nan"), "tracking.patience=nan"),
    "a patience in words": (("+space=n_diagonal_original", "tracking.patience=soon"), "tracking.patience"),
    "a shard too many": (("+space=n_diagonal_original", "shard=3/2"), "shard=3/2: a share such as"),
    "no shard": (("+space=n_diagonal_original", "shard=0/2"), "shard=0/2: a share such as"),
    "a shard in words": (("+space=n_diagonal_original", "shard=first"), "shard=first: a share such as"),
    "more shards than parts": ((*QUICK, "shard=1/41"), "the run has 2 parts"),
    "no shards": (("+space=n_diagonal_original", "shards=0"), "shards=0: a number of shards is needed"),
    "shards in words": (("+space=n_diagonal_original", "shards=all"), "shards=all: a number of shards is needed"),
    "shards and a shard": (("+space=n_diagonal_original", "shards=2", "shard=1/3"), "one of the two"),
    "workers": (("+space=n_diagonal_original", "engine.workers=0"), "engine.workers=0"),
    "workers in words": (("+space=n_diagonal_original", "engine.workers=all"), "engine.workers='all'"),
    "a launcher without a sweep": (
        ("+space=n_diagonal_original", "+launch=joblib"),
        "+launch=joblib: goes with a sweep",
    ),
    "an unknown launcher": (("-m", "+space=n_diagonal_original", "+launch=ssh", "seed=0,1"), "launch/ssh"),
    "no spool": (("+space=n_diagonal_original", "spool="), "spool=: the name of a folder"),
    "a spool": (("spool=/dev/null/rows", *QUICK), "spool=/dev/null/rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_gets_one_message_without_a_traceback_and_exit_code_2(case, command):
    arguments, said = REFUSED[case]
    ended = command(*arguments)
    assert ended.code == 2, ended.out + ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert "students," not in ended.out


@pytest.mark.parametrize("arguments", [(), ("+space=n_diagonl",), ("+space=n_diagonal_original", "targts=1")])
def test_an_error_that_needs_no_torch_comes_at_once(arguments, tmp_path):
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-m", "archab", *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2
    assert time.monotonic() - started < 3, "an import of torch takes longer than all of this"


SPACE = "space:\n  a: {architecture: {_target_: torch.nn.Identity}, members: [{}]}\n"
FILES = {
    "no package": (SPACE, "made.yaml: a space's file begins with the line: # @package _global_"),
    "a tab": (f"# @package _global_\n{SPACE}\tb: 1\n", "made.yaml, line 4: is no YAML"),
    "no YAML": ("# @package _global_\nspace: [1\n", "made.yaml, line 3: is no YAML"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_hydra_would_explain_badly_is_named_in_one_line(case, command, tmp_path):
    text, said = FILES[case]
    file = tmp_path / "configs" / "space" / "made.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    ended = command("--config-dir", "configs", "+space=made")
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert said in ended.err
    assert "It is in ./configs: put --config-dir configs in front of it." in command("+space=made").err


@pytest.mark.parametrize(
    "sweeper", ["hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper", "hydra_ax_sweeper.ax_sweeper.AxSweeper"]
)
def test_a_sweeper_that_needs_a_number_is_known_by_its_class_and_others_are_not(sweeper):
    with pytest.raises(ArchabError, match="until_decided"):
        check_sweeper(f"hydra.sweeper._target_=hydra_plugins.{sweeper}")
    check_sweeper("hydra.sweeper._target_=hydra._internal.core_plugins.basic_sweeper.BasicSweeper")
    check_sweeper("hydra.sweeper._target_=hydra_plugins.archab_until_decided.UntilDecided")


def test_every_command_says_archabs_version(command, capfd):
    assert command("--version").out == f"archab {__version__}\n"
    for main in (compare.main, sync.main):
        with pytest.raises(SystemExit) as ended:
            main(["--version"])
        assert (ended.value.code, capfd.readouterr().out) == (0, f"archab {__version__}\n")


def test_the_full_error_shows_the_traceback(command, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ArchabError):
        command()


def test_help_names_the_program(command):
    ended = command("--help")
    assert ended.code == 0
    assert "archab" in ended.out
    assert "n_diagonal" in ended.out


USERS = {
    "mine/__init__.py": "",
    "mine/layers.py": """
        from torch import nn

        class Gate(nn.Module):
            def __init__(self, width, sharp=1.0):
                super().__init__()
                self.value, self.gate, self.sharp = nn.Linear(width, width), nn.Linear(width, width), sharp

            def forward(self, x):
                return self.value(x) * (self.gate(x) * self.sharp).sigmoid()
    """,
    "mine/prior.py": """
        import torch

        def wide(network, factor=2.0):
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.mul_(factor)
    """,
    "mine/routine.py": """
        import torch

        def patient(network, batches, loss, lr=0.05, epochs=2, minibatch=8):
            optimiser = torch.optim.RMSprop(network.parameters(), lr=lr)
            schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.5)
            for _ in range(epochs):
                for inputs, outputs in batches:
                    optimiser.zero_grad()
                    loss(network(inputs), outputs).backward()
                    optimiser.step()
                schedule.step()
    """,
    "configs/architecture/gate.yaml": """
        _target_: mine.layers.Gate
        sharp: 1.0
    """,
    "configs/prior/wide.yaml": """
        _target_: mine.prior.wide
        factor: 3.0
    """,
    "configs/routine/patient.yaml": """
        _target_: mine.routine.patient
        lr: [0.05, 0.02]
        epochs: 2
        minibatch: 8
    """,
    "configs/space/gates.yaml": """
        # @package _global_
        defaults:
          - /architecture@space.a.architecture: gate
          - /architecture@space.b.architecture: gate
          - /prior: wide
          - /routine: patient
          - /prior@space.a.prior: null
          - /prior@space.b.prior: null
          - /routine@space.a.routine: null
          - /routine@space.b.routine: null
          - _self_
        input_shape: [3]
        space:
          question: Does a sharp gate learn better?
          a: {name: sharp, members: [{width: 3}, {width: 3}], architecture: {sharp: 5.0}}
          b: {name: soft, members: [{width: 3}, {width: 3}]}
    """,
}


@pytest.fixture
def users_folder(stored: Path) -> Path:
    for name, text in USERS.items():
        file = stored / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip())
    return stored


def test_a_users_own_architecture_prior_routine_and_space_run_from_their_folder(users_folder):
    def run(*more: str) -> subprocess.CompletedProcess[str]:
        given = ["--config-dir", "configs", "+space=gates", "targets=2", "samples=32", *more]
        program = Path(sys.executable).with_name("archab")
        return subprocess.run([program, *given], cwd=users_folder, capture_output=True, text=True)

    ended = run()
    assert ended.returncode == 0, ended.stderr
    assert "Does a sharp gate learn better?" in ended.stdout
    assert "Traceback" not in ended.stderr
    [run_] = runs(users_folder, "gates").to_dict("records")
    assert run_["params.space.a.prior.factor"] == "3.0"
    again = run_["tags.archab.again"].split()
    assert again[:4] == ["python", "-m", "archab", "-m"]
    assert again[4] == f"--config-dir={users_folder / 'configs'}"
    layers = users_folder / "mine/layers.py"
    layers.write_text(layers.read_text().replace("sigmoid", "tanh"))
    assert run().returncode == 0
    assert runs(users_folder, "gates")["tags.archab.fingerprint"].nunique() == 2


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_an_interrupted_run_ends_as_killed_and_keeps_its_rows_and_no_second_one_is_let_in(number, code, stored):
    run = started(stored)
    if number == signal.SIGTERM:
        other = subprocess.run([sys.executable, "-m", "archab", *SLOW], cwd=stored, capture_output=True, text=True)
        assert other.returncode == 2
        assert "another process is at this very run" in other.stderr
    run.send_signal(number)
    _, err = run.communicate(timeout=30)
    assert run.returncode == code
    assert "finished rows are kept" in err
    assert "Traceback" not in err
    assert list(runs(stored, "n_diagonal_original")["status"]) == ["KILLED"]
    assert list(stored.glob(".archab/*/0/parts/*.parquet"))


def test_a_run_killed_outright_goes_on_from_its_parts_with_the_rows_of_an_undisturbed_one(tmp_path, command):
    quick = (*QUICK, "engine.chunk=2")
    assert command(*quick).code == 0
    [result] = tmp_path.glob(".archab/*/0/results.parquet")
    rows = pd.read_parquet(result)
    # As kill -9 leaves it: a finished first part, a half-written second one, and a marked row to see what was kept.
    first = rows[rows["member"] == 0].assign(nmse=0.125)
    first.attrs = rows.attrs
    (result.parent / "parts").mkdir()
    first.to_parquet(result.parent / "parts" / "0000-reference-00000000.parquet", index=False)
    (result.parent / "parts" / ".0001-reference-00000000.parquet.99").write_bytes(b"PAR1 half")
    result.unlink()
    again = command(*quick)
    assert (again.code, again.err) == (0, "")
    resumed = pd.read_parquet(result)
    assert (resumed[resumed["member"] == 0]["nmse"] == 0.125).all()
    later = slice(len(first), None)
    pd.testing.assert_frame_equal(resumed[later], rows[later])


def test_a_finished_seed_is_drawn_anew_for_this_terminal(command, monkeypatch):
    once = command(*QUICK).out
    again = command(*QUICK).out
    assert again[again.index("A n-diagonal") :] == once[once.index("A n-diagonal") :]
    monkeypatch.setenv("COLUMNS", "120")
    wide = command(*QUICK).out
    assert max(len(line) for line in again.splitlines() if line.startswith("|")) == 100
    assert max(len(line) for line in wide.splitlines() if line.startswith("|")) == 110


def test_a_finished_seed_is_not_trained_again_unless_it_is_asked_for_or_lost(command, tmp_path):
    once = command(*AUTO)
    again = command(*QUICK)
    assert "seed 0: finished before by engine=auto; rerun=true trains it anew" in again.out
    assert "verdict" in again.out
    assert "results.parquet" in again.out
    assert once.code == again.code == 0
    assert len(runs(tmp_path, "n_diagonal_original")) == 1
    first = int(runs(tmp_path, "n_diagonal_original")["_start_time"].iloc[0])
    assert command(*QUICK, "rerun=true").code == 0
    assert len(runs(tmp_path, "n_diagonal_original")) == 2
    for run in runs(tmp_path, "n_diagonal_original")["run_id"]:
        client(tmp_path).delete_run(run)
    back = command(*QUICK)
    assert "lacked them" in back.out
    assert "engine A" not in back.out  # nothing was trained
    [brought] = runs(tmp_path, "n_diagonal_original").to_dict("records")
    assert brought["tags.archab.verdict"] == "undecided"
    assert brought["metrics.gmr"] > 0
    assert brought["_start_time"] == first  # of the seed, which a rerun is no new evidence of
    assert {"results.parquet", "control.parquet", "config.yaml", "plan.json"} <= artifacts(tmp_path, brought["run_id"])


def test_rows_that_the_store_lost_are_brought_back_into_the_same_run(command, tmp_path, capfd):
    command(*QUICK)
    [run] = runs(tmp_path, "n_diagonal_original")["run_id"]
    for again in (lambda: command(*QUICK).code, lambda: sync.main([".archab"])):
        shutil.rmtree(tmp_path / "mlruns")
        assert compare.main(["--space", "n_diagonal_original"]) == 2
        assert "archab-sync brings them back" in capfd.readouterr().err
        assert again() == 0
        there = runs(tmp_path, "n_diagonal_original")
        assert list(there[there["tags.archab.kind"] == "run"]["run_id"]) == [run]
        assert compare.main(["--space", "n_diagonal_original"]) == 0


def test_a_finished_seed_goes_to_another_experiment_where_that_is_asked_for(command, tmp_path):
    command(*QUICK)
    ended = command(*QUICK, "tracking.experiment=other")
    assert "seed 0: finished before" in ended.out
    assert compare.main(["--space", "other"]) == 0


def test_a_run_that_died_without_a_word_is_ended_as_killed_by_the_next(stored):
    run = started(stored)
    run.kill()
    run.communicate()
    assert sync.main([str(stored / ".archab")]) == 0
    assert list(runs(stored, "n_diagonal_original")["status"]) == ["RUNNING"]
    again = subprocess.Popen([sys.executable, "-m", "archab", *SLOW], cwd=stored, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while sorted(runs(stored, "n_diagonal_original")["status"]) != ["KILLED", "RUNNING"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    again.terminate()
    said, _ = again.communicate(timeout=30)
    assert "1 earlier run of this seed had died" in said


def test_a_store_that_cannot_be_written_is_refused_before_training(command, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: "mlflow.db" not in str(path) and str(path) != str(tmp_path))
    ended = command(*QUICK)
    assert ended.code == 2
    assert "cannot be written" in ended.err


def test_a_wheel_holds_the_configuration(tmp_path):
    """That it runs where nothing of the checkout is, `.ci/run` shows."""
    root = Path(__file__).parents[1]
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(root)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    files = [file.relative_to(root / "conf") for file in (root / "conf").rglob("*.yaml")]
    assert len(files) > 50
    assert {f"archab/conf/{file}" for file in files} <= names


def test_a_run_holds_its_report_and_figures_where_it_is_asked_to(command, tmp_path):
    assert command(*QUICK, "report=true").code == 0
    [run] = runs(tmp_path, "n_diagonal_original").to_dict("records")
    folder = Path(client(tmp_path).download_artifacts(run["run_id"], "report"))
    assert {"report.html", "training.png", "differences.png"} <= {file.name for file in folder.iterdir()}
    assert "Too few targets" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code"), [(("--version",), 0), (("+space=nope",), 2), (("gate", "--metric", "x"), 2), (("new",), 2)]
)
def test_the_program_leaves_with_its_own_code_and_all_that_it_printed(arguments, code, tmp_path):
    ended = subprocess.run([sys.executable, "-m", "archab", *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == code
    assert ended.stdout.startswith("archab 0.") or ended.stderr
