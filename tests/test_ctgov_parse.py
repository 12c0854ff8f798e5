"""The rules of parsing registry records with results, each as a sentence."""

import re

import pytest

from ctgov_records import (
    ACTIVE,
    CONTROL,
    adverse,
    analysis,
    as_bytes,
    asas40,
    baseline,
    denominators,
    flow,
    group,
    measure,
    measurements,
    protocol,
    record,
)
from enthesis.evidence import bundled_evidence
from enthesis.evidence.sources.ctgov import words
from enthesis.evidence.sources.ctgov.parse import Known, parse
from enthesis.evidence.sources.ctgov.printed import count_behind
from enthesis.evidence.sources.ctgov.record import leaves

FIRST = "/resultsSection/outcomeMeasuresModule/outcomeMeasures/0"


def parsed(*measures, known=None, **results):
    return parse(as_bytes(record(*measures, **results)), "small.json", known)[0]


def outcomes(found):
    return [fact for fact in found.facts if fact.section == "outcome"]


def reasons(found):
    return {item.locator: item.reason for item in found.unparsed}


def basfi(title="Change From Baseline in BASFI at Week 12", values=None, **more):
    values = values or ({"value": "-0.70", "spread": "0.25"}, {"value": "-1.90", "spread": "0.24"})
    settings = {"dispersionType": "Standard Error", **more}
    return measure(title, "LEAST_SQUARES_MEAN", "scores on a scale", values, **settings)


# Numbers


def test_numbers_are_texts_and_keep_their_digits():
    placebo, _ = outcomes(parsed(basfi()))
    assert (placebo.mean, placebo.se) == ("-0.70", "0.25")


def test_counts_of_adverse_events_are_numbers_and_not_texts():
    found = parsed()
    assert [f.events for f in found.facts if f.outcome == "DEATH"] == ["0", "1", "0"]


def test_a_p_value_keeps_its_sign():
    (fact,) = (f for f in parsed().facts if f.section == "analysis")
    assert fact.p_value == "<0.001"


def test_a_p_value_that_is_none_is_reported():
    found = parsed(asas40(analyses=[analysis(pValue="NS")]))
    assert reasons(found)[f"{FIRST}/analyses/0/pValue"] == "'NS' is not a p value"


# Percentages


def test_a_percentage_becomes_the_only_count_that_fits():
    placebo, active = outcomes(parsed())
    assert [(f.events, f.n, f.percent, f.derived) for f in (placebo, active)] == [
        ("7", "60", "11.7", True), ("26", "62", "41.9", True)
    ]  # fmt: skip


def test_a_percentage_that_fits_no_count_is_reported_and_gives_none():
    found = parsed(asas40(placebo="11.4"))
    placebo, _ = outcomes(found)
    assert (placebo.percent, placebo.events, placebo.derived) == ("11.4", "", False)
    why = reasons(found)[f"{FIRST}/classes/0/categories/0/measurements/0/value"]
    assert "no whole number of 60 is 11.4 %" in why


def test_a_percentage_that_fits_several_counts_is_reported_and_gives_none():
    found = parsed(asas40(placebo="12", counts=(600, 62)))
    assert outcomes(found)[0].events == ""
    assert "several whole numbers of 600 are 12 %" in " ".join(reasons(found).values())


@pytest.mark.parametrize("n", [1, 7, 158, 159, 317, 999])
def test_with_one_decimal_and_fewer_than_1000_patients_every_count_comes_back(n):
    for events in range(n + 1):
        assert count_behind(f"{100 * events / n:.1f}", n).events == events


def test_a_posted_count_is_not_derived():
    found = parsed(
        measure("Number of Subjects With Anterior Uveitis", "COUNT_OF_PARTICIPANTS", "Participants", ("8", "4"))
    )
    assert [(f.outcome, f.events, f.derived) for f in outcomes(found)] == [
        ("UVEITIS", "8", False),
        ("UVEITIS", "4", False),
    ]


