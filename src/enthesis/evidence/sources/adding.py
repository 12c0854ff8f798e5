"""Rows that were read become facts, matched to what the store holds: a second import adds nothing.

Within each natural key equal rows are found first; the others replace what is there in order, and the rest are new. A
correction that a person recorded stands until the source itself says something else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from enthesis.evidence.facts import Fact, NewRow
from enthesis.evidence.store import Writer


@dataclass(frozen=True)
class Added:
    """What became of rows: how many are new facts, replace one, or were there already."""

    stored: int = 0
    superseded: int = 0
    unchanged: int = 0


@dataclass
class Plan:
    """Which rows are new or changed (with the fact they replace, or their ordinal), and which facts are missing."""

    changed: list[tuple[NewRow, Fact | None, int]] = field(default_factory=list)
    missing: list[Fact] = field(default_factory=list)
    unchanged: int = 0

    @property
    def counts(self) -> Added:
        """How many rows are new, replace a fact, or change nothing."""
        new = sum(tip is None or tip.withdrawn for _, tip, _ in self.changed)
        return Added(new, len(self.changed) - new, self.unchanged)


def planned(chains: dict[str, list[list[Fact]]], rows: Iterable[NewRow]) -> Plan:
    """Match rows to chains of facts, within each natural key: equal rows first, then changed ones in order.

    Parameters
    ----------
    chains : dict
        Of `Writer.chains`.
    rows : iterable of NewRow
        Of one table.

    Returns
    -------
    Plan
    """
    plan = Plan()
    incoming: dict[str, list[NewRow]] = defaultdict(list)
    for row in rows:
        incoming[row.key].append(row)
    for key in chains.keys() - incoming.keys():
        plan.missing += [chain[-1] for chain in chains[key] if _from_file(chain[-1])]
    for key, group in incoming.items():
        open_chains = list(chains.get(key, ()))
        left = []
        for row in sorted(group, key=lambda row: row.content_hash):
            equal = next((chain for chain in open_chains if _file_says(chain) == row.content_hash), None)
            if equal is None:
                left.append(row)
            else:
                open_chains.remove(equal)
                plan.unchanged += 1
        free = max((chain[-1].ordinal for chain in chains.get(key, ())), default=0)
        open_chains.sort(key=lambda chain: (chain[-1].withdrawn, chain[-1].ordinal))
        for position, row in enumerate(left):
            if position < len(open_chains):
                plan.changed.append((row, open_chains[position][-1], 0))
            else:
                free += 1
                plan.changed.append((row, None, free))
        plan.missing += [chain[-1] for chain in open_chains[len(left) :] if _from_file(chain[-1])]
    plan.missing.sort(key=lambda fact: fact.id)
    return plan


def add(writer: Writer, plan: Plan, document: str) -> Added:
    """Append the new and changed rows of a plan.

    Parameters
    ----------
    writer : Writer
    plan : Plan
    document : str
        sha256 of the bytes that the rows were read from.

    Returns
    -------
    Added
    """
    for row, tip, ordinal in sorted(plan.changed, key=lambda item: item[0].file_row):
        if tip is None:
            writer.append(row, ordinal=ordinal, document=document)
        else:
            why = "the row is in the file again" if tip.withdrawn else "the row changed in the file"
            writer.supersede(tip, row, reason=why, document=document)
    return plan.counts


def _from_file(fact: Fact) -> bool:
    return bool(fact.file) and not fact.withdrawn


def _file_says(chain: list[Fact]) -> str | None:
    """The content that the file last gave for this chain, whatever a person recorded since."""
    last = next((fact for fact in reversed(chain) if fact.file), None)
    return None if last is None or last.withdrawn else last.content_hash
