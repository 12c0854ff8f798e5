"""`enthesis ranks`: ranks of treatments, against a difference that matters, and over several questions at once."""

from __future__ import annotations

import sys
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
def ranks(
    table: TableArgument = None,
    review: ReviewOption = None,
    question: Annotated[
        list[str] | None, typer.Option(help="With --review: a question; repeat it to rank over several.")
    ] = None,
    measure: MeasureOption = None,
    reference: ReferenceOption = None,
    effects: EffectsOption = "random",
    engine: EngineOption = "gls",
    tau: TauOption = "REML",
    better: BetterOption = None,
    column: ColumnOption = None,
    mid: Annotated[
        float | None,
        typer.Option(help="Smallest difference that matters: 1.25 for a ratio.", show_default="the question's"),
    ] = None,
    correlation: Annotated[float, typer.Option(help="Between the effects on several questions.")] = 0.0,
    plot: Annotated[
        Literal["litmus", "rankogram"], typer.Option(help="Which figure --figure draws; several questions: Hasse.")
    ] = "litmus",
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Rank treatments: P-score, SUCRA, mean rank, rank probabilities, and P-scores that demand a difference.

    With several questions of a review, treatments are ranked by being better on all of them, and put into a partial
    order. A rank says nothing about the size or certainty of a difference: read it with `enthesis fit`.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis ranks trials.csv --measure OR --better higher --mid 1.25 --figure ranks.svg
    """
    checked_files(export, figure, as_json, table)
    with working("Ranking"):
        fits: dict[str, Any] = {}
        for id in dict.fromkeys(question or [None]):
            network = network_of(table, review, id, measure=measure, reference=reference, better=better,
                                 column=column)  # fmt: skip
            if network.better is None:
                print("note: nobody said which direction is better; higher is taken. Say --better.", file=sys.stderr)
            fits[id or "table"] = fit_of(network, effects, engine, tau)
        found = _several(fits, mid, correlation) if len(fits) > 1 else _one(next(iter(fits.values())), mid, plot)
    deliver(found, as_json, export, figure)


def _one(fit: Any, mid: float | None, plot: str) -> Outcome:
    from enthesis.assess.ranking import cumulative_ranks, p_scores
    from enthesis.estimands import ranks as ranked
    from enthesis.report.plots import litmus, rankogram

    table = ranked(fit)
    scores = p_scores(fit, mid=mid)
    demanding = scores[["treatment", "p_score", "p_worse", "p_similar"]].rename(
        columns={"p_score": "p_score_mid", "p_worse": "p_worse_mid", "p_similar": "p_similar_mid"}
    )
    step = float(scores["mid"].iloc[0])
    if step > 0:
        table = table.merge(demanding, on="treatment")
    table = table.sort_values("p_score", ascending=False, kind="stable", ignore_index=True)
    curves = cumulative_ranks(fit)
    told = about(fit) | {"better": fit.network.better or "higher", "mid": step, "ranks": table.to_dict("records")}
    shown = table[[c for c in table.columns if not c.startswith("rank_")]]
    drawn, source = (litmus, curves) if plot == "litmus" else (rankogram, table)
    sentence = f"{fit.network.better or 'higher'} is better; ranks say nothing about the size of a difference."
    return Outcome(title="Ranks", table=table, told=told, shown=shown, sentences=(sentence, ""),
                   chart=lambda: drawn.chart(source), words=lambda: drawn.alt_text(source))  # fmt: skip


def _several(fits: dict[str, Any], mid: float | None, correlation: float) -> Outcome:
    from enthesis.assess.ranking import joint_p_scores, partial_order, rank_table
    from enthesis.errors import UsageError
    from enthesis.report.plots import hasse

    if mid is not None:
        raise UsageError("--mid holds for one question; questions of a review bring their own.")
    joint = joint_p_scores(fits, correlation=correlation)
    order = partial_order(joint.drop(columns="p_score"))
    levels = order.to_frame()[["treatment", "level", "n_above", "n_below", "n_incomparable"]]
    table = joint.merge(levels, on="treatment").sort_values(["p_score"], ascending=False, ignore_index=True)
    lines, edges = order.to_frame(), order.edges()
    told = {
        "questions": {name: about(fit) for name, fit in fits.items()}, "correlation": correlation,
        "joint": table.to_dict("records"), "order": edges.to_dict("records"),
        "ranks": rank_table(fits).to_dict("records"),
    }  # fmt: skip
    return Outcome(
        title=f"Ranks over {len(fits)} questions", table=table, told=told,
        sentences=(f"p_score: probability of being better on all {len(fits)} at once, than the others on average.", ""),
        chart=lambda: hasse.chart(lines, edges=edges), words=lambda: hasse.alt_text(lines, edges=edges),
    )  # fmt: skip
