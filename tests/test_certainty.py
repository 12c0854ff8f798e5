"""Ratings of a network and of a review: what is said where, persons' decisions, and what a changed number moves."""

import math
from dataclasses import replace
from functools import cache

import jsonschema
import pytest
from markupsafe import escape

from enthesis.assess.certainty import Rules, StudyFacts, certainty
from enthesis.assess.certainty_part import (
    Settings,
    StudyRule,
    compute,
    override_row,
    overrides,
    proposal,
    read_settings,
    with_overrides,
)
from enthesis.assess.concerns import DOMAINS, Untestable
from enthesis.errors import DataError, UsageError
from enthesis.evidence import Store, bundled_folder, load_tables
from enthesis.inference.fit import fit
from enthesis.living.one_answer import one_answer, one_rating
from enthesis.living.review import run_review
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.network.tables import from_table
from enthesis.report.document import review_document
from enthesis.report.render.html import render
from enthesis.report.render.json import results, schema

COUNTS = {"P": 40, "A": 90, "B": 60}


def network(studies=(("P", "A"),) * 3 + (("P", "B"),) * 2, **changed):
    rows = [
        dict(study=f"s{i}", treatment=t, events=changed.get(f"s{i}", {}).get(t, COUNTS[t] + i), n=200)
        for i, arms in enumerate(studies)
        for t in arms
    ]
    return from_table(rows, measure="OR", reference="P", better="higher").replace(mid=1.25)


def rated(made=None, facts=None, **options):
    return certainty(fit(made or network(), engine="gls"), facts, **options)


LOW = {f"s{i}": StudyFacts(bias=1) for i in range(9)}


def test_every_pair_has_six_domains_in_cinemas_order_with_reasons():
    for r in rated().all:
        assert tuple(r.domains) == DOMAINS
        assert all(reason for _, reason in r.domains.values())


def test_a_rating_is_found_in_either_order_of_treatments():
    found = rated()
    assert found.rating("A", "P") is found.rating("P", "A")
    assert found.rating("A", "nothing") is None


def test_risk_of_bias_that_nobody_judged_takes_one_level_and_says_so():
    rules = Rules(untestable=Untestable(direct="no concerns"))
    unjudged, judged = rated(rules=rules).rating("A", "P"), rated(facts=LOW, rules=rules).rating("A", "P")
    assert (unjudged.level, judged.level) == ("moderate", "high")
    assert "No person has judged" in unjudged.domains["within-study bias"][1]


def test_a_proposal_by_rule_is_never_better_than_no_judgement():
    proposed = {s: replace(f, bias=1, judged=False) for s, f in LOW.items()}
    assert rated(facts=proposed).rating("A", "P").domains["within-study bias"][0] == "some concerns"


def test_studies_at_high_risk_count_by_what_they_contribute():
    high = LOW | {"s0": StudyFacts(bias=3)}
    found = rated(facts=high)
    assert found.rating("A", "P").domains["within-study bias"][0] == "some concerns"
    assert found.rating("B", "P").domains["within-study bias"][0] == "no concerns"


def test_study_types_that_start_low_start_low():
    cohorts = {s: replace(f, start="low") for s, f in LOW.items()}
    assert rated(facts=cohorts).rating("A", "P").reason.startswith("Starts low (")


def test_a_common_effect_model_is_set_against_the_prediction_interval_of_the_random_one():
    made = network(s0={"A": 150}, s1={"A": 60})
    one = certainty(fit(made, Model(heterogeneity=Common()), engine="gls"))
    assert one.rating("A", "P").domains["heterogeneity"][0] != "no concerns"


@pytest.mark.parametrize("engine", ["gls", "laplace"])
def test_where_no_comparison_has_two_studies_heterogeneity_is_unknown_and_not_what_a_prior_says(engine):
    options = {"draws": 500} if engine == "laplace" else {}
    found = certainty(fit(network((("P", "A"), ("P", "B"))), engine=engine, **options))
    assert "cannot be estimated" in found.rating("A", "P").domains["heterogeneity"][1]


def test_a_treatment_whose_study_has_no_contrast_is_rated_from_its_study():
    rows = [dict(study=s, treatment=t, events=r, n=100) for s, t, r in
            (("1", "P", 5), ("1", "A", 9), ("2", "P", 7), ("2", "A", 8), ("3", "P", 0), ("3", "Z", 0))]  # fmt: skip
    made = from_table(rows, measure="OR", reference="P", better="lower")
    found = certainty(fit(made, Model(heterogeneity=Common()), engine="laplace", draws=500))
    assert found.rating("Z", "P").level in ("low", "very low")


