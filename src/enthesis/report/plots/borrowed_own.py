"""Own data, what is borrowed, and both together: densities of one rate ratio on a logarithmic axis."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, INK, PLAIN, SOFT, dressed
from enthesis.report.plots.theme import data as rows

#: curve → (legend, colour, dash): position and dash tell them apart without colour
CURVES = {
    "own": ("own data alone", PLAIN, [6, 3]),
    "borrowed": ("borrowed", SOFT, [2, 2]),
    "posterior": ("together", ACCENT, [1, 0]),
}


def chart(table: pd.DataFrame, *, measure: str = "rate ratio") -> alt.LayerChart:
    """Densities of a ratio.

    Parameters
    ----------
    table : pandas.DataFrame
        curve (own, borrowed, posterior), ratio, density (on the log scale).
    measure : str

    Returns
    -------
    altair chart
    """
    data = table.copy()
    data["name"] = [CURVES[c][0] for c in data["curve"]]
    shown = [c for c in CURVES if c in set(data["curve"])]
    names = [CURVES[c][0] for c in shown]
    low, high = float(data["ratio"].min()), float(data["ratio"].max())
    ticks = [v for v in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low <= v <= high]
    x = alt.X("ratio:Q", scale=alt.Scale(type="log", domain=[low, high], nice=False),
              axis=alt.Axis(values=ticks, title=measure, labelExpr="format(datum.value, '~r')"))  # fmt: skip
    y = alt.Y("density:Q", axis=alt.Axis(title="plausibility", labels=False, ticks=False, grid=False))
    lines = alt.Chart(rows(data)).mark_line(strokeWidth=2.2).encode(
        x=x, y=y,
        color=alt.Color("name:N", scale=alt.Scale(domain=names, range=[CURVES[c][1] for c in shown]),
                        legend=alt.Legend(title=None, orient="top")),
        strokeDash=alt.StrokeDash("name:N", scale=alt.Scale(domain=names, range=[CURVES[c][2] for c in shown]),
                                  legend=None),
    )  # fmt: skip
    null = alt.Chart(rows(pd.DataFrame({"ratio": [1.0]}))).mark_rule(color=INK, strokeWidth=1).encode(x=x)
    return dressed(alt.layer(null, lines).properties(width=440, height=170))


def alt_text(table: pd.DataFrame, *, measure: str = "rate ratio") -> str:
    """The figure in words: where each curve is highest and how wide it is."""
    told = []
    for curve, (name, *_) in CURVES.items():
        its = table[table["curve"] == curve]
        if its.empty:
            continue
        weight = its["density"].to_numpy()
        if weight.sum() <= 0:
            continue
        cdf = np.cumsum(weight) / weight.sum()
        low, high = (float(its["ratio"].to_numpy()[min(int(cdf.searchsorted(p)), len(cdf) - 1)]) for p in (0.05, 0.95))
        peak = float(its["ratio"].to_numpy()[int(weight.argmax())])
        told.append(f"{name}: most plausible {peak:.2f}, nine tenths between {low:.2f} and {high:.2f} of what is drawn")
    return f"Densities of one {measure}. " + "; ".join(told) + "." if told else f"No density of the {measure}."
