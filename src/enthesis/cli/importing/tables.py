"""`enthesis import table` and `template`: the evidence dictionary as files to fill in, and filled files imported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enthesis.cli.importing.options import (
    BadData,
    DryRunOption,
    ExtractorOption,
    JsonOption,
    StoreOption,
    opened,
    source_bytes,
    tell,
)
from enthesis.cli.printing import plain, print_table, progress, writable

if TYPE_CHECKING:
    from enthesis.evidence.sources.csvfile import Sheet

MOST = 128 * 2**20


def table(
    file: Annotated[Path, typer.Argument(help="A filled workbook (.xlsx), or a CSV file named after its table.")],
    name: Annotated[
        str | None, typer.Option("--table", help="Table of a CSV file.", show_default="the name of the file")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Store good rows although others are rejected.")] = False,
    store: StoreOption = None,
    extractor: ExtractorOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = None,
) -> None:
    """Import a filled template: every row is checked against the dictionary, and all are stored or none.

    A folder of CSV tables is loaded with `enthesis evidence load`.

    Example: enthesis import table my-evidence.xlsx --store review.sqlite --dry-run
    """
    from enthesis.evidence import RowsRejected
    from enthesis.evidence.sources.tables import EXTRACTOR, load_sheets

    with progress("Reading the tables"):
        sheets = _sheets(file, name)
        with opened(store, dry_run) as place:
            try:
                report = load_sheets(
                    place, sheets, extractor=extractor or EXTRACTOR, partial=partial, dry_run=dry_run
                )  # fmt: skip
            except RowsRejected as rejected:
                report, problem = rejected.report, rejected
            else:
                problem = None
            where = place.name
    kept = problem is None and not dry_run
    told = {"store": where, "dry_run": dry_run, "committed": kept, **report.to_dict()}
    if not tell(told, as_json):
        _print(report, where, dry_run)
    if problem is not None:
        raise problem
    if report.rejected:
        raise typer.Exit(BadData)


def template(
    out: Annotated[Path, typer.Argument(help="A workbook to write (.xlsx), or a folder for CSV files.")],
    as_json: JsonOption = None,
) -> None:
    """Write an empty template of the evidence dictionary: a sheet for each table, with its lists of words.

    Example: enthesis import template my-evidence.xlsx
    """
    from enthesis.cli.printing import write_text
    from enthesis.errors import UsageError
    from enthesis.evidence.sources import workbook
    from enthesis.report.export import write_bytes

    if out.suffix.lower() == ".xlsx":
        writable(out)
        write_bytes(out, workbook.template())
        written = [str(out)]
    else:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"{plain(out)!r} exists and is not an empty folder: name another, or a file .xlsx.")
        out.mkdir(parents=True, exist_ok=True)
        written = []
        for file, text in workbook.csv_templates().items():
            write_text(out / file, text)
            written.append(str(out / file))
    if not tell({"written": written}, as_json):
        print(plain(f"written: {out}"))


def _sheets(file: Path, name: str | None) -> list[tuple[str, Sheet]]:
    from enthesis.errors import UsageError, unknown_name
    from enthesis.evidence import TABLES
    from enthesis.evidence.sources.csvfile import parse_csv
    from enthesis.evidence.sources.workbook import read_workbook

    if file.is_dir():
        raise UsageError(f"{plain(file)!r} is a folder: load it with `enthesis evidence load`.")
    content = source_bytes(file, MOST)
    if file.suffix.lower() == ".xlsx":
        if name is not None:
            raise UsageError("--table is for CSV files: the sheets of a workbook say which tables they are.")
        sheets = read_workbook(content, file.name)
        if not sheets:
            raise UsageError(f"{plain(file.name)} has no filled row on any sheet.")
        return sheets
    wanted = name or file.stem.casefold()
    if wanted not in TABLES:
        raise unknown_name("table", wanted, TABLES)
    return [(wanted, parse_csv(content, file.name))]


def _print(report: Any, where: str, dry_run: bool) -> None:
    names = ["read", "stored", "unchanged", "superseded", "rejected_rows"]
    rows = [[t.name, *(getattr(t, n) for n in names)] for t in report.tables]
    print_table(f"{where} (dry run: nothing is stored)" if dry_run else where, ["table", *names], rows)
    for item in report.rejected[:50]:
        print(plain(f"rejected: {item}"), file=sys.stderr)
    for note in [*(note for t in report.tables for note in t.notes), *report.notes]:
        print(plain(f"note: {note}"), file=sys.stderr)
