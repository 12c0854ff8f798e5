"""`enthesis multiverse`: one comparison under every combination of analytic choices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enthesis.cli.assessing import (
    BetterOption,
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
    checked_files,
    columns_of,
    deliver,
)
from enthesis.cli.printing import progress

if TYPE_CHECKING:
    from enthesis.living.multiverse import Multiverse

app = typer.Typer()


@app.command()
def multiverse(
    table: TableArgument = None,
    review: ReviewOption = None,
    question: QuestionOption = None,
    treatment: Annotated[
        str | None, typer.Option(help="Treatment whose effect is estimated.", show_default="required")
    ] = None,
    comparator: Annotated[str | None, typer.Option(help="Against this one.", show_default="the reference")] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            "--axis",
            metavar="NAME=VALUES",
            help="A choice with its values, such as engine=laplace,gls; repeatable. Names: measure, likelihood, "
            "engine, heterogeneity, prior_tau, without; with --review also nodes, weeks, estimators, tiers, deduced, "
            "doses, unknown_line.",
            show_default="several",
        ),
    ] = None,
    measure: MeasureOption = None,
    reference: ReferenceOption = None,
    better: BetterOption = None,
    column: ColumnOption = None,
    scale: Annotated[
        str | None, typer.Option(help="Measure on which estimates are stated.", show_default="the measure, or RD")
    ] = None,
    baseline_risk: Annotated[
        float | None, typer.Option(help="Risk with the comparator, for RD.", show_default="pooled over its arms")
    ] = None,
    mid: Annotated[
        float | None, typer.Option(help="Smallest difference that matters.", show_default="the outcome's")
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of each Bayesian fit.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 1,
    workers: Annotated[
        int | None, typer.Option(help="Processes on this machine.", show_default="one per processor")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Instead: a Dask cluster, such as tcp://host:8786.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep results in FOLDER, so that a second run costs nothing.")
    ] = None,
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Estimate one comparison under every combination of analytic choices.

    Every combination of the values of the axes is one specification and one row; one that cannot be estimated is a row
    with its reason. Estimates are on the model's scale (log for ratios); with several measures all are stated as risk
    differences. Results do not depend on the number of workers or on where they run.

    Exit codes: 0 fine, 2 usage, 3 bad data, 4 no specification gave an estimate.

    Example: enthesis multiverse --review axspa --question asas40 --treatment upadacitinib --axis nodes=drug,class
    """
    from enthesis.errors import UsageError

    checked_files(export, figure, as_json, table)
    if treatment is None:
        raise UsageError("--treatment is needed: the treatment whose effect is estimated.")
    if scheduler and workers:
        raise UsageError("give either --workers (processes here) or --scheduler (a cluster), not both.")
    source, asked, versus = _source(table, review, question, measure, reference, better, column)
    settings: dict[str, Any] = {
        "comparison": (treatment, comparator or versus), "axes": axes_of(axis), "scale": scale, "mid": mid,
        "baseline_risk": baseline_risk, "draws": draws, "seed": seed,
    }  # fmt: skip
    found = _run(source, asked, settings, workers, scheduler, cache)
    deliver(_outcome(found), as_json, export, figure)
    if not found.summary()["estimated"]:
        raise typer.Exit(4)


def axes_of(pairs: Sequence[str] | None) -> dict[str, str] | None:
    """`name=values` pairs as a dictionary."""
    from enthesis.errors import UsageError

    axes: dict[str, str] = {}
    for pair in pairs or ():
        name, sign, values = pair.partition("=")
        if not sign or not name.strip():
            raise UsageError(f"--axis {pair[:60]!r} must be name=values, such as engine=laplace,gls.")
        if name.strip() in axes:
            raise UsageError(f"--axis {name.strip()} is given twice; write its values with commas.")
        axes[name.strip()] = values
    return axes or None


