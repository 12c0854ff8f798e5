"""What borrowing costs and gains in simulated worlds: type I error, coverage, power and width over the weight.

    python validation/borrowing/calibration.py [--draws 80] [--report]

Own data: a fixed number of events, split between two sides with equal patient-years; the split is added up over all its
outcomes, so that only the external studies are simulated. External: four studies whose true log rate ratios lie around
the own one plus a bias. Writes `results.csv` and the figures; with --report the figures are made again.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom

from enthesis.inference.borrowing import setup
from enthesis.inference.borrowing_density import Panels
from enthesis.models.borrowing import RobustMap
from enthesis.models.one_parameter import EffectEstimate, EventCounts

HERE = Path(__file__).parent
SEED = 20260201
WEIGHTS = np.round(np.linspace(0, 1, 11), 2)
#: standard errors of the external studies, and the spread of their true effects
SE = np.array([0.12, 0.18, 0.22, 0.30])
TAU = 0.15
EVENTS = (6, 25, 100)
EFFECTS = {"no effect": 0.0, "ratio 2": float(np.log(2.0))}
#: mean of the external effects minus the own effect; None: a new one in every world, as the model expects
BIASES: dict[str, float | None] = {
    "0": 0.0, "0.25": 0.25, "0.5": 0.5, "1": 1.0, "as the model expects": None,
}  # fmt: skip


def external(rng: np.random.Generator, truth: float, bias: float | None) -> list[EffectEstimate]:
    """External studies; without a stated bias the own effect is one more draw from the family of the external ones."""
    if bias is None:
        # tau from its prior, own and external effects around one mean
        tau = abs(rng.normal(0, 0.5))
        centre = truth + rng.normal(0, tau)
    else:
        tau, centre = TAU, truth + bias
    effects = rng.normal(centre, tau, len(SE))
    return [EffectEstimate(estimate=float(rng.normal(m, s)), se=float(s)) for m, s in zip(effects, SE, strict=True)]


def edges(truth: float) -> np.ndarray:
    """Panels on which everything is added up; no effect and the truth are edges, so that tails end there."""
    return np.unique(np.r_[np.linspace(-20, -3, 18), np.linspace(-3, 3, 121), np.linspace(3, 20, 18), truth])


def priors(sources: list[EffectEstimate], panels: Panels) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each method the prior at every weight, and its borrowed and its vague part, at the nodes."""
    vague = np.exp(RobustMap().vague.log_density(panels.nodes))
    borrowed = setup([], sources, RobustMap(weight=1.0)).at().prior.density(panels.nodes)
    mixed = WEIGHTS[:, None] * borrowed + (1 - WEIGHTS[:, None]) * vague
    log_likelihood = sum(e.log_likelihood(panels.nodes) for e in sources)
    powers = vague * np.exp(WEIGHTS[:, None] * (log_likelihood - log_likelihood.max()))
    return {"robust MAP": (mixed, borrowed, vague), "power prior": (powers, borrowed, vague)}


def one_world(events: int, truth: float, method: str, prior, panels: Panels) -> np.ndarray:
    """For each weight: excluded no effect, covered the truth, sd, squared error, weight after; added up over splits."""
    at_weights, borrowed, vague = prior
    split = np.arange(events + 1)
    probability = binom.pmf(split, events, 1 / (1 + np.exp(-truth)))
    kept = split[probability > 1e-9]
    likelihood = np.exp(np.array([
        EventCounts(
            events=int(r), exposure=1.0, comparator_events=int(events - r), comparator_exposure=1.0
        ).log_likelihood(panels.nodes)
        for r in kept
    ]))  # fmt: skip
    x, weighted = panels.nodes, likelihood * panels.weights
    total = at_weights @ weighted.T
    mean, square = (at_weights * x) @ weighted.T / total, (at_weights * x**2) @ weighted.T / total
    below = {t: (at_weights[:, x < t] @ weighted[:, x < t].T) / total for t in (0.0, truth)}
    excluded = (below[0.0] < 0.025) | (below[0.0] > 0.975)
    covered = (below[truth] >= 0.025) & (below[truth] <= 0.975)
    after = np.full(total.shape, np.nan)
    if method == "robust MAP":
        one, other = borrowed @ weighted.T, vague @ weighted.T
        after = WEIGHTS[:, None] * one / (WEIGHTS[:, None] * one + (1 - WEIGHTS[:, None]) * other)
    found = [excluded, covered, np.sqrt(square - mean**2), (mean - truth) ** 2, after]
    share = probability[kept] / probability[kept].sum()
    return np.stack([f @ share for f in found], axis=1)


