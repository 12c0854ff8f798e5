"""Comparison-adjusted funnel plot: each contrast less the mean of its comparison, against its standard error."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import FAINT, HUES, INK, SOFT, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count

#: beyond this many comparisons a legend of colours cannot be read, and all points look the same
_MOST_COLOURS = len(HUES)


def chart(table: pd.DataFrame, *, measure: str = "effect") -> alt.LayerChart | alt.Chart:
    """A comparison-adjusted funnel plot.

    Parameters
    ----------
    table : pandas.DataFrame
        treatment, comparator, adjusted (model's scale), se, n_studies; other columns are ignored. Contrasts of
        comparisons with one study lie on the middle line by construction, and are drawn hollow.
    measure : str

    Returns
    -------
    altair chart
    """
    data = table.assign(
        pair=[f"{a} versus {b}" for a, b in zip(table["treatment"], table["comparator"], strict=True)],
        alone=table["n_studies"] < 2,
    )
    deepest = float(data["se"].max()) * 1.05
    widest = max(float(np.abs(data["adjusted"]).max()), 1.96 * deepest) * 1.03
    x = alt.Scale(domain=[-widest, widest], nice=False)
    y = alt.Scale(domain=[deepest, 0.0], nice=False)
    sides = pd.DataFrame({"x": [-1.96 * deepest, 0.0, 1.96 * deepest], "y": [deepest, 0.0, deepest], "i": [0, 1, 2]})
    middle = pd.DataFrame({"x": [0.0]})
    axes = {
        "x": alt.X("adjusted:Q", scale=x, title=f"{measure}, less the mean of its comparison (model's scale)"),
        "y": alt.Y("se:Q", scale=y, title="standard error"),
    }
    pairs = list(dict.fromkeys(data["pair"]))
    base = alt.Chart(rows(data[["adjusted", "se", "pair", "alone"]])).encode(**axes)
    few = len(pairs) <= _MOST_COLOURS
    colour = (
        alt.Color("pair:N", scale=alt.Scale(domain=pairs, range=list(HUES[: len(pairs)])), title="comparison")
        if few
        else alt.value(HUES[0])
    )
    points = base.transform_filter("!datum.alone").mark_point(filled=True, size=60, opacity=0.9).encode(color=colour)
    hollow = base.transform_filter("datum.alone").mark_point(size=44, opacity=0.9).encode(color=colour)
    layers = [
        alt.Chart(rows(middle)).mark_rule(color=INK).encode(x=alt.X("x:Q", scale=x)),
        alt.Chart(rows(sides)).mark_line(color=SOFT, strokeDash=[4, 3]).encode(
            x=alt.X("x:Q", scale=x), y=alt.Y("y:Q", scale=y), order="i:O"
        ),
        hollow,
        points,
    ]  # fmt: skip
    return dressed(alt.layer(*layers).properties(width=430, height=330, view=alt.ViewConfig(stroke=FAINT)))


def alt_text(table: pd.DataFrame, *, measure: str = "effect", **_: object) -> str:
    """The figure in words: how many points lie on each side, among the less precise half."""
    several = table[table["n_studies"] > 1]
    text = f"Comparison-adjusted funnel plot of the {measure}, {count(len(table), 'contrast')}."
    if several.empty:
        return text + " No comparison has more than one study, so nothing can be read from it."
    small = several[several["se"] >= several["se"].median()]
    return (
        f"{text} Of the {len(small)} less precise ones in comparisons with several studies, "
        f"{int((small['adjusted'] > 0).sum())} lie to the right of the middle and "
        f"{int((small['adjusted'] < 0).sum())} to the left."
    )
