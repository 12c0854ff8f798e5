"""What lies between two snapshots: rows by table, studies, outcomes touched, and the new facts under old judgements."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from enthesis.errors import UsageError, shortened
from enthesis.evidence.facts import Fact, facts_hash
from enthesis.evidence.rows import TABLES
from enthesis.evidence.snapshot import Snapshot, changes
from enthesis.evidence.view import Evidence
from enthesis.living.as_of import known_at, parsed

if TYPE_CHECKING:
    from enthesis.evidence import Store


def only_data(old: Evidence, new: Evidence) -> Evidence:
    """The new facts with the old judgements; judgements about studies that are new come with them."""
    known = {f.cells().get("study_id", "") for f in old.facts if f.table == "studies"}

    def judged(fact: Fact) -> bool:
        return fact.table in TABLES and TABLES[fact.table].judgement

    kept = [f for f in new.facts if not judged(f)]
    kept += [f for f in old.facts if judged(f)]
    kept += [f for f in new.facts if judged(f) and (study := f.cells().get("study_id", "")) and study not in known]
    found = {(f.table, f.key, f.ordinal): f for f in kept}
    facts = sorted(found.values(), key=lambda f: f.first_id)
    shot = new.snapshot
    digest = facts_hash([f.content_hash for f in facts])
    # versions of one row are told apart by what they replace; here each row has one
    alone = [replace(f, supersedes=None) for f in facts]
    return Evidence(Snapshot(shot.number, digest, shot.recorded_at, len(facts)), alone)


def rows_changed(old: Evidence, new: Evidence) -> dict[str, dict[str, int]]:
    """Rows added, superseded and withdrawn, by table."""
    found: dict[str, dict[str, int]] = {}
    all_ = changes(old, new)
    listed = [("added", f.table) for f in all_.added] + [("withdrawn", f.table) for f in all_.withdrawn]
    for kind, name in listed + [("superseded", f.table) for _, f in all_.superseded]:
        found.setdefault(name, {"added": 0, "superseded": 0, "withdrawn": 0})[kind] += 1
    return found


def studies_changed(old: Evidence, new: Evidence) -> dict[str, tuple[str, ...]]:
    """Names of studies added, changed and gone."""
    before, after = set(old.studies.study_id), set(new.studies.study_id)
    touched = set()
    all_ = changes(old, new)
    for fact in [*all_.added, *all_.withdrawn, *(f for _, f in all_.superseded)]:
        if fact.table in ("studies", "arms", "outcomes", "contrasts"):
            touched.add(fact.cells().get("study_id", ""))
    return {
        "added": tuple(sorted(after - before)),
        "changed": tuple(sorted((touched - {""}) & before & after)),
        "gone": tuple(sorted(before - after)),
    }


def outcomes_touched(old: Evidence, new: Evidence) -> set[str]:
    """Codes of the outcomes that a changed row reports, or that a study with a changed row reports."""
    all_ = changes(old, new)
    facts = [*all_.added, *all_.withdrawn, *(f for pair in all_.superseded for f in pair)]
    found, studies = set(), set()
    for fact in facts:
        row = fact.cells()
        if fact.table in ("outcomes", "contrasts"):
            found.add(row.get("outcome", ""))
        elif fact.table in ("studies", "arms", "curation"):
            studies.add(row.get("study_id", ""))
    for evidence in (old, new):
        table = evidence.outcomes
        found |= set(table.outcome[table.study_id.isin(studies - {""})])
    return found - {""}


def at(store: Store, text: str) -> Snapshot:
    """The snapshot that a name stands for: HEAD, a number, the start of a hash, or a date (what was known at its end).

    Parameters
    ----------
    store : Store
    text : str

    Raises
    ------
    UsageError
        When there is none, or a hash stands for several.
    """
    shots = store.snapshots()
    name = text.strip()
    if name.upper() in ("HEAD", ""):
        return store.snapshot()
    if name.isdigit() and (found := [s for s in shots if s.number == int(name)]):
        return found[0]
    if len(name) >= 4 and set(name.lower()) <= set("0123456789abcdef"):
        found = [s for s in shots if s.content_hash.startswith(name.lower())]
        if len({s.content_hash for s in found}) > 1:
            listed = ", ".join(f"{s.number} ({s.content_hash[:12]})" for s in found)
            raise UsageError(f"{name!r} is the start of several hashes: snapshots {listed}.")
        if found:
            return found[-1]
    try:
        day = name if "T" in name else parsed(name)
    except UsageError:
        listed = ", ".join(str(s.number) for s in shots[-8:])
        raise UsageError(
            f"{shortened(name)!r} is no snapshot of {store.name}. Write HEAD, a number ({listed}), the first signs of "
            "a hash, or a date."
        ) from None
    return known_at(store, day)


__all__ = ["at", "only_data", "outcomes_touched", "rows_changed", "studies_changed"]
