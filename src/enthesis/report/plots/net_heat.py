"""Net heat plot: which designs (columns) take part in the inconsistency of which contrasts of designs (rows)."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import FAINT, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import number

#: from agreement that a design hides to disagreement it takes part in
_HIDES_TO_CAUSES = ("#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b")
_KEYS = ("design", "treatment", "comparator", "Q")


def chart(table: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """A net heat plot.

    Parameters
    ----------
    table : pandas.DataFrame
        As `assess.net_heat.net_heat` makes it: design, treatment, comparator, Q, then one column of heat per design.

    Returns
    -------
    altair chart
        A cell without a value (detaching the design changes nothing) stays white.
    """
    cells, order, columns = _cells(table)
    if not columns:
        return _empty()
    size = 26 if max(len(order), len(columns)) <= 30 else 12
    top = max(float(np.nanmax(np.abs(cells["heat"].to_numpy(dtype=float)), initial=0.0)), 1e-9)
    x = alt.X("detached:N", sort=columns, title="design that is detached",
              axis=alt.Axis(orient="top", labelAngle=-55, ticks=False, domain=False, grid=False,
                            labelLimit=330))  # fmt: skip
    y = alt.Y("row:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, grid=False, labelLimit=400))
    colour = alt.Color(
        "heat:Q", scale=alt.Scale(domain=[-top, 0, top], range=[_HIDES_TO_CAUSES[0], "#f7f7f7", _HIDES_TO_CAUSES[-1]]),
        legend=alt.Legend(title="change of Q: hides … causes", orient="bottom", gradientLength=220),
    )  # fmt: skip
    base = alt.Chart(rows(cells)).encode(x=x, y=y)
    empty = base.mark_rect(fill="white", stroke=FAINT)
    filled = base.transform_filter("isValid(datum.heat)").mark_rect(stroke="white").encode(color=colour)
    return dressed(alt.layer(empty, filled).properties(width=size * len(columns), height=size * len(order)))


def _cells(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[str]]:
    columns = [str(c) for c in table.columns if c not in _KEYS]
    names = _row_names(table)
    long = [
        {"row": name, "detached": str(column), "heat": float(value)}
        for name, (_, line) in zip(names, table.iterrows(), strict=True)
        for column, value in ((c, line[c]) for c in columns)
    ]
    return pd.DataFrame(long, columns=["row", "detached", "heat"]), names, columns


def _row_names(table: pd.DataFrame) -> list[str]:
    """A two-arm design by its name, a contrast of a larger one with the design behind it."""
    return [
        r.design if r.design.count(" : ") == 1 else f"{r.treatment} versus {r.comparator} in {r.design}"
        for r in table.itertuples()
    ]


def _empty() -> alt.Chart:
    note = pd.DataFrame({"text": ["No design has indirect evidence: there is no inconsistency to show."]})
    mark = alt.Chart(rows(note)).mark_text(align="left", fontSize=13).encode(text="text:N", x=alt.value(0))
    return dressed(mark.properties(width=460, height=40))


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: the contrast with the most inconsistency and the hottest cell."""
    cells, _rows, columns = _cells(table)
    heat = cells["heat"].to_numpy(dtype=float)
    if not columns or not np.isfinite(heat).any():
        return "Net heat plot without heat: no design has indirect evidence."
    worst = table.loc[table["Q"].astype(float).idxmax()]
    hot = cells.loc[int(np.nanargmax(heat))]
    return (
        f"Net heat plot of {len(table)} contrasts of designs. Most inconsistency: {worst['treatment']} versus "
        f"{worst['comparator']} in the design {worst['design']}, {number(float(worst['Q']))}. Hottest cell: detaching "
        f"{hot['detached']} takes {number(float(hot['heat']))} from {hot['row']}."
    )
