"""The safety part: what is borrowed, what counts once, and what a profile changes, on the bundled evidence."""

import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from enthesis.assess.overlaps import all_overlaps, apart, read_overlaps
from enthesis.assess.rates import last_follow_up, rate_rows
from enthesis.assess.safety import own_rows, safety, with_rate
from enthesis.assess.safety_effects import EffectReader
from enthesis.assess.safety_settings import read_safety
from enthesis.cli.main import run
from enthesis.errors import DataError, UsageError
from enthesis.evidence import bundled_evidence, bundled_folder
from enthesis.inference.across_studies import AcrossStudies, predictive_p_value
from enthesis.models.overlap import Overlap
from enthesis.models.priors import HalfNormal
from enthesis.report.safety_json import safety_json

FOLDER = bundled_folder().parent
OVERLAPS = FOLDER / "overlaps.toml"


@pytest.fixture(scope="module")
def settings():
    return read_safety(FOLDER / "safety.toml")


@pytest.fixture(scope="module")
def found(settings):
    """Every outcome on the bundled evidence."""
    return safety(bundled_evidence(), settings, OVERLAPS)


def with_weight(settings, weight):
    return settings.model_copy(update={"borrowing": settings.borrowing.model_copy(update={"weight": weight})})


# what is counted


def test_own_events_and_patient_years_are_those_of_the_tables(found):
    serious = found.result("SERINF")
    assert serious.own_events == {"JAKi": 0, "TNFi": 17}
    assert serious.own_patient_years == {"JAKi": 308.6, "TNFi": 1201.1}


def test_own_data_of_one_result_are_of_one_kind(found, settings):
    rows = own_rows(rate_rows(bundled_evidence()), "SERINF", settings)
    assert {r.rate_of for r in rows if r.drug_class == "TNFi"} >= {"events", "patients"}
    assert found.result("SERINF").own_rate_of == "events"


def test_a_longer_follow_up_replaces_a_shorter_one_of_the_same_study(settings):
    rows = own_rows(rate_rows(bundled_evidence()), "SERINF", settings)
    assert [r.week for r in rows if r.study_id == "ATLAS-OLE"] == [260.0]


def test_rates_of_events_and_patients_stay_apart_in_every_pooled_group(found):
    for outcome in found.rates:
        for group in (*outcome.pooled, *outcome.by_class):
            assert all(row.rate_of in (group.rate_of, "unstated") for row in group.rows)
            assert all(row.events == 0 for row in group.rows if row.rate_of == "unstated")


def test_counts_without_a_time_at_risk_are_told_and_enter_no_rate(found):
    zoster = found.result("HZ")
    assert zoster.own_patient_years["JAKi"] == 308.6
    assert any("TOFA-AS-integrated" in text for text in zoster.own_further)


# what counts once


def test_the_two_trinetx_studies_count_once(found):
    uveitis = found.result("UVEITIS")
    used = [s.study for s in uveitis.sources if not s.left_out]
    left = {s.study: s.left_out for s in uveitis.sources if s.left_out}
    assert used == ["TriNetX-uveitis-Wu"]
    assert "overlap with the own data of TriNetX-uveitis-Wu" in left["TriNetX-uveitis-Bai"]


def test_two_overlapping_sources_are_not_borrowed_together(settings):
    asked = next(o for o in settings.outcome if o.code == "UVEITIS")
    both = asked.model_copy(update={"effect": tuple(e.model_copy(update={"own": False}) for e in asked.effect)})
    reader = EffectReader(bundled_evidence(), settings)
    assert len(reader.effects(both, "average", ()).external) == 2
    (kept,) = reader.effects(both, "average", read_overlaps(OVERLAPS)).external
    assert kept.study == "TriNetX-uveitis-Bai"


def test_a_trial_and_its_own_extension_count_once():
    overlaps = all_overlaps(OVERLAPS, bundled_evidence())
    kept = apart(["SELECT-AXIS-1", "SELECT-AXIS-1-OLE", "ATLAS-OLE"], overlaps, key=str)
    assert kept.rows == ("SELECT-AXIS-1-OLE", "ATLAS-OLE")
    assert "continues SELECT-AXIS-1 with the same patients" in kept.dropped[0].sentence


