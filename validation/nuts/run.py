"""Deterministic engine against NUTS, model by model.

    python validation/nuts/run.py [--draws 4000] [--only NAME] [--missing] [--report]

Writes `cases/<case>.csv` (a row per parameter), `rare.csv` and `summary.csv`; 1 when a difference is larger than Monte
Carlo error. With --missing only cases without a file are run; with --report none.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

HERE = Path(__file__).parent
TESTS = HERE.parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(HERE.parents[1] / "benchmarks")]

from bayesian import simulated as simulated_rows  # noqa: E402

import enthesis as en  # noqa: E402
from enthesis.inference import exact, laplace, nuts  # noqa: E402
from enthesis.inference.convergence import mean_ess  # noqa: E402
from enthesis.inference.diagnostics import quantiles  # noqa: E402
from enthesis.inference.result import Posterior  # noqa: E402
from enthesis.models.compile import compile_target  # noqa: E402
from enthesis.models.target import Target  # noqa: E402
from families import FAMILIES, Family, simulated  # noqa: E402

#: over all differences of all cases together
LEVEL = 0.01
#: tables of the tests; the second has a treatment without any event, which needs a prior that says something
TABLES = {
    "smoking cessation": ("hasselblad1998.csv", en.Model()),
    "mortality in liver transplantation": (
        "gurusamy2011.csv",
        en.Model(effects=en.PerTreatment(prior=en.Normal(0, 2))),
    ),
}
#: a large network of the benchmarks: treatments, studies
LARGE = (100, 1000)
#: the rare network: studies, patients on A, and on each of B and C, risk on A, odds ratios of B and C, repetitions
RARE = {"studies": 20, "n_reference": 400, "n_other": 100, "risk": 0.005, "odds_ratios": (0.5, 1.5), "repeats": 100,
        "by_nuts": 5}  # fmt: skip


def _family(family: Family) -> Target:
    return simulated(family.target, np.random.default_rng([20260102, len(family.name)]))[2]


def _table(name: str) -> Target:
    file, model = TABLES[name]
    return compile_target(model, en.from_table(TESTS / "tables" / file, measure="OR"))


def cases() -> dict[str, Callable[[], Target]]:
    """Name and target of every case; those that the exact engine answers without study effects are left out."""
    found = {f.name: (lambda f=f: _family(f)) for f in FAMILIES}
    found |= {name: (lambda name=name: _table(name)) for name in TABLES}
    return found | {"unrelated mean effects, one without events": _unbounded, "100 treatments, 1,000 studies": _large}


def _unbounded() -> Target:
    """Smoking cessation with the reference for which one comparison has only a study without events in one arm."""
    table = pd.read_csv(TESTS / "tables" / "hasselblad1998.csv")[["study", "trt", "xi", "ni"]]
    table.columns = ["study", "treatment", "events", "n"]
    network = en.from_table(table, measure="OR", reference="ind_counseling")
    return compile_target(en.Model(consistency=en.UnrelatedMeanEffects(prior=en.Normal(0, 10))), network)


def _large() -> Target:
    return compile_target(en.Model(), en.from_table(simulated_rows(*LARGE), measure="OR", reference="T000"))


def compared(target: Target, draws: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """Mean and sd of every parameter by both engines, with the difference in Monte Carlo standard errors."""
    engine = exact if exact.applies(target) else laplace
    began = time.process_time()
    ours = engine.posterior(target, draws=draws, seed=1)
    middle = time.process_time()
    theirs = nuts.posterior(target, draws=draws, seed=1)
    seconds = {"laplace": middle - began, "nuts": time.process_time() - middle}
    names = [*target.names, *(x.name for x in target.hypers)]
    rows = []
    for j, name in enumerate(names):
        a, b = _numbers(ours, j), _numbers(theirs, j)
        row = {"parameter": name, "mean": a["mean"], "mean_nuts": b["mean"], "sd": a["sd"], "sd_nuts": b["sd"],
               "z_mean": (a["mean"] - b["mean"]) / np.hypot(a["mean_error"], b["mean_error"]),
               "z_sd": (a["sd"] - b["sd"]) / np.hypot(a["sd_error"], b["sd_error"])}  # fmt: skip
        rows.append(row)
    note = {"status_ok": ours.status.ok, "nuts_ok": theirs.status.ok,
            "pareto_k": ours.diagnostics.get("pareto_k", -np.inf),
            "r_hat": theirs.diagnostics["r_hat"], "ess_nuts": theirs.diagnostics["bulk_ess"],
            "seconds": seconds["laplace"], "seconds_nuts": seconds["nuts"]}  # fmt: skip
    return pd.DataFrame(rows), note


def _numbers(found: Posterior, j: int) -> dict[str, float]:
    """Mean and sd of a parameter with their Monte Carlo standard errors."""
    x = np.c_[found.theta, found.hyper][:, j]
    w = found.weights
    mean = float(w @ x)
    squares = (x - mean) ** 2
    variance = float(w @ squares)
    if found.diagnostics["method"] == "nuts":
        each = x.reshape(found.diagnostics["chains"], -1)
        mean_error = np.sqrt(variance / mean_ess(each))
        variance_error = np.sqrt(squares.var() / mean_ess((each - mean) ** 2))
    else:
        # of weighted draws: the large weights may sit at large values
        mean_error = np.sqrt(np.sum(w**2 * squares))
        variance_error = np.sqrt(np.sum(w**2 * (squares - variance) ** 2))
    sd = np.sqrt(variance)
    return {"mean": mean, "sd": sd, "mean_error": mean_error, "sd_error": variance_error / (2 * sd)}


def rare_network(seed: int) -> en.Network:
    """Studies of rare events with one large arm on A and small arms on B, C or both, as in a 4 : 1 randomisation."""
    rng = np.random.default_rng([20260103, seed])
    rows = []
    for study in range(RARE["studies"]):
        odds = RARE["risk"] / (1 - RARE["risk"]) * np.exp(rng.normal(0, 0.3))
        arms = [("A", RARE["n_reference"], 1.0)]
        arms += [
            (x, RARE["n_other"], o) for x, o in zip("BC", RARE["odds_ratios"], strict=True) if study % 3 != "BC".find(x)
        ]
        for treatment, n, ratio in arms:
            risk = odds * ratio / (1 + odds * ratio)
            rows.append({"study": f"{study:02d}", "treatment": treatment, "events": int(rng.binomial(n, risk)), "n": n})
    return en.from_table(rows, measure="OR", reference="A")


def rare() -> pd.DataFrame:
    """Log odds ratios of rare networks by each way: one data set in full, bias and coverage over many.

    `largest_gap` is the largest difference of an estimate or an end of an interval from that of the grid, in posterior
    standard deviations.
    """
    model = en.Model(effects=en.PerTreatment(prior=en.Normal(0, 2)), heterogeneity=en.Common())
    ways = {"nuts": "nuts", "laplace": "laplace", "half an event added": "gls"}
    truth = dict(zip("BC", np.log(RARE["odds_ratios"]), strict=True))
    rows = []
    for seed in range(RARE["repeats"]):
        network = rare_network(seed)
        for treatment, numbers in on_grid(network).items():
            rows.append((seed, treatment, "grid", truth[treatment], *numbers))
        for name, engine in ways.items():
            if engine == "nuts" and seed >= RARE["by_nuts"]:
                continue
            fit = en.fit(network, model, engine=engine)
            for treatment, value in truth.items():
                at = fit.treatments.index(treatment)
                sd = np.sqrt(fit.covariance[at, at])
                rows.append((seed, treatment, name, value, fit.estimate[at], sd, *_interval(fit, at)))
    columns = ["seed", "treatment", "by", "truth", "estimate", "sd", "lower", "upper"]
    found = pd.DataFrame(rows, columns=columns)
    found["covered"] = (found["lower"] <= found["truth"]) & (found["truth"] <= found["upper"])
    first = found[found["seed"] == 0].set_index(["treatment", "by"])[["truth", "estimate", "sd", "lower", "upper"]]
    exact = found[found["by"] == "grid"].set_index(["seed", "treatment"])
    at = pd.MultiIndex.from_frame(found[["seed", "treatment"]])
    sd = exact.loc[at, "sd"].to_numpy()
    gaps = [(found[x] - exact.loc[at, x].to_numpy()).abs() / sd for x in ("estimate", "lower", "upper")]
    found["gap"] = np.max(gaps, axis=0)
    over = found.groupby(["treatment", "by"]).agg(
        networks=("seed", "size"), mean_estimate=("estimate", "mean"), coverage=("covered", "mean"),
        largest_gap=("gap", "max"),
    )  # fmt: skip
    return first.join(over).reset_index()


def on_grid(network: en.Network, prior_sd: float = 2.0) -> dict[str, tuple[float, float, float, float]]:
    """Mean, sd and 95 % interval of the effects of B and C by plain integration on a grid; nothing is shared.

    The likelihood of each study is integrated over its baseline by the trapezoidal rule at each point of a grid of both
    effects; common effects, logit link, baselines with the prior Normal(0, 100²).
    """
    d = np.linspace(-8, 4, 161)
    mu = np.r_[np.linspace(-350, -16, 120), np.linspace(-15.9, 1, 170)]
    log_width = np.log(np.gradient(mu))[:, None, None] - 0.5 * (mu[:, None, None] / 100) ** 2
    mu = mu[:, None, None]
    effect = {"A": 0.0, "B": d[:, None], "C": d[None, :]}
    block = network.blocks[0]
    log_p = -0.5 * (d[:, None] ** 2 + d[None, :] ** 2) / prior_sd**2
    for study in np.unique(block.study):
        value = log_width
        for i in np.flatnonzero(block.study == study):
            eta = mu + effect[network.treatment_names[block.treatment[i]]]
            value = value + block.r[i] * eta - block.n[i] * np.logaddexp(0, eta)
        top = value.max()
        log_p = log_p + np.log(np.exp(value - top).sum(0)) + top
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    out = {}
    for name, margin in (("B", p.sum(1)), ("C", p.sum(0))):
        mean = float(margin @ d)
        cdf = np.cumsum(margin) - 0.5 * margin
        lower, upper = np.interp([0.025, 0.975], cdf, d)
        out[name] = (mean, float(np.sqrt(margin @ (d - mean) ** 2)), float(lower), float(upper))
    return out


def _interval(fit: en.Fit, at: int) -> tuple[float, float]:
    if fit.d is None:
        half = 1.959964 * np.sqrt(fit.covariance[at, at])
        return fit.estimate[at] - half, fit.estimate[at] + half
    return tuple(quantiles(fit.d[:, at], fit.weights, (0.025, 0.975)))


def file_of(case: str) -> Path:
    """Where a case's numbers are kept."""
    return HERE / "cases" / (re.sub(r"[^a-z0-9]+", "-", case.lower()).strip("-") + ".csv")