def test_more_events_than_patients_are_reported():
    found = parsed(measure("Subjects With ASAS40", "COUNT_OF_PARTICIPANTS", "Participants", ("61", "4")))
    assert "61 Participants is more than the 60 analysed" in reasons(found).values()


def test_a_percentage_of_joints_gives_no_count_of_patients():
    one = asas40(denoms=[{**denominators(60, 62)[0], "units": "joints"}])
    assert outcomes(parsed(one))[0].events == ""


# Analyses


def test_the_posted_analysis_is_kept_beside_the_crude_contrast():
    found = parsed()
    (fact,) = (f for f in found.facts if f.section == "analysis")
    assert (fact.effect, fact.estimate, fact.ci_low, fact.ci_high, fact.ci_level) == (
        "odds_ratio", "5.72", "2.24", "14.62", "95"
    )  # fmt: skip
    assert fact.crude == "5.468"  # (26/36) / (7/53)
    assert len(outcomes(found)) == 2


def test_the_text_says_which_arm_is_the_treatment():
    (fact,) = (f for f in parsed().facts if f.section == "analysis")
    assert (fact.arm, fact.comparator) == ("adalimumab-40-q2w", "placebo")


def test_the_numbers_say_which_arm_is_the_treatment_when_the_text_does_not():
    (fact,) = (f for f in parsed(asas40(analyses=[analysis(groupDescription="")])).facts if f.section == "analysis")
    assert (fact.arm, fact.comparator, fact.doubt) == ("adalimumab-40-q2w", "placebo", "")


def test_text_and_numbers_that_disagree_are_for_a_person():
    found = parsed(asas40(analyses=[analysis(groupDescription="Placebo/Adalimumab")]))
    assert [item.kind for item in found.review] == ["direction"]
    assert [f.arm for f in found.facts if f.section == "analysis"] == [""]


def test_an_analysis_without_direction_is_decided_by_a_person():
    one = asas40(placebo="30.0", active="30.6", analyses=[analysis(groupDescription="a test", paramValue="1.8")])
    (question,) = (item for item in parsed(one).review if item.kind == "direction")
    told = {"NCT00000001": Known(decisions={("direction", question.subject): "placebo"})}
    (fact,) = (f for f in parsed(one, known=told).facts if f.section == "analysis")
    assert (fact.arm, fact.comparator, fact.doubt) == ("placebo", "adalimumab-40-q2w", "")


def test_limits_in_the_wrong_order_are_reported():
    found = parsed(asas40(analyses=[analysis(ciLowerLimit="14.62", ciUpperLimit="2.24")]))
    assert reasons(found)[f"{FIRST}/analyses/0"] == "the lower limit 14.62 is above the upper limit 2.24"


# Outcomes without data


def test_a_posted_outcome_may_have_no_classes_and_denominators_of_zero():
    empty = measure("Plasma Concentration at Baseline", "", "", ("1", "2"), counts=(0, 0))
    for name in ("classes", "paramType", "unitOfMeasure"):
        del empty[name]
    assert reasons(parsed(empty))[FIRST] == "POSTED without results: no classes; denominators: 0, 0"


def test_a_value_that_is_not_available_is_reported_with_its_comment():
    one = asas40(placebo={"value": "NA", "comment": "too few patients"})
    why = reasons(parsed(one))[f"{FIRST}/classes/0/categories/0/measurements/0"]
    assert why == "the value is 'NA': too few patients"


# Groups


def test_groups_are_local_to_an_outcome():
    swapped = [group("OG000", "Adalimumab 40 mg Q2W", ACTIVE), group("OG001", "Placebo", CONTROL)]
    found = outcomes(parsed(asas40(), asas40("41.9", "11.7", counts=(62, 60), groups=swapped)))
    assert [(f.arm, f.events) for f in found] == [
        ("placebo", "7"), ("adalimumab-40-q2w", "26"), ("adalimumab-40-q2w", "26"), ("placebo", "7"),
    ]  # fmt: skip


