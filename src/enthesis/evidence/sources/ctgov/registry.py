"""The registry itself: fetch a record, search, and list what is new or updated since the last look.

    client = registry()
    fetched = fetch(client, "NCT02552212")
    import_bytes(store, fetched.content, fetched.name)

The address is a setting (ENTHESIS_CTGOV), so that another server can stand in. Every pull keeps the registry's own date
of its data. New and updated are judged by the registry's dates and never by this machine's clock.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from enthesis.errors import DataError, UsageError
from enthesis.evidence.facts import Fact
from enthesis.evidence.sources.ctgov.keep import EXTRACTOR
from enthesis.evidence.sources.ctgov.record import Log, Node, records
from enthesis.evidence.sources.ctgov.study import NCT
from enthesis.evidence.sources.fetch import Client, FetchError
from enthesis.evidence.sources.records import ReadRecords, RecordReport, record_id, store_records
from enthesis.evidence.store import Store

ADDRESS = "https://clinicaltrials.gov/api/v2"
DATABASE = "ClinicalTrials.gov"
#: Records on a page of a search, and most pages that are asked for.
PAGE, MAX_PAGES = 200, 100

_FIELDS = (
    "NCTId", "BriefTitle", "OfficialTitle", "Acronym", "OverallStatus", "LastUpdatePostDate", "ResultsFirstPostDate",
    "StudyFirstPostDate", "HasResults", "Phase", "Condition", "InterventionName", "StudyType", "BriefSummary",
)  # fmt: skip


def registry(address: str | None = None, **settings: Any) -> Client:
    """The client of the registry: at most one request a second.

    Parameters
    ----------
    address : str, optional
        Default: the environment variable ENTHESIS_CTGOV, else ClinicalTrials.gov.
    **settings
        Of `Client`.

    Examples
    --------
    >>> registry("https://clinicaltrials.gov/api/v2").pause
    1.0
    """
    return Client(address or os.environ.get("ENTHESIS_CTGOV") or ADDRESS, **settings)


@dataclass(frozen=True)
class Fetched:
    """The bytes of a record as they came.

    Attributes
    ----------
    asked, nct_id : str
        The number that was asked for, and the number of the record: they differ when a number is obsolete.
    content : bytes
    data_timestamp : str
        The registry's date of its data.
    """

    asked: str
    nct_id: str
    content: bytes
    data_timestamp: str

    @property
    def name(self) -> str:
        """A name for the document, with the registry's date."""
        return f"{self.nct_id}.json, {DATABASE} data of {self.data_timestamp or 'an unknown date'}"


def number(text: str) -> str:
    """An NCT number in capitals.

    Raises
    ------
    UsageError
        When the text is none.

    Examples
    --------
    >>> number("nct02552212")
    'NCT02552212'
    """
    found = text.strip().upper()
    if not NCT.match(found):
        raise UsageError(f"{text[:40]!r} is not an NCT number: these are NCT and eight digits, such as NCT02552212.")
    return found


def data_timestamp(client: Client) -> str:
    """The registry's date of its data."""
    found = client.get("version", kind="json").json()
    stamp = found.get("dataTimestamp") if isinstance(found, dict) else None
    if not isinstance(stamp, str) or len(stamp) > 40 or not stamp.isprintable():
        raise DataError("holds no dataTimestamp", file=client.address("version"), fix="Check the address.")
    return stamp


def fetch(client: Client, nct_id: str, *, stamp: str | None = None) -> Fetched:
    """Fetch one record.

    Parameters
    ----------
    client : Client
    nct_id : str
    stamp : str, optional
        The registry's date of its data, when it was asked for already.

    Returns
    -------
    Fetched

    Raises
    ------
    FetchError
        When the registry cannot be reached, or has no such record.
    DataError
        When the answer is no record.
    """
    asked = number(nct_id)
    when = data_timestamp(client) if stamp is None else stamp
    answer = client.get(f"studies/{asked}", {"format": "json"}, kind="json")
    (record,) = _records(answer.content, answer.url, 1)
    found = Node(record, "", Log())["protocolSection"]["identificationModule"]["nctId"].text()
    return Fetched(asked, number(found), answer.content, when)


def _records(content: bytes, url: str, count: int) -> list[dict[str, Any]]:
    found = records(content, url)
    if len(found) != count:
        raise DataError(f"holds {len(found)} records, not {count}", file=url)
    return found


