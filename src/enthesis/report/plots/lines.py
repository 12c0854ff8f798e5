"""One line per step of an analysis: an estimate with its interval against the estimate of all studies.

What leave-one-out and cumulative forest plots share. A line without an estimate shows its reason instead.
"""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.forest import limits
from enthesis.report.plots.theme import ACCENT, BAND, INK, PLAIN, SOFT, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import interval


def drawn(
    table: pd.DataFrame, *, whole: tuple[float, float, float], measure: str, log: bool, heading: str
) -> alt.HConcatChart:
    """The lines from top to bottom, the estimate of all studies as a vertical line with its band.

    Parameters
    ----------
    table : pandas.DataFrame
        label, estimate, lower, upper (on the scale people read), ok; optionally strong.
    whole : (float, float, float)
        Estimate and interval of all studies.
    measure, heading : str
        Titles of the axis and of the names.
    log : bool

    Returns
    -------
    altair chart
    """
    data = table.reset_index(drop=True).copy()
    ok = data["ok"].astype(bool)
    shown = data[ok]
    both = pd.concat(
        [shown[["estimate", "lower", "upper"]], pd.DataFrame([whole], columns=["estimate", "lower", "upper"])]
    )
    low, high = limits(both, log)
    step = 20 if len(data) <= 60 else 12
    height = step * max(len(data), 1)
    strong = data["strong"].astype(bool) if "strong" in data else pd.Series(False, index=data.index)
    data = data.assign(
        place=np.arange(len(data), dtype=float),
        ink=np.where(strong, ACCENT, PLAIN),
        said=[
            interval(e, lo, hi) if good else "not estimable"
            for e, lo, hi, good in zip(data.estimate, data.lower, data.upper, ok, strict=True)
        ],
        from_=data["lower"].clip(low, high),
        to=data["upper"].clip(low, high),
    )
    y = alt.Y("place:Q", scale=alt.Scale(domain=[len(data) - 0.5, -0.5], nice=False), axis=None)
    scale = alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False)
    axis = alt.Axis(title=measure, tickCount=6, format="~r" if log else "~g")
    null = pd.DataFrame({"x": [1.0 if log else 0.0]})
    band = pd.DataFrame({"a": [max(whole[1], low)], "b": [min(whole[2], high)], "m": [whole[0]]})
    base = alt.Chart(rows(data[ok.to_numpy()]))
    x = alt.X("estimate:Q", scale=scale, axis=axis)
    layers = [
        alt.Chart(rows(band)).mark_rect(color=BAND).encode(x=alt.X("a:Q", scale=scale, axis=axis), x2="b:Q"),
        alt.Chart(rows(null)).mark_rule(color=INK).encode(x=alt.X("x:Q", scale=scale, axis=axis)),
        alt.Chart(rows(band)).mark_rule(color=SOFT, strokeDash=[4, 3]).encode(x=alt.X("m:Q", scale=scale, axis=axis)),
        base.mark_rule(strokeWidth=2).encode(
            y=y, x=alt.X("from_:Q", scale=scale, axis=axis), x2="to:Q", color=alt.Color("ink:N", scale=None)
        ),
        base.mark_point(filled=True, shape="square", size=48, opacity=1).encode(
            y=y, x=x, color=alt.Color("ink:N", scale=None)
        ),
    ]
    middle = alt.layer(*layers).properties(width=360, height=height)

    def words(column: str, width: float) -> alt.Chart:
        return (
            alt.Chart(rows(data)).mark_text(align="left", baseline="middle", limit=width, fontSize=min(12, step - 2))
            .encode(y=y, x=alt.value(0), text=f"{column}:N")
            .properties(width=width, height=height, title=alt.TitleParams(
                heading if column == "label" else "", fontSize=12, color=SOFT, anchor="start"))
        )  # fmt: skip

    return dressed(alt.hconcat(words("label", label_width(data["label"])), middle, words("said", 150), spacing=8))


def told(table: pd.DataFrame, whole: tuple[float, float, float]) -> str:
    """The range of the estimates, the interval of all studies, and the lines without an estimate."""
    ok = table["ok"].astype(bool)
    text = f"All studies: {interval(*whole)}."
    if ok.any():
        shown = table[ok]
        low, high = shown.loc[shown["estimate"].idxmin()], shown.loc[shown["estimate"].idxmax()]
        text += (
            f" Lowest: {low['label']}, {interval(low.estimate, low.lower, low.upper)}. "
            f"Highest: {high['label']}, {interval(high.estimate, high.lower, high.upper)}."
        )
    lost = table.loc[~ok, "label"].tolist()
    if lost:
        text += (
            f" Not estimable: {', '.join(map(str, lost[:6]))}{f' and {len(lost) - 6} more' if len(lost) > 6 else ''}."
        )
    return text + " All numbers are in the table."
