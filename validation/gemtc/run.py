"""Compare reference results of gemtc with enthesis; fail where one exceeds its tolerance.

    ENTHESIS_REFERENCE=<folder with golden/ and data/> python validation/gemtc/run.py [name ...]

Names choose among the files of golden/gemtc by their beginning. Without ENTHESIS_REFERENCE nothing is compared.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path.append(str(Path(__file__).parents[1]))
from posteriors import SLACK, Found, compare_draws, report

from enthesis.assess.node_split_table import node_split_table
from enthesis.estimands import ranks
from enthesis.inference.criticism import dic
from enthesis.inference.fit import Fit, fit
from enthesis.models.consistency import NodeSplit, UnrelatedMeanEffects
from enthesis.models.heterogeneity import Common, Exchangeable
from enthesis.models.model import Model
from enthesis.models.priors import Uniform
from enthesis.models.regression import Regression
from enthesis.network.network import Network
from enthesis.network.tables import from_table

RANK, DEVIANCE, P_VALUE = 0.02, 0.5, 0.03
DRAWS = 8000
TAILS = ("q2.5", "q97.5")
#: treatments under the names that the results use
NAMES = {
    "smoking": lambda t: t.replace(" ", "_").replace("-", "_"),
    "parkinsons": lambda t: f"T{t}",
    "blocker": lambda t: t.replace(" ", "_"),
    "dietary_fat": lambda t: t.replace(" ", "_"),
}
#: file and measure of each data set
DATA = {
    "smoking": ("smoking.csv", "OR"),
    "bcg": ("bcg_vaccine.csv", "OR"),
    "blocker": ("blocker.csv", "OR"),
    "dietary_fat": ("dietary_fat.csv", "IRR"),
    "parkinsons": ("parkinsons.csv", "MD"),
    "statins": ("statins.csv", "OR"),
}


def network_of(name: str, data: Path, reference: str | None) -> Network:
    key = next(k for k in DATA if name.startswith(k))
    file, measure = DATA[key]
    table = pd.read_csv(data / file)
    table["treatment"] = table["treatment"].astype(str).map(NAMES.get(key, str))
    columns = {"mean": "y", "se": "se"} if measure == "MD" else None
    return from_table(table, measure=measure, columns=columns, reference=reference)


def model_of(settings: dict, network: Network) -> Model:
    random = settings["linearModel"] == "random"
    model = Model(heterogeneity=Exchangeable(sd=Uniform(0, 5)) if random else Common())
    if settings["type"] == "ume":
        return model.replace(consistency=UnrelatedMeanEffects())
    if settings["type"] == "regression":
        ((name, values),) = network.covariates.items()
        # centred at the mean over studies; a covariate of two values keeps its unit, others are divided by two
        # standard deviations (Gelman A, Stat Med 2008;27:2865)
        scale = 1.0 if len(np.unique(values)) == 2 else 2 * np.std(values, ddof=1)
        return model.replace(regression=Regression(covariate=name, scale=float(scale)))
    return model


def with_prior_of_b(found: Fit) -> Fit:
    """The fit under gemtc's prior of the coefficient by weighting its draws, which are under normal(0, 100).

    That prior is Cauchy with the scale of the outcome, which gemtc takes from the data: the largest observed contrast.
    """
    b = found.theta[:, found.theta_names.index("beta")]
    scale = max(float(np.abs(group.y).max()) for group in found.network.pairs.groups)
    ratio = stats.cauchy.pdf(b, 0, scale) / stats.norm.pdf(b, 0, 100)
    weights = found.weights * ratio
    return replace(found, weights=weights / weights.sum())


def table_of(part: dict) -> pd.DataFrame:
    """A data frame of one or more rows; one row comes as numbers instead of lists."""
    return pd.DataFrame({k: v if isinstance(v, list) else [v] for k, v in part.items()})


def draws_of(found: Fit, label: str) -> np.ndarray:
    if label == "sd.d":
        return found.tau_draws
    if label == "B":
        return found.theta[:, found.theta_names.index("beta")]
    a, b = label.removeprefix("d.").split(".")
    for first, second, sign in ((b, a, 1.0), (a, b, -1.0)):
        name = f"d[{first} vs {second}]"
        if name in found.theta_names:
            return sign * found.theta[:, found.theta_names.index(name)]
    return found.d[:, found.network.index(b)] - found.d[:, found.network.index(a)]


def fitted(raw: dict, data: Path) -> Fit:
    unrelated = raw["settings"]["type"] == "ume"
    # without consistency the baseline of each study decides what is compared: gemtc takes the first by name
    reference = raw.get("reference") or ("Group_counselling" if unrelated else None)
    network = network_of(raw["label"], data, reference)
    found = fit(network, model_of(raw["settings"], network), engine="laplace", draws=DRAWS)
    return with_prior_of_b(found) if found.model.regression is not None else found


def consistency_results(raw: dict, data: Path) -> Found:
    found = fitted(raw, data)
    yield "status", float(found.status.ok), 1.0, 0.0
    for _, row in table_of(raw["raw_parameters"]).iterrows():
        yield from compare_draws(
            row["param"], draws_of(found, row["param"]), found.weights, row, row["mc_error"], TAILS
        )
    for name, mine in (("Dbar", "residual_deviance"), ("pD", "pD"), ("DIC", "DIC")):
        yield mine, dic(found, draws=DRAWS)[mine], raw["dic"][name], DEVIANCE
    if "rank_probability" in raw:
        part = raw["rank_probability"]
        ours = ranks(found, better="higher" if part["preferredDirection"] == 1 else "lower").set_index("treatment")
        for name, values in zip(part["matrix"]["rows"], part["matrix"]["values"], strict=True):
            for i, value in enumerate(values):
                yield f"rank {name} {i + 1}", ours.loc[name, f"rank_{i + 1}"], value, RANK
        for name, value in part["sucra"].items():
            yield f"SUCRA {name}", ours.loc[name, "sucra"], value, RANK


def node_split_results(raw: dict, data: Path) -> Found:
    network = network_of(raw["label"], data, None)
    their = table_of(raw["p_value"])
    splits = tuple(NodeSplit(treatment=b, comparator=a) for a, b in zip(their["t1"], their["t2"], strict=True))
    model = Model(heterogeneity=Exchangeable(sd=Uniform(0, 5)))
    ours = node_split_table(network, model, splits=splits, multi_arm="reduced", draws=DRAWS)
    for (_, row), (_, line) in zip(ours.iterrows(), their.iterrows(), strict=True):
        what = f"{line['t2']} vs {line['t1']}"
        part = table_of({k: v for k, v in raw["per_split"][f"d.{line['t1']}.{line['t2']}"].items() if k != "dic"})
        for kind in ("direct", "indirect"):
            one = part.set_index("param").loc[f"d.{kind}"]
            se = float(np.hypot(one["mc_error"], row[f"{kind}_se"] / np.sqrt(DRAWS)))
            yield f"{kind} {what}", row[kind], one["mean"], 4 * se + SLACK
            # few studies per split leave long tails, in which standard deviations settle slowly
            yield f"{kind} {what} sd", row[f"{kind}_se"], one["sd"], 10 * se + SLACK
        tau = part.set_index("param").loc["sd.d"]
        yield f"tau {what}", row["tau"], tau["mean"], 4 * tau["mc_error"] + SLACK
        yield f"p {what}", row["p"], line["p"], P_VALUE


def results(path: Path, data: Path) -> Found:
    raw = json.loads(path.read_text(encoding="utf-8"))
    yield from node_split_results(raw, data) if "per_split" in raw else consistency_results(raw, data)


if __name__ == "__main__":
    sys.exit(report("gemtc", results))
