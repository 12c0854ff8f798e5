"""Registry records that lie, are broken or are made to do harm: a sentence or a reported place, never a traceback."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctgov_records import adverse, analysis, as_bytes, asas40, group, record
from enthesis.errors import DataError
from enthesis.evidence import Store
from enthesis.evidence.sources.ctgov import record as record_module
from enthesis.evidence.sources.ctgov.keep import import_bytes
from enthesis.evidence.sources.ctgov.parse import parse
from enthesis.evidence.sources.ctgov.posted import Parsed
from enthesis.evidence.sources.ctgov.record import clean, leaves

SMALL = as_bytes(record(asas40(analyses=[analysis()])))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"   \n", "is empty"),
        (SMALL[:500], "is not JSON or was cut off"),
        (b"\xff\xfe{", "is not UTF-8 text"),
        (b"[" * 200_000, "is nested more than 60 levels deep"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "is nested more than 60 levels deep"),
        (b'{"protocolSection": ' + b'{"a": ' * 80 + b"1" + b"}" * 81, "is nested more than 60 levels deep"),
        (b'{"protocolSection": {}, "protocolSection": {}}', "has the key 'protocolSection' twice"),
        (b'{"protocolSection": {"a": NaN}}', "holds NaN, which is not a number of JSON"),
        (b'{"protocolSection": {"a": -Infinity}}', "holds -Infinity"),
        (b"17", "is not a ClinicalTrials.gov record: the file has no protocolSection"),
        (b"null", "has no protocolSection"),
        (b'{"protocolSection": []}', "has no protocolSection"),
        (b'{"studies": [{"protocolSection": {}}, 3]}', "entry 2 of the file has no protocolSection"),
        (b'{"protocolSection": {}}', "has no NCT number"),
        (b'{"protocolSection": {"identificationModule": {"nctId": ["NCT00000001"]}}}', "has no NCT number"),
        (b'{"protocolSection": {"identificationModule": {"nctId": "NCT00000001/../x"}}}', "has no NCT number"),
        (b"<?xml version='1.0'?><a/>", "is not JSON"),
    ],
    ids=range(18),
)
def test_a_file_that_is_no_record_is_refused_in_a_sentence(content, sentence):
    with pytest.raises(DataError) as problem:
        parse(content, "bad.json")
    assert sentence in str(problem.value)
    assert str(problem.value).startswith("bad.json")
    assert len(str(problem.value)) < 400


def test_a_file_beyond_the_limit_is_not_read(monkeypatch):
    monkeypatch.setattr(record_module, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="a record has at most"):
        parse(SMALL, "big.json")


def test_a_file_with_millions_of_values_is_refused(monkeypatch):
    monkeypatch.setattr(record_module, "MAX_VALUES", 1000)
    with pytest.raises(DataError, match="holds more than 1,000 values"):
        parse(as_bytes(record() | {"x": [1] * 2000}), "many.json")


def test_a_refused_file_leaves_nothing_in_the_store():
    with Store.open(":memory:") as store:
        with pytest.raises(DataError):
            import_bytes(store, SMALL[:500], "cut.json")
        assert store.snapshot().number == 0


@pytest.mark.parametrize(
    "digits", ["9" * 5000, "1e999", "-" + "9" * 400, "1" * 30 + ".5", "0x10", "１２", "NaN", "1_000"]
)
def test_a_number_of_a_strange_kind_is_reported_and_no_fact(digits):
    (found,) = parse(as_bytes(record(asas40(placebo=digits))))
    assert [f.percent for f in found.facts if f.section == "outcome"] == ["41.9"]
    assert any("/measurements/0" in item.locator for item in found.unparsed)


def test_a_number_of_json_with_thousands_of_digits_is_reported():
    content = SMALL.replace(b'"deathsNumAffected": 0', b'"deathsNumAffected": ' + b"9" * 5000, 1)
    (found,) = parse(content)
    assert len([f for f in found.facts if f.outcome == "DEATH"]) == 2


def test_more_patients_with_events_than_at_risk_are_reported():
    events = adverse()
    events["eventGroups"][0]["seriousNumAffected"] = 61
    (found,) = parse(as_bytes(record(adverseEventsModule=events)))
    assert "'61' of '60' are more affected than at risk" in {item.reason for item in found.unparsed}


def test_control_characters_and_escapes_never_reach_a_fact():
    title = "ASAS40 \x1b[31m\x00\u202e\ud800 at Week 12 \\<b\\>"
    (found,) = parse(as_bytes(record(asas40() | {"title": title})))
    texts = {text for fact in found.facts for text in vars(fact).values() if isinstance(text, str)}
    assert all(mark.isprintable() for text in texts for mark in text)


def test_a_record_with_odd_letters_is_stored():
    odd = record(asas40() | {"title": "ASAS40 \ud800\x00 'x'; DROP TABLE facts; --"})
    with Store.open(":memory:") as store:
        import_bytes(store, as_bytes(odd), "odd.json")
        store.verify()
        assert len(store.evidence().table("posted")) > 20


def test_keys_with_signs_of_json_pointers_are_escaped():
    value = {"a/b": {"~": 1}}
    assert list(leaves(value)) == [("/a~1b/~0", 1)]


def test_a_title_of_a_megabyte_is_cut_and_told():
    (found,) = parse(as_bytes(record(asas40() | {"title": "ASAS40 " * 150_000})))
    assert "only the first 20000 of 1050000 characters are read" in {item.reason for item in found.unparsed}


@pytest.mark.parametrize(
    "word", ["asas 40 ", "formed fas ", "week 1, ", "ranges from 0 ", "(ss) ", "1 mg/kg ", "\\", "q2w ", "a/b vs "]
)
def test_no_text_makes_a_rule_slow(word):
    text = word * (20_000 // len(word))
    groups = [group("OG000", text, text), group("OG001", "Placebo", text)]
    hard = asas40(groups=groups, description=text, people=text, frame=text, analyses=[analysis(groupDescription=text)])
    begun = time.perf_counter()
    parse(as_bytes(record(hard | {"title": text})))
    assert time.perf_counter() - begun < 3


def test_text_that_was_cleaned_stays_as_it_is():
    once = clean("a\\>b \x1b[0m  \\[c\\]")
    assert clean(once) == once == "a>b [0m [c]"


# Fuzzing

_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["OG000", "NA", "-1", "11.7", "1e9", "NCT00000001", "STARTED", "Week 12"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_RECORD = json.loads(SMALL)
_POINTERS = [pointer for pointer, _ in leaves(_RECORD) if not pointer.endswith("nctId")]


def _replaced(pointer, depth, value):
    """The small record with junk in one place, at a leaf or above it."""
    parts = pointer.split("/")[1:]
    parts = parts[: max(1, len(parts) - depth)]
    if parts[:2] == ["protocolSection", "identificationModule"][: len(parts)]:
        parts = ["resultsSection"]
    found = json.loads(SMALL)
    place = found
    for part in parts[:-1]:
        place = place[int(part)] if isinstance(place, list) else place[part]
    last = int(parts[-1]) if isinstance(place, list) else parts[-1]
    place[last] = value
    return found


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_POINTERS), st.integers(0, 6), _JUNK)
def test_junk_anywhere_in_a_record_is_parsed_or_reported(pointer, depth, junk):
    source = _replaced(pointer, depth, junk)
    (found,) = parse(as_bytes(source))
    assert isinstance(found, Parsed)
    json.dumps(found.to_dict(), allow_nan=False)
    covered = {item.locator for item in found.unparsed} | {p for f in found.facts for p in f.reads}
    assert covered


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(_POINTERS), st.integers(0, 4), _JUNK)
def test_junk_anywhere_in_a_record_never_breaks_the_store(pointer, depth, junk):
    content = as_bytes(_replaced(pointer, depth, junk))
    with Store.open(":memory:") as store:
        (first,) = import_bytes(store, content, "junk.json", population="axSpA")
        (again,) = import_bytes(store, content, "junk.json")
        assert first.changed
        assert not again.changed
        store.verify()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused_in_a_sentence(content):
    with pytest.raises(DataError):
        parse(content, "fuzz")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(SMALL) - 1), st.binary(min_size=1, max_size=4))
def test_flipped_bytes_are_refused_or_parsed(place, patch):
    content = SMALL[:place] + patch + SMALL[place + len(patch) :]
    try:
        found = parse(content, "fuzz")
    except DataError:
        return
    assert all(isinstance(item, Parsed) for item in found)
