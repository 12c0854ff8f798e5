"""Prior against posterior: what was believed before the data and after, one small plot per parameter."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots.theme import ACCENT, SOFT, dressed
from enthesis.report.plots.theme import data as rows
from enthesis.report.wording import count, number

COLUMNS = 4


def chart(table: pd.DataFrame, *, scale: str = "model's scale") -> alt.FacetChart:
    """Densities, prior dashed and posterior filled.

    Parameters
    ----------
    table : pandas.DataFrame
        parameter, value, density, which (prior or posterior), as `assess.model_tables.prior_and_posterior` makes it.
    scale : str
        Title of the level axes.

    Returns
    -------
    altair chart
    """
    names = list(dict.fromkeys(table["parameter"]))
    columns = min(COLUMNS, len(names))
    small = len(names) > 1
    size = {"width": 150, "height": 90} if small else {"width": 420, "height": 260}
    base = alt.Chart().encode(
        x=alt.X("value:Q", title=scale, axis=alt.Axis(tickCount=4, grid=False)),
        y=alt.Y("density:Q", title="density", axis=alt.Axis(labels=False, ticks=False, grid=False)),
    )
    after = base.transform_filter("datum.which === 'posterior'").mark_area(
        color=ACCENT, fillOpacity=0.18, line={"color": ACCENT, "strokeWidth": 1.6}
    )
    before = base.transform_filter("datum.which === 'prior'").mark_line(color=SOFT, strokeDash=[5, 3], strokeWidth=1.6)
    facet = alt.Facet("parameter:N", sort=names, title=None, header=alt.Header(labelLimit=150, labelFontSize=11))
    made = alt.layer(after, before, data=rows(table)).properties(**size).facet(facet, columns=columns)
    return dressed(made.resolve_scale(x="independent", y="independent"))


def alt_text(table: pd.DataFrame, **_: object) -> str:
    """The figure in words: where the posteriors lie, and how much narrower than their priors."""
    told = []
    for name, its in table.groupby("parameter", sort=False):
        after = its[its["which"] == "posterior"]
        value, density = after["value"].to_numpy(), after["density"].to_numpy()
        told.append(f"{name}: highest at {number(float(value[np.argmax(density)]))}")
    named = "; ".join(told[:6]) + (f"; and {len(told) - 6} more" if len(told) > 6 else "")
    return f"Prior (dashed) and posterior (filled) densities of {count(len(told), 'parameter')}. Posterior of {named}."