def test_an_extension_of_several_trials_overlaps_with_each_of_them():
    overlaps = all_overlaps(OVERLAPS, bundled_evidence())
    assert apart(["COAST-V", "COAST-W", "COAST-X", "COAST-Y"], overlaps, key=str).rows == ("COAST-Y",)


def test_a_pooled_analysis_and_its_members_count_once():
    overlaps = all_overlaps(OVERLAPS, bundled_evidence())
    sources = ["TOFA-AS-P2", "TOFA-AS-P3", "TOFA-AS-P3-OLE", "TOFA-AS-integrated"]
    assert apart(sources, overlaps, key=str).rows == ("TOFA-AS-integrated",)


def test_an_extension_that_was_entered_twice_counts_once():
    overlaps = all_overlaps(OVERLAPS, bundled_evidence())
    rows = [r for r in rate_rows(bundled_evidence(), "SERINF") if r.study_id.startswith("ABILITY-1")]
    assert {r.study_id for r in rows} == {"ABILITY-1-EXT", "ABILITY-1-OLE"}
    assert {r.study_id for r in apart(rows, overlaps).rows} == {"ABILITY-1-EXT"}


def test_no_two_rows_of_any_pooled_rate_share_patients(found):
    overlaps = all_overlaps(OVERLAPS, bundled_evidence())
    for outcome in found.rates:
        for group in outcome.by_class:
            studies = {row.study_id for row in group.rows}
            assert not [o for o in overlaps if len(studies & set(o.sources)) > 1]


def test_no_two_sources_of_any_result_share_patients(found):
    overlaps = all_overlaps(OVERLAPS, bundled_evidence())
    for result in found.results:
        used = {s.study for s in result.sources if not s.left_out}
        assert not [o for o in overlaps if len(used & set(o.sources)) > 1]


def test_every_source_of_a_declared_overlap_is_a_study_of_the_evidence():
    known = set(bundled_evidence().studies.study_id)
    assert [s for o in read_overlaps(OVERLAPS) for s in o.sources if s not in known] == []


def test_a_file_of_overlaps_with_another_table_is_refused(tmp_path):
    path = tmp_path / "overlaps.toml"
    path.write_text('[[overlaps]]\ngroup = "a"\n', encoding="utf-8")
    with pytest.raises(DataError, match="something else than"):
        read_overlaps(path)


def test_an_overlap_of_one_source_is_refused_with_its_key(tmp_path):
    path = tmp_path / "overlaps.toml"
    path.write_text('[[overlap]]\ngroup = "a"\nsources = ["A"]\nreason = "r"\n', encoding="utf-8")
    with pytest.raises(DataError, match="sources"):
        read_overlaps(path)


# what is borrowed


def test_weight_0_gives_the_own_result(settings):
    alone = safety(bundled_evidence(), with_weight(settings, 0.0), OVERLAPS, only=["MALIG"]).result("MALIG")
    told = (alone.rate_ratio.estimate, alone.rate_ratio.lower, alone.rate_ratio.upper)
    assert told == pytest.approx(alone.own_ratio, rel=1e-3)


def test_more_weight_brings_the_result_nearer_to_other_patients(found):
    lines = found.result("SERINF").tipping
    estimates = [line["estimate"] for line in lines]
    assert [line["weight"] for line in lines] == pytest.approx(np.linspace(0, 1, 11))
    assert estimates == sorted(estimates)
    assert estimates[-1] < found.result("SERINF").borrowed["average"][0]


def test_nothing_absolute_is_borrowed(found, settings):
    studies = bundled_evidence().studies.set_index("study_id").population
    for result in found.results:
        if result.anchor:
            assert {studies[s] for s in result.anchor.studies} <= set(settings.populations)


def test_effects_of_a_stratum_are_those_of_its_patients_only(found):
    ascvd = found.result("MACE", "ascvd")
    (source,) = [s for s in ascvd.sources if not s.left_out]
    assert (source.study, source.subgroup, source.ratio) == (
        "ORAL-Surveillance",
        "history-of-ASCVD",
        (1.98, 0.95, 4.14),
    )


def test_a_single_source_is_told_as_it_was_printed(found):
    assert found.result("MACE", "ascvd").borrowed["average"] == (1.98, 0.95, 4.14)
    assert "ratio 1.98 (0.95 to 4.14)" in found.result("MACE", "ascvd").sentence


