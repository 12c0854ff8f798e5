"""Small networks that tests of assessments share."""

from __future__ import annotations

import numpy as np

import enthesis as en
from enthesis.network.network import Network


def means(*studies: tuple[str, str, list[float], float], **options) -> Network:
    """Studies as (name, treatments, means, standard error of each arm), on MD."""
    rows = [
        {"study": name, "treatment": t, "mean": m, "se": se, "n": 50}
        for name, treatments, values, se in studies
        for t, m in zip(treatments, values, strict=True)
    ]
    return en.from_table(rows, **{"measure": "MD", "reference": "A", **options})


def drifting(slope: float, studies: int = 12, *, spread: float = 0.0, seed: int = 1) -> Network:
    """Two treatments; effects grow with the standard error of the study by `slope`, around 0.3."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(studies):
        se = 0.05 + 0.4 * i / max(studies - 1, 1)
        effect = 0.3 + slope * se + rng.normal(0, spread) * se
        out.append((f"S{i:02d}", "AB", [0.0, effect], se / np.sqrt(2)))
    return means(*out)


def triangle(studies: int = 9, seed: int = 2) -> Network:
    """A, B, C in two-arm studies of all three pairs and one three-arm study."""
    rng = np.random.default_rng(seed)
    pairs = ["AB", "AC", "BC"]
    effect = {"A": 0.0, "B": 0.4, "C": 0.7}
    out = []
    for i in range(studies):
        pair = "ABC" if i == 0 else pairs[i % 3]
        se = float(rng.uniform(0.1, 0.4))
        out.append((f"S{i:02d}", pair, [effect[t] + rng.normal(0, se) for t in pair], se))
    return means(*out, better="higher")
