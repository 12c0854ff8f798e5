"""Loop inconsistency: does the direct evidence add up around a closed loop?

For a loop a-b-c(-d) the inconsistency factor is the sum of the direct estimates around it, expected to be 0 (Bucher HC
et al., J Clin Epidemiol 1997;50:683). Heterogeneity is the loop's own: one tau² for its comparisons, by moments over
them. The variance of the sum counts what multi-arm studies share: a study with several sides of the loop contributes
one linear combination of its contrasts with its own variance, and a study that has the whole loop, being consistent by
itself, adds nothing where it weighs the same in each side (Veroniki AA et al., Int J Epidemiol 2013;42:332).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from enthesis.assess.aggregate import Comparisons, by_comparison, contrast_fit
from enthesis.errors import UsageError
from enthesis.inference.fit import Fit
from enthesis.network.pairwise import Group

if TYPE_CHECKING:
    import pandas as pd

#: more loops than this make a table that nobody reads
MOST_LOOPS = 5_000
_Z = 1.959963984540054
_COLUMNS = ["loop", "length", "n_studies", "inconsistency", "se", "lower", "upper", "z", "p", "tau", "note"]


def loop_inconsistency(fit: Fit, *, longest: int = 4) -> pd.DataFrame:
    """Inconsistency of each triangle, and of each square without a diagonal.

    Parameters
    ----------
    fit : Fit
        With common effects tau is 0; with random effects it is the loop's own.
    longest : {3, 4}
        Longest loop.

    Returns
    -------
    pandas.DataFrame
        loop (treatments joined by " - "), length, n_studies, inconsistency (absolute, on the model's scale), se,
        lower, upper (95 %, not below 0), z, p, tau, note. Empty for a network without loops.

    Raises
    ------
    UsageError
        When there are more than 5,000 loops.
    """
    import pandas as pd

    if longest not in (3, 4):
        raise UsageError(f"loops are triangles or squares: longest must be 3 or 4, not {longest!r}.")
    at = contrast_fit(fit)
    found = by_comparison(at.target.groups, at.target.size)
    where = {(int(a), int(b)): i for i, (a, b) in enumerate(zip(found.a, found.b, strict=True))}
    contrasts = _contrasts(at.target.groups)
    sides: dict[int, list[int]] = {}
    for position, comparison in enumerate(found.of_contrast):
        sides.setdefault(int(comparison), []).append(position)
    rows = []
    for loop in loops(found, at.target.size, longest):
        names = " - ".join(at.network.treatment_names[t] for t in loop)
        rows.append(
            {"loop": names, "length": len(loop)} | _inconsistency(loop, where, sides, found, contrasts, at.random)
        )
    return pd.DataFrame(rows, columns=_COLUMNS)


def loops(found: Comparisons, size: int, longest: int) -> list[tuple[int, ...]]:
    """Triangles, then squares without a diagonal, as ascending-start tuples of treatments."""
    near: list[set[int]] = [set() for _ in range(size)]
    for a, b in zip(found.a.tolist(), found.b.tolist(), strict=True):
        near[a].add(b)
        near[b].add(a)
    result: list[tuple[int, ...]] = []

    def add(loop: tuple[int, ...]) -> None:
        result.append(loop)
        if len(result) > MOST_LOOPS:
            raise UsageError(
                f"the network has more than {MOST_LOOPS:,} loops: read the node-splits or the designs instead."
            )

    for a, b in zip(found.a.tolist(), found.b.tolist(), strict=True):
        for c in sorted(near[a] & near[b]):
            if c > b:
                add((a, b, c))
    if longest >= 4:
        for a in range(size):
            for c in range(a + 1, size):
                if c in near[a]:
                    continue
                shared = sorted(near[a] & near[c])
                for i, b in enumerate(shared):
                    for d in shared[i + 1 :]:
                        # a is the smallest of the loop's treatments, so that each square comes once
                        if d not in near[b] and a < b:
                            add((a, b, c, d))
    return result


def _contrasts(groups: tuple[Group, ...]) -> list[tuple[Group, int, int, int, float]]:
    """(group, study's row, low arm, high arm, effect low minus high) in the order of `by_comparison`."""
    listed = []
    for g in groups:
        i, j = np.triu_indices(g.k, 1)
        for row in range(len(g.study)):
            for p, q in zip(i.tolist(), j.tolist(), strict=True):
                low, high = (p, q) if g.arms[row, p] < g.arms[row, q] else (q, p)
                listed.append((g, row, low, high, float(g.y[row, low, high])))
    return listed


def _inconsistency(loop, where, sides, found: Comparisons, contrasts, random: bool) -> dict:
    ring = list(zip(loop, loop[1:] + loop[:1], strict=True))
    edges = [(where[min(a, b), max(a, b)], 1.0 if a < b else -1.0) for a, b in ring]
    at = [e for e, _ in edges]
    studies = {int(found.study[p]) for e in at for p in sides[e]}
    df = sum(int(found.n_studies[e]) - 1 for e in at)
    tau2 = 0.0
    if random and df > 0 and (scale := sum(float(found.C[e]) for e in at)) > 0:
        tau2 = max(0.0, (sum(float(found.Q[e]) for e in at) - df) / scale)
    total = 0.0
    loads: dict[int, tuple[Group, int, np.ndarray]] = {}
    for e, sign in edges:
        weight = {}
        for p in sides[e]:
            g, row, low, high, _ = contrasts[p]
            weight[p] = 1 / (g.v[row, low, high] + tau2)
        whole = sum(weight.values())
        for p, w in weight.items():
            g, row, low, high, y = contrasts[p]
            total += sign * w / whole * y
            load = loads.setdefault(int(found.study[p]), (g, row, np.zeros(g.k)))[2]
            load[low] += sign * w / whole
            load[high] -= sign * w / whole
    # the variance of Σ load·arm with loads that sum to 0 is -load' v load / 2
    variance = sum(float(-0.5 * load @ (g.v[row] + tau2 * (1 - np.eye(g.k))) @ load) for g, row, load in loads.values())
    out = {"n_studies": len(studies), "inconsistency": abs(total), "tau": tau2**0.5, "note": ""}
    if variance <= 1e-12 * max(float(found.variance[e]) for e in at):
        nothing = dict.fromkeys(("inconsistency", "se", "lower", "upper", "z", "p"), np.nan)
        return out | nothing | {"note": "All evidence comes from studies of the whole loop, consistent by design."}
    se = variance**0.5
    lower, upper = max(0.0, abs(total) - _Z * se), abs(total) + _Z * se
    return out | {
        "se": se,
        "lower": lower,
        "upper": upper,
        "z": abs(total) / se,
        "p": float(2 * ndtr(-abs(total) / se)),
    }
