"""Registry records in the store: nothing lost, nothing doubled, and what changed supersedes."""

import json
import multiprocessing
import os
import resource
import signal
import time

import pytest

from ctgov_records import CONTROL, analysis, as_bytes, asas40, group, record
from enthesis.errors import DataError, StoreError, UsageError
from enthesis.evidence import Store
from enthesis.evidence import store as store_module
from enthesis.evidence.sources.ctgov.answers import answered, open_questions
from enthesis.evidence.sources.ctgov.keep import EXTRACTOR, import_bytes, preview
from enthesis.hashing import bytes_hash


@pytest.fixture
def store():
    with Store.open(":memory:") as opened:
        yield opened


def imported(store, value, **settings):
    (kept,) = import_bytes(store, as_bytes(value), "small.json", **settings)
    return kept


def test_every_fact_of_a_record_is_in_the_store_with_its_pointer(store):
    kept = imported(store, record())
    posted = store.evidence().table("posted")
    assert list(posted.locator) == [fact.locator for fact in kept.parsed.facts]


def test_results_and_contrasts_are_rows_of_the_dictionary(store):
    imported(store, record())
    evidence = store.evidence()
    asas = evidence.outcomes[evidence.outcomes.outcome == "ASAS40"]
    assert asas[["arm_id", "week", "events", "n", "events_derived", "preferred"]].to_numpy().tolist() == [
        ["placebo", 12.0, 7.0, 60.0, "yes", "yes"], ["adalimumab-40-q2w", 12.0, 26.0, 62.0, "yes", "yes"]
    ]  # fmt: skip
    assert evidence.contrasts[["arm_id", "comparator_arm_id", "effect", "estimate"]].to_numpy().tolist() == [
        ["adalimumab-40-q2w", "placebo", "odds_ratio", 5.72]
    ]


def test_the_bytes_are_kept_as_they_came(store):
    content = as_bytes(record())
    (kept,) = import_bytes(store, content, "small.json")
    assert kept.document == bytes_hash(content)
    assert store.get_bytes(kept.document) == content


def test_facts_name_the_bytes_that_they_were_read_from(store):
    kept = imported(store, record())
    assert {fact.document for fact in store.evidence().facts} == {kept.document}


def test_a_second_import_adds_nothing(store):
    imported(store, record())
    before = store.snapshot()
    assert not imported(store, record()).changed
    assert store.snapshot() == before


def test_other_bytes_with_the_same_results_add_no_fact(store):
    imported(store, record())
    before = store.snapshot()
    imported(store, record() | {"derivedSection": {"miscInfoModule": {"versionHolder": "2025-05-05"}}})
    assert store.snapshot() == before


def test_a_changed_number_supersedes_and_the_old_snapshot_keeps_the_old_one(store):
    imported(store, record(asas40()))
    before = store.snapshot().number
    imported(store, record(asas40(active="43.5")))
    changes = store.changes(before)
    assert not changes.added
    assert not changes.withdrawn
    assert [(old.cells()["events"], new.cells()["events"]) for old, new in changes.superseded] == [("26", "27")] * 2
    assert "26" in set(store.evidence(before).table("posted").events.dropna().astype(int).astype(str))


def test_what_the_record_no_longer_gives_is_withdrawn(store):
    imported(store, record(asas40(), asas40(frame="Week 24") | {"title": "ASAS40 Response at Week 24"}))
    kept = imported(store, record(asas40()))
    weeks = store.evidence().outcomes
    assert 24 not in set(weeks[weeks.outcome == "ASAS40"].week)
    assert kept.withdrawn == 4


def test_a_record_that_comes_back_gives_its_facts_again(store):
    both = record(asas40(), asas40(frame="Week 24") | {"title": "ASAS40 Response at Week 24"})
    first = imported(store, both).snapshot
    imported(store, record(asas40()))
    imported(store, both)
    assert store.evidence().content_hash == store.evidence(first).content_hash


def test_an_outcome_that_moves_in_the_record_changes_only_its_places(store):
    other = asas40(frame="Week 24") | {"title": "ASAS40 Response at Week 24"}
    imported(store, record(asas40(), other))
    before = store.snapshot().number
    imported(store, record(other, asas40()))
    posted = [pair for pair in store.changes(before).superseded if pair[0].table == "posted"]
    changed = {
        name
        for old, new in posted
        for name in set(old.cells()) | set(new.cells())
        if old.cells().get(name) != new.cells().get(name)
    }
    assert changed == {"locator"}


def by_hand(store, **cells):
    row = {
        "study_id": "SMALL", "arm_id": "placebo", "subgroup": "all", "outcome": "ASAS40", "week": "12",
        "measure": "binary", "events": "7", "n": "60", "source_id": "ctgov_NCT00000001", "locator": "outcome measure 1",
        "check": "one-source", "preferred": "yes", **cells,
    }  # fmt: skip
    return store.append("outcomes", row, extractor="A. Reader")


