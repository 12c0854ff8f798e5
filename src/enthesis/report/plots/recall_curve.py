"""Recall against effort: how much of what is included is found by reading how much, with its interval."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, BAND, SOFT, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import percent


def chart(table: pd.DataFrame) -> alt.LayerChart:
    """The curve, its 95 % interval, and the line of reading in random order.

    Parameters
    ----------
    table : pandas.DataFrame
        effort, recall, lower, upper (shares, 0 to 1), by increasing effort.

    Returns
    -------
    altair chart
    """
    scale, marks = alt.Scale(domain=[0, 1], nice=False), {"format": "%", "values": [0, 0.25, 0.5, 0.75, 1]}
    x = alt.X("effort:Q", scale=scale, axis=alt.Axis(title="records read, in the order of the ranking", **marks))
    y_axis = alt.Axis(title="included records found", **marks)
    base = alt.Chart(rows(table))
    band = base.mark_area(color=BAND, opacity=1, line={"color": "#c4ccd6", "strokeWidth": 0.8}).encode(
        x=x, y=alt.Y("lower:Q", scale=scale, axis=y_axis), y2="upper:Q"
    )
    random = pd.DataFrame({"effort": [0.0, 1.0], "recall": [0.0, 1.0]})
    chance = alt.Chart(rows(random)).mark_line(color=SOFT, strokeDash=[4, 3], strokeWidth=1.2).encode(
        x=x, y=alt.Y("recall:Q", scale=scale, axis=y_axis)
    )  # fmt: skip
    goal = alt.Chart(rows(pd.DataFrame({"y": [0.95]}))).mark_rule(color=SOFT, strokeWidth=1).encode(
        y=alt.Y("y:Q", scale=scale, axis=y_axis)
    )  # fmt: skip
    line = base.mark_line(color=ACCENT, strokeWidth=2.4, interpolate="step-after").encode(
        x=x, y=alt.Y("recall:Q", scale=scale, axis=y_axis)
    )
    return dressed(alt.layer(band, goal, chance, line).properties(width=430, height=300))


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The curve in words: what is found by reading a tenth, a quarter and half."""
    said = []
    for share in (0.1, 0.25, 0.5):
        at = table.iloc[int(np.argmin(np.abs(table["effort"].to_numpy(dtype=float) - share)))]
        said.append(
            f"reading {percent(share)} finds {percent(at['recall'])} ({percent(at['lower'])} to {percent(at['upper'])})"
        )
    return f"Recall against effort with 95 % intervals: {'; '.join(said)}."
