"""A signal ends a command wherever it finds it, and so does a reader who leaves."""

import subprocess
import sys

import pytest
from logged import TWO

CODE = """
import os, signal, time, weakref
from archab.cli import signals
class Thing: pass
def found(_): os.kill(os.getpid(), signal.{name}); time.sleep(0.01)
signals.{how}
thing = Thing()
seen = weakref.ref(thing, found)
try:
    del thing
    time.sleep(20)
finally:
    print("tidied up")
"""


@pytest.mark.parametrize(
    ("how", "name", "status"),
    [
        ("handle(lambda: None)", "SIGTERM", 143),
        ("handle(lambda: None)", "SIGINT", -2),
        ("handle_in_worker()", "SIGTERM", 143),
    ],
)
def test_a_signal_that_meets_a_callback_is_not_lost(how, name, status):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(how=how, name=name)], capture_output=True, text=True, timeout=15
    )
    assert done.returncode == status, done.stderr
    assert done.stdout == "tidied up\n"


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "command", [["archab", "+space=n_diagonal_original", *TWO], ["archab", "sizes", "+space=n_diagonal"]]
)
def test_a_reader_who_leaves_ends_a_command_without_a_word(command, tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", *command], cwd=tmp_path, **pipes) as run:
        if "sizes" not in command:
            assert run.stdout.readline().startswith(b"archab ")
        run.stdout.close()
        assert run.wait(60) == 141
        assert run.stderr.read() == b""
