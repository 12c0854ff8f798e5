"""Meta-analytic-predictive priors beside the values that RBesT's documentation prints, then the calibration.

    python validation/borrowing/run.py [--no-calibration]

Data and mixtures are those of `tests/reference/test_rbest.py`. Writes `rbest.csv`; 1 when a value is outside its
tolerance, or when `calibration.py` fails.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tests" / "reference")]

import calibration  # noqa: E402
import test_rbest as rbest  # noqa: E402

from enthesis.inference.borrowing_conjugate import (  # noqa: E402
    Decision,
    probability_of_difference,
    success_probability,
    success_region,
    update,
)
from enthesis.inference.borrowing_ess import effective_size  # noqa: E402
from enthesis.inference.borrowing_map import fit_mixture  # noqa: E402
from enthesis.models.mixtures import BetaMixture, GammaMixture, NormalMixture  # noqa: E402
from enthesis.models.one_parameter import EffectEstimate, Responders  # noqa: E402

#: draws of gMAP, and how many independent ones they are taken to be worth
EFFECTIVE = 2000


def error_of_quantile(prior, p: float) -> float:
    """Monte Carlo error of a quantile on the natural scale: sqrt(p (1 - p) / n) / density."""
    at = float(prior.predictive.quantile(p))
    near = prior.quantile(prior.predictive.cdf(np.array([at - 0.01, at + 0.01])))
    density = float(prior.predictive.density(np.array([at]))[0]) * 0.02 / float(near[1] - near[0])
    return float(np.sqrt(p * (1 - p) / EFFECTIVE) / density)


def sampled() -> list[tuple[str, float, float, float]]:
    """Quantities that RBesT samples: name, printed, ours, Monte Carlo standard error."""
    rows = []
    for tau, mean, sd, quantiles, tau_mean, tau_sd in (
        (1.0, 0.255, 0.0864, (0.106, 0.247, 0.461), 0.387, 0.215),
        (0.5, 0.259, 0.0776, (0.129, 0.250, 0.442), 0.335, 0.172),
    ):
        prior, name = rbest.map_of_as(tau), f"AS, tau half-normal({tau:g})"
        rows.append((f"{name}: predicted rate, mean", mean, prior.mean, prior.sd / EFFECTIVE**0.5))
        rows.append((f"{name}: predicted rate, sd", sd, prior.sd, prior.sd / (2 * EFFECTIVE) ** 0.5 * 1.5))
        for p, printed in zip((0.025, 0.5, 0.975), quantiles, strict=True):
            rows.append((f"{name}: predicted rate, {p:g} quantile", printed, float(prior.quantile(p)),
                         error_of_quantile(prior, p)))  # fmt: skip
        found = prior.hierarchy.tau_posterior
        rows.append((f"{name}: tau, mean", tau_mean, found.mean, found.sd / EFFECTIVE**0.5))
        rows.append((f"{name}: tau, sd", tau_sd, found.sd, found.sd / (2 * EFFECTIVE) ** 0.5 * 1.5))
    crohn = rbest.map_of_crohn()
    rows.append(("Crohn: predicted change, mean", -50.0, crohn.mean, crohn.sd / EFFECTIVE**0.5))
    rows.append(("Crohn: predicted change, sd", 19.3, crohn.sd, crohn.sd / (2 * EFFECTIVE) ** 0.5 * 2.5))
    for p, printed in zip((0.025, 0.5, 0.975), (-93.1, -48.6, -13.8), strict=True):
        rows.append((f"Crohn: predicted change, {p:g} quantile", printed, float(crohn.quantile(p)),
                     error_of_quantile(crohn, p)))  # fmt: skip
    tau = crohn.hierarchy.tau_posterior
    rows.append(("Crohn: tau, mean", 14.3, tau.mean, tau.sd / EFFECTIVE**0.5))
    rows.append(("Crohn: tau, sd", 9.99, tau.sd, tau.sd / (2 * EFFECTIVE) ** 0.5 * 1.5))
    return rows


def exact() -> list[tuple[str, float, float, float]]:
    """Quantities without Monte Carlo error: name, printed, ours, half a unit of the last digit printed."""
    beta = BetaMixture(weights=(0.2, 0.8), a=(1, 10), b=(1, 2))
    normal = NormalMixture(weights=(0.5, 0.5), location=(0, 3), scale=(2, 4), unit_sd=10)
    gamma = GammaMixture(weights=(0.3, 0.7), shape=(20, 50), rate=(4, 10))
    logit = NormalMixture(weights=(1.0,), location=(np.log(1 / 3),), scale=(np.sqrt(1 / 5 + 1 / 15),))
    rows = [
        ("beta mixture: ELIR", 7.65152, effective_size(beta), 5e-6),
        ("beta mixture: moment", 3.161034, effective_size(beta, "moment"), 5e-7),
        ("beta mixture: Morita", 8.487603, effective_size(beta, "morita"), 2e-6),
        ("normal mixture: ELIR", 10.82796, effective_size(normal), 5e-6),
        ("normal mixture: moment", 8.163265, effective_size(normal, "moment"), 5e-7),
        ("gamma mixture, Poisson: ELIR", 7.159378, effective_size(gamma), 5e-7),
        ("gamma mixture, exponential: ELIR", 34.93388, effective_size(gamma, data="exponential"), 5e-6),
        ("normal prior of a logit: ELIR", 21.78289, effective_size(logit, data="binomial"), 5e-6),
    ]
    for name, mixture, sizes in (
        ("AS mixture", rbest.AS_MIXTURE, {"elir": 38, "moment": 24, "morita": 95}),
        ("Crohn mixture", rbest.CROHN_MIXTURE, {"elir": 39, "moment": 21, "morita": 89}),
    ):
        rows += [(f"{name}: {m}", float(v), effective_size(mixture, m), 0.5) for m, v in sizes.items()]
    rows.append(("AS mixture, robust 0.2: ELIR", 27.0, effective_size(rbest.AS_MIXTURE.robust(0.2, mean=0.5)), 0.5))
    rows.append(
        ("Crohn mixture, robust 0.2: ELIR", 28.0, effective_size(rbest.CROHN_MIXTURE.robust(0.2, mean=-50)), 0.5)
    )
    placebo = update(rbest.AS_MIXTURE.robust(0.2, mean=0.5), Responders(events=1, n=6))
    active = update(rbest.TREATMENT, Responders(events=14, n=24))
    rows.append(("AS trial: P(difference > 0)", 0.9917197, probability_of_difference(active, placebo), 5e-8))
    weak = NormalMixture(weights=(1,), location=(-50,), scale=(88,))
    one = update(weak, EffectEstimate(estimate=-29.2, se=14.0))
    two = update(rbest.CROHN_MIXTURE.robust(0.2, mean=-50), EffectEstimate(estimate=-63.1, se=13.9))
    rows.append(("Crohn trial: P(difference < 0)", 0.06270104, probability_of_difference(one, two, above=False), 5e-9))
    rate = rbest.AS_MIXTURE.mean
    for name, treatment, control, n, printed in (
        ("non-robust", rbest.TREATMENT, rbest.AS_MIXTURE, 6, 0.302),
        ("uniform 24:24", rbest.UNIFORM, rbest.UNIFORM, 24, 0.341),
        ("robust", rbest.TREATMENT, rbest.AS_MIXTURE.robust(0.2, mean=0.5), 6, 0.368),
        ("uniform", rbest.UNIFORM, rbest.UNIFORM, 6, 0.529),
    ):
        region = success_region(treatment, control, 24, n, Decision(probabilities=(0.95,)))
        found = brentq(lambda d, r=region: success_probability(r, rate + d, rate) - 0.8, 0, 1 - rate)
        rows.append((f"AS design, {name}: difference with 80 % power", printed, float(found), 5e-4))
    return rows


def main() -> int:
    """Compare, then calibrate; 1 when something does not agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-calibration", action="store_true")
    options = parser.parse_args()
    columns = ["quantity", "rbest", "ours", "error"]
    drawn, known = pd.DataFrame(sampled(), columns=columns), pd.DataFrame(exact(), columns=columns)
    # a printed number is itself rounded in its third digit
    rounding = 0.5 * 10 ** (np.floor(np.log10(drawn["rbest"].abs())) - 2)
    drawn["z"] = (drawn["ours"] - drawn["rbest"]).abs().sub(rounding).clip(lower=0) / drawn["error"]
    known["z"] = (known["ours"] - known["rbest"]).abs() / known["error"]
    table = pd.concat([drawn.assign(kind="sampled"), known.assign(kind="exact")])
    table.to_csv(HERE / "rbest.csv", index=False, float_format="%.7g")
    print(table.to_string(index=False, float_format=lambda x: f"{x:.6g}"))
    fitted = fit_mixture(rbest.map_of_as())
    print(f"\nown mixture of the AS prior: {fitted.mixture}, divergence {fitted.divergence:.2g}")
    failed = int((drawn["z"] > 4).any() or (known["z"] > 1.001).any())
    print("RBesT: " + ("something does not agree" if failed else "all agree"))
    if options.no_calibration:
        return failed
    return failed | calibration.main([])


if __name__ == "__main__":
    sys.exit(main())
