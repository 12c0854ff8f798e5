"""Traffic lights: each study by each domain of a tool, as a disc whose colour and sign say the judgement."""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.theme import INK, PAPER, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, percent

#: by CINeMA's level: colour and sign; 0 is no information. The signs carry the meaning without colour
SIGNS = {0: ("#8a96a6", "?"), 1: ("#1b7f6b", "+"), 2: ("#d9a400", "–"), 3: ("#b3261e", "×")}


def chart(table: pd.DataFrame, *, weight: str = "contribution") -> alt.LayerChart | alt.HConcatChart:
    """Traffic lights.

    Parameters
    ----------
    table : pandas.DataFrame
        study, domain, judgement (in words), level (0 no information, 1 low ... 3 high), in the order of drawing; the
        overall judgement is a domain of its own. Optionally weight: a fraction by study, drawn as a bar at the side.
    weight : str
        What the bar is.

    Returns
    -------
    altair chart
    """
    data = table.assign(colour=[SIGNS[int(v)][0] for v in table["level"]],
                        sign=[SIGNS[int(v)][1] for v in table["level"]])  # fmt: skip
    studies, domains = list(dict.fromkeys(table["study"])), list(dict.fromkeys(table["domain"]))
    step = 28 if len(studies) <= 40 else 16
    y = alt.Y("study:N", sort=studies, title=None, axis=alt.Axis(ticks=False, domain=False))
    angle = -40 if _long(domains) else 0
    x = alt.X("domain:N", sort=domains, title=None,
              axis=alt.Axis(orient="top", labelAngle=angle, ticks=False, domain=False))  # fmt: skip
    base = alt.Chart(rows(data)).encode(x=x, y=y)
    discs = base.mark_circle(size=330 if step > 20 else 130, opacity=1).encode(color=alt.Color("colour:N", scale=None))
    signs = base.mark_text(fontSize=14 if step > 20 else 10, fontWeight="bold", color=PAPER).encode(text="sign:N")
    width = (46 if not _long(domains) else 52) * len(domains)
    lights = alt.layer(discs, signs).properties(width=width, height=step * len(studies))
    if "weight" not in table:
        return dressed(lights)
    shares = table.drop_duplicates("study")[["study", "weight"]].assign(
        text=lambda d: [percent(v) for v in d["weight"]]
    )
    own = alt.Y("study:N", sort=studies, title=None, axis=None)
    side = alt.Chart(rows(shares)).encode(
        y=own, x=alt.X("weight:Q", title=weight, axis=alt.Axis(format="%", tickCount=3))
    )
    bars = side.mark_bar(color="#9aa5b4", height=step * 0.5)
    told = side.mark_text(align="left", dx=4, color=INK, fontSize=11).encode(text="text:N")
    return dressed(
        alt.hconcat(lights, alt.layer(bars, told).properties(width=120, height=step * len(studies)), spacing=16)
    )


def _long(domains: list[str]) -> bool:
    return label_width(domains) > 70


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: how many studies have which overall judgement."""
    if table.empty:
        return "Traffic lights without studies."
    last = list(dict.fromkeys(table["domain"]))[-1]
    own = table[table["domain"] == last]
    counts = own["judgement"].value_counts()
    told = ", ".join(f"{n} {word.lower()}" for word, n in counts.items())
    return f"Risk of bias of {count(len(own), 'study', 'studies')} by domain. {last}: {told}."
