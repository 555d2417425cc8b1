"""Tables of students for the tests, from scores: y = log NMSE, so that every difference can be worked out by hand."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from archab.evidence.tuning import text_of

RATES = [0.01, 0.03, 0.1]


def paired_rows(scores: Mapping[int, Sequence[tuple[float, float]]], per_seed: int | None = None) -> pd.DataFrame:
    """Both sides on every target: member -> (y_A, y_B) of its targets in order, `per_seed` of them a seed."""
    return pd.DataFrame(
        [
            _row(i // (per_seed or len(pairs)), member, f"t{member}_{i:03}", side, y, i % (per_seed or len(pairs)))
            for member, pairs in scores.items()
            for i, pair in enumerate(pairs)
            for side, y in zip("ab", pair, strict=True)
        ]
    )


def unpaired_rows(scores: Mapping[int, tuple[Sequence[float], Sequence[float]]]) -> pd.DataFrame:
    """One side on every target: member -> (scores of A's students, of B's)."""
    return pd.DataFrame(
        [
            _row(0, member, f"t{member}{side}{i:03}", side, y, i) | {"source": "b" if side == "a" else "a"}
            for member, sides in scores.items()
            for side, values in zip("ab", sides, strict=True)
            for i, y in enumerate(values)
        ]
    )


def crossed_rows(pairs: Sequence[tuple[float, float]], level: float = -5.0) -> pd.DataFrame:
    """Member 0: (d on the i-th target of A's prior, d on the i-th of B's)."""
    return pd.DataFrame(
        [
            _row(0, 0, f"{source}{i:03}", side, level + (d if side == "a" else 0.0), i) | {"source": source}
            for i, pair in enumerate(pairs)
            for source, d in zip("ab", pair, strict=True)
            for side in "ab"
        ]
    )


def random_rows(seed: int, members: int = 2, targets: int = 12, effect: float = 0.3) -> pd.DataFrame:
    """Paired, normal scores around −2, A's lower by `effect`."""
    rng = np.random.default_rng(seed)
    level = rng.normal(-2, 0.5, (members, targets, 1)) + rng.normal(0, 0.4, (members, targets, 2))
    return paired_rows({m: [(a - effect, b) for a, b in level[m]] for m in range(members)}, per_seed=targets // 3)


def trials_of(errors: dict[str, list[list[float]]], rates: Sequence[float] = RATES, members: int = 1) -> pd.DataFrame:
    """Trials from errors by side, a list a rate, an entry a target; targets go round the members."""
    rows = [
        (side, t % members, "reference", t // members, f"t{t}", text_of({"lr": rate}), error, "ok")
        for side, by_rate in errors.items()
        for rate, targets in zip(rates, by_rate, strict=True)
        for t, error in enumerate(targets)
    ]
    return pd.DataFrame(rows, columns=["side", "member", "source", "draw", "target", "trial", "nmse", "status"])


def costs(members: int, ratio: float = 1.0) -> pd.DataFrame:
    """What students of so many members cost: member m of A (m + 1) million FLOPs, of B `ratio` times as much."""
    return pd.DataFrame(
        [
            {
                "member": member, "side": side, "students": 40, "information": 3200.0, "parameters": 100.0,
                "flops": 190.0, "steps": 400.0, "training_flops": 1e6 * (member + 1) * factor,
                "seconds": 0.0123 * factor,
            }
            for member in range(members)
            for side, factor in (("a", 1.0), ("b", ratio))
        ]
    )  # fmt: skip


def swapped(rows: pd.DataFrame) -> pd.DataFrame:
    """The same students with the sides' names exchanged, and the priors' where there are any."""
    other = {"a": "b", "b": "a", "reference": "reference"}
    exchanged = {name: rows[name].map(other) for name in ("side", "source") if name in rows}
    return rows.assign(**exchanged)


def _row(seed: int, member: int, target: str, side: str, y: float, draw: int) -> dict[str, object]:
    nmse = float(np.exp(y))
    return {"seed": seed, "member": member, "target": target, "draw": draw, "side": side, "restart": 0, "nmse": nmse}
