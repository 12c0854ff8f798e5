"""The figures of Bayesian models: each draws for 2 and for 60 treatments, says itself in words, and fits nothing."""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid

import enthesis as en
from enthesis.assess.model_tables import deviance_of_two, prior_and_posterior, shrinkage
from enthesis.errors import ModelError, UsageError
from enthesis.inference.criticism import deviance_table
from enthesis.models.consistency import UnrelatedMeanEffects
from enthesis.models.effects import ClassEffects
from enthesis.report.plots import PLOTS
from enthesis.report.render.svg import draw

OURS = ("dev_dev", "leverage", "prior_posterior", "shrinkage", "specification_curve")


def network(treatments: int, studies: int, seed: int = 3):
    """Two-arm studies against placebo and between neighbours; classes of four treatments; normal data."""
    rng = np.random.default_rng(seed)
    names = ["placebo", *(f"treatment {i}" for i in range(1, treatments))]
    rows = []
    for s in range(studies):
        b = 1 + s % (treatments - 1)
        a = 0 if s % 3 else b - 1
        for arm in (a, b):
            mean = 0.5 * (arm > 0) + 0.02 * arm + rng.normal(0, 0.2)
            rows.append({"study": f"S{s:03d}", "treatment": names[arm], "mean": mean, "se": 0.2,
                         "class": "" if arm == 0 else f"class {(arm - 1) // 4}"})  # fmt: skip
    return en.from_table(rows, measure="MD", reference="placebo", better="higher")


