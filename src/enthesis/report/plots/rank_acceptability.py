"""Rank acceptabilities: how often each alternative has each rank, over possible weights and measurements."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import INK, PAPER, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import percent


def chart(table: pd.DataFrame) -> alt.LayerChart:
    """A matrix of alternatives by ranks; the darker a cell, the more often.

    Parameters
    ----------
    table : pandas.DataFrame
        alternative, rank_1 ... rank_A (shares), drawn from top to bottom.

    Returns
    -------
    altair chart
    """
    size = len(table)
    p = table[[f"rank_{r + 1}" for r in range(size)]].to_numpy(dtype=float)
    a, r = np.nonzero(np.ones_like(p))
    cells = pd.DataFrame({"alternative": table["alternative"].astype(str).to_numpy()[a], "rank": (r + 1).astype(int),
                          "share": p[a, r], "text": [percent(x) if x >= 0.005 else "" for x in p[a, r]],
                          "ink": np.where(p[a, r] > 0.45, PAPER, INK)})  # fmt: skip
    order = table["alternative"].astype(str).tolist()
    y = alt.Y("alternative:N", sort=order, title=None, axis=alt.Axis(labelLimit=label_width(order), ticks=False))
    x = alt.X("rank:O", title="rank (1 is best)", axis=alt.Axis(labelAngle=0))
    base = alt.Chart(rows(cells))
    colour = alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=["#f4f6f9", "#1f4e79"]), legend=None)
    squares = base.mark_rect(stroke=PAPER, strokeWidth=2).encode(x=x, y=y, color=colour)
    words = base.mark_text(fontSize=11).encode(x=x, y=y, text="text:N", color=alt.Color("ink:N", scale=None))
    both = alt.layer(squares, words).resolve_scale(color="independent")
    return dressed(both.properties(width=max(240, min(520, 58 * size)), height=26 * size))


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: who is most often first, and last."""
    size = len(table)
    first = table.loc[table["rank_1"].idxmax()]
    last = table.loc[table[f"rank_{size}"].idxmax()]
    return (
        f"Rank acceptabilities of {size} alternatives. Most often first: {first['alternative']}, "
        f"{percent(first['rank_1'])}. Most often last: {last['alternative']}, {percent(last[f'rank_{size}'])}. All "
        "numbers are in the table."
    )
