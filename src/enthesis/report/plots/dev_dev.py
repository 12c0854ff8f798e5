"""Dev-dev plot: the residual deviance of every data point under two models.

Below the line the model on the upright axis fits the point better; points above 2 fit badly in a model whose mean is
near 1. Source: Dias S et al., Med Decis Making 2013;33:641 (NICE DSU TSD 4).
"""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, FAINT, PLAIN, SOFT, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, number

#: points farther from the line than this are named, the farthest first
_APART, _NAMED = 0.5, 6


def chart(table: pd.DataFrame, *, first: str = "first model", second: str = "second model") -> alt.LayerChart:
    """A dev-dev plot.

    Parameters
    ----------
    table : pandas.DataFrame
        study, treatment (may be empty), points, first, second: residual deviances.
    first, second : str
        Names of the two models, on the level and the upright axis.

    Returns
    -------
    altair chart
        Deviances are per data point; the points farthest from the line are named.
    """
    data = _per_point(table)
    top = 1.1 * max(float(data[["first", "second"]].to_numpy().max(initial=0.0)), 1.0)
    gap = (data["first"] - data["second"]).abs().to_numpy()
    rank = np.argsort(np.argsort(-gap, kind="stable"), kind="stable")
    data = data.assign(named=(gap > _APART) & (rank < _NAMED))
    data["ink"] = np.where(data["named"], ACCENT, PLAIN)
    scale = alt.Scale(domain=[0, top], nice=False)
    x = alt.X("first:Q", title=f"residual deviance: {first}", scale=scale)
    y = alt.Y("second:Q", title=f"residual deviance: {second}", scale=scale)
    base = alt.Chart(rows(data[["label", "first", "second", "named", "ink"]])).encode(x=x, y=y)
    line = alt.Chart(rows(pd.DataFrame({"first": [0.0, top], "second": [0.0, top]})))
    layers = alt.layer(
        line.mark_line(color=SOFT, strokeDash=[4, 3]).encode(x=x, y=y),
        base.mark_point(filled=True, size=46, opacity=0.8).encode(color=alt.Color("ink:N", scale=None)),
        base.transform_filter("datum.named").mark_text(align="left", dx=6, dy=-5, fontSize=11, limit=180)
        .encode(text="label:N"),
    )  # fmt: skip
    return dressed(layers.properties(width=380, height=380, view=alt.ViewConfig(stroke=FAINT)))


def _per_point(table: pd.DataFrame) -> pd.DataFrame:
    points = table["points"].to_numpy(dtype=float)
    label = [f"{s}, {t}" if t else str(s) for s, t in zip(table["study"], table["treatment"], strict=True)]
    return pd.DataFrame(
        {"label": label, "first": table["first"].to_numpy() / points, "second": table["second"].to_numpy() / points}
    )


def alt_text(table: pd.DataFrame, *, first: str = "first model", second: str = "second model", **_: object) -> str:
    """The figure in words: the sums, and the point that the two models fit most differently."""
    data = _per_point(table)
    gap = data["second"] - data["first"]
    far = data.loc[gap.abs().idxmax()]
    return (
        f"Residual deviance of {count(len(table), 'data point', 'data points')} under two models. Sum: "
        f"{number(float(table['first'].sum()), 1)} ({first}) and {number(float(table['second'].sum()), 1)} ({second}). "
        f"Farthest apart: {far['label']}, {number(far['first'])} and {number(far['second'])} per point."
    )
