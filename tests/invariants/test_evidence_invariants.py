"""What holds for any evidence, in any order and in both databases."""

import csv
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enthesis.errors import DataError
from enthesis.evidence import Store, bundled_evidence, bundled_folder, changes, load_tables
from enthesis.evidence.sources.csvfile import parse_csv
from small_tables import edit

#: Texts as people write them: accents, quotes, commas, line breaks, formulas; no control characters, which are refused.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from('\n",;='), max_size=12)
SOURCES = st.fixed_dictionaries(
    {
        "source_id": st.sampled_from(["a", "b", "c", "d"]),
        "kind": st.sampled_from(["article", "press"]),
        "title": TEXTS,
        "year": st.sampled_from(["", "2020", "2021"]),
    }
)
STATEMENTS = st.fixed_dictionaries({"drug": st.sampled_from(["x", "y"]), "text": TEXTS})
#: A folder: some rows of a table with natural keys (repeated ones among them) and of one without.
FOLDERS = st.fixed_dictionaries(
    {"sources": st.lists(SOURCES, max_size=6), "other/notes": st.lists(STATEMENTS, max_size=4)}
)

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def load(store, tables, **how):
    with tempfile.TemporaryDirectory() as name:
        for table, rows in tables.items():
            path = Path(name) / f"{table}.csv"
            path.parent.mkdir(exist_ok=True)
            columns = ["source_id", "kind", "title", "year"] if table == "sources" else ["drug", "text"]
            with path.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.DictWriter(stream, columns)
                writer.writeheader()
                writer.writerows(rows)
        return load_tables(store, name, **how)


def contents(evidence):
    """What is visible, as a multiset."""
    return sorted((fact.table, tuple(sorted((c, t) for c, t in fact.cells().items() if t))) for fact in evidence.facts)


def written(tables):
    """What the folder says, as a multiset of stripped cells."""
    return sorted(
        (table, tuple(sorted((column, text.strip()) for column, text in row.items() if text.strip())))
        for table, rows in tables.items()
        for row in rows
    )


@quick
@given(FOLDERS)
def test_no_row_is_lost(tables):
    with Store.open(":memory:") as store:
        report = load(store, tables)
        assert contents(store.evidence()) == written(tables)
        assert report.total("read") == report.total("stored") == sum(map(len, tables.values()))


@quick
@given(FOLDERS)
def test_reloading_stores_nothing(tables):
    with Store.open(":memory:") as store:
        first = load(store, tables)
        again = load(store, tables)
        assert again.snapshot == first.snapshot
        assert again.total("unchanged") == first.total("read")


@quick
@given(FOLDERS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_change_the_hash_and_stores_nothing(tables, chance):
    shuffled = {name: chance.sample(rows, len(rows)) for name, rows in tables.items()}
    with Store.open(":memory:") as store, Store.open(":memory:") as other:
        first = load(store, tables)
        assert load(store, shuffled).total("unchanged") == first.total("read")
        assert load(other, shuffled).snapshot.content_hash == first.snapshot.content_hash


@quick
@given(FOLDERS)
def test_the_order_of_tables_does_not_change_the_hash(tables):
    with Store.open(":memory:") as store, Store.open(":memory:") as other:
        load(store, tables)
        for name in reversed(list(tables)):
            load(other, {name: tables[name]})
        assert other.snapshot().content_hash == store.snapshot().content_hash


@quick
@given(FOLDERS, FOLDERS)
def test_a_load_that_withdraws_leaves_what_the_folder_says(before, after):
    with Store.open(":memory:") as store:
        load(store, before)
        report = load(store, after, withdraw_missing=True)
        assert contents(store.evidence()) == written(after)
        parts = ("stored", "unchanged", "superseded", "rejected_rows")
        assert report.total("read") == sum(report.total(part) for part in parts)
        store.verify()


@quick
@given(st.lists(FOLDERS, min_size=2, max_size=4), st.booleans())
def test_every_old_snapshot_shows_what_it_showed(folders, withdraw):
    with Store.open(":memory:") as store:
        seen = {}
        for tables in folders:
            snapshot = load(store, tables, withdraw_missing=withdraw).snapshot
            seen[snapshot] = contents(store.evidence())
        for snapshot, content in seen.items():
            assert contents(store.evidence(snapshot)) == content
            assert store.evidence(snapshot).content_hash == snapshot.content_hash
        store.verify()


@quick
@given(FOLDERS, FOLDERS)
def test_the_hash_is_the_content(before, after):
    with Store.open(":memory:") as store, Store.open(":memory:") as fresh:
        load(store, before)
        load(store, after, withdraw_missing=True)
        assert load(fresh, after).snapshot.content_hash == store.snapshot().content_hash
        assert (fresh.evidence().content_hash == store.evidence(0).content_hash) == (not written(after))


@quick
@given(FOLDERS, FOLDERS)
def test_changes_lead_from_the_old_to_the_new_snapshot(before, after):
    with Store.open(":memory:") as store:
        old = load(store, before).snapshot
        load(store, after, withdraw_missing=True)
        first, last = store.evidence(old), store.evidence()
        found = changes(first, last)
        gone = {fact.id for fact in found.withdrawn} | {fact.id for fact, _ in found.superseded}
        kept = [fact for fact in first.facts if fact.id not in gone]
        made = kept + list(found.added) + [fact for _, fact in found.superseded]
        assert sorted(fact.content_hash for fact in made) == sorted(fact.content_hash for fact in last.facts)
        assert bool(found) == (contents(first) != contents(last))


@settings(quick, max_examples=8)
@given(FOLDERS, FOLDERS)
def test_both_databases_give_the_same_hash_and_the_same_rows(postgresql, before, after):
    with Store.open(postgresql.database()) as one, Store.open(":memory:") as other:
        for tables in (before, after):
            load(one, tables)
            load(other, tables)
        assert one.snapshot().content_hash == other.snapshot().content_hash
        assert contents(one.evidence()) == contents(other.evidence())
        one.verify()


@quick
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_rows_or_a_sentence(content):
    try:
        answer = parse_csv(content, "t.csv").header
    except DataError as error:
        answer = str(error)
    assert answer


@pytest.mark.parametrize("seed", range(3))
def test_bundled_tables_in_any_order_have_one_hash(seed, tmp_path):
    folder = Path(shutil.copytree(bundled_folder(), tmp_path / "tables"))
    chance = random.Random(seed)
    for path in folder.rglob("*.csv"):
        edit(path, lambda rows: chance.sample(rows, len(rows)))
    with Store.open(":memory:") as store:
        assert load_tables(store, folder).snapshot.content_hash == bundled_evidence().content_hash
