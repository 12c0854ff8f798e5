"""Effects that change with a study's own baseline: the model of Achana et al. (NICE DSU TSD 3)."""

import numpy as np
import pytest
from scipy.stats import binom, norm

import enthesis as en
from enthesis.inference.integrals import default_centres, log_marginal
from enthesis.models.additions import observed_baseline
from enthesis.models.baseline import Independent
from enthesis.models.compile import compile_target
from enthesis.models.priors import Normal
from enthesis.models.regression import BaselineRisk

CENTRE = -1.0


def network(measure="OR"):
    rows = [dict(study="1", treatment=t, events=r, n=n) for t, r, n in (("A", 12, 60), ("B", 25, 62))]
    return en.from_table(rows, measure=measure, reference="A")


@pytest.mark.parametrize("beta", [-0.9, 0.0, 0.5])
def test_effects_vary_by_tau_around_the_line_whatever_its_slope(beta):
    d, tau = 0.8, 0.6
    model = en.Model(regression=BaselineRisk(centre=CENTRE), baseline=Independent(prior=Normal(0, 2)))
    target = compile_target(model, network())
    found = log_marginal(target, np.array([[d, beta]]), np.array([[tau]]), default_centres(target, 1), (31, 21))

    # p(y | d, beta, tau) as Achana et al. write it, summed on a grid of the baseline and of the deviation
    mu, delta = np.linspace(-4, 2, 601)[:, None], np.linspace(-6 * tau, 6 * tau, 601)[None, :]
    eta = mu + d + beta * (mu - CENTRE) + delta
    density = norm.pdf(mu, 0, 2) * norm.pdf(delta, 0, tau) * binom.pmf(12, 60, 1 / (1 + np.exp(-mu)))
    density = density * binom.pmf(25, 62, 1 / (1 + np.exp(-eta)))
    expected = np.log(density.sum() * (mu[1, 0] - mu[0, 0]) * (delta[0, 1] - delta[0, 0]))
    assert found[0] == pytest.approx(expected, abs=1e-4)


def test_the_centre_is_on_the_scale_of_the_link():
    assert observed_baseline(network("OR")) == pytest.approx(np.log(12 / 48))
    assert observed_baseline(network("PROBIT")) == pytest.approx(norm.ppf(0.2))


def test_the_centre_of_a_hazard_is_the_log_hazard():
    rows = [dict(study="1", treatment=t, events=r, n=60, time=2.0) for t, r in (("A", 12), ("B", 25))]
    followed = en.from_table(rows, measure="HR", reference="A")
    assert observed_baseline(followed) == pytest.approx(np.log(-np.log(0.8) / 2.0))
