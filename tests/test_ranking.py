"""Ranking: scores keep their meaning when a difference must matter, and orders are orders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

import enthesis as en
from assess_networks import means, triangle
from enthesis.assess.ranking import (
    _joint,
    cumulative_ranks,
    joint_p_scores,
    p_scores,
    partial_order,
    rank_table,
    shared_treatments,
)
from enthesis.errors import UsageError


@pytest.fixture(scope="module")
def fit():
    return en.fit(triangle(12), engine="gls")


def test_without_a_difference_the_score_is_the_p_score(fit):
    assert p_scores(fit).p_score.tolist() == pytest.approx(en.ranks(fit).p_score.tolist())


def test_better_worse_and_similar_are_all_there_is(fit):
    table = p_scores(fit, mid=0.2)
    assert (table.p_score + table.p_worse + table.p_similar).tolist() == pytest.approx([1, 1, 1])


def test_a_larger_difference_is_harder_to_exceed(fit):
    assert (p_scores(fit, mid=0.5).p_score < p_scores(fit, mid=0.1).p_score).all()


def test_turning_the_direction_swaps_better_and_worse(fit):
    up, down = p_scores(fit, mid=0.2, better="higher"), p_scores(fit, mid=0.2, better="lower")
    assert up.p_score.tolist() == pytest.approx(down.p_worse.tolist())


def test_the_difference_of_the_question_is_used():
    network = triangle(12).replace(mid=0.3)
    assert set(p_scores(en.fit(network, engine="gls")).mid) == {0.3}


def test_a_ratio_and_its_inverse_are_the_same_difference():
    rows = [{"study": "1", "treatment": t, "events": r, "n": 100} for t, r in (("A", 20), ("B", 40))]
    fit = en.fit(en.from_table(rows, measure="OR", reference="A"), engine="gls")
    assert p_scores(fit, mid=1.25).p_score.tolist() == pytest.approx(p_scores(fit, mid=0.8).p_score.tolist())


@pytest.mark.parametrize("mid", [0.0, -1.0, float("nan"), float("inf"), "1.25"])
def test_a_ratio_must_be_above_zero(mid):
    rows = [{"study": "1", "treatment": t, "events": r, "n": 100} for t, r in (("A", 20), ("B", 40))]
    fit = en.fit(en.from_table(rows, measure="OR", reference="A"), engine="gls")
    with pytest.raises(UsageError, match=r"a ratio above 0, such as 1\.25"):
        p_scores(fit, mid=mid)


def test_a_bayesian_score_is_near_the_frequentist_one(fit):
    bayes = en.fit(fit.network, draws=4000)
    assert p_scores(bayes, mid=0.1).p_score.tolist() == pytest.approx(p_scores(fit, mid=0.1).p_score.tolist(), abs=0.06)


def test_one_outcome_alone_is_the_p_score(fit):
    assert joint_p_scores({"pain": fit}).p_score.tolist() == pytest.approx(p_scores(fit).p_score.tolist())


def test_perfectly_correlated_copies_of_an_outcome_change_nothing(fit):
    joint = joint_p_scores({"pain": fit, "function": fit}, correlation=1.0)
    assert joint.p_score.tolist() == pytest.approx(p_scores(fit).p_score.tolist(), abs=1e-3)


def test_independent_outcomes_multiply(fit):
    joint = joint_p_scores({"pain": fit, "function": fit}, correlation=0.0)
    d, cov = fit.estimate, fit.covariance
    from scipy.special import ndtr

    wins = [[ndtr((d[i] - d[j]) / np.sqrt(cov[i, i] + cov[j, j] - 2 * cov[i, j])) ** 2 for j in range(3) if j != i]
            for i in range(3)]  # fmt: skip
    assert joint.p_score.tolist() == pytest.approx(np.mean(wins, axis=1).tolist())


@given(st.floats(-0.45, 0.99), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_the_joint_probability_is_that_of_the_multivariate_normal(r, bound):
    R = np.full((3, 3), r)
    np.fill_diagonal(R, 1.0)
    expected = multivariate_normal(cov=R, allow_singular=True).cdf(bound)
    assert _joint(np.array(bound), R) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("correlation", [1.5, -0.9, float("nan"), np.eye(2)])
def test_a_correlation_that_three_outcomes_cannot_have_is_refused(fit, correlation):
    with pytest.raises(UsageError, match="correlation between 3 outcomes"):
        joint_p_scores({"a": fit, "b": fit, "c": fit}, correlation=correlation)


def test_outcomes_are_joined_over_the_treatments_they_share(fit):
    smaller = en.fit(means(("1", "AB", [0.0, 0.5], 0.2)), engine="gls")
    assert shared_treatments({"a": fit, "b": smaller}) == ["A", "B"]


def test_outcomes_without_two_shared_treatments_are_refused(fit):
    other = en.fit(means(("1", "XY", [0.0, 0.5], 0.2), reference="X"), engine="gls")
    with pytest.raises(UsageError, match="share 0 treatments"):
        joint_p_scores({"a": fit, "b": other})


def test_a_difference_for_an_outcome_that_is_not_there_is_refused(fit):
    with pytest.raises(UsageError, match="'harm' is not among the fits"):
        joint_p_scores({"pain": fit}, mid={"harm": 1.0})


def frames(columns: int = 2):
    number = st.integers(0, 4).map(float)
    return st.integers(2, 7).flatmap(
        lambda n: st.lists(st.lists(number, min_size=n, max_size=n), min_size=columns, max_size=columns).map(
            lambda values: pd.DataFrame({"treatment": [f"T{i}" for i in range(n)],
                                         **{f"o{j}": v for j, v in enumerate(values)}})
        )
    )  # fmt: skip


@given(frames())
@settings(max_examples=100, deadline=None)
def test_nothing_is_above_itself_and_above_is_transitive(table):
    above = partial_order(table).above
    two_steps = (above.astype(int) @ above.astype(int)) > 0
    wrong = (two_steps & ~above) | (above & above.T)
    assert not wrong.any()


@given(frames())
@settings(max_examples=100, deadline=None)
def test_the_lines_of_the_diagram_give_back_the_whole_order(table):
    order = partial_order(table)
    reach = order.covers.copy()
    for _ in range(len(order.treatments)):
        reach = reach | ((reach.astype(int) @ order.covers.astype(int)) > 0)
    assert np.array_equal(reach, order.above)


@given(frames())
@settings(max_examples=100, deadline=None)
def test_levels_fall_along_every_line(table):
    order = partial_order(table)
    i, j = np.nonzero(order.covers)
    assert (order.level[i] < order.level[j]).all()


@given(frames(columns=1))
@settings(max_examples=50, deadline=None)
def test_one_outcome_without_ties_is_a_chain(table):
    table["o0"] = np.arange(len(table), dtype=float)
    assert partial_order(table).covers.sum() == len(table) - 1


def test_contradicting_outcomes_make_treatments_incomparable():
    order = partial_order(pd.DataFrame({"treatment": ["A", "B"], "benefit": [2, 1], "harm": [1, 2]}))
    assert order.to_frame().n_incomparable.tolist() == [1, 1]


def test_a_missing_value_is_named():
    with pytest.raises(UsageError, match="'B' has no number for 'harm'"):
        partial_order(pd.DataFrame({"treatment": ["A", "B"], "harm": [1.0, np.nan]}))


def test_fits_are_ordered_by_their_p_scores(fit):
    order = partial_order({"pain": fit})
    assert order.values[:, 0].tolist() == pytest.approx(p_scores(fit).p_score.tolist())


def test_cumulative_probabilities_rise_to_one(fit):
    table = cumulative_ranks(fit)
    assert table[table["rank"] == 3].cumulative.tolist() == pytest.approx([1, 1, 1])


def test_sucra_is_the_mean_of_the_cumulative_curve(fit):
    table = cumulative_ranks(fit)
    area = table[table["rank"] < 3].groupby("treatment").cumulative.mean()
    sucra = table.drop_duplicates("treatment").set_index("treatment").sucra
    assert area[sucra.index].tolist() == pytest.approx(sucra.tolist())


def test_two_treatments_can_be_ranked():
    fit = en.fit(means(("1", "AB", [0.0, 0.5], 0.2)), engine="gls")
    assert p_scores(fit).p_score.sum() == pytest.approx(1)


def test_the_table_of_ranks_has_every_outcome(fit):
    assert rank_table({"a": fit, "b": fit}).outcome.tolist() == ["a"] * 3 + ["b"] * 3
