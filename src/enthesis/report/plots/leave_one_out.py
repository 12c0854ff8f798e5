"""Leave-one-out forest plot: the estimate without each study, or without each comparison."""

from __future__ import annotations

import altair as alt
import pandas as pd

from enthesis.report.plots.lines import drawn, told


def chart(
    table: pd.DataFrame, *, whole: tuple[float, float, float], measure: str = "effect", log: bool = False
) -> alt.HConcatChart:
    """A leave-one-out forest plot.

    Parameters
    ----------
    table : pandas.DataFrame
        left_out, estimate, lower, upper (of one comparison, on the scale people read), ok; drawn from top to bottom.
    whole : (float, float, float)
        Estimate and interval with everything.
    measure : str
    log : bool

    Returns
    -------
    altair chart
    """
    return drawn(table.rename(columns={"left_out": "label"}), whole=whole, measure=measure, log=log, heading="without")


def alt_text(table: pd.DataFrame, *, whole: tuple[float, float, float], measure: str = "effect", **_: object) -> str:
    """The figure in words."""
    said = told(table.rename(columns={"left_out": "label"}), whole)
    return f"Forest plot of the {measure} without each of {len(table)} in turn. {said}"