def test_the_analysis_set_in_a_title_does_not_hide_the_arm():
    named = [group("OG000", "Placebo (FAS)"), group("OG001", "ADA 40 mg Q2W (FAS)")]
    assert [f.arm for f in outcomes(parsed(asas40(groups=named)))] == ["placebo", "adalimumab-40-q2w"]
    assert {f.analysis_set for f in outcomes(parsed(asas40(groups=named)))} == {"full analysis set"}


def test_a_group_that_switched_is_no_arm_as_randomised():
    found = parsed()
    (fact,) = (f for f in found.facts if f.outcome == "DEATH" and f.group.startswith("Placebo->"))
    assert (fact.arm, fact.doubt) == ("", "")


def test_markdown_escapes_are_taken_out_of_titles():
    events = adverse()
    events["eventGroups"][2]["title"] = "Placebo-\\>OL Adalimumab \\(SS\\)"
    found = parsed(adverseEventsModule=events)
    assert "Placebo->OL Adalimumab (SS)" in {f.group for f in found.facts}


def test_a_group_that_fits_no_arm_is_for_a_person_and_the_answer_holds():
    unknown = [group("OG000", "Placebo", CONTROL), group("OG001", "Group B", "The other one")]
    (question,) = parsed(asas40(groups=unknown)).review
    assert (question.kind, question.subject) == ("group", "Group B | The other one")
    told = {"NCT00000001": Known(decisions={("group", question.subject): "adalimumab-40-q2w"})}
    found = parsed(asas40(groups=unknown), known=told)
    assert not found.review
    assert [f.arm for f in outcomes(found)] == ["placebo", "adalimumab-40-q2w"]


def test_title_and_description_that_name_different_arms_are_for_a_person():
    mixed = [group("OG000", "Placebo", ACTIVE), group("OG001", "Adalimumab 40 mg Q2W", ACTIVE)]
    found = parsed(asas40(groups=mixed))
    assert {item.kind for item in found.review} == {"group"}
    assert outcomes(found)[0].arm == ""


def test_two_groups_of_one_list_are_never_one_arm():
    twice = [group("OG000", "Placebo", CONTROL), group("OG001", "Placebo", CONTROL)]
    found = parsed(asas40(groups=twice))
    assert [f.arm for f in outcomes(found)] == ["", ""]
    assert all("2 groups of one list look like the arm placebo" in f.doubt for f in outcomes(found))


def test_a_group_id_that_is_there_twice_belongs_to_nobody():
    twice = [group("OG000", "Placebo", CONTROL), group("OG000", "Adalimumab 40 mg Q2W", ACTIVE)]
    found = parsed(asas40(groups=twice))
    assert not outcomes(found)
    assert any("is there twice" in why for why in reasons(found).values())


def test_a_second_measurement_of_a_group_is_reported():
    values = measurements("11.7", "41.9")
    values[0]["categories"][0]["measurements"].append({"groupId": "OG000", "value": "50.0"})
    found = parsed(asas40() | {"classes": values})
    assert "a second measurement of the group 'OG000'" in reasons(found).values()


# Adverse events


def test_overlapping_groups_are_never_added_up():
    found = [f for f in parsed().facts if f.outcome == "SAE"]
    assert [(f.arm, f.events, f.n) for f in found] == [
        ("placebo", "2", "60"),
        ("adalimumab-40-q2w", "3", "62"),
        ("", "1", "30"),
    ]


def test_a_term_that_is_absent_is_not_a_zero():
    found = parsed()
    terms = {f.part for f in found.facts if f.section == "adverse"} - {"total"}
    assert terms == {"Pneumonia", "Headache"}
    assert {f.title for f in found.facts if f.part == "Headache"} == {
        "other adverse events above a threshold of 5 %: an absent term is not zero"
    }


def test_other_events_above_the_threshold_are_not_all_adverse_events():
    assert "AE" not in {f.outcome for f in parsed().facts}


def test_events_are_not_patients_with_an_event():
    fact = next(f for f in parsed().facts if f.part == "Headache")
    assert (fact.events, fact.number_of_events) == ("5", "12")


