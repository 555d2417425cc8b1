"""The rows in one line a member: typical errors, their ratio, on how many targets A's is lower. No winner is named."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SMALLEST, LARGEST = 1e-12, 1.0


@dataclass(frozen=True)
class Line:
    """One member.

    Attributes:
        member: its index.
        size_a, size_b: the measure of its networks.
        nmse_a, nmse_b: geometric mean of the held-out NMSE over targets, where a diverged student counts as 1.
        gmr: their ratio, A over B.
        wins, pairs: on how many of the targets that both sides learned A's error is lower; 0 of 0 where none is shared.
        diverged_a, diverged_b: students whose loss or parameters became NaN or infinite.
    """

    member: int
    size_a: float
    size_b: float
    nmse_a: float
    nmse_b: float
    gmr: float
    wins: int
    pairs: int
    diverged_a: int
    diverged_b: int

    def metrics(self) -> dict[str, float]:
        """The line as metrics, to be logged with the member as the step."""
        shared = {"wins": self.wins / self.pairs} if self.pairs else {}
        return {
            "a/nmse": self.nmse_a,
            "b/nmse": self.nmse_b,
            "gmr": self.gmr,
            "a/measure": self.size_a,
            "b/measure": self.size_b,
            "a/diverged": self.diverged_a,
            "b/diverged": self.diverged_b,
            **shared,
        }


def score(nmse: pd.Series) -> pd.Series:
    """log NMSE, clipped to 1e-12 … 1; a diverged student (NaN) scores as NMSE 1."""
    return nmse.fillna(LARGEST).clip(SMALLEST, LARGEST).map(np.log)


def summary(table: pd.DataFrame) -> list[Line]:
    """One line a member, from rows of both sides."""
    rows = table.assign(score=score(table["nmse"]))
    return [_line(int(member), rows[rows["member"] == member]) for member in sorted(rows["member"].unique())]


def _line(member: int, rows: pd.DataFrame) -> Line:
    targets = rows.groupby(["target", "side"])["score"].mean().unstack("side").reindex(columns=["a", "b"])
    typical = targets.mean()
    pairs = targets.dropna()
    sizes = rows.groupby("side")["measure"].first()
    diverged = rows[rows["status"] == "diverged"]["side"].value_counts()
    return Line(
        member=member,
        size_a=float(sizes["a"]),
        size_b=float(sizes["b"]),
        nmse_a=float(np.exp(typical["a"])),
        nmse_b=float(np.exp(typical["b"])),
        gmr=float(np.exp(typical["a"] - typical["b"])),
        wins=int((pairs["a"] < pairs["b"]).sum()),
        pairs=len(pairs),
        diverged_a=int(diverged.get("a", 0)),
        diverged_b=int(diverged.get("b", 0)),
    )
