"""A whole comparison from Python: trained for some seeds, judged over all of them, shown, kept and read again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import Progress

from archab import results
from archab.comparison.comparison import Comparison
from archab.comparison.tuning import Tune
from archab.errors import ArchabError
from archab.evidence.fields import Verdict
from archab.evidence.rule import Rule, RuleName
from archab.evidence.study import Study, joined
from archab.evidence.verdict import judge
from archab.review import report as page
from archab.review.context import Context
from archab.review.figures import differences
from archab.space.space import ArchitecturalSpace
from archab.store.uri import Address

Advance = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Result:
    """What a comparison gave.

    Attributes:
        study: the rows of all seeds, with all that must be known to judge them.
        rule: by which they are judged; None for the default, see `archab.evidence.verdict.judge`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> errors = {"a": (0.30, 0.25, 0.28, 0.31), "b": (0.21, 0.19, 0.22, 0.20)}
        >>> rows = pd.DataFrame(
        ...     [(0, 0, t, side, 0, errors[side][t]) for t in range(4) for side in "ab"],
        ...     columns=["seed", "member", "target", "side", "restart", "nmse"],
        ... )
        >>> result = Result(Study(rows, names=("gate", "plain")))
        >>> result
        Result: Too few targets for any verdict: 4 of at least 7.
        >>> with TemporaryDirectory() as folder:
        ...     result.save(f"{folder}/rows.parquet")
        ...     Result.load(f"{folder}/rows.parquet").table().equals(result.table())
        True
    """

    study: Study
    rule: Rule | None = None

    @cached_property
    def verdict(self) -> Verdict:
        """Which side learns better, and whether the difference is real."""
        rule = self.rule or Rule(overlap=self.study.overlap)
        own = None if self.study.overlap and not rule.overlap else rule.name  # one that knew of no splits
        return judge(self.study, rule=own, alpha=rule.alpha, margin=rule.margin, planned=rule.planned, floor=rule.floor)

    def table(self) -> pd.DataFrame:
        """The rows, one a trained student, as `Comparison.table` gives them."""
        return self.study.table()

    def plot(self) -> Any:
        """The differences, target by target, with the intervals, as a figure of matplotlib."""
        return differences.picture(self.verdict).figure()

    def report(self, file: str | Path) -> None:
        """Write the page of `archab-compare --report`.

        Raises:
            ArchabError: if the file cannot be written.
        """
        page.write([self.verdict], Path(file), [Context(" against ".join(self.study.names), curves=self.study.curves)])

    def save(self, file: str | Path) -> None:
        """Keep the rows and all that is known of them as Parquet, which `load` reads and pandas, too.

        Raises:
            ArchabError: if the file cannot be written, or is not called .parquet.
        """
        if Path(file).suffix != ".parquet":
            raise ArchabError(f"{file}: a name that ends in .parquet is needed; table().to_csv() writes others")
        try:
            results.write(self.table(), Path(file))
        except OSError as error:
            raise ArchabError(f"{file}: cannot be written ({error.strerror})") from error

    def to_mlflow(self, experiment: str, uri: str | None = None) -> str:
        """Log the verdict, the evidence by round, the rows and the page; the same sides, asked again, replace it.

        Args:
            experiment: the MLflow experiment.
            uri: of the store; by default MLFLOW_TRACKING_URI, else mlflow.db in the current folder.

        Returns:
            The ID of the run.

        Raises:
            ArchabError: if the store cannot be reached or written.
        """
        address = Address.named(uri, Path.cwd())
        address.check()
        kept = import_module("archab.experiment.summary").of_result  # with MLflow, which nothing else here waits for
        run: str = kept(address, experiment, self.verdict, {"rows.parquet": self.save, "report.html": self.report})
        return run

    @classmethod
    def load(cls, file: str | Path, rule: Rule | None = None) -> "Result":
        """What `save` kept.

        Raises:
            ArchabError: if there is no such file, or it holds no rows.
        """
        if not Path(file).is_file():
            raise ArchabError(f"{file}: no such file")
        return cls(Study.of(results.read(Path(file))), rule)

    def __repr__(self) -> str:
        return f"Result: {self.verdict.sentence()}"

    def _repr_html_(self) -> str:
        return page.fragment(self.verdict)


def compare(
    a: ArchitecturalSpace,
    b: ArchitecturalSpace,
    reference: ArchitecturalSpace | None = None,
    *,
    seeds: int | Sequence[int] = 1,
    tune: Tune | dict[str, Sequence[Any]] | None = None,
    rule: RuleName | None = None,
    margin: float = 1.10,
    planned: int | None = None,
    progress: bool = True,
    **given: Any,
) -> Result:
    """Train students of two architectures on the same targets, and judge which one represents them better.

    The rows are those of the command with the same configuration, and the verdict that of `archab-compare` over them.

    Args:
        a, b, reference: see `Comparison`.
        seeds: how many, from 0 on, or which; all are tuned alike, once.
        tune: what is tried on both sides before, such as {"lr": [3e-3, 1e-2, 3e-2]}.
        rule, margin, planned: by which the verdict is reached, by default `anytime`, and `fixed` of splits of a data
            set; see `archab.evidence.verdict.judge`.
        progress: whether a bar shows how far training is, in a terminal and in a notebook.
        given: what else `Comparison` takes, such as targets=40.

    Raises:
        ArchabError: if the sides cannot be compared so, before anything is trained.

    Example:
        >>> from functools import partial
        >>> from archab.space.architectures import deep
        >>> a, b, full = (
        ...     ArchitecturalSpace(partial(network, dim=4, depth=1), members, [4], name=network.__name__)
        ...     for network, members in ((deep.n_diagonal, {"rank": 2}), (deep.lora, {"rank": 2}), (deep.dense, {}))
        ... )
        >>> result = compare(a, b, full, seeds=2, targets=4, samples=64, heldout_samples=32, progress=False)
        >>> result.verdict.blocks, sorted(result.table()["seed"].unique().tolist())
        (8, [0, 1])
    """
    Rule(rule, margin=margin, planned=planned)  # which refuses what makes no sense before anything is built
    chosen: Any = list(range(seeds)) if type(seeds) is int else seeds
    if not isinstance(chosen, Sequence) or isinstance(chosen, str) or not chosen or len(set(chosen)) < len(chosen):
        raise ArchabError(f"seeds={seeds!r}: a number of at least 1 is needed, or a list of different seeds")
    if "seed" in given:
        raise ArchabError(f"seed={given['seed']!r}: compare takes seeds=[{given['seed']}]")
    if tune is not None and not isinstance(tune, Tune | dict):
        raise ArchabError(f"tune={tune!r}: values to try by hyperparameter are needed, such as {{'lr': [0.003, 0.01]}}")
    known = [field.name for field in fields(Comparison)]
    if unknown := [name for name in given if name not in known]:
        raise ArchabError(f"{unknown[0]}={given[unknown[0]]!r}: no such argument. There are {', '.join(known[3:-2])}")
    tried = Tune(tune) if isinstance(tune, dict) else tune
    asked = Comparison(a, b, reference, seed=chosen[0], tune=tried, **given)
    judged = Rule(rule, margin=margin, planned=planned, overlap=asked.overlap)
    with _bar(asked.students * len(chosen)) if progress else nullcontext(lambda students: None) as advance:
        ready = asked.ready
        return Result(joined([replace(ready, seed=seed).study(advance) for seed in chosen]), judged)


@contextmanager
def _bar(students: int) -> Iterator[Advance]:
    with Progress(transient=True) as bar:
        task = bar.add_task("students", total=students)
        yield lambda trained: bar.advance(task, trained)
