"""Simulation-based calibration of the deterministic engine, one family of models after the other.

    python validation/calibration/run.py [--simulations 200] [--draws 2000] [--only NAME] [--missing] [--report]

Writes `ranks/<family>.csv` (a row per simulation and parameter), `results.csv` (a row per parameter) and the figures.
With --missing only families without ranks are run; with --report none, and figures and results.csv are made again.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from enthesis.inference import exact, laplace  # noqa: E402
from families import FAMILIES, Family, simulated  # noqa: E402

SEED = 20260101
#: places at which the distribution of ranks is looked at
GRID = np.arange(1, 100) / 100
#: a family fails when its smallest p-value, times its number of parameters, is below this (over all families, again
#: divided by their number)
LEVEL = 0.01


def ranks(family: Family, simulations: int, draws: int) -> pd.DataFrame:
    """Where the true parameters lie in their posteriors: study, parameter, u, status."""
    target = family.target
    names = [*target.names, *(x.name for x in target.hypers)]
    rows = []
    for i in range(simulations):
        theta, h, data = simulated(target, np.random.default_rng([SEED, zlib.crc32(family.name.encode()), i]))
        engine = exact if exact.applies(data) else laplace
        found = engine.posterior(data, draws=draws, seed=i + 1)
        values, truth = np.c_[found.theta, found.hyper], np.r_[theta, h]
        below = (values < truth).T @ found.weights
        k = found.diagnostics.get("pareto_k", -np.inf)
        rows += [(i, name, u, found.status.ok, k) for name, u in zip(names, below, strict=True)]
    return pd.DataFrame(rows, columns=["simulation", "parameter", "u", "ok", "pareto_k"])


@functools.cache
def tails(size: int) -> np.ndarray:
    """Two-sided binomial tail of every count at every place of the grid, shape (size + 1, grid)."""
    count = np.arange(size + 1)[:, None]
    return 2 * np.minimum(binom.cdf(count, size, GRID), binom.sf(count - 1, size, GRID))


def depth(u: np.ndarray) -> float:
    """How improbable the most improbable point of the empirical distribution of u is, under uniformity.

    The smallest two-sided binomial tail over the grid: the statistic of the simultaneous bands of Säilynoja T, Bürkner
    PC, Vehtari A, Stat Comput 2022;32:32.
    """
    count = np.searchsorted(np.sort(u), GRID, side="right")
    return float(tails(len(u))[count, np.arange(len(GRID))].min())


@functools.cache
def null_depths(size: int, repeats: int = 4000) -> np.ndarray:
    """The statistic for uniform u, sorted."""
    rng = np.random.default_rng(5)
    return np.sort([depth(rng.random(size)) for _ in range(repeats)])


@functools.cache
def band(size: int, level: float = 0.05) -> pd.DataFrame:
    """Simultaneous band of the empirical distribution minus the uniform: at, lower, upper."""
    gamma = np.quantile(null_depths(size), level)
    low, high = binom.ppf(gamma / 2, size, GRID), binom.ppf(1 - gamma / 2, size, GRID)
    return pd.DataFrame({"at": GRID, "lower": low / size - GRID, "upper": high / size - GRID})


def results(all_ranks: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per family and parameter: mean of u, p-value of uniformity, share of fits with status ok."""
    rows = []
    for family, table in all_ranks.items():
        for parameter, part in table.groupby("parameter", sort=False):
            size = len(part)
            null = null_depths(size)
            p = (np.searchsorted(null, depth(part["u"].to_numpy()), side="right") + 1) / (len(null) + 1)
            inside = part["u"].between(0.025, 0.975).mean()
            rows.append(
                (family, parameter, size, part["u"].mean(), inside, p, part["ok"].mean(), part["pareto_k"].max())
            )
    columns = ["family", "parameter", "simulations", "mean_u", "coverage_95", "p", "status_ok", "largest_k"]
    return pd.DataFrame(rows, columns=columns)


def by_family(table: pd.DataFrame) -> pd.DataFrame:
    """Bonferroni within a family."""
    found = table.groupby("family", sort=False).agg(
        parameters=("p", "size"), simulations=("simulations", "first"), smallest_p=("p", "min"),
        coverage_95=("coverage_95", "mean"), status_ok=("status_ok", "mean"),
    )  # fmt: skip
    found["p"] = np.minimum(1.0, found["smallest_p"] * found["parameters"])
    return found.drop(columns="smallest_p").reset_index()


def figure(all_ranks: dict[str, pd.DataFrame]):
    """Empirical distribution of u minus the uniform, every parameter a line, with the simultaneous 95 % band."""
    import altair as alt

    charts = []
    for family, table in all_ranks.items():
        size = table["simulation"].nunique()
        lines = pd.concat([
            pd.DataFrame({"at": GRID, "gap": np.searchsorted(np.sort(t["u"]), GRID, side="right") / size - GRID,
                          "parameter": name})
            for name, t in table.groupby("parameter", sort=False)
        ])  # fmt: skip
        x = alt.X("at:Q", title="Rank of the true value", scale=alt.Scale(domain=[0, 1]))
        area = alt.Chart(band(size)).mark_area(color="#d9d9d9").encode(x=x, y=alt.Y("lower:Q", title=""), y2="upper:Q")
        line = (
            alt.Chart(lines)
            .mark_line(strokeWidth=1)
            .encode(x=x, y=alt.Y("gap:Q", title="Gap"), color=alt.Color("parameter:N", legend=None))
        )
        charts.append((area + line).properties(width=200, height=110, title=family))
    return alt.concat(*charts, columns=3).configure_title(fontSize=11)


def file_of(family: str) -> Path:
    """Where the ranks of a family are kept."""
    return HERE / "ranks" / (re.sub(r"[^a-z0-9]+", "-", family.lower()).strip("-") + ".csv")


def main() -> int:
    """Simulate, summarise, draw; 1 when a family is not calibrated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", default="")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    (HERE / "ranks").mkdir(exist_ok=True)
    for family in FAMILIES:
        if options.report or options.only not in family.name or (options.missing and file_of(family.name).is_file()):
            continue
        began = time.perf_counter()
        ranks(family, options.simulations, options.draws).to_csv(file_of(family.name), index=False, float_format="%.5f")
        print(f"{family.name}: {options.simulations} simulations, {time.perf_counter() - began:.0f} s", flush=True)
    found = {f.name: pd.read_csv(file_of(f.name)) for f in FAMILIES if file_of(f.name).is_file()}
    table = results(found)
    table.to_csv(HERE / "results.csv", index=False, float_format="%.4g")
    figure(found).save(str(HERE / "ranks.svg"))
    families = by_family(table)
    print(families.to_string(index=False, float_format=lambda x: f"{x:.3g}"))
    failed = families[families["p"] < LEVEL / len(families)]
    return int(len(failed) > 0)


if __name__ == "__main__":
    sys.exit(main())
