"""Words for a paper: a table, a paragraph of methods with this comparison's own numbers, and what they cite."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from archab.errors import ArchabError
from archab.evidence import sentences, words
from archab.evidence.e_process import EARLY, FINAL
from archab.evidence.fields import Verdict
from archab.evidence.notes import Kind
from archab.review.context import Context
from archab.review.finding import effects, fitted, measured

_TOLD: tuple[Kind, ...] = ("foreign", "targets", "loss", "tuned", "tuned unequally", "not tuned", "budget")
_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "–": "--", "×": r"$\times$", "≤": r"$\le$",
    "≥": r"$\ge$", "…": r"\dots{}", "<": r"$<$", ">": r"$>$", "·": r"$\cdot$",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reference:
    """A work that a paragraph cites: its key, what stands in a text, how it reads in a list, its entry in BibTeX."""

    key: str
    cited: str
    text: str
    bibtex: str


def article(key: str, author: str, year: int, title: str, rest: str, journal: str) -> Reference:
    """A reference to a paper; authors are parted by " and "."""
    names = author.replace(" and ", ", ")
    last = [name.rpartition(" ")[2] for name in author.split(" and ")]
    cited = f"{words.listed(last) if len(last) < 3 else f'{last[0]} et al.'}, {year}"
    fields = f"  author = {{{author}}},\n  title = {{{title}}},\n  year = {{{year}}},\n  {rest}"
    return Reference(key, cited, f"{names} ({year}). {title}. {journal}.", f"@article{{{key},\n{fields}\n}}")


VOVK = article(
    "vovk2022nonparametric", "V. Vovk and R. Wang", 2022, "Efficiency of nonparametric e-tests",
    "journal = {arXiv preprint arXiv:2208.08925}", "arXiv:2208.08925",
)  # fmt: skip
RAMDAS = article(
    "ramdas2023game", "A. Ramdas and P. Grünwald and V. Vovk and G. Shafer", 2023,
    "Game-Theoretic Statistics and Safe Anytime-Valid Inference",
    "journal = {Statistical Science}, volume = {38}, number = {4}, pages = {576--601}", "Statistical Science 38(4)",
)  # fmt: skip
NADEAU = article(
    "nadeau2003inference", "C. Nadeau and Y. Bengio", 2003, "Inference for the Generalization Error",
    "journal = {Machine Learning}, volume = {52}, number = {3}, pages = {239--281}", "Machine Learning 52(3)",
)  # fmt: skip
HOLM = article(
    "holm1979simple", "S. Holm", 1979, "A Simple Sequentially Rejective Multiple Test Procedure",
    "journal = {Scandinavian Journal of Statistics}, volume = {6}, number = {2}, pages = {65--70}",
    "Scandinavian Journal of Statistics 6(2)",
)  # fmt: skip


def references(verdict: Verdict) -> list[Reference]:
    """What the paragraph on a verdict cites, in the order in which it does."""
    rule = [NADEAU] if verdict.settings.overlap else [] if verdict.rule == "fixed" else [VOVK, RAMDAS]
    return [*rule, *([HOLM] if len(verdict.members) > 1 or verdict.in_family else [])]


def methods(verdict: Verdict, context: Context, cite: Callable[[Reference], str] | None = None) -> str:
    """How a comparison was made and what it found, in whole sentences.

    Args:
        verdict: what was found.
        context: what else is known of it.
        cite: what stands for a reference in the text; by default its authors and year.
    """
    cited = cite or in_text
    parts = [_subject(verdict, context), _exam(verdict, context)]
    parts += [note.text for note in verdict.notes if note.kind in _TOLD and "budget=auto" not in note.text]
    parts += [_unit(verdict), _rule(verdict, cited), sentences.sentence(verdict), sentences.of_range(verdict)]
    parts += [sentences.of_evidence(verdict), sentences.of_lost(verdict) or "No student diverged."]
    return " ".join(part for part in parts if part)


def latex(verdicts: Sequence[Verdict], contexts: Sequence[Context]) -> str:
    """A table for each verdict (by the package booktabs), its paragraph, and the entries for BibTeX as comments."""
    found = {reference.key: reference for verdict in verdicts for reference in references(verdict)}
    blocks = [
        f"{table(verdict, context)}\n\n{marked(methods(verdict, context, marker))}"
        for verdict, context in zip(verdicts, contexts, strict=True)
    ]
    return "\n\n".join(["% needs \\usepackage{booktabs}", *blocks, entries(list(found.values()))]) + "\n"


def entries(references: Sequence[Reference]) -> str:
    """The entries for BibTeX, as comments of LaTeX."""
    lines = "\n\n".join(reference.bibtex for reference in references).splitlines()
    return "\n".join(["% BibTeX:", *(f"% {line}".rstrip() for line in lines)])


def write(verdicts: Sequence[Verdict], contexts: Sequence[Context], file: Path) -> None:
    """Write that into a file.

    Raises:
        ArchabError: if it cannot be written.
    """
    try:
        file.write_text(latex(verdicts, contexts), encoding="utf-8")
    except OSError as error:
        raise ArchabError(f"--latex {file}: cannot be written ({error.strerror})") from error


def table(verdict: Verdict, context: Context) -> str:
    """The members of a verdict as a table of LaTeX."""
    a, b = verdict.names
    sized = all(math.isfinite(m.size_ratio) for m in verdict.members)
    right = all(math.isfinite(m.accuracy_a) for m in verdict.members)
    top, *own = effects(verdict)
    head = ["", *([f"{context.unit or 'size'} A", "B"] if sized else []), "error A", "B"]
    head += [*(["linear fit"] if fitted(verdict) else []), *(["accuracy A", "B"] if right else [])]
    head += ["lower error", words.level(verdict.alpha), "p"]
    lines = []
    for m, effect in zip(verdict.members, own, strict=True):
        cells = [effect.name]
        cells += [f"{m.size_a:,.0f}", f"{m.size_b:,.0f}"] if sized else []
        cells += [words.error(m.typical_a), words.error(m.typical_b)]
        cells += ([words.error(m.linear) if math.isfinite(m.linear) else "–"]) if fitted(verdict) else []
        cells += [f"{m.accuracy_a:.1%}", f"{m.accuracy_b:.1%}"] if right else []
        cells += [*_effect(verdict, effect.gmr, effect.low, effect.high), words.probability(m.p_holm, verdict.alpha)]
        lines.append(cells)
    blank = [""] * (len(head) - 4)
    whole = ["all", *blank, *_effect(verdict, top.gmr, top.low, top.high)]
    whole.append(words.probability(verdict.p_value, verdict.alpha))
    alike = ", corrected for overlapping splits" if verdict.settings.overlap else ""
    caption = (
        f"A: {a}, B: {b}. Error: geometric mean over targets of the held-out error relative to the best constant, at "
        f"most 1. Intervals: of members at a single look{alike}, of all {sentences.validity(verdict)}; p: at a single "
        "look, of members after Holm."
    )
    rows = [_row(head), r"\midrule", *map(_row, lines), r"\midrule", _row(whole)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{escaped(caption)}}}",
            r"\end{table}",
        ]
    )


def escaped(text: str) -> str:
    """A text that LaTeX prints as it stands."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(map(escaped, cells))} \\\\"


