"""What a trial that has not reported may show, what would be believed after it, and what it is worth."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

import enthesis as en
from enthesis.assess.next_trial import decides, net_benefit, required_size, sample_information, value_map
from enthesis.assess.preposterior import PlannedTrial, foresee, reference_risks, usual_sd
from enthesis.assess.quantities import draws_of
from enthesis.errors import ModelError, UsageError

COMMON = en.Model(heterogeneity=en.Common())


def means(spread: float = 0.0, effect: float = 0.3):
    """Two-arm studies of normal data against placebo, SD 1 per patient."""
    rng = np.random.default_rng(5)
    rows = []
    for s in range(8):
        shift = effect + rng.normal(0, spread)
        for arm, mean in (("placebo", 0.0), ("drug", shift)):
            rows.append({"study": f"S{s}", "treatment": arm, "mean": mean + rng.normal(0, 0.2), "sd": 1.0, "n": 25})
    return en.from_table(rows, measure="MD", reference="placebo", better="higher")


def counts():
    rows = []
    for s, (a, b, c) in enumerate([(10, 18, None), (12, 21, None), (8, None, 14), (11, None, 20), (9, 15, 16)]):
        rows += [{"study": f"S{s}", "treatment": t, "events": r, "n": 60}
                 for t, r in (("placebo", a), ("one", b), ("two", c)) if r is not None]  # fmt: skip
    return en.from_table(rows, reference="placebo", better="higher")


@pytest.fixture(scope="module")
def fit():
    return en.fit(counts(), en.Model(heterogeneity=en.Exchangeable(sd=en.HalfNormal(0.3))), draws=4000)


@pytest.fixture(scope="module")
def normal():
    return en.fit(means(), COMMON, draws=8192)


# What would be believed after the trial


def test_what_is_believed_after_is_on_average_what_is_believed_now(fit):
    seen = foresee(fit, PlannedTrial(arms=(("placebo", 80), ("one", 80), ("two", 80))))
    d, w = draws_of(fit)
    for statement in (d[:, fit.network.index("one")] > 0.5, d[:, 1] > d[:, 2]):
        after = seen.weights @ statement
        assert after.mean() == pytest.approx(w @ statement, abs=4 * after.std() / np.sqrt(len(after)) + 0.005)


def test_with_normal_data_the_weighted_draws_are_the_conjugate_posterior(normal):
    trial = PlannedTrial(arms=(("placebo", 200), ("drug", 200)))
    seen = foresee(normal, trial, trials=16)
    at = normal.network.index("drug")
    d, w = draws_of(normal)
    m, s2 = float(w @ d[:, at]), float(w @ (d[:, at] - w @ d[:, at]) ** 2)
    v = 2 * usual_sd(normal) ** 2 / 200
    for y, weights in zip(seen.y[:, 0], seen.weights, strict=True):
        exact = (m / s2 + y / v) / (1 / s2 + 1 / v)
        assert weights @ d[:, at] == pytest.approx(exact, abs=0.01)
        sd = np.sqrt(weights @ (d[:, at] - weights @ d[:, at]) ** 2)
        assert sd == pytest.approx((1 / s2 + 1 / v) ** -0.5, rel=0.05)


def test_the_weighted_draws_agree_with_a_fit_that_has_the_trial(fit):
    seen = foresee(fit, PlannedTrial(arms=(("placebo", 100), ("one", 100))), trials=64)
    # a trial whose effect is known: 20 and 38 of 100
    rows = counts().arms_table()[["study", "treatment", "events", "n"]].to_dict("records")
    rows += [{"study": "new", "treatment": t, "events": r, "n": 100} for t, r in (("placebo", 20), ("one", 38))]
    new = en.fit(en.from_table(rows, reference="placebo", better="higher"), fit.model, draws=4000)
    y = np.log(38 / 62 / (20 / 80))
    near = int(np.argmin(abs(seen.y[:, 0] - y)))
    d, _ = draws_of(fit)
    at = fit.network.index("one")
    mean = seen.weights[near] @ d[:, at]
    assert seen.y[near, 0] == pytest.approx(y, abs=0.05)
    assert mean == pytest.approx(float(new.estimate[at]), abs=0.04)
    sd = np.sqrt(seen.weights[near] @ (d[:, at] - mean) ** 2)
    assert sd == pytest.approx(float(np.sqrt(new.covariance[at, at])), rel=0.1)


def test_a_trial_of_a_few_patients_changes_little_and_a_large_one_much(fit):
    d, w = draws_of(fit)
    statement = d[:, fit.network.index("one")] > 0.7
    moves = [
        np.abs(foresee(fit, PlannedTrial(arms=(("placebo", n), ("one", n)))).weights @ statement - w @ statement).mean()
        for n in (2, 50, 2000)
    ]
    assert moves[0] < 0.08
    assert moves == sorted(moves)


def test_a_trial_shows_the_predictive_distribution_of_a_new_study(fit):
    seen = foresee(fit, PlannedTrial(arms=(("placebo", 100_000), ("one", 100_000))), trials=2048)
    table = en.predictive_effects(fit, "placebo").set_index("treatment").loc["one"]
    mean, lower, upper = seen.estimate()
    assert mean == pytest.approx(table["estimate"], abs=0.02)
    assert (lower, upper) == pytest.approx((table["lower"], table["upper"]), abs=0.06)


def test_the_same_seed_gives_the_same_trials(fit):
    trial = PlannedTrial(arms=(("placebo", 50), ("two", 50)))
    assert np.array_equal(foresee(fit, trial).weights, foresee(fit, trial).weights)


def test_a_frequentist_fit_can_be_foreseen_from():
    fit = en.fit(counts(), engine="gls")
    assert foresee(fit, PlannedTrial(arms=(("placebo", 50), ("two", 50)))).weights.shape == (512, 8192)


def test_a_treatment_that_the_network_does_not_hold_is_named(fit):
    with pytest.raises(UsageError, match="'three' is not known"):
        foresee(fit, PlannedTrial(arms=(("placebo", 50), ("three", 50))))


@pytest.mark.parametrize("arms", [(("a", 10),), (("a", 10), ("a", 10)), (("a", 1), ("b", 10))])
def test_a_trial_that_compares_nothing_is_refused(arms):
    with pytest.raises(UsageError, match="planned trial"):
        PlannedTrial(arms=arms)


def test_a_network_of_rates_cannot_be_foreseen_from():
    rows = [{"study": s, "treatment": t, "events": r, "time": 100} for s in "AB" for t, r in (("x", 5), ("y", 9))]
    network = en.from_table(rows, measure="IRR", reference="x", columns={"time_at_risk": "time"})
    with pytest.raises(ModelError, match="incidence rate ratio"):
        foresee(en.fit(network, COMMON), PlannedTrial(arms=(("x", 50), ("y", 50))))


def test_risks_with_the_reference_are_those_of_its_arms(fit):
    assert reference_risks(fit) == pytest.approx(np.array([8.5, 9.5, 10.5, 11.5, 12.5]) / 61)


# Size


def test_the_assurance_is_what_simulated_trials_reach(fit):
    d, _ = draws_of(fit)
    better = d[:, fit.network.index("two")] > d[:, fit.network.index("one")]
    seen = foresee(fit, PlannedTrial(arms=(("one", 400), ("two", 400))), trials=2048)
    p = seen.weights @ better
    reached = np.mean((p >= 0.9) | (p <= 0.1))
    assert decides(fit, "two", "one", 800, threshold=0.9) == pytest.approx(reached, abs=0.04)


def test_the_required_size_has_the_assurance_and_a_smaller_one_has_not(normal):
    size = required_size(normal, "drug", "placebo", margin=0.3, assurance=0.7)
    assert size.patients is not None
    assert size.patients > 2
    assert decides(normal, "drug", "placebo", size.patients, margin=0.3) >= 0.7
    assert decides(normal, "drug", "placebo", size.patients - 2, margin=0.3) < 0.7


def test_a_comparison_that_is_decided_needs_no_trial():
    fit = en.fit(means(effect=0.3), COMMON, draws=8192)
    at = fit.network.index("drug")
    now = float(norm.cdf(fit.estimate[at] / np.sqrt(fit.covariance[at, at])))
    assert required_size(fit, "drug", "placebo").patients == 0
    assert required_size(fit, "drug", "placebo").now == pytest.approx(now, abs=0.01)


def test_when_studies_differ_no_single_trial_may_do():
    fit = en.fit(means(spread=0.8, effect=0.0), en.Model(heterogeneity=en.Exchangeable(sd=en.HalfNormal(1))))
    size = required_size(fit, "drug", "placebo", assurance=0.95)
    assert size.patients is None
    assert "no single trial" in size.words()
    assert decides(fit, "drug", "placebo", 10_000_000) == pytest.approx(size.limit, abs=1e-3)


def test_a_trial_larger_than_any_is_not_blamed_on_the_spread_between_studies(normal):
    at = normal.network.index("drug")
    size = required_size(normal, "drug", "placebo", margin=float(normal.estimate[at]), assurance=0.9)
    assert size.patients is None
    assert size.limit == pytest.approx(1.0)
    assert size.words() == "no single trial of up to 20,000 patients reaches an assurance of 0.9"


def test_a_larger_trial_decides_more_often(fit):
    chance = [decides(fit, "two", "one", n) for n in (20, 100, 500, 5000)]
    assert chance == sorted(chance)


def test_less_is_better_turns_the_comparison_round(fit):
    turned = dataclasses.replace(fit, network=fit.network.replace(better="lower"))
    first, second = required_size(fit, "two", "one"), required_size(turned, "two", "one")
    assert first.now == pytest.approx(1 - second.now, abs=1e-9)


@pytest.mark.parametrize("settings", [{"threshold": 0.4}, {"assurance": 1.0}])
def test_settings_outside_their_range_are_refused(fit, settings):
    with pytest.raises(UsageError, match=next(iter(settings))):
        required_size(fit, "two", "one", **settings)


# Value


def test_two_treatments_with_normal_data_have_the_closed_value(normal):
    """EVSI = s_m L(|m| / s_m) with the unit normal loss L(z) = phi(z) - z Phi(-z); s_m the sd of the posterior mean."""
    at = normal.network.index("drug")
    d, w = draws_of(normal)
    cost = float(w @ d[:, at])  # the two are equal in expectation, where information is worth most
    benefit = net_benefit(normal, costs={"drug": cost})
    info = sample_information(normal, PlannedTrial(arms=(("placebo", 100), ("drug", 100))), benefit, trials=4096)
    s2, v = float(normal.covariance[at, at]), 2 * usual_sd(normal) ** 2 / 100
    spread = s2 / np.sqrt(s2 + v)
    assert info.value == pytest.approx(spread * norm.pdf(0), abs=4 * info.mcse)
    assert info.perfect == pytest.approx(np.sqrt(s2) * norm.pdf(0), rel=0.02)
    assert info.changes == pytest.approx(0.5, abs=0.05)


def test_a_trial_is_worth_no_more_than_knowing(fit):
    benefit = net_benefit(fit, 0.2)
    for n in (10, 100, 10_000):
        info = sample_information(fit, PlannedTrial(arms=(("one", n), ("two", n))), benefit)
        assert -1e-12 <= info.value <= info.perfect + 3 * info.mcse


def test_a_price_that_decides_leaves_nothing_to_learn(fit):
    benefit = net_benefit(fit, 0.2, costs={"one": 10.0, "two": 10.0})
    info = sample_information(fit, PlannedTrial(arms=(("one", 200), ("two", 200))), benefit)
    assert (info.best, info.value, info.perfect) == ("placebo", 0.0, 0.0)


def test_the_value_map_has_every_pair_once(fit):
    table = value_map(fit, 200, baseline_risk=0.2)
    assert {frozenset((r.treatment, r.comparator)) for r in table.itertuples()} == {
        frozenset(p) for p in (("placebo", "one"), ("placebo", "two"), ("one", "two"))
    }
    assert table.set_index(["treatment", "comparator"])["direct"].sum() == 3 + 3 + 1
    assert ((table["share"] <= 1 + 3 * table["mcse"]) & (table["value"] >= 0)).all()
