"""Node-split forest plot: direct, indirect and network estimate of each comparison, and the p of their difference."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.special import ndtri

from enthesis.report.plots.forest import limits
from enthesis.report.plots.theme import ACCENT, FAINT, INK, PLAIN, SOFT, dressed, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import interval, number

#: kind, how it is drawn: colour, shape
_KINDS = {"direct": (PLAIN, "square"), "indirect": ("#8a5a00", "circle"), "network": (INK, "diamond")}


def lines(splits: pd.DataFrame, *, log: bool = False) -> pd.DataFrame:
    """The lines of the plot: label, kind ("direct", "indirect", "network"), estimate, lower, upper, p, proportion.

    Parameters
    ----------
    splits : pandas.DataFrame
        treatment, comparator, direct, direct_se, indirect, indirect_se, network, network_se, p, proportion (model's
        scale).
    log : bool
        Whether estimates are back-transformed.

    Returns
    -------
    pandas.DataFrame
        Lines without an estimate are left out, comparisons without both direct and indirect evidence too.
    """
    z = float(ndtri(0.975))
    found = []
    for row in splits.itertuples():
        if not (np.isfinite(row.direct) and np.isfinite(row.indirect)):
            continue
        for kind in _KINDS:
            estimate, se = float(getattr(row, kind)), float(getattr(row, f"{kind}_se"))
            ends = np.array([estimate, estimate - z * se, estimate + z * se])
            ends = np.exp(ends) if log else ends
            found.append(
                {"label": f"{row.treatment} versus {row.comparator}", "kind": kind, "estimate": ends[0],
                 "lower": ends[1], "upper": ends[2], "p": float(row.p), "proportion": float(row.proportion)}
            )  # fmt: skip
    columns = ["label", "kind", "estimate", "lower", "upper", "p", "proportion"]
    return pd.DataFrame(found, columns=columns)


def chart(table: pd.DataFrame, *, measure: str = "effect", log: bool = False) -> alt.HConcatChart:
    """A node-split forest plot.

    Parameters
    ----------
    table : pandas.DataFrame
        As `lines` makes it; comparisons in order of first appearance.
    measure : str
    log : bool

    Returns
    -------
    altair chart
        p-values below 0.1 are set in the accent colour and bold.
    """
    order = list(dict.fromkeys(table["label"]))
    if not order:
        return _empty()
    place = {label: float(i) for i, label in enumerate(order)}
    step = 54 if len(order) <= 40 else 36
    height = step * len(order)
    low, high = limits(table, log)
    offsets = {"direct": -0.24, "indirect": 0.0, "network": 0.24}
    data = table.assign(
        place=table["label"].map(place) + table["kind"].map(offsets),
        from_=table["lower"].clip(low, high),
        to=table["upper"].clip(low, high),
        inside=table["estimate"].between(low, high),
        said=[interval(*v) for v in zip(table["estimate"], table["lower"], table["upper"], strict=True)],
    )
    y = alt.Y("place:Q", scale=alt.Scale(domain=[len(order) - 0.5, -0.5], nice=False), axis=None)
    scale = alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False)
    axis = alt.Axis(title=measure, tickCount=6, format="~r" if log else "~g")
    kinds = list(_KINDS)
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[_KINDS[k][0] for k in kinds]),
                       legend=alt.Legend(title=None, orient="top"))  # fmt: skip
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=[_KINDS[k][1] for k in kinds]),
                      legend=alt.Legend(title=None, orient="top"))  # fmt: skip
    base = alt.Chart(rows(data))
    null = pd.DataFrame({"x": [1.0 if log else 0.0]})
    bars = pd.DataFrame({"place": [i + 0.5 for i in range(len(order) - 1)]})
    middle = alt.layer(
        alt.Chart(rows(bars)).mark_rule(color=FAINT).encode(y=y),
        alt.Chart(rows(null)).mark_rule(color=INK).encode(x=alt.X("x:Q", scale=scale, axis=axis)),
        base.mark_rule(strokeWidth=2).encode(y=y, x=alt.X("from_:Q", scale=scale, axis=axis), x2="to:Q", color=colour),
        base.transform_filter("datum.inside").mark_point(filled=True, size=56, opacity=1).encode(
            y=y, x=alt.X("estimate:Q", scale=scale, axis=axis), color=colour, shape=shape),
    ).properties(width=330, height=height)  # fmt: skip
    heads = table.drop_duplicates("label")
    heads = heads.assign(place=heads["label"].map(place), ink=np.where(heads["p"] < 0.1, ACCENT, SOFT),
                         weight=np.where(heads["p"] < 0.1, "bold", "normal"),
                         test=["p " + ("<0.001" if p < 0.001 else number(p, 3)) for p in heads["p"]])  # fmt: skip

    def words(source: pd.DataFrame, column: str, width: float, size: int) -> alt.Chart:
        ink = alt.Color("ink:N", scale=None) if "ink" in source and column == "test" else alt.value(INK)
        mark = alt.Chart(rows(source)).mark_text(align="left", baseline="middle", limit=width, fontSize=size)
        return mark.encode(y=y, x=alt.value(0), text=f"{column}:N", color=ink).properties(width=width, height=height)

    named = words(heads, "label", label_width(order, most=330), 12)
    parts = [named, middle, words(data, "said", 140, 11), words(heads, "test", 60, 12)]
    return dressed(alt.hconcat(*parts, spacing=8))


def _empty() -> alt.HConcatChart:
    note = pd.DataFrame({"text": ["No comparison has both direct and indirect evidence."]})
    mark = alt.Chart(rows(note)).mark_text(align="left", fontSize=13).encode(text="text:N", x=alt.value(0))
    return dressed(alt.hconcat(mark.properties(width=400, height=40)))


def alt_text(table: pd.DataFrame, *, measure: str = "effect", **_: object) -> str:
    """The figure in words: how many comparisons disagree, and the one that does most."""
    if table.empty:
        return "Node-split forest plot: no comparison has both direct and indirect evidence."
    heads = table.drop_duplicates("label")
    worst = heads.loc[heads["p"].fillna(2).idxmin()]
    its = table[table["label"] == worst["label"]].set_index("kind")
    told = {kind: interval(*its.loc[kind, ["estimate", "lower", "upper"]]) for kind in ("direct", "indirect")}
    return (
        f"Direct and indirect {measure} of {len(heads)} comparisons; p below 0.1 in {int((heads['p'] < 0.1).sum())}. "
        f"Largest disagreement: {worst['label']}, direct {told['direct']}, indirect {told['indirect']}, "
        f"p {number(float(worst['p']), 3)}. All numbers are in the table."
    )
