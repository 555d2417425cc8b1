"""Words for a paper on a metric of any runs: a table, a paragraph of methods with its own numbers, what they cite."""

from collections.abc import Callable, Sequence

from archab.evidence import words
from archab.evidence.e_process import EARLY, FINAL
from archab.metrics.metric import mean_of
from archab.metrics.verdict import MetricVerdict
from archab.review.metrics.terminal import between
from archab.review.paper import HOLM, RAMDAS, VOVK, Reference, article, entries, escaped, in_text, marked, marker

AVERAGED = article(
    "vovk2021values", "V. Vovk and R. Wang", 2021, "E-values: Calibration, combination, and applications",
    "journal = {The Annals of Statistics}, volume = {49}, number = {3}, pages = {1736--1754}",
    "The Annals of Statistics 49(3)",
)  # fmt: skip

UNIT = {"pair": "pair of runs"}


def references(verdicts: Sequence[MetricVerdict]) -> list[Reference]:
    """What the paragraph cites, in the order in which it does."""
    sequential = [] if verdicts[0].rule.name == "fixed" else [VOVK, RAMDAS]
    if len(verdicts) == 1:
        return sequential
    return [*sequential, AVERAGED if verdicts[0].rule.name == "anytime" else HOLM]


def methods(verdicts: Sequence[MetricVerdict], cite: Callable[[Reference], str] = in_text) -> str:
    """How sides were compared and what was found, in whole sentences."""
    first = verdicts[0]
    sides = list(dict.fromkeys(name for v in verdicts for name in v.names))
    how = {"difference": "as it is", "log": "in logarithms", "logit": "in logits"}[first.metric.scale]
    unit = (
        f"the unit of replication is a {UNIT.get(first.noun, first.noun)}"
        if first.paired
        else "runs are not paired, and each is a replicate"
    )
    parts = [
        f"We compared {words.listed(sides)} by {first.metric.name} ({first.metric.better} is better), {how}; {unit}."
    ]
    parts.append(_rule(first, cite))
    if len(verdicts) > 1:
        method = (
            f"averaged e-processes {cite(AVERAGED)}" if first.rule.name == "anytime" else f"Holm's method {cite(HOLM)}"
        )
        parts.append(f"The error rate holds for all {len(verdicts)} pairs of sides together, by {method}.")
    if any(v.found.any_failed for v in verdicts):
        parts.append(
            "A failed run counts as the worst, whatever its value; means, and at a single look intervals, are of the "
            "others."
        )
    for v in verdicts:
        p = words.p_is(v.p_adjusted, v.rule.alpha)
        parts += [f"{v.sentence().rstrip('.')} ({v.unit}; {p}).", v.range() if len(verdicts) == 1 else ""]
    return " ".join(part for part in parts if part)


def latex(verdicts: Sequence[MetricVerdict]) -> str:
    """A table (by the package booktabs), the paragraph, and the entries for BibTeX as comments."""
    first = verdicts[0]
    head = ["A", "B", "mean A", "mean B", first.metric.column, words.level(first.rule.alpha), "n"]
    failed = any(v.found.any_failed for v in verdicts)
    head += [*(["failed A, B"] if failed else []), "p"]
    rows = []
    for v in verdicts:
        means = [mean_of(m, sd) for m, sd in zip(v.means, v.deviations, strict=True)]
        p, lost = words.probability(v.p_adjusted, v.rule.alpha), [f"{v.found.failed[0]}, {v.found.failed[1]}"]
        figures = [v.metric.apart(v.found.theta), between(v), f"{v.found.blocks:,}", *(lost if failed else []), p]
        rows.append([*v.names, *means, *figures])
    corrected = f" p is corrected for {len(verdicts)} pairs of sides." if len(verdicts) > 1 else ""
    caption = (
        f"{first.metric.name}, {first.metric.better} is better; mean ± sd over runs. Intervals: {first.validity}."
        f"{corrected}"
    )
    lines = [
        r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}", r"\toprule",
        " & ".join(map(escaped, head)) + r" \\", r"\midrule",
        *(" & ".join(map(escaped, row)) + r" \\" for row in rows),
        r"\bottomrule", r"\end{tabular}", rf"\caption{{{escaped(caption)}}}", r"\end{table}",
    ]  # fmt: skip
    table, cited = "\n".join(lines), entries(references(verdicts))
    return "\n\n".join(["% needs \\usepackage{booktabs}", table, marked(methods(verdicts, marker)), cited]) + "\n"


def _rule(first: MetricVerdict, cite: Callable[[Reference], str]) -> str:
    alpha = first.rule.alpha
    if first.rule.name == "fixed":
        test = "a permutation test of random sign flips" if first.paired else "a permutation test of labels"
        return f"The test is {test} at {alpha:g}, at a single look at a number of runs that was fixed before."
    process = f"an e-process of symmetric differences {cite(VOVK)} {cite(RAMDAS)}"
    if first.rule.name == "hybrid":
        return (
            f"The test stops early where {process} reaches {1 / (EARLY * alpha):,.4g}; else it is a sign-flip test at "
            f"{FINAL * alpha:g} after {first.rule.planned} rounds that were planned; its error rate is {alpha:g}."
        )
    return (
        f"The test is {process}, which decides at {1 / alpha:,.4g} and whose error rate of {alpha:g} holds however "
        "often one looks."
    )
