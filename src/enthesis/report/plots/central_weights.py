"""Central weights: the typical preferences under which each alternative comes first, and how sure it then is."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import HUES, INK, PAPER, SOFT, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import percent

_NAME = "weight_"


def chart(table: pd.DataFrame, *, titles: dict[str, str] | None = None) -> alt.HConcatChart:
    """One bar per alternative, divided by criterion; beside it its first-rank acceptability and confidence factor.

    Parameters
    ----------
    table : pandas.DataFrame
        alternative, rank_1, confidence, weight_<criterion> (NaN for an alternative that is never first).
    titles : dict, optional
        Criteria in words.

    Returns
    -------
    altair chart
    """
    shown = table[table["confidence"].notna()].reset_index(drop=True)
    criteria = [c for c in table.columns if c.startswith(_NAME)]
    named = [(titles or {}).get(c.removeprefix(_NAME), c.removeprefix(_NAME)) for c in criteria]
    w = shown[criteria].to_numpy(dtype=float).reshape(len(shown), len(criteria))
    ends = np.cumsum(w, axis=1)
    parts = pd.DataFrame([
        {"alternative": str(shown["alternative"][i]), "criterion": named[k], "a": float(ends[i, k] - w[i, k]),
         "b": float(ends[i, k]), "middle": float(ends[i, k] - w[i, k] / 2), "text": _inside(w[i, k])}
        for i in range(len(shown)) for k in range(len(criteria))
    ], columns=["alternative", "criterion", "a", "b", "middle", "text"])  # fmt: skip
    order = shown["alternative"].astype(str).tolist()
    height = 28 * max(len(order), 1)
    y = alt.Y("alternative:N", sort=order, title=None, axis=alt.Axis(labelLimit=label_width(order), ticks=False))
    base = alt.Chart(rows(parts))
    scale = alt.Scale(domain=[0, 1], nice=False)
    axis = alt.Axis(format="%", title="weight under which it comes first")
    hues = alt.Scale(domain=named, range=[HUES[k % len(HUES)] for k in range(len(named))])
    colour = alt.Color("criterion:N", scale=hues, sort=named, legend=alt.Legend(title=None, orient="top"))
    bars = base.mark_bar(stroke=PAPER, strokeWidth=1.5).encode(
        x=alt.X("a:Q", scale=scale, axis=axis), x2="b:Q", y=y, color=colour
    )
    words = base.mark_text(color=PAPER, fontSize=11).encode(
        x=alt.X("middle:Q", scale=scale, axis=axis), y=y, text="text:N"
    )
    sure = pd.DataFrame({"alternative": order, "told": [
        f"first {percent(r.rank_1)}, sure {percent(r.confidence)}" for r in shown.itertuples()
    ]})  # fmt: skip
    beside = alt.Chart(rows(sure)).mark_text(align="left", color=INK).encode(
        y=alt.Y("alternative:N", sort=order, axis=None), x=alt.value(0), text="told:N"
    ).properties(width=150, height=height, title=alt.TitleParams("acceptability, confidence", fontSize=12, color=SOFT,
                                                                 anchor="start"))  # fmt: skip
    middle = alt.layer(bars, words).properties(width=380, height=height)
    return dressed(alt.hconcat(middle, beside, spacing=10))


def _inside(share: float) -> str:
    """The share where its part of the bar has room for it."""
    return percent(share) if share >= 0.06 else ""


def alt_text(table: pd.DataFrame, *, titles: dict[str, str] | None = None) -> str:
    """The figure in words: under which main weight each alternative comes first."""
    shown = table[table["confidence"].notna()]
    criteria = [c for c in table.columns if c.startswith(_NAME)]
    if shown.empty:
        return "Central weights: no alternative comes first under unknown weights, or the weights are known."
    told = []
    for _, row in shown.head(6).iterrows():
        top = max(criteria, key=lambda c, row=row: row[c])
        name = (titles or {}).get(top.removeprefix(_NAME), top.removeprefix(_NAME))
        told.append(f"{row['alternative']}: most weight on {name}, {percent(row[top])}")
    return f"Central weights of {len(shown)} alternatives. {'; '.join(told)}. All numbers are in the table."
