"""Funnel plot of one comparison with contours of significance (Peters JL et al., J Clin Epidemiol 2008;61:991).

Studies missing where they would not be significant suggest selection by p-value; missing elsewhere, another cause.
"""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.special import ndtri

from enthesis.report.plots.theme import ACCENT, FAINT, INK, PLAIN, SOFT, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, number

#: two-sided p-values at the edges of the contours, and the shade of each zone from the middle outwards
LEVELS = (0.1, 0.05, 0.01)
_Z = tuple(float(-ndtri(level / 2)) for level in LEVELS)
_SHADES = ("#ffffff", "#e3e8ee", "#cfd7e0", "#bac5d1")


def chart(table: pd.DataFrame, *, centre: float, measure: str = "effect", log: bool = False) -> alt.LayerChart:
    """A contour-enhanced funnel plot.

    Parameters
    ----------
    table : pandas.DataFrame
        study, effect, se (model's scale); optionally filled (bool: added by trim and fill, drawn hollow).
    centre : float
        The pooled effect, model's scale.
    measure : str
    log : bool
        Whether the model's scale is logarithmic: the axis then shows ratios.

    Returns
    -------
    altair chart
    """
    filled = table["filled"].astype(bool) if "filled" in table else pd.Series(False, index=table.index)
    deepest = float(table["se"].max()) * 1.08
    low = min(float(table["effect"].min()), centre - 1.96 * deepest, -_Z[-1] * deepest)
    high = max(float(table["effect"].max()), centre + 1.96 * deepest, _Z[-1] * deepest)
    pad = 0.03 * (high - low)
    low, high = low - pad, high + pad
    x = alt.Scale(domain=[low, high], nice=False, clamp=True)
    y = alt.Scale(domain=[deepest, 0.0], nice=False)
    axis = alt.Axis(title=measure + (" (log scale)" if log else ""), grid=False)
    if log:
        ratios = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5) if low < np.log(m * 10.0**e) < high]
        axis = alt.Axis(title=measure, grid=False, values=[float(np.log(r)) for r in ratios],
                        labelExpr="format(exp(datum.value), '.1~r')")  # fmt: skip
    layers: list[alt.Chart] = [
        alt.Chart(rows(zone)).mark_area(opacity=1, color=shade).encode(
            x=alt.X("a:Q", scale=x, axis=axis), x2="b:Q", y=alt.Y("y:Q", scale=y)
        )
        for zone, shade in _zones(deepest)
    ]  # fmt: skip
    sides = pd.DataFrame(
        {"x": [centre - 1.96 * deepest, centre, centre + 1.96 * deepest], "y": [deepest, 0.0, deepest], "i": [0, 1, 2]}
    )
    layers += [
        alt.Chart(rows(pd.DataFrame({"x": [0.0]}))).mark_rule(color=INK).encode(x=alt.X("x:Q", scale=x, axis=axis)),
        alt.Chart(rows(pd.DataFrame({"x": [centre]}))).mark_rule(color=ACCENT, strokeDash=[2, 2]).encode(
            x=alt.X("x:Q", scale=x, axis=axis)),
        alt.Chart(rows(sides)).mark_line(color=SOFT, strokeDash=[4, 3]).encode(
            x=alt.X("x:Q", scale=x, axis=axis), y=alt.Y("y:Q", scale=y), order="i:O"),
    ]  # fmt: skip
    base = alt.Chart(rows(table.assign(filled=filled)[["effect", "se", "filled"]])).encode(
        x=alt.X("effect:Q", scale=x, axis=axis), y=alt.Y("se:Q", scale=y, title="standard error")
    )
    layers += [
        base.transform_filter("!datum.filled").mark_point(filled=True, size=60, opacity=1, color=PLAIN),
        base.transform_filter("datum.filled").mark_point(size=56, opacity=1, color=ACCENT),
    ]
    key = pd.DataFrame({"zone": ["p > 0.1", "0.05 to 0.1", "0.01 to 0.05", "p < 0.01"], "i": range(4)})
    legend = alt.Chart(rows(key)).mark_rect(stroke=FAINT).encode(
        y=alt.Y("zone:N", sort=key["zone"].tolist(), title="p of a study", axis=alt.Axis(orient="right", ticks=False,
                                                                                   domain=False)),
        color=alt.Color("zone:N", scale=alt.Scale(domain=key["zone"].tolist(), range=list(_SHADES)), legend=None),
    ).properties(width=18, height=80)  # fmt: skip
    plot = alt.layer(*layers).properties(width=430, height=330, view=alt.ViewConfig(stroke=FAINT))
    return dressed(alt.hconcat(plot, legend, spacing=14))


def _zones(deepest: float) -> list[tuple[pd.DataFrame, str]]:
    """The areas between contours on both sides of no effect, the outermost first so that inner ones cover it."""
    far = 60 * deepest
    edges = [far, *(z * deepest for z in reversed(_Z))]
    zones = []
    for edge, shade in zip(edges, reversed(_SHADES), strict=True):
        wide = pd.DataFrame({"y": [0.0, deepest], "a": [0.0, -edge], "b": [0.0, edge]})
        if edge == far:
            wide = pd.DataFrame({"y": [0.0, deepest], "a": [-far, -far], "b": [far, far]})
        zones.append((wide, shade))
    return zones


def alt_text(table: pd.DataFrame, *, centre: float, measure: str = "effect", log: bool = False) -> str:
    """The figure in words: significant studies, sides, and what was filled in."""
    filled = table["filled"].astype(bool) if "filled" in table else pd.Series(False, index=table.index)
    seen = table[~filled]
    significant = int((np.abs(seen["effect"]) / seen["se"] > 1.96).sum())
    shown = number(float(np.exp(centre)) if log else centre)
    added = f" {count(int(filled.sum()), 'study', 'studies')} added by trim and fill." if filled.any() else ""
    return (
        f"Funnel plot of the {measure} of {count(len(seen), 'study', 'studies')} around {shown}: "
        f"{int((seen['effect'] > centre).sum())} to the right, {int((seen['effect'] < centre).sum())} to the left, "
        f"{significant} with p below 0.05.{added}"
    )