def _source(
    table: Path | None,
    review: str | None,
    question: str | None,
    measure: str | None,
    reference: str | None,
    better: str | None,
    column: Sequence[str] | None,
) -> tuple[Any, Any, str]:
    """A network, or a review with a question; and the reference of either."""
    from enthesis.errors import UsageError

    if (table is None) == (review is None):
        raise UsageError("name either a TABLE or --review with --question.")
    if table is not None:
        if question is not None:
            raise UsageError("--question names a question of a review: give --review instead of a table.")
        from enthesis.network.tables import from_table

        network = from_table(table, measure=measure, reference=reference, better=better, columns=columns_of(column))
        return network, None, network.reference
    if column or better:
        raise UsageError("--column and --better tell how to read a table; a review knows.")
    from enthesis.living.review import Review

    loaded = Review.load(review)
    if question is None:
        shown = ", ".join(q.id for q in loaded.questions[:12])
        raise UsageError(
            f"--review needs --question. Questions of {loaded.id}: {shown}, ... ({len(loaded.questions)} in all)."
        )
    asked = loaded.question(question)
    changes = {k: v for k, v in (("measure", measure), ("reference", reference)) if v}
    asked = asked.replace(**changes) if changes else asked
    return loaded, asked, asked.reference


def _run(
    source: Any, asked: Any, settings: dict[str, Any], workers: int | None, scheduler: str | None, cache: Path | None
) -> Multiverse:
    from enthesis.execute import Folder, cluster
    from enthesis.living.multiverse import multiverse as computed
    from enthesis.living.review import cores

    kept = Folder(cache) if cache is not None else None
    with progress("Specifications") as step:

        def told(done: int, total: int) -> None:
            step(done, total, f"Specifications {done} of {total}")

        if scheduler is None:
            return computed(source, asked, workers=workers or cores(), progress=told, cache=kept, **settings)
        with cluster(scheduler) as executor:
            return computed(source, asked, executor=executor, progress=told, cache=kept, **settings)


def _outcome(found: Multiverse) -> Outcome:
    from enthesis.network.measures import measure
    from enthesis.report.plots import specification_curve as plot

    own = measure(found.scale)
    name = f"{own.label}, {found.treatment} versus {found.comparator}"
    summary, moved = found.summary(), found.moved_by()
    read = found.table.assign(
        **{c: own.back_transform(found.table[c].to_numpy()) for c in ("estimate", "lower", "upper")}
    )
    options = {"axes": list(found.axes), "measure": name, "log": own.scale == "log",
               "mid": None if found.mid is None else float(own.back_transform(found.mid))}  # fmt: skip
    told = {
        "treatment": found.treatment, "comparator": found.comparator, "measure": found.scale, "scale": own.scale,
        "baseline_risk": found.baseline_risk, "mid": found.mid, "better": found.better,
        "axes": {axis: list(values) for axis, values in found.axes.items()}, "summary": summary,
        "moved_by": moved.to_dict("records"), "specifications": found.table.to_dict("records"),
        "hash": found.content_hash,
    }  # fmt: skip
    broken = found.table.loc[found.table["status"] == "failed", "message"].value_counts()
    return Outcome(
        title=f"Specifications: {found.treatment} versus {found.comparator} ({own.label})",
        table=found.table, told=told,
        shown=read[[*found.varied, "estimate", "lower", "upper", "n_studies", "status"]].sort_values("estimate"),
        sentences=tuple(_sentences(str(found), moved)),
        warnings=tuple(f"{n} specifications without an estimate: {why}" for why, n in broken.items()),
        chart=lambda: plot.chart(read, **options), words=lambda: plot.alt_text(read, **options),
    )  # fmt: skip


def _sentences(head: str, moved: Any) -> list[str]:
    shares = [f"{row.axis} {row.share:.0%}" for row in moved.itertuples() if row.share >= 0.005]
    return [*head.splitlines(), f"  shares of the variance of the estimates: {', '.join(shares)}" if shares else "", ""]
