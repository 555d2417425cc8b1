"""The comparison command: which runs and tables it reads, what it refuses, and what it leaves in the store."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from archab import results
from archab.cli.compare import main
from archab.results import COLUMNS
from archab.runs.log import Record
from archab.store.desk import Desk
from archab.store.mlflow import Store, Tracker
from archab.store.upload import tracked

ROOT = Path(__file__).parents[1]


def rows(seed: int, fingerprint: str = "one", effect: float = -1.0, targets: int = 8, members: int = 2) -> pd.DataFrame:
    """Rows of a made-up run: A's log errors lie `effect` away from B's."""
    rng = np.random.default_rng([seed, int(abs(effect) * 1000)])
    made = []
    for member in range(members):
        for draw in range(targets):
            level = rng.normal(-3, 1)
            for side, shift in (("a", effect), ("b", 0.0)):
                nmse = np.exp(level + shift + rng.normal(0, 0.3))
                made.append([fingerprint, seed, member, f"{seed}-{member}-{draw}", draw, "reference", side, 0, nmse])
    return pd.DataFrame(made, columns=list(COLUMNS[:9])).assign(train_nmse=0.1, measure=100.0, status="ok")


def log(
    folder: Path, seed: int, table: pd.DataFrame | None, fingerprint: str = "one", lr: str = "0.01", **more: str
) -> str:
    """A run in the store, as the command line leaves it, with more tags; without a table it fails."""
    store = Store.named(None, folder)
    tags = {
        "archab.kind": "run",
        "archab.seed": str(seed),
        "archab.fingerprint": fingerprint,
        "archab.names": json.dumps({"a": "new", "b": "old"}),
        "archab.members": json.dumps(["small", "large"]),
        "archab.notes": json.dumps(["Shared learning rate, not tuned."]),
        "archab.again": "python -m archab -m +space=made",
    }
    tags |= {f"archab.{name}": value for name, value in more.items()}
    parameters = {"space.a.routine.lr": lr, "space.b.routine.lr": lr, "targets": 8, "seed": seed}
    try:
        record = Record("made", f"seed {seed}", parameters, tags, "auto")
        with tracked(Desk(store.uri, store.artifacts), record, set(), print, patience=0) as live:
            identity = live.entry.run_id
            if table is None:
                raise RuntimeError("as a run that broke")
            file = folder / "results.parquet"
            results.write(table, file)
            live.deliver([file])
    except RuntimeError:
        pass
    return identity


@pytest.fixture
def store(stored: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(stored)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return stored


def summaries(folder: Path) -> list:
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    identity = client.get_experiment_by_name("made").experiment_id
    return client.search_runs([identity], "tags.`archab.kind` = 'verdict'")


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_finished_seeds_of_a_space_become_one_verdict_and_one_summary_run_that_is_updated(store, capsys):
    log(store, 0, rows(0))
    first = found(capsys, "--space", "made")
    assert (first["verdict"], first["blocks"], first["design"]) == ("a_better", 16, "paired")
    [summary] = summaries(store)
    assert "new learns better than old" in summary.data.tags["mlflow.note.content"]
    assert summary.data.tags["archab.verdict"] == "a_better"
    assert summary.data.metrics["gmr"] == pytest.approx(first["gmr"])
    log(store, 1, rows(1))
    assert found(capsys, "--space", "made")["blocks"] == 32
    [again] = summaries(store)
    assert again.info.run_id == summary.info.run_id
    assert again.data.metrics["seeds"] == 2


def test_the_text_says_the_verdict_and_the_shim_is_the_same_command(store, capsys):
    log(store, 0, rows(0))
    assert main(["--space", "made"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "new learns better than old: its typical error is" in said
    assert "Shared learning rate, not tuned." in said
    assert "large" in said
    shim = subprocess.run(
        [sys.executable, ROOT / "scripts/compare.py", "--space", "made", "--json"],
        cwd=store, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(shim.stdout)["verdict"] == "a_better"


def test_a_rerun_of_a_seed_is_no_new_evidence(store, capsys):
    log(store, 0, rows(0))
    log(store, 0, rows(0))
    assert found(capsys, "--space", "made")["blocks"] == 16


def test_seeds_count_in_the_order_of_their_first_start_and_wait_behind_a_hole(store, capsys):
    log(store, 5, rows(5))
    log(store, 3, None)
    log(store, 1, rows(1))
    waiting = found(capsys, "--space", "made")
    assert len(waiting["log_e"]) == 8
    main(["--space", "made", "--alpha", "0.001"])
    assert "run it again: python -m archab -m +space=made 'seed=3'" in capsys.readouterr().out
    assert waiting["blocks"] == 32
    assert any("not finished: seed 3" in note for note in waiting["notes"])
    log(store, 3, rows(3))
    full = found(capsys, "--space", "made")
    assert len(full["log_e"]) == 24
    from archab.evidence.verdict import judge

    together = pd.concat([rows(5), rows(3), rows(1)])
    assert full["log_e"] == pytest.approx(list(judge(together, order=[5, 3, 1]).log_e))


def test_tags_beyond_the_limit_of_mlflow_are_whole_and_it_warns_of_nothing(store, capfd):
    names = [f"{'a long name ' * 9}{i}" for i in range(200)]
    identity = log(store, 0, rows(0), **{"members": json.dumps(names), "again": "x" * 20_000})
    Tracker(Store.named(None, store).client(), identity, "1").tag({"mlflow.note.content": "é" * 9_000})
    [run] = Store.named(None, store).runs("made")
    assert (json.loads(run.tags["archab.members"]), run.tags["archab.again"]) == (names, "x" * 20_000)
    assert capfd.readouterr().err == ""


def test_deleted_runs_are_counted(store, capsys):
    log(store, 0, rows(0))
    gone = log(store, 1, rows(1))
    MlflowClient(f"sqlite:///{store / 'mlflow.db'}").delete_run(gone)
    notes = found(capsys, "--space", "made")["notes"]
    assert any("deleted from the store: 1" in note for note in notes)


def test_several_configurations_are_one_family_and_filters_show_some_of_it(store, capsys):
    log(store, 0, rows(0))
    log(store, 0, rows(0, "two", effect=-0.2), "two", lr="0.1")
    both = found(capsys, "--space", "made")["verdicts"]
    assert [v["label"] for v in both] == ["routine.lr=0.01", "routine.lr=0.1"]
    p = {v["label"]: v for v in both}
    main(["--space", "made"])
    shown = capsys.readouterr().out
    assert shown.index("p adjusted") < shown.index("A new   B old")  # what sums them up comes first
    one = found(capsys, "--space", "made", "--where", "routine.lr=1e-2")
    assert one["p_adjusted"] == pytest.approx(p["routine.lr=0.01"]["p_adjusted"])
    assert one["p_adjusted"] == pytest.approx(2 * one["p_anytime"])
    shown = found(capsys, "--space", "made", "--where", "routine.lr=0.01", "--family", "shown")
    assert shown["p_adjusted"] == pytest.approx(shown["p_anytime"])
    assert any("1 configurations that are shown of 2" in note for note in shown["notes"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_foreign_table_needs_six_columns_and_no_store(store, capsys, suffix):
    (store / "mlflow.db").unlink()
    table = rows(0)[["seed", "member", "target", "side", "restart", "nmse"]].assign(
        side=lambda t: t["side"].str.upper()
    )
    file = store / f"table.{suffix}"
    table.to_csv(file, index=False) if suffix == "csv" else table.to_parquet(file)
    one = found(capsys, "--table", str(file))
    assert one["verdict"] == "a_better"
    assert one["size_ratio"] is None
    assert not (store / "mlflow.db").exists()


def test_cells_without_a_number_are_diverged_students(store, capsys):
    table = rows(0, effect=0.0, targets=12).assign(nmse=lambda t: t["nmse"].astype(object))
    table.loc[table["side"].eq("a") & table["draw"].lt(10), "nmse"] = ["nan", "inf", "", "NaN"] * 5
    table[["seed", "member", "target", "side", "restart", "nmse"]].to_csv("table.csv", index=False)
    one = found(capsys, "--table", "table.csv")
    assert one["diverged"] == {"a": 20, "b": 0}
    assert one["verdict"] == "b_better"


def test_fail_on_undecided_exits_3(store, capsys):
    rows(0, targets=2).to_csv("few.csv", index=False)
    assert main(["--table", "few.csv", "--fail-on", "undecided"]) == 3
    assert "Too few targets a member for any verdict" in capsys.readouterr().out
    rows(0).to_csv("many.csv", index=False)
    assert main(["--table", "many.csv", "--fail-on", "undecided"]) == 0


def test_watching_prints_the_verdict_anew_when_a_seed_finishes(store):
    log(store, 0, rows(0))
    (store / "temporary").mkdir()
    watch = subprocess.Popen(
        [sys.executable, "-m", "archab.cli.compare", "--space", "made", "--watch", "--json"],
        cwd=store, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(store / "temporary")},
    )  # fmt: skip
    lines: list[dict] = []
    reader = threading.Thread(target=lambda: lines.extend(json.loads(line) for line in watch.stdout), daemon=True)
    reader.start()
    deadline = time.monotonic() + 60
    while not lines and time.monotonic() < deadline:
        time.sleep(0.1)
    log(store, 1, rows(1))
    while len(lines) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    watch.terminate()
    assert watch.wait() == 143
    assert list((store / "temporary").glob("archab-*")) == []
    reader.join()
    watch.stdout.close()
    assert [line["blocks"] for line in lines] == [16, 32]


def broken(**changed: object) -> pd.DataFrame:
    return rows(0).assign(**changed)


TABLES = {
    "a missing column": (rows(0).drop(columns="nmse"), "no column nmse"),
    "no rows": (rows(0).iloc[:0], "is empty"),
    "one side": (rows(0).query("side == 'a'"), "side: only a"),
    "a student twice": (pd.concat([rows(0), rows(0)]), "twice"),
    "mixed fingerprints": (pd.concat([rows(0), rows(1, "two")]), "fingerprint"),
    "a negative error": (broken(nmse=-0.5), "nmse: -0.5"),
    "a target with one side": (rows(0).iloc[1:], "lacks side a"),
    "a third side": (broken(side="c"), "side: 'c'"),
    "a size of nothing": (broken(measure=0.0), "measure: a size"),
    "a seed beyond a table's numbers": (broken(seed=2.0**60), "to 2^53"),
    "words for numbers": (broken(nmse="small"), "'small' in row 0 is no number"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_judged_is_refused_in_one_message(case, store, capsys):
    table, said = TABLES[case]
    table.to_csv("table.csv", index=False)
    assert main(["--table", "table.csv"]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""


def test_members_that_point_to_opposite_sides_are_named(store, capsys):
    up, down = rows(0, effect=-2.0, members=1), rows(0, effect=1.0, members=2).query("member == 1")
    pd.concat([up, down]).to_csv("apart.csv", index=False)
    notes = found(capsys, "--table", "apart.csv")["notes"]
    assert any("Members disagree: A is better at member 0, B at member 1" in note for note in notes)


def test_a_store_is_not_made_by_reading_from_it(store, capsys):
    (store / "mlflow.db").unlink()
    assert main(["--space", "made"]) == 2
    assert "there is no store" in capsys.readouterr().err
    assert not (store / "mlflow.db").exists()


def test_a_reader_that_has_seen_enough_is_no_error(store):
    rows(0).to_csv("table.csv", index=False)
    command = f"{sys.executable} -m archab.cli.compare --table table.csv --json | true"
    ended = subprocess.run(command, shell=True, cwd=store, capture_output=True, text=True)
    assert ended.stderr == ""


ARGUMENTS = {
    "a filter on a table": (("--table", "absent.csv", "--where", "targets=8"), "go with --space"),
    "a folder that cannot be": (("--space", "made", "--figures", "/proc/absent"), "--figures /proc/absent"),
    "a report that is a folder": (("--space", "made", "--report", "."), "--report .: cannot be written there"),
    "a report in no folder": (("--space", "made", "--report", "absent/x.html"), "--report absent/x.html"),
    "a report of no format": (("--space", "made", "--report", "x.pdf"), "ends in .html"),
    "a hero of no format": (("--space", "made", "--hero", "x.jpg"), "ends in .png, .svg or .pdf"),
    "bare of nothing": (("--space", "made", "--bare"), "--bare goes with --figures DIR"),
    "names of a space": (("--space", "made", "--names", "x", "y"), "--names goes with --table"),
    "curves of a space": (("--space", "made", "--curves", "x.csv"), "--curves goes with --table"),
    "no store's address": (("--space", "made", "--tracking-uri", "foo"), "foo: cannot be used as a store"),
    "a short key": (("--space", "made", "--where", "lr=1"), "routine.lr"),
    "an unreadable file": (("--table", "absent.csv"), "absent.csv: cannot be read"),
    "an unknown space": (("--space", "nothing"), "--space nothing: no such experiment"),
    "a filter on the seed": (("--space", "made", "--where", "seed=0"), "takes every seed"),
    "a filter without a value": (("--space", "made", "--where", "targets"), "KEY=VALUE"),
    "an unknown key": (("--space", "made", "--where", "routine.rl=1"), "routine.lr"),
    "a value that is nowhere": (("--space", "made", "--where", "routine.lr=7"), "none of 1 configurations"),
    "a margin": (("--space", "made", "--margin", "0.9"), "margin=0.9"),
    "an error rate": (("--space", "made", "--alpha", "2"), "alpha=2"),
    "a hybrid without a plan": (("--space", "made", "--rule", "hybrid"), "planned"),
    "a store's folder": (("--space", "made", "--tracking-uri", "sqlite:////absent/x.db"), "there is no folder"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_that_make_no_sense_are_refused_in_one_message(case, store, capsys):
    arguments, said = ARGUMENTS[case]
    log(store, 0, rows(0))
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""
    assert summaries(store) == []


def keep(folder: Path, identity: str, name: str, table: pd.DataFrame | None = None, text: str = "") -> None:
    """A further artifact of a run."""
    file = folder / name
    table.to_parquet(file) if table is not None else file.write_text(text)
    MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").log_artifact(identity, str(file))


def curves(scale: float) -> pd.DataFrame:
    steps = [(m, s, step, scale * 0.5**step) for m in range(2) for s in "ab" for step in range(5)]
    table = pd.DataFrame(steps, columns=["member", "side", "step", "q50"])
    return table.assign(q25=0.9 * table["q50"], q75=1.1 * table["q50"])


CONFIG = """heldout_samples: 512
space:
  question: Does it <learn> better?
  a: &one {measure: parameter}
  b: *one