def test_only_pairs_with_a_comparator_are_rated_on_request():
    assert {r.comparator for r in rated(comparator="A").all} == {"A"}
    with pytest.raises(UsageError, match="Known: A, B, P"):
        rated(comparator="Q")


# persons' decisions


def decided(found, item="within-study bias", value="no concerns", store=None, pair=("A", "P")):
    row = override_row("q", found.rating(*pair), item, value)
    with Store.open(":memory:") as opened:
        opened.judge("overrides", row, author="A. Panel", reason="judged by two, agreed")
        return overrides(opened.evidence())["q"]


def test_a_decision_replaces_the_computed_judgement_and_keeps_it_beside_it():
    found = rated(rules=Rules(untestable=Untestable(direct="no concerns")))
    now = with_overrides(found, decided(found)).rating("A", "P")
    concern = now.concern("within-study bias")
    assert (now.level, concern.by, concern.proposed, now.re_judge) == ("high", "A. Panel", "some concerns", False)
    assert "judged by two, agreed" in concern.reason


def test_a_decision_on_the_level_stands_beside_the_computed_level():
    found = rated()
    now = with_overrides(found, decided(found, "rating", "low")).rating("A", "P")
    assert (now.level, now.by, now.proposed) == ("low", "A. Panel", found.rating("A", "P").level)


def test_a_changed_number_marks_the_decision_to_be_made_again_and_only_that_one():
    found = rated()
    lines = decided(found, "imprecision", "some concerns") + decided(found, "imprecision", "major concerns",
                                                                     pair=("B", "P"))  # fmt: skip
    changed = rated(network(s4={"B": 80}))
    now = with_overrides(changed, lines)
    assert now.rating("B", "P").re_judge
    assert now.rating("B", "P").concern("imprecision").level == "major concerns"
    assert "re-judge" in now.rating("B", "P").concern("imprecision").reason
    assert not now.rating("A", "P").concern("reporting bias").re_judge


def test_a_decision_on_an_estimate_that_is_not_there_is_told():
    found = rated()
    line = replace(decided(found)[0], treatment="withdrawn drug")
    assert "withdrawn drug against P" in with_overrides(found, (line,)).notes[0]


def test_a_stored_value_that_is_no_judgement_is_named():
    found = rated()
    with pytest.raises(DataError, match="not serious"):
        with_overrides(found, (replace(decided(found)[0], value="not serious"),))


@pytest.mark.parametrize(("item", "value"), [("precision", "no concerns"), ("imprecision", "fine"), ("rating", "none")])
def test_an_unknown_domain_or_judgement_is_refused(item, value):
    with pytest.raises(UsageError, match=r"Known|Did you mean"):
        override_row("q", rated().rating("A", "P"), item, value)


# settings


def written(tmp_path, text):
    path = tmp_path / "certainty.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("wrong = 1", "wrong"),
        ('[rules]\nwithin_study_bias = "mean"', "rules.within_study_bias"),
        ('[start]\nrct = "perfect"', "start"),
        ('[incoherence]\ndirect = "none"', "incoherence"),
        ('[[indirectness]]\nwhen = { year = ["2000"] }\nlevel = 2', "indirectness"),
        ('[[proposal]]\nwhen = { blinding = ["open"] }\nlevel = 5\nreason = "r"', "proposal.level"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, column):
    with pytest.raises(DataError, match=column):
        written(tmp_path, text)


def test_rules_about_studies_hold_when_all_their_facts_do():
    rule = StudyRule(when={"blinding": ["open"], "year": {"below": 2010}}, level=2, reason="r")
    assert rule.applies({"blinding": "open", "year": 2005.0}, "q")
    assert not rule.applies({"blinding": "open", "year": 2015.0}, "q")
    assert not rule.applies({"blinding": "open", "year": math.nan}, "q")
    assert not replace(rule, questions=("other",)).applies({"blinding": "open", "year": 2005.0}, "q")


def test_a_proposal_names_its_rule_and_leaves_the_rest_without_information():
    rules = Settings(
        questions=(), proposals=(StudyRule(when={"blinding": ["open"]}, level=2, reason="open", domain="D4"),)
    )
    made = proposal("A", {"blinding": "open"}, rules, "q")
    assert (made.by, made.reason, made.domains["D4"], made.domains["D1"]) == (
        "rule", "open", "some-concerns", "no-information",
    )  # fmt: skip
    assert proposal("A", {"blinding": "double"}, rules, "q") is None


