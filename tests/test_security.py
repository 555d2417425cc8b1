"""What a run must not do: call home, load a pickle from a store, or write outside of its folder."""

import subprocess
import sys
from pathlib import Path

from logged import QUICK

from archab.store.mlflow import Store
from archab.store.uri import hidden

WATCHED = """
import runpy, sys
log = open(sys.argv.pop(1), "a")

def watch(event, arguments):
    if event == "socket.connect" and not isinstance(arguments[1], (str, bytes)):
        if arguments[1][0] not in ("127.0.0.1", "::1", "localhost"):
            print("connects to", arguments[1], file=log, flush=True)
    elif event == "socket.getaddrinfo" and arguments[0] not in (None, "", "127.0.0.1", "::1", "localhost"):
        print("asks for", arguments[0], file=log, flush=True)
    elif event == "pickle.find_class":
        print("unpickles", *arguments, file=log, flush=True)

sys.addaudithook(watch)
module = sys.argv[1]
sys.argv = sys.argv[1:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def watched(folder: Path, *command: str) -> str:
    """What a command connected to and unpickled."""
    log = folder / "watched.log"
    log.write_text("")
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, str(log), *command], cwd=folder, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return log.read_text()


def test_the_watch_sees_what_it_forbids(tmp_path):
    (tmp_path / "leaky.py").write_text(
        "import contextlib, pickle, socket, collections\n"
        "with contextlib.suppress(OSError), socket.socket() as s:\n"
        "    s.settimeout(0.1)\n    s.connect(('192.0.2.1', 9))\n"
        "pickle.loads(pickle.dumps(collections.OrderedDict()))\n"
    )
    seen = watched(tmp_path, "leaky")
    assert "connects to" in seen
    assert "unpickles" in seen


def test_a_run_and_a_comparison_call_nobody_and_unpickle_nothing(tmp_path):
    assert watched(tmp_path, "archab", *QUICK) == ""
    assert watched(tmp_path, "archab.cli.compare", "--space", "n_diagonal_original") == ""


def test_what_a_run_keeps_of_its_configuration_has_no_password(command, tmp_path):
    told = 'space.question="is postgresql://me:secret@host/x hidden?"'
    assert command(*QUICK, "report=true", told, "hydra.output_subdir=null").code == 0
    kept = [file for file in tmp_path.rglob("*") if file.suffix in (".html", ".json", ".yaml")]
    assert {"report.html", "finished.json", "config.yaml"} <= {file.name for file in kept}
    assert any("me:***@host" in file.read_text() for file in kept)
    assert not [file for file in kept if "secret" in file.read_text()]


def test_names_from_a_configuration_stay_inside_the_folder(command, tmp_path):
    inside = tmp_path / "inside"
    before = set(tmp_path.rglob("*"))
    ended = command(
        *QUICK,
        "space.a.name=../../escaped",
        "tracking.experiment=../../escaped",
        f"hydra.run.dir={inside}",
    )
    assert ended.code == 0, ended.err
    made = {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.rglob("*")) - before}
    assert made <= {"inside", ".archab", "mlflow.db", "mlflow.db.lock", "mlruns", "cache"}
    assert not list(tmp_path.parent.glob("*escaped*"))
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_password_is_neither_printed_nor_kept(command, tmp_path):
    uri = "postgresql://me:secret@127.0.0.1:9/archab"
    assert hidden(f"could not reach {uri}!") == "could not reach postgresql://me:***@127.0.0.1:9/archab!"
    assert hidden("sqlite:////a/b:c@d") == "sqlite:////a/b:c@d"
    shown = hidden("postgresql://host/archab?user=me&password=secret&sslmode=require")
    assert shown == "postgresql://host/archab?user=me&password=***&sslmode=require"
    ended = command(*QUICK, f"tracking.uri={uri}")
    assert ended.code == 2
    assert "me:***@" in ended.err
    assert "secret" not in ended.err + ended.out
    assert Store(uri, tmp_path).review.endswith("postgresql://me:***@127.0.0.1:9/archab'")
