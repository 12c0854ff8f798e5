"""Leaving out changes what it should, quickly, and a lost link is a sentence in the table, never an exception."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

import enthesis as en
from assess_networks import means, triangle
from enthesis.assess.influence import baujat, influence
from enthesis.assess.leave_out import cumulative, leave_one_comparison_out, leave_one_study_out
from enthesis.errors import UsageError
from enthesis.network.subset import without_study

NUMBERS = ["estimate", "se", "lower", "upper", "tau", "Q"]


@pytest.fixture(scope="module")
def fit():
    return en.fit(triangle(12), engine="gls")


@pytest.fixture(scope="module")
def common():
    return en.fit(triangle(12), en.Model(heterogeneity=en.Common()), engine="gls")


@pytest.fixture(scope="module")
def star():
    """C hangs on one study, B on two."""
    return en.fit(means(("1", "AB", [0.0, 0.4], 0.2), ("2", "AB", [0.0, 0.6], 0.2), ("3", "AC", [0.0, 1.0], 0.3)),
                  engine="gls")  # fmt: skip


def refitted(fit, study: int) -> pd.DataFrame:
    again = en.fit(without_study(fit.network, study), fit.model, engine="gls")
    table = en.relative_effects(again, comparator=fit.reference)
    return table.assign(tau=again.tau.estimate, Q=again.heterogeneity.Q)


@pytest.mark.parametrize("study", [0, 1, 5])
def test_leaving_a_study_out_is_the_fit_without_it(fit, study):
    table = leave_one_study_out(fit)
    its = table[table.left_out == fit.network.studies[study]]
    assert its[NUMBERS].to_numpy() == pytest.approx(refitted(fit, study)[NUMBERS].to_numpy(), rel=1e-6)


@pytest.mark.parametrize("study", [0, 1, 5])
def test_the_low_rank_update_of_common_effects_is_the_fit_without_the_study(common, study):
    table = leave_one_study_out(common)
    its = table[table.left_out == common.network.studies[study]]
    assert its[NUMBERS].to_numpy() == pytest.approx(refitted(common, study)[NUMBERS].to_numpy(), rel=1e-8)


def test_knapp_hartung_intervals_are_those_of_the_fit_without_the_study():
    fit = en.fit(triangle(12), engine="gls", ci="knapp-hartung")
    table = leave_one_study_out(fit)
    its = table[table.left_out == fit.network.studies[2]]
    again = en.fit(without_study(fit.network, 2), engine="gls", ci="knapp-hartung")
    assert its[["lower", "upper"]].to_numpy() == pytest.approx(
        en.relative_effects(again, comparator="A")[["lower", "upper"]].to_numpy(), rel=1e-6
    )


def test_tau_can_be_kept(fit):
    assert leave_one_study_out(fit, keep_tau=True).tau.tolist() == pytest.approx([fit.tau.estimate] * 24)


def test_another_comparator_gives_the_same_differences(fit):
    one = leave_one_study_out(fit).set_index(["left_out", "treatment"]).estimate.unstack()
    other = leave_one_study_out(fit, comparator="B").set_index(["left_out", "treatment"]).estimate.unstack()
    assert (one["C"] - one["B"]).tolist() == pytest.approx(other["C"].tolist())


def test_the_change_is_from_the_estimate_of_all(fit):
    table = leave_one_study_out(fit)
    whole = en.relative_effects(fit, comparator="A").set_index("treatment").estimate
    assert (table.estimate - table.change).tolist() == pytest.approx(whole[table.treatment].tolist())


def test_the_row_of_a_lost_treatment_says_so(star):
    table = leave_one_study_out(star)
    row = table[(table.left_out == "3") & (table.treatment == "C")].iloc[0]
    assert (row.ok, row.message) == (
        False, "Without 3 no chain of studies links C to A, so its effect cannot be estimated."
    )  # fmt: skip


def test_the_other_treatments_of_a_broken_network_keep_their_estimates(star):
    table = leave_one_study_out(star)
    row = table[(table.left_out == "3") & (table.treatment == "B")].iloc[0]
    assert (row.ok, row.estimate) == (True, pytest.approx(0.5))


def test_a_lost_link_is_found_for_common_effects_too():
    network = means(("1", "AB", [0.0, 0.4], 0.2), ("2", "AB", [0.0, 0.6], 0.2), ("3", "AC", [0.0, 1.0], 0.3))
    table = leave_one_study_out(en.fit(network, en.Model(heterogeneity=en.Common()), engine="gls"))
    assert table[~table.ok][["left_out", "treatment"]].to_numpy().tolist() == [["3", "C"]]


def test_the_only_study_of_two_treatments_leaves_nothing():
    table = leave_one_study_out(en.fit(means(("1", "AB", [0.0, 0.4], 0.2)), engine="gls"))
    assert table.ok.tolist() == [False]


def test_a_bayesian_fit_is_fitted_again_without_the_study():
    fit = en.fit(triangle(6), draws=500)
    table = leave_one_study_out(fit)
    again = en.relative_effects(en.fit(without_study(fit.network, 1), fit.model, draws=500), comparator="A")
    its = table[table.left_out == fit.network.studies[1]]
    assert its.estimate.tolist() == pytest.approx(again.estimate.tolist())


def test_a_bayesian_fit_says_when_a_link_is_lost():
    network = means(("1", "AB", [0.0, 0.4], 0.2), ("2", "AB", [0.0, 0.6], 0.2), ("3", "AC", [0.0, 1.0], 0.3))
    table = leave_one_study_out(en.fit(network, draws=200))
    lost = table[~table.ok]
    assert (lost.treatment.tolist(), lost.message.str.startswith("Without 3 no chain").tolist()) == (["C"], [True])


def test_fifty_studies_are_left_out_in_seconds():
    fit = en.fit(triangle(50), engine="gls")
    start = time.process_time()
    leave_one_study_out(fit)
    assert time.process_time() - start < 10


def test_without_a_comparison_all_its_studies_are_gone(fit):
    table = leave_one_comparison_out(fit)
    n = sum(1 for g in fit.network.pairs.groups for arms in g.arms if {0, 1} <= set(arms.tolist()))
    assert set(table[table.left_out == "B versus A"].n_left_out) == {n}


def test_without_a_comparison_the_rest_still_gives_an_indirect_estimate(fit):
    table = leave_one_comparison_out(fit)
    assert table[(table.left_out == "B versus A") & (table.treatment == "B")].ok.all()


def test_the_last_step_of_a_cumulative_analysis_is_the_whole_network(fit):
    last = cumulative(fit).tail(2)
    whole = en.relative_effects(fit, comparator="A")
    assert last[["estimate", "se"]].to_numpy() == pytest.approx(whole[["estimate", "se"]].to_numpy(), rel=1e-8)


def test_the_most_precise_study_comes_first(fit):
    first = cumulative(fit).added.iloc[0]
    trace = {fit.network.studies[s]: np.trace(lap) for g in fit.network.pairs.groups
             for s, lap in zip(g.study, g.laplacian(), strict=True)}  # fmt: skip
    assert first == max(trace, key=trace.get)


def test_a_cumulative_analysis_can_follow_a_covariate():
    network = triangle(6)
    year = np.array([2005.0, 2001.0, 2003.0, 2002.0, 2006.0, 2004.0])
    fit = en.fit(network.replace(covariates={"year": year}), engine="gls")
    steps = cumulative(fit, order="year").drop_duplicates("step")
    assert steps.added.tolist() == [network.studies[i] for i in np.argsort(year)]


def test_an_order_without_every_study_is_refused(fit):
    with pytest.raises(UsageError, match="every study once"):
        cumulative(fit, order=["S00"])


def test_an_unknown_order_is_told_the_known_ones(fit):
    with pytest.raises(UsageError, match="precision"):
        cumulative(fit, order="date")


def test_hats_sum_to_the_number_of_effects(fit):
    assert influence(fit).hat.sum() == pytest.approx(2)


def test_a_study_that_was_made_wrong_is_the_outlier():
    good = [(f"S{i}", "AB", [0.0, 0.5], 0.2) for i in range(8)]
    table = influence(en.fit(means(*good, ("wrong", "AB", [0.0, 3.0], 0.2)), engine="gls"))
    assert table.loc[table.outlier_p.idxmin(), "study"] == "wrong"


def test_a_study_that_was_made_wrong_is_marked_as_influential():
    rng = np.random.default_rng(5)
    good = [(f"S{i}", "AB", [0.0, 0.5 + rng.normal(0, 0.05)], 0.2) for i in range(8)]
    table = influence(en.fit(means(*good, ("wrong", "AB", [0.0, 9.0], 0.02)), engine="gls"))
    assert "wrong" in table[table.influential].study.tolist()


def test_a_study_that_holds_the_network_together_has_a_hat_of_one_and_a_sentence(star):
    row = influence(star).set_index("study").loc["3"]
    assert (row.hat, row.ok, row.message.startswith("Without 3 no chain")) == (pytest.approx(1), False, True)


def test_a_multi_arm_study_is_judged_on_all_its_contrasts(fit):
    row = influence(fit).set_index("study").loc["S00"]
    assert (row.n_contrasts, np.isnan(row.rstudent), 0 <= row.outlier_p <= 1) == (2, True, True)


def test_the_parts_of_q_in_a_baujat_plot_sum_to_q(fit):
    assert baujat(fit).Q.sum() == pytest.approx(fit.heterogeneity.Q)


def test_baujat_of_two_treatments_is_its_published_formula():
    network = means(("1", "AB", [0.0, 0.2], 0.1), ("2", "AB", [0.0, 0.5], 0.2), ("3", "AB", [0.0, 0.9], 0.3))
    y, v = np.array([0.2, 0.5, 0.9]), 2 * np.array([0.1, 0.2, 0.3]) ** 2
    w = 1 / v
    mean = np.sum(w * y) / w.sum()
    influences = []
    for i in range(3):
        rest = np.arange(3) != i
        without = np.sum((w * y)[rest]) / w[rest].sum()
        influences.append((mean - without) ** 2 * w[rest].sum())
    table = baujat(en.fit(network, engine="gls"))
    assert [*table.Q, *table.influence] == pytest.approx([*((y - mean) ** 2 * w), *influences])


def test_baujat_says_which_study_holds_the_network_together(star):
    assert baujat(star).set_index("study").message["3"].startswith("3 holds the network together")
