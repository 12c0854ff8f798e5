"""PRISMA 2020 flow diagram: records found, screened and excluded, studies included; what is not known is said to be."""

from __future__ import annotations

import textwrap

import altair as alt
import pandas as pd

from enthesis.report.plots.theme import ACCENT, BAND, PLAIN, SOFT, dressed
from enthesis.report.plots.theme import data as rows

#: left edge and width of the three columns of boxes: the main flow, what leaves it, other methods
COLUMNS = ((44, 290), (376, 290), (708, 250))
#: the stages of the diagram, each with its rows of boxes
STAGES = (("Identification", 0, 0), ("Screening", 1, 3), ("Included", 4, 4))
_LINE, _PAD, _GAP, _BAND, _LETTERS = 16, 9, 26, 92, (44, 44, 38)


def chart(table: pd.DataFrame) -> alt.LayerChart:
    """The diagram, from top to bottom.

    Parameters
    ----------
    table : pandas.DataFrame
        box (id), row (0 to 4), column (0 main flow, 1 what leaves it, 2 other methods), title, text (lines separated
        by line ends), known (False: the number is not recorded, the box is dashed).

    Returns
    -------
    altair chart
    """
    boxes = _placed(table)
    bottom, width = boxes["y2"].max() + 20, max(sum(COLUMNS[c]) for c in boxes["column"])
    sx, sy = alt.Scale(domain=[0, width + 6], nice=False), alt.Scale(domain=[bottom, -6], nice=False)

    def at(x: str, y: str) -> dict:
        return {"x": alt.X(f"{x}:Q", scale=sx, axis=None), "y": alt.Y(f"{y}:Q", scale=sy, axis=None)}

    bands = _bands(boxes)
    lines, tips = _arrows(boxes)
    layers = [
        alt.Chart(rows(bands)).mark_rect(fill=BAND, stroke=None, cornerRadius=3)
        .encode(**at("x", "y"), x2="x2:Q", y2="y2:Q"),
        alt.Chart(rows(bands)).mark_text(angle=270, color=SOFT, fontSize=12).encode(**at("tx", "ty"), text="stage:N"),
        alt.Chart(rows(lines)).mark_rule(color=SOFT, strokeWidth=1.3).encode(**at("x", "y"), x2="x2:Q", y2="y2:Q"),
    ]  # fmt: skip
    for shape, its in tips.groupby("shape"):
        mark = alt.Chart(rows(its)).mark_point(shape=str(shape), filled=True, color=SOFT, size=52, opacity=1)
        layers.append(mark.encode(**at("x", "y")))
    for known, its in boxes.groupby("known"):
        dash = [1, 0] if known else [4, 3]
        box = alt.Chart(rows(its)).mark_rect(fill="white", strokeWidth=1.4, cornerRadius=4, strokeDash=dash)
        layers.append(box.encode(**at("x", "y"), x2="x2:Q", y2="y2:Q", stroke=alt.Stroke("colour:N", scale=None)))
    title = alt.Chart(rows(boxes)).mark_text(align="left", baseline="top", fontWeight="bold", fontSize=12, limit=280)
    layers.append(title.encode(**at("tx", "ty"), text="title:N"))
    said = boxes[boxes["told"] != ""]
    if len(said):
        text = alt.Chart(rows(said)).mark_text(
            align="left", baseline="top", fontSize=12, lineBreak="\n", lineHeight=_LINE, limit=290
        )
        layers.append(text.encode(**at("tx", "ty2"), text="told:N"))
    return dressed(alt.layer(*layers).properties(width=width + 6, height=bottom + 6, view=alt.ViewConfig(stroke=None)))


def _placed(table: pd.DataFrame) -> pd.DataFrame:
    """Boxes with their corners and the wrapped text."""
    boxes = table.reset_index(drop=True).copy()
    boxes["told"] = [
        "\n".join(line for part in text.split("\n") for line in textwrap.wrap(part, _LETTERS[column]) or [""])
        for text, column in zip(boxes["text"], boxes["column"])
    ]
    boxes["height"] = [2 * _PAD + _LINE * (1 + (told.count("\n") + 1 if told else 0)) for told in boxes["told"]]
    tops, y = {}, 0.0
    for row in range(5):
        tops[row] = y
        its = boxes.loc[boxes["row"] == row, "height"]
        least = _BAND if row in (0, 4) else 0  # a stage of one row is as high as its name is long
        y += (max(its.max(), least) + _GAP) if len(its) else 0
    boxes["y"] = [tops[row] for row in boxes["row"]]
    boxes["y2"] = boxes["y"] + boxes["height"]
    boxes["x"] = [COLUMNS[c][0] for c in boxes["column"]]
    boxes["x2"] = [sum(COLUMNS[c]) for c in boxes["column"]]
    boxes["tx"], boxes["ty"], boxes["ty2"] = boxes["x"] + 10, boxes["y"] + _PAD, boxes["y"] + _PAD + _LINE
    last = boxes["row"] == 4
    boxes["colour"] = [ACCENT if end else PLAIN if c != 1 else "#9aa5b4" for end, c in zip(last, boxes["column"])]
    return boxes


def _bands(boxes: pd.DataFrame) -> pd.DataFrame:
    found = []
    for stage, first, last in STAGES:
        its = boxes[boxes["row"].between(first, last)]
        if len(its):
            top, bottom = its["y"].min(), max(its["y2"].max(), its["y"].min() + _BAND)
            found.append({"stage": stage, "x": 6, "x2": 30, "y": top, "y2": bottom, "tx": 18, "ty": (top + bottom) / 2})
    return pd.DataFrame(found)


def _arrows(boxes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lines (x, y, x2, y2) and tips (x, y, shape) between boxes that follow one another."""
    lines, tips = [], []
    end = boxes[boxes["row"] == 4]
    for column in (0, 2):
        its = boxes[(boxes["column"] == column)].sort_values("row")
        middle = COLUMNS[column][0] + COLUMNS[column][1] / 2
        for a, b in zip(its.itertuples(), its.iloc[1:].itertuples()):
            lines.append((middle, a.y2, middle, b.y - 3))
            tips.append((middle, b.y - 4, "triangle-down"))
        if column == 2 and len(its) and len(end):
            into = end.iloc[0]
            y = (into["y"] + into["y2"]) / 2
            lines += [(middle, its["y2"].iloc[-1], middle, y), (middle, y, into["x2"] + 6, y)]
            tips.append((into["x2"] + 7, y, "triangle-left"))
    for a in boxes[boxes["column"] == 1].itertuples():
        beside = boxes[(boxes["column"] == 0) & (boxes["row"] == a.row)]
        if len(beside):
            y = min(a.y2, beside["y2"].iloc[0]) - 14
            lines.append((beside["x2"].iloc[0], y, a.x - 6, y))
            tips.append((a.x - 7, y, "triangle-right"))
    return pd.DataFrame(lines, columns=["x", "y", "x2", "y2"]), pd.DataFrame(tips, columns=["x", "y", "shape"])


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The diagram in words: every box in order, main flow first."""
    told = []
    for box in table.sort_values(["column", "row"], key=lambda c: c if c.name == "row" else c == 2).itertuples():
        lines = "; ".join(line for line in box.text.split("\n") if line)
        told.append(f"{box.title}: {lines}" if lines else box.title)
    return "PRISMA 2020 flow diagram. " + ". ".join(told) + "."
