"""Compare rates with R, and measure what intervals cover; fail above tolerance or below coverage.

    python validation/rates/run.py

The reference numbers stand beside this file (reference.json, made by reference.R), so nothing else is needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import enthesis as en
from enthesis.inference.across_studies import AcrossStudies
from enthesis.inference.glmm import mixed_model
from enthesis.inference.rates import pooled_rate, rate_interval, rate_ratio_interval
from enthesis.models.priors import HalfNormal, Normal

HERE = Path(__file__).parent
#: closed forms; what an optimiser and its curvature end at
EXACT, OPTIMISED = 1e-9, 5e-5


def gap(ours, theirs) -> float:
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    return float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b))))


def comparisons(told: dict) -> Iterator[tuple[str, float, float]]:
    one = told["poisson.test"]
    ours = np.array([rate_interval(r, one["exposure"]) for r in one["events"]])
    yield "interval of a rate: poisson.test", gap(ours, np.array([one["lower"], one["upper"]]).T), EXACT
    for pair in told["poisson.test ratio"]:
        ours = rate_ratio_interval(*pair["counts"])[1:]
        theirs = [pair["lower"], pair["upper"] if pair["upper"] is not None else np.inf]
        finite = np.isfinite(theirs)
        yield f"interval of a ratio {pair['counts']}", gap(np.array(ours)[finite], np.array(theirs)[finite]), EXACT
    trial, zeros = told["data"]["nielweise2008"], told["data"]["zeros"]
    sets = {name: (trial[f"x{i}"], np.array(trial[f"t{i}"]) / 1000) for i, name in ((1, "treated"), (2, "control"))}
    sets["zeros"] = (zeros["x"], zeros["t"])
    for name, (r, E) in sets.items():
        fit = pooled_rate(r, E, model="poisson-normal")
        theirs = told["rma.glmm IRLN, nAGQ 21"][name]
        yield (
            f"Poisson-normal, {name}: log rate, se, tau²",
            gap([fit.log_estimate, fit.se, fit.tau**2], theirs),
            OPTIMISED,
        )
        fit = pooled_rate(r, E, model="negative-binomial")
        theirs = told["glm.nb"][name]
        ours = [fit.log_estimate, fit.tau**2, fit.log_likelihood]
        yield f"negative binomial, {name}: log rate, alpha, log likelihood", gap(ours, theirs), OPTIMISED
    rows = [
        {"study": f"{i:02d}", "treatment": arm, "events": r, "time_at_risk": t / 1000}
        for i in range(len(trial["x1"]))
        for arm, r, t in (("treated", trial["x1"][i], trial["t1"][i]), ("control", trial["x2"][i], trial["t2"][i]))
    ]
    table = en.cells(en.from_table(rows, reference="control"))
    for kind, theirs in told["rma.glmm IRR"].items():
        fit = mixed_model(table, kind, points=7)  # type: ignore[arg-type]
        # the references used metafor's default of 7 quadrature points
        yield f"rate ratio {kind}: log ratio, se, tau²", gap([fit.estimate, fit.se, fit.tau**2], theirs), 1e-3


def coverage(rng: np.random.Generator, worlds: int = 400) -> Iterator[tuple[str, float]]:
    """Share of worlds whose true value is inside the 95 % interval."""
    inside = {"poisson-normal": 0, "negative-binomial": 0}
    for _ in range(worlds):
        E = rng.uniform(1.0, 8.0, 8)
        for model in inside:
            spread = rng.normal(0, 0.4, 8) if model == "poisson-normal" else np.log(rng.gamma(5, 1 / 5, 8))
            r = rng.poisson(E * 0.8 * np.exp(spread))
            fit = pooled_rate(r, E, model=model)  # type: ignore[arg-type]
            inside[model] += fit.lower <= 0.8 <= fit.upper
    for model, n in inside.items():
        yield f"pooled rate of 8 studies, {model}", n / worlds
    yield "ratio across studies, true values drawn from its priors", _ratios(rng, worlds)


def _ratios(rng: np.random.Generator, worlds: int) -> float:
    """One treated and two comparator studies; theta ~ Normal(0, 2²), spread ~ half-normal(0.5)."""
    grid, inside = np.linspace(-9, 9, 1801), 0
    for _ in range(worlds):
        theta, s = rng.normal(0, 2), abs(rng.normal(0, 0.5))
        u = rng.normal(0, s, 3)
        E = np.array([300.0, 1200.0, 400.0])
        r = rng.poisson(E * 0.02 * np.exp(u + np.array([theta, 0, 0])))
        if r.sum() == 0:
            inside += 1
            continue
        data = AcrossStudies(treated=((r[0], E[0]),), comparator=((r[1], E[1]), (r[2], E[2])), spread=HalfNormal(0.5))
        logs = data.log_likelihood(grid) + Normal(0, 2).log_density(grid)
        cdf = np.cumsum(np.exp(logs - logs.max()))
        inside += 0.025 <= np.interp(theta, grid, cdf / cdf[-1]) <= 0.975
    return inside / worlds


def main() -> int:
    """Print every comparison; 1 when one fails."""
    failed = 0
    for name, worst, allowed in comparisons(json.loads((HERE / "reference.json").read_text(encoding="utf-8"))):
        bad = not worst <= allowed
        failed += bad
        print(f"{'FAIL' if bad else 'ok  '} {worst:8.1e} (allowed {allowed:.0e})  {name}")
    for name, share in coverage(np.random.default_rng(20260101)):
        bad = not 0.92 <= share <= 0.99
        failed += bad
        print(f"{'FAIL' if bad else 'ok  '} {share:8.3f} (0.92 to 0.99)   coverage: {name}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
