"""The result as a function of how much is borrowed: the ratio with its interval from weight 0 to weight 1."""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.theme import ACCENT, INK, SOFT, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import interval


def chart(table: pd.DataFrame, *, measure: str = "rate ratio", weight: float | None = None) -> alt.LayerChart:
    """The ratio over the borrowing weight.

    Parameters
    ----------
    table : pandas.DataFrame
        weight (0 to 1), estimate, lower, upper (ratio scale).
    measure : str
    weight : float, optional
        The weight that the review uses, marked.

    Returns
    -------
    altair chart
    """
    data = table.copy()
    low, high = 0.02, 50.0
    for name in ("lower", "upper"):
        data[name] = data[name].clip(low, high)
    bottom, top = min(float(data["lower"].min()), 0.8), max(float(data["upper"].max()), 1.25)
    ticks = [v for v in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if bottom <= v <= top]
    scale = alt.Scale(type="log", domain=[bottom, top], nice=False)
    y = alt.Y("estimate:Q", scale=scale,
              axis=alt.Axis(values=ticks, title=measure, labelExpr="format(datum.value, '~r')"))  # fmt: skip
    x = alt.X("weight:Q", scale=alt.Scale(domain=[0, 1]),
              axis=alt.Axis(title="weight of what is borrowed (0 nothing, 1 all)", format="~r"))  # fmt: skip
    base = alt.Chart(rows(data))
    band = base.mark_area(color=SOFT, opacity=0.22).encode(x=x, y=alt.Y("lower:Q", scale=scale), y2="upper:Q")
    line = base.mark_line(color=ACCENT, strokeWidth=2.4).encode(x=x, y=y)
    null = alt.Chart(rows(pd.DataFrame({"estimate": [1.0]}))).mark_rule(color=INK, strokeWidth=1).encode(y=y)
    layers = [band, null, line]
    if weight is not None:
        mark = alt.Chart(rows(pd.DataFrame({"weight": [weight]})))
        layers.append(mark.mark_rule(color=ACCENT, strokeDash=[4, 3]).encode(x=x))
    return dressed(alt.layer(*layers).properties(width=440, height=190))


def alt_text(table: pd.DataFrame, *, measure: str = "rate ratio", weight: float | None = None) -> str:
    """The figure in words: the ratio at both ends, and whether the interval ever excludes 1."""
    if table.empty:
        return f"No {measure} over the borrowing weight."
    data = table.sort_values("weight")
    first, last = data.iloc[0], data.iloc[-1]
    clear = data[(data["lower"] > 1) | (data["upper"] < 1)]["weight"]
    said = (
        f"The interval excludes 1 from weight {clear.min():g} to {clear.max():g}." if len(clear)
        else "The interval holds 1 at every weight."
    )  # fmt: skip
    used = f" The review uses weight {weight:g}." if weight is not None else ""
    return (
        f"{measure[:1].upper() + measure[1:]} over the borrowing weight: {interval(*_three(first))} when nothing is "
        f"borrowed, {interval(*_three(last))} when all is. {said}{used}"
    )


def _three(row: pd.Series) -> tuple[float, float, float]:
    return float(row["estimate"]), float(row["lower"]), float(row["upper"])
