"""Forecasts: where the probability of each conclusion is now, and where it may be after a trial."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, FAINT, INK, PLAIN, SOFT, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, number, percent


def chart(table: pd.DataFrame) -> alt.HConcatChart:
    """One line per trial and conclusion.

    Parameters
    ----------
    table : pandas.DataFrame
        trial, conclusion, probability, lower, median, upper, threshold, flips.

    Returns
    -------
    altair chart
        Circle: now; line and tick: 5 to 95 % and median after the trial; red marks: thresholds for and against.
    """
    data = table.reset_index(drop=True).copy()
    data["place"] = np.arange(len(data), dtype=float)
    data["against"] = 1 - data["threshold"]
    data["chance"] = [percent(x, 1) for x in data["flips"]]
    step = 24 if len(data) <= 40 else 14
    height = max(step * len(data), 48)
    x = alt.Scale(domain=[0, 1], nice=False)
    axis = alt.Axis(title="probability that the conclusion is true", format=".1f", values=[0, 0.2, 0.4, 0.6, 0.8, 1])
    y = alt.Y("place:Q", scale=alt.Scale(domain=[len(data) - 0.5, -0.5], nice=False), axis=None)
    base = alt.Chart(rows(data)).encode(y=y)

    def at(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=x, axis=axis)

    middle = alt.layer(
        base.mark_tick(color=ACCENT, size=step * 0.7, thickness=1.5).encode(x=at("threshold")),
        base.mark_tick(color=ACCENT, size=step * 0.7, thickness=1.5).encode(x=at("against")),
        base.mark_rule(color=PLAIN, strokeWidth=2).encode(x=at("lower"), x2="upper"),
        base.mark_tick(color=PLAIN, size=step * 0.5, thickness=2).encode(x=at("median")),
        base.mark_point(color=INK, filled=True, size=36, opacity=1).encode(x=at("probability")),
    ).properties(width=320, height=height, view=alt.ViewConfig(stroke=FAINT))

    def words(field: str, width: float, title: str) -> alt.Chart:
        return (
            base.mark_text(align="left", baseline="middle", limit=width, fontSize=min(12, step - 2))
            .encode(x=alt.value(0), text=f"{field}:N")
            .properties(width=width, height=height, title=alt.TitleParams(title, fontSize=12, color=SOFT,
                                                                           anchor="start"))
        )  # fmt: skip

    return dressed(alt.hconcat(words("trial", label_width(data["trial"]), "trial"),
                               words("conclusion", 80, "conclusion"), middle, words("chance", 60, "changes"),
                               spacing=8))  # fmt: skip


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: what is most likely to change."""
    likely = table.loc[table["flips"].idxmax()]
    return (
        f"{count(table['trial'].nunique(), 'trial')} and {count(table['conclusion'].nunique(), 'conclusion')}. Most "
        f"likely to change: {likely['conclusion']} by {likely['trial']}, with probability "
        f"{percent(likely['flips'], 1)} (now {number(likely['probability'])}, after it {number(likely['lower'])} to "
        f"{number(likely['upper'])})."
    )
