"""RIS: the records that databases and reference managers export, read and written.

A field is a tag of two letters, two blanks, a hyphen and the text: `TI  - A title`. Readers of the wild: one blank
instead of two, other encodings, abstracts broken over lines. A record without its end (`ER`) is not taken: it may be
cut.

Source: the tags as Research Information Systems, EndNote, Zotero and ASReview use them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from enthesis.errors import DataError, UsageError
from enthesis.evidence.sources.records import NCT, ReadRecords, Unparsed, clean, doi_in, joined, record_id
from enthesis.evidence.sources.tagged import Fields, decoded, records_of, value, values

#: labels that ASReview keeps in notes
LABELS = {"ASReview_relevant": "1", "ASReview_irrelevant": "0"}

#: a blank before and after the hyphen: a line of an abstract that begins with `IL-17` is no field
_LINE = re.compile(r"\s{0,3}([A-Z][A-Z0-9]) {1,3}-(?:\s+|$)(.*)$")
_TYPES = {
    "JOUR": "Journal Article", "CONF": "Congress", "CPAPER": "Congress", "ABST": "Abstract", "CHAP": "Book Chapter",
    "BOOK": "Book", "THES": "Thesis", "RPRT": "Report", "UNPB": "Unpublished", "GEN": "",
}  # fmt: skip


def parse(content: bytes, name: str = "RIS file", *, database: str = "", kind: str = "database") -> ReadRecords:
    """Records of a RIS file.

    Parameters
    ----------
    content : bytes
    name : str
        What messages call the file.
    database : str
        Where the records were found; without it each record must say so itself (`DB`, `DP`).
    kind : str
        `database`, `register`, `website`, `organisation`, `citations` or `other`: PRISMA counts them apart.

    Returns
    -------
    ReadRecords

    Raises
    ------
    DataError
        When it is not a RIS file.
    UsageError
        When neither the file nor the caller says where the records were found.

    Examples
    --------
    >>> parse(b"TY  - JOUR\\nTI  - A trial\\nAN  - L1\\nER  - \\n", database="Embase").records[0]["record_id"]
    'embase:L1'
    """
    text, encoding = decoded(content, name)
    found, unparsed = records_of(text, _LINE, "TY", "ER")
    if not found and not any(u.reason.startswith("the record has no end") for u in unparsed):
        raise DataError("holds no RIS record", file=name, fix="A record begins with a line `TY  - JOUR`.")
    records, labels = [], {}
    for line, fields in found:
        where = database or value(fields, "DB", "DP")
        if not where:
            raise UsageError(
                f"{name}, line {line}: the record does not say which database it is from (DB). Name it with --database."
            )
        cells = _cells(fields, where, kind)
        if cells["title"]:
            records.append({**cells, "locator": f"line {line}"})
            words = " ".join(values(fields, "N1")).split()
            if label := next((LABELS[word] for word in words if word in LABELS), ""):
                labels[cells["record_id"]] = label
        else:
            unparsed.append(Unparsed(f"line {line}", "the record has no title (TI)"))
    notes = (f"{name} was read as {encoding}.",) if encoding != "utf-8" else ()
    return ReadRecords(name, content, tuple(records), tuple(unparsed), notes, labels)


def _cells(fields: Fields, database: str, kind: str) -> dict[str, str]:
    title = clean(value(fields, "TI", "T1", "CT", "ST", "BT"))
    year = re.search(r"\b(19|20)\d\d\b", " ".join(values(fields, "PY", "Y1", "DA", "Y2")))
    doi = doi_in(" ".join(values(fields, "DO", "M3", "UR", "L3")))
    pmid = next((m[1] for v in values(fields, "C7", "M2", "AN", "N1") if (m := _pmid(v, database))), "")
    accession = pmid if database.casefold() in ("pubmed", "medline") and pmid else value(fields, "AN")
    if not accession:  # a reference manager counts its own records there, and each library begins at 1
        accession = next((v for v in values(fields, "U1", "ID") if not v.isdigit()), "")
    start, end = value(fields, "SP"), value(fields, "EP")
    return {
        "record_id": record_id(database, accession, doi or title, "" if doi else (year[0] if year else "")),
        "kind": kind,
        "database": database,
        "pmid": pmid,
        "doi": doi,
        "nct_id": joined(n for v in values(fields, "AN", "N1", "U1", "C1", "ID") for n in NCT.findall(v)),
        "title": title,
        "abstract": clean(value(fields, "AB", "N2")),
        "authors": joined(values(fields, "AU", "A1")),
        "year": year[0] if year else "",
        "journal": clean(value(fields, "JO", "JF", "T2", "JA", "J2")),
        "volume": value(fields, "VL"),
        "pages": f"{start}-{end}" if start and end and "-" not in start else start,
        "language": value(fields, "LA"),
        "publication_types": _TYPES.get(value(fields, "TY"), value(fields, "TY")),
        "keywords": joined(values(fields, "KW")),
        "url": next((u for u in values(fields, "UR", "L2") if u.startswith(("http://", "https://"))), ""),
    }


def _pmid(text: str, database: str) -> re.Match[str] | None:
    if database.casefold() in ("pubmed", "medline"):
        return re.fullmatch(r"(?:PMID:?\s*)?(\d{1,9})", text.strip())
    return re.search(r"\bPMID:?\s*(\d{1,9})\b", text)


def write(records: Iterable[Mapping[str, str]], *, labels: Mapping[str, str] | None = None) -> str:
    """Records as a RIS file.

    Parameters
    ----------
    records : iterable of mapping
        Rows of the table `records`.
    labels : mapping, optional
        `included` by record_id, "1" or "0"; written as ASReview's notes, and as not seen where there is none.

    Returns
    -------
    str

    Examples
    --------
    >>> write([{"record_id": "pubmed:7", "database": "PubMed", "title": "A trial"}]).splitlines()[1]
    'TI  - A trial'
    """
    words = {number: word for word, number in LABELS.items()}
    lines: list[str] = []
    for record in records:
        cells = {key: clean(str(text)) for key, text in record.items()}
        accession = cells.get("record_id", "").partition(":")[2]
        start, _, end = cells.get("pages", "").partition("-")
        fields = [
            ("TI", cells.get("title")), *(("AU", a) for a in _split(cells.get("authors"))), ("PY", cells.get("year")),
            ("JO", cells.get("journal")), ("VL", cells.get("volume")), ("SP", start), ("EP", end),
            ("AB", cells.get("abstract")), ("DO", cells.get("doi")), ("LA", cells.get("language")),
            ("DB", cells.get("database")), ("AN", "" if accession.startswith("h-") else accession),
            *(("KW", k) for k in _split(cells.get("keywords"))), ("UR", cells.get("url")),
            *(("N1", n) for n in _split(cells.get("nct_id"))),
            ("N1", f"PMID: {cells['pmid']}" if cells.get("pmid") else ""),
        ]  # fmt: skip
        if labels is not None:
            fields.append(("N1", words.get(labels.get(record["record_id"], ""), "ASReview_not_seen")))
        kinds = _split(cells.get("publication_types"))
        lines.append(
            f"TY  - {next((k for k, v in _TYPES.items() if v and v in kinds), 'GEN' if not kinds else 'JOUR')}"
        )
        lines += [f"{tag}  - {text}" for tag, text in fields if text]
        lines += ["ER  - ", ""]
    return "\n".join(lines)


def _split(text: str | None) -> list[str]:
    return [part for part in (text or "").split("; ") if part]
