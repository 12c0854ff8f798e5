"""Cumulative forest plot: the estimate after the first study, the first two, and so on."""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.lines import drawn, told


def chart(
    table: pd.DataFrame, *, whole: tuple[float, float, float], measure: str = "effect", log: bool = False
) -> alt.HConcatChart:
    """A cumulative forest plot.

    Parameters
    ----------
    table : pandas.DataFrame
        added (study), estimate, lower, upper (of one comparison, on the scale people read), ok; in the order in which
        studies were added.
    whole : (float, float, float)
        Estimate and interval of all studies.
    measure : str
    log : bool

    Returns
    -------
    altair chart
    """
    return drawn(_labelled(table), whole=whole, measure=measure, log=log, heading="studies up to")


def alt_text(table: pd.DataFrame, *, whole: tuple[float, float, float], measure: str = "effect", **_: object) -> str:
    """The figure in words."""
    return f"Cumulative forest plot of the {measure} over {len(table)} studies. {told(_labelled(table), whole)}"


def _labelled(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(label=[f"+ {name}" if i else str(name) for i, name in enumerate(table["added"])])
