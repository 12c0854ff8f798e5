"""Hasse diagram: treatments ordered by several outcomes at once; a line means at least as good on all of them."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, INK, PLAIN, SOFT, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count

_LEVEL = 74


def chart(table: pd.DataFrame, *, edges: pd.DataFrame, better: str = "better") -> alt.LayerChart:
    """A Hasse diagram.

    Parameters
    ----------
    table : pandas.DataFrame
        treatment, level (0 at the top); optionally strong (bool).
    edges : pandas.DataFrame
        above, below: pairs without a treatment in between.
    better : str
        What the upward direction means.

    Returns
    -------
    altair chart
    """
    data = _placed(table, edges)
    at = data.set_index("treatment")
    strong = data["strong"].astype(bool) if "strong" in data else False
    data = data.assign(ink=np.where(strong, ACCENT, PLAIN))
    lines = pd.DataFrame(
        [
            {"x": at.loc[a, "x"], "y": at.loc[a, "level"], "x2": at.loc[b, "x"], "y2": at.loc[b, "level"]}
            for a, b in zip(edges["above"], edges["below"], strict=True)
        ],
        columns=["x", "y", "x2", "y2"],
    )
    levels = int(data["level"].max()) + 1
    widest = int(data.groupby("level").size().max())
    room = label_width(data["treatment"], 6.6, 150)
    sx = alt.Scale(domain=[-0.6, widest - 0.4], nice=False)
    sy = alt.Scale(domain=[levels - 0.5, -0.5], nice=False)
    x, y = alt.X("x:Q", scale=sx, axis=None), alt.Y("level:Q", scale=sy, axis=None)
    layers: list[alt.Chart] = []
    if len(lines):
        layers.append(
            alt.Chart(rows(lines)).mark_rule(color=SOFT, opacity=0.7).encode(
                x=alt.X("x:Q", scale=sx, axis=None), y=alt.Y("y:Q", scale=sy, axis=None), x2="x2:Q", y2="y2:Q")
        )  # fmt: skip
    base = alt.Chart(rows(data[["treatment", "x", "level", "ink"]]))
    layers += [
        base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, color=alt.Color("ink:N", scale=None)),
        base.mark_text(dy=-13, limit=room, fontSize=12 if widest <= 12 else 9, color=INK, stroke="white",
                       strokeWidth=3).encode(x=x, y=y, text="treatment:N"),
        base.mark_text(dy=-13, limit=room, fontSize=12 if widest <= 12 else 9, color=INK).encode(
            x=x, y=y, text="treatment:N"),
    ]  # fmt: skip
    width = max(240, min(1400, widest * (room + 14)))
    title = alt.TitleParams(f"{better} is higher up; no line up or down: not comparable", fontSize=12, color=SOFT,
                            fontWeight="normal", anchor="start")  # fmt: skip
    return dressed(alt.layer(*layers).properties(width=width, height=_LEVEL * levels, title=title))


def _placed(table: pd.DataFrame, edges: pd.DataFrame) -> pd.DataFrame:
    """The x of each treatment: within its level in the order of the mean place of those above, centred."""
    data = table.reset_index(drop=True).copy()
    widest = int(data.groupby("level").size().max())
    above = edges.groupby("below")["above"].agg(list).to_dict()
    x: dict[str, float] = {}
    for _, its in data.groupby("level", sort=True):
        names = its["treatment"].tolist()
        mean = {n: float(np.mean([x[a] for a in above.get(n, []) if a in x] or [widest / 2])) for n in names}
        names.sort(key=lambda n: (mean[n], n))
        start = (widest - len(names)) / 2
        x |= {name: start + i for i, name in enumerate(names)}
    return data.assign(x=data["treatment"].map(x))


def alt_text(table: pd.DataFrame, *, edges: pd.DataFrame, **_: object) -> str:
    """The figure in words: which treatments nothing is above, which nothing is below."""
    top = table.loc[table["level"] == 0, "treatment"].astype(str).tolist()
    higher = set(edges["above"])
    bottom = [str(t) for t in table["treatment"] if t not in higher and t not in top]
    text = f"Hasse diagram of {count(len(table), 'treatment')} and {count(len(edges), 'line')}. "
    text += f"Nothing is above {', '.join(top[:8])}."
    if bottom:
        text += f" Nothing is below {', '.join(bottom[:8])}."
    return text