# the bundled review


@cache
def reviewed():
    return run_review("axspa", only="asas40-nr-naive", parts=("certainty",))


def test_the_bundled_review_is_rated_with_what_nobody_judged_said():
    value = reviewed().parts["certainty"]
    found = value.by_question["asas40-nr-naive"]
    assert found.judged == 0
    assert all(r.level != "high" for r in found.all)


def test_the_part_gives_a_rating_for_a_question_and_a_pair_in_either_order():
    value = reviewed().parts["certainty"]
    first = value.by_question["asas40-nr-naive"].all[0]
    assert value.rating("asas40-nr-naive", first.comparator, first.treatment) is first
    assert value.rating("no-such-question", first.treatment, first.comparator) is None


def test_the_report_has_a_chapter_with_every_judgement_and_its_reason():
    run = reviewed()
    page = render(review_document(run))
    assert 'id="certainty"' in page
    for r in run.parts["certainty"].by_question["asas40-nr-naive"].against():
        for c in r.concerns:
            assert str(escape(c.reason)) in page


def test_results_json_has_each_pair_and_keeps_to_its_schema():
    told = results(reviewed())
    pairs = [(c["treatment"], c["comparator"]) for c in told["certainty"]]
    assert len(pairs) == len(set(pairs)) == 3
    assert set(told["certainty"][0]["domains"]) == set(DOMAINS)
    jsonschema.validate(told, schema())


def test_the_limits_say_that_nobody_judged_risk_of_bias():
    told = results(reviewed())
    assert any("No person has judged the risk of bias" in text for text in told["limits"])
    assert not any("not rated" in text for text in told["key_messages"] + told["limits"])


def test_a_question_without_an_answer_is_said_not_to_be_rated():
    run = run_review("axspa", only="asas40-nr-ir")
    value = compute(run, run.review.folder / "certainty.toml", {})
    assert "cannot be rated" in value.problems["asas40-nr-ir"]


def test_settings_that_name_no_question_of_the_review_are_refused(tmp_path):
    path = tmp_path / "certainty.toml"
    path.write_text('questions = ["asas50"]', encoding="utf-8")
    with pytest.raises(DataError, match="asas50"):
        compute(reviewed(), path, {})


@pytest.fixture(scope="module")
def before_and_after():
    """Ratings of one question, before and after the events of one arm are corrected in the store."""
    with Store.open(":memory:") as store:
        load_tables(store, bundled_folder())
        evidence = store.evidence()
        _, before = one_rating("axspa", "asas40-r-naive", evidence=evidence)
        arms = evidence.arms
        mine = set(arms.loc[arms["treatment"] == "risankizumab", "arm_id"])
        used = one_answer("axspa", "asas40-r-naive", evidence=evidence)[0].answers[0].selection.used
        rows = evidence.outcomes.set_index("result_id").loc[list(used)]
        row = rows[rows["arm_id"].isin(mine)].iloc[0]
        fact = next(f for f in evidence.facts if f.id == int(row["fact_id"]))
        cells = dict(fact.cells()) | {"events": str(int(row["n"] * 0.7)), "percent": ""}
        store.supersede(fact.id, cells, extractor="test", reason="a number is flipped")
        _, after = one_rating("axspa", "asas40-r-naive", evidence=store.evidence())
        return before, after


def test_a_flipped_number_moves_the_rating_that_rests_on_it(before_and_after):
    before, after = (r.rating("risankizumab", "placebo") for r in before_and_after)
    assert before.domains["imprecision"][0] == "major concerns"
    assert after.domains["imprecision"][0] != "major concerns"
    assert before.concern("imprecision").inputs_hash != after.concern("imprecision").inputs_hash


def test_a_flipped_number_leaves_the_judgements_alone_that_do_not_rest_on_it(before_and_after):
    before, after = before_and_after
    for name in ("tofacitinib", "upadacitinib", "adalimumab", "ixekizumab", "tocilizumab"):
        one, other = before.rating(name, "placebo"), after.rating(name, "placebo")
        assert one.domains["imprecision"][0] == other.domains["imprecision"][0]
        for domain in ("within-study bias", "indirectness"):
            assert one.concern(domain).inputs_hash == other.concern(domain).inputs_hash
