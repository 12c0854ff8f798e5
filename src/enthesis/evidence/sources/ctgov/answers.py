"""What persons answer about a record: a judgement with author and reason, used whenever the record is read again."""

from __future__ import annotations

from typing import get_args

from enthesis.errors import UsageError, unknown_name
from enthesis.evidence.facts import short_id
from enthesis.evidence.rows import OutcomeCode, Population
from enthesis.evidence.sources.ctgov.keep import Kept, import_bytes
from enthesis.evidence.sources.ctgov.registry import stored
from enthesis.evidence.store import Store
from enthesis.evidence.view import Evidence


def open_questions(evidence: Evidence) -> list[dict[str, str]]:
    """The questions that nobody answered, each with its name.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    list of dict
        question (`Q-...`), source_id, kind, subject, proposal, reason, locator.
    """
    columns = ("source_id", "kind", "subject", "proposal", "reason", "locator")
    return [
        {"question": short_id("Q-", fact.key, fact.ordinal), **{name: fact.cells().get(name, "") for name in columns}}
        for fact in evidence.facts
        if fact.table == "questions"
    ]


def answered(store: Store, question: str, value: str, *, author: str, reason: str) -> Kept:
    """Store an answer, and read the record again from its stored bytes.

    Parameters
    ----------
    store : Store
    question : str
        `Q-...`.
    value : str
        For a group or a direction an arm_id, for a group or an outcome also `none`, for an outcome its code, for a
        scale `ok` or `none`, for a week a whole number, for an arm an arm_id or `new`, for a population its word, for
        a conflict `keep`.
    author, reason : str

    Returns
    -------
    Kept

    Raises
    ------
    UsageError
        When there is no such question, or the value does not fit it.
    """
    evidence = store.evidence()
    asked = {row["question"]: row for row in open_questions(evidence)}
    if question not in asked:
        raise unknown_name("question", question, asked)
    row = asked[question]
    nct_id = row["source_id"].removeprefix("ctgov_")
    arms = {
        a for s, a in zip(evidence.arms.study_id, evidence.arms.arm_id) if s in _studies(evidence, row["source_id"])
    }
    _fits(row["kind"], value, arms)
    document = stored(store, nct_id)
    if document is None:
        raise UsageError(f"The store has no bytes of {nct_id}. Import the record again, then answer.")
    cells = {name: row[name] for name in ("source_id", "kind", "subject")}
    store.judge("answers", {**cells, "value": value}, author=author, reason=reason)
    kept = import_bytes(store, document[0], f"{nct_id}.json")
    return next(item for item in kept if item.parsed.nct_id == nct_id)


def _studies(evidence: Evidence, source_id: str) -> set[str]:
    return {f.cells()["study_id"] for f in evidence.facts if f.table == "posted" and f.source_id == source_id}


def _fits(kind: str, value: str, arms: set[str]) -> None:
    known = {
        "group": {*arms, "none"},
        "direction": arms,
        "arm": {*arms, "new"},
        "outcome": {*get_args(OutcomeCode), "none"},
        "scale": {"ok", "none"},
        "population": set(get_args(Population)),
        "conflict": {"keep"},
    }.get(kind)
    if kind == "week" and not (value.isascii() and value.isdecimal() and len(value) <= 4):
        raise UsageError(f"{value[:40]!r} is not a week: write a whole number.")
    if known is not None and value not in known:
        raise unknown_name(f"answer on the {kind}", value, known)