def test_the_weeks_of_an_arm_end_where_its_last_period_ends():
    deaths = {f.group: f.week for f in parsed().facts if f.outcome == "DEATH"}
    assert deaths == {
        "Placebo (SS)": "12", "Adalimumab 40 mg Q2W (SS)": "12", "Placebo->OL Adalimumab (SS)": "52",
    }  # fmt: skip


def test_without_an_extension_the_time_frame_of_the_events_stands():
    frame = adverse() | {"timeFrame": "12 weeks"}
    deaths = {
        f.week
        for f in parsed(adverseEventsModule=frame, participantFlowModule=flow(extension=False)).facts
        if f.outcome == "DEATH"
    }
    assert deaths == {"12"}


# Meaning


@pytest.mark.parametrize(
    ("title", "param", "code"),
    [
        ("Percentage of Participants Achieving 20% Improvement in ASAS Score", "NUMBER", "ASAS20"),
        ("Assessment of SpondyloArthritis International Society 40 (ASAS40) Response", "NUMBER", "ASAS40"),
        ("Percentage of Participants With ASAS Partial Remission", "NUMBER", "ASAS-PR"),
        ("Percentage of Participants Achieving ASAS 5/6 Response", "NUMBER", "ASAS5/6"),
        ("Percentage of Participants With BASDAI 50 Response", "NUMBER", "BASDAI50"),
        ("Percentage With ASDAS Clinically Important Improvement", "NUMBER", "ASDAS-CII"),
        ("Percentage With Ankylosing Spondylitis Disease Activity Score Major Improvement", "NUMBER", "ASDAS-MI"),
        ("Percentage With ASDAS Low Disease Activity (LDA)", "NUMBER", "ASDAS-LDA"),
        ("Percentage With ASDAS Inactive Disease", "NUMBER", "ASDAS-ID"),
        ("Change From Baseline of ASDAS(CRP)", "MEAN", "dASDAS"),
        ("Change From Baseline in BASDAI Total Score", "MEAN", "dBASDAI"),
        ("Change From Baseline in Bath Ankylosing Spondylitis Functional Index", "MEAN", "dBASFI"),
        ("Change From Baseline in BASMI (linear)", "MEAN", "dBASMI"),
        ("Change From Baseline in Total Back Pain", "MEAN", "dBackPain"),
        ("Change From Baseline in Nocturnal Spinal Pain NRS", "MEAN", "dNocturnalBackPain"),
        ("Change From Baseline in SF-36 Physical Component Summary (PCS)", "MEAN", "dSF36PCS"),
        ("Change From Baseline in FACIT-F Score", "MEAN", "dFACITF"),
        ("Change From Baseline in MASES", "MEAN", "dMASES"),
        ("Change From Baseline in SI-SPARCC Score", "MEAN", "dSPARCC-SIJ"),
        ("Change From Baseline in SPARCC MRI Spine Score", "MEAN", "dSPARCC-spine"),
        ("Percentage of Subjects With Treatment-Emergent Adverse Events (TEAEs)", "NUMBER", "AE"),
        ("Percentage of Subjects With Serious Adverse Events (SAEs)", "NUMBER", "SAE"),
        ("Percentage of Subjects With Adverse Events Leading to Withdrawal", "NUMBER", "AE-DISC"),
        ("Change From Baseline in hsCRP", "MEAN", "dCRP"),
        ("Time to ASAS40 Response", "MEAN", ""),
        ("ASAS20, ASAS40 and ASAS 5/6 Over Time", "NUMBER", ""),
        ("Change in Total and Night Back Pain", "MEAN", ""),
        ("Number of Subjects With AEs, Serious AEs and Discontinuations", "NUMBER", ""),
        ("Plasma Concentration of Adalimumab", "MEAN", ""),
        ("ASAS40 Response in Patients and Change in BASDAI", "NUMBER", "ASAS40"),
        ("BASDAI at Week 12", "MEAN", ""),
    ],
)
def test_titles_are_mapped_to_codes(title, param, code):
    unit = "percentage of participants" if param == "NUMBER" else "mg/L"
    values = (
        ("11.7", "41.9")
        if param == "NUMBER"
        else ({"value": "-1.1", "spread": "2.0"}, {"value": "-2.1", "spread": "2.1"})
    )
    found = outcomes(parsed(measure(title, param, unit, values, dispersionType="Standard Deviation")))
    assert {f.outcome for f in found} == {code}


