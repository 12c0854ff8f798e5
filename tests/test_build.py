"""From evidence to network: which rows are used, which are not and by which rule, and the numbers checked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enthesis.errors import DataError
from enthesis.evidence import bundled_evidence
from enthesis.living.review import Review
from enthesis.network.build import build, network_of, select
from enthesis.network.candidates import whole_numbers
from enthesis.network.choice import combined
from enthesis.network.geometry import components
from enthesis.network.question import Question
from enthesis.network.treatments import Drug, Regimen, TreatmentMap
from small_evidence import DRUG, HIGH, OTHER, SmallEvidence, counts, means

REVIEW = Review.load("axspa")


def question(**changes) -> Question:
    return Question(**{"id": "q", "title": "t", "outcome": "ASAS40", "populations": ("r-axSpA",)} | changes)


def one_study(results, arms=({}, DRUG), **study) -> SmallEvidence:
    return SmallEvidence([study], list(arms), results)


def rules(selection) -> set[str]:
    return {entry.rule for entry in selection.ledger.excluded}


def numbers(network, study: str) -> dict[str, tuple[float, float]]:
    table = network.arms_table()
    return {r.treatment: (r.events, r.n) for r in table[table.study == study].itertuples()}


PAIR = [counts("placebo", 10, 50), counts("drug-15", 20, 50)]


# the flagship's networks, numbers read by eye in outcomes.csv

BY_HAND = [
    ("asas40", "SELECT-AXIS-1", {"placebo": (24, 94), "upadacitinib": (48, 93)}),
    ("asas40", "TOFA-AS-P2", {"placebo": (10, 51), "tofacitinib": (22 + 24 + 20, 52 * 3)}),
    ("asas40", "VDHEIJDE-2006-ETN", {"placebo": (11, 51), "etanercept": (90 + 80, 155 + 150)}),
    ("asas40", "COAST-V", {"placebo": (16, 87), "adalimumab": (32, 90), "ixekizumab": (39 + 43, 81 + 83)}),
    ("asas40", "Ustekinumab-r-naive", {"placebo": (26, 116), "ustekinumab": (25 + 26, 116 + 114)}),
    ("asas40", "PREVENT", {"placebo": (50, 171), "secukinumab": (70, 166)}),
    ("asas40", "EMBARK", {"placebo": (17, 108), "etanercept": (34, 105)}),
    ("asas40-r-naive", "TOFA-AS-P3", {"placebo": (15, 105), "tofacitinib": (46, 102)}),
    ("asas40-r-ir", "TOFA-AS-P3", {"placebo": (2, 31), "tofacitinib": (8, 31)}),
    ("asas40-dose", "COAST-W", {"placebo": (13, 104), "ixekizumab 80 mg Q4W": (29, 114),
                                "ixekizumab 80 mg Q2W": (30, 98)}),
    ("asas40-class", "COAST-V", {"placebo": (16, 87), "TNFi": (32, 90), "IL-17Ai": (82, 164)}),
    ("asas20", "RAPID-axSpA", {"placebo": (41, 107), "certolizumab pegol": (64 + 68, 111 + 107)}),
    ("asas20-r-naive", "MEASURE-2", {"placebo": (14, 45), "secukinumab": (30, 44)}),
    ("sae", "RAPID-axSpA", {"placebo": (5, 107), "certolizumab pegol": (4 + 7, 111 + 107)}),
]  # fmt: skip


@pytest.mark.parametrize(("id", "study", "expected"), BY_HAND)
def test_the_numbers_of_a_study_are_those_of_the_evidence_table(id, study, expected):
    network = build(bundled_evidence(), REVIEW.question(id), REVIEW.treatments)
    assert numbers(network, study) == expected


def test_a_mean_and_its_standard_error_are_those_of_the_row_behind_them():
    network = build(bundled_evidence(), REVIEW.question("dbasdai"), REVIEW.treatments)
    table = network.arms_table()
    row = table[(table.study == "TOFA-AS-P3") & (table.treatment == "placebo")].iloc[0]
    source = bundled_evidence().explain(row["row"])["row"]
    assert (row["mean"], row["se"]) == (float(source["mean"]), float(source["se"]))


@pytest.mark.parametrize("id", ["asas40", "asas20"])
def test_the_main_networks_have_thirty_studies_and_fourteen_drugs_and_are_connected(id):
    network = build(bundled_evidence(), REVIEW.question(id), REVIEW.treatments)
    assert network.n_studies >= 30
    assert network.n_treatments - 1 >= 14
    assert len(components(network)) == 1


@pytest.mark.parametrize("asked", REVIEW.questions, ids=lambda q: q.id)
def test_used_and_excluded_rows_are_all_rows_of_the_outcome_each_once(asked):
    found = select(bundled_evidence(), asked, REVIEW.treatments)
    assert sorted(found.used + found.excluded) == sorted(found.rows)


@pytest.mark.parametrize("asked", REVIEW.questions, ids=lambda q: q.id)
def test_every_arm_of_a_network_leads_to_rows_of_the_evidence(asked):
    found = select(bundled_evidence(), asked, REVIEW.treatments)
    if found.choices:
        behind = [row for joined in network_of(found).arms_table()["row"] for row in joined.split("; ")]
        assert sorted(behind) == sorted(found.used)


@pytest.mark.parametrize("asked", REVIEW.questions, ids=lambda q: q.id)
def test_every_study_used_gives_at_least_two_nodes(asked):
    found = select(bundled_evidence(), asked, REVIEW.treatments)
    assert all(len({arm.node.name for arm in c.arms}) == len(c.arms) >= 2 for c in found.choices)


@pytest.mark.parametrize("asked", REVIEW.questions, ids=lambda q: q.id)
def test_no_network_holds_a_whole_study_and_its_part(asked):
    parts = bundled_evidence().studies.set_index("study_id").part_of
    used = set(select(bundled_evidence(), asked, REVIEW.treatments).studies)
    assert not [s for s in used if parts[s] in used]


def test_no_drug_of_the_main_network_is_missing_from_the_treatment_map():
    found = select(bundled_evidence(), REVIEW.question("asas40"), REVIEW.treatments)
    assert "not in the treatment map" not in {e.rule for e in found.ledger}


def test_every_study_of_the_population_is_used_or_has_a_reason():
    found = select(bundled_evidence(), REVIEW.question("asas40"), REVIEW.treatments)
    studies = bundled_evidence().studies
    asked = set(studies[(studies.design == "rct") & studies.population.isin(found.question.populations)].study_id)
    assert set(found.studies) | set(found.studies_out()["study"]) == asked


def test_a_stratum_with_nothing_is_refused_with_the_count_of_each_rule():
    with pytest.raises(DataError, match=r"no study answers .*population \(161\)"):
        build(bundled_evidence(), REVIEW.question("asas40-nr-ir"), REVIEW.treatments)


def test_an_outcome_without_rows_is_refused():
    with pytest.raises(DataError, match="the outcome has no row"):
        build(bundled_evidence(), question(outcome="LIPID"))


def test_leaving_deduced_rows_out_takes_exactly_the_rows_marked_so():
    all_rows = select(bundled_evidence(), REVIEW.question("asas40"), REVIEW.treatments)
    fewer = select(bundled_evidence(), REVIEW.question("asas40-no-deduced"), REVIEW.treatments)
    gone = {row for e in fewer.ledger.excluded if e.rule == "deduced" for row in e.rows}
    check = bundled_evidence().outcomes.set_index("result_id").check
    assert gone
    assert set(check[list(gone)]) == {"deduced"}
    assert not gone & set(fewer.used)
    assert gone & set(all_rows.used)


# one rule at a time, on evidence made for it

REFUSED = [
    ("study type", {"design": "extension"}, {}),
    ("population", {"population": "RA"}, {}),
    ("eligibility", {}, {"use": "sensitivity"}),
    ("data of another kind", {}, {"measure": "rate"}),
    ("subgroup", {}, {"subgroup": "male"}),
    ("week outside the window", {}, {"week": 24.0}),
    ("week outside the window", {}, {"week": math.nan}),
    ("after the randomised period", {"placebo_until_week": 12.0}, {"week": 16.0}),
    ("not the preferred row", {}, {"preferred": "no"}),
    ("numbers missing", {}, {"n": math.nan}),
    ("numbers missing", {}, {"events": math.nan}),
]


@pytest.mark.parametrize(("rule", "study", "row"), REFUSED)
def test_a_row_that_a_rule_refuses_is_in_the_ledger_under_that_rule(rule, study, row):
    found = select(one_study([r | row for r in PAIR], **study), question())
    assert (rules(found), found.used) == ({rule}, ())


def test_an_arm_that_the_evidence_does_not_describe_is_refused():
    found = select(one_study([*PAIR, counts("ghost", 1, 9)]), question())
    assert [(e.rule, e.arm) for e in found.ledger.excluded] == [("treatment", "ghost")]


def test_a_study_that_the_evidence_does_not_describe_is_refused():
    found = select(one_study([r | {"study_id": "Z"} for r in PAIR]), question())
    assert rules(found) == {"study type", "outcome not reported"}


def test_the_eligibility_reason_is_the_curators():
    found = select(one_study([r | {"use": "no", "reason": "pools two arms"} for r in PAIR]), question())
    assert {e.reason for e in found.ledger.excluded} == {"Judged 'no': pools two arms."}


def test_a_study_left_out_by_name_has_the_reason_of_the_question():
    found = select(one_study(PAIR), question(exclude_studies=("A",), exclude_reason="a test"))
    assert {(e.rule, e.reason) for e in found.ledger.excluded} == {
        ("left out by name", "Left out by the question: a test.")
    }


def test_a_question_can_let_the_sensitivity_tier_in():
    found = select(one_study([r | {"use": "sensitivity"} for r in PAIR]), question(tiers=("primary", "sensitivity")))
    assert found.used == ("R1", "R2")


def test_a_mixed_study_enters_a_line_by_its_subgroup_rows():
    rows = [*PAIR, counts("placebo", 3, 30, subgroup="naive"), counts("drug-15", 9, 30, subgroup="naive")]
    found = select(one_study(rows, prior_biologic="mixed"), question(line="naive"))
    assert (found.used, rules(found)) == (("R3", "R4"), {"line of treatment"})


def test_a_naive_study_enters_the_naive_line_whole():
    assert select(one_study(PAIR), question(line="naive")).used == ("R1", "R2")


def test_a_study_of_unknown_line_is_left_out_of_one_line_unless_asked_for():
    evidence = one_study(PAIR, prior_biologic="")
    strict, lenient = (select(evidence, question(line="naive", unknown_line=u)) for u in ("exclude", "include"))
    assert (strict.used, lenient.used) == ((), ("R1", "R2"))


def test_the_whole_trial_is_used_before_its_subgroups_when_every_line_counts():
    rows = [*PAIR, counts("placebo", 3, 30, subgroup="naive"), counts("drug-15", 9, 30, subgroup="naive")]
    found = select(one_study(rows, prior_biologic="mixed"), question())
    assert (found.used, rules(found)) == (("R1", "R2"), {"another group of the same patients"})


def test_a_trial_without_a_whole_comparison_enters_by_its_subgroup_and_the_ledger_says_so():
    rows = [PAIR[0], counts("placebo", 3, 30, subgroup="naive"), counts("drug-15", 9, 30, subgroup="naive")]
    found = select(one_study(rows, prior_biologic="mixed"), question())
    assert found.used == ("R2", "R3")
    assert "part of the trial" in {e.rule for e in found.ledger}


@pytest.mark.parametrize(
    ("weeks", "primary", "used"),
    [((12, 14, 16), math.nan, 14), ((12, 16), 12, 12), ((12, 16), math.nan, 16), ((13, 16), 16, 13)],
)
def test_the_week_nearest_the_target_is_used_then_the_primary_then_the_later(weeks, primary, used):
    rows = [r | {"week": float(w)} for w in weeks for r in PAIR]
    found = select(one_study(rows, primary_week=float(primary)), question())
    assert found.choices[0].week == used


def test_all_arms_of_a_study_are_taken_at_one_week():
    rows = [PAIR[0] | {"week": 14.0}, PAIR[0] | {"week": 12.0}, PAIR[1] | {"week": 12.0}]
    found = select(one_study(rows), question())
    assert (found.used, rules(found)) == (("R2", "R3"), {"another week is used"})


def test_arms_reported_only_at_different_weeks_are_not_compared():
    found = select(one_study([PAIR[0] | {"week": 12.0}, PAIR[1] | {"week": 16.0}]), question())
    assert found.used == ()
    assert "nothing to compare" in rules(found)


def test_of_two_analyses_the_first_of_the_preference_is_used():
    rows = [r | {"estimator": e} for e in ("observed", "NRI") for r in PAIR]
    found = select(one_study(rows), question())
    assert (found.used, rules(found)) == (("R3", "R4"), {"another analysis is used"})


def test_a_question_can_prefer_another_analysis():
    rows = [r | {"estimator": e} for e in ("observed", "NRI") for r in PAIR]
    assert select(one_study(rows), question(estimators=("observed", "NRI"))).used == ("R1", "R2")


def test_an_analysis_that_all_arms_share_comes_before_a_better_one_of_one_arm():
    rows = [r | {"estimator": "observed"} for r in PAIR] + [PAIR[0] | {"estimator": "NRI"}]
    assert select(one_study(rows), question()).used == ("R1", "R2")


def test_only_the_analyses_asked_for_can_be_demanded():
    rows = [r | {"estimator": "LOCF"} for r in PAIR]
    found = select(one_study(rows), question(estimators=("NRI",), only_estimators=True))
    assert (found.used, rules(found)) == ((), {"analysis not asked for"})


def test_a_count_missing_beside_its_percentage_is_computed_and_said():
    rows = [PAIR[0], counts("drug-15", math.nan, 48, percent=39.6)]
    found = select(one_study(rows), question())
    changed = [e.reason for e in found.ledger if e.action == "changed"]
    assert (found.choices[0].arms[1].r, changed) == (19.0, ["39.6 % of 48 gives 19."])


@pytest.mark.parametrize(("percent", "n"), [(39.6, 50), (12.0, 204)])
def test_a_percentage_that_fits_no_count_or_two_gives_none(percent, n):
    found = select(one_study([PAIR[0], counts("drug-15", math.nan, n, percent=percent)]), question())
    assert "numbers missing" in rules(found)


@given(k=st.integers(0, 400), n=st.integers(1, 400), digits=st.integers(0, 2))
def test_the_true_count_is_always_among_those_that_a_printed_percentage_can_stand_for(k, n, digits):
    k = min(k, n)
    assert k in whole_numbers(round(100 * k / n, digits), n)


def test_a_standardised_difference_needs_n():
    rows = [means("placebo", 0.0, se=0.2, n=25.0), means("drug-15", -1.0, se=0.2)]
    found = select(one_study(rows), question(outcome="dBASDAI", measure="SMD"))
    assert "numbers missing" in rules(found)


def test_more_events_than_patients_stop_the_build_at_the_row():
    with pytest.raises(DataError, match=r"R2.*more events than patients"):
        build(one_study([PAIR[0], counts("drug-15", 60, 50)]), question())


def test_doses_of_a_drug_are_pooled_at_drug_level_and_kept_at_dose_level():
    evidence = one_study([*PAIR, counts("drug-30", 30, 60)], arms=({}, DRUG, HIGH))
    drug, dose = (numbers(build(evidence, question(nodes=nodes)), "A") for nodes in ("drug", "dose"))
    assert drug == {"placebo": (10, 50), "drug": (50, 110)}
    assert dose == {"placebo": (10, 50), "drug 15 mg QD": (20, 50), "drug 30 mg QD": (30, 60)}


def test_pooling_is_in_the_ledger_as_a_change_with_its_rows():
    evidence = one_study([*PAIR, counts("drug-30", 30, 60)], arms=({}, DRUG, HIGH))
    entries = [e for e in select(evidence, question()).ledger if e.action == "changed"]
    assert [(e.rule, e.rows) for e in entries] == [("arms pooled", ("R2", "R3"))]


def test_a_dose_comparison_compares_nothing_at_drug_level():
    found = select(one_study([counts("drug-15", 1, 9), counts("drug-30", 2, 9)], arms=(DRUG, HIGH)), question())
    assert (found.used, rules(found)) == ((), {"nothing to compare"})


def test_a_head_to_head_study_gets_another_reference_and_the_ledger_says_so():
    network = build(one_study([counts("drug-15", 1, 9), counts("other", 2, 9)], arms=(DRUG, OTHER)), question())
    assert network.reference == "drug"
    assert "reference" in {e.rule for e in network.ledger}


def test_pooled_means_follow_the_handbook_formula():
    a, b = np.array([1.0, 2, 3, 4, 7]), np.array([2.0, 2, 9])
    both = np.concatenate([a, b])
    assert combined(a.mean(), a.std(ddof=1), 5, b.mean(), b.std(ddof=1), 3) == pytest.approx(
        (both.mean(), both.std(ddof=1), 8)
    )


def test_arms_with_standard_errors_are_pooled_through_their_standard_deviations():
    rows = [means("placebo", 0.0, se=0.2, n=25.0), means("drug-15", -1.0, se=0.2, n=25.0)]
    rows.append(means("drug-30", -2.0, sd=1.0, n=25.0))
    network = build(one_study(rows, arms=({}, DRUG, HIGH)), question(outcome="dBASDAI"))
    row = network.arms_table().iloc[1]
    _, sd, n = combined(-1.0, 1.0, 25, -2.0, 1.0, 25)
    assert (row["mean"], row["n"], row["se"]) == (-1.5, 50, pytest.approx(sd / math.sqrt(n)))


def test_an_arm_without_n_cannot_be_pooled_and_is_named():
    rows = [means("placebo", 0.0, se=0.2), means("drug-15", -1.0, se=0.2), means("drug-30", -2.0, se=0.2, n=25.0)]
    found = select(one_study(rows, arms=({}, DRUG, HIGH)), question(outcome="dBASDAI"))
    assert [(e.rule, e.rows) for e in found.ledger.excluded] == [("cannot be pooled", ("R2",))]


@pytest.mark.parametrize(
    ("spread", "se"),
    [({"se": 0.5}, 0.5), ({"sd": 5.0, "n": 100.0}, 0.5), ({"ci_low": -1.98, "ci_high": -0.02}, 0.5)],
)
def test_a_standard_error_follows_from_what_is_printed(spread, se):
    rows = [means("placebo", 0.0, se=0.2), means("drug-15", -1.0, **spread)]
    arm = select(one_study(rows), question(outcome="dBASDAI")).choices[0].arms[1]
    assert arm.se == pytest.approx(se, abs=1e-4)


@pytest.mark.parametrize("spread", [{}, {"sd": 5.0}, {"se": 0.0}])
def test_a_mean_without_a_usable_spread_is_refused(spread):
    rows = [means("placebo", 0.0, se=0.2), means("drug-15", -1.0, **spread)]
    assert rules(select(one_study(rows), question(outcome="dBASDAI"))) == {"numbers missing", "nothing to compare"}


def test_rates_are_built_from_events_and_patient_years():
    rows = [
        {"arm_id": arm, "outcome": "HZ", "measure": "rate", "estimator": "safety-set", "events": e, "patient_years": t,
         "rate_of": "events"}
        for arm, e, t in (("placebo", 1.0, 50.0), ("drug-15", 4.0, 80.0))
    ]  # fmt: skip
    table = build(one_study(rows), question(outcome="HZ", measure="IRR")).arms_table()
    assert table[["events", "time_at_risk"]].to_numpy().tolist() == [[1, 50], [4, 80]]


def whole_and_parts(*, whole_week: float = 12.0) -> SmallEvidence:
    studies = [{"study_id": "W", "population": "axSpA"}]
    studies += [{"study_id": f"W-{p}", "population": f"{p}-axSpA", "part_of": "W"} for p in ("r", "nr")]
    arms = [a | {"study_id": s["study_id"]} for s in studies for a in ({}, DRUG)]
    rows = [r | {"study_id": s["study_id"], "week": whole_week if s["study_id"] == "W" else 12.0}
            for s in studies for r in PAIR]  # fmt: skip
    return SmallEvidence(studies, arms, rows)


EVERYONE = ("r-axSpA", "nr-axSpA", "axSpA")


def test_a_whole_study_is_used_before_its_parts():
    found = select(whole_and_parts(), question(populations=EVERYONE))
    assert (found.studies, rules(found)) == (("W",), {"part of a study that is used whole"})


def test_the_parts_are_used_when_the_whole_has_no_result_in_the_window():
    found = select(whole_and_parts(whole_week=24.0), question(populations=EVERYONE))
    assert found.studies == ("W-nr", "W-r")


def test_one_population_uses_its_part():
    assert select(whole_and_parts(), question()).studies == ("W-r",)


def test_a_drug_that_the_map_does_not_know_is_used_and_noted():
    network = build(one_study(PAIR), question(), TreatmentMap(drugs=(Drug(name="placebo", drug_class="placebo"),)))
    assert "not in the treatment map" in {e.rule for e in network.ledger}


MAP = TreatmentMap(
    drugs=(Drug(name="drug", drug_class="JAKi"), Drug(name="other", drug_class="TNFi", specific=False)),
    regimens=(Regimen(label="drug 15 mg QD", drug="drug", dose=15.0, unit="mg", frequency="QD", licensed="yes"),
              Regimen(label="drug 30 mg QD", drug="drug", dose=30.0, unit="mg", frequency="QD", licensed="no")),
)  # fmt: skip


@pytest.mark.parametrize(("doses", "used"), [("all", 3), ("except-unlicensed", 2), ("licensed", 2)])
def test_the_licence_rule_takes_regimens_out_and_never_placebo(doses, used):
    evidence = one_study([*PAIR, counts("drug-30", 30, 60)], arms=({}, DRUG, HIGH))
    assert len(select(evidence, question(doses=doses), MAP).used) == used


def test_a_name_that_stands_for_several_drugs_is_used_at_class_level_only():
    evidence = one_study([PAIR[0], counts("other", 9, 50)], arms=({}, OTHER))
    drug, by_class = (select(evidence, question(nodes=nodes), MAP).used for nodes in ("drug", "class"))
    assert (drug, by_class) == ((), ("R1", "R2"))


def test_covariates_are_those_of_the_patients_used():
    rows = [counts("placebo", 3, 30, subgroup="naive"), counts("drug-15", 9, 30, subgroup="naive")]
    evidence = one_study(rows, prior_biologic="mixed", prior_biologic_fraction=0.4, crp_required="yes")
    found = {name: float(value[0]) for name, value in build(evidence, question()).covariates.items()}
    assert found == {"prior_biologic_fraction": 0.0, "year": 2020.0, "crp_required": 1.0, "radiographic": 1.0,
                     "n_randomised": 200.0, "week": 12.0}  # fmt: skip


def test_what_is_not_reported_of_a_study_is_not_a_number():
    evidence = one_study(PAIR, prior_biologic="mixed", population="axSpA")
    found = build(evidence, question(populations=("axSpA",))).covariates
    assert all(np.isnan(found[name][0]) for name in ("prior_biologic_fraction", "crp_required", "radiographic"))


def test_the_flow_adds_up_to_all_rows():
    found = select(bundled_evidence(), REVIEW.question("asas40"), REVIEW.treatments)
    assert found.flow()["rows"].sum() == len(found.rows)
