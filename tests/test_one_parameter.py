"""Likelihoods of one number: the probabilities that textbooks give, and derivatives that are those of differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm, poisson

from enthesis.errors import DataError
from enthesis.inference.borrowing_hierarchy import log_marginal
from enthesis.models.one_parameter import Biased, EffectEstimate, EventCounts, Events, Responders, Tabulated

THETA = np.array([-1.3, 0.0, 0.4, 2.1])
ROWS = [
    EffectEstimate(estimate=0.3, se=0.4),
    Responders(events=3, n=17),
    EventCounts(events=5, exposure=620, comparator_events=2, comparator_exposure=90),
    EventCounts(events=0, exposure=620, comparator_events=2, comparator_exposure=90),
    Events(events=4, exposure=7.5),
    Events(events=0, exposure=7.5),
]


def names(row) -> str:
    return f"{type(row).__name__}-{getattr(row, 'events', '')}"


def test_an_estimate_is_normal_around_theta():
    np.testing.assert_allclose(ROWS[0].log_likelihood(THETA), norm.logpdf(0.3, THETA, 0.4))


def test_responders_are_binomial_with_a_logit():
    np.testing.assert_allclose(ROWS[1].log_likelihood(THETA), binom.logpmf(3, 17, 1 / (1 + np.exp(-THETA))))


def test_events_on_two_sides_are_binomial_given_their_total():
    share = 620 * np.exp(THETA) / (620 * np.exp(THETA) + 90)
    np.testing.assert_allclose(ROWS[2].log_likelihood(THETA), binom.logpmf(5, 7, share))


def test_given_the_total_two_poisson_counts_hold_the_rate_ratio_alone():
    # P(5, 2) / P(total 7) for Poisson counts with any rate of the comparator
    rate = 0.013
    means = 620 * rate * np.exp(THETA), 90 * rate
    joint = poisson.logpmf(5, means[0]) + poisson.logpmf(2, means[1])
    np.testing.assert_allclose(ROWS[2].log_likelihood(THETA), joint - poisson.logpmf(7, means[0] + means[1]))


def test_more_events_on_the_treatment_side_point_to_a_ratio_above_one():
    many = EventCounts(events=20, exposure=100, comparator_events=5, comparator_exposure=100)
    assert many.place[0] > 1
    assert many.log_likelihood(np.log(4.0)) > many.log_likelihood(0.0)


def test_events_are_poisson_with_a_log_rate():
    np.testing.assert_allclose(ROWS[4].log_likelihood(THETA), poisson.logpmf(4, 7.5 * np.exp(THETA)))


@pytest.mark.parametrize("row", ROWS, ids=names)
def test_derivatives_are_those_of_differences(row):
    h = 1e-4
    low, middle, high = (row.log_likelihood(THETA + k * h) for k in (-1, 0, 1))
    g, minus_second = row.derivatives(THETA)
    np.testing.assert_allclose(g, (high - low) / (2 * h), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(minus_second, -(high - 2 * middle + low) / h**2, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("row", "informative"), list(zip(ROWS, (True, True, True, False, True, False), strict=True)))
def test_a_likelihood_is_informative_when_it_falls_off_on_both_sides(row, informative):
    assert row.informative is informative


def test_no_event_on_either_side_says_nothing_about_the_ratio():
    nothing = EventCounts(events=0, exposure=620, comparator_events=0, comparator_exposure=90)
    np.testing.assert_array_equal(nothing.log_likelihood(THETA), np.zeros(4))


def test_a_bias_shifts_and_widens_what_a_source_says():
    biased = Biased(row=ROWS[0], mean=0.2, sd=0.3)
    expected = norm.logpdf(0.3, THETA + 0.2, np.sqrt(0.4**2 + 0.3**2 + 0.1**2))
    np.testing.assert_allclose(log_marginal(biased, THETA, 0.1), expected)


def test_a_power_multiplies_the_log_likelihood():
    half = Biased(row=ROWS[2], power=0.5)
    np.testing.assert_allclose(log_marginal(half, THETA, 0.3), 0.5 * log_marginal(ROWS[2], THETA, 0.3))


def test_a_table_gives_back_the_likelihood_it_was_made_of():
    x = np.linspace(-4, 4, 200)
    table = Tabulated(x=x, log_values=ROWS[2].log_likelihood(x), place=ROWS[2].place)
    np.testing.assert_allclose(table.log_likelihood(THETA), ROWS[2].log_likelihood(THETA), atol=1e-6)
    np.testing.assert_allclose(log_marginal(table, THETA, 0.4), log_marginal(ROWS[2], THETA, 0.4), atol=1e-5)


def test_a_printed_interval_gives_back_itself():
    found = EffectEstimate.from_interval(1.48, 1.04, 2.09)
    z = norm.ppf(0.975)
    # printed limits are rounded, so they are not exactly around the ratio
    assert np.exp(found.estimate - z * found.se) == pytest.approx(1.04, abs=0.01)
    assert np.exp(found.estimate + z * found.se) == pytest.approx(2.09, abs=0.02)


@pytest.mark.parametrize(
    "make",
    [
        lambda: EffectEstimate(estimate=float("inf"), se=1.0),
        lambda: EffectEstimate(estimate=0.0, se=0.0),
        lambda: Responders(events=5, n=4),
        lambda: Events(events=1, exposure=0.0),
        lambda: EventCounts(events=1, exposure=1.0, comparator_events=1, comparator_exposure=-2.0),
        lambda: EffectEstimate.from_interval(1.0, -0.5, 2.0),
    ],
)
def test_impossible_data_are_refused(make):
    with pytest.raises(DataError):
        make()
