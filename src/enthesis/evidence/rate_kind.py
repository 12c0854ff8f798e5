"""What a rate counts: every event, or patients with at least one.

The two differ in numerator (a patient can have several events) and in time at risk (which ends at a patient's first
event), so a synthesis holds one of them. The column `rate_of` says which; these rules fill it from what the row says of
itself, and leave `unstated` what neither the row nor its table says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

RateOf = Literal["events", "patients", "unstated"]

#: Words that say it, the first that matches decides. A column `events` that holds patients is said before the rate is.
_SAYS: tuple[tuple[str, re.Pattern[str], RateOf], ...] = (
    ("the note says that the count is of patients", re.compile(r"events = patients"), "patients"),
    ("the note gives the events beside the patients that had them",
     re.compile(r"\d+ events in \d+ patients?"), "events"),
    ("the note says patients per patient-years, or first events",
     re.compile(r"patients (?:with (?:an? )?(?:first )?events? )?per 100 |first events?\b", re.I), "patients"),
    ("the note names the exposure-adjusted event rate, or events per patient-years",
     re.compile(r"\bEAER\b|events per 100 ", re.I), "events"),
    ("the note names the exposure-adjusted incidence rate, or time at risk",
     re.compile(r"\bEAIR\b|patient-years at risk", re.I), "patients"),
    ("the note calls the count events", re.compile(r"^events\b|\bevents$|events in one patient", re.I), "events"),
)  # fmt: skip

#: What cannot happen to a patient twice.
ONCE = frozenset({"DEATH"})


@dataclass(frozen=True)
class RateKind:
    """What a rate row counts, and the rule that says so."""

    rate_of: RateOf
    rule: str


def rate_kind(cells: Mapping[str, str]) -> RateKind:
    """What one rate row counts, from the row alone.

    Parameters
    ----------
    cells : mapping
        Cells of a row of the table `outcomes`, as text: rate_of, note, outcome, events, n are read.

    Returns
    -------
    RateKind
        The column where it is filled, else what the note says, else what the numbers force, else `unstated`.

    Examples
    --------
    >>> rate_kind({"note": "patients with first event per 100 PY"}).rate_of
    'patients'
    >>> rate_kind({"note": "", "events": "618", "n": "182"}).rule
    'more events than patients'
    >>> rate_kind({"note": "per 100 PY"}).rate_of
    'unstated'
    """
    told = cells.get("rate_of", "")
    if told in ("events", "patients", "unstated"):
        return RateKind(told, "the column rate_of")
    note = cells.get("note", "")
    for rule, pattern, kind in _SAYS:
        if pattern.search(note):
            return RateKind(kind, rule)
    events, n = _number(cells.get("events")), _number(cells.get("n"))
    if events is not None and n is not None and events > n:
        return RateKind("events", "more events than patients")
    if cells.get("outcome") in ONCE:
        return RateKind("patients", "it happens to a patient once")
    return RateKind("unstated", "neither the row nor its table says")


def rate_kinds(rows: Iterable[Mapping[str, str]]) -> tuple[RateKind, ...]:
    """What each rate row of a table counts: from the row, else from the rows of the same place in the same document.

    A row that says nothing takes the kind of the other rows of its source and locator (up to a semicolon) when all of
    those that say something agree.

    Parameters
    ----------
    rows : iterable of mapping
        Cells of rate rows, as text.

    Returns
    -------
    tuple of RateKind
        In the order of the rows.

    Examples
    --------
    >>> place = {"source_id": "a", "locator": "Table 2"}
    >>> [k.rate_of for k in rate_kinds([{**place, "note": "events per 100 PY"}, {**place, "note": ""}])]
    ['events', 'events']
    """
    rows = list(rows)
    found = [rate_kind(row) for row in rows]
    places = [(row.get("source_id", ""), row.get("locator", "").partition(";")[0].strip()) for row in rows]
    said: dict[tuple[str, str], set[str]] = defaultdict(set)
    for place, row, kind in zip(places, rows, found, strict=True):
        if kind.rate_of != "unstated" and row.get("outcome") not in ONCE:
            said[place].add(kind.rate_of)
    return tuple(
        RateKind(next(iter(said[place])), "other rows of the same table say so")
        if kind.rate_of == "unstated" and len(said[place]) == 1
        else kind
        for place, kind in zip(places, found, strict=True)
    )


def compatible(rate_of: str, wanted: str, *, events: float | None, outcome: str) -> bool:
    """Whether a row can stand in a synthesis of rates of `wanted`.

    A count of zero is zero of both, with the same time at risk; and a death is one event of one patient.

    Examples
    --------
    >>> compatible("events", "patients", events=0, outcome="HZ")
    True
    >>> compatible("events", "patients", events=3, outcome="HZ")
    False
    """
    return rate_of == wanted or events == 0 or outcome in ONCE


def _number(text: object) -> float | None:
    try:
        return float(text) if text not in (None, "") else None  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
