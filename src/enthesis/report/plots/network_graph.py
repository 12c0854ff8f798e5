"""Network graph: treatments as circles sized by patients, comparisons as lines as thick as they have studies."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import INK, dressed, hues
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count


def chart(table: pd.DataFrame, *, focus: str = "", reference: str = "") -> alt.LayerChart:
    """A network graph.

    Parameters
    ----------
    table : pandas.DataFrame
        kind ("treatment" or "comparison"), treatment, comparator (comparisons), group (class of a treatment),
        n_studies, n_patients. Treatments are placed in the order of their rows.
    focus : str
        The group in the accent colour.
    reference : str
        The treatment drawn in grey.

    Returns
    -------
    altair chart
    """
    nodes, lines = _split(table)
    nodes = _placed(nodes, lines)
    at = nodes.set_index("treatment")[["x", "y"]]
    lines = lines.assign(
        x=at.loc[lines["treatment"], "x"].to_numpy(), y=at.loc[lines["treatment"], "y"].to_numpy(),
        x2=at.loc[lines["comparator"], "x"].to_numpy(), y2=at.loc[lines["comparator"], "y"].to_numpy(),
    )  # fmt: skip
    crowded = len(nodes) > 28
    grey = nodes.loc[nodes["treatment"] == reference, "group"]
    colours = hues(list(nodes["group"]), focus, grey.iloc[0] if len(grey) else "")
    height, room = (740, 1.9) if crowded else (480, 1.2)
    scale = alt.Scale(domain=[-room * 680 / height, room * 680 / height], nice=False)
    discs_to = 350 if crowded else 900
    x, y = alt.X("x:Q", scale=scale, axis=None), alt.Y("y:Q", scale=alt.Scale(domain=[-room, room], nice=False),
                                                      axis=None)  # fmt: skip
    strokes = (
        alt.Chart(rows(lines)).mark_rule(color="#9aa5b4", opacity=0.75, strokeCap="round")
        .encode(x=x, y=y, x2="x2:Q", y2="y2:Q",
                strokeWidth=alt.StrokeWidth("n_studies:Q", legend=None,
                                            scale=alt.Scale(domain=[0, lines["n_studies"].max() if len(lines) else 1],
                                                            range=[0.8, 9])))
    )  # fmt: skip
    many = (
        alt.Chart(rows(lines[lines["n_studies"] > 1].assign(
            mx=lambda d: d.x + 0.5 * (d.x2 - d.x), my=lambda d: d.y + 0.5 * (d.y2 - d.y))))
        .mark_text(fontSize=11, color=INK, stroke="white", strokeWidth=3, strokeOpacity=0.9)
        .encode(x=alt.X("mx:Q", scale=scale, axis=None), y=alt.Y("my:Q", axis=None), text="n_studies:Q")
    )  # fmt: skip
    over = many.mark_text(fontSize=11, color=INK)
    discs = (
        alt.Chart(rows(nodes)).mark_circle(opacity=1, stroke="white", strokeWidth=1.5)
        .encode(x=x, y=y,
                size=alt.Size("size:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[60, discs_to])),
                color=alt.Color("group:N", title=None,
                                scale=alt.Scale(domain=list(colours), range=list(colours.values())),
                                legend=None if len(colours) < 2 else alt.Legend(orient="bottom", columns=5)))
    )  # fmt: skip
    return dressed(
        alt.layer(strokes, many, over, discs, *_labels(nodes, crowded, scale)).properties(width=680, height=height)
    )


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words."""
    nodes, lines = _split(table)
    degree = pd.concat([lines["treatment"], lines["comparator"]]).value_counts()
    hub = f" {degree.index[0]} is compared directly with {degree.iloc[0]} of them." if len(degree) else ""
    most = lines.sort_values("n_studies", ascending=False).head(3)
    told = "; ".join(
        f"{r.treatment} and {r.comparator}, {count(int(r.n_studies), 'study', 'studies')}" for r in most.itertuples()
    )
    return (
        f"Network of {len(nodes)} treatments joined by {count(len(lines), 'direct comparison')}.{hub} "
        f"Most studied: {told}."
    )


def _split(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return (
        table[table["kind"] == "treatment"].reset_index(drop=True),
        table[table["kind"] == "comparison"].reset_index(drop=True),
    )


def _placed(nodes: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Treatments on a circle; one that is joined to most of the others stands in the middle."""
    nodes = nodes.copy()
    degree = pd.concat([lines["treatment"], lines["comparator"]]).value_counts()
    hub = degree.index[0] if len(nodes) > 4 and len(degree) and degree.iloc[0] >= 0.6 * (len(nodes) - 1) else None
    around = [i for i, name in enumerate(nodes["treatment"]) if name != hub]
    angle = np.pi / 2 - 2 * np.pi * (np.arange(len(around)) + (0.5 if len(around) < 4 else 0)) / max(len(around), 1)
    nodes["x"], nodes["y"], nodes["angle"] = 0.0, 0.0, np.nan
    nodes.loc[around, "x"] = np.cos(angle)
    nodes.loc[around, "y"] = np.sin(angle)
    nodes.loc[around, "angle"] = angle
    size = nodes["n_patients"].fillna(nodes["n_patients"].mean()).fillna(1.0)
    nodes["size"] = size / max(size.max(), 1e-9)
    return nodes


def _labels(nodes: pd.DataFrame, crowded: bool, scale: alt.Scale) -> list[alt.Chart]:
    charts = []
    out = nodes.assign(radius=1.07 + 0.05 * np.sqrt(nodes["size"]))
    out["lx"] = np.where(out["angle"].isna(), 0.0, out["x"] * out["radius"])
    out["ly"] = np.where(out["angle"].isna(), -0.17, out["y"] * out["radius"])
    steep = out["x"].abs() < 0.22
    sides = {
        "left": ~out["angle"].isna() & (out["x"] > 0) & ~(steep & (not crowded)),
        "right": ~out["angle"].isna() & (out["x"] <= 0) & ~(steep & (not crowded)),
        "center": out["angle"].isna() | (steep & (not crowded)),
    }
    for align, mask in sides.items():
        part = out[mask]
        if part.empty:
            continue
        turn = alt.value(0)
        if crowded and align != "center":
            # text runs outwards along the radius, and never upside down
            degrees = -np.degrees(np.arctan2(part["y"], part["x"]))
            part = part.assign(turn=np.where(part["x"] > 0, degrees, degrees + 180))
            turn = alt.Angle("turn:Q", scale=alt.Scale(domain=[0, 360], range=[0, 360]))
        look = {"align": align, "baseline": "middle", "fontSize": 10 if crowded else 13, "limit": 190}
        halo = alt.Chart(rows(part)).mark_text(**look, stroke="white", strokeWidth=4, strokeOpacity=0.9)
        halo = halo.encode(x=alt.X("lx:Q", scale=scale, axis=None), y=alt.Y("ly:Q", axis=None), text="treatment:N",
                           angle=turn)  # fmt: skip
        charts += [halo, halo.mark_text(**look, color=INK)]
    return charts