def test_a_title_of_several_outcomes_is_for_a_person():
    (question,) = parsed(asas40() | {"title": "ASAS20, ASAS40 and ASAS 5/6 Response"}).review
    assert question.reason == "the title fits several outcomes: ASAS20, ASAS40, ASAS5/6"


def test_a_class_that_names_one_of_several_outcomes_is_that_outcome():
    classes = [{"title": name, **measurements("11.7", "41.9")[0]} for name in ("ASAS20", "ASAS40")]
    found = outcomes(parsed(asas40() | {"title": "ASAS20, ASAS40 Response at Week 12", "classes": classes}))
    assert [f.outcome for f in found] == ["ASAS20", "ASAS20", "ASAS40", "ASAS40"]


def titles_read_by_hand():
    """Titles of outcome measures as the bundled evidence quotes them, with the code and kind that a person chose."""
    rows = bundled_evidence().outcomes
    rows = rows[rows.source_id.str.startswith("ctgov_") & rows.measure.isin(["binary", "continuous"])]
    found = {
        (match["title"], code, kind)
        for text, code, kind in zip(rows.locator, rows.outcome, rows.measure)
        if (match := re.match(r"(Outcome measure|Primary|Secondary): (?P<title>[^(]*?)(, class .*|\(.*)?$", text))
    }
    return sorted(found)


def test_no_title_that_a_person_read_is_mapped_to_another_code():
    wrong = [
        (title, code, meant.value)
        for title, code, kind in titles_read_by_hand()
        if (meant := words.outcome(title, "", kind)).value not in ("", code)
        and "Number of Participants With Adverse" not in title  # its classes say which
        and not ("CRP" in title and code == "CRP-ratio")  # its unit says so
    ]
    assert wrong == []


def test_most_titles_that_a_person_read_are_mapped_and_the_others_are_asked_about():
    found = [words.outcome(title, "", kind) for title, _, kind in titles_read_by_hand()]
    assert len(found) > 100
    assert sum(bool(meant.value) for meant in found) > 0.8 * len(found)
    assert sum(not meant.value and not meant.doubt for meant in found) < 0.05 * len(found)


def test_a_title_that_no_rule_fits_but_that_speaks_of_the_dictionary_is_for_a_person():
    (question,) = parsed(basfi("BASFI at Week 12")).review
    assert (question.kind, question.reason) == (
        "outcome", "the title fits no rule, but speaks of an outcome of the dictionary"
    )  # fmt: skip


def test_a_class_that_may_be_a_subgroup_is_for_a_person():
    classes = [{"title": "Prior TNF inhibitor", **measurements("11.7", "41.9")[0]}]
    found = parsed(asas40() | {"classes": classes})
    assert [f.outcome for f in outcomes(found)] == ["", ""]
    assert "may be a subgroup" in found.review[0].reason


def test_classes_are_weeks_where_they_name_them():
    classes = [{"title": f"Week {week}", **measurements("11.7", "41.9")[0]} for week in (4, 12)]
    found = outcomes(parsed(asas40(frame="Weeks 4 and 12") | {"classes": classes}))
    assert [(f.outcome, f.week) for f in found] == [("ASAS40", "4")] * 2 + [("ASAS40", "12")] * 2


def test_an_outcome_whose_week_is_not_clear_is_for_a_person():
    found = parsed(asas40(frame="Weeks 4 and 16") | {"title": "ASAS40 Response"})
    assert (found.review[0].kind, outcomes(found)[0].week) == ("week", "")


def test_a_title_and_a_time_frame_that_disagree_are_for_a_person():
    found = parsed(asas40(frame="Week 16"))
    assert "the title names week 12, the time frame week 16" in {item.reason for item in found.review}


