"""A table's levels, follow-up, classes and study-level covariates come into the network, or are refused with a mend."""

import numpy as np
import pandas as pd
import pytest

from enthesis.errors import DataError, UsageError
from enthesis.network.blocks import ArmFollowUp, ArmLevels, Contrasts
from enthesis.network.pairwise import pairwise
from enthesis.network.tables import from_table

NESTED = pd.DataFrame(
    [
        ("1", "placebo", 60, 12, 5, 1),
        ("1", "drug", 61, 20, 12, 7),
        ("2", "placebo", 50, np.nan, 4, np.nan),
        ("2", "drug", 52, np.nan, 9, np.nan),
    ],
    columns=["study", "treatment", "n", "p50", "p75", "p90"],
)
LEVELS = {"levels": ["p50", "p75", "p90"]}


def nested(counts, table=NESTED, **settings):
    return from_table(table, columns=LEVELS, level_counts=counts, **settings)


def test_cumulative_levels_are_read_as_they_stand():
    network = nested("cumulative", measure="PROBIT")
    block = network.blocks[0]
    assert isinstance(block, ArmLevels)
    assert network.measure.name == "PROBIT"
    np.testing.assert_array_equal(block.r[0], [20, 12, 7])
    np.testing.assert_array_equal(block.r[2], [np.nan, 9, np.nan])


def test_exclusive_counts_are_added_up_from_the_hardest_level():
    np.testing.assert_array_equal(nested("exclusive").blocks[0].r[0], [39, 19, 7])


def test_exclusive_counts_are_the_same_network_as_their_cumulative_sums():
    cumulative = NESTED.assign(p50=[18, 39, np.nan, np.nan], p75=[6, 19, 4, 9])
    assert nested("exclusive").content_hash == nested("cumulative", cumulative).content_hash


def test_levels_may_be_named_in_one_text():
    network = from_table(NESTED, columns={"levels": "p50, p75,P90"}, level_counts="cumulative")
    assert network.content_hash == nested("cumulative").content_hash


def test_what_levels_count_must_be_said():
    with pytest.raises(UsageError, match=r"level_counts='cumulative' when .* 'exclusive' when"):
        from_table(NESTED, columns=LEVELS)


@pytest.mark.parametrize(
    ("changes", "settings", "words"),
    [
        ({"p75": [15, 12, 4, 9]}, {}, "row 2, column 'p75', value '15.*more patients reach this level.*'exclusive'"),
        ({"p50": [70, 20, np.nan, np.nan]}, {}, "row 2, column 'p50'.*more responders than patients"),
        ({"p50": [12.5, 20, np.nan, np.nan]}, {}, "row 2, column 'p50', value '12.5.*whole number"),
        ({}, {"measure": "RR"}, "no model of nested responses. Choose OR or PROBIT"),
    ],
)
def test_impossible_levels_are_refused_with_the_cell(changes, settings, words):
    with pytest.raises(DataError, match=words):
        nested("cumulative", NESTED.assign(**changes), **settings)


def test_an_arm_without_any_level_is_left_out():
    lost = NESTED.assign(p75=[5, 12, 4, np.nan])
    assert nested("cumulative", lost).studies == ("1",)


def follow_up(**columns):
    rows = [("1", "placebo", 8, 60), ("1", "drug", 12, 61), ("2", "placebo", 4, 50), ("2", "drug", 9, 52)]
    return pd.DataFrame(rows, columns=["study", "treatment", "r", "n"]).assign(**columns)


@pytest.mark.parametrize("name", ["time", "followup", "years"])
def test_a_hazard_ratio_reads_the_follow_up_by_its_usual_names(name):
    block = from_table(follow_up(**{name: [1, 1, 2.5, 2.5]}), measure="HR").blocks[0]
    assert isinstance(block, ArmFollowUp)
    np.testing.assert_array_equal(block.E, [1, 1, 2.5, 2.5])


def test_naming_the_follow_up_asks_for_a_hazard_ratio():
    assert from_table(follow_up(length=[1, 1, 2, 2]), columns={"followup": "length"}).measure.name == "HR"


def test_one_follow_up_serves_all_arms_of_a_row():
    wide = {"study": ["1"], "years": [3], "t1": ["a"], "r1": [3], "n1": [30], "t2": ["b"], "r2": [4], "n2": [31]}
    np.testing.assert_array_equal(from_table(wide, measure="HR").blocks[0].E, [3, 3])


def test_counts_with_a_follow_up_remain_counts_unless_a_hazard_ratio_is_asked_for():
    network = from_table(follow_up(time=[1, 1, 2.5, 2.5]))
    assert network.measure.name == "OR"
    np.testing.assert_array_equal(network.covariates["time"], [1, 2.5])


def test_a_follow_up_of_zero_is_refused():
    with pytest.raises(DataError, match=r"row 3, column 'time', value '0'.*follow-up must be above 0"):
        from_table(follow_up(time=[1, 0, 2, 2]), measure="HR")


