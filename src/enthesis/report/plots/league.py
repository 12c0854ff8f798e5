"""League heat map: every pair at a glance, cell = row versus column."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import INK, WORSE_TO_BETTER, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import interval, number

#: the colour is full at this multiple of the null on a log scale
_FULL = np.log(4.0)


def chart(table: pd.DataFrame, *, measure: str = "effect", log: bool = False, better: str = "higher") -> alt.LayerChart:
    """A heat map of all comparisons.

    Parameters
    ----------
    table : pandas.DataFrame
        treatment (row), comparator (column), estimate, lower, upper on the scale people read; order of first
        appearance is the order of the axes.
    measure : str
    log : bool
    better : {"higher", "lower"}
        Which direction is coloured as better.

    Returns
    -------
    altair chart
        Cells whose interval excludes no difference are set in bold with a frame.
    """
    order = list(dict.fromkeys([*table["treatment"], *table["comparator"]]))
    data = table.assign(tone=tones(table, log, better), text=[number(v) for v in table["estimate"]])
    null = 1.0 if log else 0.0
    data["clear"] = (data["lower"] > null) | (data["upper"] < null)
    data["light"] = data["tone"].abs() > 0.7
    size = 40 if len(order) <= 20 else 24 if len(order) <= 36 else 14
    x = alt.X("comparator:N", sort=order, title="versus", axis=alt.Axis(orient="top", labelAngle=-55, ticks=False,
                                                                      domain=False))  # fmt: skip
    y = alt.Y("treatment:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False))
    base = alt.Chart(rows(data)).encode(x=x, y=y)
    cells = base.mark_rect(stroke="white", strokeWidth=1).encode(
        color=alt.Color("tone:Q", scale=alt.Scale(domain=[-1, 1], range=list(WORSE_TO_BETTER), clamp=True),
                        legend=alt.Legend(title=f"{measure}: row is worse … better", orient="bottom",
                                          gradientLength=220, values=[]))
    )  # fmt: skip
    layers = [cells]
    if size >= 40:
        ink = alt.condition("datum.light", alt.value("white"), alt.value(INK))
        base_text = base.mark_text(fontSize=10).encode(text="text:N", color=ink)
        bold = base.mark_text(fontSize=10, fontWeight="bold").encode(text="text:N", color=ink)
        layers += [base_text.transform_filter("!datum.clear"), bold.transform_filter("datum.clear")]
    else:
        layers.append(
            base.transform_filter("datum.clear").mark_point(size=9, filled=True, opacity=1).encode(
                color=alt.condition("datum.light", alt.value("white"), alt.value(INK)))
        )  # fmt: skip
    return dressed(alt.layer(*layers).properties(width=size * len(order), height=0.65 * size * len(order)))


def alt_text(table: pd.DataFrame, *, measure: str = "effect", log: bool = False, **_: object) -> str:
    """The figure in words."""
    names = list(dict.fromkeys([*table["treatment"], *table["comparator"]]))
    null = 1.0 if log else 0.0
    clear = int(((table["lower"] > null) | (table["upper"] < null)).sum()) // 2
    top = table.loc[(table["estimate"] - null).abs().idxmax()] if not table.empty else None
    most = (
        f" Largest: {top['treatment']} versus {top['comparator']}, "
        f"{interval(top['estimate'], top['lower'], top['upper'])}." if top is not None else ""
    )  # fmt: skip
    return (
        f"Heat map of the {measure} between {len(names)} treatments, row versus column. "
        f"The interval of {clear} of {len(table) // 2} pairs excludes no difference.{most} "
        "All numbers are in the table."
    )


def tones(table: pd.DataFrame, log: bool, better: str) -> np.ndarray:
    """From -1 (row much worse) to 1 (row much better), shape (rows,)."""
    effect = table["estimate"].to_numpy(dtype=float)
    if log:
        effect = np.log(np.maximum(effect, 1e-300)) / _FULL
    else:
        effect = effect / max(float(np.nanmax(np.abs(effect), initial=0.0)), 1e-12)
    return np.clip(effect if better != "lower" else -effect, -1.0, 1.0)