@pytest.mark.parametrize(
    ("dispersion", "column", "level"),
    [("Standard Deviation", "sd", ""), ("Standard Error", "se", ""), ("95% Confidence Interval", "ci_low", "95")],
)
def test_the_dispersion_of_an_outcome_is_free_text(dispersion, column, level):
    spread = (
        {"value": "-0.7", "spread": "1.9"}
        if column != "ci_low"
        else {"value": "-0.7", "lowerLimit": "1.9", "upperLimit": "2"}
    )
    fact = outcomes(parsed(basfi(values=(spread, spread), dispersionType=dispersion)))[0]
    assert (getattr(fact, column), fact.ci_level) == ("1.9", level)


@pytest.mark.parametrize("param", ["MEDIAN", "GEOMETRIC_MEAN", "LOG_MEAN", "GEOMETRIC_LEAST_SQUARES_MEAN"])
def test_what_is_no_mean_is_never_taken_for_one(param):
    one = basfi() | {"paramType": param}
    fact = outcomes(parsed(one))[0]
    assert (fact.mean, fact.value, fact.outcome) == ("", "-0.70", "")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Missing data by non-responder imputation (NRI).", "NRI"),
        ("NRI-MI: non-responder imputation incorporating multiple imputation.", "NRI-MI"),
        ("Last observation carried forward (LOCF)", "LOCF"),
        ("As observed", "observed"),
        ("ASDAS-MI is a major improvement", ""),
    ],
)
def test_the_text_says_how_missing_values_were_handled(text, name):
    assert outcomes(parsed(asas40(people=text)))[0].estimator == name


def test_the_model_of_least_squares_means_is_that_of_the_analysis():
    difference = {
        "paramType": "LS Mean Difference",
        "paramValue": "-1.2",
        "ciLowerLimit": "-1.9",
        "ciUpperLimit": "-0.5",
    }
    one = basfi(analyses=[analysis(statisticalMethod="ANCOVA", groupDescription="Adalimumab - Placebo", **difference)])
    found = parsed(one)
    assert {f.estimator for f in outcomes(found)} == {"ANCOVA"}
    (fact,) = (f for f in found.facts if f.section == "analysis")
    assert (fact.effect, fact.outcome, fact.week, fact.crude) == ("difference", "dBASFI", "12", "-1.2")


def test_counts_of_the_safety_set_are_named_so():
    title, people = "Percentage of Subjects With Serious Adverse Events", "The safety set: all who had a dose."
    one = measure(title, "NUMBER", "percentage of subjects", ("3.3", "4.8"), people=people)
    assert {f.estimator for f in outcomes(parsed(one))} == {"safety-set"}


def test_a_standard_deviation_that_does_not_fit_the_scale_is_for_a_person_and_the_answer_holds():
    one = basfi(values=({"value": "-0.07", "spread": "0.02"}, {"value": "-0.19", "spread": "0.02"}))
    (question,) = parsed(one).review
    assert (question.kind, "too small for the scale of dBASFI" in question.reason) == ("scale", True)
    told = {"NCT00000001": Known(decisions={("scale", question.subject): "ok"})}
    assert not outcomes(parsed(one, known=told))[0].doubt


def test_a_change_of_crp_that_is_not_in_mg_per_litre_is_for_a_person():
    values = ({"value": "1.05", "spread": "0.4"}, {"value": "0.55", "spread": "0.4"})
    one = measure("Change From Baseline in hsCRP", "MEAN", "ratio", values, dispersionType="Standard Deviation")
    assert parsed(one).review[0].reason == "the unit 'ratio' is not that of dCRP"


def test_another_scale_in_the_description_is_for_a_person():
    one = basfi(description="The BASFI score ranges from 0 (easy) to 100 (impossible).")
    assert "prints a scale of 0 to 100; that of dBASFI is 0 to 10" in parsed(one).review[0].reason


# Study and arms


