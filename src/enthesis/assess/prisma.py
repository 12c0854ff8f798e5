"""PRISMA counts: how many records were found, screened and excluded, and how many studies a review holds.

Every number follows from facts (searches, records, decisions, studies, results), from the run's networks, or from a
statement of a person in the review's `prisma.toml`, and says which. What no fact tells stays unknown: a number of
records is never estimated, and an empty table of records is not a search that found nothing.

Source: Page MJ et al., BMJ 2021;372:n71 (PRISMA 2020); the keys are those of the R package PRISMA2020 (Haddaway NR et
al., Campbell Syst Rev 2022;18:e1230).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enthesis.errors import DataError, unknown_name
from enthesis.evidence.link import rows_of, split_ids, verdicts
from enthesis.evidence.screening import Screened, screened
from enthesis.evidence.watch import Watch, watch

if TYPE_CHECKING:
    from enthesis.evidence import Evidence

From = Literal["records", "decisions", "evidence", "networks", "stated", "unknown"]

#: what each count is, by its key in the PRISMA2020 package, in the order of the diagram
KEYS: dict[str, str] = {
    "previous_studies": "Studies in the previous version of the review",
    "previous_reports": "Reports of studies in the previous version",
    "database_results": "Records from databases",
    "register_results": "Records from registers",
    "website_results": "Records from websites",
    "organisation_results": "Records from organisations",
    "citations_results": "Records from citation searching",
    "duplicates": "Duplicate records removed",
    "excluded_automatic": "Records marked as ineligible by automation tools",
    "excluded_other": "Records removed for other reasons",
    "records_screened": "Records screened",
    "records_excluded": "Records excluded",
    "dbr_sought_reports": "Reports sought",
    "dbr_notretrieved_reports": "Reports not retrieved",
    "other_sought_reports": "Reports sought (other methods)",
    "other_notretrieved_reports": "Reports not retrieved (other methods)",
    "dbr_assessed": "Reports assessed for eligibility",
    "dbr_excluded": "Reports excluded",
    "other_assessed": "Reports assessed for eligibility (other methods)",
    "other_excluded": "Reports excluded (other methods)",
    "new_studies": "Studies included in the review",
    "new_reports": "Reports of the included studies",
    "total_studies": "Studies in the review, with the previous version",
    "total_reports": "Reports of them",
    "total_studies_ma": "Studies in a network of this review",
}
_FOUND = {"database": "database_results", "register": "register_results", "website": "website_results",
          "organisation": "organisation_results", "citations": "citations_results"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Count:
    """One number of the flow: None when nothing tells it. `why` says where it comes from, or why it is unknown."""

    key: str
    n: int | None
    source: From
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """The flow of records into a review.

    Parameters
    ----------
    counts : tuple of Count
        One per key of `KEYS`, in that order.
    reasons, other_reasons : tuple of (str, int)
        Why reports were excluded at full text, most frequent first: from databases and registers, from other methods.
    databases : tuple of (str, str, int)
        Kind, name and number of records of each place searched.
    searches : tuple of mapping
        Rows of the table `searches`.
    notes : tuple of str
        What a reader should know about the numbers.
    watch : Watch
        Sources of the evidence that were retracted, questioned, corrected or updated.
    """

    counts: tuple[Count, ...]
    reasons: tuple[tuple[str, int], ...] = ()
    other_reasons: tuple[tuple[str, int], ...] = ()
    databases: tuple[tuple[str, str, int], ...] = ()
    searches: tuple[Mapping[str, str], ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = ()
    watch: Watch = field(default_factory=lambda: Watch(notices=(), unwatched=(), watched=0))

    def __getitem__(self, key: str) -> Count:
        for count in self.counts:
            if count.key == key:
                return count
        raise unknown_name("count", key, KEYS)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Keys whose number nothing tells."""
        return tuple(count.key for count in self.counts if count.n is None)


class Stated(BaseModel):
    """A number that a person states, since no fact tells it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    key: Literal[tuple(KEYS)]  # type: ignore[valid-type]
    n: Annotated[int, Field(ge=0, le=10**9)]
    by: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]


class Settings(BaseModel):
    """What `prisma.toml` holds: notes on the search, and numbers that a person states."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    notes: tuple[str, ...] = ()
    stated: tuple[Stated, ...] = ()
    answers: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)


