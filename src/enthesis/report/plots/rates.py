"""Forest of incidence rates: one line per study, in groups, with the pooled rate of each group in colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from enthesis.report.plots import forest
from enthesis.report.wording import interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enthesis.assess.rates import RateGroup


def table_of(groups: Sequence[RateGroup]) -> pd.DataFrame:
    """The lines of the plot from pooled groups: their studies, then the pooled rate where there are several.

    Parameters
    ----------
    groups : sequence of RateGroup

    Returns
    -------
    pandas.DataFrame
        label, group, estimate, lower, upper (per 100 patient-years), strong, predicted_lower, predicted_upper.
    """
    lines = []
    for group in groups:
        name = ", ".join(part for part in group.name if part) or "all"
        for row in group.rows:
            rate, lower, upper = row.per_100
            what = "patients" if group.rate_of == "patients" else "events"
            label = f"{row.study_id} ({row.events:g} {what} in {row.exposure:,.0f} PY)"
            lines.append((label, name, rate, lower, upper, False, np.nan, np.nan))
        if group.pooled.k > 1:
            low, high = group.pooled.predicted
            lines.append((f"pooled, {group.pooled.k} studies", name, *group.per_100, True, 100 * low, 100 * high))
    columns = ["label", "group", "estimate", "lower", "upper", "strong", "predicted_lower", "predicted_upper"]
    return pd.DataFrame(lines, columns=columns)


def chart(table: pd.DataFrame, *, measure: str = "rate per 100 patient-years") -> alt.HConcatChart:
    """A forest of rates.

    Parameters
    ----------
    table : pandas.DataFrame
        label, group, estimate, lower, upper (per 100 patient-years; lower is 0 without events), strong.
    measure : str

    Returns
    -------
    altair chart
    """
    return forest.chart(table, measure=measure)


def alt_text(table: pd.DataFrame, *, measure: str = "rate per 100 patient-years") -> str:
    """The figure in words: how many lines, the lowest and the highest rate."""
    if table.empty:
        return "Forest of rates without lines."
    own = table[~table["strong"].astype(bool)]
    own = table if own.empty else own
    top, bottom = own.loc[own["estimate"].idxmax()], own.loc[own["estimate"].idxmin()]

    def told(row: pd.Series) -> str:
        return f"{row['label']} {interval(row['estimate'], row['lower'], row['upper'])}"

    return (
        f"Forest of {len(own)} {measure.replace('rate', 'rates', 1)} with 95 % intervals in {own['group'].nunique()} "
        f"groups. Highest: {told(top)}. Lowest: {told(bottom)}. All numbers are in the table."
    )
