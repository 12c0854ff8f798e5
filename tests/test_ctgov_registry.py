"""The registry over the network: records, searches and looks, from a server that stands in for it."""

import json

import pytest

from ctgov_records import as_bytes, protocol, record
from enthesis.errors import DataError, UsageError
from enthesis.evidence import Store
from enthesis.evidence.sources.ctgov import registry as module
from enthesis.evidence.sources.ctgov.keep import import_bytes
from enthesis.evidence.sources.ctgov.registry import data_timestamp, fetch, look, registry, search, stored, updates
from enthesis.evidence.sources.fetch import FetchError
from http_server import answer, json_answer, redirect, serve, status, truncated

STAMP = "2026-11-20T09:00:05"
VERSION = json_answer({"apiVersion": "2.0.5", "dataTimestamp": STAMP})
WHOLE = answer(as_bytes(record()))


def client(server):
    return registry(server.url, pause=0.0, timeout=1.0, sleep=lambda _: None)


def listed(number, updated="2021-03-04"):
    found = protocol(f"NCT{number:08d}", f"T{number}")
    found["statusModule"]["lastUpdatePostDateStruct"]["date"] = updated
    return {"protocolSection": found, "hasResults": True}


def page(*entries, token=None, total=None):
    value = {"studies": list(entries)}
    return json_answer(value | ({"nextPageToken": token} if token else {}) | ({"totalCount": total} if total else {}))


def test_a_record_comes_as_its_bytes_with_the_date_of_the_registry():
    with serve({"/version": VERSION, "/studies/NCT00000001?": WHOLE}) as server:
        found = fetch(client(server), "nct00000001")
    assert found.content == as_bytes(record())
    assert found.name == f"NCT00000001.json, ClinicalTrials.gov data of {STAMP}"


def test_a_busy_registry_is_asked_again():
    busy = [status(429), status(500), truncated(as_bytes(record()), 100), WHOLE]
    with serve({"/version": VERSION, "/studies/NCT00000001?": busy}) as server:
        assert fetch(client(server), "NCT00000001").nct_id == "NCT00000001"
        assert len(server.asked) == 5


def test_an_obsolete_number_leads_to_the_record_that_replaced_it():
    script = {
        "/version": VERSION,
        "/studies/NCT00000009?": redirect("/studies/NCT00000001"),
        "/studies/NCT00000001": WHOLE,
    }
    with serve(script) as server:
        found = fetch(client(server), "NCT00000009")
    assert (found.asked, found.nct_id) == ("NCT00000009", "NCT00000001")


def test_a_number_that_the_registry_lacks_is_a_sentence():
    with (
        serve({"/version": VERSION}) as server,
        pytest.raises(FetchError, match=r"does not exist there\. Check the number"),
    ):
        fetch(client(server), "NCT00000001")


@pytest.mark.parametrize("wrong", ["02552212", "NCT1", "NCT0255221２", "../version", ""])
def test_what_is_no_number_is_never_asked_for(wrong):
    with serve({}) as server:
        with pytest.raises(UsageError, match="is not an NCT number"):
            fetch(client(server), wrong)
        assert not server.asked


@pytest.mark.parametrize("body", [{}, {"dataTimestamp": 3}, [], {"dataTimestamp": "x" * 100}])
def test_a_server_without_a_date_of_its_data_is_refused(body):
    with serve({"/version": json_answer(body)}) as server, pytest.raises(DataError, match="holds no dataTimestamp"):
        data_timestamp(client(server))


def test_an_answer_that_is_no_record_is_refused():
    script = {"/version": VERSION, "/studies/NCT00000001?": json_answer({"a": 1})}
    with serve(script) as server, pytest.raises(DataError, match="is not a ClinicalTrials"):
        fetch(client(server), "NCT00000001")


def test_the_address_is_a_setting(monkeypatch):
    monkeypatch.setenv("ENTHESIS_CTGOV", "https://example.org/api")
    assert registry().base == "https://example.org/api"


# Searching


def test_a_search_goes_through_all_pages():
    pages = [page(listed(1), listed(2), token="a", total=3), page(listed(3))]
    with serve({"/version": VERSION, "/studies?": pages}) as server:
        found = search(client(server), "axial spondyloarthritis", "adalimumab")
        assert "query.cond=axial+spondyloarthritis" in server.asked[1]
        assert "pageToken=a" in server.asked[2]
    assert [entry.nct_id for entry in found.entries] == ["NCT00000001", "NCT00000002", "NCT00000003"]
    assert (found.total, found.data_timestamp, found.notes) == (3, STAMP, ())


