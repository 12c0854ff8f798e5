"""Decision-invariant intervals: how far each data point could be from what it is before the decision changes.

One line per data point: the estimate with its interval, on a bar that spans where the decision holds; beside it what is
decided beyond either end. A bar that goes on beyond the axis has no end there worth drawing.
"""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.forest import limits
from enthesis.report.plots.theme import ACCENT, FAINT, INK, PLAIN, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import interval, number

#: more lines than this are left to the table
MOST = 40


def chart(table: pd.DataFrame, *, measure: str = "effect", log: bool = False, most: int = MOST) -> alt.HConcatChart:
    """A forest of decision-invariant intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        what, estimate, lower, upper, invariant_low, invariant_high (on the scale people read), below, above (the
        decision beyond the ends), drawn from top to bottom. A line without an interval (a bias) has its bar only.
    measure : str
        Title of the axis.
    log : bool
    most : int
        The first so many lines are drawn.

    Returns
    -------
    altair chart
    """
    data = table.head(most).reset_index(drop=True).copy()
    null = 1.0 if log else 0.0
    seen = data.assign(lower=data["lower"].fillna(data["estimate"]), upper=data["upper"].fillna(data["estimate"]))
    low, high = limits(seen[["estimate", "lower", "upper"]], log)
    ends = data[["invariant_low", "invariant_high"]].to_numpy(dtype=float)
    near = ends[np.isfinite(ends) & (ends > 0 if log else np.isfinite(ends))]
    room = 3.0 if log else 0.6 * (high - low)
    for value in near:
        if log and low / room < value < high * room:
            low, high = min(low, value / 1.1), max(high, value * 1.1)
        elif not log and low - room < value < high + room:
            low, high = min(low, value - 0.05 * room), max(high, value + 0.05 * room)
    height = 24 * max(len(data), 1)
    data["place"] = np.arange(len(data), dtype=float)
    for name in ("lower", "upper"):
        data[f"{name}_drawn"] = data[name].clip(low, high)
    data["bar_low"] = data["invariant_low"].fillna(low).clip(low, high)
    data["bar_high"] = data["invariant_high"].fillna(high).clip(low, high)
    ci = data["lower"].notna()
    tight = ci & ((data["invariant_low"] > data["lower"]) | (data["invariant_high"] < data["upper"]))
    data["colour"] = np.where(tight, ACCENT, PLAIN)
    data["numbers"] = [
        interval(e, lo, hi) if has else ""
        for e, lo, hi, has in zip(data.estimate, data.lower, data.upper, ci, strict=True)
    ]
    data["span"] = [_span(r.invariant_low, r.invariant_high) for r in data.itertuples()]
    data["then"] = [_then(r.below, r.above) for r in data.itertuples()]
    scale = alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False)
    y = alt.Y("place:Q", scale=alt.Scale(domain=[len(data) - 0.5, -0.5], nice=False), axis=None)
    axis = alt.Axis(title=[measure, "bar: the decision holds"], tickCount=6, format="~r" if log else "~g")

    def x(name: str) -> alt.X:
        return alt.X(f"{name}:Q", scale=scale, axis=axis)

    base, known = alt.Chart(rows(data)), alt.Chart(rows(data[ci.to_numpy()]))
    zero = alt.Chart(rows(pd.DataFrame({"x": [null]}))).mark_rule(color=INK, strokeWidth=1).encode(x=x("x"))
    bars = base.mark_bar(height=14, color=FAINT).encode(y=y, x=x("bar_low"), x2="bar_high:Q")
    lines = known.mark_rule(strokeWidth=2).encode(
        y=y, x=x("lower_drawn"), x2="upper_drawn:Q", color=alt.Color("colour:N", scale=None)
    )
    points = known.mark_point(filled=True, shape="square", size=52, opacity=1).encode(
        y=y, x=x("estimate"), color=alt.Color("colour:N", scale=None)
    )
    middle = alt.layer(bars, zero, lines, points).properties(width=320, height=height)

    def words(column: str, width: float, heading: str) -> alt.Chart:
        return (
            alt.Chart(rows(data[["place", column]])).mark_text(align="left", baseline="middle", limit=width)
            .encode(y=y, x=alt.value(0), text=f"{column}:N")
            .properties(width=width, height=height, title=alt.TitleParams(heading, fontSize=12, anchor="start"))
        )  # fmt: skip

    parts = [words("what", label_width(data["what"], 6.4, 330), ""), middle]
    if ci.any():
        parts.insert(1, words("numbers", 150, "estimate (95 %)"))
    parts += [words("span", 130, "decision holds"), words("then", label_width(data["then"], 6.4, 360), "beyond it")]
    return dressed(alt.hconcat(*parts, spacing=8))


def alt_text(table: pd.DataFrame, *, measure: str = "effect", log: bool = False, most: int = MOST) -> str:
    """The figure in words: how many intervals reach beyond where the decision holds, and the most fragile."""
    if table.empty:
        return "Decision-invariant intervals without lines."
    ci = table["lower"].notna()
    tight = ci & ((table["invariant_low"] > table["lower"]) | (table["invariant_high"] < table["upper"]))
    fixed = int((~np.isfinite(table[["low", "high"]].to_numpy(dtype=float))).all(axis=1).sum())
    first = table.iloc[0]
    shown = f" The first {most} are drawn." if len(table) > most else ""
    return (
        f"Decision-invariant intervals of {len(table)} data points, {measure}. The 95 % interval of "
        f"{int(tight.sum())} reaches beyond where the decision holds; {fixed} could be anything. Most fragile: "
        f"{first['what']}, the decision holds {_span(first['invariant_low'], first['invariant_high'])}.{shown} All "
        "numbers are in the table."
    )


def _span(low: float, high: float) -> str:
    """From where to where, in words; an end at or beyond what the scale can hold is open."""
    open_low, open_high = not np.isfinite(low) or low == 0.0, not np.isfinite(high)
    if open_low and open_high:
        return "always"
    if open_low:
        return f"up to {number(high)}"
    return f"from {number(low)}" if open_high else f"{number(low)} to {number(high)}"


def _then(below: str, above: str) -> str:
    parts = [f"below: {below}" if below else "", f"above: {above}" if above else ""]
    return "; ".join(p for p in parts if p)
