"""Rankogram: how probable each rank is for each treatment, one ridge per treatment."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, FAINT, INK, PLAIN, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import number, percent


def chart(table: pd.DataFrame) -> alt.HConcatChart:
    """A rankogram.

    Parameters
    ----------
    table : pandas.DataFrame
        treatment, rank_1 ... rank_T (probabilities, rank 1 is best), drawn from top to bottom; optionally effect (text
        beside the name, so that no rank stands without a size), strong (bool).

    Returns
    -------
    altair chart
    """
    T = len(table)
    columns = [f"rank_{i + 1}" for i in range(T)]
    p = table[columns].to_numpy(dtype=float)
    top = max(float(p.max()), 1e-9)
    row, rank = np.nonzero(p > 0.002)
    strong = table["strong"].to_numpy(dtype=bool) if "strong" in table else np.zeros(T, dtype=bool)
    bars = pd.DataFrame({"a": rank + 0.56, "b": rank + 1.44, "base": row + 0.46,
                         "top": row + 0.46 - 0.86 * p[row, rank] / top,
                         "colour": np.where(strong[row], ACCENT, PLAIN)})  # fmt: skip
    names = pd.DataFrame({"place": np.arange(T, dtype=float), "name": table["treatment"].astype(str),
                          "effect": table["effect"].astype(str) if "effect" in table else "",
                          "ink": np.where(strong, ACCENT, INK)})  # fmt: skip
    height = (26 if T <= 24 else 18) * T
    y_scale = alt.Scale(domain=[T - 0.5, -0.5], nice=False)
    x_scale = alt.Scale(domain=[0.4, T + 0.6], nice=False)
    step = 1 if T <= 20 else 5
    axis = alt.Axis(values=[1, *range(step if step > 1 else 2, T + 1, step)], title="rank (1 is best)", grid=False,
                    format="d")  # fmt: skip
    lines = alt.Chart(rows(names)).mark_rule(color=FAINT).encode(
        y=alt.Y("line:Q", scale=y_scale, axis=None), x=alt.value(0), x2=alt.value("width")
    ).transform_calculate(line="datum.place + 0.46")  # fmt: skip
    ridges = alt.Chart(rows(bars)).mark_rect().encode(
        x=alt.X("a:Q", scale=x_scale, axis=axis), x2="b:Q", y=alt.Y("base:Q", scale=y_scale, axis=None), y2="top:Q",
        color=alt.Color("colour:N", scale=None),
    )  # fmt: skip
    middle = alt.layer(lines, ridges).properties(width=max(220, min(430, 26 * T)), height=height)

    def words(column: str, width: float) -> alt.Chart:
        return (
            alt.Chart(rows(names)).mark_text(align="left", baseline="middle", limit=width)
            .encode(y=alt.Y("place:Q", scale=y_scale, axis=None), x=alt.value(0), text=f"{column}:N",
                    color=alt.Color("ink:N", scale=None))
            .properties(width=width, height=height)
        )  # fmt: skip

    parts = [words("name", label_width(names["name"])), middle]
    if names["effect"].any():
        parts.append(words("effect", 150))
    return dressed(alt.hconcat(*parts, spacing=10))


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: who is first with which probability, and how flat it is."""
    best = table.loc[table["rank_1"].idxmax()]
    mean = f", mean rank {number(best['mean_rank'], 1)}" if "mean_rank" in table else ""
    T = len(table)
    return (
        f"Rank probabilities of {T} treatments. Most probable first: {best['treatment']}, "
        f"{percent(best['rank_1'])}{mean}. A rank says nothing about the size of a difference."
    )
