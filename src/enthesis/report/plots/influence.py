"""Influence panel: the deletion diagnostics of every study side by side."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, FAINT, INK, PLAIN, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count

#: column, title, the value where nothing happens
PANELS = (
    ("outlier_p", "p of the deleted residual", 1.0),
    ("dffits", "DFFITS", 0.0),
    ("cook_d", "Cook's distance", 0.0),
    ("cov_ratio", "covariance ratio", 1.0),
    ("hat", "hat", 0.0),
    ("tau_without", "tau without", None),
    ("Q_without", "Q without", None),
)


def chart(table: pd.DataFrame) -> alt.HConcatChart:
    """The diagnostics, one panel each, one line per study.

    Parameters
    ----------
    table : pandas.DataFrame
        study, outlier_p, dffits, cook_d, cov_ratio, hat, tau_without, Q_without, influential, ok.

    Returns
    -------
    altair chart
        Influential studies are triangles in the accent colour, and their names too.
    """
    data = table.reset_index(drop=True)
    marked = data["influential"].astype(bool).to_numpy()
    data = data.assign(place=np.arange(len(data), dtype=float), ink=np.where(marked, ACCENT, INK),
                       mark=np.where(marked, "triangle", "circle"), tone=np.where(marked, ACCENT, PLAIN))  # fmt: skip
    step = 18 if len(data) <= 60 else 10
    height = step * len(data)
    y = alt.Y("place:Q", scale=alt.Scale(domain=[len(data) - 0.5, -0.5], nice=False), axis=None)
    room = label_width(data["study"])
    parts: list[alt.Chart | alt.LayerChart] = [
        alt.Chart(rows(data[["study", "place", "ink"]]))
        .mark_text(align="left", baseline="middle", limit=room, fontSize=min(12, step - 1))
        .encode(y=y, x=alt.value(0), text="study:N", color=alt.Color("ink:N", scale=None))
        .properties(width=room, height=height)
    ]
    for column, title, still in PANELS:
        shown = data[np.isfinite(data[column].to_numpy(dtype=float))]
        x = alt.X(f"{column}:Q", title=title, axis=alt.Axis(tickCount=3, format=".3~r"),
                  scale=alt.Scale(zero=False, nice=True))  # fmt: skip
        base = alt.Chart(rows(shown[[column, "place", "tone", "mark"]]))
        dots = base.mark_point(filled=True, size=42, opacity=1).encode(
            y=y, x=x, color=alt.Color("tone:N", scale=None), shape=alt.Shape("mark:N", scale=None)
        )
        layers: list[alt.Chart] = [dots]
        if still is not None:
            rule = alt.Chart(rows(pd.DataFrame({"x": [still]}))).mark_rule(color=FAINT, strokeWidth=2)
            layers.insert(0, rule.encode(x=alt.X("x:Q", title=title)))
        parts.append(alt.layer(*layers).properties(width=92, height=height, view=alt.ViewConfig(stroke=FAINT)))
    return dressed(alt.hconcat(*parts, spacing=10))


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: which studies are influential, which cannot be judged."""
    ok = table["ok"].astype(bool)
    marked = table.loc[table["influential"].astype(bool) & ok, "study"].tolist()
    lost = table.loc[~ok, "study"].tolist()
    text = f"Influence diagnostics of {count(len(table), 'study', 'studies')}. "
    text += f"Influential: {', '.join(map(str, marked[:8]))}." if marked else "None is marked as influential."
    if lost:
        text += f" The network falls apart without {', '.join(map(str, lost[:8]))}."
    return text + " All numbers are in the table."
