import multiprocessing
import sqlite3
import threading
import time

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from enthesis.errors import DataError, StoreError, UsageError
from enthesis.evidence import Store, load_tables
from enthesis.evidence.store import checked
from small_tables import small_folder

SOURCE = {"source_id": "who2024", "kind": "article", "title": "A report"}
ARM = {"study_id": "S", "arm_id": "a", "treatment": "placebo", "drug_class": "placebo", "source_id": "who2024"}


@pytest.fixture
def store(place):
    with Store.open(place) as opened:
        yield opened


def test_an_appended_fact_carries_source_locator_extractor_and_time(store):
    store.append("arms", {**ARM, "locator": "Table 1"}, extractor="A. Reader")
    fact = store.evidence().facts[0]
    assert (fact.source_id, fact.locator, fact.extractor) == ("who2024", "Table 1", "A. Reader")
    assert fact.recorded_at == store.snapshot().recorded_at
    assert fact.recorded_at.endswith("+00:00")


def test_a_superseded_fact_stays_visible_at_the_old_snapshot(store):
    first = store.append("sources", SOURCE, extractor="A. Reader")
    old = store.snapshot()
    store.supersede(first, {**SOURCE, "title": "Another title"}, extractor="B. Reader", reason="misread")
    assert store.evidence(old).sources.title.tolist() == ["A report"]
    assert store.evidence().sources.title.tolist() == ["Another title"]


def test_a_fact_is_superseded_once(store):
    first = store.append("sources", SOURCE, extractor="A. Reader")
    second = store.supersede(first, {**SOURCE, "title": "B"}, extractor="A. Reader", reason="misread")
    with pytest.raises(UsageError, match=f"superseded already, by fact {second}"):
        store.supersede(first, {**SOURCE, "title": "C"}, extractor="A. Reader", reason="misread")


def test_a_correction_cannot_speak_of_another_row(store):
    first = store.append("sources", SOURCE, extractor="A. Reader")
    with pytest.raises(DataError, match="natural key differs"):
        store.supersede(first, {**SOURCE, "source_id": "other"}, extractor="A. Reader", reason="misread")


def test_a_withdrawn_fact_is_gone_from_the_new_snapshot_only(store):
    first = store.append("sources", SOURCE, extractor="A. Reader")
    old = store.snapshot()
    store.withdraw(first, extractor="A. Reader", reason="retracted")
    assert len(store.evidence().sources) == 0
    assert len(store.evidence(old).sources) == 1


def test_rows_that_share_a_natural_key_are_both_kept(store):
    for title in ("one", "two"):
        store.append("sources", {**SOURCE, "title": title}, extractor="A. Reader")
    assert sorted(fact.ordinal for fact in store.evidence().facts) == [1, 2]


def test_a_judgement_has_author_reason_and_date(store):
    store.judge("curation", {"study_id": "ATLAS", "use": "no"}, author="A. Reviewer", reason="overlap")
    line = store.evidence().curation.iloc[0]
    assert (line.author, line.reason, line.recorded_at) == ("A. Reviewer", "overlap", store.snapshot().recorded_at)


def test_a_later_judgement_on_the_same_thing_supersedes_the_earlier(store):
    store.judge("curation", {"study_id": "ATLAS", "use": "no"}, author="A. Reviewer", reason="overlap")
    store.judge(
        "curation", {"study_id": "ATLAS", "use": "primary"}, author="B. Reviewer", reason="no overlap after all"
    )
    assert store.evidence().curation[["use", "author"]].values.tolist() == [["primary", "B. Reviewer"]]


def test_an_override_is_a_judgement(store):
    line = {"subject": "ASAS40: upadacitinib vs placebo", "item": "imprecision", "value": "not serious"}
    store.judge("overrides", line, author="A. Panel", reason="interval excludes the MID")
    assert store.evidence().overrides.reason.tolist() == ["interval excludes the MID"]


def test_a_reported_result_is_not_a_judgement(store):
    with pytest.raises(UsageError, match="Tables of judgements: curation, rob, overrides"):
        store.judge("arms", ARM, author="A. Reviewer", reason="because")


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_judgement_without_a_reason_is_refused(store, reason):
    with pytest.raises(UsageError, match="Say why"):
        store.judge("curation", {"study_id": "ATLAS", "use": "no"}, author="A. Reviewer", reason=reason)


def test_a_bad_cell_is_refused_before_it_reaches_the_database(store):
    with pytest.raises(DataError, match=r"column 'kind', value 'articel'.*Did you mean 'article'"):
        store.append("sources", {**SOURCE, "kind": "articel"}, extractor="A. Reader")
    assert store.snapshot().number == 0


def test_a_nul_character_is_refused(store):
    with pytest.raises(DataError, match="NUL"):
        store.append("sources", {**SOURCE, "title": "a\x00b"}, extractor="A. Reader")


def test_a_failed_write_stores_nothing(store):
    def write_and_fail():
        with store.writing(extractor="A. Reader") as writer:
            digests.append(writer.put_bytes(b"bytes", name="x"))
            writer.append(checked("sources", SOURCE))
            raise RuntimeError

    digests = []
    with pytest.raises(RuntimeError):
        write_and_fail()
    assert store.snapshots() == ()
    with pytest.raises(UsageError, match="holds no document"):
        store.get_bytes(digests[0])


