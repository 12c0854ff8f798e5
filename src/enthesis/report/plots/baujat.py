"""Baujat plot: a study's part of the heterogeneity against its influence on the estimates."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import FAINT, PLAIN, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, number

#: more names than this overlap; the rest stay points
_NAMED = 12


def chart(table: pd.DataFrame) -> alt.LayerChart:
    """A Baujat plot.

    Parameters
    ----------
    table : pandas.DataFrame
        study, Q, influence, ok; studies that are not ok have no influence to draw.

    Returns
    -------
    altair chart
        The studies farthest from the origin are named.
    """
    data = table[table["ok"].astype(bool)].reset_index(drop=True)
    far = np.hypot(_share(data["Q"]), _share(data["influence"]))
    data = data.assign(named=np.argsort(np.argsort(-far, kind="stable"), kind="stable") < _NAMED)
    room = 1.15 * max(float(data["Q"].max()) if len(data) else 0.0, 1e-9)
    x = alt.X("Q:Q", title="part of Q (heterogeneity)", scale=alt.Scale(domain=[0, room], nice=False))
    top = 1.08 * max(float(data["influence"].max()) if len(data) else 0.0, 1e-9)
    y = alt.Y("influence:Q", title="influence on the estimates", scale=alt.Scale(domain=[0, top], nice=False))
    base = alt.Chart(rows(data[["study", "Q", "influence", "named"]])).encode(x=x, y=y)
    points = base.mark_point(filled=True, size=60, opacity=0.9, color=PLAIN)
    names = base.transform_filter("datum.named").mark_text(align="left", dx=7, dy=-5, fontSize=11, limit=160)
    layers = alt.layer(points, names.encode(text="study:N"))
    return dressed(layers.properties(width=430, height=330, view=alt.ViewConfig(stroke=FAINT)))


def _share(values: pd.Series) -> np.ndarray:
    numbers = values.to_numpy(dtype=float)
    return numbers / max(float(numbers.max(initial=0.0)), 1e-12)


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: the study with the largest part of Q and the one with the most influence."""
    shown = table[table["ok"].astype(bool)]
    lost = len(table) - len(shown)
    if shown.empty:
        return "Baujat plot without points: every study holds the network together."
    most, strong = shown.loc[shown["Q"].idxmax()], shown.loc[shown["influence"].idxmax()]
    without = (
        f" {count(lost, 'study', 'studies')} without a value: the network falls apart without them." if lost else ""
    )
    return (
        f"Baujat plot of {count(len(shown), 'study', 'studies')}. Largest part of Q: {most['study']}, "
        f"{number(most['Q'])} of {number(float(table['Q'].sum()))}. Most influence: {strong['study']}, "
        f"{number(strong['influence'])}.{without}"
    )
