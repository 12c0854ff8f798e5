"""Flow of evidence: what was found, what was left out by which rule, what is used. In the manner of PRISMA."""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.theme import ACCENT, PLAIN, SOFT, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count

_STEP, _BOX = 74, 46


def chart(table: pd.DataFrame) -> alt.LayerChart:
    """A flow diagram from top to bottom; what leaves is on the right.

    Parameters
    ----------
    table : pandas.DataFrame
        stage (words), kind ("kept" or "out"), rows, studies (counts; NaN where they do not apply), in order. An `out`
        line leaves between the kept lines around it.

    Returns
    -------
    altair chart
    """
    data = table.reset_index(drop=True).copy()
    data["counts"] = [counts(r) for r in data.itertuples()]
    kept, out = data[data["kind"] == "kept"].copy(), data[data["kind"] == "out"].copy()
    # exclusions are short: two fit beside the space of one kept box
    top, places = 0.0, {}
    for i, kind in enumerate(data["kind"]):
        places[i] = top
        following = data["kind"].iloc[i + 1] if i + 1 < len(data) else ""
        top += _STEP if kind == "kept" else 44 if following == "out" else 56
    height = top
    for part, left, width in ((kept, 0, 300), (out, 350, 330)):
        part["y"] = [places[i] for i in part.index]
        part["y2"] = part["y"] + (_BOX if left == 0 else 36)
        part["x"], part["x2"], part["tx"] = left, left + width, left + 12
        part["ty"], part["ty2"] = part["y"] + (17 if left == 0 else 13), part["y"] + (34 if left == 0 else 27)
    sx, sy = alt.Scale(domain=[-4, 690], nice=False), alt.Scale(domain=[height + 6, -6], nice=False)

    def at(x: str, y: str) -> dict:
        return {"x": alt.X(f"{x}:Q", scale=sx, axis=None), "y": alt.Y(f"{y}:Q", scale=sy, axis=None)}

    layers = []
    if len(kept) > 1:
        stem = pd.DataFrame({"x": [150.0], "y": [kept["y2"].iloc[0]], "y2": [kept["y"].iloc[-1]]})
        layers.append(alt.Chart(rows(stem)).mark_rule(color=SOFT, strokeWidth=1.5).encode(**at("x", "y"), y2="y2:Q"))
        tips = kept.iloc[1:].assign(tip=lambda d: d["y"] - 4, mid=150)
        layers.append(
            alt.Chart(rows(tips)).mark_point(shape="triangle-down", filled=True, color=SOFT, size=60, opacity=1)
            .encode(**at("mid", "tip"))
        )  # fmt: skip
    if len(out):
        side = out.assign(a=150, b=342, mid=out["y"] + 18)
        layers.append(alt.Chart(rows(side)).mark_rule(color=SOFT, strokeWidth=1.2).encode(**at("a", "mid"), x2="b:Q"))
        layers.append(
            alt.Chart(rows(side)).mark_point(shape="triangle-right", filled=True, color=SOFT, size=44, opacity=1)
            .encode(**at("b", "mid"))
        )  # fmt: skip
    last = kept.index[-1:] if len(kept) else []
    for part, colour, size in ((kept, PLAIN, 13), (out, "#9aa5b4", 12)):
        if part.empty:
            continue
        box = alt.Chart(rows(part.assign(last=part.index.isin(last)))).mark_rect(
            fill="white", strokeWidth=1.4, cornerRadius=4
        )
        layers.append(
            box.encode(**at("x", "y"), x2="x2:Q", y2="y2:Q",
                       stroke=alt.condition("datum.last", alt.value(ACCENT), alt.value(colour)))
        )  # fmt: skip
        text = alt.Chart(rows(part)).mark_text(align="left", baseline="middle", limit=315, fontSize=size)
        layers.append(text.encode(**at("tx", "ty"), text="stage:N"))
        small = alt.Chart(rows(part)).mark_text(
            align="left", baseline="middle", limit=315, fontSize=size - 1, color=SOFT
        )
        layers.append(small.encode(**at("tx", "ty2"), text="counts:N"))
    return dressed(alt.layer(*layers).properties(width=694, height=height, view=alt.ViewConfig(stroke=None)))


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: every box in order."""
    told = [f"{'left out: ' if r.kind == 'out' else ''}{r.stage}, {counts(r)}" for r in table.itertuples()]
    return "Flow of evidence. " + "; ".join(told) + "."


def counts(line) -> str:
    """The counts of a box in words."""
    said = []
    if not pd.isna(line.rows) and line.rows:
        said.append(count(int(line.rows), "result row"))
    if not pd.isna(line.studies):
        said.append(count(int(line.studies), "study", "studies"))
    return ", ".join(said) or "none"
