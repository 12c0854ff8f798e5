"""Model files: every model can be written and read back, and every mistake is named with its key and mend."""

import tomllib
from itertools import product

import pytest

import catalogue
from enthesis.errors import DataError
from enthesis.models.baseline import Independent
from enthesis.models.effects import ClassEffects
from enthesis.models.file import model_from, model_toml, prior_text, read_model
from enthesis.models.heterogeneity import Exchangeable
from enthesis.models.model import Model
from enthesis.models.priors import HalfNormal, LogNormal, Normal, OnVariance, parse_prior
from enthesis.models.regression import Regression

PARTS = list(
    product(catalogue.EFFECTS, catalogue.HETEROGENEITIES, catalogue.CONSISTENCIES, (None, *catalogue.REGRESSIONS))
)


@pytest.mark.parametrize("parts", PARTS, ids=lambda p: "-".join(type(x).__name__ for x in p))
def test_every_model_of_the_catalogue_is_read_back_as_it_was_written(parts):
    effects, heterogeneity, consistency, regression = parts
    model = Model(effects=effects, heterogeneity=heterogeneity, consistency=consistency, regression=regression)
    assert model_from(tomllib.loads(model_toml(model))) == model


def test_settings_that_are_not_the_default_are_read_back():
    model = Model(
        effects=ClassEffects(sd=OnVariance(LogNormal(-1.23456789012345, 0.1)), per_class=True, prior=Normal(0.5, 3)),
        heterogeneity=Exchangeable(sd=HalfNormal(0.25), by="class"),
        baseline=Independent(prior=Normal(-1, 7.5)),
        regression=Regression(
            covariate='a "year"', interactions="exchangeable", centre=-2.5, scale=10, sd=HalfNormal(2)
        ),
        likelihood="contrasts",
    )
    assert model_from(_without_title(model)) == model


def _without_title(model):
    raw = tomllib.loads(model_toml(model, title="t"))
    assert raw.pop("title") == "t"
    return raw


@pytest.mark.parametrize("prior", catalogue.PRIORS, ids=str)
def test_every_prior_is_read_back_from_its_text(prior):
    assert parse_prior(prior_text(prior)) == prior


def test_a_file_says_how_the_model_is_fitted_and_options_count_instead(tmp_path):
    path = tmp_path / "vague.toml"
    path.write_text(
        'prior_tau = "uniform(0, 5)"\nengine = "laplace"\nseed = 7\nid = "vague"\nonly_outcomes = ["ASAS40"]'
    )
    found = read_model(path, override={"prior_tau": "half-normal(0.5)", "seed": 8})
    assert found.title == "vague"
    assert found.fit == {"engine": "laplace", "seed": 8}
    assert found.model.heterogeneity.sd == HalfNormal(0.5)


def test_a_published_prior_may_stand_in_a_file():
    model = model_from({"prior_tau": "turner2012(mortality, non-pharmacological vs any)"})
    assert model.heterogeneity.sd == OnVariance(LogNormal(-3.93, 1.51))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("effect = 'random'", "m.toml, column 'effect'.*not a key of a model file.*Did you mean 'effects'"),
        ("effects = 'fixed'", "column 'effects', value 'fixed'.*Known: common, random"),
        ("prior_tau = 'normal(0, 1)'", "column 'prior_tau'.*below 0.*half-normal"),
        ("prior_tau = 'half-normal(x)'", "column 'prior_tau', value 'half-normal.x.'.*1 finite number"),
        ("prior_d = 'uniform(0, 1)'", "column 'prior_d'.*must be a normal"),
        ("likelihood = 'exakt'", "column 'likelihood'.*Did you mean 'exact'"),
        ("seed = 'one'", "column 'seed', value 'one'.*whole number"),
        ("treatments = 'class'", "column 'treatments'.*must be a table.*Write .treatments."),
        ("[treatments]\nkind = 'class'\nper_class = 'yes'", "column 'treatments.per_class'.*true or false"),
        ("[treatments]\nkind = 'class'\nspread = 1", "'treatments.spread'.*not a key of the table .treatments."),
        (
            "[consistency]\nkind = 'node split'\ntreatment = 'B'",
            "'consistency.comparator': is missing.*Write comparator",
        ),
        ("[regression]\nkind = 'covariate'", "'regression.covariate': is missing"),
        ("[regression]\nkind = 'covariate'\ncovariate = 'x'\nscale = 0", "'regression.scale', value '0'.*above 0"),
        ("[regression]\nkind = 'baseline risk'\ncentre = inf", "'regression.centre', value 'inf'.*finite"),
        ("effects = ", "m.toml: is not TOML"),
    ],
)
def test_a_mistake_is_named_with_file_key_value_and_mend(tmp_path, text, words):
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_model(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.toml: cannot be read"):
        read_model(tmp_path / "nothing.toml")
