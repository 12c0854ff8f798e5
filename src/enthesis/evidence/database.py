"""The database behind a store: SQLite in WAL mode by default, PostgreSQL by URL, one code path.

Everything that can be wrong with a place becomes a `StoreError` that says what it is and what to do. A writer holds
one lock for its whole transaction (`BEGIN IMMEDIATE`, or an advisory lock), so a store has one writer at a time and
readers never wait.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from enthesis.errors import StoreError
from enthesis.evidence import migrations

MEMORY = ":memory:"
_TABLES = ("facts", "snapshots", "raw_documents")


def default_place() -> str:
    """The user's own store: ENTHESIS_STORE (a file or a URL), else a file in the platform's folder for user data."""
    if os.environ.get("ENTHESIS_STORE"):
        return os.environ["ENTHESIS_STORE"]
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return str(folder / "enthesis" / "evidence.sqlite")


class Database:
    """A connected database whose schema is the current one.

    Parameters
    ----------
    where : str or Path
        File of a SQLite store, a `postgresql://` URL, or ":memory:".
    create : bool
        Make the store when it does not exist.
    timeout : float
        Seconds to wait for another writer.
    """

    def __init__(self, where: str | Path, *, create: bool = True, timeout: float = 30.0) -> None:
        self.timeout = timeout
        self.engine, self.name = _engine(where, create=create, timeout=timeout)
        try:
            self._prepare(create)
        except BaseException:
            self.engine.dispose()
            raise

    def _prepare(self, create: bool) -> None:
        with self.reading() as connection:
            version = self._version(connection)
        if version == migrations.HEAD:
            return
        if version is None and not create:
            raise StoreError(f"{self.name} holds no evidence store. Load evidence into it first.")
        with self.writing() as connection:
            version = self._version(connection)  # another process may have been quicker
            if version is None:
                migrations.create(connection)
            elif version != migrations.HEAD:
                migrations.upgrade(connection)

    def _version(self, connection: Connection) -> str | None:
        names = set(inspect(connection).get_table_names())
        if migrations.VERSION_TABLE not in names:
            foreign = names if connection.dialect.name == "sqlite" else names & set(_TABLES)
            if foreign:
                raise StoreError(
                    f"{self.name} is a database of another program (it holds the table {sorted(foreign)[0]!r}). "
                    "Choose another place for the store."
                )
            return None
        found = connection.execute(text(f"SELECT version_num FROM {migrations.VERSION_TABLE}")).scalar()
        if found is not None and found not in migrations.REVISIONS:
            raise StoreError(
                f"{self.name} was written by a newer enthesis (schema {found}; this one knows up to "
                f"{migrations.HEAD}). Upgrade enthesis to open it."
            )
        return found

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose statements see one state; errors become sentences."""
        with self._sentences(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The one writer's transaction: all of it is stored, or nothing."""
        with self._sentences(), self.engine.connect() as plain:
            connection = plain.execution_options(writer=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(self.timeout * 1000)}")
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('enthesis'), 0)")
                yield connection

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreError(_sentence(self.name, error, self.timeout)) from error
        except SQLAlchemyError as error:
            raise StoreError(f"{self.name} cannot be used: {_first_line(error)}") from error


def _engine(where: str | Path, *, create: bool, timeout: float) -> tuple[Engine, str]:
    if "://" in str(where):
        return _postgresql(str(where), timeout)
    if str(where) == MEMORY:
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        _sqlite_events(engine, timeout)
        return engine, MEMORY
    path = Path(where).expanduser()
    _check_file(path, create)
    address = path.absolute().as_uri() + _mode(path)
    engine = create_engine(
        "sqlite://",
        poolclass=NullPool,
        creator=lambda: sqlite3.connect(address, uri=True, timeout=timeout, check_same_thread=False),
    )
    _sqlite_events(engine, timeout)
    return engine, str(path)


def _check_file(path: Path, create: bool) -> None:
    if path.is_dir():
        raise StoreError(f"{path} is a directory. Name a file in it, such as {path / 'evidence.sqlite'}.")
    if path.exists():
        if not path.is_file():
            raise StoreError(f"{path} is not a regular file. Name a file for the store.")
        if not os.access(path, os.R_OK):
            raise StoreError(f"{path} cannot be read. Ask for permission to read it, or choose another place.")
        return
    if not create:
        raise StoreError(f"There is no store at {path}. Check the name, or load evidence into it first.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {path.parent} cannot be made: {error.strerror}. Choose another place.") from None


def _mode(path: Path) -> str:
    """How SQLite opens a file: one on a read-only place is read as it is, because WAL mode needs to write beside it."""
    if path.exists() and not (os.access(path, os.W_OK) or os.access(path.parent, os.W_OK)):
        return "?mode=ro" if Path(f"{path}-wal").exists() else "?immutable=1"
    return "?mode=rwc"


def _postgresql(where: str, timeout: float) -> tuple[Engine, str]:
    try:
        url = make_url(where)
    except ArgumentError:
        raise StoreError("The address of the store is not a URL such as postgresql://user@host/database.") from None
    if url.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise StoreError(
            f"{url.drivername}:// is not supported. Use a file name for SQLite or postgresql://user@host/database."
        )
    url = url.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": max(2, int(timeout))})
    except ModuleNotFoundError:
        raise StoreError(
            "PostgreSQL needs the driver psycopg. Install it with: pip install 'enthesis[postgresql]'"
        ) from None
    return engine, url.render_as_string(hide_password=True)


def _sqlite_events(engine: Engine, timeout: float) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, so that a writer can take its lock at once
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(timeout * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA recursive_triggers = ON")
        cursor.execute("PRAGMA trusted_schema = OFF")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writer = connection.get_execution_options().get("writer")
        if writer and connection.connection.dbapi_connection is not None:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            if mode == "delete":
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ") + "."


def _sentence(name: str, error: DBAPIError, timeout: float) -> str:
    detail = _first_line(error.orig or error)
    low = detail.lower()
    if "locked" in low or "lock timeout" in low or "busy" in low:
        return f"{name} is being written by another process (waited {timeout:g} s). Try again when that has ended."
    if "not a database" in low:
        return f"{name} is not an evidence store (not a SQLite file). Choose another file."
    if "malformed" in low or "corrupt" in low:
        return f"{name} is damaged ({detail}) Restore it from a copy, or load the evidence into a new store."
    if "readonly" in low or "read-only" in low:
        return (
            f"{name} cannot be written: the file or its folder is read-only. Ask for permission, or copy it elsewhere."
        )
    if "unable to open" in low:
        return f"{name} cannot be opened: no permission, or its folder does not exist. Choose another place."
    if "full" in low or "no space" in low:
        return f"{name} cannot grow: the disk is full. Free some space; nothing was stored."
    if "disk i/o" in low:
        return f"{name} cannot be written or read: its disk is full or fails. Free some space, then try again."
    if "append-only" in low:
        return f"{name} refused a change: {detail} Record a correction as a new fact that supersedes the old one."
    if "connection" in low or "connect" in low or "authentication" in low or "does not exist" in low:
        return f"{name} cannot be reached: {detail} Check that the server runs and the address is right."
    return f"{name} cannot be used: {detail}"
