"""What was reported: an append-only store of facts, snapshots, and the tables visible at one. No statistics."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from enthesis.evidence.database import default_place
from enthesis.evidence.rows import TABLES
from enthesis.evidence.snapshot import Changes, Snapshot, changes
from enthesis.evidence.sources.tables import LoadReport, Rejection, RowsRejected, TableReport, load_tables
from enthesis.evidence.store import Store
from enthesis.evidence.view import Evidence

__all__ = [
    "TABLES",
    "Changes",
    "Evidence",
    "LoadReport",
    "Rejection",
    "RowsRejected",
    "Snapshot",
    "Store",
    "TableReport",
    "bundled_evidence",
    "bundled_folder",
    "changes",
    "default_place",
    "load_tables",
]


def bundled_folder(review: str = "axspa") -> Path:
    """The folder of evidence tables that ships with a review."""
    return Path(str(files("enthesis"))) / "reviews" / review / "evidence"


@lru_cache(maxsize=1)
def bundled_evidence() -> Evidence:
    """The evidence that ships with the axSpA review, loaded into a store in memory; made once per process.

    Examples
    --------
    >>> len(bundled_evidence().studies) > 100
    True
    """
    with Store.open(":memory:") as store:
        load_tables(store, bundled_folder())
        return store.evidence()