def test_counts_of_both_arms_say_what_they_assume(found):
    (source,) = [s for s in found.result("MACE", "risk-no-ascvd").sources if not s.left_out]
    assert "follow-up of both arms is taken as equal" in source.assumption
    assert source.ratio[0] == pytest.approx((30 / 1251) / (28 / 1237))


def test_without_own_data_the_conflict_cannot_be_seen_and_the_sentence_says_so(found):
    mace = found.result("MACE")
    assert mace.conflict["p_value"] is None
    assert "cannot be seen" in mace.conflict["sentence"]
    assert "no axSpA data compare JAKi with TNFi" in mace.sentence


def test_an_effect_that_is_not_in_the_evidence_is_named(settings):
    asked = settings.outcome[0]
    wrong = asked.model_copy(update={"effect": (asked.effect[0].model_copy(update={"arm": "nobody"}),)})
    with pytest.raises(DataError, match=r"Korea-NHIS-infections \(nobody against tnfi"):
        EffectReader(bundled_evidence(), settings).effects(wrong, "average", ())


class Judged:
    """The bundled evidence with every row of one study judged `no`."""

    def __init__(self, study):
        self._evidence, self._study = bundled_evidence(), study

    def __getattr__(self, name):
        return getattr(self._evidence, name)

    def eligibility(self, name="outcomes"):
        found = self._evidence.eligibility(name)
        found.loc[(self._evidence.table(name).study_id == self._study).to_numpy(), "use"] = "no"
        return found


@pytest.mark.parametrize(("study", "outcome"), [("STAR-RA-CV", "MACE"), ("SELECT-COMPARE-5y", "HZ")])
def test_rows_judged_no_are_not_borrowed(settings, study, outcome):
    asked = next(o for o in settings.outcome if o.code == outcome)
    with pytest.raises(DataError, match=study):
        EffectReader(Judged(study), settings).effects(asked, "average", ())


@pytest.mark.parametrize(("seen", "more"), [(0, False), (12, True)])
def test_treated_counts_far_from_what_a_prior_expects_are_improbable(seen, more):
    data = AcrossStudies(treated=((seen, 300.0),), comparator=((12, 1200.0),), spread=None)
    x = np.linspace(-1, 1, 201)
    mass = np.exp(-0.5 * (x / 0.1) ** 2)
    p = predictive_p_value(data, x, mass / mass.sum())
    assert (p < 0.01) is more


def test_the_predictive_p_value_of_a_point_prior_is_that_of_the_binomial():
    from scipy import stats

    data = AcrossStudies(treated=((3, 400.0),), comparator=((17, 1200.0),), spread=None)
    binomial = stats.binom.pmf(np.arange(21), 20, 0.25)
    expected = binomial[binomial <= binomial[3] * (1 + 1e-9)].sum()
    assert predictive_p_value(data, np.array([0.0]), np.array([1.0])) == pytest.approx(expected)


def test_a_spread_between_baselines_makes_far_counts_less_surprising():
    theta, mass = np.array([0.0]), np.array([1.0])
    counts = {"treated": ((12, 300.0),), "comparator": ((12, 1200.0),)}
    equal, spread = (AcrossStudies(**counts, spread=prior) for prior in (None, HalfNormal(1.0)))
    assert predictive_p_value(equal, theta, mass) < 0.01 < 0.05 < predictive_p_value(spread, theta, mass)


# absolute numbers and profiles


def test_absolute_numbers_start_from_the_own_rate_of_the_comparator(found):
    cancer = found.result("MALIG")
    assert (cancer.anchor.side, cancer.anchor.events, cancer.anchor.patient_years) == ("comparator", 3, 1201.1)
    low, high = cancer.per_1000[1.0].comparator[1:]
    assert low < 1000 * 3 / 1201.1 < high


def test_where_only_the_treatment_has_an_own_rate_the_comparator_gets_it_divided_by_the_ratio(found):
    zoster = found.result("HZ")
    assert zoster.anchor.side == "treatment"
    five = zoster.per_1000[5.0]
    assert five.treatment[0] == pytest.approx(5 * 1000 * 5.5 / 308.6, rel=0.1)
    assert five.comparator[0] == pytest.approx(five.treatment[0] / zoster.rate_ratio.estimate, rel=0.1)


