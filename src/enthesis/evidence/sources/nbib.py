"""NBIB: PubMed's own tagged format (MEDLINE display), read and written.

A field is a tag of up to four letters, filled with blanks, a hyphen and the text: `TI  - A title`; further lines begin
with six blanks. It carries what RIS lacks: registry numbers (`SI`) and notices (`RIN` retraction in, `EIN` erratum in).

Source: MEDLINE/PubMed data element (field) descriptions, https://www.nlm.nih.gov/bsd/mms/medlineelements.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from enthesis.errors import DataError
from enthesis.evidence.sources.records import ReadRecords, Unparsed, clean, doi_in, joined, record_id
from enthesis.evidence.sources.tagged import Fields, decoded, records_of, value, values

#: tags of notices, by the column that keeps them, with the name that PubMed's XML gives the notice
NOTICES: dict[str, dict[str, str]] = {
    "retracted_by": {"RIN": "RetractionIn", "PRIN": "PartialRetractionIn", "RRI": "RetractedandRepublishedIn"},
    "concern_by": {"ECI": "ExpressionOfConcernIn"},
    "corrected_by": {"EIN": "ErratumIn", "CRI": "CorrectedandRepublishedIn"},
    "updated_by": {"UIN": "UpdateIn", "RPI": "RepublishedIn"},
    "notice_of": {
        "ROF": "RetractionOf", "PROF": "PartialRetractionOf", "EFR": "ErratumFor", "ECF": "ExpressionOfConcernFor",
        "UOF": "UpdateOf",
    },
}  # fmt: skip
_LINE = re.compile(r"([A-Z]{2,4}) {0,2}- ?(.*)$")


def parse(content: bytes, name: str = "NBIB file") -> ReadRecords:
    """Records of an NBIB file, as PubMed saves it.

    Parameters
    ----------
    content : bytes
    name : str
        What messages call the file.

    Returns
    -------
    ReadRecords

    Raises
    ------
    DataError
        When it is not an NBIB file.

    Examples
    --------
    >>> parse(b"PMID- 7\\nTI  - A trial\\nSI  - ClinicalTrials.gov/NCT00000001\\n").records[0]["nct_id"]
    'NCT00000001'
    """
    text, encoding = decoded(content, name)
    found, unparsed = records_of(text, _LINE, "PMID")
    if not found:
        raise DataError("holds no NBIB record", file=name, fix="A record begins with a line `PMID- 12345`.")
    records = []
    for line, fields in found:
        pmid = value(fields, "PMID")
        cells = _cells(fields, pmid)
        if not re.fullmatch(r"[0-9]{1,9}", pmid):
            unparsed.append(Unparsed(f"line {line}", f"its PMID {pmid[:20]!r} is not a number"))
        elif not cells["title"]:
            unparsed.append(Unparsed(f"line {line}", f"PMID {pmid} has no title (TI); the file may be cut there"))
        else:
            records.append({**cells, "locator": f"line {line}"})
    notes = (f"{name} was read as {encoding}.",) if encoding != "utf-8" else ()
    return ReadRecords(name, content, tuple(records), tuple(unparsed), notes)


def _cells(fields: Fields, pmid: str) -> dict[str, str]:
    year = re.search(r"\b(19|20)\d\d\b", value(fields, "DP", "DEP"))
    doi = next((doi_in(v) for v in values(fields, "LID", "AID") if v.endswith("[doi]")), "")
    numbers = [v.partition("/")[2] for v in values(fields, "SI") if v.casefold().startswith("clinicaltrials.gov/")]
    return {
        "record_id": record_id("PubMed", pmid),
        "kind": "database",
        "database": "PubMed",
        "pmid": pmid,
        "doi": doi,
        "nct_id": joined(numbers),
        "title": clean(value(fields, "TI", "TT", "BTI")),
        "abstract": clean(value(fields, "AB")),
        "authors": joined([*values(fields, "FAU"), *values(fields, "CN")] or values(fields, "AU")),
        "year": year[0] if year else "",
        "journal": clean(value(fields, "TA", "JT")),
        "volume": value(fields, "VI"),
        "pages": value(fields, "PG"),
        "language": joined(values(fields, "LA")),
        "publication_types": joined(values(fields, "PT")),
        "keywords": joined([*(v.partition("/")[0].lstrip("*") for v in values(fields, "MH")), *values(fields, "OT")]),
        "url": f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/",
        **{
            column: joined(f"{kind} {_notice(v)}" for tag, kind in tags.items() for v in values(fields, tag))
            for column, tags in NOTICES.items()
        },
    }


def _notice(text: str) -> str:
    """`J Title. 2020;1:2. PMID: 123` → `PMID 123`; the citation when it names none."""
    found = re.search(r"PMID:\s*(\d{1,9})", text)
    return f"PMID {found[1]}" if found else text


def write(records: Iterable[Mapping[str, str]]) -> tuple[str, int]:
    """Records that have a PMID as an NBIB file.

    Parameters
    ----------
    records : iterable of mapping
        Rows of the table `records`.

    Returns
    -------
    (str, int)
        The file, and how many records have no PMID and are not in it.

    Examples
    --------
    >>> write([{"pmid": "7", "title": "A trial"}, {"pmid": "", "title": "No"}])
    ('PMID- 7\\nTI  - A trial\\n', 1)
    """
    told, left = [], 0
    for record in records:
        cells = {key: clean(str(text)) for key, text in record.items()}
        if not cells.get("pmid"):
            left += 1
            continue
        doi = cells.get("doi")
        fields = [
            ("PMID", cells["pmid"]), ("TI", cells.get("title")), ("AB", cells.get("abstract")),
            *(("FAU", a) for a in _split(cells.get("authors"))), ("DP", cells.get("year")),
            ("TA", cells.get("journal")), ("VI", cells.get("volume")), ("PG", cells.get("pages")),
            *(("LA", v) for v in _split(cells.get("language"))),
            *(("PT", v) for v in _split(cells.get("publication_types"))), ("LID", f"{doi} [doi]" if doi else ""),
            *(("SI", f"ClinicalTrials.gov/{v}") for v in _split(cells.get("nct_id"))),
            *(("OT", v) for v in _split(cells.get("keywords"))),
            *_notice_fields(cells),
        ]  # fmt: skip
        told.append("\n".join(f"{tag:<4}- {text}" for tag, text in fields if text) + "\n")
    return "\n".join(told), left


def _notice_fields(cells: Mapping[str, str]) -> list[tuple[str, str]]:
    found = []
    for column, tags in NOTICES.items():
        by_kind = {kind: tag for tag, kind in tags.items()}
        for notice in _split(cells.get(column)):
            kind, _, rest = notice.partition(" ")
            if kind in by_kind:
                found.append((by_kind[kind], f"PMID: {rest.removeprefix('PMID ')}" if "PMID" in rest else rest))
    return found


def _split(text: str | None) -> list[str]:
    return [part for part in (text or "").split("; ") if part]
