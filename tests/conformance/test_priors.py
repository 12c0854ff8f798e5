"""Every prior: a density that integrates to one, quantiles that invert it, and words that name it."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

import catalogue
from enthesis.errors import UsageError
from enthesis.hashing import content_hash
from enthesis.models.priors import HalfNormal, LogNormal, Normal, OnVariance, Uniform, parse_prior

ALL = [pytest.param(p, id=str(p)) for p in catalogue.PRIORS]


def mass(prior, upper):
    """Probability below a value, by integrating the density piece by piece."""
    cuts = [prior.support[0], *(float(prior.quantile(p)) for p in (1e-6, 0.01, 0.2, 0.5, 0.8, 0.99)), upper]
    cuts = [c for c in cuts if c <= upper]
    return sum(quad(lambda x: np.exp(prior.log_density(x)), a, b)[0] for a, b in pairwise(cuts))


@pytest.mark.parametrize("prior", ALL)
def test_the_density_integrates_to_one(prior):
    assert mass(prior, prior.support[1]) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("prior", ALL)
@pytest.mark.parametrize("p", [0.05, 0.5, 0.975])
def test_a_quantile_has_its_probability_below_it(prior, p):
    assert mass(prior, float(prior.quantile(p))) == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize("prior", ALL)
def test_the_density_is_zero_outside_the_support(prior):
    outside = [edge + side for edge, side in zip(prior.support, (-0.1, 0.1)) if np.isfinite(edge)]
    assert all(prior.log_density(x) == -np.inf for x in outside)


@pytest.mark.parametrize("prior", ALL)
def test_a_prior_is_named_by_its_own_words(prior):
    assert parse_prior(str(prior)) == prior


def test_different_priors_have_different_hashes():
    assert len({content_hash(p) for p in catalogue.PRIORS}) == len(catalogue.PRIORS)


@pytest.mark.parametrize(
    "make",
    [lambda: Normal(0, 0), lambda: Uniform(2, 1), lambda: HalfNormal(-1), lambda: LogNormal(0, float("nan"))],
    ids=["sd 0", "upper below lower", "negative", "NaN"],
)
def test_a_prior_that_is_none_is_refused(make):
    with pytest.raises(UsageError):
        make()


@pytest.mark.parametrize("text", ["", "normal", "normal(1)", "uniform(0,inf)", "gamma(1,2)", "__import__('os')"])
def test_words_that_name_no_prior_are_refused(text):
    with pytest.raises(UsageError, match="prior"):
        parse_prior(text)


def test_a_prior_on_the_variance_is_asked_for_in_words():
    assert parse_prior("log-normal(-3.93, 1.51) on variance") == OnVariance(LogNormal(-3.93, 1.51))
