"""Borrowing from elsewhere: what may be carried over, exact densities, limits, conflict, the table over the weight."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from enthesis.errors import DataError, ModelError, UsageError
from enthesis.inference.borrowing import borrow, borrowing_table, holds, setup, tipping_points
from enthesis.models.borrowing import (
    AbsoluteRate,
    Commensurate,
    Conclusion,
    Exnex,
    Hierarchical,
    NoBorrowing,
    NormalisedPower,
    Pooling,
    Power,
    RelativeEffect,
    RobustMap,
    transport,
)
from enthesis.models.one_parameter import EffectEstimate, EventCounts
from enthesis.models.priors import HalfNormal, Normal

OWN = (EventCounts(events=3, exposure=600, comparator_events=1, comparator_exposure=450),)
EXTERNAL = (EffectEstimate.from_interval(1.33, 0.91, 1.94), EffectEstimate.from_interval(1.01, 0.83, 1.23))
VAGUE = Normal(0.0, 2.0)
#: a fine grid on which every posterior can be had by adding up
X = np.linspace(-25, 25, 20_001)


def added_up(log_prior: np.ndarray) -> tuple[float, float]:
    """Mean and sd of theta by brute force."""
    log_density = log_prior + OWN[0].log_likelihood(X)
    mass = np.exp(log_density - log_density.max())
    mass /= mass.sum()
    mean = float(mass @ X)
    return mean, float(np.sqrt(mass @ (X - mean) ** 2))


def map_density(tau_sd: float = 0.5) -> np.ndarray:
    """The MAP prior by brute force: a sum over tau of normal densities."""
    y, s = np.array([e.estimate for e in EXTERNAL]), np.array([e.se for e in EXTERNAL])
    taus = (np.arange(600) + 0.5) / 600 * 6 * tau_sd
    variance = s**2 + taus[:, None] ** 2
    precision = (1 / variance).sum(axis=1) + VAGUE.sd**-2
    mean = (y / variance).sum(axis=1) / precision
    log_w = HalfNormal(tau_sd).log_density(taus) - 0.5 * np.log(variance).sum(axis=1)
    log_w += -0.5 * (y**2 / variance).sum(axis=1) + 0.5 * mean**2 * precision - 0.5 * np.log(precision)
    w = np.exp(log_w - log_w.max())
    total = np.zeros_like(X)
    for share, m, v in zip(w / w.sum(), mean, 1 / precision + taus**2, strict=True):
        if share > 1e-9:
            total += share * np.exp(-0.5 * (X - m) ** 2 / v) / np.sqrt(2 * np.pi * v)
    return total


def effect(study: str = "A", **other) -> RelativeEffect:
    settings = {
        "treatment": "JAKi", "comparator": "TNFi", "outcome": "MACE", "indication": "RA", "measure": "HR",
        "data": EXTERNAL[0],
    }  # fmt: skip
    return RelativeEffect(study=study, **(settings | other))


# ---- what may be carried over


def test_an_absolute_rate_is_not_carried_to_another_indication():
    rate = AbsoluteRate(study="A", treatment="TNFi", outcome="MACE", indication="RA", events=2, exposure=400)
    with pytest.raises(ModelError, match="the absolute rate of MACE in RA is not carried to axSpA"):
        transport([effect(), rate], to="axSpA")


def test_an_absolute_rate_is_refused_where_effects_are_borrowed_too():
    rate = AbsoluteRate(study="A", treatment="TNFi", outcome="MACE", indication="RA", events=2, exposure=400)
    with pytest.raises(ModelError, match="absolute rate"):
        borrow(OWN, [rate], RobustMap())


def test_one_side_alone_is_not_a_relative_effect():
    from enthesis.models.one_parameter import Events

    with pytest.raises(ModelError, match="absolute rate, which is not carried over"):
        effect(data=Events(events=3, exposure=100.0))


def test_only_the_asked_stratum_is_carried():
    rows = [effect("A", stratum="all"), effect("A", stratum="65 or older"), effect("B", stratum="65 or older")]
    assert [r.study for r in transport(rows, to="axSpA", stratum="65 or older")] == ["A", "B"]


def test_a_stratum_without_rows_names_those_there_are():
    with pytest.raises(UsageError, match="Strata there are: all"):
        transport([effect()], to="axSpA", stratum="ever smoker")


def test_rows_of_the_own_indication_are_not_borrowed():
    rows = [effect("A"), effect("B", indication="axSpA")]
    assert [r.study for r in transport(rows, to="axSpA")] == ["A"]


def test_odds_ratios_and_rate_ratios_are_not_borrowed_together():
    with pytest.raises(ModelError, match="are not combined"):
        transport([effect("A"), effect("B", measure="OR")], to="axSpA")


def test_a_study_twice_in_a_stratum_is_refused():
    with pytest.raises(ModelError, match="would count twice"):
        transport([effect("A"), effect("A")], to="axSpA")


def test_own_and_external_rows_must_be_about_one_comparison():
    own = effect("own", indication="axSpA", comparator="IL-17Ai")
    with pytest.raises(ModelError, match="one comparison and outcome"):
        borrow([own], [effect()], RobustMap())


def test_an_interval_that_does_not_hold_its_ratio_is_refused():
    with pytest.raises(DataError, match="does not hold the ratio"):
        EffectEstimate.from_interval(1.5, 1.6, 2.0)


@pytest.mark.parametrize("events", [-1, 2.5, float("nan")])
def test_events_that_are_no_count_are_refused(events):
    with pytest.raises(DataError, match="whole number"):
        EventCounts(events=events, exposure=10, comparator_events=0, comparator_exposure=10)


# ---- exact densities


def test_the_power_prior_is_the_product_of_its_parts():
    external = sum(e.log_likelihood(X) for e in EXTERNAL)
    found = borrow(OWN, EXTERNAL, Power(weight=0.3)).posterior
    assert (found.mean, found.sd) == pytest.approx(added_up(VAGUE.log_density(X) + 0.3 * external), abs=1e-6)


def test_a_source_with_its_own_factor_counts_by_it():
    log_prior = VAGUE.log_density(X) + 0.5 * EXTERNAL[0].log_likelihood(X) + 0.1 * EXTERNAL[1].log_likelihood(X)
    found = borrow(OWN, EXTERNAL, Power(weight=0.5, by_source=(1.0, 0.2))).posterior
    assert (found.mean, found.sd) == pytest.approx(added_up(log_prior), abs=1e-6)


@pytest.mark.parametrize("weight", [0.2, 0.7, 1.0])
def test_the_robust_map_prior_is_a_mixture_of_prediction_and_vague_prior(weight):
    with np.errstate(divide="ignore"):
        log_prior = np.log(weight * map_density() + (1 - weight) * np.exp(VAGUE.log_density(X)))
    found = borrow(OWN, EXTERNAL, RobustMap(weight=weight)).posterior
    assert (found.mean, found.sd) == pytest.approx(added_up(log_prior), abs=2e-6)


def test_the_posterior_weight_is_the_share_of_the_probability_of_the_own_data():
    likelihood = np.exp(OWN[0].log_likelihood(X))
    borrowed, alone = float(map_density() @ likelihood), float(np.exp(VAGUE.log_density(X)) @ likelihood)
    found = borrow(OWN, EXTERNAL, RobustMap(weight=0.3)).posterior_weight
    assert found == pytest.approx(0.3 * borrowed / (0.3 * borrowed + 0.7 * alone), abs=1e-6)


def test_the_normalised_power_prior_agrees_with_adding_up_over_power_and_effect():
    external = sum(e.log_likelihood(X) for e in EXTERNAL)
    roots = (np.arange(200) + 0.5) / 200  # powers are their squares: near 0 the prior changes fast
    prior, mean_power, total = np.zeros_like(X), 0.0, 0.0
    own = np.exp(OWN[0].log_likelihood(X))
    for root in roots:
        a = root**2
        unscaled = np.exp(VAGUE.log_density(X) + a * (external - external.max()))
        each = 2 * root * unscaled / unscaled.sum()
        prior += each
        mean_power += a * (each @ own)
        total += each @ own
    found = borrow(OWN, EXTERNAL, NormalisedPower())
    with np.errstate(divide="ignore"):
        assert (found.posterior.mean, found.posterior.sd) == pytest.approx(added_up(np.log(prior)), abs=2e-4)
    assert found.posterior_weight == pytest.approx(mean_power / total, abs=1e-4)


def test_the_commensurate_prior_widens_the_pooled_effect():
    precision = sum(e.se**-2 for e in EXTERNAL) + VAGUE.sd**-2
    mean = sum(e.estimate / e.se**2 for e in EXTERNAL) / precision
    log_prior = Normal(mean, math.sqrt(1 / precision + 0.3**2)).log_density(X)
    found = borrow(OWN, EXTERNAL, Commensurate(sd=0.3)).posterior
    assert (found.mean, found.sd) == pytest.approx(added_up(log_prior), abs=1e-6)


def test_exnex_with_two_sources_agrees_with_listing_who_is_exchangeable():
    p, tau, apart = 0.6, 0.3, VAGUE
    y, s = np.array([e.estimate for e in EXTERNAL]), np.array([e.se for e in EXTERNAL])
    total = np.zeros_like(X)
    weights = 0.0
    for members in ((), (0,), (1,), (0, 1)):
        v = np.array([s[j] ** 2 + tau**2 for j in members])
        e = np.array([y[j] for j in members])
        precision = (1 / v).sum() + VAGUE.sd**-2
        mean = (e / v).sum() / precision
        log_w = -0.5 * np.log(2 * np.pi * v).sum() - 0.5 * (e**2 / v).sum() + 0.5 * mean**2 * precision
        log_w -= 0.5 * np.log(precision * VAGUE.sd**2)
        for j in set(range(2)) - set(members):
            wide = s[j] ** 2 + apart.sd**2
            log_w += -0.5 * np.log(2 * np.pi * wide) - 0.5 * y[j] ** 2 / wide
        w = math.exp(log_w) * p ** len(members) * (1 - p) ** (2 - len(members))
        total += w * np.exp(Normal(mean, math.sqrt(1 / precision + tau**2)).log_density(X))
        weights += w
    log_prior = np.log(0.5 * total / weights + 0.5 * np.exp(apart.log_density(X)))
    found = borrow(OWN, EXTERNAL, Exnex(weight=0.5, external=p, tau=tau)).posterior
    assert (found.mean, found.sd) == pytest.approx(added_up(log_prior), abs=1e-6)


def test_counts_without_any_event_leave_the_prior_as_it_is():
    nothing = EventCounts(events=0, exposure=100, comparator_events=0, comparator_exposure=50)
    found = borrow([nothing], EXTERNAL, RobustMap())
    assert found.rate_ratio == pytest.approx(borrow([], EXTERNAL, RobustMap()).rate_ratio, rel=1e-6)


def test_external_counts_are_used_exactly():
    external = [EventCounts(events=0, exposure=900, comparator_events=5, comparator_exposure=1000)]
    found = borrow(OWN, external, Pooling()).posterior
    log_prior = VAGUE.log_density(X) + external[0].log_likelihood(X)
    assert (found.mean, found.sd) == pytest.approx(added_up(log_prior), abs=1e-6)


# ---- limits


BELIEFS_AT_ZERO = [Power(weight=0), RobustMap(weight=0), Exnex(weight=0), Commensurate(weight=0)]


@pytest.mark.parametrize("belief", BELIEFS_AT_ZERO, ids=lambda b: type(b).__name__)
def test_a_weight_of_zero_is_no_borrowing(belief):
    alone = added_up(VAGUE.log_density(X))
    found = borrow(OWN, EXTERNAL, belief).posterior
    assert (found.mean, found.sd) == pytest.approx(alone, abs=1e-6)


AT_POOLING = [
    Power(weight=1), Hierarchical(tau=1e-8), Hierarchical(tau=HalfNormal(1e-7)), Commensurate(sd=0.0),
    Commensurate(sd=1e-8), RobustMap(weight=1, tau=1e-8), Exnex(weight=1, external=1.0, tau=1e-8),
    NormalisedPower(shape_1=1e6, shape_2=1e-3),
]  # fmt: skip


@pytest.mark.parametrize("belief", AT_POOLING, ids=lambda b: type(b).__name__)
def test_the_other_end_is_pooling(belief):
    pooled = added_up(VAGUE.log_density(X) + sum(e.log_likelihood(X) for e in EXTERNAL))
    found = borrow(OWN, EXTERNAL, belief).posterior
    assert (found.mean, found.sd) == pytest.approx(pooled, abs=1e-5)


@pytest.mark.parametrize("belief", [Commensurate(sd=1e4), Hierarchical(tau=1e4)], ids=lambda b: type(b).__name__)
def test_sources_without_anything_in_common_lend_nothing(belief):
    own = [EffectEstimate(estimate=0.3, se=0.4)]
    found = borrow(own, EXTERNAL, belief).posterior
    assert (found.mean, found.sd) == pytest.approx((0.3, 0.4), abs=1e-4)


def test_exnex_with_sure_sources_is_the_robust_map_prior():
    one, other = borrow(OWN, EXTERNAL, Exnex(weight=0.4, external=1.0)), borrow(OWN, EXTERNAL, RobustMap(weight=0.4))
    assert one.rate_ratio == pytest.approx(other.rate_ratio, rel=1e-9)


def test_exnex_with_no_exchangeable_source_borrows_only_the_prior_of_the_mean():
    found = borrow(OWN, EXTERNAL, Exnex(weight=1.0, external=0.0, tau=1e-8)).posterior
    assert (found.mean, found.sd) == pytest.approx(added_up(VAGUE.log_density(X)), abs=1e-6)


def test_nothing_external_is_no_borrowing():
    assert borrow(OWN, [], RobustMap()).rate_ratio == pytest.approx(borrow(OWN, EXTERNAL, NoBorrowing()).rate_ratio)


# ---- how much is borrowed


def test_a_vague_prior_is_worth_one_event():
    assert borrow(OWN, EXTERNAL, NoBorrowing()).ess_prior == pytest.approx(1.0, abs=1e-8)


def test_the_power_prior_is_worth_its_share_of_the_external_events_and_the_vague_one():
    external = [EffectEstimate(estimate=0.2, se=0.2)]  # 4 / 0.2² = 100 events
    assert borrow(OWN, external, Power(weight=0.25)).ess_prior == pytest.approx(26.0, abs=1e-6)


def test_information_borrowed_by_pooling_normal_data_is_that_of_the_external_data():
    own, external = [EffectEstimate(estimate=0.0, se=0.5)], [EffectEstimate(estimate=0.2, se=0.2)]
    assert borrow(own, external, Pooling()).ess_borrowed == pytest.approx(100.0, abs=1e-5)


def test_more_weight_is_a_larger_effective_sample_size():
    sizes = [row["ess_prior"] for row in borrowing_table(OWN, EXTERNAL, RobustMap()).rows()]
    assert all(b > a for a, b in itertools.pairwise(sizes))


# ---- conflict


def test_boxs_p_value_of_normal_data_is_the_two_sided_p_of_the_difference():
    from scipy.stats import norm

    own = [EffectEstimate(estimate=1.2, se=0.3)]
    external = [EffectEstimate(estimate=0.2, se=0.2)]
    found = borrow(own, external, Power(weight=1)).conflict.p_value
    mean, variance = 0.2 * 25 / 25.25, 1 / 25.25 + 0.09
    assert found == pytest.approx(2 * norm.sf((1.2 - mean) / math.sqrt(variance)), abs=1e-4)


def test_boxs_p_value_of_counts_adds_up_the_improbable_splits():
    from scipy.stats import binom

    external = [EffectEstimate(estimate=0.0, se=1e-4)]
    own = [EventCounts(events=9, exposure=500, comparator_events=1, comparator_exposure=500)]
    found = borrow(own, external, Commensurate(sd=0.0)).conflict.p_value
    assert found == pytest.approx(2 * binom.cdf(1, 10, 0.5), abs=1e-6)


def test_the_p_value_of_several_small_studies_is_that_of_their_sum():
    external = [EffectEstimate(estimate=0.1, se=0.05)]
    parts = [
        EventCounts(events=k, exposure=200, comparator_events=m, comparator_exposure=100) for k, m in ((3, 0), (2, 1))
    ]
    whole = [EventCounts(events=5, exposure=400, comparator_events=1, comparator_exposure=200)]
    one, other = (borrow(own, external, RobustMap()).conflict.p_value for own in (parts, whole))
    assert one == pytest.approx(other, abs=1e-9)


def test_data_far_from_what_is_borrowed_are_named_a_conflict():
    own = [EventCounts(events=30, exposure=500, comparator_events=4, comparator_exposure=500)]
    assert "disagree" in borrow(own, EXTERNAL, RobustMap()).conflict.sentence


def test_conflict_takes_weight_away_from_what_is_borrowed():
    own = [EventCounts(events=30, exposure=500, comparator_events=4, comparator_exposure=500)]
    assert borrow(own, EXTERNAL, RobustMap(weight=0.5)).posterior_weight < 0.15


def test_without_own_events_no_conflict_can_be_seen():
    own = [EventCounts(events=0, exposure=500, comparator_events=0, comparator_exposure=500)]
    found = borrow(own, EXTERNAL, RobustMap()).conflict
    assert found.p_value is None
    assert "cannot be seen" in found.sentence


def test_few_events_are_said_to_show_only_large_conflicts():
    assert "With 4 own events only a very large one" in borrow(OWN, EXTERNAL, RobustMap()).conflict.sentence


# ---- over the weight


def test_the_table_gives_what_single_calls_give():
    table = borrowing_table(OWN, EXTERNAL, RobustMap(), weights=(0.0, 0.35, 1.0), thresholds=(0.0,))
    single = borrow(OWN, EXTERNAL, RobustMap(weight=0.35))
    row = table.rows()[1]
    assert (row["estimate"], row["probability_above"][0.0]) == pytest.approx(
        (single.estimate, single.probability_above(0.0)), abs=1e-10
    )


def test_the_usual_grid_goes_from_nothing_to_everything_in_steps_of_a_twentieth():
    weights = borrowing_table(OWN, EXTERNAL, RobustMap()).weights
    assert (len(weights), weights[0], weights[-1]) == (21, 0.0, 1.0)


def test_a_conclusion_changes_at_its_tipping_point():
    own, external = [EffectEstimate(estimate=0.0, se=0.5)], [EffectEstimate(estimate=0.8, se=0.2)]
    conclusion = Conclusion(threshold=0.0, probability=0.975)
    table = borrowing_table(own, external, Power())
    (point,) = tipping_points(table, conclusion)
    assert not holds(table.at(point - 0.001), conclusion)
    assert holds(table.at(point + 0.001), conclusion)


def test_a_conclusion_that_never_changes_has_no_tipping_point():
    table = borrowing_table(OWN, EXTERNAL, RobustMap())
    assert tipping_points(table, Conclusion(threshold=math.log(50), probability=0.9)) == ()


def test_a_belief_without_a_weight_has_no_slider():
    with pytest.raises(ModelError, match="no weight that can be moved"):
        borrowing_table(OWN, EXTERNAL, Hierarchical())


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_zero_and_one_is_refused(weight):
    with pytest.raises(UsageError, match="between 0"):
        RobustMap(weight=weight)


def test_draws_are_equally_weighted_values_of_the_posterior():
    found = borrow(OWN, EXTERNAL, RobustMap())
    draws = found.draws(4000)
    assert (draws.mean(), draws.std()) == pytest.approx((found.posterior.mean, found.posterior.sd), rel=2e-3)


def test_the_same_call_gives_the_same_numbers():
    assert setup(OWN, EXTERNAL, RobustMap()).at(0.4).rate_ratio == setup(OWN, EXTERNAL, RobustMap()).at(0.4).rate_ratio
