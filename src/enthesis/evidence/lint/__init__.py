"""The evidence linter: what in the stored numbers cannot be, is improbable, or contradicts something else.

Nothing is changed: each finding names rows, reason and a proposed mend, and a person settles it: by a corrected row
with its source, or by an explanation, which is kept as an override with author and date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from enthesis.errors import unknown_name
from enthesis.evidence.lint import copies, counts, effects, spread, structure
from enthesis.evidence.lint.counts import counts_that_fit, grim
from enthesis.evidence.lint.finding import ITEM, Finding, Severity, settle
from enthesis.evidence.view import Evidence

Check = Callable[[Evidence], Iterator[Finding]]

#: checks by name
CHECKS: dict[str, Check] = {
    "percentages": counts.percentages,
    "nested outcomes": counts.nested,
    "subgroups": counts.subgroups,
    "rates": counts.rates,
    "standard errors": spread.standard_errors,
    "swapped spread": spread.swapped_spread,
    "intervals of means": spread.intervals,
    "scales": spread.outside_scale,
    "units": spread.unusual_unit,
    "intervals of effects": effects.intervals,
    "effects recomputed": effects.recomputed,
    "multi-arm effects": effects.multi_arm,
    "patients": structure.patients,
    "names": structure.names,
    "preference": structure.preference,
    "same patients": structure.twins,
    "copies": copies.copied,
    "repeated effects": copies.repeated,
}
_ORDER = {"error": 0, "warning": 1, "note": 2}


def lint(evidence: Evidence, checks: Iterable[str] | None = None) -> tuple[Finding, ...]:
    """Every finding in an evidence, errors first, each with how it was settled.

    Parameters
    ----------
    evidence : Evidence
    checks : iterable of str, optional
        Names in `CHECKS`; default all.

    Returns
    -------
    tuple of Finding
        A finding is settled by an override whose subject is its id and whose item is `lint`.

    Raises
    ------
    UsageError
        When a check is not known.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> [f.id for f in lint(bundled_evidence(), ["nested outcomes"]) if not f.settled]
    []
    """
    names = list(CHECKS) if checks is None else list(checks)
    for name in names:
        if name not in CHECKS:
            raise unknown_name("check", name, CHECKS)
    found = {f.id: f for name in names for f in CHECKS[name](evidence)}
    said = evidence.overrides
    said = said[said["item"] == ITEM]
    settled = {s: (r, a) for s, r, a in zip(said["subject"], said["reason"], said["author"], strict=True)}
    return tuple(sorted(settle(found.values(), settled), key=lambda f: (_ORDER[f.severity], f.check, f.subject)))


__all__ = ["CHECKS", "Finding", "Severity", "counts_that_fit", "grim", "lint"]