def test_a_number_that_was_read_by_hand_from_the_record_is_not_doubled(store):
    by_hand(store)
    kept = imported(store, record())
    rows = store.evidence().outcomes
    assert kept.agreeing == 1
    assert len(rows[(rows.arm_id == "placebo") & (rows.outcome == "ASAS40")]) == 1


def test_a_number_that_was_read_differently_by_hand_stands_and_is_asked_about(store):
    by_hand(store, events="8")
    kept = imported(store, record())
    rows = store.evidence().outcomes
    assert rows[(rows.arm_id == "placebo") & (rows.outcome == "ASAS40")].events.tolist() == [8.0]
    assert [item.kind for item in kept.parsed.review] == ["conflict"]


def test_the_row_of_another_document_stays_the_preferred_one(store):
    by_hand(store, source_id="paper2020", locator="Table 2")
    imported(store, record())
    rows = store.evidence().outcomes
    rows = rows[(rows.arm_id == "placebo") & (rows.outcome == "ASAS40")]
    assert dict(zip(rows.source_id, rows.preferred)) == {"paper2020": "yes", "ctgov_NCT00000001": "no"}


def test_what_a_person_corrected_is_not_changed_back(store):
    imported(store, record())
    evidence = store.evidence()
    fact = next(f for f in evidence.facts if f.table == "outcomes" and f.cells()["outcome"] == "ASAS40")
    store.supersede(fact.id, {**fact.cells(), "events": "8"}, extractor="A. Reader", reason="the paper says 8")
    before = store.snapshot()
    imported(store, record())
    assert store.snapshot() == before


def test_a_study_that_the_store_has_keeps_its_row_and_its_names(store):
    study = {"study_id": "OURS", "nct_id": "NCT00000001", "design": "rct", "population": "axSpA", "source_id": "paper"}
    arms = [
        {"study_id": "OURS", "arm_id": "ada", "treatment": "adalimumab", "drug_class": "TNFi", "source_id": "paper"},
        {"study_id": "OURS", "arm_id": "pbo", "treatment": "placebo", "drug_class": "placebo", "source_id": "paper"},
    ]
    store.append("studies", study, extractor="A. Reader")
    for arm in arms:
        store.append("arms", arm, extractor="A. Reader")
    imported(store, record())
    evidence = store.evidence()
    assert evidence.studies.population.tolist() == ["axSpA"]
    assert set(evidence.arms.arm_id) == {"ada", "pbo"}
    assert set(evidence.outcomes.study_id) == {"OURS"}


def test_a_number_of_several_studies_needs_the_name_of_one(store):
    for name in ("A", "B"):
        row = {"study_id": name, "nct_id": "NCT00000001", "design": "rct", "population": "axSpA", "source_id": "paper"}
        store.append("studies", row, extractor="A. Reader")
    with pytest.raises(UsageError, match=r"stands for 2 studies of the store: A, B. Name one with --study"):
        imported(store, record())
    assert imported(store, record(), study="B").parsed.study["study_id"] == "B"


def test_a_new_study_whose_population_is_not_clear_needs_its_name_once(store):
    lupus = record()
    lupus["protocolSection"]["conditionsModule"]["conditions"] = ["Back Pain"]
    lupus["protocolSection"]["identificationModule"]["briefTitle"] = "A made-up trial"
    with pytest.raises(DataError, match="does not say clearly which population"):
        imported(store, lupus)
    assert imported(store, lupus, population="axSpA").parsed.study["population"] == "axSpA"
    assert not imported(store, lupus).changed


def test_several_records_of_one_file_are_all_imported(store):
    pair = [record(), record(nct_id="NCT00000002", acronym="OTHER")]
    kept = import_bytes(store, as_bytes({"studies": pair}), "page.json")
    assert [item.parsed.study["study_id"] for item in kept] == ["SMALL", "OTHER"]
    assert set(store.evidence().studies.study_id) == {"SMALL", "OTHER"}


def test_two_records_with_one_number_are_refused(store):
    with pytest.raises(DataError, match="NCT00000001 is there twice"):
        import_bytes(store, as_bytes([record(), record()]), "page.json")
    assert store.snapshot().number == 0


def test_a_preview_stores_nothing(store):
    before = store.snapshot()
    preview(as_bytes(record()), "small.json", store)
    assert store.snapshot() == before


# Answers


def unclear():
    groups = [group("OG000", "Placebo", CONTROL), group("OG001", "Group B", "The other one")]
    return record(asas40(groups=groups))


def test_what_is_not_sure_is_a_question_and_no_result(store):
    imported(store, unclear())
    assert [row["kind"] for row in open_questions(store.evidence())] == ["group"]
    assert set(store.evidence().outcomes.query("outcome == 'ASAS40'").arm_id) == {"placebo"}


