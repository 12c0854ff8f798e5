"""Cross-design synthesis: exact where it can be, simpler models at the limits, refusals with sentences."""

from __future__ import annotations

import numpy as np
import pytest

from enthesis.errors import DataError, ModelError, UsageError
from enthesis.inference.bias import synthesise
from enthesis.models.designs import (
    Bias,
    BiasAdjusted,
    DesignedEffect,
    DesignHierarchy,
    DownWeighted,
    EstimatedBias,
    SeparateThenCompare,
)
from enthesis.models.one_parameter import EffectEstimate, EventCounts, Events
from enthesis.models.overlap import Overlap
from enthesis.models.priors import HalfNormal, Normal

VAGUE = Normal(0.0, 2.0)
NUMBERS = (
    ("A", "rct", 0.5, 0.3), ("B", "rct", 0.1, 0.25), ("C", "extension", 0.4, 0.2),
    ("D", "cohort", -0.2, 0.1), ("E", "cohort", 0.0, 0.15),
)  # fmt: skip
ROWS = tuple(DesignedEffect(study=s, design=d, data=EffectEstimate(estimate=y, se=se)) for s, d, y, se in NUMBERS)


def gaussian(variance: np.ndarray, shift: np.ndarray | None = None, rows=NUMBERS) -> tuple[float, float]:
    """Mean and sd of theta when the estimates are jointly normal around it with this covariance."""
    y = np.array([r[2] for r in rows]) - (0 if shift is None else shift)
    inverse = np.linalg.inv(variance)
    one = np.ones(len(y))
    precision = one @ inverse @ one + VAGUE.sd**-2
    return float(one @ inverse @ y / precision), float(precision**-0.5)


def covariance(within: float, between: float, extra: dict[str, float] | None = None) -> np.ndarray:
    """Of the estimates around theta with a spread in and between designs."""
    extra = extra or {}
    designs = np.array([r[1] for r in NUMBERS])
    se = np.array([r[3] for r in NUMBERS])
    own = se**2 + within**2 + np.array([extra.get(d, 0.0) ** 2 for d in designs])
    return np.diag(own) + between**2 * (designs[:, None] == designs)


def test_a_stated_bias_shifts_and_widens_the_studies_of_its_design():
    found = synthesise(ROWS, BiasAdjusted(bias={"cohort": Bias(mean=-0.3, sd=0.4)}, tau=0.2))
    mean, sd = gaussian(covariance(0.2, 0.0, {"cohort": 0.4}), np.array([0, 0, 0, -0.3, -0.3]))
    assert (found.posterior.mean, found.posterior.sd) == pytest.approx((mean, sd), abs=1e-7)


def test_three_levels_are_the_normal_model_with_that_covariance():
    found = synthesise(ROWS, DesignHierarchy(between=0.3, within=0.2))
    assert (found.posterior.mean, found.posterior.sd) == pytest.approx(gaussian(covariance(0.2, 0.3)), abs=1e-6)


def test_three_levels_without_spread_between_designs_are_two_levels():
    three = synthesise(ROWS, DesignHierarchy(between=1e-7, within=0.2))
    two = synthesise(ROWS, BiasAdjusted(tau=0.2))
    assert (three.estimate, three.upper) == pytest.approx((two.estimate, two.upper), abs=1e-5)


def test_an_estimated_bias_is_a_random_shift_of_its_design_and_none_of_the_reference():
    found = synthesise(ROWS, EstimatedBias(mean=Normal(0.1, 0.5), within=0.2))
    designs = np.array([r[1] for r in NUMBERS])
    shared = 0.5**2 * ((designs[:, None] == designs) & (designs != "rct"))
    mean, sd = gaussian(covariance(0.2, 0.0) + shared, np.where(designs == "rct", 0.0, 0.1))
    assert (found.posterior.mean, found.posterior.sd) == pytest.approx((mean, sd), abs=1e-6)


def test_the_posterior_of_a_bias_is_that_of_the_joint_normal_model():
    found = synthesise(ROWS, EstimatedBias(mean=Normal(0.1, 0.5), within=0.2))
    # theta, bias of extensions, bias of cohorts
    design = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 0, 1]], dtype=float)
    weight = np.diag(1 / (np.array([r[3] for r in NUMBERS]) ** 2 + 0.2**2))
    prior = np.diag([VAGUE.sd**-2, 0.5**-2, 0.5**-2])
    precision = design.T @ weight @ design + prior
    right = design.T @ weight @ np.array([r[2] for r in NUMBERS]) + prior @ np.array([0, 0.1, 0.1])
    mean, sd = np.linalg.solve(precision, right), np.sqrt(np.diag(np.linalg.inv(precision)))
    assert (found.bias["cohort"].mean, found.bias["cohort"].sd) == pytest.approx((mean[2], sd[2]), abs=1e-6)


def test_a_bias_without_prior_uncertainty_is_pooling():
    sure = synthesise(ROWS, EstimatedBias(mean=Normal(0.0, 1e-6), within=0.2))
    assert sure.posterior.mean == pytest.approx(gaussian(covariance(0.2, 0.0))[0], abs=1e-6)


