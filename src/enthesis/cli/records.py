"""`enthesis records`: what the store holds of the literature: records, duplicates, reports of studies, retractions."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, writable, write_text

app = typer.Typer(no_args_is_help=True, help="Records: duplicates, reports of studies, retracted sources, export.")

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="ENTHESIS_STORE", help="SQLite file or postgresql:// URL.", show_default="user data folder"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
DecidedOption = Annotated[bool, typer.Option("--decided", help="Also those that a person decided on already.")]
WATCHED = 4


@app.command("list")
def list_records(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the searches, and count the records by where they were found and where they stand.

    Example: enthesis records list --store review.sqlite
    """
    from enthesis.evidence.screening import screened

    evidence, where = evidence_of(store)
    found = screened(evidence)
    by: dict[tuple[str, str], list[Any]] = {}
    for record in found:
        by.setdefault((record.cells["kind"], record.cells["database"]), []).append(record)
    rows = [
        {"kind": kind, "database": database, "records": len(its), "duplicates": sum(r.duplicate for r in its),
         "included": sum(r.verdicts.get("title-abstract") == "include" for r in its),
         "excluded": sum(r.verdicts.get("title-abstract") == "exclude" for r in its),
         "conflicts": sum("conflict" in r.verdicts.values() for r in its)}
        for (kind, database), its in by.items()
    ]  # fmt: skip
    searches = cells_of(evidence, "searches")
    told = {"store": where, "records": len(found), "databases": rows, "searches": searches}
    if as_json:
        print_json(told)
        return
    columns = ["database", "date", "found", "query", "note"]
    print_table("Searches", columns, [[s.get(c, "") for c in columns] for s in searches])
    print_table(where, list(rows[0]) if rows else [], [list(row.values()) for row in rows])
    print(f"{len(found)} records")


@app.command()
def duplicates(store: StoreOption = None, decided: DecidedOption = False, as_json: JsonOption = False) -> None:
    """Propose records that are the same report, with the reason and how sure it is; a person decides.

    Decide with: enthesis screen decide RECORD duplicate --stage duplicate --of OTHER.

    Example: enthesis records duplicates --store review.sqlite
    """
    from enthesis.evidence.link import duplicates as proposed

    evidence, where = evidence_of(store)
    titles = {r["record_id"]: r.get("title", "") for r in cells_of(evidence, "records")}
    found = [
        {**asdict(d), "title": titles[d.record], "other_title": titles[d.other]}
        for d in proposed(evidence, decided=decided)
    ]
    if as_json:
        print_json({"store": where, "duplicates": found})
        return
    columns = ["certainty", "record", "other", "reason", "title", "other_title"]
    print_table(where, columns, [[d[c] for c in columns] for d in found])
    print(f"{len(found)} pairs to decide on" if found else "No pair of records looks like one report.")


@app.command()
def links(store: StoreOption = None, decided: DecidedOption = False, as_json: JsonOption = False) -> None:
    """Propose which study each record is a report of, with the reason and how sure it is; a person decides.

    Decide with: enthesis screen decide RECORD report-of --stage study --of STUDY.

    Example: enthesis records links --store review.sqlite
    """
    from enthesis.evidence.link import report_links

    evidence, where = evidence_of(store)
    titles = {r["record_id"]: r.get("title", "") for r in cells_of(evidence, "records")}
    found = [{**asdict(link), "title": titles[link.record]} for link in report_links(evidence, decided=decided)]
    if as_json:
        print_json({"store": where, "links": found})
        return
    columns = ["certainty", "record", "study", "reason", "title"]
    print_table(where, columns, [[link[c] for c in columns] for link in found])
    print(f"{len(found)} links to decide on" if found else "No record looks like a report of a study.")


@app.command()
def watch(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Name every source that was retracted, questioned or corrected, and the rows that rest on it.

    Fetch the records of the sources first: enthesis import pubmed --sources. Exit code 4 when a source that carries
    rows was retracted or is under an expression of concern.

    Example: enthesis records watch --store review.sqlite
    """
    from enthesis.evidence.watch import watch as watched

    evidence, where = evidence_of(store)
    found = watched(evidence)
    told = {"store": where, "notices": [asdict(n) for n in found.notices], "watched": found.watched,
            "unwatched": list(found.unwatched)}  # fmt: skip
    if as_json:
        print_json(told)
    else:
        for notice in found.notices:
            print(plain(f"{notice.kind}: {notice.source}, {notice.title}"))
            print(plain(f"  {notice.told} (record {notice.record}); studies: {', '.join(notice.studies) or 'none'}"))
            print(plain(f"  {len(notice.rows)} rows rest on it: {', '.join(notice.rows) or 'none'}"))
        quiet = (
            ""
            if found.notices or not found.watched
            else " None of them is retracted, questioned, corrected or updated."
        )
        print(f"{found.watched} of {found.watched + len(found.unwatched)} printed sources have a record.{quiet}")
        if found.unwatched:
            print("The others cannot be watched: give them a PMID, and import their records with --sources.")
    if any(n.rows and n.kind in ("retracted", "expression of concern") for n in found.notices):
        raise typer.Exit(WATCHED)


@app.command()
def write(
    out: Annotated[Path, typer.Argument(help="File to write: .ris or .nbib.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the records of the store, without the decided duplicates, for a reference manager.

    Example: enthesis records write records.ris --store review.sqlite
    """
    from enthesis.errors import UsageError
    from enthesis.evidence.screening import screened
    from enthesis.evidence.sources import nbib, ris

    writable(out)
    evidence, where = evidence_of(store)
    records = [r.cells for r in screened(evidence) if not r.duplicate]
    left = 0
    if out.suffix.lower() == ".ris":
        text = ris.write(records)
    elif out.suffix.lower() == ".nbib":
        text, left = nbib.write(records)
    else:
        raise UsageError(f"{plain(out)!r} must end in .ris or .nbib: the ending says what is written.")
    write_text(out, text)
    if as_json:
        print_json({"store": where, "written": len(records) - left, "left_out": left, "file": str(out)})
        return
    print(plain(f"{len(records) - left} records written to {out}"))
    if left:
        print(f"{left} records have no PMID, which this format needs; .ris holds them all.")


def evidence_of(store: str | None) -> tuple[Any, str]:
    """The evidence of the store, and its name; while the user's own store does not exist, the bundled evidence."""
    import sys

    from enthesis.evidence import Store, bundled_evidence, default_place

    where = str(store or default_place())
    if not store and "://" not in where and not Path(where).exists():
        print(f"No store at {plain(where)} yet: showing the evidence that ships with enthesis.", file=sys.stderr)
        return bundled_evidence(), "bundled"
    with Store.open(where, create=False) as opened:
        return opened.evidence(), opened.name


def cells_of(evidence: Any, name: str) -> list[dict[str, str]]:
    """The rows of a table as text cells."""
    return [fact.cells() for fact in evidence.facts if fact.table == name]


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))
