"""A comparison monitored study by study: the statistic against its boundaries, and a sceptic's probability below."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, INK, PLAIN, SOFT, dressed
from enthesis.report.plots.theme import data as rows

#: |Z| above this is drawn at the edge
_EDGE = 12.0
#: studies are named while there are not more
_NAMED = 14


def chart(
    table: pd.DataFrame,
    *,
    usual: float = 1.96,
    names: tuple[str, str] = ("treatment", "comparator"),
    curve: pd.DataFrame | None = None,
) -> alt.VConcatChart:
    """Monitoring boundaries and posterior probabilities.

    Parameters
    ----------
    table : pandas.DataFrame
        study, fraction, z, limit, crossed, sceptical, flat, enthusiastic; one row per look.
    usual : float
        The limit of |Z| without adjustment.
    names : (str, str)
        Treatment and comparator.
    curve : pandas.DataFrame, optional
        fraction, limit: the boundary between and beyond the looks.

    Returns
    -------
    altair chart
        Z with its boundaries above, on the share of the required information; probabilities below.
    """
    most = max(1.05, float(table["fraction"].max()) * 1.04)
    edge = float(min(_EDGE, max(4.0, np.abs(table["z"]).max() + 1)))
    look = table.assign(z=table["z"].clip(-edge, edge), ink=np.where(table["crossed"], ACCENT, PLAIN))
    line = table[["fraction", "limit"]] if curve is None else curve
    line = line[line["limit"] <= edge]
    both = pd.concat([line.assign(side="upper"), line.assign(side="lower", limit=-line["limit"])], ignore_index=True)
    x = alt.X("fraction:Q", scale=alt.Scale(domain=[0, most], nice=False),
              axis=alt.Axis(title="share of the required information", format="%"))  # fmt: skip
    y = alt.Y("z:Q", scale=alt.Scale(domain=[-edge, edge], nice=False),
              axis=alt.Axis(title=f"Z, {names[0]} against {names[1]}"))  # fmt: skip
    rules = pd.DataFrame({"z": [-usual, 0.0, usual]})
    needed = pd.DataFrame({"fraction": [1.0]})
    path = alt.Chart(rows(pd.concat([pd.DataFrame({"fraction": [0.0], "z": [0.0]}), look[["fraction", "z"]]])))
    above = [
        alt.Chart(rows(rules)).mark_rule(color=SOFT, strokeDash=[2, 3]).encode(y=y),
        alt.Chart(rows(needed)).mark_rule(color=INK, strokeDash=[6, 3]).encode(x=x),
        path.mark_line(color=PLAIN, strokeWidth=2).encode(x=x, y=y, order="fraction:Q"),
        alt.Chart(rows(look))
        .mark_point(filled=True, size=60, opacity=1)
        .encode(x=x, y=y, color=alt.Color("ink:N", scale=None)),
    ]
    if len(both):
        above.insert(2, alt.Chart(rows(both)).mark_line(color=ACCENT, strokeWidth=2).encode(
            x=x, y=alt.Y("limit:Q", scale=alt.Scale(domain=[-edge, edge], nice=False)), detail="side:N",
            order="fraction:Q"))  # fmt: skip
    if len(look) <= _NAMED:
        above.append(
            alt.Chart(rows(look)).mark_text(align="left", dx=6, dy=9, fontSize=10, color=SOFT, limit=140)
            .encode(x=x, y=y, text="study:N")
        )  # fmt: skip
    beliefs = table.melt(
        id_vars="fraction", value_vars=["sceptical", "flat", "enthusiastic"], var_name="prior", value_name="probability"
    )
    style = alt.Scale(domain=["sceptical", "flat", "enthusiastic"], range=[ACCENT, PLAIN, SOFT])
    base = alt.Chart(rows(beliefs)).encode(
        x=x, y=alt.Y("probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(title="P(effect)")),
        color=alt.Color("prior:N", scale=style, legend=alt.Legend(title="prior", orient="right")),
        order="fraction:Q",
    )  # fmt: skip
    below = alt.layer(
        base.mark_line(strokeWidth=2).encode(strokeDash=alt.StrokeDash("prior:N", legend=None)),
        base.mark_point(filled=True, size=36, opacity=1).encode(shape=alt.Shape("prior:N", legend=None)),
    )
    upper = alt.layer(*above).properties(width=560, height=300)
    return dressed(alt.vconcat(upper, below.properties(width=560, height=130), spacing=14))


def alt_text(
    table: pd.DataFrame, *, usual: float = 1.96, names: tuple[str, str] = ("treatment", "comparator"), **_: object
) -> str:
    """The figure in words."""
    last = table.iloc[-1]
    over = table[table["crossed"]]
    told = (
        f"the boundary was crossed with {over.iloc[0]['study']}, at {100 * over.iloc[0]['fraction']:.0f} % of it"
        if len(over)
        else "no look reached its boundary"
    )
    return (
        f"Sequential monitoring of {names[0]} against {names[1]} over {len(table)} studies: Z is {last['z']:.2f} with "
        f"{100 * last['fraction']:.0f} % of the required information; {told}. Posterior probability of an effect: "
        f"sceptical prior {last['sceptical']:.3f}, flat {last['flat']:.3f}, enthusiastic {last['enthusiastic']:.3f}."
    )
