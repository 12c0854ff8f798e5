"""`enthesis sof`: the summary of findings of one question, as a page of Word, a sheet or a web page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from enthesis.cli.printing import plain, print_table, working, writable

app = typer.Typer()


@app.command()
def sof(
    review: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    question: Annotated[str, typer.Option(help="Id of the question.")],
    docx: Annotated[Path | None, typer.Option(help="Write a Word document.", show_default=False)] = None,
    xlsx: Annotated[Path | None, typer.Option(help="Write a sheet.", show_default=False)] = None,
    html: Annotated[Path | None, typer.Option(help="Write a web page.", show_default=False)] = None,
    store: Annotated[
        str | None, typer.Option(help="Evidence store with persons' judgements.", show_default="the review's evidence")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
) -> None:
    """Summarise the findings of a question on one page: effects, certainty, rank, interpretation.

    Exit codes: 0 fine, 2 usage, 3 bad data, 4 written but the computation is not reliable.

    Example: enthesis sof axspa --question asas40-r-naive --docx sof.docx
    """
    from enthesis.cli.certainty import evidence_of
    from enthesis.living.one_answer import one_rating
    from enthesis.report.summary_files import save_summary
    from enthesis.report.summary_of_findings import frame_of, summary_of_findings
    from enthesis.report.tables import Reading

    files = [path for path in (docx, xlsx, html) if path is not None]
    _endings(docx=docx, xlsx=xlsx, html=html)
    for path in files:
        writable(path)
    with working("Summarising"):
        run, ratings = one_rating(review, question, evidence=evidence_of(store))
        summary = summary_of_findings(Reading(answer=run.answers[0], review=run.review), ratings)
        for path in files:
            save_summary(summary, path)
    if as_json:
        told = frame_of(summary) | {"files": [str(path) for path in files]}
        print(json.dumps(told, ensure_ascii=False, indent=2, allow_nan=False))
    else:
        for name, text in summary.pico:
            print(plain(f"{name}: {text}"))
        print()
        rows = [[cell.replace("\n", ": ") for cell in summary.cells(line)] for line in summary.lines]
        unit = " (patients per 1,000)" if summary.counted else ""
        print_table(f"{summary.title}{unit}", summary.headings, rows)
        for letter, text in summary.footnotes:
            print(plain(f"{letter}  {text}"))
        for path in files:
            print(plain(f"Written: {path}"))
    if not run.answers[0].fit.status.ok:
        raise typer.Exit(4)


def _endings(**named: Path | None) -> None:
    from enthesis.errors import UsageError

    for ending, path in named.items():
        if path is not None and path.suffix.lower() != f".{ending}":
            raise UsageError(f"--{ending} {plain(path)!r} must end in .{ending}.")
