"""Words for a paper: a table and a paragraph with the verdict's own numbers, and the references that are cited."""

import re

import numpy as np
import pandas as pd
import pytest
from tables import paired_rows

from archab.cli import compare
from archab.evidence import words
from archab.evidence.notes import Note
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.review import paper
from archab.review.context import Context

CONTEXT = Context(heading="gates", protocol="reference", reference="full_matrices", heldout=512, unit="parameters")


def verdict(members=2, **given):
    rng = np.random.default_rng(0)
    rows = {m: [tuple(rng.normal([-2.0 - m, -1.5 - m], 0.3)) for _ in range(20)] for m in range(members)}
    table = paired_rows(rows).assign(measure=100.0)
    return judge(Study(table, names=("n_diagonal & co", "LoRA 50%"), **given))


def whole(text):
    """Braces, dollars and environments of LaTeX that are opened are closed."""
    bare = re.sub(r"\\\\[{}$%&#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1


def test_the_table_has_the_numbers_of_every_member_and_of_all():
    found = verdict()
    text = paper.table(found, CONTEXT)
    whole(text)
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if "&" in line]
    assert len(lines) == 4
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1
    for member, line in zip(found.members, lines[1:3], strict=True):
        assert f"100 & 100 & {words.error(member.typical_a)} & {words.error(member.typical_b)} &" in line
    assert words.effect(found.gmr).replace("%", r"\%") in lines[-1]
    assert r"n\_diagonal \& co, B: LoRA 50\%" in text


def test_the_paragraph_says_what_was_compared_on_what_and_what_was_found():
    notes = [Note("tuned", "Tuned alike: 4 learning rates on 16 targets a side; both train at lr 0.01.")]
    found = verdict(notes=notes)
    said = paper.methods(found, CONTEXT)
    for part in (
        "We compared n_diagonal & co (A) and LoRA 50% (B) as 2 pairs of networks of 100 parameters.",
        "from the same samples in the same order",
        "drawn from full_matrices, by 40 students of A and 40 of B, scored on 512 held-out samples each.",
        notes[0].text,
        f"n = {found.blocks}",
        "decides at 20",
        found.sentence(),
        "No student diverged.",
    ):
        assert part in said
    assert "(Vovk and Wang, 2022) (Ramdas et al., 2023)" in said


@pytest.mark.parametrize("rule", ["anytime", "fixed", "hybrid", "splits"])
def test_what_is_cited_is_listed_and_nothing_else(rule):
    given = {"overlap": 0.25} if rule == "splits" else {}
    rows = verdict(**given).data.students
    found = judge(
        Study(rows, **given), rule=None if rule == "splits" else rule, planned=20 if rule == "hybrid" else None
    )
    text = paper.latex([found], [CONTEXT])
    whole(text)
    keys = set(re.findall(r"@article\{(\w+),", text))
    assert set(re.findall(r"\\cite\{(\w+)\}", text)) == keys
    assert ("nadeau2003inference" in keys) == (rule == "splits")
    assert ("vovk2022nonparametric" in keys) == (rule in ("anytime", "hybrid"))
    assert "holm1979simple" in keys
    assert "CITE:" not in text


def test_one_member_at_one_look_cites_nothing():
    found = judge(verdict(members=1).data.students, rule="fixed")
    assert paper.references(found) == []
    assert "Holm" not in paper.methods(found, CONTEXT)


def test_every_character_that_latex_reads_is_escaped():
    assert paper.escaped("50% & a_b #1 {x} ~ ^ $ \\ −1") == (
        r"50\% \& a\_b \#1 \{x\} \textasciitilde{} \textasciicircum{} \$ \textbackslash{} $-$1"
    )


def test_the_command_writes_it_and_the_page_holds_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(verdict().data.students).to_csv("rows.csv", index=False)
    asked = ["--table", "rows.csv", "--names", "new", "old"]
    assert compare.main([*asked, "--latex", "table.tex", "--report", "page.html"]) == 0
    assert "latex: table.tex" in capsys.readouterr().err
    text = (tmp_path / "table.tex").read_text()
    whole(text)
    assert text.startswith("% needs \\usepackage{booktabs}")
    page = (tmp_path / "page.html").read_text()
    assert "Words for a paper" in page
    assert "@article{vovk2022nonparametric" in page
    assert compare.main([*asked, "--latex", "table.txt"]) == 2
    assert "--latex table.txt: a name that ends in .tex is needed" in capsys.readouterr().err
    assert compare.main([*asked, "--latex", "nowhere/table.tex"]) == 2
    assert "--latex nowhere/table.tex: cannot be written there" in capsys.readouterr().err
