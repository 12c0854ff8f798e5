"""Contribution plot: the share that each comparison with direct evidence, or each study, has in each network estimate.

A bar per network estimate while the parts can be told apart, a heat map otherwise.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.theme import FAINT, HUES, INK, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import percent

#: smaller shares are drawn together as "others" in bars
_SMALL = 0.02
#: a bar of more parts than there are hues cannot be read
_MOST_PARTS = len(HUES) - 1


def chart(table: pd.DataFrame, *, of: str = "comparison") -> alt.Chart | alt.LayerChart:
    """A contribution plot.

    Parameters
    ----------
    table : pandas.DataFrame
        Index: network estimates; columns: comparisons or studies; cells: shares that sum to 1 in each row.
    of : str
        What the columns are, for the legend.

    Returns
    -------
    altair chart
    """
    parts = [str(c) for c in table.columns]
    shown = table.to_numpy(dtype=float).max(axis=0, initial=0.0) >= _SMALL
    return _bars(table, of) if shown.sum() <= _MOST_PARTS else _heat(table, parts, of)


def _long(table: pd.DataFrame) -> pd.DataFrame:
    values = table.to_numpy(dtype=float)
    return pd.DataFrame(
        [
            {"estimate": str(row), "part": str(column), "share": float(values[i, j])}
            for i, row in enumerate(table.index)
            for j, column in enumerate(table.columns)
        ],
        columns=["estimate", "part", "share"],
    )


def _bars(table: pd.DataFrame, of: str) -> alt.Chart:
    long = _long(table)
    big = long.groupby("part", sort=False)["share"].transform("max") >= _SMALL
    long["part"] = long["part"].where(big, "others")
    long = long.groupby(["estimate", "part"], sort=False, as_index=False)["share"].sum()
    parts = [p for p in dict.fromkeys(long["part"]) if p != "others"]
    domain = parts + (["others"] if (long["part"] == "others").any() else [])
    colours = list(HUES[: len(parts)]) + ([FAINT] if len(domain) > len(parts) else [])
    long["order"] = long["part"].map({p: i for i, p in enumerate(domain)})
    estimates = list(dict.fromkeys(long["estimate"]))
    step = 24 if len(estimates) <= 40 else 14
    chart = alt.Chart(rows(long)).mark_bar(stroke="white").encode(
        y=alt.Y("estimate:N", sort=estimates, title=None, axis=alt.Axis(ticks=False, domain=False)),
        x=alt.X("share:Q", title="contribution", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("part:N", scale=alt.Scale(domain=domain, range=colours), title=of),
        order="order:O",
    )  # fmt: skip
    return dressed(chart.properties(width=430, height=step * len(estimates)))


def _heat(table: pd.DataFrame, parts: list[str], of: str) -> alt.LayerChart:
    long = _long(table)
    long = long[long["share"] >= 0.001].assign(text=lambda d: [percent(v) for v in d["share"]],
                                                dark=lambda d: d["share"] > 0.5)  # fmt: skip
    estimates = [str(i) for i in table.index]
    wide = max(len(parts), len(estimates))
    size = 38 if wide <= 24 else 20 if wide <= 60 else 8
    x = alt.X("part:N", sort=parts, title=of, scale=alt.Scale(domain=parts),
              axis=alt.Axis(orient="top", labelAngle=-55, ticks=False, domain=False))  # fmt: skip
    y = alt.Y("estimate:N", sort=estimates, title=None, scale=alt.Scale(domain=estimates),
              axis=alt.Axis(ticks=False, domain=False))  # fmt: skip
    base = alt.Chart(rows(long)).encode(x=x, y=y)
    cells = base.mark_rect(stroke="white").encode(
        color=alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=["#f3f6f9", "#1f3b5c"]),
                        legend=alt.Legend(title="contribution", format="%", orient="bottom", gradientLength=220))
    )  # fmt: skip
    layers = [cells]
    if size >= 38:
        ink = alt.condition("datum.dark", alt.value("white"), alt.value(INK))
        layers.append(base.mark_text(fontSize=10).encode(text="text:N", color=ink))
    height = max(10, 0.6 * size) * len(estimates)
    return dressed(alt.layer(*layers).properties(width=size * len(parts), height=height))


def alt_text(table: pd.DataFrame, *, of: str = "comparison", **_: object) -> str:
    """The figure in words: the part with the largest share on average, and the largest share of all."""
    long = _long(table)
    if long.empty:
        return "Contribution plot without estimates."
    mean = table.mean(axis=0)
    top = long.loc[long["share"].idxmax()]
    return (
        f"Contribution of {len(table.columns)} parts ({of}) to {len(table)} network estimates. Largest on average: "
        f"{mean.idxmax()}, {percent(float(mean.max()))}. Largest of all: {top['part']} to {top['estimate']}, "
        f"{percent(float(top['share']))}. All shares are in the table."
    )
