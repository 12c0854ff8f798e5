"""How figures look: one typeface, dark ink on white, one accent for what the review is about.

Colours are told apart by people with any colour vision and never carry a meaning alone: position, text or shape says
the same. The categorical hues keep a contrast of at least 3 to 1 on white.
"""

from __future__ import annotations

import json
import math

import altair as alt
import pandas as pd

from enthesis.report.render.svg import drawable

FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
INK = "#1b2430"
SOFT = "#5b6675"
FAINT = "#d5dbe3"
PAPER = "#ffffff"
ACCENT = "#b3261e"
PLAIN = "#3d5a80"
REFERENCE = "#6b7280"
BAND = "#eef1f5"

#: hues for classes, in the order in which they appear; the accent is kept for the class in focus
HUES = ("#3d5a80", "#8a5a00", "#1b7f6b", "#6d4aa3", "#2f7fb5", "#7a4b2a", "#a13d73", "#566b1f", "#4a6472", "#94641c")

#: from worse to better than the other treatment: brown to blue-green, light in the middle
WORSE_TO_BETTER = ("#8c510a", "#bf812d", "#dfc27d", "#f6e8c3", "#f5f5f5", "#c7eae5", "#80cdc1", "#35978f", "#01665e")


def dressed(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """The chart in the house style."""
    return chart.configure(
        font=FONT,
        background=PAPER,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor=INK, titleColor=SOFT, labelFontSize=12, titleFontSize=12, titleFontWeight="normal",
            gridColor=FAINT, domainColor=SOFT, tickColor=SOFT, labelLimit=260, titleLimit=600,
        ),
        legend=alt.LegendConfig(labelColor=INK, titleColor=SOFT, labelFontSize=12, titleFontSize=12,
                                titleFontWeight="normal", labelLimit=260, symbolSize=110),
        header=alt.HeaderConfig(labelColor=INK, titleColor=SOFT, labelFontSize=12, titleFontSize=12,
                                titleFontWeight="normal"),
        text=alt.MarkConfig(color=INK, fontSize=12),
        aria=False,
    )  # fmt: skip


def data(table: pd.DataFrame) -> alt.InlineData:
    """A table as the rows of a chart: plain values, None where a number is missing.

    Charts name the type of every field, so the library need not look at the columns to find it out; and one JSON text
    is not copied cell by cell each time a chart is put together.
    """
    columns = {str(name): [_value(v) for v in table[name].tolist()] for name in table.columns}
    values = [dict(zip(columns, row)) for row in zip(*columns.values())]
    return alt.InlineData(values=json.dumps(drawable(values)), format=alt.JsonDataFormat(type="json"))


def _value(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) or value is None else str(value)


def hues(groups: list[str], focus: str = "", reference: str = "") -> dict[str, str]:
    """A colour for each group: the accent for the one in focus, grey for the reference, then the hues in order."""
    rest = [g for g in dict.fromkeys(groups) if g not in (focus, reference)]
    found = {g: HUES[i % len(HUES)] for i, g in enumerate(rest)}
    return {g: ACCENT if g == focus else REFERENCE if g == reference else found[g] for g in dict.fromkeys(groups)}


def label_width(names: list[str] | pd.Series, size: float = 6.4, most: float = 250) -> float:
    """Room for the longest name, in pixels."""
    return min(most, max((len(str(n)) for n in names), default=0) * size + 8)
