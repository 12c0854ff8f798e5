"""The two times of evidence: when something was published, and when this store came to know it.

`published_by(evidence, date)` keeps the rows whose sources were public on a date; judgements are those of today.
`known_at(store, date)` is the snapshot as it was recorded then, with the judgements of then.

When a source was public. A date given for it (`published` in its row, or "results first posted YYYY-MM-DD" in its note)
is used. A source of which only the year is known counts from the last day of that year: earlier would let in what
nobody could read, and the ends of years are then exact. For a source without a year, that of the study which the row
is about stands in; without that too, the row is in no look into the past. A row read from several sources is visible
when all of them are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from enthesis.errors import UsageError, shortened
from enthesis.evidence.facts import Fact, facts_hash
from enthesis.evidence.rows import TABLES
from enthesis.evidence.snapshot import Snapshot
from enthesis.evidence.view import Evidence

if TYPE_CHECKING:
    from enthesis.evidence import Store

_POSTED = re.compile(r"\bfirst posted (\d{4}-\d{2}-\d{2})", re.IGNORECASE)
_YEAR = re.compile(r"(?:18|19|20|21)\d\d")
#: what a study reports
_RESULTS = ("outcomes", "contrasts")


def published_by(evidence: Evidence, when: str | date) -> Evidence:
    """The evidence as far as it was public on a date.

    Parameters
    ----------
    evidence : Evidence
    when : str or date
        ISO 8601; a year, or a year and month, stands for its last day.

    Returns
    -------
    Evidence
        At the same snapshot number, with a hash of its own.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> then = published_by(bundled_evidence(), "2018")
    >>> "SELECT-AXIS-1" in set(then.outcomes.study_id), "TOFA-AS-P2" in set(then.outcomes.study_id)
    (False, True)
    """
    day = parsed(when)
    dates = source_dates(evidence)
    cells = {fact.id: fact.cells() for fact in evidence.facts}
    of_study = {
        cells[f.id].get("study_id", ""): _year_end(cells[f.id].get("year", ""))
        for f in evidence.facts if f.table == "studies"
    }  # fmt: skip

    def public(fact: Fact) -> bool:
        named = [dates.get(source, date.max) for source in _named(fact)]
        study = of_study.get(cells[fact.id].get("study_id", ""), date.max)
        return all((study if source == date.max else source) <= day for source in named)

    results: list[Fact] = [f for f in evidence.facts if f.table in _RESULTS and public(f)]
    told = {cells[f.id].get("study_id", "") for f in results}
    kept = {f.id for f in results}
    for fact in evidence.facts:
        row = cells[fact.id]
        if fact.table == "sources":
            keep = dates.get(row.get("source_id", ""), date.max) <= day
        elif fact.table in ("studies", "arms"):
            keep = row.get("study_id", "") in told or public(fact)
        elif fact.table in _RESULTS:
            continue
        elif fact.table in TABLES and TABLES[fact.table].judgement:
            keep = not row.get("study_id") or row["study_id"] in told
        elif fact.table == "regulatory" and _day(row.get("date", "")):
            keep = _day(row["date"]) <= day
        elif fact.table == "ongoing" and _day(row.get("start", "")):
            keep = _day(row["start"]) <= day
        else:
            keep = public(fact)
        if keep:
            kept.add(fact.id)
    facts = _preferring(evidence, kept, cells)
    shot = evidence.snapshot
    digest = facts_hash([f.content_hash for f in facts])
    return Evidence(Snapshot(shot.number, digest, shot.recorded_at, len(facts)), facts)


def _preferring(evidence: Evidence, kept: set[int], cells: dict[int, dict[str, str]]) -> list[Fact]:
    """The kept facts; where the preferred report of a result was not yet public, the one before it counts instead."""
    from dataclasses import replace

    from enthesis.evidence.facts import NewRow

    def result(row: dict[str, str]) -> tuple[str, ...]:
        return tuple(row.get(name, "") for name in ("study_id", "arm_id", "subgroup", "outcome", "week", "measure"))

    preferred: set[tuple[str, ...]] = set()
    open_: set[tuple[str, ...]] = set()
    for fact in evidence.facts:
        if fact.table == "outcomes" and cells[fact.id].get("preferred", "") != "no":
            (preferred if fact.id in kept else open_).add(result(cells[fact.id]))
    found = []
    for fact in evidence.facts:
        if fact.id not in kept:
            continue
        row = cells[fact.id]
        if fact.table == "outcomes" and row.get("preferred") == "no":
            which = result(row)
            if which in open_ and which not in preferred:
                changed = NewRow("outcomes", {**row, "preferred": "yes"})
                found.append(replace(fact, payload=changed.payload, content_hash=changed.content_hash))
                continue
        found.append(fact)
    return found


def source_dates(evidence: Evidence) -> dict[str, date]:
    """The day from which each source counts as public; see the rule of this module.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    dict of str to date
        By source id; `date.max` for a source without a year, which its study then dates.
    """
    found: dict[str, date] = {}
    for fact in evidence.facts:
        if fact.table == "sources":
            row = fact.cells()
            found[row.get("source_id", "")] = _source_day(row)
    return found


def _source_day(row: dict[str, str]) -> date:
    posted = _POSTED.search(row.get("note", ""))
    for text in (row.get("published", ""), posted.group(1) if posted else ""):
        exact = _day(text)
        if exact is not None:
            return exact
    return _year_end(row.get("year", ""))


def _year_end(text: str) -> date:
    year = text.partition(".")[0].strip()
    return date(int(year), 12, 31) if _YEAR.fullmatch(year) else date.max


def undated(evidence: Evidence) -> dict[str, int]:
    """Sources without a year, with the number of result rows that need them: dated by their study, or not at all."""
    dates = source_dates(evidence)
    count: dict[str, int] = defaultdict(int)
    for fact in evidence.facts:
        if fact.table in _RESULTS:
            for source in _named(fact):
                if dates.get(source, date.max) == date.max:
                    count[source] += 1
    return dict(count)


def _named(fact: Fact) -> list[str]:
    return [part.strip() for part in fact.source_id.split(";") if part.strip()]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        return None


def parsed(when: str | date) -> date:
    """A day; a year, or a year and month, stands for its last day.

    Examples
    --------
    >>> str(parsed("2018")), str(parsed("2020-02"))
    ('2018-12-31', '2020-02-29')
    """
    if isinstance(when, date):
        return when
    text = str(when).strip()
    if _YEAR.fullmatch(text):
        return date(int(text), 12, 31)
    found = re.fullmatch(r"(\d{4})-(\d{2})", text)
    try:
        if found:
            year, month = int(found.group(1)), int(found.group(2))
            first = date(year, month, 1)
            return (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{shortened(text)!r} is not a date. Write 2022-06-01, 2022-06 or 2022.") from None


def known_at(store: Store, when: str | date) -> Snapshot:
    """The last snapshot that the store had at the end of a day.

    Facts have one order, their number. Where the clock of a machine went backwards, a snapshot counts from the latest
    time recorded up to it, so that nothing is known before something that it is built on.

    Parameters
    ----------
    store : Store
    when : str or date
        A day (its end, UTC), or a date with a time.

    Returns
    -------
    Snapshot

    Raises
    ------
    UsageError
        When the store knew nothing then.
    """
    limit = _moment(when)
    known, latest = None, datetime.min.replace(tzinfo=UTC)
    shots = store.snapshots()
    for shot in shots:
        latest = max(latest, datetime.fromisoformat(shot.recorded_at))
        if latest <= limit:
            known = shot
    if known is None:
        first = f"its first snapshot is of {shots[0].recorded_at[:10]}" if shots else "it is empty"
        raise UsageError(f"{store.name} knew nothing on {when}: {first}.")
    return known


def _moment(when: str | date) -> datetime:
    if isinstance(when, str) and "T" in when:
        try:
            found = datetime.fromisoformat(when)
        except ValueError:
            raise UsageError(f"{shortened(when)!r} is not a time. Write 2022-06-01 or 2022-06-01T12:00.") from None
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    day = parsed(when)
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) - timedelta(microseconds=1)


__all__ = ["known_at", "parsed", "published_by", "source_dates", "undated"]
