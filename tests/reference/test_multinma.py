"""Bayesian fits beside R's multinma 0.8.0 (rstan 2.32.7, R 4.2.2): intercepts and effects normal(0, 100), regression
coefficients normal(0, 100), tau half-normal(5); 40,000 draws (node-splits 8,000, regression 20,000).

Smoking cessation: Hasselblad V, Med Decis Making 1998;18:37. BCG: Colditz GA et al., JAMA 1994;271:698. Allowed are
three combined Monte Carlo standard errors and 0.01, 0.5 for DIC and pD, and 0.02 for rank probabilities.
"""

import numpy as np
import pytest

import enthesis as en
from enthesis.assess.node_split_table import node_split_table
from enthesis.inference.criticism import dic
from enthesis.models.consistency import UnrelatedMeanEffects
from enthesis.models.model import random_effects
from enthesis.models.priors import HalfNormal
from enthesis.models.regression import Regression
from published import table

MODEL = random_effects(prior_tau=HalfNormal(5))
NAMES = {"no_contact": "none", "self_help": "self", "ind_counseling": "individual", "grp_counseling": "group"}


@pytest.fixture(scope="module")
def smoking():
    data = table("hasselblad1998").replace({"trt": NAMES})[["study", "trt", "xi", "ni"]]
    return en.from_table(data, measure="OR", reference="none", better="higher")


@pytest.fixture(scope="module")
def consistent(smoking):
    return en.fit(smoking, MODEL, engine="laplace")


def near(value, error, other=0.01):
    """Within three standard errors of both sides, and 0.01."""
    return pytest.approx(value, abs=3 * np.hypot(error, other) + 0.01)


@pytest.mark.parametrize(
    ("name", "mean", "sd", "lower", "upper", "error"),
    [
        ("group", 1.1041, 0.4347, 0.2779, 1.9874, 0.0033),
        ("individual", 0.8471, 0.2373, 0.3973, 1.3388, 0.0022),
        ("self", 0.4955, 0.4032, -0.2849, 1.3108, 0.0030),
    ],
)
def test_effects(consistent, name, mean, sd, lower, upper, error):
    row = en.relative_effects(consistent, comparator="none").set_index("treatment").loc[name]
    assert row["estimate"] == near(mean, error)
    assert row["se"] == near(sd, error)
    assert row["lower"] == near(lower, 2.7 * error, 0.02)
    assert row["upper"] == near(upper, 2.7 * error, 0.02)


def test_tau(consistent):
    assert consistent.tau.estimate == near(0.8395, 0.0018)
    assert consistent.tau.lower == near(0.5450, 0.005)
    assert consistent.tau.upper == near(1.2718, 0.005)


def test_effects_in_a_new_study(consistent):
    table = en.predictive_effects(consistent, comparator="none").set_index("treatment")
    for name, mean, sd in (("group", 1.1047, 0.9590), ("individual", 0.8481, 0.8946), ("self", 0.4884, 0.9496)):
        assert table.loc[name, "estimate"] == near(mean, 0.0065)
        assert table.loc[name, "se"] == near(sd, 0.0065)


def test_rank_probabilities(consistent):
    ranks = en.ranks(consistent).set_index("treatment")
    expected = {"none": (0.0001, 0.0018, 0.1054, 0.8928), "group": (0.7054, 0.2276, 0.0634, 0.0036),
                "individual": (0.2373, 0.5987, 0.1638, 0.0003), "self": (0.0573, 0.1719, 0.6674, 0.1034)}  # fmt: skip
    for name, probabilities in expected.items():
        found = ranks.loc[name, [f"rank_{i}" for i in range(1, 5)]].to_numpy(float)
        assert found == pytest.approx(probabilities, abs=0.02)


def test_deviance(consistent):
    found = dic(consistent, draws=4000)
    assert found["residual_deviance"] == pytest.approx(54.04, abs=0.5)
    assert found["pD"] == pytest.approx(43.83, abs=0.5)
    assert found["DIC"] == pytest.approx(97.87, abs=0.7)