"""


def test_a_report_of_a_space_knows_its_question_config_curves_and_commands(store, capsys):
    for seed in (0, 1):
        identity = log(store, seed, rows(seed))
        keep(store, identity, "config.yaml", text=CONFIG)
        keep(store, identity, "curves.parquet", curves(1 + seed))
    assert main(["--space", "made", "--report", "page.html", "--figures", "drawn"]) == 0
    assert "page.html" in capsys.readouterr().err
    page = (store / "page.html").read_text()
    for said in (
        "Does it &lt;learn&gt; better?", "512 inputs", "python -m archab -m +space=made seed=0,1",
        "archab-compare --space made --report page.html --figures drawn", "parameters", "measure: parameter",
        "Shared learning rate, not tuned.",
    ):  # fmt: skip
        assert said in page
    assert "&amp;one" not in page  # no anchors of YAML
    assert "No training curves" not in page
    assert (store / "drawn" / "training-dark.pdf").exists()


def test_a_report_of_a_table_takes_its_curves_from_a_file(store, capsys):
    rows(0).to_csv("table.csv", index=False)
    curves(1.0).to_csv("curves.csv", index=False)
    more = ["--curves", "curves.csv", "--report", "page.html", "--names", "gate", "plain"]
    assert main(["--table", "table.csv", *more]) == 0
    assert "gate learns better than plain" in " ".join(capsys.readouterr().out.split())
    assert "Training error over the last fifth" in (store / "page.html").read_text()
    curves(1.0).drop(columns="q50").to_csv("curves.csv", index=False)
    assert main(["--table", "table.csv", "--curves", "curves.csv", "--report", "page.html"]) == 2
    assert "no column q50 in the training curves" in capsys.readouterr().err
    curves(1.0).rename(columns={"q25": "q75", "q75": "q25"}).to_csv("curves.csv", index=False)
    assert main(["--table", "table.csv", "--curves", "curves.csv", "--report", "page.html"]) == 2
    assert "in this order" in capsys.readouterr().err


def test_a_hero_needs_one_configuration_and_is_drawn_without_functions_where_none_are_kept(store, capsys):
    log(store, 0, rows(0))
    assert main(["--space", "made", "--hero", "hero.png"]) == 0
    assert {file.name for file in store.glob("*.png")} == {"hero.png", "hero-dark.png"}
    log(store, 0, rows(0, "two", effect=-0.2), "two", lr="0.1")
    capsys.readouterr()
    assert main(["--space", "made", "--hero", "hero.png"]) == 2
    said = capsys.readouterr()
    assert "--hero draws one configuration of 2" in said.err
    assert said.out == ""
    assert main(["--space", "made", "--hero", "hero.png", "--where", "routine.lr=0.1"]) == 0


def test_units_are_called_as_the_measures_call_them():
    from archab.experiment.context import UNITS
    from archab.space import measure

    assert UNITS == measure.UNITS


def test_runs_of_others_are_counted_where_none_is_archabs(store, capsys):
    client = Store.named(None, store).client()
    identity = client.create_experiment("theirs")
    for _ in range(3):
        client.create_run(identity)
    assert main(["--space", "theirs"]) == 2
    assert "--space theirs: 3 runs there, none of them made by archab" in capsys.readouterr().err


def test_no_finished_run_and_rows_that_are_gone_are_refused(store, capsys):
    log(store, 0, None)
    assert main(["--space", "made"]) == 2
    assert "1 runs there, none of them finished" in capsys.readouterr().err
    log(store, 1, rows(1))
    waiting = found(capsys, "--space", "made")  # every round waits for the seed that failed
    assert (waiting["log_e"], summaries(store)[0].data.metrics["gmr"]) == ([], pytest.approx(waiting["gmr"]))
    [artifact] = (store / "mlruns").rglob("results.parquet")
    artifact.unlink()
    assert main(["--space", "made"]) == 2
    assert "results.parquet, are gone" in capsys.readouterr().err


def test_the_hybrid_and_the_fixed_rule_can_be_asked_for(store, capsys):
    log(store, 0, rows(0))
    assert found(capsys, "--space", "made", "--rule", "fixed")["rule"] == "fixed"
    hybrid = found(capsys, "--space", "made", "--rule", "hybrid", "--planned", "8")
    assert (hybrid["rule"], hybrid["verdict"]) == ("hybrid", "a_better")


def test_shards_of_one_plan_are_the_run_once_all_are_there_and_an_undivided_run_supersedes_them(store, capsys):
    whole = rows(0)
    halves = whole[whole["draw"] < 4], whole[whole["draw"] >= 4]
    log(store, 0, halves[0], shard="1/2", plan="one")
    log(store, 0, halves[1], shard="2/2", plan="another")
    with_one = found(capsys, "--space", "made") if main(["--space", "made"]) == 0 else None
    assert with_one is None
    assert "none of them finished" in capsys.readouterr().err
    log(store, 1, rows(1))
    assert "Of seed 0, 1 of 2 shards are finished by one plan." in " ".join(found(capsys, "--space", "made")["notes"])
    log(store, 0, halves[1], shard="2/2", plan="one")
    joined = found(capsys, "--space", "made")
    assert main(["--space", "made", "--report", "page.html"]) == 0
    assert "python -m archab -m +space=made seed=0,1\n" in (store / "page.html").read_text()
    capsys.readouterr()
    assert joined["blocks"] == 32
    assert "shards" not in " ".join(joined["notes"])
    log(store, 0, rows(0, effect=1.0))
    assert found(capsys, "--space", "made")["theta"] > joined["theta"]


def test_the_summary_run_holds_the_report_and_the_figures(store, capsys):
    log(store, 0, rows(0))
    found(capsys, "--space", "made")
    [summary] = summaries(store)
    files = {item.path for item in MlflowClient(f"sqlite:///{store / 'mlflow.db'}").list_artifacts(summary.info.run_id)}
    assert {"report.html", "differences.png", "error_by_size.png", "evidence.png", "share_within.png"} <= files


def test_the_summary_run_goes_on_by_round_and_another_takes_its_place_where_it_could_not(store, capsys):
    def by_round(name: str) -> tuple[str, list[tuple[int, float]]]:
        [summary] = summaries(store)
        client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
        history = client.get_metric_history(summary.info.run_id, name)
        return summary.info.run_id, [(point.step, point.value) for point in history]

    log(store, 0, rows(0))
    second = log(store, 1, rows(1))
    both = found(capsys, "--space", "made")
    first_run, known = by_round("log_e")
    assert known == [(i + 1, pytest.approx(value)) for i, value in enumerate(both["log_e"])]
    log(store, 2, rows(2))
    three = found(capsys, "--space", "made")
    run, known = by_round("log_e")
    assert (run, [step for step, _ in known]) == (first_run, list(range(1, len(three["log_e"]) + 1)))
    assert by_round("gmr")[1][-1][1] == pytest.approx(three["gmr"])
    MlflowClient(f"sqlite:///{store / 'mlflow.db'}").delete_run(second)
    less = found(capsys, "--space", "made")
    run, known = by_round("log_e")
    assert run != first_run
    assert [value for _, value in known] == pytest.approx(less["log_e"])
    log(store, 0, rows(0, effect=0.2), fingerprint="f" * 16)
    assert len(found(capsys, "--space", "made")["verdicts"]) == 2
    assert by_round("log_e")[1] == []


def test_a_narrower_look_has_a_summary_run_of_its_own(store, capsys):
    log(store, 0, rows(0))
    log(store, 0, rows(0, "two", effect=-0.2), "two", lr="0.1")
    found(capsys, "--space", "made")
    [usual] = summaries(store)
    found(capsys, "--space", "made", "--where", "routine.lr=0.1", "--alpha", "0.01")
    names = {run.info.run_id: run.info.run_name for run in summaries(store)}
    assert names.pop(usual.info.run_id) == "verdict"
    [(narrow, name)] = names.items()
    assert name == "verdict --where routine.lr=0.1 --alpha 0.01"
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    assert client.get_run(narrow).data.tags["mlflow.note.content"].startswith("`--where routine.lr=0.1 --alpha 0.01`")
    assert client.get_run(usual.info.run_id).data.tags == usual.data.tags


def test_a_store_that_goes_away_is_one_line(store, capsys, monkeypatch):
    log(store, 0, rows(0))

    def lost(*arguments: object, **named: object) -> None:
        raise MlflowException("API request failed\nwith a long story")

    for name in ("search_runs", "list_artifacts"):
        with monkeypatch.context() as broken:
            broken.setattr(MlflowClient, name, lost)
            broken.setattr("mlflow.artifacts.download_artifacts", lost)
            assert main(["--space", "made"]) == 2
            assert capsys.readouterr().err == "archab-compare: the store or the disk failed (API request failed)\n"


def test_a_damaged_file_beside_the_rows_is_left_out(store, capsys):
    identity = log(store, 0, rows(0))
    keep(store, identity, "control.parquet", text="none")
    keep(store, identity, "curves.parquet", text="none")
    assert main(["--space", "made", "--report", "page.html"]) == 0
    said = capsys.readouterr()
    for name in ("control.parquet", "curves.parquet"):
        assert f"Left out, since it cannot be read: {name} of seed 0" in " ".join(said.out.replace("│", " ").split())
    assert (store / "page.html").exists()


def test_a_store_that_cannot_be_written_keeps_nobody_from_the_verdict(store, capsys, monkeypatch):
    log(store, 0, rows(0))

    def refused(*arguments: object, **named: object) -> None:
        raise MlflowException("attempt to write a readonly database")

    monkeypatch.setattr(MlflowClient, "log_batch", refused)
    assert main(["--space", "made"]) == 0
    said = capsys.readouterr()
    assert "new learns better than old" in " ".join(said.out.split())
    assert "archab-compare: the verdict is not kept in sqlite:///" in said.err
