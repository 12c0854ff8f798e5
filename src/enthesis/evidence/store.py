"""The store: facts are appended and superseded, never changed; a snapshot is a number.

    with Store.open("evidence.sqlite") as store:
        load_tables(store, "my-review/evidence")
        evidence = store.evidence()

Facts of one write appear together or not at all, and get one snapshot. The database itself refuses to change or delete
a fact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, Text, insert, select
from sqlalchemy.engine import Connection

from enthesis.errors import DataError, StoreError, UsageError
from enthesis.evidence.database import MEMORY, Database
from enthesis.evidence.facts import FIELDS, Fact, NewRow, cells_hash, current, facts_hash
from enthesis.evidence.rows import TABLES, table
from enthesis.evidence.snapshot import Changes, Snapshot, changes
from enthesis.hashing import bytes_hash

if TYPE_CHECKING:
    from enthesis.evidence.view import Evidence

_WHOLE = {"id": BigInteger, "first_id": BigInteger, "ordinal": Integer, "file_row": Integer, "supersedes": BigInteger}
_META = MetaData()
FACTS = Table(
    "facts", _META, *(Column(name, Integer if name == "withdrawn" else _WHOLE.get(name, Text)) for name in FIELDS)
)
SNAPSHOTS = Table(
    "snapshots",
    _META,
    Column("number", BigInteger, primary_key=True),
    Column("content_hash", String(64)),
    Column("recorded_at", Text),
    Column("facts", BigInteger),
)
DOCUMENTS = Table(
    "raw_documents",
    _META,
    Column("hash", String(64), primary_key=True),
    Column("name", Text),
    Column("size", BigInteger),
    Column("stored_at", Text),
    Column("content", LargeBinary),
)

#: Largest document that is kept, in bytes: registry records and papers are far below.
MAX_DOCUMENT = 256 * 2**20

EMPTY = Snapshot(number=0, content_hash=facts_hash([]), recorded_at="", facts=0)


class Store:
    """An evidence store in a SQLite file, a PostgreSQL database or memory.

    Make one with `Store.open`; it is a context manager.

    Examples
    --------
    >>> with Store.open(":memory:") as store:
    ...     fact = store.append("sources", {"source_id": "who2024", "kind": "article"}, extractor="A. Reader")
    ...     store.snapshot().number
    1
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, where: str | Path, *, create: bool = True, timeout: float = 30.0) -> Store:
        """Open a store, make it when it does not exist, and bring an older one to the current schema.

        Parameters
        ----------
        where : str or Path
            File of a SQLite store, a `postgresql://user@host/database` URL, or ":memory:".
        create : bool
            False: a store that does not exist is an error.
        timeout : float
            Seconds to wait while another process writes.

        Raises
        ------
        StoreError
            When the place cannot be a store, with the reason: a directory, another program's file, a damaged file, a
            store of a newer enthesis, no permission.
        """
        return cls(Database(where, create=create, timeout=timeout))

    @property
    def name(self) -> str:
        """Where the store is, without a password."""
        return self._database.name

    def close(self) -> None:
        """Let go of the database."""
        self._database.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.name!r})"

    # Reading

    def snapshots(self) -> tuple[Snapshot, ...]:
        """Every snapshot, oldest first."""
        with self._database.reading() as connection:
            return tuple(Snapshot(*row) for row in connection.execute(select(SNAPSHOTS).order_by(SNAPSHOTS.c.number)))

    def snapshot(self, number: int | None = None) -> Snapshot:
        """The latest snapshot, or the one that ends with fact `number`."""
        with self._database.reading() as connection:
            return self._snapshot(connection, number)

    def _snapshot(self, connection: Connection, number: int | None) -> Snapshot:
        if number == 0:
            return EMPTY
        query = select(SNAPSHOTS).order_by(SNAPSHOTS.c.number.desc()).limit(1)
        row = connection.execute(query if number is None else query.where(SNAPSHOTS.c.number == number)).first()
        if row is None and number is not None:
            raise UsageError(f"{self.name} has no snapshot {number}. `snapshots()` lists those that it has.")
        return Snapshot(*row) if row else EMPTY

    def evidence(self, snapshot: Snapshot | int | None = None) -> Evidence:
        """Everything reported and judged, as visible at a snapshot (the latest when none is given)."""
        from enthesis.evidence.view import Evidence

        with self._database.reading() as connection:
            number = snapshot.number if isinstance(snapshot, Snapshot) else snapshot
            found = self._snapshot(connection, number)
            if isinstance(snapshot, Snapshot) and found != snapshot:
                raise UsageError(f"Snapshot {snapshot.number} ({snapshot.content_hash[:10]}) is not of {self.name}.")
            history = _facts(connection, FACTS.c.id <= found.number)
        return Evidence(found, history)

    def changes(self, old: Snapshot | int, new: Snapshot | int | None = None) -> Changes:
        """What was added, superseded and withdrawn between two snapshots."""
        return changes(self.evidence(old), self.evidence(new))

    def verify(self) -> None:
        """Compute every hash again; a fact or snapshot that does not match is a StoreError."""
        with self._database.reading() as connection:
            facts = _facts(connection)
            snapshots = {row.number: Snapshot(*row) for row in connection.execute(select(SNAPSHOTS))}
            documents = connection.execute(select(DOCUMENTS.c.hash, DOCUMENTS.c.content)).all()
        for fact in facts:
            if not fact.withdrawn and cells_hash(fact.table, fact.cells()) != fact.content_hash:
                raise StoreError(f"{self.name} was tampered with: fact {fact.id} does not match its hash.")
        visible: dict[int, str] = {}
        for fact in facts:
            visible.pop(fact.supersedes or 0, None)
            if not fact.withdrawn:
                visible[fact.id] = fact.content_hash
            shot = snapshots.pop(fact.id, None)
            if shot is not None and facts_hash(list(visible.values())) != shot.content_hash:
                raise StoreError(f"{self.name} was tampered with: snapshot {shot.number} does not match its hash.")
        for digest, content in documents:
            if bytes_hash(content) != digest:
                raise StoreError(f"{self.name} was tampered with: document {digest[:10]} does not match its hash.")

    # Writing

    @contextmanager
    def writing(self, *, extractor: str) -> Iterator[Writer]:
        """The one writer: what it appends is stored together when the block ends, or not at all."""
        if not extractor.strip():
            raise UsageError("extractor is empty. Name who or what took the rows out of their source.")
        with self._database.writing() as connection:
            writer = Writer(connection, extractor)
            yield writer
            writer.commit()

    def append(self, name: str, cells: Mapping[str, str], *, extractor: str) -> int:
        """Store one row as a new fact and return its id.

        A row whose natural key is there already is kept beside it, with the next ordinal; use `supersede` to correct.
        """
        row = checked(name, cells)
        with self.writing(extractor=extractor) as writer:
            return writer.append(row)

    def supersede(self, fact_id: int, cells: Mapping[str, str], *, extractor: str, reason: str) -> int:
        """Store a correction of a fact and return the new fact's id; the old fact stays at the old snapshots."""
        _reasoned(reason)
        with self.writing(extractor=extractor) as writer:
            old = writer.last(fact_id)
            return writer.supersede(old, checked(old.table, cells), reason=reason)

    def withdraw(self, fact_id: int, *, extractor: str, reason: str) -> int:
        """Store that a fact no longer holds; it stays at the old snapshots."""
        _reasoned(reason)
        with self.writing(extractor=extractor) as writer:
            return writer.withdraw(writer.last(fact_id), reason=reason)

    def judge(self, name: str, cells: Mapping[str, str], *, author: str, reason: str) -> int:
        """Store a person's judgement (table `curation`, `rob` or `overrides`) with author, reason and date.

        An earlier judgement on the same thing is superseded.

        Examples
        --------
        >>> with Store.open(":memory:") as store:
        ...     line = {"study_id": "ATLAS", "use": "sensitivity"}
        ...     fact = store.judge("curation", line, author="A. Reviewer", reason="week 24 only")
        ...     store.evidence().curation[["study_id", "use", "author", "reason"]].to_dict("records")
        [{'study_id': 'ATLAS', 'use': 'sensitivity', 'author': 'A. Reviewer', 'reason': 'week 24 only'}]
        """
        if not table(name).judgement:
            known = ", ".join(spec.name for spec in TABLES.values() if spec.judgement)
            raise UsageError(f"{name} holds no judgements. Tables of judgements: {known}.")
        _reasoned(reason)
        row = checked(name, {**cells, "reason": reason})
        with self.writing(extractor=author) as writer:
            earlier = [fact for fact in writer.current(name) if fact.key == row.key]
            if earlier:
                return writer.supersede(earlier[0], row, reason=reason)
            return writer.append(row)

    # Raw bytes of sources

    def put_bytes(self, content: bytes, *, name: str) -> str:
        """Keep the bytes of a source as they came and return their sha256; the same bytes are kept once."""
        with self._database.writing() as connection:
            return _put_bytes(connection, content, name)

    def get_bytes(self, digest: str) -> bytes:
        """The bytes with that sha256."""
        with self._database.reading() as connection:
            content = connection.execute(select(DOCUMENTS.c.content).where(DOCUMENTS.c.hash == digest)).scalar()
        if content is None:
            raise UsageError(f"{self.name} holds no document with the hash {digest[:64]!r}.")
        return bytes(content)


