"""`enthesis import ctgov` as it is typed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ctgov_records import CONTROL, as_bytes, asas40, group, protocol, record
from enthesis.cli import main
from enthesis.evidence import Store
from enthesis.evidence.sources.ctgov import registry as registry_module
from http_server import answer, json_answer, serve, status

KEYS = {"arm", "outcome", "week", "measure", "events", "n", "percent", "mean", "sd", "se", "derived", "locator"}
VERSION = json_answer({"dataTimestamp": "2026-11-20T09:00:05"})


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "store.sqlite")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.json"
    path.write_bytes(as_bytes(record()))
    return str(path)


@pytest.fixture
def _quick(monkeypatch):
    """A registry that need not be waited for."""
    made = registry_module.registry
    monkeypatch.setattr(
        registry_module, "registry", lambda address=None: made(address, pause=0.0, sleep=lambda _: None, attempts=2)
    )


def typed(*words, code=0, capsys=None):
    with pytest.raises(SystemExit) as stop:
        main.run(["import", *map(str, words)])
    told = capsys.readouterr()
    assert stop.value.code == code, told.err
    return told


def test_one_record_prints_one_object_with_the_keys_of_the_contract(place, file, capsys):
    told = json.loads(typed("ctgov", file, "--store", place, "--json", "-", capsys=capsys).out)
    assert list(told) == ["study", "arms", "facts", "unparsed"]
    assert all(set(fact) >= KEYS for fact in told["facts"])
    assert all(set(item) == {"locator", "reason"} for item in told["unparsed"])


def test_numbers_are_numbers_in_json(place, file, capsys):
    told = json.loads(typed("ctgov", file, "--store", place, "--dry-run", "--json", "-", capsys=capsys).out)
    fact = next(f for f in told["facts"] if f["outcome"] == "ASAS40" and f["arm"] == "placebo")
    assert {k: fact[k] for k in ("week", "measure", "events", "n", "percent", "mean", "derived")} == {
        "week": 12, "measure": "binary", "events": 7, "n": 60, "percent": 11.7, "mean": None, "derived": True,
    }  # fmt: skip
    assert {arm["arm"]: arm["n_randomised"] for arm in told["arms"]} == {"adalimumab-40-q2w": 62, "placebo": 60}


def test_several_records_print_a_list(place, file, tmp_path, capsys):
    other = tmp_path / "other.json"
    other.write_bytes(as_bytes(record(nct_id="NCT00000002", acronym="OTHER")))
    told = json.loads(typed("ctgov", file, other, "--store", place, "--json", "-", capsys=capsys).out)
    assert [item["study"]["study_id"] for item in told] == ["SMALL", "OTHER"]


def test_a_question_is_an_unparsed_place_with_its_reason(place, tmp_path, capsys):
    groups = [group("OG000", "Placebo", CONTROL), group("OG001", "Group B")]
    path = tmp_path / "unclear.json"
    path.write_bytes(as_bytes(record(asas40(groups=groups))))
    told = json.loads(typed("ctgov", path, "--store", place, "--json", "-", capsys=capsys).out)
    assert any("a person has to decide on the group of 'Group B" in item["reason"] for item in told["unparsed"])


def test_a_dry_run_makes_no_store(place, file, capsys):
    typed("ctgov", file, "--store", place, "--dry-run", capsys=capsys)
    assert not os.path.exists(place)


def test_an_import_says_what_became_of_the_record(place, file, capsys):
    assert "NCT00000001 (SMALL): " in typed("ctgov", file, "--store", place, capsys=capsys).err
    assert " 0 new, 0 superseded, " in typed("ctgov", file, "--store", place, capsys=capsys).err


def test_json_goes_to_a_file(place, file, tmp_path, capsys):
    typed("ctgov", file, "--store", place, "--json", tmp_path / "out.json", capsys=capsys)
    assert json.loads((tmp_path / "out.json").read_text())["study"]["study_id"] == "SMALL"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"{", "is not JSON or was cut off"), (b"[" * 100_000, "nested more than"), (b"", "is empty")],
)
def test_a_broken_file_is_one_sentence_and_bad_data(place, tmp_path, capsys, content, sentence):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    told = typed("ctgov", path, "--store", place, code=main.BAD_DATA, capsys=capsys)
    assert sentence in told.err
    assert told.err.startswith("enthesis: ")
    assert told.err.count("\n") == 1


def test_a_file_that_claims_two_gigabytes_is_one_sentence(place, tmp_path, capsys):
    path = tmp_path / "big.json"
    with path.open("wb") as file:
        file.truncate(2 * 2**30)
    told = typed("ctgov", path, "--store", place, code=main.BAD_DATA, capsys=capsys)
    assert "has 2048 MB; a record has at most 64 MB" in told.err


def test_a_file_that_is_not_there_is_a_sentence(place, tmp_path, capsys):
    assert "No such file" in typed("ctgov", tmp_path / "x.json", "--store", place, code=1, capsys=capsys).err
    assert "is a folder" in typed("ctgov", tmp_path, "--store", place, code=3, capsys=capsys).err


def test_one_bad_file_of_many_does_not_stop_the_others(place, file, tmp_path, capsys):
    bad = tmp_path / "bad.json"
    bad.write_bytes(b"{")
    told = typed("ctgov", bad, file, "--store", place, code=main.BAD_DATA, capsys=capsys)
    assert "not imported: " in told.err
    with Store.open(place) as store:
        assert store.evidence().studies.study_id.tolist() == ["SMALL"]


@pytest.mark.usefixtures("_quick")
def test_a_number_is_fetched_and_imported(place, capsys):
    script = {"/version": VERSION, "/studies/NCT00000001?": [status(429), answer(as_bytes(record()))]}
    with serve(script) as server:
        typed("ctgov", "NCT00000001", "--store", place, "--address", server.url, capsys=capsys)
    with Store.open(place) as store:
        assert store.evidence().studies.study_id.tolist() == ["SMALL"]


@pytest.mark.usefixtures("_quick")
def test_a_registry_that_stays_busy_is_a_sentence(place, capsys):
    with serve({"/version": status(500)}) as server:
        told = typed("ctgov", "NCT00000001", "--store", place, "--address", server.url, code=1, capsys=capsys)
    assert "gave no usable answer in 2 attempts: the server answered 500. Try again later" in told.err


@pytest.mark.usefixtures("_quick")
def test_an_interrupted_import_of_many_records_fetches_only_what_is_missing(place, capsys):
    pages = {"studies": [{"protocolSection": protocol(f"NCT0000000{n}", f"T{n}")} for n in (1, 2)]}
    script = {
        "/version": VERSION,
        "/studies?": json_answer(pages),
        "/studies/NCT00000001?": answer(as_bytes(record(acronym="T1"))),
        "/studies/NCT00000002?": [
            status(500),
            status(500),
            answer(as_bytes(record(nct_id="NCT00000002", acronym="T2"))),
        ],
    }
    with serve(script) as server:
        words = ("ctgov", "NCT00000001", "NCT00000002", "--store", place, "--address", server.url)
        typed(*words, code=main.BAD_DATA, capsys=capsys)
        asked = len(server.asked)
        assert "NCT00000001: not updated since 2021-03-04" in typed(*words, capsys=capsys).err
        again = [path for path in server.asked[asked:] if path.startswith("/studies/")]
    assert again == ["/studies/NCT00000002?format=json"]
    with Store.open(place) as store:
        assert set(store.evidence().studies.study_id) == {"T1", "T2"}


@pytest.mark.usefixtures("_quick")
def test_a_search_lists_what_is_new_since_the_last_look(place, capsys):
    page = json_answer({"studies": [{"protocolSection": protocol()}], "totalCount": 1})
    with serve({"/version": VERSION, "/studies?": page}) as server:
        words = ("ctgov-search", "--condition", "axSpA", "--store", place, "--address", server.url)
        first = json.loads(typed(*words, "--json", "-", capsys=capsys).out)
        assert [entry["nct_id"] for entry in first["new"]] == ["NCT00000001"]
        assert "0 new or updated, 1 as at the last look" in typed(*words, capsys=capsys).out


def test_a_question_is_listed_and_answered(place, tmp_path, capsys):
    groups = [group("OG000", "Placebo", CONTROL), group("OG001", "Group B")]
    path = tmp_path / "unclear.json"
    path.write_bytes(as_bytes(record(asas40(groups=groups))))
    typed("ctgov", path, "--store", place, capsys=capsys)
    (row,) = json.loads(typed("ctgov-questions", "--store", place, "--json", "-", capsys=capsys).out)
    words = ("ctgov-answer", row["question"], "adalimumab-40-q2w", "--author", "A. Reader", "--reason", "protocol")
    typed(*words, "--store", place, capsys=capsys)
    assert "Nothing to decide." in typed("ctgov-questions", "--store", place, capsys=capsys).out


def test_text_of_a_record_never_steers_the_terminal(place, tmp_path, capsys):
    path = tmp_path / "evil.json"
    evil = record(acronym="A\x1b[2J")
    path.write_bytes(as_bytes(evil))
    told = typed("ctgov", path, "--store", place, capsys=capsys)
    assert "\x1b" not in told.out + told.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_import_that_is_killed_can_be_run_again(place, file):
    command = [sys.executable, "-m", "enthesis", "import", "ctgov", file, "--store", place]
    command[1:3] = ["-c", "from enthesis.cli.main import run; run()"]
    for attempt in range(3):
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5 + 0.3 * attempt)
        running.send_signal(signal.SIGKILL)
        running.wait()
    subprocess.run(command, check=True, capture_output=True)
    with Store.open(place) as store, Store.open(":memory:") as alone:
        from enthesis.evidence.sources.ctgov.keep import import_bytes

        import_bytes(alone, as_bytes(record()), "small.json")
        store.verify()
        assert store.evidence().content_hash == alone.evidence().content_hash
