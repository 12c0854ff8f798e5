"""Screening: which records still need a decision, what was decided, and the way to and from other programs.

A record passes the stages in order: duplicate, title and abstract, retrieval, full text. Each reviewer's decision is a
fact of its own, with the reason; when reviewers differ, nothing counts until a decision by `consensus`.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enthesis.errors import DataError, UsageError, unknown_name
from enthesis.evidence.facts import NewRow
from enthesis.evidence.link import SAME_TITLE, kept_records, likeness, plain_id, rows_of
from enthesis.evidence.record_rows import CONSENSUS, VERDICTS
from enthesis.evidence.sources import ris
from enthesis.evidence.sources.adding import Added, add, planned
from enthesis.evidence.sources.csvfile import parse_csv
from enthesis.evidence.sources.records import clean
from enthesis.evidence.store import Store, checked

if TYPE_CHECKING:
    from enthesis.evidence.view import Evidence

#: stages at which a record is included or excluded, in order
READ_AT = ("title-abstract", "full-text")
#: names under which ASReview and its kin keep the label of a record (1 relevant, 0 not)
LABEL_COLUMNS = (
    "asreview_label", "included", "label", "final_included", "label_included", "included_label", "included_final",
    "included_flag", "include",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Screened:
    """A record with where it stands.

    Parameters
    ----------
    cells : mapping
        The row of the table `records`.
    stands_for : str
        record_id of the record that is kept; its own when it is no duplicate.
    verdicts : mapping
        By stage, what counts: a decision, or "conflict" when reviewers differ.
    exclusion : str
        The word of the reason for which it was excluded, at the stage that excluded it.
    """

    cells: Mapping[str, str]
    stands_for: str
    verdicts: Mapping[str, str]
    exclusion: str = ""

    @property
    def id(self) -> str:
        """record_id."""
        return self.cells["record_id"]

    @property
    def duplicate(self) -> bool:
        """Whether another record stands for it."""
        return self.stands_for != self.id


def screened(evidence: Evidence) -> tuple[Screened, ...]:
    """Every record with what was decided on it, in the order in which they were imported.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> screened(bundled_evidence())
    ()
    """
    by_subject: dict[tuple[str, str], dict[str, Mapping[str, str]]] = defaultdict(dict)
    for line in rows_of(evidence, "decisions"):
        by_subject[line["subject"], line["stage"]][line["reviewer"]] = line
    kept = kept_records(evidence)
    found = []
    for cells in rows_of(evidence, "records"):
        id, verdicts, exclusion = cells["record_id"], {}, ""
        for stage in ("automatic", "title-abstract", "retrieval", "full-text"):
            lines = by_subject.get((id, stage))
            if lines:
                verdicts[stage] = _settled({name: line["decision"] for name, line in lines.items()})
                if verdicts[stage] == "exclude":
                    exclusion = _reason_word(lines)
        found.append(Screened(cells=cells, stands_for=kept[id], verdicts=verdicts, exclusion=exclusion))
    return tuple(found)


def _settled(by_reviewer: Mapping[str, str]) -> str:
    if CONSENSUS in by_reviewer:
        return by_reviewer[CONSENSUS]
    return next(iter(by_reviewer.values())) if len(set(by_reviewer.values())) == 1 else "conflict"


def _reason_word(lines: Mapping[str, Mapping[str, str]]) -> str:
    if CONSENSUS in lines:
        return lines[CONSENSUS].get("exclusion", "")
    words = [line.get("exclusion", "") for line in lines.values()]
    return next((word for word in words if word), "")


def queue(evidence: Evidence, *, stage: str = "title-abstract", reviewer: str = "") -> tuple[Screened, ...]:
    """Records that wait for a decision at a stage: no duplicates, not excluded before, not decided yet.

    Parameters
    ----------
    evidence : Evidence
    stage : {"title-abstract", "retrieval", "full-text"}
    reviewer : str
        With a name: records on which this reviewer has not decided, though another may have.

    Returns
    -------
    tuple of Screened
    """
    if stage not in ("title-abstract", "retrieval", "full-text"):
        raise unknown_name("stage with a queue", stage, ("title-abstract", "retrieval", "full-text"))
    mine = {
        line["subject"]
        for line in rows_of(evidence, "decisions")
        if line["stage"] == stage and reviewer and line["reviewer"] == reviewer
    }
    return tuple(
        record
        for record in screened(evidence)
        if not record.duplicate
        and _arrived(record, stage)
        and (record.id not in mine if reviewer else stage not in record.verdicts)
    )


def _arrived(record: Screened, stage: str) -> bool:
    if record.verdicts.get("automatic") == "exclude":
        return False
    if stage == "title-abstract":
        return True
    if record.verdicts.get("title-abstract") not in ("include", "unclear"):
        return False
    return stage == "retrieval" or record.verdicts.get("retrieval") != "not-retrieved"


def decide(
    store: Store,
    record: str,
    decision: str,
    *,
    reviewer: str,
    reason: str,
    stage: str = "title-abstract",
    exclusion: str = "",
    of: str = "",
    chosen: str = "",
    dry_run: bool = False,
) -> int:
    """Store what a reviewer decided on a record; the reviewer's earlier decision at that stage is superseded.

    Parameters
    ----------
    store : Store
    record : str
        record_id.
    decision, stage, exclusion : str
        Words of the dictionary (`evidence/record_rows.py`).
    reviewer, reason : str
    of : str
        The record that is kept (stage `duplicate`) or the study (stage `study`).
    chosen : {"", "ranked", "random"}
        How the record came before the reviewer.
    dry_run : bool
        Check only.

    Returns
    -------
    int
        The fact; 0 for a dry run.

    Raises
    ------
    UsageError
        When the record, the other record or the study does not exist.
    DataError
        When the decision does not fit its stage, or an exclusion has no reason.
    """
    evidence = store.evidence()
    records = [r["record_id"] for r in rows_of(evidence, "records")]
    if record not in records:
        raise unknown_name("record", record, records)
    if stage not in VERDICTS:
        raise unknown_name("stage", stage, VERDICTS)
    if stage == "duplicate" and of == record:
        raise UsageError(f"{record} cannot be a duplicate of itself. Name the record that is kept with `of`.")
    if of and stage == "duplicate" and of not in records:
        raise unknown_name("record", of, records)
    if of and stage == "study" and of not in (known := [s["study_id"] for s in rows_of(evidence, "studies")]):
        raise unknown_name("study", of, known)
    cells = {
        "subject": record, "stage": stage, "decision": decision, "of": of, "exclusion": exclusion, "reason": reason,
        "reviewer": reviewer, "chosen": chosen,
    }  # fmt: skip
    cells = {name: text for name, text in cells.items() if text}
    if dry_run:
        checked("decisions", cells)
        return 0
    return store.judge("decisions", cells, author=reviewer, reason=reason)


def decide_many(
    store: Store, labels: Labels, content: bytes, name: str, *, reviewer: str, dry_run: bool = False
) -> Added:
    """Store the labels of another program's file as this reviewer's decisions on title and abstract.

    Parameters
    ----------
    store : Store
    labels : Labels
        Of `read_labels`.
    content, name : bytes, str
        The file as it came, which is kept, and its name.
    reviewer : str
    dry_run : bool

    Returns
    -------
    Added
    """
    rows = []
    for at, (record, (label, note)) in enumerate(labels.found.items(), start=1):
        cells = {
            "subject": record, "stage": "title-abstract", "decision": "include" if label == "1" else "exclude",
            "reason": clean(note) or f"labelled in {clean(name)[:100]}", "reviewer": reviewer, "chosen": "ranked",
        }  # fmt: skip
        checked("decisions", cells)
        rows.append(NewRow("decisions", cells, file=clean(name)[:200], file_row=at))
    with store.writing(extractor=reviewer) as writer:
        plan = planned(writer.chains("decisions"), rows)
        if dry_run:
            return plan.counts
        return add(writer, plan, writer.put_bytes(content, name=clean(name)[:200]))


# To and from ASReview


def write_csv(records: Iterable[Screened], labels: Mapping[str, str]) -> str:
    """Records as ASReview reads them: one row each, `included` is 1, 0, or empty where nothing is decided.

    Parameters
    ----------
    records : iterable of Screened
    labels : mapping
        Of `labels_of`.

    Returns
    -------
    str
    """
    columns = ("record_id", "title", "abstract", "authors", "year", "journal", "keywords", "doi", "pmid", "url")
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*columns, "included"])
    for record in records:
        writer.writerow([*(_formula_safe(record.cells.get(c, "")) for c in columns), labels.get(record.id, "")])
    return stream.getvalue()


def _formula_safe(text: str) -> str:
    """A spreadsheet runs text that begins like a formula; a blank before it reads the same elsewhere."""
    return f" {text}" if text.startswith(("=", "+", "-", "@")) else text


def labels_of(records: Iterable[Screened], *, stage: str = "title-abstract") -> dict[str, str]:
    """By record_id, "1" or "0" for the records that a settled decision includes or excludes at a stage."""
    words = {"include": "1", "exclude": "0"}
    found = {record.id: words.get(record.verdicts.get(stage, ""), "") for record in records}
    return {id: label for id, label in found.items() if label}


@dataclass(frozen=True)
class Labels:
    """Decisions read from another program's file: record_id → ("1" or "0", note), and what matched no record."""

    found: Mapping[str, tuple[str, str]]
    unmatched: tuple[str, ...]
    unlabelled: int