@dataclass
class Writer:
    """Collects the facts of one transaction; made by `Store.writing`."""

    connection: Connection
    extractor: str

    def __post_init__(self) -> None:
        self._new: list[dict[str, object]] = []
        row = self.connection.execute(select(SNAPSHOTS).order_by(SNAPSHOTS.c.number.desc()).limit(1)).first()
        self.snapshot = Snapshot(*row) if row else EMPTY
        self._next = self.snapshot.number + 1
        self.recorded_at = _now()

    def current(self, name: str) -> list[Fact]:
        """The stored facts of a table that nothing replaces (before this transaction)."""
        return current(_facts(self.connection, FACTS.c.table == name))

    def chains(self, name: str) -> dict[str, list[list[Fact]]]:
        """All facts of a table by natural key: for each, its chains, oldest fact first."""
        by_key: dict[str, dict[int, list[Fact]]] = {}
        for fact in _facts(self.connection, FACTS.c.table == name):
            by_key.setdefault(fact.key, {}).setdefault(fact.ordinal, []).append(fact)
        return {key: [chains[ordinal] for ordinal in sorted(chains)] for key, chains in by_key.items()}

    def last(self, fact_id: int) -> Fact:
        """A stored fact that nothing replaces yet."""
        found = _facts(self.connection, (FACTS.c.id == fact_id) | (FACTS.c.supersedes == fact_id))
        if not found or found[0].id != fact_id:
            raise UsageError(f"There is no fact {fact_id}.")
        if len(found) > 1:
            raise UsageError(f"Fact {fact_id} is superseded already, by fact {found[1].id}. Supersede that one.")
        return found[0]

    def put_bytes(self, content: bytes, *, name: str) -> str:
        """Keep the bytes that rows were read from; returns their sha256."""
        return _put_bytes(self.connection, content, name)

    def append(self, row: NewRow, *, ordinal: int | None = None, document: str = "") -> int:
        """Add a row; without an ordinal it gets the next one of its natural key."""
        chain = self._chain(row.key) if ordinal is None else []
        return self._add(row, ordinal or 1 + max((fact.ordinal for fact in chain), default=0), document=document)

    def supersede(self, old: Fact, row: NewRow, *, reason: str, document: str = "") -> int:
        """Add a row that replaces the last fact of a chain, which may be a withdrawal."""
        if row.key != old.key:
            raise DataError(
                f"speaks of another {old.table} row than fact {old.id}: the natural key differs",
                fix="Withdraw the old fact and append the new row.",
            )
        return self._add(row, old.ordinal, supersedes=old, reason=reason, document=document)

    def withdraw(self, old: Fact, *, reason: str, file: str = "") -> int:
        """Add that a fact no longer holds; `file` when it is the file that no longer has it."""
        fact_id = self._next
        self._record(
            table=old.table, first_id=old.first_id, key=old.key, ordinal=old.ordinal, payload="", reason=reason,
            content_hash=cells_hash(old.table, {}), source_id=old.source_id, locator=old.locator, author="",
            document="", file=file, file_row=0, supersedes=old.id, withdrawn=1,
        )  # fmt: skip
        return fact_id

    def commit(self) -> None:
        """Write the collected facts and the snapshot that they make; `snapshot` is the state afterwards."""
        if not self._new:
            return
        self.connection.execute(insert(FACTS), self._new)
        replaced = select(FACTS.c.supersedes).where(FACTS.c.supersedes.is_not(None))
        visible = select(FACTS.c.content_hash).where(FACTS.c.withdrawn == 0, FACTS.c.id.not_in(replaced))
        hashes = list(self.connection.execute(visible).scalars())
        shot = Snapshot(self._next - 1, facts_hash(hashes), self.recorded_at, len(hashes))
        self.connection.execute(insert(SNAPSHOTS), shot.to_dict())
        self._new, self.snapshot = [], shot

    def _add(
        self, row: NewRow, ordinal: int, *, supersedes: Fact | None = None, reason: str = "", document: str = ""
    ) -> int:
        fact_id, cells = self._next, row.cells
        judged = row.table in TABLES and TABLES[row.table].judgement
        self._record(
            table=row.table,
            first_id=supersedes.first_id if supersedes else fact_id,
            key=row.key,
            ordinal=ordinal,
            payload=row.payload,
            content_hash=row.content_hash,
            source_id=cells.get("source_id", ""),
            locator=cells.get("locator", ""),
            author=(cells.get("author") or self.extractor) if judged else "",
            reason=cells.get("reason", "") if judged else reason,
            document=document,
            file=row.file,
            file_row=row.file_row,
            supersedes=supersedes.id if supersedes else None,
            withdrawn=0,
        )
        return fact_id

    def _record(self, **values: object) -> None:
        self._new.append({"id": self._next, "extractor": self.extractor, "recorded_at": self.recorded_at, **values})
        self._next += 1

    def _chain(self, key: str) -> list[Fact]:
        stored = _facts(self.connection, FACTS.c.key == key)
        return stored + [_fact(values) for values in self._new if values["key"] == key]


