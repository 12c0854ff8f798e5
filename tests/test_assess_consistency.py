"""Consistency: small networks whose answer can be worked out by hand, and those that have nothing to test."""

import numpy as np
import pytest

from enthesis.assess.as_json import assessment_json
from enthesis.assess.consistency import decomposition, tau_within
from enthesis.assess.loops import loop_inconsistency
from enthesis.assess.net_heat import net_heat
from enthesis.assess.node_splitting import node_splits
from enthesis.errors import UsageError
from enthesis.inference.fit import fit
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.network.tables import from_table

COMMON = Model(heterogeneity=Common())
TRIANGLE = [("1", "B", "A", 1.0), ("2", "C", "A", 2.0), ("3", "C", "B", 4.0)]
STAR = [("1", "B", "A", 1.0), ("2", "B", "A", 1.5), ("3", "C", "A", 2.0)]


def fitted(rows, model=COMMON, se=1.0, **more):
    table = [dict(study=s, treatment=t, comparator=c, effect=y, se=se) for s, t, c, y in rows]
    return fit(from_table(table, measure="MD", reference="A"), model, engine="gls", **more)


def arms(rows, model=COMMON):
    table = [dict(study=s, treatment=t, mean=m, se=0.5) for s, t, m in rows]
    return fit(from_table(table, measure="MD", reference="A"), model, engine="gls")


def test_a_triangle_of_single_studies_disagrees_by_its_sum_over_three_variances():
    split = decomposition(fitted(TRIANGLE))
    assert (split.between.Q, split.between.df) == (pytest.approx((1 + 4 - 2) ** 2 / 3), 1)


def test_indirect_evidence_of_a_triangle_is_the_way_round():
    row = node_splits(fitted(TRIANGLE)).iloc[0]
    assert (row.direct, row.indirect, row.indirect_se) == pytest.approx((1.0, 2.0 - 4.0, 2**0.5))


@pytest.mark.parametrize("method", ["back-calculation", "SIDDE", "node-split"])
def test_all_ways_to_split_agree_on_two_arm_studies_with_common_effects(method):
    here = node_splits(fitted(TRIANGLE), method)
    there = node_splits(fitted(TRIANGLE), "back-calculation")
    columns = ["direct", "direct_se", "indirect", "indirect_se", "difference", "difference_se", "p"]
    np.testing.assert_allclose(here[columns].to_numpy(float), there[columns].to_numpy(float), atol=1e-12)


def test_node_split_estimates_one_tau_for_both_sides():
    rows = [*TRIANGLE, ("4", "B", "A", 3.5), ("5", "C", "A", -1.0)]
    row = node_splits(fitted(rows, Model(), se=0.3, tau="DL"), "node-split").iloc[0]
    assert row["tau"] > 0
    # direct: two studies of equal weight
    assert row["direct"] == pytest.approx(2.25)
    assert row["direct_se"] == pytest.approx(((0.3**2 + row["tau"] ** 2) / 2) ** 0.5)


def test_node_split_keeps_the_other_arm_of_a_three_arm_study():
    three_arms = [("m", "A", 0.0), ("m", "B", 1.0), ("m", "C", 2.0)]
    result = arms([*three_arms, ("2", "A", 0.0), ("2", "B", 5.0), ("3", "B", 0.0), ("3", "C", 3.0)])
    splits = node_splits(result, "node-split").set_index(["treatment", "comparator"])
    # C - B of study m and study 3, both of variance 0.5
    row = splits.loc[("B", "C")]
    assert row["direct"] == pytest.approx(-(1.0 + 3.0) / 2)


def test_a_star_says_in_words_that_nothing_can_be_tested():
    assert "cannot be tested" in decomposition(fitted(STAR)).message


def test_a_star_has_no_p_value():
    assert np.isnan(decomposition(fitted(STAR)).between.p)


@pytest.mark.parametrize("method", ["back-calculation", "SIDDE", "node-split"])
def test_comparisons_of_a_star_say_that_all_their_evidence_is_direct(method):
    splits = node_splits(fitted(STAR), method)
    assert splits["note"].str.contains("All evidence is direct").all()
    assert splits["p"].isna().all()


def test_a_star_has_no_loops():
    assert loop_inconsistency(fitted(STAR)).empty


def test_the_json_of_a_star_has_sentences_and_no_error():
    told = assessment_json(fitted(STAR))
    assert "cannot be tested" in told["consistency"]["message"]
    assert [row["p"] for row in told["netsplit"]] == [None, None]


def test_a_single_three_arm_study_is_consistent_by_design():
    result = arms([("m", "A", 0.0), ("m", "B", 1.0), ("m", "C", 2.0)])
    assert decomposition(result).between.df == 0
    assert loop_inconsistency(result)["note"].str.contains("consistent by design").all()


def test_bucher_adds_variances_of_two_arm_studies():
    loop = loop_inconsistency(fitted(TRIANGLE)).iloc[0]
    assert (loop.inconsistency, loop.se) == pytest.approx((3.0, 3**0.5))


def test_a_loop_has_its_own_tau():
    rows = [*TRIANGLE, ("4", "B", "A", 3.5), ("5", "D", "A", 0.0), ("6", "D", "A", 9.0)]
    loop = loop_inconsistency(fitted(rows, Model(), se=0.5, tau="DL")).iloc[0]
    # moments of B - A alone: Q = (3.5 - 1)² / (2 · 0.25), C = 4
    assert loop["tau"] ** 2 == pytest.approx((12.5 - 1) / 4)


def test_a_study_of_the_whole_loop_adds_its_contrasts_as_one():
    mixed = arms([("m", "A", 0.0), ("m", "B", 1.0), ("m", "C", 2.0), ("2", "A", 0.0), ("2", "B", 4.0)])
    loop = loop_inconsistency(mixed).iloc[0]
    # half of B - A comes from study 2 and half from m, whose rest cancels: (4 - 1) / 2 with variance (0.5 + 0.5) / 4
    assert (loop.inconsistency, loop.se) == pytest.approx((1.5, 0.5))


def test_a_square_is_a_loop():
    rows = [("1", "B", "A", 1.0), ("2", "C", "B", 1.0), ("3", "D", "C", 1.0), ("4", "D", "A", 2.0)]
    loop = loop_inconsistency(fitted(rows)).iloc[0]
    assert (loop.length, loop.inconsistency, loop.se) == (4, pytest.approx(1.0), pytest.approx(2.0))


def test_tau_within_is_unknown_when_no_design_has_two_studies():
    assert np.isnan(tau_within(fitted(TRIANGLE, Model())))


def test_heat_of_a_triangle_goes_away_with_any_of_its_designs():
    heat = net_heat(fitted(TRIANGLE))
    assert heat["Q"].to_numpy() == pytest.approx(np.ones(3))
    np.testing.assert_allclose(heat.iloc[:, 4:].to_numpy(float), 1.0, atol=1e-12)


def test_heat_of_a_star_is_blank():
    assert net_heat(fitted(STAR)).iloc[:, 4:].isna().all(axis=None)


def test_a_misspelt_method_is_refused_with_the_right_one():
    with pytest.raises(UsageError, match="SIDDE"):
        node_splits(fitted(TRIANGLE), "SIDE")


def test_knapp_hartung_intervals_do_not_change_the_split():
    rows = [*TRIANGLE, ("4", "B", "A", 3.5), ("5", "C", "A", -1.0)]
    plain, widened = (node_splits(fitted(rows, Model(), ci=ci)) for ci in ("normal", "knapp-hartung"))
    np.testing.assert_allclose(plain["p"].to_numpy(float), widened["p"].to_numpy(float))
