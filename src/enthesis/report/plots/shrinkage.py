"""Shrinkage of class effects: each treatment's estimate alone, and drawn towards its class."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.forest import limits
from enthesis.report.plots.theme import FAINT, INK, REFERENCE, SOFT, dressed, hues, label_width
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, interval


def chart(table: pd.DataFrame, *, measure: str = "effect", log: bool = False) -> alt.HConcatChart:
    """A forest plot with two lines per treatment.

    Parameters
    ----------
    table : pandas.DataFrame
        treatment, group, estimate, lower, upper, unrelated, unrelated_lower, unrelated_upper, class_mean (may be
        missing); on the scale people read.
    measure : str
    log : bool

    Returns
    -------
    altair chart
        Circles: unrelated effects; squares: with class effects, in the colour of the class; ticks: class means.
    """
    data = table.sort_values("group", kind="stable").reset_index(drop=True)
    data["place"] = np.arange(len(data), dtype=float)
    both = pd.concat([
        data[["estimate", "lower", "upper"]],
        data[["unrelated", "unrelated_lower", "unrelated_upper"]].set_axis(["estimate", "lower", "upper"], axis=1),
    ])  # fmt: skip
    low, high = limits(both, log)
    colours = hues(data["group"].tolist())
    data["ink"] = data["group"].map(colours)
    for name in ("lower", "upper", "unrelated_lower", "unrelated_upper", "class_mean"):
        data[name] = data[name].clip(low, high)
    step = 26 if len(data) <= 60 else 14
    height = max(step * len(data), 60)
    scale = alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False)
    axis = alt.Axis(title=measure, tickCount=6, format="~r" if log else "~g")
    down = alt.Scale(domain=[len(data) - 0.5, -0.5], nice=False)

    def at(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, axis=axis)

    base = alt.Chart(rows(data)).transform_calculate(above="datum.place - 0.17", below="datum.place + 0.17")
    y, above, below = (alt.Y(f"{f}:Q", scale=down, axis=None) for f in ("place", "above", "below"))
    ink = alt.Color("ink:N", scale=None)
    null = pd.DataFrame({"x": [1.0 if log else 0.0]})
    middle = alt.layer(
        alt.Chart(rows(null)).mark_rule(color=INK).encode(x=at("x")),
        base.mark_rule(color=REFERENCE, strokeWidth=1.4).encode(y=above, x=at("unrelated_lower"), x2="unrelated_upper"),
        base.mark_point(color=REFERENCE, shape="circle", size=34, filled=False).encode(y=above, x=at("unrelated")),
        base.mark_rule(strokeWidth=2.2).encode(y=below, x=at("lower"), x2="upper", color=ink),
        base.mark_point(filled=True, shape="square", size=44, opacity=1).encode(y=below, x=at("estimate"), color=ink),
        base.transform_filter("isValid(datum.class_mean)").mark_tick(orient="vertical", size=step * 0.8, thickness=1.5)
        .encode(y=y, x=at("class_mean"), color=ink),
    ).properties(width=380, height=height, view=alt.ViewConfig(stroke=FAINT))  # fmt: skip

    def words(field: str, width: float, title: str) -> alt.Chart:
        return (
            alt.Chart(rows(data)).mark_text(align="left", baseline="middle", limit=width, fontSize=min(12, step - 2))
            .encode(y=y, x=alt.value(0), text=f"{field}:N")
            .properties(width=width, height=height, title=alt.TitleParams(title, fontSize=12, color=SOFT,
                                                                           anchor="start"))
        )  # fmt: skip

    names = words("treatment", label_width(data["treatment"]), "treatment")
    return dressed(alt.hconcat(names, middle, words("group", label_width(data["group"]), "class"), spacing=8))


def alt_text(table: pd.DataFrame, *, measure: str = "effect", log: bool = False, **_: object) -> str:
    """The figure in words: which treatment is drawn farthest, from where to where."""
    value = np.log(table[["estimate", "unrelated"]]) if log else table[["estimate", "unrelated"]]
    moved = (value["estimate"] - value["unrelated"]).abs()
    far = table.loc[moved.idxmax()]
    return (
        f"{measure[:1].upper()}{measure[1:]} of {count(len(table), 'treatment')} in "
        f"{count(table['group'].nunique(), 'class', 'classes')}, alone and drawn towards the class. Drawn farthest: "
        f"{far['treatment']}, from {interval(far['unrelated'], far['unrelated_lower'], far['unrelated_upper'])} to "
        f"{interval(far['estimate'], far['lower'], far['upper'])}."
    )
