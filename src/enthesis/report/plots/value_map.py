"""The value map: every pair of treatments as a new trial, shaded by what the trial is worth."""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.theme import FAINT, INK, PAPER, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, percent

#: light to dark
SHADES = (PAPER, "#3d5a80")


def chart(table: pd.DataFrame, *, order: tuple[str, ...] = ()) -> alt.LayerChart:
    """A triangle of squares, one per pair.

    Parameters
    ----------
    table : pandas.DataFrame
        treatment, comparator, value, decides; as of `value_map`.
    order : tuple of str
        Treatments in the order of the axes; default as they come.

    Returns
    -------
    altair chart
        Shade: expected value of the trial; number: probability in percent that it decides which of the two is better.
    """
    names = list(order) or list(dict.fromkeys([*table["comparator"], *table["treatment"]]))
    place = {name: i for i, name in enumerate(names)}
    data = table[["treatment", "comparator", "value", "decides"]].copy()
    swap = data["treatment"].map(place) < data["comparator"].map(place)
    data.loc[swap, ["treatment", "comparator"]] = data.loc[swap, ["comparator", "treatment"]].to_numpy()
    most = max(float(data["value"].max()), 1e-12)
    data["shown"] = [f"{100 * d:.0f}" for d in data["decides"]]
    data["ink"] = [PAPER if v > 0.55 * most else INK for v in data["value"]]
    step = 34 if len(names) <= 20 else 16
    x = alt.X("comparator:N", sort=names[:-1], title=None, scale=alt.Scale(domain=names[:-1]),
              axis=alt.Axis(orient="top", labelAngle=-45, grid=False, domain=False, ticks=False))  # fmt: skip
    y = alt.Y("treatment:N", sort=names[1:], title=None, scale=alt.Scale(domain=names[1:]),
              axis=alt.Axis(grid=False, domain=False, ticks=False))  # fmt: skip
    base = alt.Chart(rows(data)).encode(x=x, y=y)
    squares = base.mark_rect(stroke=FAINT).encode(
        color=alt.Color("value:Q", scale=alt.Scale(domain=[0, most], range=list(SHADES)),
                        legend=alt.Legend(title="value", format=".2~g"))
    )  # fmt: skip
    words = base.mark_text(fontSize=min(12, step // 2)).encode(text="shown:N", color=alt.Color("ink:N", scale=None))
    size = step * (len(names) - 1)
    both = alt.layer(squares, words).resolve_scale(color="independent")
    return dressed(both.properties(width=size, height=size))


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: the most valuable trial and what it would decide."""
    best = table.loc[table["value"].idxmax()]
    return (
        f"Value of a new trial for each of {count(len(table), 'pair')} of treatments. Most valuable: "
        f"{best['treatment']} against {best['comparator']}, which decides between the two with probability "
        f"{percent(best['decides'])}."
    )
