"""Forest plot: one line per comparison, its estimate with its interval, and the numbers beside it."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, BAND, INK, PLAIN, SOFT, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import interval


def chart(
    table: pd.DataFrame,
    *,
    measure: str = "effect",
    log: bool = False,
    band: tuple[float, float] | None = None,
    left: str = "",
    right: str = "",
    twin: str = "",
) -> alt.LayerChart | alt.HConcatChart:
    """A forest plot.

    Parameters
    ----------
    table : pandas.DataFrame
        label, estimate, lower, upper (on the scale people read), drawn from top to bottom; optionally group (bold
        heading above its lines), strong (bool: in the accent colour), predicted_lower, predicted_upper (a new study),
        twin, twin_lower, twin_upper (the same by another model).
    measure : str
        Title of the axis.
    log : bool
        Whether the axis is logarithmic; the line of no difference is at 1 then, else at 0.
    band : (float, float), optional
        Differences too small to matter, shaded.
    left, right : str
        What the two sides of the line mean.
    twin : str
        Name of the other model, for the legend in the title.

    Returns
    -------
    altair chart
    """
    null = 1.0 if log else 0.0
    data = _placed(table)
    low, high = limits(table, log)
    for name in ("lower", "upper", "predicted_lower", "predicted_upper", "twin", "twin_lower", "twin_upper"):
        if name in data:
            data[name + "_drawn"] = data[name].clip(low, high)
    data["inside"] = data["estimate"].between(low, high)
    lines = data[data["line"]]
    step = 22
    height = step * len(data)
    y_scale = alt.Scale(domain=[len(data) - 0.5, -0.5], nice=False)
    y = alt.Y("place:Q", scale=y_scale, axis=None)
    x_scale = alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False)
    ticks = _ticks(low, high, log)
    axis = alt.Axis(values=ticks, grid=True, title=_title(measure, left, right, twin), labelExpr=_plain_numbers(log))
    x = alt.X("estimate:Q", scale=x_scale, axis=axis)
    colour = alt.Color("colour:N", scale=None)
    layers = []
    if band:
        edge = pd.DataFrame({"a": [max(band[0], low)], "b": [min(band[1], high)]})
        layers.append(
            alt.Chart(rows(edge)).mark_rect(color=BAND).encode(x=alt.X("a:Q", scale=x_scale, axis=axis), x2="b:Q")
        )
    zero = alt.Chart(rows(pd.DataFrame({"x": [null]}))).mark_rule(color=INK, strokeWidth=1)
    layers.append(zero.encode(x=alt.X("x:Q", scale=x_scale, axis=axis)))
    base = alt.Chart(rows(lines))
    if "predicted_lower" in lines:
        layers.append(
            base.mark_rule(color="#aab4c1", strokeWidth=1.2, strokeDash=[3, 2]).encode(
                y=y, x=alt.X("predicted_lower_drawn:Q", scale=x_scale, axis=axis), x2="predicted_upper_drawn:Q"
            )
        )
    layers.append(
        base.mark_rule(strokeWidth=2.4).encode(
            y=y, x=alt.X("lower_drawn:Q", scale=x_scale, axis=axis), x2="upper_drawn:Q", color=colour
        )
    )
    layers.append(
        base.transform_filter("datum.inside").mark_point(filled=True, shape="square", size=72, opacity=1)
        .encode(y=y, x=x, color=colour)
    )  # fmt: skip
    for side, edge, angle in (("lower", low, 270), ("upper", high, 90)):
        beyond = base.transform_filter(f"datum.{side} {'<' if side == 'lower' else '>'} {edge}")
        layers.append(
            beyond.mark_point(shape="triangle", filled=True, size=50, angle=angle, opacity=1)
            .encode(y=y, x=alt.X(f"{side}_drawn:Q", scale=x_scale, axis=axis), color=colour)
        )  # fmt: skip
    if "twin" in lines:
        shifted = alt.Y("place_twin:Q", scale=y_scale, axis=None)
        shown = base.transform_filter("isValid(datum.twin)")
        layers.append(
            shown.mark_rule(color=SOFT, strokeWidth=1).encode(
                y=shifted, x=alt.X("twin_lower_drawn:Q", scale=x_scale, axis=axis), x2="twin_upper_drawn:Q"
            )
        )
        layers.append(
            shown.mark_point(shape="circle", filled=True, fill="white", stroke=SOFT, size=26, opacity=1).encode(
                y=shifted, x=alt.X("twin_drawn:Q", scale=x_scale, axis=axis)
            )
        )
    middle = alt.layer(*layers).properties(width=380, height=height)
    names = _words(data, "label", y, label_width(data["label"], 6.6), height)
    numbers = _words(data, "numbers", y, 150, height)
    return dressed(alt.hconcat(names, middle, numbers, spacing=8))


def alt_text(table: pd.DataFrame, *, measure: str = "effect", **_: object) -> str:
    """The figure in words: the extremes and how many intervals exclude no difference."""
    if table.empty:
        return "Forest plot without lines."
    null = 1.0 if _.get("log") else 0.0
    top, bottom = table.loc[table["estimate"].idxmax()], table.loc[table["estimate"].idxmin()]
    clear = int(((table["lower"] > null) | (table["upper"] < null)).sum())

    def told(row: pd.Series) -> str:
        return f"{row['label']} {interval(row['estimate'], row['lower'], row['upper'])}"

    return (
        f"Forest plot of {len(table)} comparisons, {measure} with 95 % intervals. Highest: {told(top)}. Lowest: "
        f"{told(bottom)}. The interval of {clear} of {len(table)} excludes no difference. All numbers are in the table."
    )


def limits(table: pd.DataFrame, log: bool) -> tuple[float, float]:
    """Ends of the axis: wide enough for the middle of the intervals, not for the widest of them.

    Parameters
    ----------
    table : pandas.DataFrame
        estimate, lower, upper.
    log : bool

    Returns
    -------
    (float, float)
    """
    values = table[["estimate", "lower", "upper"]].to_numpy(dtype=float)
    values = np.log(np.maximum(values, 1e-300)) if log else values
    values = np.where(np.isfinite(values), values, np.nan)
    spread = np.nanmax([np.nanmedian(values[:, 2] - values[:, 1]), 1e-9])
    low = min(np.nanmin(values[:, 0]), 0.0) - 1.0 * spread
    high = max(np.nanmax(values[:, 0]), 0.0) + 1.0 * spread
    low, high = max(low, min(np.nanmin(values), 0.0)), min(high, max(np.nanmax(values), 0.0))
    pad = 0.04 * (high - low) + 1e-9
    low, high = low - pad, high + pad
    return (float(np.exp(max(low, -9.2))), float(np.exp(min(high, 9.2)))) if log else (float(low), float(high))


def _ticks(low: float, high: float, log: bool) -> list[float]:
    if not log:
        return _nice(low, high)
    steps = [1, 2, 5] if high / low < 10_000 else [1]
    return [m * 10.0**e for e in range(-4, 5) for m in steps if low <= m * 10.0**e <= high]


def _nice(low: float, high: float) -> list[float]:
    raw = (high - low) / 6
    size = 10.0 ** np.floor(np.log10(raw))
    step = float(size * next(m for m in (1, 2, 5, 10) if m * size >= raw))
    return [round(k * step, 10) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _placed(table: pd.DataFrame) -> pd.DataFrame:
    """The lines in order, with a heading line before each group."""
    data = table.reset_index(drop=True).copy()
    if "strong" not in data:
        data["strong"] = False
    data["colour"] = np.where(data["strong"].astype(bool), ACCENT, PLAIN)
    data["ink"] = np.where(data["strong"].astype(bool), ACCENT, INK)
    data["numbers"] = [interval(e, lo, hi) for e, lo, hi in zip(data.estimate, data.lower, data.upper, strict=True)]
    data["line"] = True
    if "group" in data and data["group"].nunique() > 1:
        parts = []
        for name, its in data.groupby("group", sort=False):
            heading = pd.DataFrame({"label": [str(name)], "line": [False], "numbers": [""], "ink": [SOFT]})
            parts += [heading, its]
        data = pd.concat(parts, ignore_index=True)
        data["line"] = data["line"].astype(bool)
    data["place"] = np.arange(len(data), dtype=float)
    data["place_twin"] = data["place"] + 0.3
    return data


def _words(data: pd.DataFrame, column: str, y: alt.Y, width: float, height: float) -> alt.LayerChart:
    base = alt.Chart(rows(data[["place", "line", "ink", column]]))
    lines = base.transform_filter("datum.line").mark_text(align="left", limit=width).encode(
        y=y, x=alt.value(0), text=f"{column}:N",
        color=alt.Color("ink:N", scale=None),
    )  # fmt: skip
    heads = base.transform_filter("!datum.line").mark_text(align="left", fontWeight="bold", limit=width, color=SOFT)
    heads = heads.encode(y=y, x=alt.value(0), text=f"{column}:N")
    return alt.layer(lines, heads).properties(width=width, height=height)


def _title(measure: str, left: str, right: str, twin: str) -> list[str]:
    sides = [f"\N{LEFTWARDS ARROW} {left}  \N{MIDDLE DOT}  {right} \N{RIGHTWARDS ARROW}"] if left or right else []
    return [measure + (f"; circles: {twin}" if twin else ""), *sides]


def _plain_numbers(log: bool) -> str:
    return "datum.value >= 1 ? format(datum.value, ',') : format(datum.value, '~r')" if log else "datum.label"
