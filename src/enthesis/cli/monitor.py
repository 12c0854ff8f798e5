"""`enthesis monitor`: a comparison after each of its studies, with boundaries for repeated looks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from enthesis.cli.assessing import (
    ColumnOption,
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
    checked_files,
    deliver,
    network_of,
)
from enthesis.cli.printing import working

app = typer.Typer()


@app.command()
def monitor(
    table: TableArgument = None,
    review: ReviewOption = None,
    question: QuestionOption = None,
    measure: MeasureOption = None,
    reference: ReferenceOption = None,
    tau: TauOption = "REML",
    column: ColumnOption = None,
    treatment: Annotated[str | None, typer.Option(help="This treatment; needed with more than two.")] = None,
    comparator: Annotated[str | None, typer.Option(help="Against this one.", show_default="the reference")] = None,
    effect: Annotated[
        float | None,
        typer.Option(
            help="Effect to be found, such as an odds ratio of 1.5.", show_default="the smallest that matters"
        ),
    ] = None,
    gain: Annotated[float | None, typer.Option(help="Instead: a difference of risks, such as 0.10.")] = None,
    alpha: Annotated[float, typer.Option(help="Two-sided error of all looks together.")] = 0.05,
    power: Annotated[float, typer.Option(help="Of the required information.")] = 0.9,
    spending: Annotated[
        Literal["obrien-fleming", "pocock"], typer.Option(help="How the error is spent over the looks.")
    ] = "obrien-fleming",
    order: Annotated[
        list[str] | None,
        typer.Option("--order", help="Studies, oldest first; repeat for every study.", show_default="by year"),
    ] = None,
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Monitor a comparison study by study: trial sequential analysis, and a sceptic's posterior probability.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis monitor --review axspa --question asas40-class --treatment JAKi --figure monitor.svg
    """
    checked_files(export, figure, as_json, table)
    with working("Monitoring"):
        network = network_of(table, review, question, measure=measure, reference=reference, better=None, column=column)
        found = _monitored(network, treatment, comparator, effect=effect, gain=gain, alpha=alpha, power=power,
                           spending=spending, tau=tau, order=tuple(order or ()))  # fmt: skip
    deliver(found, as_json, export, figure)


def _monitored(network: Any, treatment: str | None, comparator: str | None, **settings: Any) -> Outcome:
    from math import isfinite

    import pandas as pd

    from enthesis.assess.sequential import monitor as monitored
    from enthesis.assess.sequential import spent
    from enthesis.report.plots import sequential

    done = monitored(network, treatment, comparator, **settings)
    frame = done.to_frame()
    names = (done.pair.treatment, done.pair.comparator)
    back = done.pair.measure.back_transform
    shown = pd.DataFrame(
        {
            "study": frame["study"], "year": frame["year"], "patients": [f"{n:,.0f}" for n in frame["patients"]],
            done.pair.measure.name: [f"{back(e):.2f} ({back(lo):.2f} to {back(hi):.2f})"
                                     for e, lo, hi in zip(frame["estimate"], frame["lower"], frame["upper"])],
            "information": [f"{100 * x:.1f} %" for x in frame["fraction"]],
            "Z": frame["z"].round(2), "needed": [f"{x:.2f}" if isfinite(x) else "-" for x in frame["limit"]],
            "crossed": ["yes" if x else "no" for x in frame["crossed"]], "sceptic": frame["sceptical"].round(3),
        }
    )  # fmt: skip
    needed = "" if done.required_patients is None else f", about {done.required_patients:,.0f} patients of such studies"
    told = (
        done.message,
        f"Required to find {done.pair.measure.name} {back(done.anticipated):.2f} with power {done.power:g} at a "
        "two-sided "
        f"error of {done.alpha:g}, diversity {100 * done.diversity:.0f} %: information "
        f"{done.required:.1f}{needed}. Testing each "
        f"look at {done.alpha:g} would err in {100 * done.naive_error:.0f} of 100 cases without an effect.",
    )

    options = {"usual": done.usual_limit, "names": names}
    return Outcome(
        title=f"Sequential monitoring, {names[0]} against {names[1]}",
        table=frame, shown=shown, sentences=told,
        told={
            "treatment": names[0], "comparator": names[1], "measure": done.pair.measure.name,
            "anticipated": done.anticipated, "alpha": done.alpha, "power": done.power, "diversity": done.diversity,
            "required_information": done.required, "required_patients": done.required_patients,
            "error_spent": float(2 * spent(done.fraction[-1], done.alpha, settings["spending"])),
            "naive_error": done.naive_error, "prior_sd": done.prior_sd, "crossed": done.crossed,
            "message": done.message, "looks": frame.to_dict("records"),
        },
        chart=lambda: sequential.chart(frame, curve=done.curve(settings["spending"]), **options),
        words=lambda: sequential.alt_text(frame, **options),
    )  # fmt: skip
