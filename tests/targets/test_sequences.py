"""Tasks on sequences against solvers that read a sequence symbol by symbol, and follow nothing but the definition."""

from collections import Counter

import pytest
import torch

from archab.errors import ArchabError
from archab.targets.sequences.adding import Adding
from archab.targets.sequences.compression import Compression
from archab.targets.sequences.copying import SelectiveCopying
from archab.targets.sequences.dyck import Dyck
from archab.targets.sequences.majority import Majority
from archab.targets.sequences.modular import ModularAddition
from archab.targets.sequences.parity import Parity
from archab.targets.sequences.recall import Recall
from archab.targets.sequences.regular import RegularLanguage

SKIPPED = -100


def recall(task, tokens):
    """Remembers the token behind each key, and says it where the key comes again."""
    known, said, at = {}, [SKIPPED] * len(tokens), 0
    while at < len(tokens):
        token = tokens[at]
        if token == 0:
            at += 1
        elif token in known:
            said[at] = known[token] - 1 - task.keys
            at += 1
        else:
            known[token] = tokens[at + 1]
            at += 2
    return said


def copying(task, tokens):
    held = [t - 1 for t in tokens if 1 <= t <= task.vocabulary]
    marks = [i for i, t in enumerate(tokens) if t == task.vocabulary + 1]
    said = [SKIPPED] * len(tokens)
    for i, token in zip(marks, held, strict=True):
        said[i] = token
    return said


def dyck(task, tokens):
    stack, said = [], []
    for token in tokens:
        if token < task.kinds:
            stack.append(token)
        else:
            assert stack.pop() == token - task.kinds, "a bracket closes another kind"
        assert len(stack) <= task.depth
        said.append(stack[-1] if stack else task.kinds)
    return said


SOLVED = {
    "recall": (Recall(length=20, pairs=5, keys=8, values=6), recall),
    "recall with room": (Recall(length=24, pairs=2), recall),
    "copying": (SelectiveCopying(length=15, tokens=5, vocabulary=4), copying),
    "compression": (Compression(length=6, vocabulary=5), lambda task, tokens: tokens),
    "parity": (Parity(length=9), lambda task, tokens: Counter(tokens)[1] % 2),
    "parity of some": (Parity(length=9, bits=4), lambda task, tokens: Counter(tokens[:4])[1] % 2),
    "modular": (ModularAddition(modulus=23, terms=2, length=3), lambda task, tokens: sum(tokens) % 23),
    "many terms": (ModularAddition(modulus=97, terms=5, length=5), lambda task, tokens: sum(tokens) % 97),
    "majority": (Majority(length=9), lambda task, tokens: Counter(tokens).most_common(1)[0][0]),
    "dyck": (Dyck(length=18, kinds=3, depth=3), dyck),
}


@pytest.mark.parametrize(("task", "solver"), SOLVED.values(), ids=SOLVED)
def test_labels_are_those_of_a_solver(task, solver):
    x, y = task.draw(200, 100, None, torch.Generator().manual_seed(1))
    assert len(x) == 300
    assert y.tolist() == [solver(task, tokens) for tokens in x.tolist()]
    assert len({tuple(tokens) for tokens in x.tolist()}) > 100
    again, _ = task.draw(200, 100, None, torch.Generator().manual_seed(1))
    assert torch.equal(x, again)


def test_no_sum_is_both_learnt_and_scored():
    x, _ = ModularAddition(modulus=11).draw(100, 21, None, torch.Generator().manual_seed(0))
    assert len({tuple(pair) for pair in x.tolist()}) == 121
    with pytest.raises(ArchabError, match="there are 121 sums"):
        ModularAddition(modulus=11).draw(101, 21, None, torch.Generator())


def test_the_adding_problem_marks_one_number_in_either_half():
    x, y = Adding(length=10).draw(200, 50, None, torch.Generator().manual_seed(0))
    for sequence, wanted in zip(x.tolist(), y.tolist(), strict=True):
        marked = [i for i, (_, mark) in enumerate(sequence) if mark]
        assert len(marked) == 2
        assert marked[0] < 5 <= marked[1]
        assert wanted[0] == pytest.approx(sum(sequence[i][0] for i in marked))


def test_a_regular_language_is_that_of_one_automaton_a_target():
    """Some automaton with so many states, found by trying all, gives every label; targets differ in theirs."""
    task, found = RegularLanguage(length=6, states=2, letters=2), []
    for seed in range(12):
        x, y = task.draw(60, 20, None, torch.Generator().manual_seed(seed))
        fitting = [
            code
            for code in range(2 ** (4 + 1))
            if all(_run(code, word) == labels for word, labels in zip(x.tolist(), y.tolist(), strict=True))
        ]
        assert fitting
        found.append(fitting[0])
    assert len(set(found)) > 3


def _run(code, word):
    """The labels that an automaton of two states gives: four bits say where letters lead, one which state accepts."""
    state, said = 0, []
    for letter in word:
        state = code >> (2 * state + letter) & 1
        said.append(int(state == code >> 4))
    return said


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Recall(length=10, pairs=4), "target.pairs=4"),
        (lambda: SelectiveCopying(length=6, tokens=4), "target.tokens=4"),
        (lambda: Compression(vocabulary=1), "vocabulary=1"),
        (lambda: Parity(length=4, bits=5), "target.bits=5"),
        (lambda: ModularAddition(modulus=5, terms=3), "terms=3"),
        (lambda: Adding(length=1), "target.length=1"),
        (lambda: Majority(length=4), "target.length=4"),
        (lambda: Dyck(depth=0), "depth=0"),
        (lambda: RegularLanguage(states=1), "states=1"),
    ],
)
def test_a_difficulty_that_does_not_fit_is_refused(make, key):
    with pytest.raises(ArchabError, match=key):
        make()