def test_the_protocol_becomes_a_study_and_its_arms():
    found = parsed()
    assert {k: found.study[k] for k in ("study_id", "design", "phase", "blinding", "population", "n_randomised")} == {
        "study_id": "SMALL", "design": "rct", "phase": "3", "blinding": "double", "population": "nr-axSpA",
        "n_randomised": "122",
    }  # fmt: skip
    assert [(a["arm_id"], a["treatment"], a["drug_class"], a["dose"], a["frequency"]) for a in found.arms] == [
        ("adalimumab-40-q2w", "adalimumab", "TNFi", "40", "Q2W"), ("placebo", "placebo", "placebo", "", "Q2W"),
    ]  # fmt: skip


def test_baseline_and_flow_fill_the_arms():
    active, control = parsed().arms
    assert (active["n_randomised"], active["age_mean"], active["male_fraction"]) == ("62", "37.6", "0.5")
    assert (control["n_randomised"], control["age_mean"], control["male_fraction"]) == ("60", "38.1", "0.55")


def test_the_total_of_the_baseline_belongs_to_no_arm():
    total = [f for f in parsed().facts if f.section == "baseline" and f.group == "Total"]
    assert len(total) == 3
    assert {f.arm for f in total} == {""}


def test_the_store_knows_the_names_of_a_study_and_its_arms():
    arms = [
        {"arm_id": "ada", "treatment": "adalimumab", "dose": "40", "frequency": "Q2W"},
        {"arm_id": "pbo", "treatment": "placebo"},
    ]
    found = parsed(known={"NCT00000001": Known({"study_id": "OURS"}, arms)})
    assert found.study["study_id"] == "OURS"
    assert {f.arm for f in outcomes(found)} == {"ada", "pbo"}


def test_an_arm_whose_drug_is_unknown_is_for_a_person():
    one = record()
    one["protocolSection"]["armsInterventionsModule"]["armGroups"][0].update(
        label="Wonderumab", description="A new one.", interventionNames=["Drug: Wonderumab"]
    )
    (found,) = parse(as_bytes(one))
    assert ("arm", "Wonderumab") in {(item.kind, item.subject) for item in found.review}


def test_a_planned_enrolment_is_no_number_of_patients():
    one = record()
    one["protocolSection"]["designModule"]["enrollmentInfo"]["type"] = "ESTIMATED"
    (found,) = parse(as_bytes(one))
    assert found.study["n_randomised"] == ""
    assert "planned, not enrolled" in reasons(found)["/protocolSection/designModule/enrollmentInfo/count"]


def test_a_record_without_results_has_no_facts():
    (found,) = parse(as_bytes({"protocolSection": protocol()}))
    assert not found.facts
    assert len(found.arms) == 2


# Nothing is lost


def pointed(value, pointer):
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def lost(source, found):
    """Leaves that hold a number and are neither read by a fact nor below an unparsed place."""
    told = found.to_dict()
    read = {p for fact in told["facts"] for p in fact["reads"]} | set(found.reads)
    places = {item["locator"] for item in told["unparsed"]}
    missing = []
    for pointer, value in leaves(source):
        numeric = isinstance(value, int | float) or (isinstance(value, str) and value[:1] in "-.0123456789<=")
        above = {"/".join(pointer.split("/")[:k]) for k in range(2, pointer.count("/") + 2)}
        if numeric and value not in (True, False, "") and pointer not in read and not above & places:
            missing.append((pointer, value))
    return missing


#: texts that begin with a digit and are read as text: titles, dates
TEXTS = ("/title", "/date", "/timeFrame", "/description", "/label", "/term")


def test_every_number_of_a_record_is_a_fact_or_is_reported():
    source = record(asas40(analyses=[analysis()]), basfi(), asas40(placebo="11.4"))
    missing = [(p, v) for p, v in lost(source, parse(as_bytes(source))[0]) if not p.endswith(TEXTS)]
    assert missing == []


def test_what_a_record_has_beyond_what_is_known_is_reported():
    source = record()
    source["resultsSection"]["newModule"] = {"a": 17}
    source["resultsSection"]["outcomeMeasuresModule"]["outcomeMeasures"][0]["extra/key"] = {"b": ["18"]}
    found = reasons(parse(as_bytes(source))[0])
    assert "no part of a record that this parser knows" in found["/resultsSection/newModule"]
    assert f"{FIRST}/extra~1key" in found


