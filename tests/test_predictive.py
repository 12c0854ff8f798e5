"""Predictive effects of Bayesian fits: the posterior of the effect, widened by tau independently of it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

import enthesis as en

TABLES = Path(__file__).parent / "tables"


@pytest.mark.parametrize("table", ["nielweise2008.csv", "hasselblad1998.csv"])
def test_the_interval_holds_95_percent_of_a_new_study(table):
    """Against the mixture of normals over the draws, whose distribution function needs no new random number."""
    result = en.fit(en.from_table(TABLES / table))
    for row in en.predictive_effects(result).itertuples():
        a, b = result.network.index(row.treatment), result.network.index(row.comparator)
        effect, tau = result.d[:, a] - result.d[:, b], np.maximum(result.tau_draws, 1e-9)
        below = [float(result.weights @ ndtr((x - effect) / tau)) for x in (row.lower, row.upper)]
        assert below == pytest.approx([0.025, 0.975], abs=0.008)  # 4,000 draws: standard error 0.0025
