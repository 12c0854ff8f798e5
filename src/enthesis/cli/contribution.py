"""`enthesis contribution`: how much each comparison, or each study, contributes to each network estimate."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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
def contribution(
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
    of: Annotated[Literal["comparison", "study"], typer.Option(help="Whose contributions.")] = "comparison",
    method: Annotated[
        Literal["shortest path", "random walk", "L1"], typer.Option(help="How flow is split into paths.")
    ] = "shortest path",
    comparator: Annotated[
        str | None, typer.Option(help="To estimates against this treatment only.", show_default="every pair")
    ] = None,
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Share each network estimate among the direct comparisons, or the studies, that it rests on.

    Each row of the table is a network estimate, and its shares sum to 1.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis contribution trials.csv --of study --comparator placebo --figure contribution.svg
    """
    checked_files(export, figure, as_json, table)
    with working("Finding contributions"):
        network = network_of(table, review, question, measure=measure, reference=reference, better=better,
                             column=column)  # fmt: skip
        found = _found(fit_of(network, effects, engine, tau), of, method, comparator)
    deliver(found, as_json, export, figure)


def _found(fit: Any, of: str, method: str, comparator: str | None) -> Outcome:
    from enthesis.assess.contribution import contributions, evidence_flow, study_contributions
    from enthesis.report.plots import contribution as plot

    pairs = None
    if comparator is not None:
        fit.network.index(comparator)
        pairs = [(t, comparator) for t in fit.treatments if t != comparator]
    shares = (contributions if of == "comparison" else study_contributions)(fit, method, pairs)
    flow = evidence_flow(fit, pairs)
    rows = [
        {"estimate": str(name), "contributions": {str(c): float(v) for c, v in line.items() if abs(v) > 1e-12}}
        for name, line in shares.iterrows()
    ]
    told = about(fit) | {"method": method, "of": of, "contribution": rows, "flow": flow.to_dict("records")}
    table = shares.rename_axis("estimate").reset_index()
    largest = shares.idxmax(axis=1)
    shown = flow.assign(largest=[f"{name} ({shares.loc[row, name]:.0%})" for row, name in largest.items()])
    return Outcome(
        title=f"Contribution of each {of}", table=table, told=told, shown=shown,
        sentences=("The evidence behind each estimate; --export writes every share.", ""),
        chart=lambda: plot.chart(shares, of=of), words=lambda: plot.alt_text(shares, of=of),
    )  # fmt: skip
