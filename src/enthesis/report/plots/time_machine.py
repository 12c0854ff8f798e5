"""How sure at which date: each conclusion's probability at the ends of years, against the probability it needs."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, BAND, INK, PLAIN, SOFT, dressed
from enthesis.report.plots.theme import data as rows

_HEIGHT, _WIDE, _WORDS = 68, 100, 330
#: of a band, in rows: where probability 0 is, and how far 1 is above it
_BOTTOM, _TALL = 0.76, 0.6
_INK = {"holds": PLAIN, "refuted": ACCENT, "open": SOFT, "unknown": SOFT}
_WORD = {"holds": "holds", "refuted": "refuted", "open": "open", "unknown": "no data"}


def chart(table: pd.DataFrame) -> alt.LayerChart:
    """One line per conclusion, dates from left to right.

    Parameters
    ----------
    table : pandas.DataFrame
        date, id, statement, population, threshold, probability, state, studies; in the order in which rows and dates
        are drawn.

    Returns
    -------
    altair chart
        A band for each conclusion from 0 to 1; the dashed line is what it needs, a filled point says that it holds, a
        cross that it is refuted, a ring that it is open. Below each point: the probability and the number of studies.
    """
    ids, dates = list(dict.fromkeys(table["id"])), list(dict.fromkeys(table["date"]))
    place = {id: i for i, id in enumerate(ids)}
    data = table.assign(
        column=[float(dates.index(d)) for d in table["date"]],
        row=[place[i] + _BOTTOM - _TALL * _number(p) for i, p in zip(table["id"], table["probability"], strict=True)],
        ink=[_INK[s] for s in table["state"]],
        label=[
            "no data" if s == "unknown" else f"{p:.2f} · {n}"
            for s, p, n in zip(table["state"], table["probability"], table["studies"], strict=True)
        ],
    )
    data["over"] = [place[i] + _BOTTOM + 0.1 for i in data["id"]]
    first = table.drop_duplicates("id")
    bands = pd.DataFrame(
        {
            "top": [place[i] + _BOTTOM - _TALL for i in first["id"]],
            "bottom": [place[i] + _BOTTOM for i in first["id"]],
            "needed": [place[i] + _BOTTOM - _TALL * t for i, t in zip(first["id"], first["threshold"], strict=True)],
        }
    )
    texts = pd.DataFrame(
        [
            {"y": place[r.id] + 0.25 + 0.21 * at, "text": line, "strong": at < len(lines) - 1}
            for r in first.itertuples()
            for lines in [_lines(f"{r.id}  {r.statement}", f"{r.population}; needs {r.threshold:.2f}")]
            for at, line in enumerate(lines)
        ]
    )
    height, width = _HEIGHT * len(ids), _WIDE * len(dates)
    y = {"scale": alt.Scale(domain=[len(ids), -0.2], nice=False), "axis": None}
    x = {"scale": alt.Scale(domain=[-0.5, len(dates) - 0.5], nice=False), "axis": None}
    drawn = data[data["state"] != "unknown"]
    heads = pd.DataFrame({"column": np.arange(len(dates), dtype=float), "text": [_when(d) for d in dates]})
    layers = [
        alt.Chart(rows(bands)).mark_rect(color=BAND).encode(y=alt.Y("top:Q", **y), y2="bottom:Q"),
        alt.Chart(rows(bands)).mark_rule(color=INK, strokeDash=[4, 3]).encode(y=alt.Y("needed:Q", **y)),
        alt.Chart(rows(drawn))
        .mark_line(color=SOFT, strokeWidth=1.5)
        .encode(x=alt.X("column:Q", **x), y=alt.Y("row:Q", **y), detail="id:N", order="column:Q"),
    ]
    shapes = {"holds": ("circle", True), "open": ("circle", False), "refuted": ("cross", True)}
    for state, (shape, filled) in shapes.items():
        some = drawn[drawn["state"] == state]
        if len(some):
            layers.append(
                alt.Chart(rows(some)).mark_point(shape=shape, size=80, opacity=1, strokeWidth=2,
                                                 **({"filled": True} if filled else {"fill": "white"}))
                .encode(x=alt.X("column:Q", **x), y=alt.Y("row:Q", **y), color=alt.Color("ink:N", scale=None))
            )  # fmt: skip
    layers += [
        alt.Chart(rows(data))
        .mark_text(align="center", baseline="middle", fontSize=11)
        .encode(x=alt.X("column:Q", **x), y=alt.Y("over:Q", **y), text="label:N", color=alt.Color("ink:N", scale=None)),
        alt.Chart(rows(heads))
        .mark_text(align="center", baseline="top", fontSize=12, fontWeight="bold")
        .encode(x=alt.X("column:Q", **x), y=alt.value(0), text="text:N"),
    ]
    body = alt.layer(*layers).properties(width=width, height=height)
    named = (
        alt.Chart(rows(texts)).mark_text(align="left", baseline="middle", fontSize=11, limit=_WORDS)
        .encode(x=alt.value(0), y=alt.Y("y:Q", **y), text="text:N",
                color=alt.condition("datum.strong", alt.value(INK), alt.value(SOFT)))
        .properties(width=_WORDS, height=height)
    )  # fmt: skip
    return dressed(alt.hconcat(named, body, spacing=6))


def alt_text(table: pd.DataFrame) -> str:
    """The figure in words."""
    told = []
    for id, some in table.groupby("id", sort=False):
        path = ", ".join(
            f"{_when(r.date)} {_WORD[r.state]}"
            + ("" if r.state == "unknown" else f" ({r.probability:.2f}, {r.studies} studies)")
            for r in some.itertuples()
        )
        told.append(f"{id} ({some.iloc[0]['statement']}; needs {some.iloc[0]['threshold']:.2f}): {path}.")
    return "Probability of each conclusion by date; after the point the number of studies. " + " ".join(told)


def _when(date: str) -> str:
    return f"end of {date[:4]}" if date.endswith("-12-31") else date


def _number(p: float | None) -> float:
    return 0.0 if p is None or p != p else float(p)


def _lines(statement: str, below: str, most: int = 56) -> list[str]:
    """The statement in at most two lines, and what stands below."""
    words, lines = statement.split(" "), [""]
    for word in words:
        if len(lines[-1]) + len(word) > most and len(lines) < 2:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [*lines, below]