def test_an_answer_is_a_fact_and_holds_at_the_next_import(store):
    imported(store, unclear())
    (question,) = open_questions(store.evidence())
    answered(store, question["question"], "adalimumab-40-q2w", author="A. Reader", reason="the protocol says so")
    evidence = store.evidence()
    assert not open_questions(evidence)
    assert set(evidence.outcomes.query("outcome == 'ASAS40'").arm_id) == {"placebo", "adalimumab-40-q2w"}
    assert evidence.table("answers")[["value", "author", "reason"]].to_numpy().tolist() == [
        ["adalimumab-40-q2w", "A. Reader", "the protocol says so"]
    ]
    before = store.snapshot()
    imported(store, unclear())
    assert store.snapshot() == before


def test_an_answer_that_fits_no_question_is_refused(store):
    imported(store, unclear())
    (question,) = open_questions(store.evidence())
    with pytest.raises(UsageError, match=r"answer on the group 'adalimumab' is not known. Did you mean"):
        answered(store, question["question"], "adalimumab", author="A. Reader", reason="so")
    with pytest.raises(UsageError, match="question 'Q-0' is not known"):
        answered(store, "Q-0", "none", author="A. Reader", reason="so")


# Faults


def test_a_clock_that_goes_backwards_changes_nothing(store, monkeypatch):
    imported(store, record())
    monkeypatch.setattr(store_module, "_now", lambda: "1999-01-01T00:00:00.000000+00:00")
    before = store.snapshot()
    imported(store, record())
    assert store.snapshot() == before
    imported(store, record(asas40(active="43.5", analyses=[analysis()])))
    store.verify()
    assert store.evidence().outcomes.query("arm_id == 'adalimumab-40-q2w' and outcome == 'ASAS40'").events.tolist() == [
        27
    ]


def _import(place, value):
    with Store.open(place) as opened:
        import_bytes(opened, as_bytes(value), "small.json")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="imports are forked")
def test_two_processes_that_import_at_once_store_everything_once(tmp_path):
    place = str(tmp_path / "store.sqlite")
    context = multiprocessing.get_context("spawn")
    values = [record(), record(), record(nct_id="NCT00000002", acronym="OTHER")]
    running = [context.Process(target=_import, args=(place, value)) for value in values]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0, 0, 0]
    with Store.open(":memory:") as alone, Store.open(place) as opened:
        for value in values[1:]:
            import_bytes(alone, as_bytes(value), "small.json")
        opened.verify()
        assert opened.evidence().content_hash == alone.evidence().content_hash


@pytest.mark.skipif(not hasattr(os, "fork"), reason="imports are forked")
def test_an_import_killed_at_any_time_leaves_the_old_or_the_new_state(tmp_path):
    place = str(tmp_path / "store.sqlite")
    _import(place, record())
    states, killed = [], 0
    with Store.open(":memory:") as alone:
        for number in (26, 27):
            import_bytes(alone, as_bytes(record(asas40(active=f"{100 * number / 62:.1f}"))), "small.json")
            states.append(alone.evidence().content_hash)
    _import(place, record(asas40(active="41.9")))
    begun = time.monotonic()
    _import(place, record(asas40(active="41.9")))
    lasts = time.monotonic() - begun
    for attempt in range(20):
        child = os.fork()
        if child == 0:
            _import(place, record(asas40(active=("41.9", "43.5")[attempt % 2])))
            os._exit(0)
        time.sleep(lasts * 1.3 * attempt / 20)
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        with Store.open(place) as opened:
            opened.verify()
            assert opened.evidence().content_hash in states
    assert killed >= 5
    _import(place, record(asas40(active="43.5")))
    with Store.open(place) as opened:
        assert opened.evidence().content_hash == states[1]


def _full(place, value, limit, told):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        _import(place, value)
        told.put("stored")
    except StoreError as problem:
        told.put(str(problem))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="imports are forked")
def test_a_full_disk_is_a_sentence_and_the_store_stays_as_it_was(tmp_path):
    place = str(tmp_path / "store.sqlite")
    _import(place, record())
    with Store.open(place) as opened:
        before = opened.evidence().content_hash
    size = (tmp_path / "store.sqlite").stat().st_size
    big = record(*[asas40(frame=f"Week {week}") | {"title": f"ASAS40 at Week {week}"} for week in range(1, 80)])
    context = multiprocessing.get_context("fork")
    told = context.SimpleQueue()
    process = context.Process(target=_full, args=(place, big, size + 8192, told))
    process.start()
    process.join()
    assert "disk is full" in told.get()
    with Store.open(place) as opened:
        opened.verify()
        assert opened.evidence().content_hash == before
    _import(place, big)
    with Store.open(place) as opened:
        assert len(opened.evidence().outcomes) > 100


def test_facts_of_the_import_carry_the_name_of_the_parser(store):
    imported(store, record())
    assert {fact.extractor for fact in store.evidence().facts} == {EXTRACTOR}


def test_a_record_with_nothing_but_a_number_is_stored_with_what_it_lacks(store):
    bare = {"protocolSection": {"identificationModule": {"nctId": "NCT00000003"}}}
    (kept,) = import_bytes(store, json.dumps(bare).encode(), "bare.json", population="axSpA")
    assert kept.parsed.study["study_id"] == "NCT00000003"
    assert not kept.parsed.facts
