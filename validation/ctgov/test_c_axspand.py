"""The whole posted record of C-axSpAnd (NCT02552212) beside what was read from it by hand.

ENTHESIS_REGISTRY=<folder with NCT02552212.json> python validation/run.py ctgov
"""

import json
import os
from pathlib import Path

import pytest

from enthesis.evidence import Store, bundled_evidence, bundled_folder, load_tables
from enthesis.evidence.sources.ctgov.keep import import_bytes
from enthesis.evidence.sources.ctgov.parse import parse
from enthesis.evidence.sources.ctgov.record import leaves

FILE = Path(os.environ.get("ENTHESIS_REGISTRY", ".")) / "NCT02552212.json"
pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="ENTHESIS_REGISTRY names no folder with NCT02552212.json")
COLUMNS = ("events", "n", "percent", "mean", "sd", "se")


@pytest.fixture(scope="module")
def content():
    return FILE.read_bytes()


@pytest.fixture(scope="module")
def facts(content):
    (found,) = parse(content, FILE.name)
    return found.to_dict()["facts"]


def by_hand():
    rows = bundled_evidence().outcomes
    return rows[rows.source_id == "ctgov_NCT02552212"].to_dict("records")


def test_there_are_28_numbers_read_by_hand():
    assert len(by_hand()) == 28


def test_every_number_read_by_hand_is_found_with_its_arm_outcome_and_week(facts):
    for row in by_hand():
        wanted = {name: row[name] for name in COLUMNS if row[name] == row[name]}
        slot = [f for f in facts if (f["arm"], f["outcome"], f["week"]) == (row["arm_id"], row["outcome"], row["week"])]
        assert any(all(f[name] == value for name, value in wanted.items()) for f in slot), row


def test_counts_derived_by_hand_are_derived_by_the_parser(facts):
    for row in (row for row in by_hand() if row["events_derived"] == "yes"):
        slot = [f for f in facts if (f["arm"], f["outcome"], f["week"]) == (row["arm_id"], row["outcome"], row["week"])]
        assert any(f["derived"] and f["events"] == row["events"] for f in slot), row


def test_the_posted_analysis_of_asas40_stands_beside_the_crude_odds_ratio(facts):
    (fact,) = (f for f in facts if f["section"] == "analysis" and (f["outcome"], f["week"]) == ("ASAS40", 12))
    assert (fact["estimate"], fact["ci_low"], fact["ci_high"], fact["p_value"]) == (7.436, 4.127, 13.401, "<0.001")
    assert (fact["arm"], fact["comparator"], fact["crude"]) == ("certolizumab-200-q2w", "placebo", 7.122)


@pytest.mark.parametrize(
    ("section", "title", "part", "group", "numbers"),
    [
        ("flow", "Double-Blind Period (Week 0 - 52)", "COMPLETED", "Placebo", {"events": 143, "n": 158}),
        ("flow", "Double-Blind Period (Week 0 - 52)", "left: Adverse Event", "CZP 200 mg Q2W", {"events": 3, "n": 159}),
        ("flow", "SFE Period (Week 52 - 156)", "STARTED", "SFE OL CZP 200 mg Q2W", {"events": 243}),
        ("baseline", "Age, Continuous", "", "Placebo", {"mean": 37.4, "sd": 10.8}),
        ("baseline", "Sex: Female, Male", "Male", "CZP 200 mg Q2W", {"events": 78, "n": 159}),
        (
            "outcome",
            "Change From Baseline in ASQoL at Week 24",
            "",
            "CZP 200 mg Q2W (FAS)",
            {"mean": -0.31, "sd": 0.27},
        ),
        ("adverse", "serious adverse events", "total", "SFE OL CZP 200 mg Q2W (SS)", {"events": 15, "n": 243}),
    ],
)
def test_sections_have_their_numbers(facts, section, title, part, group, numbers):
    (fact,) = (f for f in facts if (f["section"], f["title"], f["part"], f["group"]) == (section, title, part, group))
    assert {name: fact[name] for name in numbers} == numbers


def test_every_outcome_of_the_record_is_told(content, facts):
    """31 outcome measures: 30 with facts, one posted without data."""
    told = {int(f["locator"].split("/")[4]) for f in facts if f["section"] == "outcome"}
    assert told == set(range(31)) - {2}


def test_every_number_of_the_results_is_a_fact_or_is_reported(content, facts):
    (found,) = parse(content, FILE.name)
    read = {pointer for fact in facts for pointer in fact["reads"]}
    places = tuple(item["locator"] for item in found.to_dict()["unparsed"])
    results = json.loads(content)["resultsSection"]
    texts = ("/title", "/timeFrame", "/description", "/groupDescription", "/comment", "/sourceVocabulary", "/term")
    missing = [
        pointer
        for pointer, value in leaves(results, "/resultsSection")
        if any(mark.isdigit() for mark in str(value))
        and pointer not in read
        and not pointer.endswith((*texts, "/id", "/groupId", "/dispersionType", "/populationDescription"))
        and "/groupIds/" not in pointer
        and not any(pointer == place or pointer.startswith(place + "/") for place in places)
        and not pointer.endswith(("/recruitmentDetails", "/reasons/type", "/type"))
    ]
    assert missing == []


def test_nothing_is_doubled_beside_what_was_read_by_hand(content):
    with Store.open(":memory:") as store:
        load_tables(store, bundled_folder())
        before = len(store.evidence().outcomes)
        (kept,) = import_bytes(store, content, FILE.name)
        assert kept.agreeing == 30  # 28, two of them posted twice
        assert len(store.evidence().outcomes) == before
        assert {item.kind for item in kept.parsed.review} == {"scale"}
        assert not import_bytes(store, content, FILE.name)[0].changed
