"""A fitted baseline, and absolute effects that start from an uncertain one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import enthesis as en
from enthesis.assess.baseline import fit_baseline
from enthesis.errors import ModelError, UsageError
from enthesis.models.baseline import BaselineModel
from enthesis.models.model import random_effects
from enthesis.models.priors import HalfNormal, Normal, Uniform

SMOKING = Path(__file__).parent / "tables" / "hasselblad1998.csv"


@pytest.fixture(scope="module")
def smoking():
    """Hasselblad V, Med Decis Making 1998;18:37."""
    return en.from_table(SMOKING, reference="no_contact", better="higher")


@pytest.fixture(scope="module")
def smoking_fit(smoking):
    return en.fit(smoking, random_effects(prior_tau=HalfNormal(5)))


@pytest.fixture(scope="module")
def smoking_baseline(smoking):
    return fit_baseline(smoking, model=BaselineModel(sd=Uniform(0, 5)))


def means(y, se):
    rows = [dict(study=i, treatment=t, mean=a + b, se=s) for i, (a, s) in enumerate(zip(y, se, strict=True))
            for t, b in (("p", 0.0), ("x", 1.0))]  # fmt: skip
    return en.from_table(rows, measure="MD", reference="p")


def test_the_posterior_of_a_normal_baseline_is_that_of_direct_integration():
    y, se, prior = np.array([0.3, -0.8, 1.1, 0.2]), np.array([0.3, 0.5, 0.4, 0.2]), HalfNormal(1.0)

    def density(m, s):
        v = se**2 + s**2
        return (
            np.exp(-0.5 * np.sum((y - m) ** 2 / v + np.log(v)))
            * stats.norm.pdf(m, 0, 100)
            * np.exp(prior.log_density(s))
        )

    def moment(f):
        return integrate.dblquad(lambda m, s: f(m, s) * density(m, s), 0, 8, -8, 8, epsabs=1e-10)[0]

    total = moment(lambda m, s: 1.0)
    found = fit_baseline(means(y, se), model=BaselineModel(sd=prior)).summary().set_index("what")
    assert found.loc["mean", "estimate"] == pytest.approx(moment(lambda m, s: m) / total, abs=0.01)
    assert found.loc["sd", "estimate"] == pytest.approx(moment(lambda m, s: s) / total, abs=0.01)


def test_the_smoking_baseline_has_the_spread_of_its_studies(smoking_baseline):
    """TSD 5 of the NICE DSU reports m = -2.59 (SD 0.16) and s = 0.54 (SD 0.16) for these arms."""
    table = smoking_baseline.summary().set_index("what")
    assert smoking_baseline.status.ok
    assert len(smoking_baseline.studies) == 19
    assert table.loc["mean", "estimate"] == pytest.approx(-2.59, abs=0.02)
    assert table.loc["mean", "se"] == pytest.approx(0.16, abs=0.01)
    assert table.loc["sd", "estimate"] == pytest.approx(0.55, abs=0.03)


def test_a_new_population_varies_more_than_the_average_study(smoking_baseline):
    table = smoking_baseline.summary().set_index("what")
    m, s = (table.loc[x, "estimate"] for x in ("mean", "sd"))
    assert table.loc["new population", "estimate"] == pytest.approx(m, abs=0.02)
    assert table.loc["new population", "se"] > np.hypot(table.loc["mean", "se"], s)


def test_absolute_risks_from_a_normal_baseline_are_those_of_multinma(smoking_fit):
    """multinma 0.8.0, rstan 2.32.7; baseline logit ~ N(-2.6, 0.38), 40,000 draws."""
    table = en.absolute_effects(smoking_fit, baseline=Normal(-2.6, 0.38)).set_index("treatment")
    expected = {"no_contact": (0.0733, 0.0340, 0.1356), "grp_counseling": (0.1981, 0.0691, 0.4144),
                "ind_counseling": (0.1567, 0.0674, 0.2962), "self_help": (0.1203, 0.0398, 0.2678)}  # fmt: skip
    for name, numbers in expected.items():
        assert table.loc[name, ["risk", "risk_lower", "risk_upper"]].to_numpy(float) == pytest.approx(
            numbers, abs=0.005
        )


def test_a_baseline_without_uncertainty_is_the_number(smoking_fit):
    number = en.absolute_effects(smoking_fit, 0.07).set_index("treatment")
    narrow = en.absolute_effects(smoking_fit, baseline=Normal(np.log(0.07 / 0.93), 1e-6)).set_index("treatment")
    assert narrow.index[0] == "no_contact"
    columns = ["risk", "risk_lower", "risk_upper", "difference_per_1000", "nnt"]
    assert np.allclose(number[columns], narrow.loc[number.index, columns], rtol=0.01)


def test_a_fitted_baseline_widens_absolute_effects(smoking_fit, smoking_baseline):
    fitted = en.absolute_effects(smoking_fit, baseline=smoking_baseline).set_index("treatment")
    number = en.absolute_effects(smoking_fit, 0.07).set_index("treatment")
    for name in number.index:
        assert fitted.loc[name, "risk_upper"] > number.loc[name, "risk_upper"]


def test_a_fit_without_draws_takes_a_distribution_too(smoking, smoking_baseline):
    gls = en.fit(smoking, engine="gls")
    table = en.absolute_effects(gls, baseline=smoking_baseline)
    assert (table["risk_lower"] < table["risk"]).all()
    assert (table["risk"] < table["risk_upper"]).all()


def test_a_hazard_becomes_the_risk_at_the_time_asked_for():
    rows = [dict(study=i, treatment=t, r=r + i, n=500, years=2) for i in range(4) for t, r in (("p", 50), ("x", 30))]
    network = en.from_table(pd.DataFrame(rows), measure="HR", reference="p")
    found = fit_baseline(network)
    at = {time: found.summary(follow_up=time).set_index("what").loc["mean", "natural"] for time in (1, 2, 4)}
    assert at[2] == pytest.approx(0.103, abs=0.003)
    assert at[1] < at[2] < at[4]
    risk = en.absolute_effects(en.fit(network), baseline=found, follow_up=2).set_index("treatment")
    assert risk.loc["x", "risk"] == pytest.approx(0.063, abs=0.005)


def test_one_arm_is_no_ground_for_a_distribution():
    rows = [dict(study="1", treatment=t, events=r, n=50) for t, r in (("p", 5), ("x", 9))]
    with pytest.raises(ModelError, match="two or more arms of 'p'"):
        fit_baseline(en.from_table(rows, reference="p"))


def test_a_number_and_a_distribution_are_not_both_given(smoking_fit):
    with pytest.raises(UsageError, match="not both"):
        en.absolute_effects(smoking_fit, 0.1, baseline=Normal(-2, 1))


def test_a_mean_gives_no_risk(smoking_fit):
    found = fit_baseline(means([0.1, 0.2, 0.4], [0.1, 0.1, 0.1]))
    with pytest.raises(UsageError, match="gives no risk"):
        en.absolute_effects(smoking_fit, baseline=found)
