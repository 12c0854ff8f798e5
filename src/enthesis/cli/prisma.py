"""`enthesis prisma`: the PRISMA flow and checklist of a review, as a web page, for Word, or as PRISMA2020 reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, working, writable

if TYPE_CHECKING:
    from enthesis.assess.prisma import Flow

app = typer.Typer()


@app.command()
def prisma(
    review: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    html: Annotated[Path | None, typer.Option(help="Write a web page: flow and checklist.", show_default=False)] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the flow as PRISMA2020 reads it.", show_default=False)] = None,
    docx: Annotated[Path | None, typer.Option(help="Write flow and checklist for Word.", show_default=False)] = None,
    store: Annotated[
        str | None, typer.Option(help="Store with records and decisions.", show_default="the review's evidence")
    ] = None,
    networks: Annotated[
        bool, typer.Option("--networks/--no-networks", help="Build the networks, to count the studies in them.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
) -> None:
    """Count what was found, screened and included, and fill the PRISMA-NMA checklist as far as that goes.

    What no fact tells stays empty and is said to be. The sections that the checklist names are those of the report
    that `enthesis review run` writes.

    Example: enthesis prisma axspa --html prisma.html --csv prisma.csv
    """
    from enthesis.cli.certainty import evidence_of
    from enthesis.living.prisma import counted
    from enthesis.living.review import Review
    from enthesis.report.prisma import told
    from enthesis.report.prisma_files import save_csv, save_docx, save_html

    _endings(html=html, csv=csv, docx=docx)
    written = [path for path in (html, csv, docx) if path is not None]
    for path in written:
        writable(path)
    with working("Counting"):
        read = Review.load(review)
        value, items = counted(read, evidence_of(store), networks=networks)
        title = read.title
        if html is not None:
            save_html(value, items, title, html)
        if csv is not None:
            save_csv(value, csv)
        if docx is not None:
            save_docx(value, items, title, docx)
    if as_json:
        found = {"review": title, **told(value, items), "files": [str(path) for path in written]}
        print(json.dumps(found, ensure_ascii=False, indent=2, allow_nan=False))
        return
    _print(value, items, title)
    for path in written:
        print(plain(f"Written: {path}"))


def _print(value: Flow, items: Any, title: str) -> None:
    from enthesis.assess.prisma import KEYS

    rows = [[KEYS[c.key], f"{c.n:,}", c.source, c.why] for c in value.counts if c.n is not None]
    print_table(title, ["count", "n", "from", "how"], rows)
    missing = [KEYS[key].lower() for key in value.unknown]
    if missing:
        print(f"Not recorded: {', '.join(missing)}.\n")
    for word, n in value.reasons:
        print(plain(f"excluded: {word} ({n})"))
    for note in value.notes:
        print(plain(f"note: {note}"))
    by_state = {state: [i.number for i in items if i.state == state] for state in dict.fromkeys(i.state for i in items)}
    for state, numbers in by_state.items():
        print(f"PRISMA-NMA {state}: {', '.join(numbers)}")


def _endings(**named: Path | None) -> None:
    from enthesis.errors import UsageError

    for ending, path in named.items():
        if path is not None and path.suffix.lower() != f".{ending}":
            raise UsageError(f"--{ending} {plain(path)!r} must end in .{ending}.")
