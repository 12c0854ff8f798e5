"""One thousand patients as icons: how many have the event, on either side, over a number of years."""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.theme import ACCENT, FAINT, PLAIN, dressed
from enthesis.report.plots.theme import data as rows

#: icons in a row of the array, and in all
ACROSS, ICONS = 50, 1000


def chart(table: pd.DataFrame, *, title: str = "") -> alt.HConcatChart:
    """Icon arrays beside each other.

    Parameters
    ----------
    table : pandas.DataFrame
        side, per_1000 (0 to 1000; more is drawn as all); optionally lower, upper, which the heading tells.
    title : str
        What happens, over how long.

    Returns
    -------
    altair chart
    """
    panels = []
    for row in table.itertuples():
        filled = round(min(max(float(row.per_1000), 0.0), ICONS))
        icons = pd.DataFrame({"line": [i // ACROSS for i in range(ICONS)], "at": [i % ACROSS for i in range(ICONS)],
                              "event": [i < filled for i in range(ICONS)]})  # fmt: skip
        x = alt.X("at:Q", axis=None, scale=alt.Scale(domain=[-0.5, ACROSS - 0.5]))
        y = alt.Y("line:Q", axis=None, scale=alt.Scale(domain=[ICONS // ACROSS - 0.5, -0.5]))
        colour = alt.Color("event:N", scale=alt.Scale(domain=[True, False], range=[ACCENT, FAINT]), legend=None)
        shape = alt.Shape("event:N", scale=alt.Scale(domain=[True, False], range=["square", "circle"]), legend=None)
        panel = alt.Chart(rows(icons)).mark_point(filled=True, size=16, opacity=1).encode(
            x=x, y=y, color=colour, shape=shape
        )  # fmt: skip
        panels.append(
            panel.properties(width=300, height=130, title=alt.TitleParams(_heading(row), color=PLAIN, anchor="start"))
        )
    return dressed(alt.hconcat(*panels, spacing=24, title=title) if title else alt.hconcat(*panels, spacing=24))


def _heading(row: object) -> str:
    told = f"{row.side}: {float(row.per_1000):.0f} of 1,000"  # type: ignore[attr-defined]
    if hasattr(row, "lower") and row.lower == row.lower:
        told += f" ({float(row.lower):.0f} to {float(row.upper):.0f})"  # type: ignore[attr-defined]
    return told


def alt_text(table: pd.DataFrame, *, title: str = "") -> str:
    """The figure in words: patients with the event of 1,000, on each side."""
    told = "; ".join(_heading(row) for row in table.itertuples())
    return f"Icons for 1,000 patients{f', {title}' if title else ''}: {told}." if told else "No icons."