def read_settings(path: Path) -> Settings:
    """The settings of a review's PRISMA part.

    Raises
    ------
    DataError
        When the file cannot be read, or a key or a number in it is wrong.
    """
    from enthesis.network.settings import read_toml

    try:
        return Settings.model_validate(read_toml(path))
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{where}: {first['msg']}", file=path.name, fix="See docs/how-to/screen-records.md.") from None


def compute(run: Any, settings: Path, done: Mapping[str, Any]) -> Flow:
    """The flow of a run: its part `prisma`.

    Parameters
    ----------
    run : Run
    settings : Path
        `prisma.toml` of the review.
    done : mapping
        Parts computed before; not used.

    Returns
    -------
    Flow
    """
    networks = {study for answer in run.answers if answer.network is not None for study in answer.selection.studies}
    return flow(run.evidence, networks=networks, settings=read_settings(settings))


def flow(evidence: Evidence, *, networks: set[str] | None = None, settings: Settings | None = None) -> Flow:
    """PRISMA counts of an evidence.

    Parameters
    ----------
    evidence : Evidence
    networks : set of str, optional
        Studies in a network; None when no network was built.
    settings : Settings, optional

    Returns
    -------
    Flow

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> found = flow(bundled_evidence())
    >>> found["database_results"].n is None, found["new_studies"].n > 100
    (True, True)
    """
    settings = settings or Settings()
    found, notes = {}, list(settings.notes)
    records = screened(evidence)
    if records:
        found, more = _of_records(records)
        notes += more
    found |= _of_studies(evidence, networks)
    reasons = {key: _reasons(its) for key, its in _split(records).items()} if records else {}
    for stated in settings.stated:
        if found.get(stated.key) is not None and found[stated.key].n is not None:
            notes.append(
                f"{KEYS[stated.key]}: {stated.n:,} stated by {stated.by} is not used, since the facts tell "
                f"{found[stated.key].n:,}."
            )
            continue
        why = f"stated by {stated.by}: {stated.reason}"
        found[stated.key] = Count(key=stated.key, n=stated.n, source="stated", why=why)
    _add_previous(found)
    searches = rows_of(evidence, "searches")
    notes += _search_notes(searches, records)
    unknown = "the review's evidence holds no record of it"
    return Flow(
        counts=tuple(found.get(key, Count(key=key, n=None, source="unknown", why=unknown)) for key in KEYS),
        reasons=reasons.get("dbr", ()), other_reasons=reasons.get("other", ()),
        databases=tuple((kind, name, n) for (kind, name), n in sorted(
            Counter((r.cells["kind"], r.cells["database"]) for r in records).items())),
        searches=tuple(searches), notes=tuple(notes), watch=watch(evidence),
    )  # fmt: skip


def _split(records: tuple[Screened, ...]) -> dict[str, list[Screened]]:
    """Records of databases and registers, and those of other methods: PRISMA draws them apart."""
    main = [r for r in records if r.cells["kind"] in ("database", "register")]
    return {"dbr": main, "other": [r for r in records if r not in main]}


def _of_records(records: tuple[Screened, ...]) -> tuple[dict[str, Count], list[str]]:
    counts: dict[str, Count] = {}

    def put(key: str, n: int, source: From = "decisions") -> None:
        counts[key] = Count(key=key, n=n, source=source, why=f"counted from the {source} in the store")

    by_kind = Counter(r.cells["kind"] for r in records)
    parts = _split(records)
    for kind, key in _FOUND.items():
        if kind in ("database", "register") or by_kind[kind]:
            put(key, by_kind[kind], "records")
    main = parts["dbr"]
    left = [r for r in main if not r.duplicate]
    put("duplicates", len(main) - len(left))
    automatic = [r for r in left if r.verdicts.get("automatic") == "exclude"]
    put("excluded_automatic", len(automatic))
    read = [r for r in left if "title-abstract" in r.verdicts]
    put("records_screened", len(read))
    put("records_excluded", sum(r.verdicts["title-abstract"] == "exclude" for r in read))
    for prefix, its in parts.items():
        passed = [
            r for r in its if not r.duplicate
            and (prefix == "other" or r.verdicts.get("title-abstract") in ("include", "unclear"))
            and r.verdicts.get("title-abstract") != "exclude"
        ]  # fmt: skip
        if prefix == "other" and not its:
            continue
        assessed = [r for r in passed if "full-text" in r.verdicts]
        put(f"{prefix}_sought_reports", len(passed))
        put(f"{prefix}_notretrieved_reports", sum(r.verdicts.get("retrieval") == "not-retrieved" for r in passed))
        put(f"{prefix}_assessed", len(assessed))
        put(f"{prefix}_excluded", sum(r.verdicts["full-text"] == "exclude" for r in assessed))
    return counts, _record_notes(left, automatic, read)


