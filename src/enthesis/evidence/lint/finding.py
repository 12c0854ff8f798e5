"""A finding: what looks wrong in the evidence, in which rows, why, and what would mend it.

A finding's id is made of the check, the rows and the cells that it read: it stays the same from run to run, and an
explanation given for it no longer applies when one of those cells changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
#: the item of an override that explains a finding
ITEM = "lint"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What looks wrong.

    Attributes
    ----------
    id : str
        `F-` and ten hexadecimal digits.
    check : str
        The check that fired; see `CHECKS`.
    severity : {"error", "warning", "note"}
        `error`: the cells contradict one another. `warning`: they are improbable. `note`: worth knowing.
    subject : str
        Study, arm, outcome and week.
    rows : tuple of str
        Names for `enthesis evidence explain`: `R-...`, `C-...` or `file.csv:row N`.
    reason, mend : str
        Why, with the numbers; and what to do, as a proposal that a person carries out with the source at hand.
    settled : str
        How a person settled it (the reason of the override), with the author; empty while it is open.
    """

    id: str
    check: str
    severity: Severity
    subject: str
    rows: tuple[str, ...]
    reason: str
    mend: str
    settled: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "rows": list(self.rows)}


def finding(
    check: str, severity: Severity, subject: str, cells: Iterable[tuple[str, object]], reason: str, mend: str
) -> Finding:
    """A finding about cells given as (row name, what was read there)."""
    read = [(row, str(value)) for row, value in cells]
    digest = hashlib.sha256(json.dumps([check, sorted(read)]).encode()).hexdigest()
    rows = tuple(dict.fromkeys(row for row, _ in read))
    return Finding(id=f"F-{digest[:10]}", check=check, severity=severity, subject=subject, rows=rows, reason=reason,
                   mend=mend)  # fmt: skip


def settle(findings: Iterable[Finding], overrides: dict[str, tuple[str, str]]) -> tuple[Finding, ...]:
    """The findings with what persons said of them: overrides are (reason, author) by finding id."""
    told = []
    for found in findings:
        reason, author = overrides.get(found.id, ("", ""))
        told.append(replace(found, settled=f"{reason} ({author})" if author else reason))
    return tuple(told)
