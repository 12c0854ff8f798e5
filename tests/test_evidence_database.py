import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from enthesis.errors import StoreError
from enthesis.evidence import Store, load_tables, migrations
from enthesis.evidence.database import default_place
from small_tables import small_folder

SCHEMAS = Path(__file__).parent / "recorded" / "schemas"
SOURCE = {"source_id": "who2024", "kind": "article"}


# Places that cannot be a store


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"is a directory. Name a file in it"):
        Store.open(tmp_path)


def test_a_file_that_is_not_a_database_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be read as one\n" * 100)
    with pytest.raises(StoreError, match="is not an evidence store"):
        Store.open(path)
    assert path.read_text().startswith("not a database")


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE customers (name TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"another program.*'customers'"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_postgresql_database_with_a_foreign_table_of_our_name_is_refused(postgresql):
    url = postgresql.database()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE facts (id INTEGER)"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"another program.*'facts'"):
        Store.open(url)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        load_tables(store, small_folder(tmp_path / "tables"))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged|not an evidence store"), Store.open(path) as store:
        store.evidence()


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        load_tables(store, small_folder(tmp_path / "tables"))
    path.write_bytes(path.read_bytes()[: 3 * 4096 + 7])
    with pytest.raises(StoreError, match="damaged"), Store.open(path) as store:
        store.evidence()


def test_a_store_of_a_newer_enthesis_is_refused(place):
    Store.open(place).close()
    engine = create_engine(
        place.replace("postgresql://", "postgresql+psycopg://") if "://" in place else f"sqlite:///{place}"
    )
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"newer enthesis .schema 9999.*Upgrade enthesis"):
        Store.open(place)


def test_a_missing_store_is_refused_when_it_may_not_be_made(tmp_path):
    with pytest.raises(StoreError, match="There is no store at"):
        Store.open(tmp_path / "none.sqlite", create=False)
    assert not (tmp_path / "none.sqlite").exists()


def test_an_empty_database_is_not_made_a_store_when_it_may_not(postgresql):
    with pytest.raises(StoreError, match="holds no evidence store"):
        Store.open(postgresql.database(), create=False)


@pytest.mark.parametrize("where", ["mysql://me@host/db", "https://example.org/store", "sqlite:///x.db"])
def test_another_kind_of_url_is_refused(where):
    with pytest.raises(StoreError, match=r"is not supported. Use a file name"):
        Store.open(where)


def test_a_server_that_does_not_answer_is_a_sentence_without_the_password(tmp_path):
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        Store.open(f"postgresql://me:secret@/db?host={tmp_path}", timeout=2)
    assert "secret" not in str(caught.value)


#: Root may read and write everything, so root becomes another user once everything is imported.
AS_ANOTHER_USER = """
import os, sys
import pandas, sqlalchemy.dialects.sqlite
from enthesis.evidence import Store
from enthesis.errors import StoreError
import enthesis.evidence.view
with Store.open(":memory:") as warm:
    warm.evidence().sources
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    with Store.open(sys.argv[1]) as store:
        print("facts", len(store.evidence().facts))
        store.append("sources", {"source_id": "b", "kind": "article"}, extractor="A. Reader")
except StoreError as error:
    print(error)
"""


