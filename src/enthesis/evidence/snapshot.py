"""A snapshot: the evidence as known at a moment.

Facts are only ever appended, so a snapshot is the number of its last fact and the hash of what is visible there. The
hash depends on the content alone: two stores that hold the same rows agree, whatever the order and the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enthesis.evidence.facts import Fact

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.evidence.view import Evidence


@dataclass(frozen=True)
class Snapshot:
    """The evidence as known at a moment.

    Attributes
    ----------
    number : int
        High-water mark: the id of the last fact that is visible.
    content_hash : str
        sha256 over the facts visible.
    recorded_at : str
        When the last fact was recorded (UTC, ISO 8601); empty for the empty store.
    facts : int
        How many facts are visible.
    """

    number: int
    content_hash: str
    recorded_at: str
    facts: int

    def to_dict(self) -> dict[str, object]:
        """As plain values for JSON."""
        return {
            "number": self.number,
            "content_hash": self.content_hash,
            "recorded_at": self.recorded_at,
            "facts": self.facts,
        }


@dataclass(frozen=True)
class Changes:
    """What differs between two states of the evidence: rows added, superseded (before, after), withdrawn."""

    added: tuple[Fact, ...]
    superseded: tuple[tuple[Fact, Fact], ...]
    withdrawn: tuple[Fact, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.superseded or self.withdrawn)

    def to_frame(self) -> pd.DataFrame:
        """One row per changed cell: change, table, fact_id, column, before, after."""
        import pandas as pd

        rows = [("added", fact, column, "", text) for fact in self.added for column, text in fact.cells().items()]
        rows += [
            ("withdrawn", fact, column, text, "") for fact in self.withdrawn for column, text in fact.cells().items()
        ]
        for old, new in self.superseded:
            before, after = old.cells(), new.cells()
            for column in dict.fromkeys([*before, *after]):
                if before.get(column, "") != after.get(column, ""):
                    rows.append(("superseded", new, column, before.get(column, ""), after.get(column, "")))
        return pd.DataFrame(
            [(change, fact.table, fact.id, column, before, after) for change, fact, column, before, after in rows],
            columns=["change", "table", "fact_id", "column", "before", "after"],
        )


def changes(old: Evidence, new: Evidence) -> Changes:
    """What became of the rows of `old` in `new`: a pure function of what is visible in both.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> evidence = bundled_evidence()
    >>> bool(changes(evidence, evidence))
    False
    """
    before = {(fact.table, fact.key, fact.ordinal): fact for fact in old.facts}
    after = {(fact.table, fact.key, fact.ordinal): fact for fact in new.facts}
    return Changes(
        added=tuple(fact for key, fact in after.items() if key not in before),
        superseded=tuple(
            (before[key], fact)
            for key, fact in after.items()
            if key in before and before[key].content_hash != fact.content_hash
        ),
        withdrawn=tuple(fact for key, fact in before.items() if key not in after),
    )