def summary(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per case: largest difference, and its p-value over the case's own parameters."""
    rows = []
    for case, table in found.items():
        z = table[["z_mean", "z_sd"]].abs().to_numpy().ravel()
        p = min(1.0, 2 * norm.sf(z.max()) * len(z))
        gap = ((table["mean"] - table["mean_nuts"]).abs() / table["sd_nuts"]).max()
        ratio = table["sd"] / table["sd_nuts"]
        rows.append((case, len(table), z.max(), p, gap, ratio.min(), ratio.max(), *table.iloc[0][NOTES]))
    columns = ["case", "parameters", "largest_z", "p", "largest_gap_in_sd", "smallest_sd_ratio", "largest_sd_ratio"]
    return pd.DataFrame(rows, columns=[*columns, *NOTES])


NOTES = ["status_ok", "nuts_ok", "pareto_k", "r_hat", "ess_nuts", "seconds", "seconds_nuts"]


def main() -> int:
    """Run, summarise; 1 when the engines differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--only", default="")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    (HERE / "cases").mkdir(exist_ok=True)
    every = cases()
    for case, target in every.items():
        if options.report or options.only not in case or (options.missing and file_of(case).is_file()):
            continue
        table, note = compared(target(), options.draws)
        table.assign(**note).to_csv(file_of(case), index=False, float_format="%.5g")
        print(f"{case}: {note}", flush=True)
    if not options.report and options.only in ("", "rare network"):
        rare().to_csv(HERE / "rare.csv", index=False, float_format="%.4f")
    found = {case: pd.read_csv(file_of(case)) for case in every if file_of(case).is_file()}
    table = summary(found)
    table.to_csv(HERE / "summary.csv", index=False, float_format="%.4g")
    print(table.to_string(index=False, float_format=lambda x: f"{x:.3g}"))
    judged = table[table["status_ok"]]
    return int((judged["p"] < LEVEL / len(judged)).any())


if __name__ == "__main__":
    sys.exit(main())
