"""The ledger: every row that was left out or changed on the way from evidence to network, with the rule that did it.

PRISMA counts and the answer to "why is study X missing?" come from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row, or one arm, or one study, and what happened to it.

    Parameters
    ----------
    action : {"excluded", "changed", "note"}
        `excluded`: not in the network; `changed`: in it after a stated operation; `note`: said for the reader.
    rule : str
        Short name of the rule, for example `week outside 12 to 16`.
    reason : str
        The sentence for the reader.
    study, arm : str
        Names; empty where the entry is not about one.
    rows : tuple of str
        The evidence rows concerned.
    """

    action: Literal["excluded", "changed", "note"]
    rule: str
    reason: str
    study: str = ""
    arm: str = ""
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """A sequence of entries.

    Examples
    --------
    >>> lone = Entry(action="excluded", rule="one arm", reason="A single arm gives no contrast.", study="S1")
    >>> ledger = Ledger((lone,))
    >>> len(ledger.excluded)
    1
    """

    entries: tuple[Entry, ...] = ()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __add__(self, more: Ledger | tuple[Entry, ...] | list[Entry]) -> Ledger:
        return Ledger(self.entries + tuple(more))

    @property
    def excluded(self) -> tuple[Entry, ...]:
        """The entries that took something out."""
        return tuple(e for e in self.entries if e.action == "excluded")

    def to_records(self) -> list[dict]:
        """One dictionary per entry, ready for JSON."""
        return [{**asdict(e), "rows": list(e.rows)} for e in self.entries]

    def to_frame(self) -> pd.DataFrame:
        """One row per entry: action, rule, reason, study, arm, rows (joined by "; ")."""
        import pandas as pd

        columns = ["action", "rule", "reason", "study", "arm", "rows"]
        return pd.DataFrame([{**asdict(e), "rows": "; ".join(e.rows)} for e in self.entries], columns=columns)


def after_exclusions(entries: Iterable[Entry]) -> str:
    """` after 2 exclusions, the first: ...`, for the error of a network with nothing left; empty without exclusions.

    Examples
    --------
    >>> lone = Entry(action="excluded", rule="one arm", reason="One arm gives no contrast.", rows=("row 2",))
    >>> after_exclusions([lone])
    ' after 1 exclusions, the first: One arm gives no contrast (row 2)'
    """
    gone = [entry for entry in entries if entry.action == "excluded"]
    if not gone:
        return ""
    where = f" ({gone[0].rows[0]})" if gone[0].rows else ""
    return f" after {len(gone)} exclusions, the first: {gone[0].reason.rstrip('.')}{where}"