def simulate(draws: int) -> pd.DataFrame:
    """All worlds."""
    columns = ["excludes_1", "coverage", "sd", "squared_error", "weight_after"]
    tables = []
    for (effect, truth), (bias_name, bias) in itertools.product(EFFECTS.items(), BIASES.items()):
        if effect != "no effect" and bias_name not in ("0", "0.5"):
            continue
        began = time.perf_counter()
        # the same studies up to the shift in every world
        rng = np.random.default_rng([SEED, bias is None])
        panels = Panels(edges(truth))
        found: dict[tuple[int, str], list[np.ndarray]] = {}
        for _ in range(draws):
            for method, prior in priors(external(rng, truth, bias), panels).items():
                for events in EVENTS:
                    found.setdefault((events, method), []).append(one_world(events, truth, method, prior, panels))
        for (events, method), each in found.items():
            stacked = np.array(each)
            table = pd.DataFrame(stacked.mean(axis=0), columns=columns)
            table["rmse"] = np.sqrt(table.pop("squared_error"))
            table["error"] = stacked[:, :, 1].std(axis=0) / np.sqrt(draws)
            for at, (name, value) in enumerate(
                {"own_events": events, "effect": effect, "bias": bias_name, "method": method, "weight": WEIGHTS}.items()
            ):
                table.insert(at, name, value)
            tables.append(table.assign(draws=draws))
        print(f"{effect}, bias {bias_name}: {time.perf_counter() - began:.0f} s", flush=True)
    return pd.concat(tables)


def figures(table: pd.DataFrame) -> None:
    """Type I error and coverage over the weight, one panel for each number of own events and method."""
    import altair as alt

    null = table[table["effect"] == "no effect"]
    palette = alt.Scale(domain=list(BIASES), range=["#0072b2", "#e69f00", "#d55e00", "#a1005e", "#7f7f7f"])
    dash = alt.Scale(domain=list(BIASES), range=[[1, 0], [6, 2], [4, 3], [2, 2], [8, 3, 2, 3]])

    def panel(rows: pd.DataFrame, column: str, title: str, line: float, label: str):
        x = alt.X("weight:Q", title="Borrowing weight", scale=alt.Scale(domain=[0, 1]))
        curve = (
            alt.Chart(rows)
            .mark_line(strokeWidth=1.8)
            .encode(
                x=x, y=alt.Y(f"{column}:Q", title=label, scale=alt.Scale(domain=[0, 1])),
                color=alt.Color("bias:N", title="Bias (log ratio)", scale=palette, sort=list(BIASES)),
                strokeDash=alt.StrokeDash("bias:N", title="Bias (log ratio)", scale=dash, sort=list(BIASES)),
            )
        )  # fmt: skip
        rule = alt.Chart(pd.DataFrame({"y": [line]})).mark_rule(color="#999").encode(y="y:Q")
        return (rule + curve).properties(width=190, height=150, title=title)

    for column, file, line, label in (
        ("excludes_1", "type-1-error.svg", 0.05, "Type I error"), ("coverage", "coverage.svg", 0.95, "Coverage"),
    ):  # fmt: skip
        rows = (
            null if column == "excludes_1" else table[(table["effect"] == "ratio 2") | (table["effect"] == "no effect")]
        )
        rows = rows[rows["effect"] == "no effect"]
        charts = [
            panel(rows[(rows["own_events"] == n) & (rows["method"] == m)], column, f"{m}, {n} own events", line, label)
            for m in ("robust MAP", "power prior")
            for n in EVENTS
        ]
        alt.concat(*charts, columns=3).configure_title(fontSize=11).save(str(HERE / file))
    power = table[table["effect"] != "no effect"]
    charts = [
        panel(
            power[(power["own_events"] == n) & (power["method"] == m)],
            "excludes_1",
            f"{m}, {n} own events",
            0.8,
            "Power",
        )
        for m in ("robust MAP", "power prior")
        for n in EVENTS
    ]
    alt.concat(*charts, columns=3).configure_title(fontSize=11).save(str(HERE / "power.svg"))


def verdict(table: pd.DataFrame) -> list[str]:
    """What must hold whatever borrowing costs: nothing is lost without borrowing or where the model is right."""
    problems = []
    none = table[(table["weight"] == 0) & (table["effect"] == "no effect")]
    if (none["excludes_1"] > 0.06).any():
        problems.append("the type I error without borrowing is above 0.06")
    if none.groupby("own_events")["coverage"].agg(np.ptp).max() > 1e-6:
        problems.append("a weight of 0 depends on the external data")
    full = table[(table["weight"] == 1) & (table["method"] == "robust MAP") & (table["bias"] == "as the model expects")]
    if (np.abs(full["coverage"] - 0.95) > 4 * full["error"] + 0.01).any():
        problems.append("the coverage of the MAP prior is not 0.95 in worlds drawn from its own model")
    return problems


def main(arguments: list[str] | None = None) -> int:
    """Simulate, summarise, draw; 1 when something that must hold does not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=80)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args(arguments)
    file = HERE / "results.csv"
    if options.report:
        table = pd.read_csv(file)
    else:
        table = simulate(options.draws)
        table.to_csv(file, index=False, float_format="%.4f")
    figures(table)
    show = table[(table["effect"] == "no effect") & table["weight"].isin([0, 0.2, 0.5, 1])]
    for column in ("excludes_1", "coverage"):
        print(f"\n{column}")
        print(
            show.pivot_table(index=["method", "own_events", "weight"], columns="bias", values=column)
            .round(3)
            .to_string()
        )
    problems = verdict(table)
    print("\n".join(problems) or "\nwithout borrowing, and in worlds as the model expects, all is as it should be")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
