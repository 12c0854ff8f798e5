"""Direct against indirect evidence, comparison by comparison.

Three ways to split, which agree when there are no multi-arm studies and tau is not estimated again:

- `back-calculation` (SIDE; König J, Krahn U, Binder H, Stat Med 2013;32:5414): the direct estimate pools the studies
  that have both arms; direct and indirect evidence make up the network estimate by inverse variance, so
  indirect = (d / V - direct / V_direct) / (1 / V - 1 / V_direct). Exact at the tau of the network, no refit.
- `SIDDE` (separate indirect from direct design evidence; Efthimiou O et al., Stat Med 2019;38:2992): the indirect
  estimate is the network without any study that has both arms, with its own tau; direct and indirect are independent.
- `node-split` (Dias S et al., Stat Med 2010;29:932; van Valkenhoef G et al., Res Synth Methods 2016;7:80): direct and
  indirect effect are two parameters of one model, fitted with one tau. In studies with both arms the treatment becomes
  a node of its own, so that a multi-arm study keeps its other arms; in those the comparator is the baseline.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtr

from enthesis.assess.aggregate import (
    Array,
    Comparisons,
    ContrastFit,
    all_pairs,
    by_comparison,
    choice,
    contrast_fit,
    oriented,
)
from enthesis.inference import gls
from enthesis.inference.fit import Fit
from enthesis.inference.tau import tau2_estimate
from enthesis.models.target import ContrastTarget

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["back-calculation", "SIDDE", "node-split"]
METHODS: tuple[str, ...] = ("back-calculation", "SIDDE", "node-split")
#: a direct evidence proportion this close to 1 leaves no indirect evidence worth splitting (the same in netmeta)
ALL_DIRECT = 5e-4


def node_splits(fit: Fit, method: Method = "back-calculation", *, with_indirect_only: bool = False) -> pd.DataFrame:
    """Direct, indirect and network estimate of every comparison with direct evidence, and their difference.

    Parameters
    ----------
    fit : Fit
        Common or random effects; every engine (contrasts are used).
    method : {"back-calculation", "SIDDE", "node-split"}
    with_indirect_only : bool
        Also list the comparisons without direct evidence.

    Returns
    -------
    pandas.DataFrame
        treatment, comparator, n_studies, proportion (direct evidence proportion), network, network_se, direct,
        direct_se, indirect, indirect_se, difference (direct minus indirect), difference_se, z, p, tau (of the split),
        note (why a number is missing). Model's scale.

    Raises
    ------
    UsageError
        For an unknown method.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, comparator=c, effect=y, se=1.0)
    ...         for s, t, c, y in (("1", "B", "A", 1.0), ("2", "C", "A", 2.0), ("3", "C", "B", 4.0))]
    >>> splits = node_splits(en.fit(en.from_table(rows, measure="MD", reference="A"), engine="gls"))
    >>> splits[["treatment", "comparator", "direct", "indirect", "difference"]].round(2).to_dict("records")[0]
    {'treatment': 'B', 'comparator': 'A', 'direct': 1.0, 'indirect': -2.0, 'difference': 3.0}
    """
    import pandas as pd

    choice("method of node-splitting", method, METHODS)
    at = contrast_fit(fit)
    found = by_comparison(at.target.groups, at.target.size, at.tau2)
    split = {"back-calculation": _back_calculation, "SIDDE": _sidde, "node-split": _node_split}[method]
    rows = []
    for i in range(len(found)):
        t, c = oriented(at.network, int(found.a[i]), int(found.b[i]))
        sign = 1.0 if t == found.a[i] else -1.0
        rows.append(_row(at, t, c, found, i, sign * float(found.direct[i]), split))
    if with_indirect_only:
        known = set(zip(found.a.tolist(), found.b.tolist(), strict=True))
        rows += [
            _indirect_row(at, *oriented(at.network, a, b)) for a, b in all_pairs(at.network) if (a, b) not in known
        ]
    return pd.DataFrame(rows)


def _row(at: ContrastFit, t: int, c: int, found: Comparisons, i: int, direct: float, split) -> dict:
    V, V_direct = float(at.variance(t, c)), float(found.variance[i])
    proportion = min(1.0, V / V_direct)
    row = _names(at, t, c) | {
        "n_studies": int(found.n_studies[i]), "proportion": proportion, "network": float(at.d[t] - at.d[c]),
        "network_se": V**0.5, "direct": direct, "direct_se": V_direct**0.5, "indirect": np.nan, "indirect_se": np.nan,
        "difference": np.nan, "difference_se": np.nan, "z": np.nan, "p": np.nan, "tau": at.tau2**0.5, "note": "",
    }  # fmt: skip
    if proportion > 1 - ALL_DIRECT:
        return row | {"note": "All evidence is direct: nothing to compare it with."}
    row |= split(at, t, c, row)
    if np.isfinite(row["difference_se"]):
        row["z"] = row["difference"] / row["difference_se"]
        row["p"] = float(2 * ndtr(-abs(row["z"])))
    return row


def _indirect_row(at: ContrastFit, t: int, c: int) -> dict:
    d, se = float(at.d[t] - at.d[c]), float(at.variance(t, c)) ** 0.5
    return _names(at, t, c) | {
        "n_studies": 0, "proportion": 0.0, "network": d, "network_se": se, "direct": np.nan, "direct_se": np.nan,
        "indirect": d, "indirect_se": se, "difference": np.nan, "difference_se": np.nan, "z": np.nan, "p": np.nan,
        "tau": at.tau2**0.5, "note": "No study compares the two: all evidence is indirect.",
    }  # fmt: skip


def _names(at: ContrastFit, t: int, c: int) -> dict[str, str]:
    names = at.network.treatment_names
    return {"treatment": names[t], "comparator": names[c]}


def _back_calculation(at: ContrastFit, t: int, c: int, row: dict) -> dict:
    w, w_direct = row["network_se"] ** -2, row["direct_se"] ** -2
    indirect = (row["network"] * w - row["direct"] * w_direct) / (w - w_direct)
    return _independent(row, indirect, (w - w_direct) ** -0.5)


def _independent(row: dict, indirect: float, se: float) -> dict:
    return {
        "indirect": indirect,
        "indirect_se": se,
        "difference": row["direct"] - indirect,
        "difference_se": (row["direct_se"] ** 2 + se**2) ** 0.5,
    }


def _sidde(at: ContrastFit, t: int, c: int, row: dict) -> dict:
    rest = part_with(without_both(at.target, t, c), t)
    if rest is None or rest[1][c] < 0:
        return {"note": "Without the studies of both treatments nothing links them: no independent indirect evidence."}
    target, position = rest
    tau2 = tau2_estimate(target, at.method) if at.random else 0.0
    now = gls.solve(target, tau2)
    a, b = position[t], position[c]
    variance = now.cov[a, a] + now.cov[b, b] - 2 * now.cov[a, b]
    return {**_independent(row, float(now.d[a] - now.d[b]), float(variance) ** 0.5), "tau": tau2**0.5}


def _node_split(at: ContrastFit, t: int, c: int, row: dict) -> dict:
    target = split_target(at.target, t, c)
    if len(np.unique(linked(target))) > 1:
        return {"note": "Studies with both treatments are the only link between them: no indirect evidence."}
    tau2 = tau2_estimate(target, at.method) if at.random else 0.0
    now = gls.solve(target, tau2)
    new = target.size - 1

    def effect(a: int, b: int) -> tuple[float, float]:
        variance = now.cov[a, a] + now.cov[b, b] - 2 * now.cov[a, b]
        return float(now.d[a] - now.d[b]), float(variance) ** 0.5

    direct, indirect, difference = effect(new, c), effect(t, c), effect(new, t)
    return {
        "direct": direct[0], "direct_se": direct[1], "indirect": indirect[0], "indirect_se": indirect[1],
        "difference": difference[0], "difference_se": difference[1], "tau": tau2**0.5,
    }  # fmt: skip


def split_target(target: ContrastTarget, t: int, c: int) -> ContrastTarget:
    """The target in which `t` is a treatment of its own (the last one) in studies that also have `c`."""
    groups = []
    for g in target.groups:
        both = (g.arms == t).any(axis=1) & (g.arms == c).any(axis=1)
        groups.append(replace(g, arms=np.where(both[:, None] & (g.arms == t), target.size, g.arms)))
    return ContrastTarget(groups=tuple(groups), size=target.size + 1, reference=c)


def without_both(target: ContrastTarget, t: int, c: int) -> ContrastTarget:
    """The target without the studies that have both treatments."""
    groups = []
    for g in target.groups:
        on = ~((g.arms == t).any(axis=1) & (g.arms == c).any(axis=1))
        if on.any():
            groups.append(replace(g, study=g.study[on], arms=g.arms[on], y=g.y[on], v=g.v[on]))
    return replace(target, groups=tuple(groups))


def linked(target: ContrastTarget) -> Array:
    """The connected part of each treatment, shape (treatments,)."""
    ends = [(np.repeat(g.arms[:, 0], g.k - 1), g.arms[:, 1:].ravel()) for g in target.groups]
    a = np.concatenate([x for x, _ in ends]) if ends else np.empty(0, int)
    b = np.concatenate([x for _, x in ends]) if ends else np.empty(0, int)
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(target.size, target.size))
    return connected_components(graph, directed=False)[1]


def part_with(target: ContrastTarget, t: int) -> tuple[ContrastTarget, Array] | None:
    """The connected part that holds a treatment, and the new position of each treatment (-1 when not in it)."""
    labels = linked(target)
    inside = labels == labels[t]
    if inside.sum() < 2:
        return None
    position = np.where(inside, np.cumsum(inside) - 1, -1)
    groups = []
    for g in target.groups:
        on = inside[g.arms[:, 0]]
        if on.any():
            groups.append(replace(g, study=g.study[on], arms=position[g.arms[on]], y=g.y[on], v=g.v[on]))
    return ContrastTarget(groups=tuple(groups), size=int(inside.sum()), reference=int(position[t])), position
