"""A fact: one row as it was reported or judged, where it was read, who took it out and when.

Facts are appended. A correction is a new fact that supersedes the old one; a withdrawal is a fact too. All facts about
one thing (one table, natural key and ordinal) form a chain, and a snapshot shows the last link that it can see.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from enthesis.evidence.rows import TABLES, identity

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Fact:
    """A stored row.

    Attributes
    ----------
    id : int
        Position in the store; grows with time.
    table : str
        `outcomes`, `studies`, ... or `folder/name` for a table that the dictionary does not know.
    first_id : int
        The first fact of the chain: the same for all versions of one row.
    key : str
        sha256 of the natural key.
    ordinal : int
        1, or 2, 3, ... for further rows that share the natural key.
    payload : str
        The cells as JSON, text as printed; empty for a withdrawal.
    content_hash : str
        sha256 of table and cells.
    source_id, locator : str
        The document and the place in it.
    extractor : str
        Who or what took the row out of the source.
    author, reason : str
        Who judged and why (judgements), or why a fact was superseded or withdrawn.
    recorded_at : str
        UTC, ISO 8601.
    document, file, file_row : str, str, int
        sha256 of the stored bytes that the row was read from, the file's name, and the row in it (the header is row 1);
        0 when it was not read from a file.
    supersedes : int or None
        The fact that this one replaces.
    withdrawn : bool
        This fact says that the row no longer holds.
    """

    id: int
    table: str
    first_id: int
    key: str
    ordinal: int
    payload: str
    content_hash: str
    source_id: str
    locator: str
    extractor: str
    author: str
    reason: str
    recorded_at: str
    document: str
    file: str
    file_row: int
    supersedes: int | None
    withdrawn: bool

    def cells(self) -> dict[str, str]:
        """The cells as text, as printed."""
        return json.loads(self.payload) if self.payload else {}


#: The columns of the store's table of facts, in order.
FIELDS: tuple[str, ...] = tuple(Fact.__dataclass_fields__)


@dataclass(frozen=True)
class NewRow:
    """A checked row on its way into the store."""

    table: str
    cells: Mapping[str, str]
    file: str = ""
    file_row: int = 0

    @cached_property
    def key(self) -> str:
        """sha256 of the natural key."""
        return hashlib.sha256(identity(self.table, self.cells).encode()).hexdigest()

    @cached_property
    def content_hash(self) -> str:
        """sha256 of table and cells."""
        return cells_hash(self.table, self.cells)

    @cached_property
    def payload(self) -> str:
        """The cells as JSON. Empty cells of dictionary columns carry nothing and are left out."""
        spec = TABLES.get(self.table)
        known = frozenset(spec.columns) if spec else frozenset()
        kept = {column: text for column, text in self.cells.items() if text or column not in known}
        return _encode(kept)


def cells_hash(table: str, cells: Mapping[str, str]) -> str:
    """The hash of a row: neither the order of the columns nor empty cells matter."""
    filled = sorted(item for item in cells.items() if item[1])
    return hashlib.sha256(_encode([table, filled]).encode()).hexdigest()


def short_id(prefix: str, key: str, ordinal: int) -> str:
    """The stable short name of a row, such as `R-0123456789`: from its natural key and ordinal."""
    return prefix + hashlib.sha256(f"{key}:{ordinal}".encode()).hexdigest()[:10]


def current(facts: list[Fact]) -> list[Fact]:
    """The facts that nothing in the list replaces, withdrawals left out, in order of first appearance."""
    replaced = {fact.supersedes for fact in facts}
    return sorted(
        (fact for fact in facts if fact.id not in replaced and not fact.withdrawn), key=lambda fact: fact.first_id
    )


def facts_hash(hashes: list[str]) -> str:
    """The hash of a set of facts: the order in which they were recorded does not matter."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()