def test_a_stated_rate_gives_its_own_absolute_numbers(found, settings):
    stated = with_rate(found.result("MACE"), 0.6, settings)
    assert stated.per_1000[5.0].comparator[0] == pytest.approx(1000 * (1 - math.exp(-0.03)), rel=1e-3)
    assert "stated rate of 0.6" in stated.anchor.sentence


@pytest.mark.parametrize("rate", [0, -1, math.nan, 1e6])
def test_what_is_no_rate_is_refused(found, settings, rate):
    with pytest.raises(UsageError, match="a rate per 100 patient-years"):
        with_rate(found.result("MACE"), rate, settings)


def test_a_difference_is_that_of_the_two_sides_draw_by_draw(found):
    for result in found.results:
        for a in result.per_1000.values():
            assert a.difference[1] <= a.treatment[2] - a.comparator[1]
            assert a.difference[2] >= a.treatment[1] - a.comparator[2]


@pytest.mark.parametrize(
    ("age", "smoker", "cardiovascular", "profile"),
    [(40, False, False, "low"), (70, False, False, "older-or-smoker"), (40, True, False, "older-or-smoker"),
     (40, False, True, "cardiovascular"), (80, True, True, "cardiovascular")],
)  # fmt: skip
def test_a_patient_has_a_profile(settings, age, smoker, cardiovascular, profile):
    assert settings.profile_for(age=age, ever_smoker=smoker, cardiovascular=cardiovascular).id == profile


def test_a_profile_takes_the_first_of_its_strata_that_an_outcome_has(found):
    chosen = {r.outcome: r.stratum for r in found.for_profile("cardiovascular")}
    assert (chosen["MACE"], chosen["MALIG"], chosen["UVEITIS"]) == ("ascvd", "risk", "average")


def test_settings_that_name_an_unknown_stratum_are_refused(tmp_path):
    text = (FOLDER / "safety.toml").read_text(encoding="utf-8").replace('stratum = "ascvd"', 'stratum = "asvcd"')
    path = tmp_path / "safety.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="asvcd"):
        read_safety(path)


# what lasts


def test_as_observed_and_nri_stand_beside_each_other(found):
    one = next(x for x in found.response if (x.study, x.arm) == ("SELECT-AXIS-1-OLE", "upadacitinib-15-qd"))
    assert (one.observed.percent, round(one.nri.percent, 1), one.other) == (85.9, 65.6, None)


def test_a_response_as_observed_is_never_shown_as_nri(found):
    observed = bundled_evidence().outcomes.set_index("result_id").estimator
    for line in found.response:
        assert line.nri is None or observed[line.nri.row] in ("NRI", "NRI-MI")
        assert line.observed is None or observed[line.observed.row] == "observed"


def test_retention_of_one_extension_is_shown_once(found):
    rapid = [k for k in found.retention if k.study.startswith("RAPID")]
    assert [(k.share.events, k.share.n) for k in rapid] == [(142.0, 218.0)]


def test_progression_says_which_difference_is_randomised(found):
    assert {p.study for p in found.structure if p.against} == {"SURPASS"}


# told


def test_the_value_can_be_kept_and_the_json_has_no_number_that_is_none(found):
    assert pickle.loads(pickle.dumps(found)).results[0].outcome == found.results[0].outcome
    assert json.loads(json.dumps(safety_json(found), allow_nan=False))["safety"][0]["outcome"] == "HZ"


def test_every_result_has_the_keys_that_others_read(found):
    for line in safety_json(found)["safety"]:
        assert {"outcome", "stratum", "own", "borrowed", "conflict", "rate_ratio", "per_1000", "sentence"} <= set(line)
        assert {"weight", "effective_sample_size", "sources"} <= set(line["borrowed"])


def test_a_ratio_is_called_higher_only_when_its_interval_excludes_one(found):
    for result in found.results:
        v = result.rate_ratio
        if v is not None:
            said = result.sentence.split("In other patients")[0]
            assert ("the rate is higher" in said) == (v.lower > 1)
            assert ("the rate is lower" in said) == (v.upper < 1)


