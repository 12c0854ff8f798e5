"""Tests for small-study effects find what was put in, and refuse what they cannot answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag

import enthesis as en
from assess_networks import drifting, means, triangle
from enthesis.assess.limit import limit_meta_analysis
from enthesis.assess.pair import regression
from enthesis.assess.small_study import (
    asymmetry_test,
    comparison_adjusted_egger,
    comparison_adjusted_funnel,
    network_egger,
)
from enthesis.assess.trim_fill import funnel_points, trim_and_fill
from enthesis.errors import DataError, UsageError
from published import bcg


def test_a_slope_that_was_put_in_is_found():
    assert asymmetry_test(drifting(1.5, spread=0.1)).slope == pytest.approx(1.5, abs=0.3)


def test_the_limit_is_the_effect_of_a_study_without_error():
    assert asymmetry_test(drifting(1.5, spread=0.1)).limit == pytest.approx(0.3, abs=0.1)


def test_swapping_treatment_and_comparator_turns_the_sign():
    network = drifting(1.0, spread=0.5)
    swapped = asymmetry_test(network, treatment="A", comparator="B")
    assert swapped.slope == pytest.approx(-asymmetry_test(network).slope)


@pytest.mark.parametrize("method", ["peters", "harbord"])
def test_methods_for_odds_ratios_refuse_means(method):
    with pytest.raises(UsageError, match="odds ratios from events"):
        asymmetry_test(drifting(1.0), method)


def test_peters_regresses_on_one_over_the_number_of_patients():
    assert asymmetry_test(bcg("OR"), "peters").predictor == "inverse n"


def test_harbord_uses_the_score_not_the_odds_ratio():
    """Score and information of one study by hand: Z = a - n1 m / N, V = n1 n2 m (N - m) / (N² (N - 1))."""
    rows = []
    counts = [(10, 50, 4, 48), (20, 90, 8, 95), (5, 30, 3, 33), (40, 200, 30, 190)]
    for i, (a, n1, c, n2) in enumerate(counts):
        rows += [{"study": str(i), "treatment": "drug", "events": a, "n": n1},
                 {"study": str(i), "treatment": "placebo", "events": c, "n": n2}]  # fmt: skip
    found = asymmetry_test(en.from_table(rows, measure="OR", reference="placebo"), "harbord")
    a, n1, c, n2 = np.array(counts, dtype=float).T
    N, m = n1 + n2, a + c
    Z, V = a - n1 * m / N, n1 * n2 * m * (N - m) / (N**2 * (N - 1))
    slope, intercept = np.polyfit(np.sqrt(V), Z / np.sqrt(V), 1)
    assert (found.limit, found.slope) == pytest.approx((slope, intercept))


def test_two_studies_are_too_few():
    with pytest.raises(UsageError, match="needs at least 3 studies"):
        asymmetry_test(drifting(1.0, studies=2))


def test_studies_of_one_size_cannot_be_tested():
    network = means(*[(str(i), "AB", [0.0, 0.1 * i], 0.2) for i in range(5)])
    with pytest.raises(UsageError, match="same se"):
        asymmetry_test(network)


def test_a_network_needs_a_comparison():
    with pytest.raises(UsageError, match="name the treatment"):
        asymmetry_test(triangle())


def test_a_comparison_without_a_study_is_refused():
    network = means(("1", "AB", [0.0, 1.0], 0.2), ("2", "AC", [0.0, 1.0], 0.2))
    with pytest.raises(DataError, match="no study compares"):
        asymmetry_test(network, treatment="C", comparator="B")


def test_few_studies_are_said_to_be_few():
    assert "little power" in asymmetry_test(drifting(1.0, studies=6, spread=0.5)).message


def test_an_unknown_method_is_told_the_known_ones():
    with pytest.raises(UsageError, match="Did you mean 'egger'"):
        asymmetry_test(drifting(1.0), "eger")


def test_the_adjusted_funnel_of_one_comparison_is_centred_on_its_pooled_effect():
    fit = en.fit(drifting(1.0, spread=0.5), engine="gls")
    table = comparison_adjusted_funnel(fit)
    weights = 1 / (table.se**2 + fit.tau.estimate**2)
    assert float(np.sum(weights * table.adjusted)) == pytest.approx(0, abs=1e-9)


def test_without_an_order_only_contrasts_with_the_reference_are_shown():
    table = comparison_adjusted_funnel(en.fit(triangle(), engine="gls"))
    assert set(table.comparator) == {"A"}


def test_with_an_order_every_contrast_is_shown_towards_the_later_treatment():
    table = comparison_adjusted_funnel(en.fit(triangle(), engine="gls"), order=["A", "B", "C"])
    assert set(zip(table.treatment, table.comparator, strict=True)) == {("B", "A"), ("C", "A"), ("C", "B")}


def test_a_lonely_study_lies_on_the_middle_line():
    fit = en.fit(means(("1", "AB", [0.0, 1.0], 0.2), ("2", "AC", [0.0, 1.0], 0.3)), engine="gls")
    assert comparison_adjusted_funnel(fit).adjusted.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("order", [["A", "B"], ["A", "B", "B", "C"]])
def test_an_order_must_name_every_treatment_once(order):
    with pytest.raises(UsageError, match="once"):
        comparison_adjusted_funnel(en.fit(triangle(), engine="gls"), order=order)


def test_lonely_studies_do_not_count_in_the_adjusted_test():
    fit = en.fit(means(("1", "AB", [0.0, 1.0], 0.2), ("2", "AC", [0.0, 1.0], 0.3)), engine="gls")
    with pytest.raises(UsageError, match="more than one study"):
        comparison_adjusted_egger(fit)


def test_the_network_test_of_two_treatments_is_the_random_effects_regression():
    network = drifting(1.0, spread=1.5)
    test, effects = network_egger(en.fit(network, engine="gls"))
    pair = asymmetry_test(network, "egger-random")
    got = (test.statistic, test.slope, test.tau2, effects.estimate[0], effects.lower[0])
    assert got == pytest.approx((pair.statistic, pair.slope, pair.tau2, pair.limit, pair.limit_lower), rel=1e-6)


def test_the_network_test_finds_one_slope_over_two_comparisons():
    rows = []
    for i in range(8):
        se = 0.05 + 0.05 * i
        rows.append((f"B{i}", "AB", [0.0, 0.4 + 2 * se + 0.1 * se * (-1) ** i], se / np.sqrt(2)))
        rows.append((f"C{i}", "AC", [0.0, 0.8 + 2 * se - 0.1 * se * (-1) ** i], se / np.sqrt(2)))
    test, effects = network_egger(en.fit(means(*rows), engine="gls"))
    assert [test.slope, *effects.estimate] == pytest.approx([2.0, 0.4, 0.8], abs=0.1)


def test_a_three_arm_study_counts_with_its_covariance():
    """Against one dense regression: the arms of a study share the variance of its first arm in the order."""
    network = triangle(15)
    test, effects = network_egger(en.fit(network, engine="gls"), order=["A", "B", "C"])
    X, y, blocks = [], [], []
    arms = network.arms_table().merge(pd.DataFrame({"treatment": list("ABC"), "rank": range(3)}))
    for _, its in arms.sort_values(["study", "rank"]).groupby("study"):
        first, rest = its.iloc[0], its.iloc[1:]
        for row in rest.itertuples():
            se = np.hypot(row.se, first.se)
            X.append([(row.treatment == t) - (first.treatment == t) for t in "BC"] + [se])
            y.append(row.mean - first["mean"])
        q = len(rest)
        within = np.diag(rest.se.to_numpy() ** 2) + first.se**2
        blocks.append(within + test.tau2 * 0.5 * (np.eye(q) + 1))
    X, y, W = np.array(X), np.array(y), np.linalg.inv(block_diag(*blocks))
    cov = np.linalg.inv(X.T @ W @ X)
    expected = cov @ X.T @ W @ y
    assert [*effects.estimate, test.slope, test.se] == pytest.approx([*expected, np.sqrt(cov[2, 2])], rel=1e-8)


def test_the_network_test_refuses_a_network_with_nothing_to_spare():
    fit = en.fit(means(("1", "AB", [0.0, 1.0], 0.2), ("2", "AC", [0.0, 1.0], 0.3)), engine="gls")
    with pytest.raises(UsageError, match="do not tell a slope"):
        network_egger(fit)


def test_the_same_network_in_another_order_gives_the_opposite_slope_for_two_treatments():
    fit = en.fit(drifting(1.0, spread=0.5), engine="gls")
    assert network_egger(fit, order=["B", "A"])[0].slope == pytest.approx(
        -network_egger(fit, order=["A", "B"])[0].slope
    )


def test_a_symmetric_funnel_lacks_no_study():
    rows = [(f"{i}{s}", "AB", [0.0, 0.5 + s * 0.3 * se], se) for i, se in enumerate((0.1, 0.2, 0.3)) for s in (-1, 1)]
    assert trim_and_fill(means(*rows)).missing == 0


def test_filled_studies_mirror_those_that_were_trimmed():
    found = trim_and_fill(drifting(2.0, spread=0.2))
    seen, added = found.studies[~found.studies.filled], found.studies[found.studies.filled]
    kept, trimmed = seen.head(len(seen) - found.missing), seen.tail(found.missing)
    centre = regression(kept.effect.to_numpy(), kept.se.to_numpy() ** 2).beta[0]
    assert (added.effect.to_numpy() - centre).tolist() == pytest.approx((centre - trimmed.effect.to_numpy()).tolist())


def test_the_funnel_of_two_studies_has_no_filled_study():
    points, centre = funnel_points(drifting(1.0, studies=2))
    assert (len(points), points.filled.any(), points.effect.min() < centre < points.effect.max()) == (2, False, True)


def test_the_funnel_of_more_studies_has_those_of_trim_and_fill():
    network = drifting(2.0, spread=0.2)
    assert funnel_points(network)[0].equals(trim_and_fill(network).studies)


def test_filling_moves_the_estimate_towards_the_missing_side():
    found = trim_and_fill(drifting(2.0, spread=0.2))
    assert (found.side, found.estimate < found.unadjusted) == ("left", True)


def test_trim_and_fill_on_mirrored_data_is_mirrored():
    network = drifting(2.0, spread=0.2)
    one, other = trim_and_fill(network), trim_and_fill(network, treatment="A", comparator="B")
    assert (other.estimate, other.missing, other.side) == (pytest.approx(-one.estimate), one.missing, "right")


def test_the_limit_effect_is_nearer_to_the_precise_studies():
    found = limit_meta_analysis(drifting(1.5, spread=0.2))
    assert abs(found.estimate - 0.3) < abs(found.unadjusted - 0.3)


def test_the_parts_of_q_add_up_in_a_limit_meta_analysis():
    found = limit_meta_analysis(bcg("RR"))
    assert found.Q_small + found.Q_rest == pytest.approx(found.Q)


def test_without_heterogeneity_the_limit_is_the_slope_of_the_radial_line():
    found = limit_meta_analysis(drifting(1.0, spread=0.01), tau="common")
    assert found.estimate == pytest.approx(found.beta)


def test_the_limits_of_studies_shrink_to_the_mean_without_heterogeneity():
    found = limit_meta_analysis(drifting(1.0, spread=0.01), tau="common")
    assert np.ptp(found.studies.limit) == pytest.approx(0, abs=1e-12)


def test_limit_meta_analysis_needs_studies_of_different_precision():
    network = means(*[(str(i), "AB", [0.0, 0.1 * i], 0.2) for i in range(5)])
    with pytest.raises(UsageError, match="same standard error"):
        limit_meta_analysis(network)
