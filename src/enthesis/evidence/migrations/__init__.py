"""The schema of the store, step by step.

A released step is never edited: a change of the schema is a new file in `versions/`, named in `REVISIONS`, with a store
of the schema before it added to the tests. A new store runs the same statements as an upgrade does, without importing
Alembic, so that opening is quick; Alembic upgrades a store that an earlier enthesis wrote.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from sqlalchemy.engine import Connection

#: The revisions, oldest first, with the modules that hold them.
REVISIONS: dict[str, str] = {"0001": "v0001_facts"}

#: The schema that this version of enthesis reads and writes.
HEAD = list(REVISIONS)[-1]

#: Named after the project, so that the store can live in a database beside other programs that use Alembic.
VERSION_TABLE = "enthesis_schema"


def create(connection: Connection) -> None:
    """Run every step on an empty database and write down the revision."""
    for module in REVISIONS.values():
        step = import_module(f"{__name__}.versions.{module}")
        for statement in step.statements(connection.dialect.name):
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{HEAD}')")


def upgrade(connection: Connection) -> None:
    """Bring an older store to `HEAD` inside the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
