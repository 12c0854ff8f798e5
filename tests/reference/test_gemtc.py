"""Bayesian fits beside R's gemtc 1.0-2 (JAGS 4.3.1, R 4.2.2): baselines and effects normal(0, 100), tau uniform(0, 5);
four chains of 100,000 iterations thinned by 5 (node-splits 50,000).

Smoking cessation: Hasselblad V, Med Decis Making 1998;18:37. The baseline of unrelated mean effects is each study's
first arm by name, here group counselling before individual counselling, no contact and self-help.
"""

import numpy as np
import pytest

import enthesis as en
from enthesis.assess.node_split_table import node_split_table
from enthesis.inference.criticism import dic
from enthesis.models.consistency import NodeSplit, UnrelatedMeanEffects
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model, random_effects
from enthesis.models.priors import Uniform
from enthesis.network.subset import apart_from_others
from published import table

MODEL = random_effects(prior_tau=Uniform(0, 5))
NAMES = {"no_contact": "none", "self_help": "self", "ind_counseling": "individual", "grp_counseling": "group"}


def smoking(reference="none"):
    data = table("hasselblad1998").replace({"trt": NAMES})[["study", "trt", "xi", "ni"]]
    return en.from_table(data, measure="OR", reference=reference, better="higher")


@pytest.fixture(scope="module")
def consistent():
    return en.fit(smoking(), MODEL, engine="laplace")


@pytest.mark.parametrize(
    ("name", "mean", "sd", "lower", "upper"),
    [
        ("group", 1.1041, 0.4383, 0.2704, 2.0075),
        ("individual", 0.8441, 0.2393, 0.3913, 1.3381),
        ("self", 0.4908, 0.4009, -0.2903, 1.3036),
    ],
)
def test_effects(consistent, name, mean, sd, lower, upper):
    row = en.relative_effects(consistent, comparator="none").set_index("treatment").loc[name]
    assert row["estimate"] == pytest.approx(mean, abs=0.03)
    assert row["se"] == pytest.approx(sd, abs=0.02)
    assert [row["lower"], row["upper"]] == pytest.approx([lower, upper], abs=0.07)


def test_tau(consistent):
    tau = consistent.tau
    assert [tau.estimate, tau.lower, tau.upper] == pytest.approx([0.8402, 0.5456, 1.2714], abs=0.02)


def test_deviance(consistent):
    found = dic(consistent, draws=4000)
    assert found["residual_deviance"] == pytest.approx(54.14, abs=0.5)
    assert found["pD"] == pytest.approx(43.91, abs=0.5)


def test_sucra(consistent):
    found = en.ranks(consistent).set_index("treatment")["sucra"]
    expected = {"group": 0.8795, "individual": 0.6903, "none": 0.0361, "self": 0.3941}
    assert found.to_dict() == pytest.approx(expected, abs=0.02)


def test_common_effects():
    found = dic(en.fit(smoking(), Model(heterogeneity=Common()), engine="laplace"), draws=4000)
    assert found["residual_deviance"] == pytest.approx(267.14, abs=0.5)
    assert found["pD"] == pytest.approx(26.98, abs=0.5)


def test_unrelated_mean_effects():
    fit = en.fit(smoking("group"), MODEL.replace(consistency=UnrelatedMeanEffects()), engine="laplace")
    found = en.parameters(fit).set_index("parameter")
    expected = {
        "d[individual vs group]": (-0.1297, 0.5201), "d[none vs group]": (-1.6432, 0.8283),
        "d[self vs group]": (-0.5757, 0.7068), "d[none vs individual]": (-0.8354, 0.2868),
        "d[self vs individual]": (0.1543, 1.0537), "d[self vs none]": (0.3412, 0.5829), "tau": (0.9305, 0.2242),
    }  # fmt: skip
    for name, (mean, sd) in expected.items():
        assert found.loc[name, "estimate"] == pytest.approx(mean, abs=0.06)
        assert found.loc[name, "se"] == pytest.approx(sd, abs=0.06)


def test_node_splits_with_multi_arm_studies_reduced_to_the_pair():
    # comparator, treatment: direct, its standard deviation, indirect, its standard deviation; p
    expected = {
        ("group", "individual"): (0.0870, 0.5159, -1.7464, 0.9684, 0.083),
        ("group", "none"): (-1.4467, 0.8439, -1.0900, 0.5531, 0.727),
        ("none", "self"): (0.334, 0.552, 0.707, 0.634, 0.651),
    }
    splits = tuple(NodeSplit(treatment=b, comparator=a) for a, b in expected)
    found = node_split_table(smoking(), MODEL, splits=splits, multi_arm="reduced", engine="laplace")
    for row, numbers in zip(found.itertuples(), expected.values(), strict=True):
        assert [row.direct, row.direct_se, row.indirect, row.indirect_se] == pytest.approx(numbers[:4], abs=0.07)
        assert row.p == pytest.approx(numbers[4], abs=0.03)


def test_reducing_leaves_out_third_arms_and_splits_larger_studies():
    network = smoking()
    reduced = apart_from_others(network, "individual", "group")
    both = [
        s for s in range(network.n_studies) if {1, 0} <= set(network.blocks[0].treatment[network.blocks[0].study == s])
    ]
    assert network.treatment_names[:2] == ("group", "individual")
    assert reduced.n_arms == network.n_arms - sum((network.blocks[0].study == s).sum() - 2 for s in both)
    four = en.from_table([{"study": "1", "treatment": t, "events": 3 + i, "n": 30} for i, t in enumerate("abcd")])
    parts = apart_from_others(four, "a", "b")
    assert parts.studies == ("1", "1 (other arms)")
    assert np.bincount(parts.blocks[0].study).tolist() == [2, 2]
