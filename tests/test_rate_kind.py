"""What a rate counts is a field of the fact, and the two kinds never meet in one synthesis."""

import csv

import pytest

from enthesis.errors import DataError
from enthesis.evidence import bundled_evidence, bundled_folder
from enthesis.evidence.rate_kind import compatible, rate_kind, rate_kinds
from enthesis.evidence.rows import TABLES
from enthesis.network.build import build, select
from enthesis.network.question import Question
from enthesis.network.tables import from_table
from small_evidence import SmallEvidence

ARMS = [{"arm_id": "upa", "treatment": "upadacitinib", "drug_class": "JAKi"}, {"arm_id": "placebo"}]


def rate(arm, kind, events=4.0, **more):
    return {"arm_id": arm, "outcome": "HZ", "measure": "rate", "events": events, "patient_years": 100.0,
            "rate_of": kind, "estimator": "safety-set", "note": "", **more}  # fmt: skip


def asked(**more):
    return Question(id="hz", title="Herpes zoster", outcome="HZ", populations=("r-axSpA",), measure="IRR",
                    **{"weeks": (0, 500), "target_week": 12, **more})  # fmt: skip


def two_studies(first, second, events=4.0):
    """Study A reports one kind, study B another."""
    studies = [{"study_id": "A"}, {"study_id": "B"}]
    arms = [{"study_id": s["study_id"], **arm} for s in studies for arm in ARMS]
    kinds = {"A": (first, 4.0), "B": (second, events)}
    rows = [{"study_id": s, **rate(arm["arm_id"], kind, n)} for s, (kind, n) in kinds.items() for arm in ARMS]
    return SmallEvidence(studies, arms, rows)


@pytest.mark.parametrize(
    ("note", "kind"),
    [
        ("events per 100 PY (EAER); incl non-treatment-emergent deaths", "events"),
        ("patients with first event per 100 PY; total exposure 8171.3 PY", "patients"),
        ("patients with event per 100 patient-years", "patients"),
        ("patients per 100 PY (EAIR)", "patients"),
        ("EAIR; total exposure 1943.1 PY", "patients"),
        ("5 events in 4 patients", "events"),
        ("events = patients with event; printed rate counts events per 100 patient-years", "patients"),
        ("per 100 PY", "unstated"),
        ("printed per 1000 PY, converted to per 100 PY", "unstated"),
        ("", "unstated"),
    ],
)
def test_a_note_says_what_the_rate_counts(note, kind):
    assert rate_kind({"note": note, "outcome": "HZ"}).rate_of == kind


def test_the_column_decides_over_the_note():
    assert rate_kind({"rate_of": "patients", "note": "events per 100 PY"}).rate_of == "patients"


def test_a_silent_row_takes_the_kind_of_its_table_only_when_the_table_agrees():
    place = {"source_id": "s", "locator": "Table 2; text", "outcome": "HZ"}
    rows = [{**place, "note": "events"}, {**place, "note": ""}, {**place, "note": "patients per 100 PY"}]
    assert [k.rate_of for k in rate_kinds(rows[:2])] == ["events", "events"]
    assert [k.rate_of for k in rate_kinds(rows)] == ["events", "unstated", "patients"]


def test_every_rate_row_of_the_bundle_has_the_kind_that_the_rules_give():
    with (bundled_folder() / "outcomes.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["measure"] == "rate"]
    kinds = rate_kinds([{**row, "rate_of": ""} for row in rows])
    assert [row["rate_of"] for row in rows] == [kind.rate_of for kind in kinds]


def test_rows_that_are_no_rates_have_no_kind():
    outcomes = bundled_evidence().outcomes
    assert set(outcomes.loc[outcomes.measure != "rate", "rate_of"]) == {""}


def test_a_kind_given_to_a_proportion_is_a_problem():
    cells = {"study_id": "S", "arm_id": "a", "subgroup": "all", "outcome": "HZ", "measure": "binary",
             "source_id": "x", "locator": "T", "check": "one-source", "preferred": "yes",
             "rate_of": "events"}  # fmt: skip
    assert [p.column for p in TABLES["outcomes"].problems(cells)] == ["rate_of"]


def test_a_table_without_the_column_is_read_by_its_notes():
    evidence = two_studies("patients", "patients")
    evidence.outcomes = evidence.outcomes.drop(columns="rate_of").assign(note="events per 100 PY")
    assert select(evidence, asked(rate_of="patients")).used == ()
    assert len(select(evidence, asked(rate_of="events")).used) == 4


def test_rates_of_events_and_of_patients_in_one_network_are_refused_with_the_rows():
    with pytest.raises(
        DataError, match=r"never pooled: R1 \(A, upa\), R2 .* count patients, R3 \(B, upa\).*count events"
    ):
        build(two_studies("patients", "events"), asked())


def test_a_rate_that_does_not_say_what_it_counts_is_refused_with_the_rows():
    with pytest.raises(DataError, match=r"R3 \(B, upa\), R4 \(B, placebo\) do not say whether"):
        build(two_studies("patients", "unstated"), asked())


def test_unstated_rates_alone_are_refused_too():
    with pytest.raises(DataError, match="not pooled silently"):
        build(two_studies("unstated", "unstated"), asked())


def test_a_question_about_one_kind_leaves_the_other_out_with_the_reason():
    found = select(two_studies("patients", "events"), asked(rate_of="patients"))
    (reason,) = {e.reason for e in found.ledger.excluded}
    assert (found.studies, reason) == (("A",), "The rate counts every event; asked for: patients.")


def test_no_event_is_no_event_of_either_kind():
    assert build(two_studies("patients", "events", events=0.0), asked()).studies == ("A", "B")


def test_a_death_is_one_event_of_one_patient():
    assert compatible("events", "patients", events=7, outcome="DEATH")


def rates_table(*kinds, events=(3, 5, 2, 4)):
    arms = [("A", "a"), ("A", "b"), ("B", "a"), ("B", "b")]
    return [
        {"study": s, "treatment": t, "events": r, "time_at_risk": 100.0, "rate_of": kind}
        for (s, t), kind, r in zip(arms, kinds, events, strict=True)
    ]


def test_a_table_of_both_kinds_is_no_network():
    with pytest.raises(DataError, match="never pooled: row 4 counts events and row 2 counts patients"):
        from_table(rates_table("patients", "patients", "events", "events"))


def test_a_table_with_a_rate_that_does_not_say_is_no_network():
    with pytest.raises(DataError, match="row 5, column 'rate_of'"):
        from_table(rates_table("events", "events", "events", "unstated"))


def test_a_table_of_one_kind_and_of_zeros_of_the_other_is_a_network():
    network = from_table(rates_table("patients", "patients", "events", "patients", events=(3, 5, 0, 4)))
    assert network.n_studies == 2
    assert not any("Not used" in entry.reason for entry in network.ledger)