def test_unrelated_mean_effects(smoking):
    fit = en.fit(smoking, MODEL.replace(consistency=UnrelatedMeanEffects()), engine="laplace")
    found = en.parameters(fit).set_index("parameter")
    expected = {
        "d[group vs none]": (1.1410, 0.8016), "d[individual vs none]": (0.9074, 0.2801),
        "d[self vs none]": (0.3392, 0.5851), "d[individual vs group]": (-0.2903, 0.6154),
        "d[self vs group]": (-0.6220, 0.7075), "d[self vs individual]": (0.1621, 1.0634), "tau": (0.9351, 0.2282),
    }  # fmt: skip
    for name, (mean, sd) in expected.items():
        assert found.loc[name, "estimate"] == near(mean, 0.005, 0.016)
        assert found.loc[name, "se"] == near(sd, 0.005, 0.016)


def test_node_splits(smoking):
    found = node_split_table(smoking, MODEL, engine="laplace").set_index(["comparator", "treatment"])
    # direct, indirect, difference, each with its standard deviation; p
    expected = {
        ("none", "group"): (1.0487, 0.7439, 1.1388, 0.5443, -0.0901, 0.8920, 0.897),
        ("none", "individual"): (0.8849, 0.2560, 0.5596, 0.6680, 0.3254, 0.6959, 0.615),
        ("none", "self"): (0.3429, 0.5475, 0.7028, 0.6360, -0.3599, 0.8452, 0.656),
        ("group", "individual"): (-0.1032, 0.4840, -0.5263, 0.6158, 0.4231, 0.6700, 0.513),
        ("group", "self"): (-0.6149, 0.6670, -0.6370, 0.6774, 0.0221, 0.9003, 0.987),
        ("individual", "self"): (0.0729, 0.6446, -0.6203, 0.5194, 0.6932, 0.8164, 0.379),
    }
    assert set(found.index) == set(expected)
    columns = ["direct", "direct_se", "indirect", "indirect_se", "difference", "difference_se"]
    for pair, numbers in expected.items():
        row = found.loc[pair]
        assert row[columns].to_numpy(float) == pytest.approx(numbers[:6], abs=0.06)
        assert row["p"] == pytest.approx(numbers[6], abs=0.03)


@pytest.fixture(scope="module")
def bcg():
    network = en.from_table(table("bcg"), measure="OR", reference="control")
    model = MODEL.replace(regression=Regression(covariate="ablat"))
    return en.fit(network, model, engine="laplace")


def test_the_coefficient_of_a_regression_on_latitude(bcg):
    found = en.parameters(bcg).set_index("parameter")
    assert found.loc["beta", "estimate"] == pytest.approx(-0.0317, abs=0.001)
    assert found.loc["beta", "se"] == pytest.approx(0.0084, abs=0.0005)
    assert found.loc["d[treatment]", "estimate"] == near(-0.7642, 0.0014)
    assert found.loc["tau", "estimate"] == near(0.2945, 0.0032)


def test_the_effect_at_latitudes(bcg):
    beta, d = (bcg.theta[:, bcg.theta_names.index(name)] for name in ("beta", "d[treatment]"))
    centre = bcg.network.covariates["ablat"].mean()
    expected = {0: 0.2974, 10: -0.0199, 20: -0.3371, 30: -0.6543, 40: -0.9716, 50: -1.2888}
    for latitude, mean in expected.items():
        assert bcg.weights @ (d + beta * (latitude - centre)) == near(mean, 0.004)


def test_the_deviance_of_a_regression(bcg):
    found = dic(bcg, draws=4000)
    assert found["residual_deviance"] == pytest.approx(30.60, abs=0.5)
    assert found["pD"] == pytest.approx(21.35, abs=0.5)