def _record_notes(left: list[Screened], automatic: list[Screened], read: list[Screened]) -> list[str]:
    waiting = len(left) - len(automatic) - len([r for r in read if r not in automatic])
    conflicts = sum("conflict" in r.verdicts.values() for r in left)
    notes = []
    if waiting:
        notes.append(f"{waiting:,} records wait for a decision on title and abstract: the screening is not finished.")
    unread = sum(
        r.verdicts.get("title-abstract") in ("include", "unclear") and "full-text" not in r.verdicts
        and r.verdicts.get("retrieval") != "not-retrieved" for r in left
    )  # fmt: skip
    if unread:
        notes.append(f"{unread:,} reports wait for a decision on the full text.")
    if conflicts:
        notes.append(f"{conflicts:,} records have decisions that differ and no consensus; they count as screened only.")
    return notes


def _reasons(records: list[Screened]) -> tuple[tuple[str, int], ...]:
    words = Counter(
        (r.exclusion or "reason not given").replace("-", " ")
        for r in records
        if not r.duplicate and r.verdicts.get("full-text") == "exclude"
    )
    return tuple(sorted(words.items(), key=lambda item: (-item[1], item[0])))


def _of_studies(evidence: Evidence, networks: set[str] | None) -> dict[str, Count]:
    """Studies with at least one result, their reports, and those in a network."""
    whole = {s["study_id"]: s.get("part_of") or s["study_id"] for s in rows_of(evidence, "studies")}
    rows = [row for name in ("outcomes", "contrasts") for row in rows_of(evidence, name)]
    studies = {whole.get(row["study_id"], row["study_id"]) for row in rows}
    reports = {source for row in rows for source in split_ids(row.get("source_id", ""))}
    linked = {record for record, _ in verdicts(evidence, "study", "report-of")}
    counts = {}
    if studies:
        why = "studies of the evidence with at least one result; a trial reported by populations counts once"
        counts["new_studies"] = Count(key="new_studies", n=len(studies), source="evidence", why=why)
        more = f"; {len(linked):,} records are linked to a study by decision" if linked else ""
        why = f"documents that carry a result{more}"
        counts["new_reports"] = Count(key="new_reports", n=len(reports), source="evidence", why=why)
    if networks is not None:
        n = len({whole.get(study, study) for study in networks})
        why = "studies in at least one network; a trial reported by populations counts once"
        counts["total_studies_ma"] = Count(key="total_studies_ma", n=n, source="networks", why=why)
    return counts


def _add_previous(found: dict[str, Count]) -> None:
    """Totals with the previous version, when a person stated how many studies it had; else those of this one."""
    for what in ("studies", "reports"):
        new, before = found.get(f"new_{what}"), found.get(f"previous_{what}")
        if new is None or new.n is None or f"total_{what}" in found:
            continue
        total = Count(key=f"total_{what}", n=new.n, source=new.source, why=new.why)
        if before is not None and before.n is not None and new.source == "evidence":
            fresh = max(new.n - before.n, 0)
            why = "those of the evidence, less those of the previous version"
            found[f"new_{what}"] = Count(key=f"new_{what}", n=fresh, source=new.source, why=why)
        found[f"total_{what}"] = total


def _search_notes(searches: list[dict[str, str]], records: tuple[Screened, ...]) -> list[str]:
    stored = Counter(r.cells.get("search_id", "") for r in records)
    notes = []
    for search in searches:
        told, mine = search.get("found", ""), stored[search["search_id"]]
        if told and float(told) != mine:
            notes.append(
                f"The search {search['search_id']} found {float(told):,.0f} records; {mine:,} are stored under it (a "
                "record that an earlier search found too stays with that one)."
            )
    return notes


__all__ = ["KEYS", "Count", "Flow", "Settings", "Stated", "compute", "flow", "read_settings"]