def _as_another_user(path: Path) -> str:
    command = [sys.executable, "-c", AS_ANOTHER_USER, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture(params=["folder", "file"])
def read_only(request):
    """A store that any user can read and only root can write, in a folder of that kind or not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "store.sqlite"
        with Store.open(path) as store:
            store.append("sources", SOURCE, extractor="A. Reader")
        path.chmod(0o444)
        folder.chmod(0o555 if request.param == "folder" else 0o777)
        yield path
        folder.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_read_only_store_is_read_and_its_writing_is_a_sentence(read_only):
    told = _as_another_user(read_only)
    assert told.startswith("facts 1\n")
    assert "cannot be written: the file or its folder is read-only" in told


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_store_that_may_not_be_read_is_a_sentence(read_only):
    read_only.chmod(0o600 if os.geteuid() == 0 else 0o000)
    assert "cannot be read" in _as_another_user(read_only)


# The schema


def test_a_sqlite_store_is_in_wal_mode(tmp_path):
    Store.open(tmp_path / "store.sqlite").close()
    raw = sqlite3.connect(tmp_path / "store.sqlite")
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_opening_a_store_that_is_current_does_not_import_alembic(tmp_path):
    Store.open(tmp_path / "store.sqlite").close()
    code = (
        "import sys; from enthesis.evidence import Store; Store.open(sys.argv[1]).close(); "
        "print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "store.sqlite")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"


def _schema(connection) -> dict[str, object]:
    found = inspect(connection)
    tables = {name: [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)]
              for name in found.get_table_names()}  # fmt: skip
    if connection.dialect.name == "sqlite":
        triggers = "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'index') ORDER BY name"
    else:
        triggers = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
    return {"tables": tables, "triggers": list(connection.execute(text(triggers)).scalars())}


def test_a_new_store_has_the_schema_that_alembic_makes(place):
    url = place.replace("postgresql://", "postgresql+psycopg://") if "://" in place else f"sqlite:///{place}"
    engine = create_engine(url)
    with engine.begin() as connection:
        migrations.upgrade(connection)
        upgraded = _schema(connection)
        connection.rollback()
    with engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            connection.exec_driver_sql(f'DROP TABLE "{name}"' + (" CASCADE" if "://" in place else ""))
        if "://" in place:
            connection.exec_driver_sql("DROP FUNCTION IF EXISTS enthesis_append_only")
        connection.commit()
        migrations.create(connection)
        assert _schema(connection) == upgraded
    engine.dispose()


def test_every_revision_is_listed_and_the_last_one_is_head():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    assert [step.revision for step in reversed(list(script.walk_revisions()))] == list(migrations.REVISIONS)
    assert script.get_current_head() == migrations.HEAD


def test_a_store_of_every_released_schema_is_recorded():
    assert sorted(path.stem for path in SCHEMAS.glob("*.sql")) == list(migrations.REVISIONS)


@pytest.mark.parametrize("recorded", sorted(SCHEMAS.glob("*.sql")), ids=lambda path: path.stem)
def test_a_store_of_a_released_schema_opens_with_its_facts(tmp_path, recorded):
    path = tmp_path / "store.sqlite"
    raw = sqlite3.connect(path)
    raw.executescript(recorded.read_text(encoding="utf-8"))
    raw.close()
    with Store.open(path) as store:
        store.verify()
        evidence = store.evidence()
        assert evidence.sources.source_id.tolist() == ["vanderheijde2019_lancet"]
        assert evidence.sources.note.tolist() == ["Read again"]
        assert len(store.snapshots()) == 2
        store.append("sources", SOURCE, extractor="A. Reader")


@pytest.mark.parametrize("recorded", sorted(SCHEMAS.glob("*.sql")), ids=lambda path: path.stem)
def test_a_released_schema_upgrades_to_the_schema_of_a_new_store(tmp_path, recorded):
    raw = sqlite3.connect(tmp_path / "old.sqlite")
    raw.executescript(recorded.read_text(encoding="utf-8"))
    raw.close()
    schemas = []
    for name in ("old.sqlite", "new.sqlite"):
        Store.open(tmp_path / name).close()
        engine = create_engine(f"sqlite:///{tmp_path / name}")
        with engine.connect() as connection:
            schemas.append(_schema(connection))
        engine.dispose()
    assert schemas[0] == schemas[1]


# The user's own store


def test_the_environment_names_the_users_store(monkeypatch):
    monkeypatch.setenv("ENTHESIS_STORE", "postgresql://me@host/db")
    assert default_place() == "postgresql://me@host/db"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the XDG folders are of other systems")
def test_the_users_store_is_in_the_folder_for_user_data(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_place() == str(tmp_path / "enthesis" / "evidence.sqlite")


def test_the_folder_of_a_new_store_is_made(tmp_path):
    Store.open(tmp_path / "a" / "b" / "store.sqlite").close()
    assert (tmp_path / "a" / "b" / "store.sqlite").exists()
