"""`enthesis import pubmed`, `ris`, `nbib`: bibliographic records, from files or from PubMed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    tell_records,
)
from enthesis.cli.printing import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from enthesis.evidence.sources.records import ReadRecords

Kind = Literal["database", "register", "website", "organisation", "citations", "other"]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to read.")]
MOST = 128 * 2**20


def pubmed(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="PubMed XML files.", show_default="none")
    ] = None,
    query: Annotated[str | None, typer.Option(help="Search PubMed in its syntax and fetch what it finds.")] = None,
    pmid: Annotated[list[str] | None, typer.Option(help="Fetch this record; repeatable.")] = None,
    sources: Annotated[
        bool, typer.Option("--sources", help="Fetch the records of the sources in the store, to watch for retractions.")
    ] = False,
    store: StoreOption = None,
    extractor: ExtractorOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = None,
    server: Annotated[str | None, typer.Option(help="Address of E-utilities.", hidden=True)] = None,
) -> None:
    """Import PubMed records: from XML files, by a search, by number, or those of the sources in the store.

    The search is kept with its date, its words and how many it found. Each batch is stored as it comes, so an
    interrupted import goes on where it stopped: records that are there already add nothing.

    Example: enthesis import pubmed --query "spondylitis AND upadacitinib" --store review.sqlite --dry-run
    """
    from datetime import UTC, datetime

    from enthesis.errors import UsageError
    from enthesis.evidence.sources import eutils
    from enthesis.evidence.sources.pubmed import parse
    from enthesis.evidence.sources.records import store_records

    if sum(bool(way) for way in (files, query, pmid, sources)) != 1:
        raise UsageError("give PubMed XML files, or --query, or --pmid, or --sources: one of them.")
    if files:
        _import(files, parse, store, extractor or "enthesis.evidence.sources.pubmed", dry_run, as_json, None)
        return
    http = eutils.client(server or eutils.BASE)
    search, reports = None, []
    with opened(store, dry_run) as place, progress("Asking PubMed") as step:
        if query is not None:
            found = eutils.find(http, query)
            search, ids = found.row(datetime.now(UTC).date().isoformat()), list(found.ids)
            if not dry_run:
                _keep_search(place, search, found.content, extractor)
        else:
            ids = list(pmid) if pmid else _source_ids(place)
        for at, (name, content) in enumerate(eutils.fetch(http, ids)):
            step(at * eutils.BATCH, len(ids), f"Storing {name}")
            reports.append(
                store_records(place, parse(content, name), extractor=extractor or "enthesis.evidence.sources.pubmed",
                              search=search, dry_run=dry_run).to_dict()
            )  # fmt: skip
        where = place.name
    missing = len(ids) - sum(r["read"] for r in reports)
    told = {
        "store": where,
        "dry_run": dry_run,
        "search": search,
        "asked": len(ids),
        "missing": missing,
        "files": reports,
    }
    if not tell(told, as_json):
        if search is not None:
            print(f"PubMed finds {search['found']} records. {search['note']}".strip())
        tell_records(reports, where, dry_run)
        if missing > 0:
            print(f"{missing} of {len(ids)} records did not come.")


def ris(
    files: Files,
    database: Annotated[
        str, typer.Option(help="Where the records were found, such as Embase.", show_default="what each record says")
    ] = "",
    kind: Annotated[Kind, typer.Option(help="How PRISMA counts it.")] = "database",
    query: Annotated[str, typer.Option(help="The search that found them, to be kept.", show_default="none")] = "",
    date: Annotated[str, typer.Option(help="Day of the search, YYYY-MM-DD.", show_default="not stated")] = "",
    store: StoreOption = None,
    extractor: ExtractorOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = None,
) -> None:
    """Import RIS files, as databases and reference managers export them.

    Example: enthesis import ris embase.ris --database Embase --query "spondylitis AND janus" --date 2026-01-15
    """
    from enthesis.evidence.sources.ris import parse

    def read(content: bytes, name: str) -> ReadRecords:
        return parse(content, name, database=database, kind=kind)

    search = _search(database, kind, query, date)
    _import(files, read, store, extractor or "enthesis.evidence.sources.ris", dry_run, as_json, search)


def nbib(
    files: Files,
    query: Annotated[str, typer.Option(help="The search that found them, to be kept.", show_default="none")] = "",
    date: Annotated[str, typer.Option(help="Day of the search, YYYY-MM-DD.", show_default="not stated")] = "",
    store: StoreOption = None,
    extractor: ExtractorOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = None,
) -> None:
    """Import NBIB files, as PubMed saves a search.

    Example: enthesis import nbib pubmed-set.nbib --store review.sqlite
    """
    from enthesis.evidence.sources.nbib import parse

    search = _search("PubMed", "database", query, date)
    _import(files, parse, store, extractor or "enthesis.evidence.sources.nbib", dry_run, as_json, search)


def _search(database: str, kind: str, query: str, date: str) -> dict[str, str] | None:
    from datetime import date as day
    from hashlib import sha256

    from enthesis.errors import UsageError
    from enthesis.evidence.sources.records import record_id

    if not query and not date:
        return None
    if not database:
        raise UsageError("a search is kept with its database: name it with --database.")
    if date:
        try:
            if day.fromisoformat(date).isoformat() != date:  # it also reads 20260115 and 2026-W03-4
                raise ValueError
        except ValueError:
            raise UsageError(f"{date[:20]!r} is not a day. Write it as 2026-01-15.") from None
    slug = record_id(database, "x").partition(":")[0]
    id = f"{slug}-{date or 'undated'}-{sha256(query.encode()).hexdigest()[:8]}"
    return {"search_id": id, "kind": kind, "database": database, "date": date, "query": query}


def _import(
    files: list[Path],
    parse: Callable[[bytes, str], ReadRecords],
    store: str | None,
    extractor: str,
    dry_run: bool,
    as_json: str | None,
    search: dict[str, str] | None,
) -> None:
    """Read files and store their records; files are read before anything is stored."""
    from enthesis.evidence.sources.records import store_records

    with progress("Reading") as step:
        found = list(_read(files, parse, step))
        reports = []
        with opened(store, dry_run) as place:
            for at, read in enumerate(found):
                step(at, len(found), f"Storing {read.file}")
                reports.append(
                    store_records(place, read, extractor=extractor, search=search, dry_run=dry_run).to_dict()
                )
            where = place.name
    told: dict[str, Any] = {"store": where, "dry_run": dry_run, "search": search, "files": reports}
    if not tell(told, as_json):
        tell_records(reports, where, dry_run)
    if any(r["unparsed"] for r in reports):
        raise typer.Exit(BadData)


def _read(files: list[Path], parse: Callable[[bytes, str], ReadRecords], step: Any) -> Iterator[ReadRecords]:
    for at, path in enumerate(files):
        step(at, len(files), f"Reading {path.name}")
        yield parse(source_bytes(path, MOST), path.name)


def _source_ids(place: Any) -> list[str]:
    from enthesis.errors import UsageError

    sources = place.evidence().sources
    ids = [str(pmid).strip() for pmid in sources["pmid"] if str(pmid).strip().isdigit()]
    if not ids:
        raise UsageError(f"no source in {place.name} has a PMID: fill the column pmid of the table sources.")
    return ids


def _keep_search(place: Any, search: dict[str, str], content: bytes, extractor: str | None) -> None:
    """Keep a search with PubMed's answer to it; one that finds nothing is a result too."""
    from enthesis.evidence.sources.records import ReadRecords, store_records

    store_records(
        place, ReadRecords("PubMed search", content, ()), search=search,
        extractor=extractor or "enthesis.evidence.sources.pubmed",
    )  # fmt: skip
