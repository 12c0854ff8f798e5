"""Litmus rank-o-gram: cumulative rank curves, with each treatment's SUCRA as a strip of colour beside its name.

Source: Nevill CR, Cooper NJ, Sutton AJ, BMC Med Res Methodol 2023;23:190.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.theme import FAINT, INK, SOFT, WORSE_TO_BETTER, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import number, percent


def chart(table: pd.DataFrame) -> alt.HConcatChart:
    """A Litmus rank-o-gram.

    Parameters
    ----------
    table : pandas.DataFrame
        treatment, rank, cumulative, sucra; best first, as `assess.ranking.cumulative_ranks` makes it.

    Returns
    -------
    altair chart
    """
    order = list(dict.fromkeys(table["treatment"]))
    T = len(order)
    colour = alt.Color("sucra:Q", scale=alt.Scale(domain=[0, 1], range=list(WORSE_TO_BETTER)), legend=None)
    height = max(260, 19 * T)
    curves = (
        alt.Chart(rows(table)).mark_line(strokeWidth=3, interpolate="step-after" if T == 2 else "linear")
        .encode(
            x=alt.X("rank:Q", title="rank (1 is best)", scale=alt.Scale(domain=[1, T], nice=False),
                    axis=alt.Axis(format="d", tickMinStep=1, grid=False)),
            y=alt.Y("cumulative:Q", title="probability of this rank or a better one", axis=alt.Axis(format="%"),
                    scale=alt.Scale(domain=[0, 1])),
            detail="treatment:N", color=colour,
        )
    )  # fmt: skip
    under = curves.mark_line(strokeWidth=4.2, color=SOFT, interpolate="step-after" if T == 2 else "linear").encode(
        color=alt.value(SOFT)
    )
    heads = table.drop_duplicates("treatment").reset_index(drop=True)
    heads = heads.assign(place=heads.index.astype(float), said=[percent(v) for v in heads["sucra"]])
    down = alt.Scale(domain=[T - 0.5, -0.5], nice=False)
    y = alt.Y("place:Q", scale=down, axis=None)
    base = alt.Chart(rows(heads[["treatment", "place", "sucra", "said"]]))
    room = label_width(order)
    size = max(8, min(12, int(height / T) - 4))
    strip = alt.layer(
        base.transform_calculate(top="datum.place - 0.42", bottom="datum.place + 0.42").mark_rect(stroke=FAINT).encode(
            x=alt.value(0), x2=alt.value(34), y=alt.Y("top:Q", scale=down, axis=None), y2="bottom:Q", color=colour),
        base.mark_text(align="left", baseline="middle", fontSize=size, color=INK).encode(
            x=alt.value(40), y=y, text="said:N"),
        base.mark_text(align="left", baseline="middle", fontSize=size, limit=room, color=INK).encode(
            x=alt.value(84), y=y, text="treatment:N"),
    ).properties(width=90 + room, height=height)  # fmt: skip
    left = alt.layer(under, curves).properties(width=340, height=height, view=alt.ViewConfig(stroke=FAINT))
    return dressed(alt.hconcat(left, strip, spacing=22).resolve_scale(color="shared"))


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: the first and last SUCRA."""
    heads = table.drop_duplicates("treatment")
    best, last = heads.loc[heads["sucra"].idxmax()], heads.loc[heads["sucra"].idxmin()]
    return (
        f"Cumulative rank curves of {len(heads)} treatments. Highest SUCRA: {best['treatment']}, "
        f"{number(100 * best['sucra'], 1)} %. Lowest: {last['treatment']}, {number(100 * last['sucra'], 1)} %. "
        "A rank says nothing about the size of a difference."
    )
