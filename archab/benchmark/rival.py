"""The same question asked of `expressivity` 0.12, the original of archab, from PyPI (extra: bench).

    python -m archab.benchmark.rival TARGETS

trains, for each of five ranks, so many students of n-diagonal and as many of low-rank matrices on full ones, in a
process whose whole duration counts, as a user's script would. It draws a target for each student, where archab's two
learn the same; sizes, samples, steps and the optimiser are those of `archab.benchmark.whole_runs`.
"""

import sys
from functools import partial
from typing import Any

from expressivity import ArchitecturalSpace, ArchitectureComparator

from archab.benchmark.whole_runs import EPOCHS, RANKS, SAMPLES
from archab.space.architectures import deep


def main() -> None:
    """Compare once."""
    spaces = [_space(name, make, RANKS) for name, make in (("n-diagonal", deep.n_diagonal), ("LoRA", deep.lora))]
    base = _space("full matrices", deep.dense, [None] * len(RANKS))
    ArchitectureComparator(*spaces, base).compare(max_iterations=int(sys.argv[1]), save_path=None)


def _space(name: str, make: Any, ranks: Any) -> Any:
    members = [{} if rank is None else {"rank": rank} for rank in ranks]
    settings = {"lr": 1e-2, "epoch": EPOCHS, "batch_size": SAMPLES, "automatic_batch_size_scale": None}
    architecture = partial(make, dim=5, depth=4)
    return ArchitecturalSpace((5,), name, architecture, members, automatic_mesurement_mode="parameters", **settings)


if __name__ == "__main__":
    main()
