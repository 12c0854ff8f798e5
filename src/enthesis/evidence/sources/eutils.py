"""Fetch from PubMed by E-utilities: a search gives numbers, and numbers give XML for `pubmed.parse`.

Without a key NCBI allows three requests a second, with one (environment variable NCBI_API_KEY) ten. A search answers at
most its first 10,000 records.

Source: E-utilities help (NCBI), https://www.ncbi.nlm.nih.gov/books/NBK25499/.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enthesis.errors import UsageError, shortened
from enthesis.evidence.sources.fetch import FetchError
from enthesis.evidence.sources.records import clean
from enthesis.evidence.sources.xmlfile import parse_xml, text_of

if TYPE_CHECKING:
    from enthesis.evidence.sources.fetch import Client

BASE = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
#: the most records that a search of PubMed answers
MOST = 10_000
#: records asked for at once: the address stays short, an answer below a few MB
BATCH = 200


@dataclass(frozen=True)
class Found:
    """What a search of PubMed found.

    Parameters
    ----------
    ids : tuple of str
        PMIDs.
    count : int
        How many PubMed says there are.
    query, translation : str
        As asked, and as PubMed understood it.
    warnings : tuple of str
    content : bytes
        The answer as it came.
    """

    ids: tuple[str, ...]
    count: int
    query: str
    translation: str
    warnings: tuple[str, ...]
    content: bytes

    def row(self, date: str) -> dict[str, str]:
        """The search as a row of the table `searches`."""
        digest = hashlib.sha256(self.query.encode()).hexdigest()[:8]
        note = f"PubMed read it as: {self.translation}" if self.translation else ""
        return {
            "search_id": f"pubmed-{date}-{digest}",
            "kind": "database",
            "database": "PubMed",
            "date": date,
            "query": self.query,
            "found": str(self.count),
            "note": " ".join([note, *self.warnings]).strip(),
        }


def client(base: str = BASE, key: str | None = None) -> Client:
    """A client for E-utilities that keeps to the pace NCBI allows."""
    from enthesis.evidence.sources.fetch import Client

    key = os.environ.get("NCBI_API_KEY", "") if key is None else key
    return Client(base, pause=0.11 if key else 0.34)


def find(http: Client, query: str) -> Found:
    """Search PubMed.

    Parameters
    ----------
    http : Client
    query : str
        In PubMed's own syntax.

    Returns
    -------
    Found

    Raises
    ------
    UsageError
        When the query is empty, or finds more than can be fetched.
    FetchError, DataError
        When PubMed cannot be asked, or refuses the query.
    """
    query = " ".join(query.split())
    if not query:
        raise UsageError("the query is empty. Write it as in PubMed's search box.")
    answer = http.get("esearch.fcgi", {"db": "pubmed", "term": query, "retmax": str(MOST), **_who()})
    root = parse_xml(answer.content, "PubMed's answer", ("eSearchResult",), "an answer of PubMed")
    error = text_of(root.find("ERROR"))
    if error:
        raise FetchError(f"PubMed refused the search: {shortened(error, 200)}")
    ids = tuple(i for i in map(text_of, root.findall("IdList/Id")) if re.fullmatch(r"\d{1,9}", i))
    told = text_of(root.find("Count"))
    count = int(told) if re.fullmatch(r"\d{1,9}", told) else len(ids)
    if count > MOST:
        raise UsageError(
            f"the search finds {count:,} records, and PubMed gives at most {MOST:,} of one search. Narrow it, for "
            'example by years: AND 2015:2020[dp]. Run several; a record found twice is stored once.'
        )  # fmt: skip
    warnings = [
        f"{_words(e.tag)}: {clean(text_of(e))}."
        for path in ("WarningList/*", "ErrorList/*")
        for e in root.findall(path)
        if text_of(e)
    ]
    return Found(ids, count, query, text_of(root.find("QueryTranslation")), tuple(warnings), answer.content)


def fetch(http: Client, ids: Sequence[str], *, batch: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Records of PubMed by number, a batch at a time.

    Yields
    ------
    (str, bytes)
        A name for the answer, and PubMed XML for `pubmed.parse`.
    """
    wanted, batch = list(dict.fromkeys(ids)), batch or BATCH
    for pmid in wanted:
        if not re.fullmatch(r"\d{1,9}", pmid):
            raise UsageError(f"{shortened(pmid, 40)!r} is not a PMID: PubMed's numbers have up to 9 digits.")
    for start in range(0, len(wanted), batch):
        its = wanted[start : start + batch]
        answer = http.get("efetch.fcgi", {"db": "pubmed", "id": ",".join(its), "retmode": "xml", **_who()})
        yield f"PubMed {its[0]} to {its[-1]}" if len(its) > 1 else f"PubMed {its[0]}", answer.content


def _who() -> dict[str, str]:
    """What NCBI asks every program to say of itself."""
    said = {"tool": "enthesis"}
    if key := os.environ.get("NCBI_API_KEY", ""):
        said["api_key"] = key
    return said


def _words(tag: object) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(tag)).casefold()


__all__ = ["BASE", "Found", "client", "fetch", "find"]