def test_page_tokens_that_died_begin_the_search_again():
    script = [page(listed(1), token="a", total=2), status(400), page(listed(1), token="b", total=2), page(listed(2))]
    with serve({"/version": VERSION, "/studies?": script}) as server:
        found = search(client(server), "x")
    assert [entry.nct_id for entry in found.entries] == ["NCT00000001", "NCT00000002"]
    assert "began again" in found.notes[0]


def test_a_record_that_two_pages_list_is_there_once_and_the_count_is_compared():
    pages = [page(listed(1), token="a", total=3), page(listed(1))]
    with serve({"/version": VERSION, "/studies?": pages}) as server:
        found = search(client(server), "x")
    assert len(found.entries) == 1
    assert found.notes == ("The registry counts 3 records; 1 were read.",)


def test_pages_without_end_end(monkeypatch):
    monkeypatch.setattr(module, "MAX_PAGES", 3)
    tokens = iter(range(100))
    with serve({"/version": VERSION, "/studies?": lambda _: page(listed(1), token=f"t{next(tokens)}")}) as server:
        found = search(client(server), "x")
    assert "Only the first 3 pages were read" in found.notes[0]


def test_a_page_that_names_itself_as_the_next_is_refused():
    script = {"/version": VERSION, "/studies?": page(listed(1), token="a")}
    with serve(script) as server, pytest.raises(DataError, match="names itself as the next page"):
        search(client(server), "x")


def test_an_entry_that_is_no_record_is_told():
    with serve({"/version": VERSION, "/studies?": page(listed(1), {"protocolSection": 3}, 7)}) as server:
        found = search(client(server), "x")
    assert len(found.notes) == 2


def test_a_search_for_nothing_is_refused():
    with serve({}) as server, pytest.raises(UsageError, match="Name a condition or an intervention"):
        search(client(server), " ", "")


def looked(store, *entries, dry_run=False):
    with serve({"/version": VERSION, "/studies?": page(*entries)}) as server:
        return look(store, search(client(server), "x"), dry_run=dry_run)[0]


def states(found):
    return {entry.nct_id[-1]: entry.state for entry in found.entries}


def test_what_is_new_or_updated_since_the_last_look_is_listed():
    with Store.open(":memory:") as store:
        assert states(looked(store, listed(1), listed(2))) == {"1": "new", "2": "new"}
        found = looked(store, listed(1), listed(2, "2026-01-01"), listed(3))
        assert states(found) == {"1": "unchanged", "2": "updated", "3": "new"}
        assert states(looked(store, listed(1), listed(2, "2026-01-01"), listed(3))) == dict.fromkeys("123", "unchanged")


def test_a_dry_look_is_no_look():
    with Store.open(":memory:") as store:
        looked(store, listed(1), dry_run=True)
        assert store.snapshot().number == 0
        assert states(looked(store, listed(1))) == {"1": "new"}


def test_a_look_is_a_search_with_its_records_and_bytes():
    with Store.open(":memory:") as store:
        looked(store, listed(1))
        evidence = store.evidence()
        assert evidence.table("searches")[["database", "date", "found"]].to_numpy().tolist() == [
            ["ClinicalTrials.gov", "2026-11-20", 1.0]
        ]
        records = evidence.table("records")
        assert records.record_id.tolist() == ["clinicaltrials-gov:NCT00000001"]
        document = next(fact.document for fact in evidence.facts if fact.table == "records")
        assert json.loads(store.get_bytes(document))["studies"]


def test_the_last_updates_of_many_records_are_asked_for_at_once():
    with serve({"/studies?": page(listed(1), listed(2, "2026-01-01"))}) as server:
        found = updates(client(server), ["NCT00000001", "NCT00000002", "NCT00000003"])
        assert len(server.asked) == 1
    assert found == {"NCT00000001": "2021-03-04", "NCT00000002": "2026-01-01"}


def test_the_bytes_that_were_imported_last_are_found_again():
    with Store.open(":memory:") as store:
        assert stored(store, "NCT00000001") is None
        import_bytes(store, as_bytes(record()), "small.json")
        assert stored(store, "NCT00000001") == (as_bytes(record()), "2021-03-04")