def test_a_second_line_of_a_group_for_one_term_is_reported():
    events = adverse()
    events["otherEvents"][0]["stats"].append({"groupId": "EG000", "numAffected": 7, "numAtRisk": 60})
    found = parsed(adverseEventsModule=events)
    assert "the group id 'EG000' has a second line for this term" in reasons(found).values()


def test_a_second_denominator_of_a_group_is_reported_and_the_first_holds():
    doubled = denominators(60, 62)
    doubled[0]["counts"].append({"groupId": "OG000", "value": "59"})
    found = parsed(asas40(denoms=doubled))
    assert outcomes(found)[0].n == "60"
    assert "a second denominator of the group 'OG000'" in reasons(found).values()


def test_a_period_that_names_no_weeks_says_nothing_about_the_end_of_an_arm():
    module = flow()
    module["periods"][1]["milestones"][0]["achievements"][0]["numSubjects"] = "3"
    module["periods"][1]["title"] = "Open-Label Period"
    deaths = {f.arm: f.week for f in parsed(participantFlowModule=module).facts if f.outcome == "DEATH"}
    assert deaths["placebo"] == "52"


def test_an_estimate_between_both_directions_does_not_say_which_arm_is_the_treatment():
    one = asas40(placebo="30.0", active="32.3", analyses=[analysis(groupDescription="", paramValue="1.01")])
    assert [item.kind for item in parsed(one).review] == ["direction"]


def test_a_second_count_of_a_group_for_one_milestone_is_reported():
    module = flow()
    module["periods"][0]["milestones"][0]["achievements"].append({"groupId": "FG000", "numSubjects": 61})
    found = parsed(participantFlowModule=module)
    assert found.arms[1]["n_randomised"] == "60"
    assert "a second count of the group 'FG000'" in reasons(found).values()


def test_baseline_values_are_counted_from_the_unit_that_they_select():
    module = baseline()
    module["denoms"].append({**denominators(120, 124, 244, prefix="BG")[0], "units": "joints"})
    module["measures"][0]["denomUnitsSelected"] = "joints"
    found = [f for f in parsed(baselineCharacteristicsModule=module).facts if f.section == "baseline"]
    assert (found[0].n, found[-1].n) == ("120", "122")


def test_comments_say_which_week_an_analysis_is_about():
    classes = [{"title": f"Week {week}", **measurements("11.7", "41.9")[0]} for week in (4, 12)]
    tests = [analysis(nonInferiorityComment=f"Week {week}", ciNumSides="ONE_SIDED") for week in (12, 4)]
    found = parsed(asas40(frame="Weeks 4 and 12", analyses=tests) | {"classes": classes, "title": "ASAS40"})
    assert [(f.week, f.note) for f in found.facts if f.section == "analysis"] == [
        ("12", "one-sided interval; Week 12"), ("4", "one-sided interval; Week 4")
    ]  # fmt: skip


def test_an_analysis_of_several_weeks_that_names_none_is_no_contrast():
    classes = [{"title": f"Week {week}", **measurements("11.7", "41.9")[0]} for week in (4, 12)]
    found = parsed(asas40(frame="Weeks 4 and 12", analyses=[analysis()]) | {"classes": classes, "title": "ASAS40"})
    (fact,) = (f for f in found.facts if f.section == "analysis")
    assert "does not say which it is about" in fact.doubt


def test_every_locator_points_into_the_record():
    source = record(asas40(placebo="11.4", analyses=[analysis()]), basfi())
    (found,) = parse(as_bytes(source))
    for fact in found.facts:
        pointed(source, fact.locator)
        assert all(isinstance(pointed(source, p), str | int) for p in fact.reads)
    for item in found.unparsed:
        pointed(source, item.locator)


def test_no_number_is_read_twice_by_facts_of_one_measurement():
    (found,) = parse(as_bytes(record()))
    locators = [fact.locator for fact in found.facts]
    assert len(locators) == len(set(locators))
