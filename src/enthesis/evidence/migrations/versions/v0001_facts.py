"""Facts, snapshots and raw documents, none of which can be changed or deleted afterwards.

The triggers hold for every program that writes to the database, not only for this one. SQLite's `INSERT OR REPLACE`
deletes without firing delete triggers, so an insert that hits an existing row is refused as well.
"""

from __future__ import annotations

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = [
    """CREATE TABLE raw_documents (
        hash VARCHAR(64) NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        size {integer} NOT NULL,
        stored_at TEXT NOT NULL,
        content {bytes} NOT NULL
    )""",
    """CREATE TABLE facts (
        id {integer} NOT NULL PRIMARY KEY,
        "table" TEXT NOT NULL,
        first_id {integer} NOT NULL,
        "key" VARCHAR(64) NOT NULL,
        ordinal INTEGER NOT NULL,
        payload TEXT NOT NULL,
        content_hash VARCHAR(64) NOT NULL,
        source_id TEXT NOT NULL,
        locator TEXT NOT NULL,
        extractor TEXT NOT NULL,
        author TEXT NOT NULL,
        reason TEXT NOT NULL,
        recorded_at TEXT NOT NULL,
        document VARCHAR(64) NOT NULL,
        file TEXT NOT NULL,
        file_row INTEGER NOT NULL,
        supersedes {integer} UNIQUE REFERENCES facts (id),
        withdrawn INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),
        CHECK (supersedes IS NULL OR supersedes < id),
        CHECK (first_id <= id),
        CHECK (ordinal >= 1)
    )""",
    'CREATE INDEX facts_key ON facts ("key")',
    """CREATE TABLE snapshots (
        number {integer} NOT NULL PRIMARY KEY REFERENCES facts (id),
        content_hash VARCHAR(64) NOT NULL,
        recorded_at TEXT NOT NULL,
        facts {integer} NOT NULL
    )""",
]

_KEYS = {"raw_documents": "hash", "facts": "id", "snapshots": "number"}


def _sqlite_triggers() -> list[str]:
    made = []
    for table, key in _KEYS.items():
        for action in ("UPDATE", "DELETE"):
            made.append(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
            )
        made.append(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
        )
    made.append(
        "CREATE TRIGGER facts_one_successor BEFORE INSERT ON facts WHEN NEW.supersedes IS NOT NULL "
        "AND EXISTS (SELECT 1 FROM facts WHERE supersedes = NEW.supersedes) "
        "BEGIN SELECT RAISE(ABORT, 'facts are append-only: this fact is superseded already'); END"
    )
    return made


def _postgresql_triggers() -> list[str]:
    made = [
        "CREATE FUNCTION enthesis_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' are append-only'; END $$"
    ]
    for table in _KEYS:
        made.append(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION enthesis_append_only()"
        )
        made.append(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION enthesis_append_only()"
        )
    return made


def statements(dialect: str) -> list[str]:
    """The SQL of this step for `sqlite` or `postgresql`."""
    if dialect == "sqlite":
        types, triggers = {"integer": "INTEGER", "bytes": "BLOB"}, _sqlite_triggers()
    else:
        types, triggers = {"integer": "BIGINT", "bytes": "BYTEA"}, _postgresql_triggers()
    return [text.format(**types) for text in _TABLES] + triggers


def upgrade() -> None:
    """Apply this step; called by Alembic."""
    from alembic import op

    for statement in statements(op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)
