"""Summary of risk of bias: by domain, the share of the studies (or of their contributions) with each judgement."""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.theme import data as rows
from enthesis.report.plots.theme import dressed
from enthesis.report.plots.traffic_light import SIGNS
from enthesis.report.wording import percent


def chart(table: pd.DataFrame, *, of: str = "studies") -> alt.Chart:
    """Stacked bars, one per domain.

    Parameters
    ----------
    table : pandas.DataFrame
        domain, judgement, level (0 to 3), share (sums to 1 in each domain), in the order of drawing.
    of : str
        What is shared: "studies" or "contributions to ...".

    Returns
    -------
    altair chart
    """
    domains = list(dict.fromkeys(table["domain"]))
    words = list(dict.fromkeys(table.sort_values(["level"], key=lambda v: v.replace(0, 9))["judgement"]))
    level = dict(zip(table["judgement"], table["level"]))
    # levels of one colour (serious, critical) are told apart by a darker shade
    colours, seen = [], set()
    for word in words:
        colour = SIGNS[int(level[word])][0]
        colours.append("#7a1510" if colour in seen and level[word] == 3 else "#b9c400" if colour in seen else colour)
        seen.add(colour)
    data = table.assign(order=[words.index(w) for w in table["judgement"]])
    made = alt.Chart(rows(data)).mark_bar(stroke="white").encode(
        y=alt.Y("domain:N", sort=domains, title=None, axis=alt.Axis(ticks=False, domain=False)),
        x=alt.X("share:Q", title=f"share of {of}", axis=alt.Axis(format="%", tickCount=5),
                scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("judgement:N", title=None, sort=words, scale=alt.Scale(domain=words, range=colours),
                        legend=alt.Legend(orient="bottom", columns=3)),
        order="order:O",
    )  # fmt: skip
    return dressed(made.properties(width=430, height=26 * len(domains)))


def alt_text(table: pd.DataFrame, *, of: str = "studies", **_: object) -> str:
    """The figure in words: the shares in the last domain, the overall judgement."""
    if table.empty:
        return "Summary of risk of bias without studies."
    last = list(dict.fromkeys(table["domain"]))[-1]
    told = ", ".join(f"{percent(r.share)} {r.judgement.lower()}" for r in table[table["domain"] == last].itertuples())
    return f"Risk of bias by domain, as shares of {of}. {last}: {told}."
