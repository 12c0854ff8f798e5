"""Specification curve: every analysis of one comparison by the size of its estimate, and under it what was chosen.

Source: Simonsohn U, Simmons JP, Nelson LD, Nat Hum Behav 2020;4:1208.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.forest import limits
from enthesis.report.plots.theme import ACCENT, BAND, FAINT, INK, PLAIN, SOFT, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, interval, percent

#: more values of an axis than this are not shown one by one
MOST_VALUES = 14
WIDTH = 640


def chart(
    table: pd.DataFrame, *, axes: Sequence[str], measure: str = "effect", log: bool = False, mid: float | None = None
) -> alt.VConcatChart:
    """A specification curve.

    Parameters
    ----------
    table : pandas.DataFrame
        estimate, lower, upper (on the scale people read), status, and a column of text per axis; rows without an
        estimate are counted in the words only.
    axes : sequence of str
        Columns shown under the curve; one with very many values (such as studies left out) is left off.
    measure : str
    log : bool
    mid : float, optional
        Smallest difference that matters, on the scale people read; shown as a band around no difference.

    Returns
    -------
    altair chart
        Intervals that exclude no difference are in the accent colour; doubtful estimates are hollow.
    """
    good = _ordered(table)
    n = max(len(good), 1)
    null = 1.0 if log else 0.0
    low, high = limits(good[["estimate", "lower", "upper"]], log) if len(good) else ((0.5, 2.0) if log else (-1.0, 1.0))
    good = good.assign(
        ink=np.where((good["lower"] > null) | (good["upper"] < null), ACCENT, PLAIN),
        hollow=np.where(good["status"] == "doubtful", 0.0, 1.0),
        from_=good["lower"].clip(low, high),
        to=good["upper"].clip(low, high),
        said=[interval(*v) for v in zip(good["estimate"], good["lower"], good["upper"], strict=True)],
    )
    x_scale = alt.Scale(domain=[-0.5, n - 0.5], nice=False)
    x = alt.X("place:Q", scale=x_scale, axis=None)
    scale = alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False)
    axis = alt.Axis(title=measure, tickCount=6, format="~r" if log else "~g")
    y = alt.Y("estimate:Q", scale=scale, axis=axis)
    base = alt.Chart(rows(good[["place", "estimate", "from_", "to", "ink", "hollow", "said"]]))
    colour = alt.Color("ink:N", scale=None)
    layers = []
    if mid is not None:
        band = pd.DataFrame({"a": [1 / mid if log else -mid], "b": [mid]}).clip(low, high)
        layers.append(
            alt.Chart(rows(band)).mark_rect(color=BAND).encode(y=alt.Y("a:Q", scale=scale, axis=axis), y2="b:Q")
        )
    layers += [
        alt.Chart(rows(pd.DataFrame({"y": [null]}))).mark_rule(color=INK)
        .encode(y=alt.Y("y:Q", scale=scale, axis=axis)),
        base.mark_rule(strokeWidth=max(1.0, min(3.0, 300 / n)), opacity=0.55).encode(
            x=x, y=alt.Y("from_:Q", scale=scale, axis=axis), y2="to:Q", color=colour),
        base.mark_point(size=max(10, min(60, 6000 / n)), opacity=1, strokeWidth=1.2).encode(
            x=x, y=y, stroke=colour, fill=colour, fillOpacity=alt.FillOpacity("hollow:Q", scale=None),
            tooltip=[alt.Tooltip("said:N", title="estimate")]),
    ]  # fmt: skip
    curve = alt.layer(*layers).properties(width=WIDTH, height=260)
    shown = [a for a in axes if 1 < good[a].nunique() <= MOST_VALUES]
    panels = [_choices(good, a, x_scale, n, min(200, max(label_width(good[c]) for c in shown))) for a in shown]
    return dressed(alt.vconcat(curve, *panels, spacing=6).resolve_scale(x="shared"))


def _choices(good: pd.DataFrame, axis: str, x_scale: alt.Scale, n: int, room: float) -> alt.LayerChart:
    """A line per value of an axis, with a mark where a specification has it."""
    values = list(dict.fromkeys(good[axis].astype(str)))
    values = sorted(values, key=lambda v: (v == "", v))
    height = 17 * len(values)
    place = {v: i for i, v in enumerate(values)}
    y_scale = alt.Scale(domain=[len(values) - 0.5, -0.5], nice=False)
    marks = pd.DataFrame({"place": good["place"], "row": [float(place[str(v)]) for v in good[axis]]})
    named = [v if v else "does not matter" for v in values]
    lines = pd.DataFrame({"row": np.arange(len(values), dtype=float), "label": named})
    y = alt.Y("row:Q", scale=y_scale, axis=None)
    return alt.layer(
        alt.Chart(rows(lines)).mark_rule(color=FAINT).encode(y=y),
        alt.Chart(rows(marks)).mark_tick(orient="vertical", color=PLAIN, thickness=max(1.0, min(5.0, 420 / n)), size=11)
        .encode(x=alt.X("place:Q", scale=x_scale, axis=None), y=y),
        alt.Chart(rows(lines)).mark_text(align="left", baseline="middle", fontSize=11, limit=room, color=INK)
        .encode(x=alt.value(WIDTH + 8), y=y, text="label:N"),
    ).properties(width=WIDTH, height=height, title=alt.TitleParams(
        axis.replace("_", " "), fontSize=11, color=SOFT, anchor="start", fontWeight="normal", offset=2))  # fmt: skip


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    good = table[np.isfinite(table["estimate"].to_numpy(dtype=float))]
    good = good.sort_values("estimate", kind="stable").reset_index(drop=True)
    return good.assign(place=np.arange(len(good), dtype=float))


def alt_text(
    table: pd.DataFrame, *, axes: Sequence[str], measure: str = "effect", log: bool = False, **_: object
) -> str:
    """The figure in words: how many analyses, from where to where, and how many intervals exclude no difference."""
    good = _ordered(table)
    lost = len(table) - len(good)
    varied = [a.replace("_", " ") for a in axes if table[a].nunique() > 1]
    text = f"Specification curve of {count(len(table), 'analysis', 'analyses')} ({measure})"
    text += f", varied by {', '.join(varied)}." if varied else "."
    if len(good):
        null = 1.0 if log else 0.0
        out = float(((good["lower"] > null) | (good["upper"] < null)).mean())
        first, last = good.iloc[0], good.iloc[-1]
        text += (
            f" Lowest: {interval(first['estimate'], first['lower'], first['upper'])}. "
            f"Highest: {interval(last['estimate'], last['lower'], last['upper'])}. "
            f"{percent(out)} of the intervals exclude no difference."
        )
    return text + (f" {count(lost, 'analysis', 'analyses')} gave no estimate." if lost else "")
