"""`enthesis import cochrane` and `revman`: the data behind a Cochrane review, as facts and as tables for a network."""

from __future__ import annotations

import csv
import io
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
from enthesis.cli.printing import plain, print_table, progress, writable, write_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from enthesis.evidence.sources.cochrane import CochraneReview

MOST = 128 * 2**20
AnalysisOption = Annotated[
    list[str] | None, typer.Option(help="Analysis for --out, such as 1.1; repeatable.", show_default="none")
]
OutOption = Annotated[
    Path | None, typer.Option(help="Write the analyses as one table for `enthesis fit`.", show_default="none")
]
ReferencesOption = Annotated[
    bool, typer.Option("--references/--no-references", help="Store the references of the included studies as records.")
]


def cochrane(
    file: Annotated[Path, typer.Argument(help="Data package of a Cochrane review (.zip).")],
    analysis: AnalysisOption = None,
    out: OutOption = None,
    references: ReferencesOption = True,
    store: StoreOption = None,
    extractor: ExtractorOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = None,
) -> None:
    """Import the data package of a Cochrane review: analyses, results, study characteristics, risk of bias.

    Results are kept as the review gives them, in tables of their own. With --analysis and --out, analyses of one
    outcome become a table that `enthesis fit` reads.

    Example: enthesis import cochrane CD000001-dataPackage.zip --analysis 1.1 --out aspirin.csv --dry-run
    """
    from enthesis.evidence.sources.cochrane_package import parse

    _import(file, parse, analysis, out, references, store, extractor or "enthesis.evidence.sources.cochrane_package",
            dry_run, as_json)  # fmt: skip


def revman(
    file: Annotated[Path, typer.Argument(help="File of RevMan 5 (.rm5).")],
    analysis: AnalysisOption = None,
    out: OutOption = None,
    references: ReferencesOption = True,
    store: StoreOption = None,
    extractor: ExtractorOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = None,
) -> None:
    """Import a file of RevMan 5: analyses, results, study characteristics, risk of bias; see `import cochrane`.

    Example: enthesis import revman review.rm5 --analysis 1.1 --out aspirin.csv --dry-run
    """
    from enthesis.evidence.sources.revman import parse

    _import(file, parse, analysis, out, references, store, extractor or "enthesis.evidence.sources.revman", dry_run,
            as_json)  # fmt: skip


def _import(
    file: Path, parse: Callable[[bytes, str], CochraneReview], analysis: list[str] | None, out: Path | None,
    references: bool, store: str | None, extractor: str, dry_run: bool, as_json: str | None,
) -> None:  # fmt: skip
    from enthesis.errors import UsageError
    from enthesis.evidence.sources.cochrane import store_review
    from enthesis.evidence.sources.records import store_records

    if (out is None) != (not analysis):
        raise UsageError("--analysis and --out go together: which analyses, and the file for their table.")
    if out is not None:
        writable(out, inputs=(file,))
    with progress("Reading the review") as step:
        step(0, 2, "Reading the review")
        review = parse(source_bytes(file, MOST), file.name)
        rows, notes = review.table(*analysis) if analysis else ([], [])
        step(1, 2, "Storing the review")
        with opened(store, dry_run) as place:
            stored = store_review(place, review, extractor=extractor, dry_run=dry_run)
            records = None
            if references and review.references is not None:
                records = store_records(place, review.references, extractor=extractor, dry_run=dry_run)
            where = place.name
    if out is not None:
        write_text(out, _csv(rows))
    told = {
        "store": where, "dry_run": dry_run, "review": review.id, "title": review.title,
        "analyses": [
            {"analysis": a.id, "name": a.name, "comparison": a.comparison, "kind": a.kind, "measure": a.measure,
             "treatment": a.treatment, "comparator": a.comparator, "results": len(a.results)} for a in review.analyses
        ],
        "tables": {name: vars(added) for name, added in stored.items()},
        "references": records.to_dict() if records else None,
        "table": str(out) if out else None, "notes": notes,
        "unparsed": [{"locator": u.locator, "reason": u.reason} for u in review.unparsed],
    }  # fmt: skip
    if not tell(told, as_json):
        _print(told)
    if review.unparsed:
        raise typer.Exit(BadData)


def _print(told: dict[str, Any]) -> None:
    columns = ["analysis", "name", "comparison", "kind", "measure", "treatment", "comparator", "results"]
    print_table(told["title"] or told["review"], columns, [[a[c] for c in columns] for a in told["analyses"]])
    title = f"{told['store']} (dry run: nothing is stored)" if told["dry_run"] else told["store"]
    counts = ["stored", "superseded", "unchanged"]
    print_table(title, ["table", *counts], [[name, *(t[c] for c in counts)] for name, t in told["tables"].items()])
    for note in told["notes"]:
        print(plain(f"note: {note}"), file=sys.stderr)
    for item in told["unparsed"][:20]:
        print(plain(f"not read: {item['locator']}: {item['reason']}."), file=sys.stderr)
    if len(told["unparsed"]) > 20:
        print(f"and {len(told['unparsed']) - 20} more (all of them with --json)", file=sys.stderr)
    if told["table"]:
        print(plain(f"Written: {told['table']}"))


def _csv(rows: list[dict[str, str]]) -> str:
    from enthesis.report.export import safe_text

    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(list(rows[0]))
    for row in rows:
        writer.writerow([safe_text(text) if name in ("study", "treatment", "comparator") else text
                         for name, text in row.items()])  # fmt: skip
    return stream.getvalue()
