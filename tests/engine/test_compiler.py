"""What the compiler has made is kept, whole, bounded, and safe from others; a damaged program is compiled again."""

import ctypes
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from archab.engine.cpp import compiler

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler: install g++")

PROGRAM = 'extern "C" int answer() { return 42; }'


def test_an_optimisation_that_cxx_asks_for_wins(monkeypatch):
    for asked, last in (("g++", "-O3"), ("g++ -O1 -g", "-O1")):
        monkeypatch.setenv("CXX", asked)
        compiler.compiler.cache_clear()
        assert [word for word in compiler.compiler() if word.startswith("-O")][-1] == last
    compiler.compiler.cache_clear()


def test_a_kept_program_is_not_compiled_again_and_a_damaged_one_is(cache, monkeypatch):
    assert compiler.load(PROGRAM).answer() == 42
    [file] = cache.glob("*.so")
    whole = file.read_bytes()
    monkeypatch.setattr(compiler, "_compiled", lambda source: pytest.fail("compiled again"))
    assert compiler.load(PROGRAM).answer() == 42
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    for damaged in (whole[:100], whole[:-40] + b"x" * 40, b""):
        file.unlink()  # a new file: the old one is mapped
        file.write_bytes(damaged)
        compiler.load(PROGRAM)
        assert file.read_bytes() == whole


def test_programs_are_never_loaded_from_where_others_may_write(cache):
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert compiler.store() != cache
    assert compiler.store().stat().st_mode & 0o077 == 0


def test_a_program_that_cannot_be_kept_is_used_all_the_same_and_leaves_nothing_behind(cache, monkeypatch):
    cache.mkdir(mode=0o700)
    assert compiler.store() == cache

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiler.Path, "replace", full)
    assert compiler.load(PROGRAM).answer() == 42
    assert not list(cache.iterdir())


def test_what_was_not_used_for_longest_is_forgotten(cache, monkeypatch):
    monkeypatch.setattr(compiler, "KEPT", 3 * 1032)
    for i in range(6):
        compiler.keep(f"{i}.so", b"x" * 1000)
        os.utime(cache / f"{i}.so", (i, i))
    compiler.keep("last.so", b"x" * 1000)
    assert sorted(f.name for f in cache.glob("*.so")) == ["4.so", "5.so", "last.so"]


def test_processes_that_compile_the_same_at_once_all_succeed(cache):
    code = f"from archab.engine.cpp import compiler; print(compiler.load({PROGRAM!r}).answer())"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [p.communicate()[0].strip() for p in started] == ["42"] * 4
    assert len(list(cache.iterdir())) == 1


def test_a_loaded_program_is_called_without_pythons_lock():
    assert isinstance(compiler.load(PROGRAM), ctypes.CDLL)
    assert not isinstance(compiler.load(PROGRAM), ctypes.PyDLL)


@pytest.mark.skipif(platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc", reason="glibc's on x86 alone")
@pytest.mark.parametrize("lanes", [16, 1])
def test_exponentials_of_float32_are_the_machines_vector_functions(lanes, cache):
    given = "float* __restrict to, float* __restrict x"
    loop = {
        16: "for (long i = 0; i < 64; i++) ((Vec<float>*)to)[i] = exp_(((Vec<float>*)x)[i]);",
        1: '_Pragma("omp simd") for (long i = 0; i < 1024; i++) to[i] = exp_(x[i]);',
    }[lanes]
    header = (Path(compiler.__file__).parent / "lanes.h").read_text()
    made = compiler.load(f'#define LANES {lanes}\n{header}\nextern "C" void all({given}) {{ {loop} }}')
    assert re.search(rb"_ZGV\w+_expf", Path(made._name).read_bytes())
    x, to = torch.linspace(-80, 80, 1024), torch.empty(1024)  # which torch aligns as vectors must be
    made.all(ctypes.c_void_p(to.data_ptr()), ctypes.c_void_p(x.data_ptr()))
    torch.testing.assert_close(to.double(), x.double().exp(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("divisor", [0.37, -0.37])
def test_a_remainder_is_torchs_to_the_bit_also_of_large_numbers(divisor, cache):
    header = (Path(compiler.__file__).parent / "lanes.h").read_text()
    loop = "for (long i = 0; i < 64; i++) ((Vec<float>*)to)[i] = modulo_(((Vec<float>*)x)[i], up<Vec<float>>(b));"
    given = "float* to, float* x, float b"
    made = compiler.load(f'#define LANES 16\n{header}\nextern "C" void all({given}) {{ {loop} }}')
    x, to = torch.linspace(-1e5, 1e5, 1024), torch.empty(1024)
    made.all(ctypes.c_void_p(to.data_ptr()), ctypes.c_void_p(x.data_ptr()), ctypes.c_float(divisor))
    torch.testing.assert_close(to, x % divisor, rtol=0, atol=0)
