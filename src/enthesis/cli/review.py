"""`enthesis review`: run a standing review and say where its report is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, progress

app = typer.Typer(
    no_args_is_help=True, help="Run a standing review: build its networks, fit its models, write its report."
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


@app.command()
def run(
    name: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html and results.json.", show_default="REVIEW-report")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this outcome (ASAS40) or question; repeatable.")] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", help="Evidence store: what was computed before is used again, and the run recorded."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Only what was published by a date: 2022-06-01, 2022-06 or 2022.")
    ] = None,
    known_at: Annotated[
        str | None, typer.Option("--known-at", help="Only what the store knew at the end of a day; needs --store.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build every network of a review, fit its models, and write the report.

    With --store the evidence is that of the store, and a whole run on its newest snapshot is recorded for `enthesis
    diff`. A source of which only the year is known counts, in --as-of, from the last day of that year.

    Exit codes: 0 fine, 2 usage, 3 bad data, 4 written but the main question has no answer to rely on. What is doubtful
    in other questions is said on standard error and in the report.

    Example: enthesis review run axspa --out axspa-report --only ASAS40
    """
    from enthesis.errors import UsageError
    from enthesis.living.review import cores, run_review

    folder = out or Path(f"{Path(name).name}-report")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{plain(folder)!r} is a file: name a folder for the report.")
    if known_at and not store:
        raise UsageError("--known-at asks what a store knew: name it with --store.")
    with progress("Running the review") as step:
        if store or as_of:
            done = _at(name, folder, only or None, step, store, as_of, known_at)
        else:
            done = run_review(name, folder, only or None, step, workers=cores())
    told = _told(done, folder)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _print(told)
    if any(trouble["main"] for trouble in told["not_ok"]):
        raise typer.Exit(4)


@app.command("list")
def list_reviews(as_json: JsonOption = False) -> None:
    """List the reviews that ship with enthesis.

    Example: enthesis review list
    """
    from enthesis.living.review import Review, bundled_reviews

    reviews = [Review.load(name) for name in bundled_reviews()]
    told = [{"review": r.id, "title": r.title, "questions": len(r.questions), "models": len(r.models)} for r in reviews]
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        print_table("Reviews", list(told[0]) if told else [], [list(row.values()) for row in told])


def _at(
    name: str, folder: Path, only: list[str] | None, step: Any, store: str | None, as_of: str | None, known: str | None
) -> Any:
    """A run on a store, or on the evidence of another day."""
    from enthesis.evidence import Store
    from enthesis.living.as_of import known_at, published_by
    from enthesis.living.cache import Kept
    from enthesis.living.history import living_folder
    from enthesis.living.review import Review, cores, run_review
    from enthesis.living.update import update

    review = Review.load(name)
    kept = None
    if store is None:
        evidence = review.evidence()
    else:
        with Store.open(store, create=False) as opened:
            if not (only or as_of or known):
                return update(review, opened, folder, workers=cores(), progress=step).run
            evidence = opened.evidence(known_at(opened, known) if known else None)
            kept = Kept(living_folder(opened.name) / "kept")
    if as_of:
        evidence = published_by(evidence, as_of)
    return run_review(review, folder, only, step, evidence=evidence, workers=cores(), kept=kept)


def _told(done: Any, folder: Path) -> dict[str, Any]:
    """What the command says of a run, in plain values."""
    from enthesis.estimands import plain as plain_values

    overview = done.overview().to_dict("records")
    not_ok = [
        {
            "question": answer.question.id,
            "model": model,
            "message": message,
            "main": answer is done.main and model in ("", next(iter(answer.fits), "")),
        }
        for answer in done.answers
        for model, message in _troubles(answer)
    ]
    return plain_values(
        {
            "review": done.review.id,
            "snapshot": done.evidence.content_hash,
            "run": done.content_hash,
            "seconds": round(done.seconds, 1),
            "report": str((folder / "report.html").resolve()),
            "results": str((folder / "results.json").resolve()),
            "questions": overview,
            "not_ok": not_ok,
        }
    )


def _troubles(answer: Any) -> list[tuple[str, str]]:
    if answer.problem:
        return [("", answer.problem)]
    broken = [(model, message) for model, message in answer.problems.items()]
    return broken + [(model, fit.status.message) for model, fit in answer.fits.items() if not fit.status.ok]


def _print(told: dict[str, Any]) -> None:
    columns = ["question", "studies", "treatments", "rows_used", "rows_out", "status"]
    print_table(f"Review {told['review']}", columns, [[row[c] for c in columns] for row in told["questions"]])
    print(f"{len(told['questions'])} questions in {told['seconds']:.1f} s")
    for trouble in told["not_ok"]:
        where = " ".join(filter(None, (trouble["question"], trouble["model"])))
        print(plain(f"not ok: {where}: {trouble['message']}"), file=sys.stderr)
    print(plain(f"The report is at {told['report']}"))