def checked(name: str, cells: Mapping[str, str]) -> NewRow:
    """A row that meets the dictionary, or a DataError for its first bad cell."""
    spec = table(name)
    texts = {str(column): str(value).strip() for column, value in cells.items()}
    for problem in spec.problems(texts):
        raise DataError(problem.reason, file=name, column=problem.column, value=problem.value, fix=problem.fix)
    for column, value in texts.items():
        if "\x00" in value or "\x00" in column:
            raise DataError("holds a NUL character", file=name, column=column, fix="Remove it.")
    return NewRow(name, texts)


def _facts(connection: Connection, *where: object) -> list[Fact]:
    rows = connection.execute(select(FACTS).where(*where).order_by(FACTS.c.id))
    return [Fact(*row[:-1], bool(row[-1])) for row in rows]


def _fact(values: Mapping[str, object]) -> Fact:
    return Fact(**{**values, "withdrawn": bool(values["withdrawn"])})  # type: ignore[arg-type]


def _put_bytes(connection: Connection, content: bytes, name: str) -> str:
    if len(content) > MAX_DOCUMENT:
        raise DataError(f"is larger than {MAX_DOCUMENT // 2**20} MB", file=name, fix="Split it, or keep it elsewhere.")
    digest = bytes_hash(content)
    if connection.execute(select(DOCUMENTS.c.hash).where(DOCUMENTS.c.hash == digest)).first() is None:
        values = {"hash": digest, "name": name, "size": len(content), "stored_at": _now(), "content": content}
        connection.execute(insert(DOCUMENTS), values)
    return digest


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise UsageError("reason is empty. Say why, in a sentence: it is kept with the fact.")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


__all__ = ["EMPTY", "MEMORY", "Store", "Writer", "checked"]
