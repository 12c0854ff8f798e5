"""`enthesis funnel`: small-study effects, for one comparison or for a network."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from enthesis.cli.assessing import (
    BetterOption,
    ColumnOption,
    EffectsOption,
    EngineOption,
    ExportOption,
    FigureOption,
    JsonOption,
    MeasureOption,
    Outcome,
    QuestionOption,
    ReferenceOption,
    ReviewOption,
    TableArgument,
    TauOption,
    about,
    checked_files,
    deliver,
    fit_of,
    network_of,
)
from enthesis.cli.printing import working

app = typer.Typer()


@app.command()
def funnel(
    table: TableArgument = None,
    review: ReviewOption = None,
    question: QuestionOption = None,
    measure: MeasureOption = None,
    reference: ReferenceOption = None,
    effects: EffectsOption = "random",
    engine: EngineOption = "gls",
    tau: TauOption = "REML",
    better: BetterOption = None,
    column: ColumnOption = None,
    treatment: Annotated[
        str | None, typer.Option(help="One comparison: this treatment.", show_default="the whole network")
    ] = None,
    comparator: Annotated[str | None, typer.Option(help="Against this one.", show_default="the reference")] = None,
    order: Annotated[
        list[str] | None, typer.Option("--order", help="Treatments, oldest first; repeat for every treatment.")
    ] = None,
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Test for small-study effects and draw the funnel.

    One comparison (two treatments, or --treatment): Egger, Begg, Peters and Harbord, trim and fill, limit
    meta-analysis, a selection model, and a funnel with contours of significance. A network: the comparison-adjusted
    funnel and two tests; contrasts between active treatments need --order to have a direction.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis funnel trials.csv --treatment drug --figure funnel.svg
    """
    checked_files(export, figure, as_json, table)
    with working("Testing for small-study effects"):
        network = network_of(table, review, question, measure=measure, reference=reference, better=better,
                             column=column)  # fmt: skip
        fit = fit_of(network, effects, engine, tau)
        one = treatment is not None or (network.n_treatments == 2 and not order)
        found = _comparison(fit, treatment, comparator) if one else _network(fit, order)
    deliver(found, as_json, export, figure)


def _tried(method: str, run: Any) -> dict[str, Any]:
    """The result as a dictionary, or why there is none."""
    from enthesis.errors import EnthesisError

    try:
        return {"method": method, **run()}
    except EnthesisError as problem:
        return {"method": method, "message": str(problem)}


def _fields(value: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _comparison(fit: Any, treatment: str | None, comparator: str | None) -> Outcome:
    import pandas as pd

    from enthesis.assess.limit import limit_meta_analysis
    from enthesis.assess.pair import pair_effects
    from enthesis.assess.selection import selection_model
    from enthesis.assess.small_study import METHODS, asymmetry_test
    from enthesis.assess.trim_fill import funnel_points, trim_and_fill
    from enthesis.report.plots import contour_funnel

    network = fit.network
    data = pair_effects(network, treatment, comparator)
    named = {"treatment": data.treatment, "comparator": data.comparator}
    tests = [_tried(m, lambda m=m: asymmetry_test(network, m, **named).to_dict() | {"method": m}) for m in METHODS]
    adjusted = ("estimate", "lower", "upper", "unadjusted", "unadjusted_lower", "unadjusted_upper", "message")
    corrections = [
        _tried("trim and fill (L0)",
               lambda: _fields(trim_and_fill(network, **named), *adjusted, "missing", "side")),
        _tried("limit meta-analysis",
               lambda: _fields(limit_meta_analysis(network, **named), *adjusted, "Q_small", "Q_small_p", "G2")),
        _tried("selection model (one step)",
               lambda: _fields(selection_model(network, **named), *adjusted, "lrt", "df", "p", "alternative")),
    ]  # fmt: skip
    points, centre = funnel_points(network, **named)
    name, log = network.measure.label, network.measure.scale == "log"
    shown = pd.DataFrame(
        [{"method": t["method"], "statistic": t.get("statistic"), "p": t.get("p"), "says": t["message"]} for t in tests]
        + [{"method": c["method"], "statistic": None, "p": c.get("p"), "says": c["message"]} for c in corrections]
    )
    told = about(fit) | named | {"tests": tests, "corrections": corrections, "studies": points.to_dict("records")}
    return Outcome(
        title=f"Small-study effects: {data.treatment} versus {data.comparator}", table=points, told=told, shown=shown,
        chart=lambda: contour_funnel.chart(points, centre=centre, measure=name, log=log),
        words=lambda: contour_funnel.alt_text(points, centre=centre, measure=name, log=log),
    )  # fmt: skip


def _network(fit: Any, order: list[str] | None) -> Outcome:
    import pandas as pd

    from enthesis.assess.small_study import comparison_adjusted_egger, comparison_adjusted_funnel, network_egger
    from enthesis.report.plots import funnel as plot

    points = comparison_adjusted_funnel(fit, order=order)
    tests = [
        _tried("comparison-adjusted egger", lambda: comparison_adjusted_egger(fit, order=order).to_dict()),
        _tried("network egger", lambda: network_egger(fit, order=order)[0].to_dict()),
    ]
    shown = pd.DataFrame(
        [{"method": t["method"], "statistic": t.get("statistic"), "p": t.get("p"), "says": t["message"]} for t in tests]
    )
    contrasts = fit.network.pairs.n_contrasts
    partial = f"{len(points)} of {contrasts} contrasts have a direction; --order gives one to all." if not order else ""
    name = fit.network.measure.label
    return Outcome(
        title="Small-study effects in the network", table=points,
        told=about(fit) | {"order": order, "tests": tests, "contrasts": points.to_dict("records")}, shown=shown,
        sentences=(partial, "") if partial else (), chart=lambda: plot.chart(points, measure=name),
        words=lambda: plot.alt_text(points, measure=name),
    )  # fmt: skip
