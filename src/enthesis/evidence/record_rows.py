"""Rows about the search and the screening: what was searched, which records were found, what was decided on each.

A record is one entry of one database or register, as found there: the same paper found in two databases is two records,
and that they are the same is a decision. A decision is a judgement, with its reviewer and reason; two reviewers decide
separately, and a third line of the reviewer `consensus` settles a difference.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from enthesis.evidence.cells import Filled, Key, Row, Text, Whole, Year, cell_error

#: Where a record was found; PRISMA 2020 counts databases, registers and other methods apart.
SearchKind = Literal["database", "register", "website", "organisation", "citations", "other"]
Stage = Literal["duplicate", "automatic", "title-abstract", "retrieval", "full-text", "study"]
Verdict = Literal["include", "exclude", "unclear", "duplicate", "distinct", "retrieved", "not-retrieved", "report-of"]
#: Why a report was excluded, in the order in which criteria are usually read; `other` needs its reason in words.
Exclusion = Literal[
    "", "population", "intervention", "comparator", "outcome", "study-design", "no-results", "publication-type",
    "duplicate-publication", "language", "retracted", "other",
]  # fmt: skip

#: How a record came before the reviewer: a random one says something about those that nobody has seen.
Chosen = Literal["", "ranked", "random"]

#: The verdicts that each stage knows.
VERDICTS: dict[str, tuple[str, ...]] = {
    "duplicate": ("duplicate", "distinct"),
    "automatic": ("exclude",),
    "title-abstract": ("include", "exclude", "unclear"),
    "retrieval": ("retrieved", "not-retrieved"),
    "full-text": ("include", "exclude", "unclear"),
    "study": ("report-of", "distinct"),
}
#: The reviewer whose decision settles a difference.
CONSENSUS = "consensus"


class Search(Row):
    """One search of one database or register on one day."""

    search_id: Key
    kind: SearchKind
    database: Filled
    date: Text = ""
    query: Text = ""
    found: Whole = None
    note: Text = ""


class Record(Row):
    """One entry of a database or register, as found there."""

    record_id: Key
    kind: SearchKind
    database: Filled
    search_id: Text = ""
    pmid: Text = ""
    doi: Text = ""
    nct_id: Text = ""
    title: Filled
    abstract: Text = ""
    authors: Text = ""
    year: Year = None
    journal: Text = ""
    volume: Text = ""
    pages: Text = ""
    language: Text = ""
    publication_types: Text = ""
    keywords: Text = ""
    url: Text = ""
    retracted_by: Text = ""
    concern_by: Text = ""
    corrected_by: Text = ""
    updated_by: Text = ""
    notice_of: Text = ""
    locator: Text = ""


class Decision(Row):
    """What one reviewer decided on a record at one stage; `of` names the other record, or the study."""

    subject: Key
    stage: Stage
    decision: Verdict
    of: Text = ""
    exclusion: Exclusion = ""
    reason: Filled
    reviewer: Filled
    chosen: Chosen = ""

    @model_validator(mode="after")
    def _cells_agree(self) -> Decision:
        known = VERDICTS[self.stage]
        if self.decision not in known:
            raise cell_error(
                f"is not a decision of the stage {self.stage}: {', '.join(known)}",
                "Choose one of these, or another stage.",
                "decision",
            )
        pair = self.stage in ("duplicate", "study")
        if pair != bool(self.of):
            raise cell_error(
                "is empty" if pair else f"is given at the stage {self.stage}",
                "Name the other record or the study at the stages duplicate and study, and only there.",
                "of",
            )
        if self.stage == "full-text" and self.decision == "exclude" and not self.exclusion:
            raise cell_error(
                "is empty", "Give the reason of exclusion by its word: PRISMA counts reports by it.", "exclusion"
            )
        if self.exclusion and self.decision != "exclude":
            raise cell_error("is given, but nothing is excluded", "Leave the cell empty.", "exclusion")
        return self
