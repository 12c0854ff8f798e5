"""Bibliographic records on their way into the store: what every reader of records returns, and how it is stored.

A reader is a pure function of bytes. What it cannot read is returned beside the records with a reason, never dropped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from enthesis.errors import UsageError, shortened
from enthesis.evidence.facts import NewRow
from enthesis.evidence.rows import TABLES
from enthesis.evidence.sources.adding import Added, add, planned
from enthesis.evidence.store import Store, Writer

#: a registry number of ClinicalTrials.gov
NCT = re.compile(r"\bNCT\d{8}\b")
_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"<>]+", re.IGNORECASE)


@dataclass(frozen=True)
class Unparsed:
    """Something in a source that did not become a row: where, and why."""

    locator: str
    reason: str


@dataclass(frozen=True)
class ReadRecords:
    """What a reader of records found.

    Parameters
    ----------
    file : str
        Name of the source.
    content : bytes
        The source as it came.
    records : tuple of dict
        Cells of the table `records`, one dictionary per record.
    unparsed : tuple of Unparsed
    notes : tuple of str
    labels : dict of str to str
        By record_id, "1" or "0", where a screening program wrote whether the record is relevant.
    """

    file: str
    content: bytes = field(repr=False)
    records: tuple[Mapping[str, str], ...]
    unparsed: tuple[Unparsed, ...] = ()
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordReport:
    """What became of the records of a source: read = stored + superseded + unchanged + repeated."""

    file: str
    read: int
    added: Added
    repeated: int
    unparsed: tuple[Unparsed, ...]
    notes: tuple[str, ...]
    document: str
    snapshot: int
    dry_run: bool = False

    def to_dict(self) -> dict[str, object]:
        """As plain values for JSON."""
        return {
            "file": self.file,
            "dry_run": self.dry_run,
            "read": self.read,
            "stored": self.added.stored,
            "superseded": self.added.superseded,
            "unchanged": self.added.unchanged,
            "repeated": self.repeated,
            "unparsed": [{"locator": u.locator, "reason": u.reason} for u in self.unparsed],
            "notes": list(self.notes),
            "document": self.document,
            "snapshot": self.snapshot,
        }


def store_records(
    store: Store, found: ReadRecords, *, extractor: str, search: Mapping[str, str] | None = None, dry_run: bool = False
) -> RecordReport:
    """Store records: the bytes first, then one fact per record; a record that is there already adds nothing.

    Parameters
    ----------
    store : Store
    found : ReadRecords
    extractor : str
        Who or what read them.
    search : mapping, optional
        A row of the table `searches` that found them.
    dry_run : bool
        Say what would be stored, and store nothing.

    Returns
    -------
    RecordReport
    """
    rows, unparsed, repeated = _rows(found, search)
    with store.writing(extractor=extractor) as writer:
        chains = writer.chains("records")
        rows = [_with_known(row, chains) for row in rows]
        plan, digest = planned(chains, rows), ""
        if not dry_run:
            digest = writer.put_bytes(found.content, name=found.file)
            if search is not None:
                _add_search(writer, search, found.file, digest)
            add(writer, plan, digest)
    return RecordReport(
        file=found.file, read=len(found.records), added=plan.counts, repeated=repeated,
        unparsed=(*found.unparsed, *unparsed), notes=found.notes, document=digest, snapshot=writer.snapshot.number,
        dry_run=dry_run,
    )  # fmt: skip


def _rows(found: ReadRecords, search: Mapping[str, str] | None) -> tuple[list[NewRow], list[Unparsed], int]:
    spec, rows, unparsed, repeated = TABLES["records"], {}, [], 0
    for at, record in enumerate(found.records, start=1):
        cells = {name: clean(text) for name, text in record.items() if text}
        if search is not None:
            cells["search_id"] = search["search_id"]
        problems = spec.problems(cells)
        if problems:
            first = problems[0]
            where = cells.get("locator") or f"record {at}"
            unparsed.append(Unparsed(where, f"{first.column} {first.value[:80]!r} {first.reason}. {first.fix}"))
        elif cells["record_id"] in rows:
            other = rows[cells["record_id"]].cells
            if _words(other.get("title", "")) == _words(cells.get("title", "")):
                repeated += 1
            else:
                where = cells.get("locator") or f"record {at}"
                told = f"{cells['record_id']} is also the number of another record here ({other.get('locator', '')})"
                unparsed.append(Unparsed(where, f"{told}, with the title {shortened(other.get('title', ''))!r}"))
        else:
            rows[cells["record_id"]] = NewRow("records", cells, file=found.file, file_row=at)
    return list(rows.values()), unparsed, repeated


def _words(title: str) -> list[str]:
    return re.findall(r"\w+", title.casefold())


def _with_known(row: NewRow, chains: Mapping[str, list]) -> NewRow:
    """A record with what a file said of it before and this one does not: RIS knows no retractions, PubMed's XML does.

    The search and the place that found it first stay: finding it again is no news about it.
    """
    facts = [fact for chain in chains.get(row.key, ())[:1] for fact in chain if fact.file]
    if not facts or facts[-1].withdrawn:
        return row
    old = facts[-1].cells()
    first = {name: old[name] for name in ("search_id", "locator") if name in old}
    return NewRow("records", old | dict(row.cells) | first, file=row.file, file_row=row.file_row)


def _add_search(writer: Writer, search: Mapping[str, str], file: str, digest: str) -> None:
    cells = {name: clean(text) for name, text in search.items() if text}
    for problem in TABLES["searches"].problems(cells):
        raise UsageError(f"the search cannot be kept: {problem.column} {problem.reason}. {problem.fix}")
    row = NewRow("searches", cells, file=file, file_row=1)
    add(writer, planned(writer.chains("searches"), [row]), digest)


def clean(text: str) -> str:
    """Text on one line, without control characters.

    Examples
    --------
    >>> clean("one\\n  line\\x00")
    'one line'
    """
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())


def record_id(database: str, accession: str, *parts: str) -> str:
    """The name of a record: database and accession number, or a hash of what identifies it when it has none.

    Examples
    --------
    >>> record_id("PubMed", "12345")
    'pubmed:12345'
    >>> record_id("Embase", "", "A title", "2020").startswith("embase:h-")
    True
    """
    slug = re.sub(r"[^a-z0-9]+", "-", database.casefold()).strip("-")[:40] or "other"
    accession = accession.strip()
    if re.fullmatch(r"[!-~]{1,70}", accession):
        return f"{slug}:{accession}"
    text = accession or "\x1f".join(" ".join(part.casefold().split()) for part in parts)
    return f"{slug}:h-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"


def doi_in(text: str) -> str:
    """The first DOI in a text, in lower case and without a closing mark; empty when there is none.

    Examples
    --------
    >>> doi_in("https://doi.org/10.1000/ABC.1).")
    '10.1000/abc.1'
    """
    found = _DOI.search(text)
    return found[0].rstrip(".,;:)]}'").casefold() if found else ""


def joined(values: Iterable[str], mark: str = "; ") -> str:
    """Values once each, in order, with their separator; a separator within a value becomes a comma."""
    kept = dict.fromkeys(value.replace(mark.strip(), ",") for value in map(clean, values) if value)
    return mark.join(kept)