def curve(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    estimate = rng.normal(0.3, 0.2, rows)
    odd = np.arange(rows) % 2
    engine, prior = np.where(odd, "gls", "laplace"), np.where(odd, "", "half-normal(1)")
    return pd.DataFrame({
        "engine": engine, "prior_tau": prior, "without": [f"study {i}" for i in range(rows)], "estimate": estimate,
        "lower": estimate - 0.4, "upper": estimate + 0.4, "status": "ok",
    })  # fmt: skip


def tables(treatments: int, studies: int) -> dict[str, tuple[pd.DataFrame, dict]]:
    data = network(treatments, studies)
    model = en.Model(heterogeneity=en.Exchangeable(sd=en.HalfNormal(0.5)))
    fit = en.fit(data, model, draws=500)
    unrelated = en.fit(data, model.replace(consistency=UnrelatedMeanEffects()), draws=500)
    classes = en.fit(data, model.replace(effects=ClassEffects()), draws=500)
    return {
        "dev_dev": (deviance_of_two(fit, unrelated, draws=500), {"first": "consistent", "second": "unrelated"}),
        "leverage": (deviance_table(fit, draws=500), {}),
        "prior_posterior": (prior_and_posterior(fit), {}),
        "shrinkage": (shrinkage(classes, fit), {"measure": "mean difference"}),
        "specification_curve": (curve(treatments), {"axes": ["engine", "prior_tau", "without"], "mid": 0.1}),
    }


@pytest.fixture(scope="module", params=[(2, 6), (60, 130)], ids=["2 treatments", "60 treatments"])
def examples(request):
    return tables(*request.param)


@pytest.fixture(scope="module")
def eight():
    return network(8, 30)


def test_every_plot_of_a_model_is_in_the_list_of_plots():
    assert set(OURS) <= set(PLOTS)


@pytest.mark.parametrize("name", OURS)
def test_a_plot_draws(examples, name):
    table, options = examples[name]
    assert draw(lambda: PLOTS[name].chart(table, **options)).startswith("<svg")


@pytest.mark.parametrize("name", OURS)
def test_a_plot_is_a_valid_specification(examples, name):
    table, options = examples[name]
    assert "$schema" in PLOTS[name].chart(table, **options).to_dict()


@pytest.mark.parametrize("name", OURS)
def test_a_plot_says_itself_in_words(examples, name):
    table, options = examples[name]
    said = PLOTS[name].alt_text(table, **options)
    assert len(said) > 40
    assert "nan" not in said.split()


@pytest.mark.parametrize("name", OURS)
def test_a_plot_leaves_its_table_as_it_was(examples, name):
    table, options = examples[name]
    before = table.copy(deep=True)
    PLOTS[name].chart(table, **options)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("name", OURS)
def test_a_plot_imports_nothing_that_fits(name):
    tree = ast.parse(inspect.getsource(PLOTS[name]))
    named = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [m for m in named if m and m.startswith(("enthesis.assess", "enthesis.inference", "enthesis.models"))]


@pytest.mark.parametrize("name", OURS)
def test_a_hostile_name_stays_text(eight, name):
    evil = '<script>alert(1)</script>"; datum.x'
    model = en.Model(heterogeneity=en.Common())
    fit = en.fit(eight, model, draws=200)
    table, options = {
        "dev_dev": lambda: (deviance_of_two(fit, fit, draws=200).assign(study=evil, first=5.0), {}),
        "leverage": lambda: (deviance_table(fit, draws=200).assign(study=evil, residual_deviance=9.0), {}),
        "prior_posterior": lambda: (prior_and_posterior(fit, ["treatment 1"]).assign(parameter=evil), {}),
        "shrinkage": lambda: (
            shrinkage(en.fit(eight, model.replace(effects=ClassEffects()), draws=200), fit).assign(
                treatment=evil, group=evil
            ),
            {},
        ),
        "specification_curve": lambda: (curve(4).assign(engine=[evil, "b", evil, "b"]), {"axes": ["engine"]}),
    }[name]()
    assert "<script" not in draw(lambda: PLOTS[name].chart(table, **options))


# the tables behind them


def test_densities_integrate_to_one(eight):
    table = prior_and_posterior(en.fit(eight, en.Model(heterogeneity=en.Exchangeable(sd=en.HalfNormal(0.5)))))
    after = table[table["which"] == "posterior"]
    for name, its in after.groupby("parameter"):
        assert trapezoid(its["density"], its["value"]) == pytest.approx(1, abs=0.01), name


def test_a_prior_that_the_data_leave_alone_is_the_posterior():
    rows = [{"study": s, "treatment": t, "mean": m, "se": 20.0} for s in "12" for t, m in (("A", 0.0), ("B", 1.0))]
    fit = en.fit(
        en.from_table(rows, measure="MD", reference="A"), en.Model(heterogeneity=en.Exchangeable(sd=en.HalfNormal(1)))
    )
    table = prior_and_posterior(fit, ["tau"]).pivot(index="value", columns="which", values="density")
    inside = table[table.index < 2.0]
    np.testing.assert_allclose(inside["posterior"], inside["prior"], atol=0.06)


def test_class_effects_shrink_towards_the_class(eight):
    model = en.Model(heterogeneity=en.Common())
    tight = ClassEffects(sd=en.HalfNormal(0.01))
    table = shrinkage(en.fit(eight, model.replace(effects=tight)), en.fit(eight, model))
    within = table.groupby("group")["estimate"].std()
    assert (within < 0.02).all()
    assert (table["ratio"] < 1).all()
    np.testing.assert_allclose(table["estimate"], table["class_mean"], atol=0.05)


def test_class_effects_with_a_wide_prior_are_nearly_unrelated(eight):
    model = en.Model(heterogeneity=en.Common())
    wide = ClassEffects(sd=en.Uniform(20, 30))
    table = shrinkage(en.fit(eight, model.replace(effects=wide)), en.fit(eight, model))
    np.testing.assert_allclose(table["estimate"], table["unrelated"], atol=0.01)


def test_two_fits_of_one_model_lie_on_the_line(eight):
    fit = en.fit(eight, en.Model(heterogeneity=en.Common()))
    table = deviance_of_two(fit, fit)
    assert table["first"].tolist() == table["second"].tolist()


def test_a_misfit_is_named(eight):
    table = deviance_table(en.fit(eight, en.Model(heterogeneity=en.Common())))
    table.loc[3, "residual_deviance"] = 20.0
    assert f"{table.loc[3, 'study']}, {table.loc[3, 'treatment']}" in PLOTS["leverage"].alt_text(table)


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda a, b: deviance_of_two(a, b), UsageError, "on one network"),
        (lambda a, b: shrinkage(a, a), ModelError, "ClassEffects"),
        (lambda a, b: prior_and_posterior(a, ["treatment 99"]), UsageError, "parameter 'treatment 99' is not known"),
        (lambda a, b: prior_and_posterior(en.fit(a.network, engine="gls")), ModelError, "needs a Bayesian fit"),
    ],
    ids=["two networks", "no classes", "unknown parameter", "no draws"],
)
def test_what_cannot_be_compared_is_refused_with_a_sentence(eight, call, kind, sentence):
    model = en.Model(heterogeneity=en.Common())
    with pytest.raises(kind, match=sentence):
        call(en.fit(eight, model, draws=200), en.fit(network(4, 9), model, draws=200))
