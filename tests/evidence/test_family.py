import numpy as np
import pytest
from tables import paired_rows, random_rows

from archab.errors import ArchabError
from archab.evidence import sentences, words
from archab.evidence.family import judge_family
from archab.evidence.statistics import holm
from archab.evidence.study import Study
from archab.evidence.verdict import judge


def configuration(label: str, mean: float, sd: float = 0.4, n: int = 30) -> Study:
    d = np.random.default_rng(len(label)).normal(mean, sd, n)
    return Study(paired_rows({0: [(-3 + x, -3.0) for x in d]}), label=label)


@pytest.mark.parametrize("rule", ["anytime", "fixed"])
def test_holm_acts_on_the_p_of_the_rule_in_force(rule):
    family = [configuration("one", -0.5), configuration("other", -0.15), configuration("third one", 0.0)]
    verdicts = judge_family(family, rule=rule)
    alone = [judge(c.rows, rule=rule) for c in family]
    np.testing.assert_allclose([v.p_adjusted for v in verdicts], holm([v.p_rule for v in alone]))
    for v in verdicts:
        assert (v.verdict in ("a_better", "b_better")) == (v.p_adjusted <= 0.05)
        assert "Corrected for 3 configurations (Holm)." in [note.text for note in v.notes]
    assert [v.label for v in verdicts] == ["one", "other", "third one"]


def test_a_verdict_that_stands_alone_may_fall_in_a_family():
    weak = next(
        c for k in range(200) if 0.02 < judge((c := configuration("x" * k, -0.2)).rows, rule="fixed").p_value < 0.045
    )
    assert judge(weak.rows, rule="fixed").verdict == "a_better"
    family = judge_family([weak, configuration("b", 0.0), configuration("cc", 0.0)], rule="fixed")
    assert family[0].verdict == "undecided"


def test_equivalence_in_a_family_uses_the_interval_at_alpha_over_k():
    close = next(
        c
        for k in range(1, 400)
        if 0.02 < judge((c := configuration("x" * k, 0.0, 0.18, 20)).rows, rule="fixed").p_equivalence < 0.045
    )
    assert judge(close.rows, rule="fixed").verdict == "equivalent"
    family = judge_family([close, *(configuration("y" * k, 0.0) for k in range(1, 5))], rule="fixed")
    assert family[0].verdict == "undecided"


def test_one_configuration_is_its_own_family():
    rows = random_rows(0)
    (v,) = judge_family([Study(rows, label="only")])
    assert v.to_dict() == judge(rows).to_dict()


def test_a_narrowed_family_says_so_and_a_refused_one_is_named():
    (v,) = judge_family([Study(random_rows(0), label="only")], family_size=4)
    assert v.notes[-1].text == "Corrected for the 1 configurations that are shown of 4."
    with pytest.raises(ArchabError, match="second: the table is empty"):
        judge_family([configuration("first", 0.0), Study(random_rows(0).iloc[:0], label="second")])


def test_the_fixed_rule_says_the_p_that_decides_in_a_family():
    rng = np.random.default_rng(3)
    configurations = [
        Study(paired_rows({0: [tuple(rng.normal([-2.0, -2.0 - shift], 0.3)) for _ in range(12)]}), label=f"c{k}")
        for k, shift in enumerate((0.25, 0.0, 0.0))
    ]
    for verdict in judge_family(configurations, rule="fixed"):
        said = sentences.of_evidence(verdict)
        assert f"{words.p_is(verdict.p_value, verdict.alpha)}" in said
        if verdict.in_family:
            assert said.endswith(f"; after correction for the others {words.p_is(verdict.p_adjusted, verdict.alpha)}.")
    assert any(verdict.in_family for verdict in judge_family(configurations, rule="fixed"))
