"""Absolute effects: patients per 1,000 with the outcome, for each stated risk with the comparator."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, INK, PLAIN, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import whole


def chart(table: pd.DataFrame, *, outcome: str = "the outcome", comparator: str = "comparator") -> alt.HConcatChart:
    """Risks with their intervals, one panel per baseline risk.

    Parameters
    ----------
    table : pandas.DataFrame
        baseline (label of the panel), baseline_risk (0 to 1), treatment, per_1000, per_1000_lower, per_1000_upper;
        optionally strong (bool). Treatments are drawn in the order of first appearance.
    outcome, comparator : str
        For the titles.

    Returns
    -------
    altair chart
    """
    order = list(dict.fromkeys(table["treatment"]))
    place = {name: float(i) for i, name in enumerate(order)}
    strong = table["strong"].astype(bool) if "strong" in table else False
    data = table.assign(
        place=table["treatment"].map(place), colour=np.where(strong, ACCENT, PLAIN), ink=np.where(strong, ACCENT, INK)
    )
    y = alt.Y("place:Q", scale=alt.Scale(domain=[len(order) - 0.5, -0.5], nice=False), axis=None)
    height = 20 * len(order)
    colour = alt.Color("colour:N", scale=None)
    panels = []
    labels = list(dict.fromkeys(table["baseline"]))
    width = max(120, 460 // len(labels))
    for label in labels:
        its = data[data["baseline"] == label]
        base = 1000 * float(its["baseline_risk"].iloc[0])
        scale = alt.Scale(domain=[0, 1000], nice=False)
        axis = alt.Axis(values=[0, 250, 500, 750, 1000], title=f"per 1,000 ({whole(base)} with {comparator})")
        line = alt.Chart(rows(pd.DataFrame({"x": [base]}))).mark_rule(color=INK, strokeDash=[4, 3])
        line = line.encode(x=alt.X("x:Q", scale=scale, axis=axis))
        spans = alt.Chart(rows(its)).mark_rule(strokeWidth=2.2).encode(
            y=y, x=alt.X("per_1000_lower:Q", scale=scale, axis=axis), x2="per_1000_upper:Q", color=colour
        )  # fmt: skip
        dots = alt.Chart(rows(its)).mark_point(filled=True, size=52, opacity=1).encode(
            y=y, x=alt.X("per_1000:Q", scale=scale, axis=axis), color=colour
        )  # fmt: skip
        panels.append(
            alt.layer(line, spans, dots).properties(
                width=width, height=height,
                title=alt.TitleParams(label, fontSize=12, fontWeight="bold", color=INK, anchor="start"),
            )
        )  # fmt: skip
    names = data.drop_duplicates("treatment")[["treatment", "place", "ink"]]
    room = label_width(names["treatment"])
    text = (
        alt.Chart(rows(names)).mark_text(align="left", limit=room)
        .encode(y=y, x=alt.value(0), text="treatment:N",
                color=alt.Color("ink:N", scale=None))
        .properties(width=room, height=height)
    )  # fmt: skip
    return dressed(alt.hconcat(text, *panels, spacing=12))


def alt_text(table: pd.DataFrame, *, outcome: str = "the outcome", comparator: str = "comparator") -> str:
    """The figure in words."""
    told = []
    for label, its in table.groupby("baseline", sort=False):
        low, high = its.loc[its["per_1000"].idxmin()], its.loc[its["per_1000"].idxmax()]
        told.append(
            f"{label} ({whole(1000 * its['baseline_risk'].iloc[0])} with {comparator}): from "
            f"{whole(low['per_1000'])} with {low['treatment']} to {whole(high['per_1000'])} with {high['treatment']}"
        )
    return f"Patients per 1,000 with {outcome}. " + "; ".join(told) + ". All numbers are in the table."
