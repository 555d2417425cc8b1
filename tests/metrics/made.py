"""Runs that are made up: a level that a seed shares, a difference between sides, noise."""

import numpy as np
import pandas as pd


def runs(seeds: int = 12, sides: dict[str, float] | None = None, key: int = 0, noise: float = 0.1) -> pd.DataFrame:
    """A row a run: columns model, seed and val_loss."""
    rng = np.random.default_rng(key)
    made = []
    for seed in range(seeds):
        level = rng.normal()
        for name, shift in (sides or {"new": -0.2, "old": 0.0}).items():
            made.append((name, seed, 2 + 0.3 * level + shift + noise * rng.normal()))
    return pd.DataFrame(made, columns=["model", "seed", "val_loss"])