def test_a_hazard_ratio_of_counts_alone_says_what_it_needs():
    with pytest.raises(DataError, match="events, n and followup"):
        from_table(follow_up(), measure="HR")


@pytest.mark.parametrize("name", ["class", "trt_class", "Drug.Class"])
def test_classes_of_treatments_are_read(name):
    network = from_table(follow_up(**{name: ["control", "new"] * 2}))
    assert {t.name: t.drug_class for t in network.treatments} == {"drug": "new", "placebo": "control"}


def test_a_column_that_gives_a_treatment_two_classes_is_left_unread_with_a_note():
    network = from_table(follow_up(**{"class": ["a", "b", "c", "b"]}))
    assert {t.drug_class for t in network.treatments} == {""}
    assert any("says two things about" in e.reason for e in network.ledger)


def test_a_named_column_that_gives_a_treatment_two_classes_is_refused():
    with pytest.raises(DataError, match=r"row 4, column 'kind', value 'c'.*has class 'a' in row 2"):
        from_table(follow_up(kind=["a", "b", "c", "b"]), columns={"class": "kind"})


def test_the_baseline_row_of_contrasts_tells_its_class():
    rows = {"study": ["1"] * 2, "treatment": ["p", "d"], "diff": ["", 0.4], "std.err": ["", 0.2], "class": ["x", "y"]}
    assert {t.name: t.drug_class for t in from_table(rows).treatments} == {"p": "x", "d": "y"}


def test_numbers_that_are_constant_within_studies_become_covariates():
    table = follow_up(**{"covar.age": [40, "", 55.5, 55.5], "weight": [70, 71, 80, 81], "site": list("abcd")})
    network = from_table(table)
    assert set(network.covariates) == {"age"}
    np.testing.assert_array_equal(network.covariates["age"], [40, 55.5])
    assert any(e.rule == "covariates" and "age" in e.reason for e in network.ledger)


def test_a_study_without_a_value_is_not_known():
    assert np.isnan(from_table(follow_up(age=["", "NR", 55, 55])).covariates["age"][0])


def test_two_words_become_an_indicator_of_the_second():
    network = from_table(follow_up(prevention=["Secondary", "Secondary", "Primary", "Primary"]))
    np.testing.assert_array_equal(network.covariates["prevention[Secondary]"], [1, 0])


def repeated(*rows):
    return pd.DataFrame(rows, columns=["study", "treatment", "r", "n"])


def test_arms_of_one_treatment_stay_apart_when_asked():
    table = repeated(("1", "a", 3, 30), ("1", "b", 4, 31), ("1", "b", 6, 33), ("2", "a", 3, 40), ("2", "b", 7, 41))
    assert from_table(table).n_arms == 4
    apart = from_table(table, repeated_arms="apart")
    assert apart.n_arms == 5
    assert any("stay apart" in e.reason for e in apart.ledger)


def test_an_arm_typed_twice_is_refused_even_when_arms_stay_apart():
    table = repeated(("1", "a", 3, 30), ("1", "b", 4, 31), ("1", "b", 4, 31))
    with pytest.raises(DataError, match="stands twice"):
        from_table(table, repeated_arms="apart")


def test_contrasts_of_arms_on_one_treatment_have_the_covariance_of_their_arms():
    rows = {"study": ["1"] * 4, "treatment": ["p", "d", "d", "e"], "diff": ["", 0.4, 0.6, 0.5],
            "std.err": [0.1, 0.2, 0.25, 0.3]}  # fmt: skip
    with pytest.raises(DataError, match="lists treatment 'd' twice"):
        from_table(rows)
    network = from_table(rows, repeated_arms="apart")
    assert isinstance(network.blocks[0], Contrasts)
    group = pairwise(network.blocks, network.measure, network.correction, network.studies).groups[0]
    y, V = group.basic()
    np.testing.assert_allclose(y[0], [0.4, 0.6, 0.5])
    np.testing.assert_allclose(np.sqrt(np.diag(V[0])), [0.2, 0.25, 0.3])
    np.testing.assert_allclose(V[0][~np.eye(3, dtype=bool)], 0.01)


def test_studies_of_one_name_are_told_apart_by_their_year():
    table = repeated(("X", "a", 3, 30), ("X", "b", 4, 31), ("X", "a", 5, 30), ("X", "b", 6, 31))
    network = from_table(table.assign(year=[2003, 2003, 2004, 2004]))
    assert network.studies == ("X 2003", "X 2004")


def test_visits_numbered_by_year_are_not_taken_for_studies():
    table = repeated(("X", "a", 3, 30), ("X", "b", 4, 31), ("X", "a", 5, 30), ("X", "b", 6, 31))
    with pytest.raises(DataError, match="told apart by column 'year'"):
        from_table(table.assign(year=[1, 1, 2, 2]))
