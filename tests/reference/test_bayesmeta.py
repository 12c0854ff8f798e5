"""The normal hierarchical model beside bayesmeta 3.4 (R 4.2.2), which is exact up to its own tolerance.

Data: BCG vaccine, log risk ratios of 13 trials (Colditz GA et al., JAMA 1994;271:698), and acute rejection after
paediatric liver transplantation, log odds ratios of 6 trials (Crins ND et al., Pediatr Transplant 2014;18:839). Prior
of mu Normal(0, 4²); tau half-normal(0.5) or half-Cauchy(0.5). Values: posterior medians, means and standard deviations
of tau, mu and the prediction theta, from `bayesmeta(y, sigma, mu.prior = c(0, 4), tau.prior = ...)$summary`.

bayesmeta replaces the mixture over tau by a coarse one (its DIRECT algorithm, default tolerance): standard deviations
of mu and theta agree to 0.002, everything else to 0.0002. Adding up over 400,000 values of tau gives ours to 5 digits.
"""

from __future__ import annotations

import numpy as np
import pytest

from enthesis.inference.borrowing_hierarchy import hierarchy
from enthesis.models.one_parameter import EffectEstimate
from enthesis.models.priors import HalfCauchy, HalfNormal, Normal

CASES = [
    {
        "name": "bcg halfnormal0.5",
        "y": [
            -0.88931133,
            -1.58538866,
            -1.34807315,
            -1.44155119,
            -0.21754732,
            -0.78611559,
            -1.62089822,
            0.01195233,
            -0.46941765,
            -1.3713448,
            -0.33935883,
            0.4459134,
            -0.01731395,
        ],
        "se": [
            0.57060035,
            0.4411135,
            0.64449047,
            0.14145682,
            0.22629665,
            0.08310005,
            0.47224702,
            0.06294108,
            0.23755886,
            0.270231,
            0.11141012,
            0.72972998,
            0.2672165,
        ],
        "tau": (0.553614, 0.571763, 0.142962),
        "mu": (-0.707607, -0.710245, 0.187228),
        "theta": (-0.706905, -0.710245, 0.619241),
    },
    {
        "name": "bcg halfcauchy0.5",
        "y": [
            -0.88931133,
            -1.58538866,
            -1.34807315,
            -1.44155119,
            -0.21754732,
            -0.78611559,
            -1.62089822,
            0.01195233,
            -0.46941765,
            -1.3713448,
            -0.33935883,
            0.4459134,
            -0.01731395,
        ],
        "se": [
            0.57060035,
            0.4411135,
            0.64449047,
            0.14145682,
            0.22629665,
            0.08310005,
            0.47224702,
            0.06294108,
            0.23755886,
            0.270231,
            0.11141012,
            0.72972998,
            0.2672165,
        ],
        "tau": (0.563373, 0.587978, 0.16185),
        "mu": (-0.708239, -0.711113, 0.192407),
        "theta": (-0.707492, -0.711113, 0.640357),
    },
    {
        "name": "crins halfnormal0.5",
        "y": [-2.30970256, -0.45953233, -2.30258509, -1.75785792, -1.25846099, -2.41789594],
        "se": [0.5994763, 0.55639556, 0.88034084, 0.4558685, 0.64199618, 1.52881075],
        "tau": (0.344502, 0.381056, 0.259367),
        "mu": (-1.573482, -1.576437, 0.32953),
        "theta": (-1.570165, -1.576437, 0.567185),
    },
    {
        "name": "crins halfcauchy0.5",
        "y": [-2.30970256, -0.45953233, -2.30258509, -1.75785792, -1.25846099, -2.41789594],
        "se": [0.5994763, 0.55639556, 0.88034084, 0.4558685, 0.64199618, 1.52881075],
        "tau": (0.350323, 0.425112, 0.34808),
        "mu": (-1.574558, -1.57873, 0.351916),
        "theta": (-1.570634, -1.57873, 0.65229),
    },
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_tau_mean_and_prediction_agree(case):
    rows = [EffectEstimate(estimate=y, se=s) for y, s in zip(case["y"], case["se"], strict=True)]
    prior = HalfNormal(0.5) if "normal" in case["name"] else HalfCauchy(0.5)
    found = hierarchy(rows, mu=Normal(0, 4), tau=prior)
    tau = found.tau_posterior
    ours = [
        (found.tau[0], tau.mean, tau.sd), (found.mu.median, found.mu.mean, found.mu.sd),
        (found.predictive.median, found.predictive.mean, found.predictive.sd),
    ]  # fmt: skip
    within = np.array([[5e-5, 5e-5, 5e-5], [2e-4, 2e-4, 2e-3], [2e-4, 2e-4, 2e-3]])
    assert np.all(np.abs(np.array(ours) - [case["tau"], case["mu"], case["theta"]]) < within)


def test_the_standard_deviation_of_the_prediction_is_that_of_adding_up_over_tau():
    case = CASES[2]
    y, s = np.array(case["y"]), np.array(case["se"])
    tau = (np.arange(40_000) + 0.5) / 40_000 * 4
    variance = s**2 + tau[:, None] ** 2
    precision = (1 / variance).sum(axis=1) + 1 / 16
    mean = (y / variance).sum(axis=1) / precision
    log_w = -0.5 * (tau / 0.5) ** 2 - 0.5 * np.log(variance).sum(axis=1) - 0.5 * (y**2 / variance).sum(axis=1)
    log_w += 0.5 * mean**2 * precision - 0.5 * np.log(precision)
    w = np.exp(log_w - log_w.max())
    w /= w.sum()
    sd = np.sqrt(w @ (1 / precision + tau**2 + mean**2) - (w @ mean) ** 2)
    rows = [EffectEstimate(estimate=a, se=b) for a, b in zip(y, s, strict=True)]
    assert hierarchy(rows, mu=Normal(0, 4), tau=HalfNormal(0.5)).predictive.sd == pytest.approx(sd, abs=1e-5)
