"""What holds for any own and external data: between the ends, in any order and unit, and beside brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enthesis.inference.borrowing import borrow, borrowing_table
from enthesis.inference.borrowing_hierarchy import hierarchy, log_marginal
from enthesis.models.borrowing import Commensurate, Exnex, Hierarchical, NoBorrowing, Pooling, Power, RobustMap
from enthesis.models.one_parameter import EffectEstimate, EventCounts, Events, Responders
from enthesis.models.priors import HalfNormal, Normal

estimates = st.builds(
    lambda y, s: EffectEstimate(estimate=y, se=s),
    st.floats(-2, 2, allow_subnormal=False), st.floats(0.05, 1.5),
)  # fmt: skip
counts = st.builds(
    lambda a, b, s, t: EventCounts(events=a, exposure=s, comparator_events=b, comparator_exposure=t),
    st.integers(0, 60), st.integers(0, 60), st.floats(20, 5000), st.floats(20, 5000),
)  # fmt: skip
rows = st.one_of(estimates, counts)
externals = st.lists(rows, min_size=1, max_size=4)
owns = st.lists(rows, min_size=0, max_size=2)
weights = st.floats(0, 1)
weighted = st.sampled_from([Power, RobustMap, Exnex, Commensurate])
some = settings(max_examples=10, deadline=None)


@some
@given(owns, externals, weighted, weights)
def test_every_result_is_finite_and_in_order(own, external, belief, weight):
    found = borrow(own, external, belief(weight=weight))
    numbers = [found.lower, found.estimate, found.upper, found.ess_prior, found.ess_borrowed]
    assert np.all(np.isfinite(numbers))
    assert found.lower < found.estimate < found.upper


@some
@given(owns, externals, weighted)
def test_a_weight_of_zero_never_borrows(own, external, belief):
    found, alone = borrow(own, external, belief(weight=0.0)), borrow(own, external, NoBorrowing())
    assert found.rate_ratio == pytest.approx(alone.rate_ratio, rel=1e-5)


@some
@given(owns, externals)
def test_a_power_of_one_pools(own, external):
    found = borrow(own, external, Power(weight=1.0))
    together = borrow([*own, *external], [], NoBorrowing())
    assert found.rate_ratio == pytest.approx(together.rate_ratio, rel=1e-5)


@some
@given(owns, externals)
@example([EffectEstimate(estimate=0.0, se=0.125)], [EffectEstimate(estimate=2.0, se=0.125)])
def test_a_hierarchy_without_spread_pools(own, external):
    found, pooled = borrow(own, external, Hierarchical(tau=1e-7)), borrow(own, external, Pooling())
    assert found.rate_ratio == pytest.approx(pooled.rate_ratio, rel=2e-4)


@some
@given(owns, externals, weights)
def test_the_order_of_the_sources_does_not_matter(own, external, weight):
    one, other = borrow(own, external, RobustMap(weight=weight)), borrow(own, external[::-1], RobustMap(weight=weight))
    assert one.rate_ratio == pytest.approx(other.rate_ratio, rel=1e-6)


@some
@given(owns, externals, weights)
def test_turning_the_comparison_around_turns_the_ratio_around(own, external, weight):
    def turned(row):
        if isinstance(row, EffectEstimate):
            return EffectEstimate(estimate=-row.estimate, se=row.se)
        return EventCounts(
            events=row.comparator_events, exposure=row.comparator_exposure,
            comparator_events=row.events, comparator_exposure=row.exposure,
        )  # fmt: skip

    one = borrow(own, external, RobustMap(weight=weight))
    other = borrow([turned(r) for r in own], [turned(r) for r in external], RobustMap(weight=weight))
    assert one.estimate == pytest.approx(-other.estimate, abs=1e-5)
    assert one.lower == pytest.approx(-other.upper, abs=1e-4)


@some
@given(owns, externals, st.floats(0.1, 100))
def test_the_unit_of_time_does_not_matter(own, external, unit):
    def scaled(row):
        if isinstance(row, EffectEstimate):
            return row
        return EventCounts(
            events=row.events, exposure=row.exposure * unit,
            comparator_events=row.comparator_events, comparator_exposure=row.comparator_exposure * unit,
        )  # fmt: skip

    one = borrow(own, external, RobustMap())
    other = borrow([scaled(r) for r in own], [scaled(r) for r in external], RobustMap())
    assert one.rate_ratio == pytest.approx(other.rate_ratio, rel=1e-6)


@some
@given(owns, externals)
def test_the_probability_at_any_weight_is_the_mixture_of_the_two_ends(own, external):
    table = borrowing_table(own, external, RobustMap(), weights=(0.0, 0.4, 1.0))
    alone, between, full = (r.probability_above(0.0) for r in table.results)
    share = table.results[1].posterior_weight
    assert between == pytest.approx(share * full + (1 - share) * alone, abs=1e-7)


@some
@given(owns, externals)
def test_a_p_value_of_conflict_is_a_probability(own, external):
    p = borrow(own, external, RobustMap()).conflict.p_value
    assert p is None or 0 <= p <= 1


@some
@given(
    st.one_of(
        counts,
        st.builds(lambda r, n: Responders(events=min(r, n), n=n), st.integers(0, 80), st.integers(1, 80)),
        st.builds(lambda y, t: Events(events=y, exposure=t), st.integers(0, 80), st.floats(1, 5000)),
    ),
    st.floats(-3, 3), st.floats(0.02, 3),
)  # fmt: skip
def test_the_likelihood_averaged_over_a_study_effect_is_the_integral(row, mu, tau):
    z = np.linspace(-9, 9, 20_001)
    brute = np.sum(np.exp(row.log_likelihood(mu + tau * z) - 0.5 * z**2)) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    found = float(log_marginal(row, np.array(mu), tau))
    if brute > 1e-12:  # else the mass lies outside the range added up
        assert found == pytest.approx(np.log(brute), abs=2e-3)


@some
@given(st.lists(estimates, min_size=1, max_size=5), st.floats(0.01, 2))
def test_the_prediction_for_a_known_spread_is_the_normal_one(sources, tau):
    found = hierarchy(sources, mu=Normal(0, 2), tau=tau).predictive
    variance = np.array([r.se**2 + tau**2 for r in sources])
    precision = (1 / variance).sum() + 0.25
    mean = sum(r.estimate / v for r, v in zip(sources, variance, strict=True)) / precision
    assert (found.mean, found.sd) == pytest.approx((mean, np.sqrt(1 / precision + tau**2)), abs=1e-6)


@some
@given(st.lists(estimates, min_size=2, max_size=4), st.floats(0.05, 0.95))
def test_exchangeability_is_a_probability_and_agreeing_sources_have_more_of_it(sources, p):
    found = hierarchy(sources, mu=Normal(0, 2), tau=HalfNormal(0.3), exchangeable=p).exchangeable_posterior
    assert np.all((found >= 0) & (found <= 1))