def _effect(verdict: Verdict, gmr: float, low: float, high: float) -> tuple[str, str]:
    if not measured(verdict):
        return "–", "–"
    return words.effect(gmr), words.between(low, high)


def _subject(verdict: Verdict, context: Context) -> str:
    a, b = verdict.names
    members = words.counted(len(verdict.members), "pair") + " of networks"
    sizes = [size for m in verdict.members for size in (m.size_a, m.size_b) if math.isfinite(size)]
    unit = f" {context.unit}" if context.unit else ""
    ends = list(dict.fromkeys(f"{size:,.0f}" for size in (min(sizes, default=0), max(sizes, default=0))))
    size = f" of {' to '.join(ends)}{unit}" if sizes else ""
    return f"We compared {a} (A) and {b} (B) as {members}{size}."


def _exam(verdict: Verdict, context: Context) -> str:
    targets = len(verdict.data.students[["seed", "target"]].drop_duplicates())
    same = " from the same samples in the same order" if context.protocol in ("reference", "crossed", "aa") else ""
    learnt = f"Both sides learnt {words.counted(targets, 'target')}{same}"
    if verdict.data.is_a is not None:
        learnt = f"Each side learnt targets of its own, {targets:,} in all"
    by = f"{verdict.students.a:,} students of A and {verdict.students.b:,} of B"
    known = any(note.kind == "targets" for note in verdict.notes)
    drawn = f", drawn from {context.reference}," if context.reference and not known else ""
    scored = f", scored on {context.heldout:,} held-out samples each" if context.heldout else ""
    return f"{learnt}{drawn} by {by}{scored}."


def _unit(verdict: Verdict) -> str:
    block = "a pair of targets" if verdict.data.kind == "crossed" else "a target"
    return (
        "Errors are relative to that of the best constant, at most 1, and compared in logarithms; the unit of "
        f"replication is {block} (n = {verdict.blocks:,}): restarts are averaged, and members have equal weight."
    )


def _rule(verdict: Verdict, cite: Callable[[Reference], str]) -> str:
    alpha, holm = f"{verdict.alpha:g}", ""
    if len(verdict.members) > 1 or verdict.in_family:
        holm = f" p-values of several are corrected by Holm's method {cite(HOLM)}."
    if verdict.settings.overlap:
        return f"Splits overlap, so that the corrected resampled t-test is used {cite(NADEAU)}, at {alpha}.{holm}"
    if verdict.rule == "fixed":
        test = (
            "a permutation test of random sign flips" if verdict.design == "paired" else "a permutation test of labels"
        )
        return f"The test is {test} at {alpha}, at a single look at a number of targets that was fixed before.{holm}"
    sources = f"{cite(VOVK)} {cite(RAMDAS)}"
    process = f"an e-process of symmetric differences over rounds of targets {sources}"
    if verdict.rule == "hybrid":
        early = f"{1 / (EARLY * verdict.alpha):,.4g}"
        return (
            f"The test stops early where {process} reaches {early}; else it is a sign-flip test at "
            f"{FINAL * verdict.alpha:g} after {verdict.planned} rounds that were planned; its error rate is {alpha}."
            f"{holm}"
        )
    return (
        f"The test is {process}, which decides at {1 / verdict.alpha:,.4g} and whose error rate of {alpha} holds "
        f"however often one looks.{holm}"
    )


def in_text(reference: Reference) -> str:
    """How a reference stands in a sentence."""
    return f"({reference.cited})"


def marker(reference: Reference) -> str:
    """What stands for a reference until `marked` makes a citation of it."""
    return f"CITE:{reference.key}:"


def marked(text: str) -> str:
    """A text for LaTeX, with what `marker` left in it as citations."""
    return re.sub(r"\s?CITE:(\w+):", r"~\\cite{\1}", escaped(text))
