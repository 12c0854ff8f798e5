import pytest

from enthesis.errors import UsageError
from enthesis.evidence.rows import TABLES, USES, Use, identity, table, vocabulary

RESULT = {
    "study_id": "S", "arm_id": "a", "subgroup": "all", "outcome": "ASAS40", "week": "16", "measure": "binary",
    "events": "3", "n": "10", "estimator": "NRI", "source_id": "x", "locator": "Table 1", "check": "one-source",
    "preferred": "yes",
}  # fmt: skip


def reasons(name, cells):
    return [problem.reason for problem in TABLES[name].problems(cells)]


def test_a_good_result_has_no_problem():
    assert reasons("outcomes", RESULT) == []


def test_every_problem_of_a_row_is_told_at_once():
    assert [problem.column for problem in TABLES["outcomes"].problems({**RESULT, "events": "x", "n": "y"})] == [
        "events",
        "n",
    ]


def test_more_events_than_patients_is_a_problem_of_a_binary_result_only():
    assert reasons("outcomes", {**RESULT, "events": "11"}) == ["is more than the 10 patients of column n"]
    assert reasons("outcomes", {**RESULT, "events": "11", "measure": "rate"}) == []


@pytest.mark.parametrize(("low", "high"), [("ci_low", "ci_high"), ("rate_ci_low", "rate_ci_high")])
def test_limits_in_the_wrong_order_are_a_problem(low, high):
    assert reasons("outcomes", {**RESULT, low: "2", high: "1"}) == ["is above the upper limit 1"]


def test_a_negative_ratio_is_a_problem():
    cells = {**RESULT, "comparator_arm_id": "b", "effect": "hazard_ratio", "estimate": "-0.4"}
    assert reasons("contrasts", cells) == ["is negative, but the effect is a hazard_ratio"]
    assert reasons("contrasts", {**cells, "effect": "difference"}) == []


def test_a_judgement_needs_a_reason():
    assert reasons("curation", {"study_id": "S", "use": "no"}) == ["is missing"]
    assert reasons("curation", {"study_id": "S", "use": "no", "reason": ""}) == ["is empty"]


def test_an_unknown_column_is_no_problem():
    assert reasons("outcomes", {**RESULT, "smokers": "many"}) == []


def test_a_hostile_cell_is_cut_in_the_sentence():
    from enthesis.evidence.sources.tables import Rejection

    assert len(str(Rejection("t.csv", 2, "events", "9" * 10_000, "is not a number", "Mend it."))) < 300


@pytest.mark.parametrize("text", ["9" * 400, "1e99999", "٣", "0x10", "1 2", "--1", "inf", ".", "1e"])
def test_what_python_or_a_spreadsheet_may_read_as_a_number_is_not_one(text):
    assert reasons("outcomes", {**RESULT, "mean": text}) == ["is not a number"]


@pytest.mark.parametrize("text", ["1", "-1.50", "+0.2", ".5", "1.", "1e-3", "1E5"])
def test_plain_numbers_are_numbers(text):
    assert reasons("outcomes", {**RESULT, "mean": text}) == []


def test_week_12_and_week_12_0_are_one_row():
    assert identity("outcomes", {**RESULT, "week": "12.0"}) == identity("outcomes", {**RESULT, "week": "12"})
    assert identity("outcomes", {**RESULT, "week": "12.5"}) != identity("outcomes", {**RESULT, "week": "12"})


def test_the_identity_of_a_row_without_natural_key_is_the_whole_row():
    assert identity("x/t", {"a": "1", "b": ""}) == identity("x/t", {"b": "", "a": "1"})
    assert identity("x/t", {"a": "1"}) != identity("x/t", {"a": "2"})


def test_every_natural_key_is_made_of_columns_of_its_table():
    for spec in TABLES.values():
        assert set(spec.key) <= set(spec.columns), spec.name


def test_the_uses_are_ordered_completely():
    assert sorted(USES) == sorted(vocabulary(Use))


def test_an_unknown_table_is_a_sentence():
    with pytest.raises(UsageError, match="Did you mean 'outcomes'"):
        table("outcome")