@dataclass(frozen=True)
class Entry:
    """A record as a search lists it, and whether it is new, updated or unchanged since the last look."""

    nct_id: str
    title: str
    status: str
    updated: str
    results: str
    state: str = "new"
    before: str = ""


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    query : str
    total : int
        As the registry counts.
    data_timestamp : str
    entries : tuple of Entry
    cells : tuple of dict
        Rows of the table `records`.
    content : bytes
        All pages, one on a line.
    notes : tuple of str
    """

    query: str
    total: int
    data_timestamp: str
    entries: tuple[Entry, ...]
    cells: tuple[dict[str, str], ...]
    content: bytes
    notes: tuple[str, ...] = ()

    @property
    def search_id(self) -> str:
        """The name of the search: the same for the same words."""
        return f"clinicaltrials-gov:{hashlib.sha256(self.query.encode()).hexdigest()[:12]}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "search_id": self.search_id,
            "query": self.query,
            "total": self.total,
            "data_timestamp": self.data_timestamp,
            **{s: [vars(e) for e in self.entries if e.state == s] for s in ("new", "updated")},
            "unchanged": sum(entry.state == "unchanged" for entry in self.entries),
            "notes": list(self.notes),
        }


def search(
    client: Client,
    condition: str = "",
    intervention: str = "",
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> Found:
    """Search by condition and intervention, through all pages.

    Parameters
    ----------
    client : Client
    condition, intervention : str
        In the registry's own words for searching; at least one.
    progress : callable, optional
        Called with (records read, records in all, what is done).

    Returns
    -------
    Found
    """
    asked = {"query.cond": condition.strip(), "query.intr": intervention.strip()}
    params = {name: text for name, text in asked.items() if text}
    if not params:
        raise UsageError("Name a condition or an intervention to search for.")
    stamp = data_timestamp(client)
    query = "; ".join(f"{name}={text}" for name, text in sorted(params.items()))
    return _pages(client, {**params, "fields": "|".join(_FIELDS), "pageSize": str(PAGE)}, query, stamp, progress)


def _pages(
    client: Client,
    params: dict[str, str],
    query: str,
    stamp: str,
    progress: Callable[[int, int, str], None] | None = None,
) -> Found:
    found: dict[str, tuple[Entry, dict[str, str]]] = {}
    pages: list[bytes] = []
    notes: list[str] = []
    token, total, again = "", 0, False
    while len(pages) < MAX_PAGES:
        try:
            answer = client.get("studies", {**params, "countTotal": "true", "pageToken": token} if token else {
                **params, "countTotal": "true"}, kind="json")  # fmt: skip
        except FetchError:
            # page tokens die when the registry is refreshed: then the search begins again, once
            if not token or again:
                raise
            found, pages, token, again = {}, [], "", True
            notes.append("The registry was refreshed in between: the search began again.")
            continue
        page = answer.json()
        if not isinstance(page, dict) or not isinstance(page.get("studies"), list):
            raise DataError("is no page of a search: it has no list of studies", file=answer.url)
        pages.append(answer.content.replace(b"\r", b" ").replace(b"\n", b" "))
        total = page["totalCount"] if isinstance(page.get("totalCount"), int) else total
        for place, record in enumerate(page["studies"]):
            entry = _entry(record, f"page {len(pages)}, /studies/{place}")
            if entry is None:
                notes.append(f"Page {len(pages)}, entry {place + 1} is no record and was not read.")
            else:
                found.setdefault(entry[0].nct_id, entry)
        if progress:
            progress(len(found), total or len(found), "Reading the search")
        following = page.get("nextPageToken")
        if not isinstance(following, str) or not following:
            break
        if following == token:
            raise DataError("names itself as the next page", file=answer.url)
        token = following
    else:
        notes.append(f"Only the first {MAX_PAGES} pages were read. Search for something narrower.")
    if total and total != len(found):
        notes.append(f"The registry counts {total} records; {len(found)} were read.")
    entries, cells = zip(*found.values()) if found else ((), ())
    return Found(query, total or len(found), stamp, entries, cells, b"\n".join(pages), tuple(notes))


def _entry(record: Any, place: str) -> tuple[Entry, dict[str, str]] | None:
    root = Node(record, "", Log())
    protocol = root["protocolSection"]
    identity, status = protocol["identificationModule"], protocol["statusModule"]
    nct_id = identity["nctId"].text().upper()
    if not NCT.match(nct_id):
        return None
    title = identity["officialTitle"].text() or identity["briefTitle"].text() or nct_id
    updated = status["lastUpdatePostDateStruct"]["date"].text()[:10]
    results = status["resultsFirstPostDateStruct"]["date"].text()[:10]
    first = status["studyFirstPostDateStruct"]["date"].text()
    arms = protocol["armsInterventionsModule"]["interventions"].items()
    cells = {
        "record_id": record_id(DATABASE, nct_id),
        "kind": "register",
        "database": DATABASE,
        "nct_id": nct_id,
        "title": title[:1000],
        "abstract": protocol["descriptionModule"]["briefSummary"].text()[:10_000],
        "year": first[:4] if first[:4].isdecimal() and "1900" <= first[:4] <= "2100" else "",
        "keywords": "; ".join(protocol["conditionsModule"]["conditions"].texts()[:50]),
        "interventions": "; ".join(arm["name"].text() for arm in arms)[:2000],
        "url": f"https://clinicaltrials.gov/study/{nct_id}",
        "status": status["overallStatus"].text()[:40],
        "updated": updated,
        "results_posted": results,
        "locator": place,
    }
    return Entry(nct_id, cells["title"], cells["status"], updated, results), cells


def look(store: Store, found: Found, *, dry_run: bool = False) -> tuple[Found, RecordReport]:
    """Compare a search with what the store knows, and store it: what is new or updated since the last look.

    Parameters
    ----------
    store : Store
    found : Found
    dry_run : bool
        Compare only.

    Returns
    -------
    tuple of (Found, RecordReport)
        The entries with their state, and what became of the rows of `records`.
    """
    known = {
        cells.get("nct_id", ""): cells.get("updated", "")
        for cells in (fact.cells() for fact in store.evidence().facts if fact.table == "records")
        if cells.get("database") == DATABASE
    }
    entries = tuple(_stated(entry, known) for entry in found.entries)
    row = {
        "search_id": found.search_id,
        "kind": "register",
        "database": DATABASE,
        "date": found.data_timestamp[:10],
        "query": found.query,
        "found": str(len(found.entries)),
        "note": f"data of {found.data_timestamp}",
    }
    rows = ReadRecords(f"{found.search_id}.jsonl", found.content, found.cells, notes=found.notes)
    report = store_records(store, rows, extractor=EXTRACTOR, search=row, dry_run=dry_run)
    return Found(**{**vars(found), "entries": entries}), report


def _stated(entry: Entry, known: dict[str, str]) -> Entry:
    if entry.nct_id not in known:
        return entry
    before = known[entry.nct_id]
    return Entry(**{**vars(entry), "state": "unchanged" if before == entry.updated else "updated", "before": before})


def stored(store: Store, nct_id: str) -> tuple[bytes, str] | None:
    """The bytes of a record that was imported last, and its date of the last update; None when none was."""
    facts = store.evidence().facts
    mine = [f for f in facts if f.source_id == f"ctgov_{nct_id}" and f.extractor == EXTRACTOR and f.document]
    if not mine:
        return None
    content = store.get_bytes(max(mine, key=_recorded).document)
    for record in records(content, nct_id):
        protocol = Node(record, "", Log())["protocolSection"]
        if protocol["identificationModule"]["nctId"].text().upper() == nct_id:
            return content, protocol["statusModule"]["lastUpdatePostDateStruct"]["date"].text()
    return None


def _recorded(fact: Fact) -> int:
    return fact.id


def updates(client: Client, nct_ids: Iterable[str]) -> dict[str, str]:
    """The date of the last update of each record, by its number; a number that the registry lacks is not in it."""
    wanted, found = list(dict.fromkeys(map(number, nct_ids))), {}
    stamp = today()
    for start in range(0, len(wanted), 100):
        some = wanted[start : start + 100]
        params = {"filter.ids": ",".join(some), "fields": "NCTId|LastUpdatePostDate", "pageSize": "100"}
        found.update({entry.nct_id: entry.updated for entry in _pages(client, params, "", stamp).entries})
    return found


def today() -> str:
    """The day in UTC."""
    return datetime.now(UTC).date().isoformat()