def read_labels(content: bytes, name: str, evidence: Evidence) -> Labels:
    """Labels of a file that ASReview exported (CSV or RIS), matched to the records of the store.

    Parameters
    ----------
    content : bytes
    name : str
        Its name; `.ris` is read as RIS, everything else as CSV.
    evidence : Evidence

    Returns
    -------
    Labels
        A record is matched by `record_id`, else by PMID, DOI, or its title when only one record has it.
    """
    if name.casefold().endswith(".ris"):
        read = ris.parse(content, name, database="ASReview")
        lines = [(r, read.labels.get(r["record_id"], ""), "") for r in read.records]
        lines = [({**r, "record_id": ""}, label, note) for r, label, note in lines]
    else:
        lines = _csv_lines(content, name)
    known = _Known(rows_of(evidence, "records"), kept_records(evidence))
    found, unmatched, unlabelled = {}, [], 0
    for cells, label, note in lines:
        if label not in ("0", "1"):
            unlabelled += 1
            continue
        record = known.match(cells)
        if record:
            found[record] = (label, note)
        else:
            unmatched.append(cells.get("title", "") or cells.get("record_id", "") or "a row without a title")
    return Labels(found, tuple(unmatched), unlabelled)


def _csv_lines(content: bytes, name: str) -> list[tuple[dict[str, str], str, str]]:
    sheet = parse_csv(content, name)
    folded = [column.casefold().strip() for column in sheet.header]
    label = next((c for c in LABEL_COLUMNS if c in folded), "")
    if not label:
        raise DataError(
            "has no column of labels",
            file=name,
            row=1,
            fix=f"Name it included (1 or 0). Known: {', '.join(LABEL_COLUMNS)}.",
        )
    lines = []
    for row, cells in sheet.rows:
        read = dict(zip(folded, cells))
        text = {"1.0": "1", "0.0": "0", "-1": "", "-1.0": "", "nan": ""}.get(read[label].strip(), read[label].strip())
        if text not in ("", "0", "1"):
            raise DataError("is not 1, 0 or empty", file=name, row=row, column=label, value=text,
                            fix="Write 1 for relevant, 0 for not relevant, and nothing for not seen.")  # fmt: skip
        read["title"] = read.get("title") or read.get("primary_title", "")
        lines.append((read, text, read.get("asreview_note", "")))
    return lines