def test_bytes_come_back_as_they_were_put(store):
    content = bytes(range(256)) * 3
    digest = store.put_bytes(content, name="record.json")
    assert store.put_bytes(content, name="again.json") == digest
    assert store.get_bytes(digest) == content


def test_a_snapshot_of_another_store_is_refused(store):
    store.append("sources", SOURCE, extractor="A. Reader")
    with Store.open(":memory:") as other:
        other.append("sources", {**SOURCE, "title": "elsewhere"}, extractor="A. Reader")
        with pytest.raises(UsageError, match="is not of"):
            store.evidence(other.snapshot())


def test_the_snapshot_counts_what_is_visible(store):
    first = store.append("sources", SOURCE, extractor="A. Reader")
    store.supersede(first, {**SOURCE, "title": "B"}, extractor="A. Reader", reason="misread")
    assert [(shot.number, shot.facts) for shot in store.snapshots()] == [(1, 1), (2, 1)]


def test_a_sound_store_verifies(store):
    first = store.append("sources", SOURCE, extractor="A. Reader")
    store.withdraw(first, extractor="A. Reader", reason="retracted")
    store.put_bytes(b"bytes", name="x")
    store.verify()


def test_a_changed_payload_does_not_verify(tmp_path):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        store.append("sources", SOURCE, extractor="A. Reader")
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TRIGGER facts_no_update")
        raw.execute("UPDATE facts SET payload = replace(payload, 'A report', 'Forged')")
    raw.close()
    with Store.open(path) as store, pytest.raises(StoreError, match="fact 1 does not match its hash"):
        store.verify()


# The database itself refuses a change


@pytest.fixture
def raw(place):
    with Store.open(place) as store:
        store.append("sources", SOURCE, extractor="A. Reader")
        store.put_bytes(b"bytes", name="x")
    url = place.replace("postgresql://", "postgresql+psycopg://") if "://" in place else f"sqlite:///{place}"
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("table", ["facts", "snapshots", "raw_documents"])
@pytest.mark.parametrize("change", ["DELETE FROM {table}", "UPDATE {table} SET {column} = {column}"])
def test_the_database_refuses_to_change_or_delete(raw, table, change):
    column = {"facts": "payload", "snapshots": "content_hash", "raw_documents": "name"}[table]
    with raw.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(change.format(table=table, column=column)))


def test_the_database_refuses_to_truncate(postgresql):
    url = postgresql.database()
    Store.open(url).close()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text("TRUNCATE facts CASCADE"))
    engine.dispose()


@pytest.mark.parametrize("verb", ["INSERT OR REPLACE INTO", "REPLACE INTO"])
def test_sqlite_refuses_to_replace_a_fact(tmp_path, verb):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        store.append("sources", SOURCE, extractor="A. Reader")
    raw = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(f"{verb} facts SELECT * FROM facts")
    raw.close()


def test_the_database_refuses_a_second_successor(raw):
    row = (
        'INSERT INTO facts SELECT id + {n}, "table", first_id, "key", ordinal, payload, content_hash, '
        "source_id, locator, extractor, author, reason, recorded_at, document, file, file_row, 1, withdrawn "
        "FROM facts WHERE id = 1"
    )
    with raw.begin() as connection:
        connection.execute(text(row.format(n=1)))
    with raw.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text(row.format(n=2)))


# Two at once


def _load(place, folder, gate, answers):
    with Store.open(place) as store:
        gate.wait(20)
        answers.put(load_tables(store, folder).total("stored"))


def test_two_loads_at_once_store_every_row_once(place, tmp_path):
    folder = small_folder(tmp_path / "tables")
    spawn = multiprocessing.get_context("spawn")
    gate, answers = spawn.Barrier(2), spawn.Queue()
    workers = [spawn.Process(target=_load, args=(place, folder, gate, answers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    stored = sorted(answers.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(20)
    with Store.open(place) as store:
        assert stored == [0, len(store.evidence().facts)]
        assert len(store.snapshots()) == 1


def test_a_writer_that_waits_too_long_gets_a_sentence(place):
    with Store.open(place) as first, Store.open(place, timeout=0.2) as second:
        with first.writing(extractor="A. Reader"), pytest.raises(StoreError, match="written by another process"):
            second.append("sources", SOURCE, extractor="B. Reader")
        second.append("sources", SOURCE, extractor="B. Reader")


def test_a_reader_does_not_wait_for_a_writer(place):
    with Store.open(place) as first, Store.open(place, timeout=0.2) as second:
        first.append("sources", SOURCE, extractor="A. Reader")
        with first.writing(extractor="A. Reader") as writer:
            writer.put_bytes(b"bytes", name="x")
            assert len(second.evidence().sources) == 1


def test_a_second_writer_waits_for_the_first(place):
    with Store.open(place) as first, Store.open(place) as second:
        done = []

        def write():
            second.append("sources", {**SOURCE, "source_id": "later"}, extractor="B. Reader")
            done.append(time.monotonic())

        with first.writing(extractor="A. Reader") as writer:
            thread = threading.Thread(target=write)
            thread.start()
            time.sleep(0.2)
            released = time.monotonic()
            writer.put_bytes(b"bytes", name="x")
        thread.join(20)
        assert done[0] >= released
        assert len(second.snapshots()) == 1
