"""`enthesis conclusions`: what a review concludes, how sure, and how that came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, progress

if TYPE_CHECKING:
    from enthesis.evidence import Evidence
    from enthesis.living.review import Review

app = typer.Typer(add_completion=False)


@app.command()
def conclusions(
    name: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    store: Annotated[
        str | None, typer.Option("--store", help="Evidence store; without it the evidence of the review's folder.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Only what was published by a date: 2022-06-01, 2022-06 or 2022.")
    ] = None,
    known_at: Annotated[
        str | None, typer.Option("--known-at", help="Only what the store knew at the end of a day; needs --store.")
    ] = None,
    over_time: Annotated[
        bool, typer.Option("--over-time", help="At the ends of 2018, 2020, 2022, 2024 and today, or at --date.")
    ] = False,
    date: Annotated[
        list[str] | None, typer.Option(help="With --over-time: a date instead of these; repeatable; 'today' is one.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="With --over-time: a .svg, .png or .html file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
) -> None:
    """Evaluate the conclusions that a review keeps as data: probability, threshold, state.

    Against a store, states are compared with the last recorded run. Exit codes: 0 fine, 4 a conclusion flipped.

    Example: enthesis conclusions axspa --over-time --figure conclusions.svg
    """
    from enthesis.cli.printing import writable
    from enthesis.errors import UsageError
    from enthesis.living.cache import Kept
    from enthesis.living.review import Review, cores, run_review

    if known_at and not store:
        raise UsageError("--known-at asks what a store knew: name it with --store.")
    if (date or figure) and not over_time:
        raise UsageError("--date and --figure belong to --over-time.")
    if figure:
        writable(figure)
    review = Review.load(name)
    evidence, kept_in, earlier = _evidence(review, store, as_of, known_at)
    kept = Kept(kept_in) if kept_in else None
    with progress("Evaluating the conclusions") as step:
        if over_time:
            _over_time(review, evidence, date, figure, kept, step, as_json)
            return
        only = _questions(review)
        run = run_review(review, None, only, step, evidence=evidence, workers=cores(), parts=_parts(review),
                         roles=("primary",), kept=kept, earlier=earlier)  # fmt: skip
    if "conclusions" not in run.parts:
        raise UsageError(run.part_problems.get("conclusions", "the conclusions were not computed."))
    value = run.parts["conclusions"]
    from enthesis.report.conclusions import record, size_words, state_words

    told = [record(r) for r in value.results]
    if as_json:
        print(json.dumps({"review": review.id, "snapshot": evidence.snapshot.to_dict(), "conclusions": told},
                         ensure_ascii=False, indent=2, allow_nan=False))  # fmt: skip
    else:
        rows = [
            [r.conclusion.id, r.conclusion.statement, r.population, state_words(r),
             "" if r.probability is None else f"{r.probability:.3f}", f"{r.conclusion.threshold:.2f}",
             size_words(r) or r.problem]
            for r in value.results
        ]  # fmt: skip
        print_table(f"Conclusions of {review.id}",
                    ["id", "statement", "population", "state", "P", "needed", "size (95 % CrI)"], rows)  # fmt: skip
    if value.flips:
        raise typer.Exit(4)


def _questions(review: Review) -> tuple[str, ...]:
    """The questions that the conclusions read."""
    from enthesis.assess.conclusions import read_conclusions
    from enthesis.errors import UsageError

    path = review.folder / "conclusions.toml"
    if not path.is_file():
        raise UsageError(f"the review {review.id!r} has no conclusions.toml, so it keeps no conclusions.")
    return tuple(dict.fromkeys(c.question for c in read_conclusions(path) if c.question))


def _parts(review: Review) -> tuple[str, ...]:
    """The conclusions, and long-term safety where one of them reads it and the review has it."""
    from enthesis.assess.conclusions import read_conclusions
    from enthesis.living.parts import parts_of

    on = {p.name for p in parts_of(review.folder)}
    needs = any(c.outcome for c in read_conclusions(review.folder / "conclusions.toml"))
    return tuple(name for name in ("safety", "conclusions") if name in on and (needs or name != "safety"))


def _evidence(
    review: Review, store: str | None, as_of: str | None, known: str | None
) -> tuple[Evidence, Path | None, dict[str, Any]]:
    """The evidence asked for, where results of a store are kept, and what its last recorded run said."""
    from enthesis.evidence import Store
    from enthesis.living.as_of import known_at, published_by
    from enthesis.living.history import History, living_folder

    kept, earlier = None, {}
    if store is None:
        evidence = review.evidence()
    else:
        with Store.open(store, create=False) as opened:
            evidence = opened.evidence(known_at(opened, known) if known else None)
            folder = living_folder(opened.name)
        last = History(folder).last(review.id)
        kept, earlier = folder / "kept", last.earlier if last and not (as_of or known) else {}
    return published_by(evidence, as_of) if as_of else evidence, kept, earlier


def _over_time(
    review: Review, evidence: Evidence, date: list[str] | None, figure: Path | None, kept: Any, step: Any, as_json: bool
) -> None:
    from enthesis.estimands import plain as plain_values
    from enthesis.living.review import cores
    from enthesis.living.time_machine import DATES, over_time
    from enthesis.report.figure_file import save_figure
    from enthesis.report.plots import time_machine

    table = over_time(review, evidence, date or DATES, kept=kept, workers=cores(), progress=step)
    if figure:
        save_figure(lambda: time_machine.chart(table), figure, words=time_machine.alt_text(table),
                    title=f"{review.title}: conclusions over time")  # fmt: skip
    if as_json:
        told = {"review": review.id, "snapshot": evidence.snapshot.to_dict(), "conclusions": table.to_dict("records")}
        print(json.dumps(plain_values(told), ensure_ascii=False, indent=2, allow_nan=False))
        return
    dates = list(dict.fromkeys(table["date"]))
    rows = []
    for id, some in table.groupby("id", sort=False):
        cells = [
            "no data" if r.state == "unknown" else f"{r.probability:.2f} {r.state} ({r.studies})"
            for r in some.itertuples()
        ]
        rows.append([id, some.iloc[0]["statement"], f"{some.iloc[0]['threshold']:.2f}", *cells])
    print_table(f"Conclusions of {review.id} over time: probability, state (studies)",
                ["id", "statement", "needed", *dates], rows)  # fmt: skip
    if figure:
        print(plain(f"The figure is at {figure}"))
