"""Choices inside a model change what they say they change, and nothing else."""

import numpy as np
import pandas as pd
import pytest

import enthesis as en
from enthesis.errors import ModelError, UsageError
from enthesis.models.heterogeneity import Common, Exchangeable
from enthesis.models.model import Model
from enthesis.models.priors import HalfNormal

ARMS = [
    ("1", "placebo", 12, 60, 8.0, "control"), ("1", "low", 20, 61, 8.0, "new"), ("1", "high", 25, 58, 8.0, "new"),
    ("2", "placebo", 9, 50, 5.0, "control"), ("2", "low", 15, 52, 5.0, "new"),
    ("3", "placebo", 20, 90, 6.0, "control"), ("3", "old", 30, 88, 6.0, "former"),
    ("4", "old", 22, 70, 6.5, "former"), ("4", "high", 30, 71, 6.5, "new"),
    ("5", "placebo", 15, 80, 7.0, "control"), ("5", "high", 31, 82, 7.0, "new"),
]  # fmt: skip
TABLE = pd.DataFrame(ARMS, columns=["study", "treatment", "events", "n", "year", "class"])


def network(measure="OR", table=TABLE):
    return en.from_table(table, measure=measure, reference="placebo")


def means(classes=True):
    y = [0.0, -1.0, -1.4, 0.2, -0.7, 0.1, -0.4, -0.3, -1.3, 0.0, -1.9]
    table = TABLE.drop(columns=["events"]).assign(mean=y, sd=2.0)
    return network("MD", table if classes else table.drop(columns="class"))


def test_normal_contrasts_are_what_other_packages_fit_to_odds_ratios():
    model = Model(heterogeneity=Common(), likelihood="contrasts")
    gls = en.fit(network(), Model(heterogeneity=Common()), engine="gls")
    assert np.allclose(en.fit(network(), model).estimate, gls.estimate, atol=1e-3)


def test_contrasts_of_means_are_the_same_as_means_under_vague_baselines():
    exact, contrasts = (en.fit(means(), Model(likelihood=x)) for x in ("usual", "contrasts"))
    assert np.allclose(exact.estimate, contrasts.estimate, atol=2e-3)


def test_the_exact_likelihood_of_a_risk_ratio_is_near_its_contrasts_for_large_arms():
    big = TABLE.assign(events=TABLE["events"] * 20, n=TABLE["n"] * 20)
    model = Model(heterogeneity=Exchangeable(sd=HalfNormal(0.05)))
    exact, contrasts = (
        en.fit(network("RR", big), model.replace(likelihood=x), engine="laplace") for x in ("exact", "contrasts")
    )
    assert exact.status.ok
    assert np.allclose(exact.estimate, contrasts.estimate, atol=0.02)


@pytest.mark.parametrize("measure", ["RD", "ASD"])
def test_a_measure_without_an_exact_likelihood_is_refused(measure):
    with pytest.raises(ModelError, match="no exact likelihood of counts"):
        en.fit(network(measure), Model(likelihood="exact"))


def test_an_unknown_likelihood_is_refused_with_the_choices():
    with pytest.raises(UsageError, match="Known: contrasts, exact, usual"):
        en.fit(network(), Model(likelihood="normal"))


def test_one_class_for_all_treatments_is_one_tau():
    table = TABLE.assign(**{"class": "all"})
    one = en.fit(network(table=table), Model())
    by_class = en.fit(network(table=table), Model(heterogeneity=Exchangeable(by="class")))
    assert list(by_class.hyper) == ["tau[all]"]
    assert np.allclose(one.estimate, by_class.estimate, atol=1e-12)
    assert one.tau == by_class.tau


def test_tau_by_class_gives_each_class_its_own():
    fit = en.fit(means(), Model(heterogeneity=Exchangeable(sd=HalfNormal(0.5), by="class")))
    assert set(fit.hyper) == {"tau[new]", "tau[former]", "tau[control]"}
    assert fit.status.ok


def test_the_variance_of_a_new_study_is_the_mean_of_both_classes():
    fit = en.fit(means(), Model(heterogeneity=Exchangeable(sd=HalfNormal(0.5), by="class")))
    row = en.predictive_effects(fit, comparator="placebo").set_index("treatment").loc["old"]
    inside = en.relative_effects(fit, comparator="placebo").set_index("treatment").loc["old"]
    at = [list(fit.hyper).index(f"tau[{c}]") for c in ("former", "control")]
    between = fit.weights @ (fit.hyper_draws[:, at] ** 2).mean(1)
    assert row["se"] ** 2 == pytest.approx(inside["se"] ** 2 + between)


def test_tau_by_class_needs_classes():
    with pytest.raises(ModelError, match=r"no.* for high, low, old"):
        en.fit(means(classes=False), Model(heterogeneity=Exchangeable(by="class")))


def test_engines_with_one_tau_refuse_tau_by_class():
    with pytest.raises(ModelError, match="one tau"):
        en.fit(means(), Model(heterogeneity=Exchangeable(by="class")), engine="gls")
