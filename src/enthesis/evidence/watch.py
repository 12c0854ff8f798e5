"""Retraction and erratum watch: sources of the evidence that were retracted, questioned, corrected or updated since.

PubMed keeps the notices with the record of the paper (`RetractionIn`, `ErratumIn`, ...) and with that of the notice
(`RetractionOf`, ...); both are read. A notice names the rows that rest on the source. What to do with them is a
person's judgement: nothing is taken out here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from enthesis.evidence.link import plain_id, rows_of, split_ids

if TYPE_CHECKING:
    from enthesis.evidence.view import Evidence


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A source that was retracted, questioned, corrected or updated, with what rests on it.

    Parameters
    ----------
    kind : {"retracted", "expression of concern", "corrected", "updated"}
    source : str
        source_id.
    title : str
    record : str
        record_id that says so.
    told : str
        The notice as the record names it.
    studies : tuple of str
    rows : tuple of str
        Names of the rows that rest on the source: result ids, or file and row.
    """

    kind: Literal["retracted", "expression of concern", "corrected", "updated"]
    source: str
    title: str
    record: str
    told: str
    studies: tuple[str, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Notices on the sources of the evidence, and the sources that no record speaks of."""

    notices: tuple[Notice, ...]
    unwatched: tuple[str, ...]
    watched: int


def watch(evidence: Evidence) -> Watch:
    """Sources of the evidence that a record says were retracted, questioned, corrected or updated.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    Watch
        Retractions first. Only sources with a record in the store can be watched; the others are named.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> watch(bundled_evidence()).notices
    ()
    """
    sources = rows_of(evidence, "sources")
    by_pmid, by_doi = _index(sources, "pmid"), _index(sources, "doi")
    found, seen = [], set()
    for record in rows_of(evidence, "records"):
        mine = {*by_pmid.get(record.get("pmid", ""), ()), *by_doi.get(plain_id(record.get("doi", "")), ())}
        seen |= mine
        told = [(source, kind, text) for source in mine for kind, text in _notices(record)]
        for kind, pmid in re.findall(r"(\w+) PMID (\d+)", record.get("notice_of", "")):
            what = _NOTICE_KINDS.get(kind)
            told += [(source, what, f"{kind} PMID {pmid}") for source in by_pmid.get(pmid, ()) if what]
        found += [(source, kind, record["record_id"], text) for source, kind, text in told]
    titles = {s["source_id"]: s.get("title", "") for s in sources}
    rests = _rests(evidence)
    grouped: dict[tuple[int, str], dict[str, str]] = defaultdict(dict)
    for source, kind, record, text in found:
        grouped[_KINDS.index(kind), source][text] = record
    notices = []
    for (kind, source), told in sorted(grouped.items(), key=lambda item: item[0]):
        studies, rows = rests.get(source, ((), ()))
        notices.append(
            Notice(kind=_KINDS[kind], source=source, title=titles[source], record=next(iter(told.values())),
                   told="; ".join(told), studies=studies, rows=rows)
        )  # fmt: skip
    printed = [s["source_id"] for s in sources if s.get("kind") in ("article", "abstract", "review")]
    return Watch(
        notices=tuple(notices), unwatched=tuple(s for s in printed if s not in seen),
        watched=sum(s in seen for s in printed),
    )  # fmt: skip


_KINDS = ("retracted", "expression of concern", "corrected", "updated")
_COLUMNS = dict(zip(("retracted_by", "concern_by", "corrected_by", "updated_by"), _KINDS))
_NOTICE_KINDS = {
    "RetractionOf": "retracted", "PartialRetractionOf": "retracted", "ExpressionOfConcernFor": "expression of concern",
    "ErratumFor": "corrected", "UpdateOf": "updated",
}  # fmt: skip


def _notices(record: Mapping[str, str]) -> Iterator[tuple[Any, str]]:
    for column, kind in _COLUMNS.items():
        if record.get(column):
            yield kind, record[column]
    if "retracted publication" in record.get("publication_types", "").casefold() and not record.get("retracted_by"):
        yield "retracted", "PubMed's publication type is Retracted Publication"


def _rests(evidence: Evidence) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """By source_id: studies and names of the rows that rest on it."""
    studies: dict[str, dict[str, None]] = defaultdict(dict)
    rows: dict[str, list[str]] = defaultdict(list)
    for name in ("outcomes", "contrasts", "arms", "studies"):
        frame = evidence.table(name)
        ids = frame["result_id"] if "result_id" in frame else [f"{name}.csv:row {row}" for row in frame["file_row"]]
        for source_id, study, id in zip(frame["source_id"], frame["study_id"], ids, strict=True):
            for source in split_ids(source_id):
                studies[source][study] = None
                rows[source].append(id)
    return {source: (tuple(studies[source]), tuple(rows[source])) for source in rows}


def _index(rows: Iterable[Mapping[str, str]], column: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.get(column):
            found[plain_id(row[column])].append(row["source_id"])
    return found