class _Known:
    """Records by what identifies them."""

    def __init__(self, records: list[dict[str, str]], kept: Mapping[str, str]) -> None:
        self.titles = {r["record_id"]: r.get("title", "") for r in records}
        self.by: dict[tuple[str, str], list[str]] = defaultdict(list)
        for r in records:
            self.by["record_id", r["record_id"]].append(r["record_id"])
            for column in ("pmid", "doi"):
                if r.get(column):
                    self.by[column, plain_id(r[column])].append(r["record_id"])
            if kept[r["record_id"]] == r["record_id"]:
                self.by["title", _letters(r.get("title", ""))].append(r["record_id"])

    def match(self, cells: Mapping[str, str]) -> str:
        """The one record that the cells speak of; empty when there is none, or more than one."""
        keys = [("record_id", cells.get("record_id", "").strip())]
        keys += [(c, plain_id(cells[c].removesuffix(".0"))) for c in ("pmid", "doi") if cells.get(c)]
        keys += [("title", _letters(cells.get("title", "")))]
        for column, key in keys:
            ids = self.by.get((column, key), []) if key else []
            if len(ids) > 1 and column == "doi":
                ids = [id for id in ids if self._title(id, cells.get("title", ""))]
            if len(ids) == 1:
                return ids[0]
        return ""

    def _title(self, id: str, title: str) -> bool:
        return likeness(self.titles[id], title) >= SAME_TITLE


def _letters(title: str) -> str:
    return "".join(mark for mark in title.casefold() if mark.isalnum())


__all__ = [
    "LABEL_COLUMNS", "Labels", "Screened", "decide", "decide_many", "labels_of", "queue", "read_labels", "screened",
    "write_csv",
]  # fmt: skip