def test_an_outcome_that_nothing_compares_has_no_ratio(found):
    ibd = found.result("IBD")
    assert (ibd.rate_ratio, ibd.per_1000) == (None, {})
    assert "cannot be compared" in ibd.sentence


def test_own_data_that_disagree_with_what_is_borrowed_are_said_to(settings):
    evidence = bundled_evidence()
    rows = [replace(r, events=40.0) if r.drug_class == "JAKi" else r
            for r in own_rows(rate_rows(evidence), "SERINF", settings)]  # fmt: skip
    from enthesis.assess.safety import one_result, own_data

    asked = next(o for o in settings.outcome if o.code == "SERINF")
    own = own_data(evidence, asked, settings, rows, read_overlaps(OVERLAPS))
    told = one_result(EffectReader(evidence, settings), asked, "average", settings, own, read_overlaps(OVERLAPS))
    assert told.conflict["p_value"] < 0.05
    assert "disagree" in told.conflict["sentence"]


def test_overlaps_given_as_values_are_used_too(settings):
    both = Overlap(group="g", sources=("STAR-RA-CV", "SNDS-JAKi-ADA"), reason="They are said to overlap.")
    value = safety(bundled_evidence(), settings, [both], only=["MACE"])
    assert {s.study for s in value.result("MACE").sources if s.left_out} == {"SNDS-JAKi-ADA"}


# the command


def called(*arguments):
    with pytest.raises(SystemExit) as stop:
        run(list(arguments))
    return stop.value.code


def test_the_command_answers_for_a_patient(capsys):
    code = called("safety", "axspa", "--age", "70", "--smoking", "ever", "--outcome", "MACE", "--baseline", "MACE=0.6",
                  "--json", "-")  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert (code, told["profile"]["id"], [r["stratum"] for r in told["safety"]]) == (
        0, "older-or-smoker", ["risk-no-ascvd"],
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [("--profile", "nobody"), ("--profile", "low", "--age", "70"), ("--weight", "2"), ("--baseline", "MACE"),
     ("--baseline", "ASAS40=1"), ("--outcome", "ASAS40"), ("--age", "7")],
)  # fmt: skip
def test_what_the_command_cannot_use_is_said(capsys, arguments):
    assert called("safety", "axspa", *arguments) == 2
    assert "enthesis:" in capsys.readouterr().err


def test_study_types_are_told_each_by_itself(found):
    mace = next(d for d in found.designs if d.outcome == "MACE")
    told = {design: (k, ratio) for design, k, ratio in mace.lines}
    assert told["rct"] == (1, (1.33, 0.91, 1.94))
    assert told["cohort"][0] == 4
    assert 0.75 < told["cohort"][1][1] < told["cohort"][1][0] < told["rct"][1][0]


def test_study_types_that_differ_are_said_to():
    from enthesis.assess.safety_words import design_sentence

    apart_lines = [("rct", 1, (3.0, 2.5, 3.6)), ("cohort", 2, (1.0, 0.8, 1.25))]
    assert design_sentence(apart_lines) == "Cohorts differ from randomised trials (p = 0.00)."
    assert "do not differ beyond chance" in design_sentence([apart_lines[0], ("cohort", 2, (2.8, 2.3, 3.4))])


def test_the_hazard_of_stopping_is_told_with_its_study(found):
    assert [(x.study, x.estimate, x.lower, x.upper) for x in found.stopping] == [
        ("BIOBADASER-JAKi-TNFi", 0.85, 0.78, 0.92)
    ]


def test_a_pooled_analysis_without_a_week_is_its_longest_follow_up():
    evidence = bundled_evidence()
    rows = [r for r in rate_rows(evidence) if r.study_id == "BKZ-axSpA-pooled" and r.subgroup == "all"]
    (last,) = last_follow_up([r for r in rows if r.outcome == "UVEITIS"])
    assert (last.week, last.exposure) == (None, 2034.4)


def test_an_earlier_look_at_the_same_patients_is_left_out():
    rows = [r for r in rate_rows(bundled_evidence()) if r.study_id == "SELECT-AXIS-1-OLE"]
    serious = [r for r in rows if r.outcome == "SERINF"]
    assert {r.week for r in serious} == {64.0, 104.0}
    assert {r.week for r in last_follow_up(serious)} == {104.0}
