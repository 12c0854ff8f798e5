"""How much a conclusion depends on analytic choices: many specifications of one question, summed up.

The spread of the estimates is shared out among the choices (axes) by the Shapley value of the explained variance: an
axis gets the average, over all orders in which axes can be entered into a main-effects regression, of what it adds to
R² (Lindeman RH, Merenda PF, Gold RZ 1980; Shorrocks AF, J Econ Inequal 2013;11:99). What is left is interaction.
Specification curves: Simonsohn U, Simmons JP, Nelson LD, Nat Hum Behav 2020;4:1208.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: all orders of this many axes are still looked at
MOST_AXES = 12


def variance_shares(table: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Which axis moves the estimate most.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per specification: a column per axis and `estimate`; rows without an estimate are left out.
    axes : sequence of str

    Returns
    -------
    pandas.DataFrame
        axis, share (of the variance of the estimates, 0 to 1), lowest, lowest_mean, highest, highest_mean (the
        values of the axis with the lowest and the highest mean estimate); the most moving axis first, `interaction`
        last.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": ["u", "v"] * 2, "estimate": [0.0, 0.1, 1.0, 1.1]})
    >>> variance_shares(table, ["a", "b"])[["axis", "share"]].round(2).to_dict("records")
    [{'axis': 'a', 'share': 0.99}, {'axis': 'b', 'share': 0.01}, {'axis': 'interaction', 'share': 0.0}]
    """
    import pandas as pd

    if len(axes) > MOST_AXES:
        raise UsageError(f"shares are computed for up to {MOST_AXES} axes, not {len(axes)}: give fewer axes.")
    used = table[np.isfinite(table["estimate"].to_numpy(dtype=float))]
    y = used["estimate"].to_numpy(dtype=float)
    total = float(((y - y.mean()) ** 2).sum()) if len(y) else 0.0
    explained = _explained(used, axes, y)
    n = len(axes)
    records = []
    for axis in axes:
        gain, others = 0.0, [a for a in axes if a != axis]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for some in combinations(others, size):
                gain += weight * (explained[frozenset((*some, axis))] - explained[frozenset(some)])
        means = used.groupby(axis)["estimate"].mean()
        low, high = (means.idxmin(), means.idxmax()) if len(means) else ("", "")
        records.append((axis, gain / total if total > 0 else 0.0, low, means.get(low, np.nan), high,
                        means.get(high, np.nan)))  # fmt: skip
    records.sort(key=lambda row: (-round(row[1], 12), list(axes).index(row[0])))
    rest = 1 - sum(row[1] for row in records) if total > 0 else 0.0
    records.append(("interaction", max(rest, 0.0), "", np.nan, "", np.nan))
    return pd.DataFrame(records, columns=["axis", "share", "lowest", "lowest_mean", "highest", "highest_mean"])


def _explained(table: pd.DataFrame, axes: Sequence[str], y: Array) -> dict[frozenset[str], float]:
    """Sum of squares that each set of axes explains by main effects."""
    columns, owner = [np.ones(len(y))], [""]
    for axis in axes:
        values = table[axis].astype(str).to_numpy()
        for level in np.unique(values)[1:]:
            columns.append((values == level).astype(float))
            owner.append(axis)
    X, own = np.stack(columns, axis=1), np.array(owner)
    gram, right = X.T @ X, X.T @ y
    found = {}
    base = right[0] ** 2 / max(len(y), 1)
    for size in range(len(axes) + 1):
        for some in combinations(axes, size):
            on = np.isin(own, ("", *some))
            # a value can be aliased with another axis (no dose nodes where doses are pooled): least norm
            fitted = right[on] @ np.linalg.pinv(gram[np.ix_(on, on)], rcond=1e-10, hermitian=True) @ right[on]
            found[frozenset(some)] = max(float(fitted - base), 0.0)
    return found


def curve_summary(table: pd.DataFrame, axes: Sequence[str], *, limit: float | None = None) -> dict[str, Any]:
    """A set of specifications in a few numbers.

    Parameters
    ----------
    table : pandas.DataFrame
        estimate, lower, upper (model's scale: no difference is 0), status, and a column per axis.
    axes : sequence of str
    limit : float, optional
        Smallest difference that matters, on the same scale, above 0.

    Returns
    -------
    dict
        specifications, estimated, failed, doubtful, lowest, median, highest (estimates), interval_lowest,
        interval_highest, share_excluding_null (of the intervals), share_above_null (of the estimates),
        share_beyond_mid (estimates further from no difference than the limit), share_interval_beyond_mid (whole
        intervals), most_moving_axis and its share. Shares are of the specifications that gave an estimate.
    """
    good = table[np.isfinite(table["estimate"].to_numpy(dtype=float))]
    estimate, lower, upper = (good[c].to_numpy(dtype=float) for c in ("estimate", "lower", "upper"))

    def share(mask: NDArray[np.bool_]) -> float:
        return float(mask.mean()) if len(mask) else float("nan")

    told: dict[str, Any] = {
        "specifications": len(table),
        "estimated": len(good),
        "failed": int((table["status"] == "failed").sum()),
        "doubtful": int((table["status"] == "doubtful").sum()),
        "lowest": float(estimate.min()) if len(good) else float("nan"),
        "median": float(np.median(estimate)) if len(good) else float("nan"),
        "highest": float(estimate.max()) if len(good) else float("nan"),
        "interval_lowest": float(lower.min()) if len(good) else float("nan"),
        "interval_highest": float(upper.max()) if len(good) else float("nan"),
        "share_excluding_null": share((lower > 0) | (upper < 0)),
        "share_above_null": share(estimate > 0),
        "share_beyond_mid": None if limit is None else share(np.abs(estimate) > limit),
        "share_interval_beyond_mid": None if limit is None else share((lower > limit) | (upper < -limit)),
        "most_moving_axis": None,
        "most_moving_share": None,
    }
    if len(axes) and len(good) > 1:
        first = variance_shares(good, axes).iloc[0]
        if first["share"] > 0:
            told |= {"most_moving_axis": first["axis"], "most_moving_share": float(first["share"])}
    return told
