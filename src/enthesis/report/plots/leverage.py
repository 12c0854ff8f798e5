"""Leverage plot: how badly each data point fits against how much it pulls, with lines of equal part in DIC.

A point at (x, y) adds x² + y to DIC; points beyond 3 contribute to a poor fit. Source: Spiegelhalter DJ et al., J R
Stat Soc B 2002;64:583; NICE DSU TSD 2.
"""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, FAINT, PLAIN, SOFT, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, number

CONTOURS = (1, 2, 3, 4)
#: a point that adds more to DIC than this is named
_LIMIT, _NAMED = 3.0, 10


def chart(table: pd.DataFrame) -> alt.LayerChart:
    """A leverage plot.

    Parameters
    ----------
    table : pandas.DataFrame
        study, treatment (may be empty), points, residual_deviance, leverage, as `criticism.deviance_table` makes it.

    Returns
    -------
    altair chart
        Values are per data point; points beyond the line of 3 are named.
    """
    data = _per_point(table)
    part = data["part"].to_numpy()
    rank = np.argsort(np.argsort(-part, kind="stable"), kind="stable")
    data = data.assign(named=(part > _LIMIT) & (rank < _NAMED), ink=np.where(part > _LIMIT, ACCENT, PLAIN))
    right = 1.08 * max(float(data["root"].max()), max(CONTOURS) ** 0.5)
    top = 1.08 * max(float(data["leverage"].max()), 1.0)
    x = alt.X("root:Q", title="square root of the residual deviance", scale=alt.Scale(domain=[0, right], nice=False))
    y = alt.Y("leverage:Q", title="leverage", scale=alt.Scale(domain=[min(0.0, float(data["leverage"].min())), top],
                                                              nice=False))  # fmt: skip
    base = alt.Chart(rows(data[["label", "root", "leverage", "named", "ink"]])).encode(x=x, y=y)
    curves = pd.concat(_curve(c, top, right) for c in CONTOURS)
    ends = curves.drop_duplicates("contour")
    layers = alt.layer(
        alt.Chart(rows(curves)).mark_line(color=SOFT, strokeWidth=1).encode(
            x=x, y=y, detail="contour:N", order="root:Q"),
        alt.Chart(rows(ends)).mark_text(color=SOFT, dx=12, dy=-2, fontSize=11, align="left").encode(
            x=x, y=y, text="contour:N"),
        base.mark_point(filled=True, size=46, opacity=0.85).encode(color=alt.Color("ink:N", scale=None)),
        base.transform_filter("datum.named").mark_text(align="left", dx=6, dy=-5, fontSize=11, limit=180)
        .encode(text="label:N"),
    )  # fmt: skip
    return dressed(layers.properties(width=430, height=330, view=alt.ViewConfig(stroke=FAINT)))


def _curve(c: int, top: float, right: float) -> pd.DataFrame:
    """x² + y = c inside the plot, from the top down."""
    x = np.linspace(max(c - top, 0.0) ** 0.5, min(c**0.5, right), 60)
    return pd.DataFrame({"root": x, "leverage": c - x**2, "contour": str(c)})


def _per_point(table: pd.DataFrame) -> pd.DataFrame:
    points = table["points"].to_numpy(dtype=float)
    label = [f"{s}, {t}" if t else str(s) for s, t in zip(table["study"], table["treatment"], strict=True)]
    deviance = np.maximum(table["residual_deviance"].to_numpy(dtype=float) / points, 0.0)
    pull = table["leverage"].to_numpy(dtype=float) / points
    return pd.DataFrame({"label": label, "root": np.sqrt(deviance), "leverage": pull, "part": deviance + pull})


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: the sums, and the points beyond the line of 3."""
    data = _per_point(table)
    far = data[data["part"] > _LIMIT].sort_values("part", ascending=False)
    text = (
        f"Leverage against residual deviance of {count(len(table), 'data point', 'data points')}. Residual deviance "
        f"{number(float(table['residual_deviance'].sum()), 1)}, pD {number(float(table['leverage'].sum()), 1)}. "
    )
    if far.empty:
        return text + "No point adds more than 3 to DIC."
    named = "; ".join(f"{r.label}, {number(r.part)}" for r in far.head(3).itertuples())
    return text + f"{count(len(far), 'point adds', 'points add')} more than 3 to DIC: {named}."
