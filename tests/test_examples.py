"""Every public class has an example in its docstring, and it runs."""

import doctest
import inspect
import warnings

import pytest

from archab import ArchitecturalSpace, Comparison
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.experiment.job import Watch
from archab.space import inputs, precision, prior, routine

PUBLIC = [
    ArchitecturalSpace,
    Comparison,
    Study,
    Watch,
    judge,
    inputs.Inputs,
    inputs.Normal,
    inputs.Tokens,
    inputs.Uniform,
    precision.converted,
    prior.Init,
    prior.Matched,
    prior.Scaled,
    routine.Adam,
    routine.AdamW,
    routine.Routine,
    routine.SGD,
]


@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.__name__)
def test_an_example_runs(public):
    names = vars(inspect.getmodule(public)).copy()
    [found] = [test for test in doctest.DocTestFinder(recurse=False).find(public, globs=names) if test.examples]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what a user should know of a comparison
        assert doctest.DocTestRunner().run(found).failed == 0