def test_a_weight_of_zero_leaves_a_design_out():
    found = synthesise(ROWS, DownWeighted(weights={"cohort": 0.0, "extension": 0.0}))
    alone = synthesise(ROWS[:2], BiasAdjusted())
    assert (found.estimate, found.lower) == pytest.approx((alone.estimate, alone.lower), abs=1e-9)


def test_weights_of_one_are_the_hierarchy_of_all_studies():
    found = synthesise(ROWS, DownWeighted(weights={"cohort": 1.0}))
    assert found.estimate == pytest.approx(synthesise(ROWS, BiasAdjusted()).estimate, abs=1e-12)


def test_without_heterogeneity_a_power_divides_the_information():
    rows = [ROWS[3]]
    found = synthesise(rows, DownWeighted(weights={"cohort": 0.25}, tau=0.0))
    assert found.posterior.sd == pytest.approx((0.25 / 0.1**2 + 1 / 4) ** -0.5, abs=1e-8)


def test_levels_that_are_compared_are_not_combined():
    found = synthesise(ROWS, SeparateThenCompare())
    assert found.estimate == synthesise(ROWS[:2], SeparateThenCompare()).estimate


def test_a_level_far_from_the_reference_is_in_conflict_and_the_sentence_says_so():
    rows = [
        DesignedEffect(study="A", design="rct", data=EffectEstimate(estimate=0.8, se=0.1)),
        DesignedEffect(study="B", design="cohort", data=EffectEstimate(estimate=-0.8, se=0.1)),
    ]
    found = synthesise(rows, SeparateThenCompare(tau=HalfNormal(0.1)))
    assert "Cohorts and randomised trials disagree" in found.sentence


def test_the_p_value_of_a_conflict_is_that_of_two_normal_estimates():
    from scipy.stats import norm

    rows = [
        DesignedEffect(study="A", design="rct", data=EffectEstimate(estimate=0.5, se=0.2)),
        DesignedEffect(study="B", design="cohort", data=EffectEstimate(estimate=0.0, se=0.1)),
    ]
    found = synthesise(rows, SeparateThenCompare(tau=0.0, mu=Normal(0, 1000)))
    assert found.conflict[0].p == pytest.approx(2 * norm.sf(0.5 / np.hypot(0.2, 0.1)), abs=1e-6)


def test_counts_on_two_sides_are_exact_without_an_event_on_one_of_them():
    counts = EventCounts(events=0, exposure=300, comparator_events=2, comparator_exposure=280)
    found = synthesise([DesignedEffect(study="A", design="rct", data=counts)], BiasAdjusted(tau=0.0))
    # vague prior x (280 / (280 + 300 e^theta))², on a fine grid
    theta = np.linspace(-30, 30, 200_001)
    mass = np.exp(VAGUE.log_density(theta)) * (280 / (280 + 300 * np.exp(theta))) ** 2
    assert found.posterior.mean == pytest.approx(float(mass @ theta / mass.sum()), abs=1e-6)


def test_rates_of_one_arm_are_combined_on_the_log_scale():
    rows = [
        DesignedEffect(study=s, design=d, data=Events(events=y, exposure=t))
        for s, d, y, t in (("A", "rct", 3, 250.0), ("B", "extension", 12, 900.0), ("C", "cohort", 60, 5000.0))
    ]
    found = synthesise(rows, DesignHierarchy())
    assert 0.008 < np.exp(found.estimate) < 0.016


def test_sources_that_share_patients_are_refused():
    overlap = Overlap(sources=("A", "C"), reason="C continues A with the same patients.")
    with pytest.raises(ModelError, match="C continues A with the same patients"):
        synthesise(ROWS, BiasAdjusted(), overlaps=[overlap])


def test_a_study_twice_is_refused():
    with pytest.raises(ModelError, match="A: a study is there twice"):
        synthesise([*ROWS, ROWS[0]], BiasAdjusted())


def test_a_reference_without_studies_is_refused_with_the_designs_there_are():
    with pytest.raises(ModelError, match="Name another reference: extension, cohort"):
        synthesise(ROWS[2:], SeparateThenCompare())


def test_rates_and_ratios_are_not_combined():
    rate = DesignedEffect(study="R", design="rct", data=Events(events=3, exposure=10.0))
    with pytest.raises(ModelError, match="choose one kind"):
        synthesise([*ROWS, rate], BiasAdjusted())


def test_no_study_is_refused():
    with pytest.raises(DataError, match="no study to combine"):
        synthesise([], BiasAdjusted())


@pytest.mark.parametrize("belief", [lambda: DownWeighted(weights={"rct": 1.2}), lambda: Bias(sd=-1.0)])
def test_impossible_settings_are_refused(belief):
    with pytest.raises(UsageError):
        belief()


def test_an_unknown_design_is_refused_with_the_nearest_one():
    with pytest.raises(UsageError, match="Did you mean 'cohort'"):
        BiasAdjusted(bias={"cohorts": Bias()})
