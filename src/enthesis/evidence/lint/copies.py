"""Values that are the same where they should differ: arms of one study, and studies that share their numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from enthesis.evidence.lint.cells import Line, by, grouped, lines, used
from enthesis.evidence.lint.finding import Finding, finding
from enthesis.evidence.view import Evidence

#: equal results that two arms share before they look copied: of one study (whose arms are different patients), of two
SHARED_WITHIN, SHARED_BETWEEN = 2, 4


def copied(evidence: Evidence) -> Iterator[Finding]:
    """Arms that share several whole results."""
    shared: dict[tuple[tuple[str, str], tuple[str, str]], list[tuple[Line, Line]]] = defaultdict(list)
    rows = [r for r in used(evidence, "outcomes") if _telling(r)]
    for group in grouped(rows, _content).values():
        for a, b in combinations(group, 2):
            first, second = (a["study_id"], a["arm_id"]), (b["study_id"], b["arm_id"])
            if first != second:
                shared[min((first, second), (second, first))].append((a, b))
    related = _related(evidence)
    for (first, second), pairs in shared.items():
        same_study = first[0] == second[0]
        codes = {a["outcome"] for a, _ in pairs}
        least = SHARED_WITHIN if same_study else SHARED_BETWEEN
        if len(pairs) < least or len(codes) < 2 or (not same_study and frozenset((first[0], second[0])) in related):
            continue
        where = f"{first[0]} {first[1]} and {second[1] if same_study else ' '.join(second)}"
        yield finding("copied", "warning", where, [(r.name, _content(r)) for pair in pairs for r in pair],
                      f"{len(pairs)} results are the same in both ({', '.join(sorted(codes)[:6])}).",
                      "Look whether rows were copied, or whether both report the same patients: then declare it "
                      "(part_of, parent_study, curation).")  # fmt: skip


def repeated(evidence: Evidence) -> Iterator[Finding]:
    """The same printed effect in several rows."""
    columns = ("study_id", "arm_id", "comparator_arm_id", "subgroup", "outcome", "week", "effect", "estimate", "ci_low",
               "ci_high", "source_id")  # fmt: skip
    for group in grouped(used(evidence, "contrasts"), by(*columns)).values():
        if len(group) > 1:
            yield finding("repeated", "warning", group[0].where(),
                          [(r.name, tuple(r[c] for c in columns)) for r in group],
                          f"{len(group)} rows hold the same effect from the same source.",
                          "Withdraw all but one.")  # fmt: skip


def _telling(row: Line) -> bool:
    """Whether equal cells mean something: small counts agree by chance."""
    if row["measure"] == "continuous":
        return bool(row["mean"] and (row["sd"] or row["se"] or row["ci_low"]) and len(row["mean"].lstrip("-")) >= 3)
    events = row.value("events")
    return events is not None and events >= 10 and bool(row["n"] or row["patient_years"])


def _content(row: Line) -> tuple[str, ...]:
    columns = ("outcome", "week", "measure", "events", "n", "mean", "sd", "se", "ci_low", "ci_high", "patient_years")
    return tuple(row[c] for c in columns)


def _related(evidence: Evidence) -> set[frozenset[str]]:
    """Pairs of studies that are declared to report the same patients."""
    return {
        frozenset((s["study_id"], name.strip()))
        for s in lines(evidence, "studies")
        for column in ("parent_study", "part_of")
        for name in s[column].split(";")
        if name.strip()
    }
