"""C++ to machine code: the compiler of this machine, and what it has made, kept between runs."""

import atexit
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

FLAGS = [
    *("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"),  # NaN keeps its meaning
    *("-fno-strict-aliasing", "-fPIC", "-shared", "-w"),  # one memory holds values of several types
]
# What clang does not know. GCC 12 takes kernels for pure functions, and leaves out their calls, where it has rewritten
# the addresses that they write to.
GNU = ["-mprefer-vector-width=512", "-fopenmp-simd", "-fno-ipa-pure-const", "-fno-ipa-modref"]
KEPT = 256 * 2**20  # bytes of programs that are kept
DIGEST = hashlib.sha256().digest_size


class CompilationFailed(Exception):
    """What the compiler said."""


@cache
def compiler() -> list[str] | None:
    """The command of the C++ compiler: `CXX`, else g++, where there is one that knows what programs need.

    An -O of `CXX` wins over that of archab: -O1 compiles in a fifth of the time what runs slower.
    """
    named = shlex.split(os.environ.get("CXX") or "g++")
    if not named or shutil.which(named[0]) is None:
        return None
    probe = "typedef float V __attribute__((vector_size(64))); V f(V a, V b) { return a > b ? a : b; }"
    for flags in ([*FLAGS, *GNU], FLAGS):
        command = [*named, *flags, *(word for word in named[1:] if word.startswith("-O")), "-x", "c++", "-"]
        with suppress(OSError, subprocess.TimeoutExpired):
            ended = subprocess.run([*command, "-o", os.devnull], input=probe.encode(), capture_output=True, timeout=30)
            if ended.returncode == 0:
                return command
    return None


def load(source: str) -> ctypes.CDLL:
    """A program, compiled unless it is kept.

    Raises:
        CompilationFailed: with the compiler's first line.
    """
    name = f"{_key(source)}.so"
    if recall(name) is not None:
        return ctypes.CDLL(str(store() / name))
    made = _compiled(source)
    if keep(name, made):
        return ctypes.CDLL(str(store() / name))
    with tempfile.NamedTemporaryFile(suffix=".so") as file:  # used, though not kept
        file.write(made)
        file.flush()
        return ctypes.CDLL(file.name)


def recall(name: str) -> bytes | None:
    """What is kept under a name, None where nothing is, or not as it was written: its digest stands behind it."""
    file = store() / name
    try:
        held = file.read_bytes()
        os.utime(file)
    except OSError:
        return None
    whole = hashlib.sha256(held[:-DIGEST]).digest() == held[-DIGEST:]
    return held[:-DIGEST] if whole else None


def keep(name: str, content: bytes) -> bool:
    """Keep something, and forget what was not used for longest; whether there was room for it.

    Other processes see all of it or nothing.
    """
    unfinished = store() / f".{name}.{os.getpid()}"
    try:
        unfinished.write_bytes(content + hashlib.sha256(content).digest())
        unfinished.replace(store() / name)
    except OSError:
        unfinished.unlink(missing_ok=True)
        return False
    _prune(store())
    return True


@cache
def store() -> Path:
    """Where programs are kept: `archab` in `XDG_CACHE_HOME`, if it is this user's alone; else a folder of this process.

    Code is loaded from here, so nobody else may write it.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archab"
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(folder, os.W_OK):
            return folder
    own = Path(tempfile.mkdtemp(prefix="archab-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


@cache
def _machine() -> str:
    """All that shapes machine code beside its source: compiler, flags and processor."""
    command = compiler() or []
    said = subprocess.run([*command[:1], "--version"], capture_output=True, text=True).stdout
    processor = platform.processor() + platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return "\n".join([said, *command, processor])


def _key(source: str) -> str:
    return hashlib.sha256(f"{_machine()}\n{source}".encode()).hexdigest()[:32]


def _compiled(source: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "program.so"
        command = [*(compiler() or []), "-o", str(made), *_libraries()]
        said = subprocess.run(command, input=source.encode(), capture_output=True)
        if said.returncode:
            lines = [line for line in said.stderr.decode(errors="replace").splitlines() if "error" in line]
            raise CompilationFailed(
                (lines or said.stderr.decode(errors="replace").splitlines() or ["no reason given"])[0]
            )
        return made.read_bytes()


def _libraries() -> list[str]:
    return ["-lmvec", "-lm"] if platform.libc_ver()[0] == "glibc" and platform.machine() == "x86_64" else ["-lm"]


def _prune(folder: Path) -> None:
    """Forget what was not used for longest."""
    files = []
    with os.scandir(folder) as there:
        for entry in there:
            with suppress(OSError):
                status = entry.stat()
                files.append((status.st_mtime, status.st_size, entry.path))
    kept = 0
    for _, size, file in sorted(files, reverse=True):
        kept += size
        if kept > KEPT:
            Path(file).unlink(missing_ok=True)
