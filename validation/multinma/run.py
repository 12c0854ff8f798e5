"""Compare reference results of multinma with enthesis; fail where one exceeds its tolerance.

    ENTHESIS_REFERENCE=<folder with golden/ and data/> python validation/multinma/run.py [name ...]

Names choose among the files of golden/multinma by their beginning. Without ENTHESIS_REFERENCE nothing is compared.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))
from posteriors import SLACK, Found, compare_draws, quantile_allowance, report, sd_error

from enthesis.assess.node_split_table import node_split_table
from enthesis.estimands import absolute_effects, parameters, predictive_effects, ranks, relative_effects
from enthesis.inference.criticism import dic
from enthesis.inference.diagnostics import effective_sample_size
from enthesis.inference.fit import Fit, fit
from enthesis.models.baseline import Independent
from enthesis.models.consistency import UnrelatedMeanEffects
from enthesis.models.effects import PerTreatment
from enthesis.models.heterogeneity import Common, Exchangeable
from enthesis.models.model import Model
from enthesis.models.priors import HalfNormal, LogNormal, Normal, OnVariance
from enthesis.models.regression import Regression
from enthesis.network.combine import combine
from enthesis.network.network import Network
from enthesis.network.tables import from_table

#: of rank probabilities, and of deviance criteria
RANK, DEVIANCE = 0.02, 0.5
#: a p-value of a few thousand draws
P_VALUE = 0.03
DRAWS = 8000
#: models with individual patients, or results that are not of a network meta-analysis of aggregate data
NOT_COMPARED = ("plaque_psoriasis",)


class Peer:
    """A reference result."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.raw = json.loads(path.read_text(encoding="utf-8"))
        self.args = self.raw["settings"].get("nma_args", {})

    def table(self, key: str) -> pd.DataFrame | None:
        part = self.raw.get(key)
        if not isinstance(part, dict) or "error" in part:
            return None
        return pd.DataFrame({k: v if isinstance(v, list) else [v] for k, v in part.items() if k != "lower_better"})

    def prior(self, key: str):
        text = self.args.get(key)
        if text is None:
            return None
        dist = re.search(r'dist = "([^"]+)"', text)[1]
        location, scale = (float(re.search(rf"{x} = ([-0-9.]+)", text)[1]) for x in ("location", "scale"))
        made = {"Normal": Normal(location, scale), "half-Normal": HalfNormal(scale),
                "log-Normal": LogNormal(location, scale)}[dist]  # fmt: skip
        return OnVariance(made) if key == "prior_het" and "var" in self.args.get("prior_het_type", "") else made


def network_of(name: str, data: Path, reference: str | None) -> Network:
    """The data of a result, as multinma was given them."""
    if name.startswith("smoking"):
        return from_table(data / "smoking.csv", measure="OR", reference=reference)
    if name.startswith("bcg"):
        return from_table(data / "bcg_vaccine.csv", measure="OR", reference=reference)
    if name.startswith(("blocker", "statins", "transfusion", "thrombolytics")):
        return from_table(data / f"{name.split('_')[0]}.csv", measure="OR", reference=reference)
    if name.startswith("dietary_fat"):
        return from_table(data / "dietary_fat.csv", measure="IRR", reference=reference, repeated_arms="apart")
    if name.startswith("diabetes"):
        return from_table(data / "diabetes.csv", measure="HR", reference=reference)
    if name.startswith("parkinsons"):
        return _parkinsons(name, pd.read_csv(data / "parkinsons.csv"), reference)
    if name.startswith("hta_psoriasis"):
        return _psoriasis(pd.read_csv(data / "hta_psoriasis.csv"), reference)
    raise KeyError(name)


def _parkinsons(name: str, table: pd.DataFrame, reference: str | None) -> Network:
    def arms(rows):
        return from_table(rows, measure="MD", columns={"mean": "y", "se": "se"}, reference=None)

    def contrasts(rows):
        return from_table(rows, measure="MD", columns={"effect": "diff", "se": "se_diff"}, reference=None)

    if "contrast" in name:
        return contrasts(table).replace(reference=reference)
    if "mixed" in name:
        first = table["study"] <= 3
        return combine(arms(table[first]), contrasts(table[~first]), reference=reference)
    return arms(table).replace(reference=reference)


def _psoriasis(table: pd.DataFrame, reference: str | None) -> Network:
    # the result counts the sample size itself as the patients without a response (see README)
    levels = ["pasi50", "pasi75", "pasi90"]
    table = table.assign(n=table["n"] + table[levels].sum(axis=1))
    return from_table(table, measure="PROBIT", columns={"levels": levels}, level_counts="exclusive",
                      repeated_arms="apart", reference=reference)  # fmt: skip


def model_of(peer: Peer, network: Network) -> Model:
    random = "random" in peer.args.get("trt_effects", "random")
    model = Model(
        effects=PerTreatment(prior=peer.prior("prior_trt") or Normal(0, 100)),
        heterogeneity=Exchangeable(sd=peer.prior("prior_het") or HalfNormal(5)) if random else Common(),
        baseline=Independent(prior=peer.prior("prior_intercept") or Normal(0, 100)),
    )
    if "ume" in peer.args.get("consistency", ""):
        model = model.replace(consistency=UnrelatedMeanEffects(prior=model.effects.prior))
    if "regression" in peer.args:
        name = peer.args["regression"].split(":")[1].strip()
        covariate = name if name in network.covariates else next(c for c in network.covariates if c.startswith(name))
        centre = peer.raw["xbar"].get(name) if isinstance(peer.raw["xbar"], dict) else 0.0
        prior = peer.prior("prior_reg") or Normal(0, 100)
        model = model.replace(regression=Regression(covariate=covariate, centre=centre, prior=prior))
    return model


def ours_of(peer: Peer, label: str, found: Fit) -> tuple[np.ndarray, str]:
    """Our draws of a parameter of theirs, and its name here."""
    inner = re.fullmatch(r"(\w+)\[(.*)\]", label)
    if label == "tau":
        return found.tau_draws, "tau"
    kind, what = inner[1], inner[2]
    if kind == "beta":
        return found.theta[:, found.theta_names.index("beta")], "beta"
    if kind == "cc":
        levels = [n for n in found.theta_names if n.startswith("cutpoint")]
        return found.theta[:, found.theta_names.index(levels[int(what == "PASI90")])], what
    if " vs. " in what:
        a, b = what.split(" vs. ")
        name = f"d[{a} vs {b}]"
        if name in found.theta_names:
            return found.theta[:, found.theta_names.index(name)], name
        return found.d[:, found.network.index(a)] - found.d[:, found.network.index(b)], name
    return found.d[:, found.network.index(what)], f"d[{what}]"


def section_parameters(peer: Peer, found: Fit) -> Found:
    table = peer.table("stan_summary")
    for _, row in table.iterrows():
        label = row["parameter"]
        if label.startswith("mu[") or label == "cc[PASI50]":
            continue
        draws, name = ours_of(peer, label, found)
        yield from compare_draws(name, draws, found.weights, row, row["se_mean"])


def section_contrasts(peer: Peer, found: Fit) -> Found:
    table = peer.table("relative_effects_all_contrasts")
    if table is None:
        return
    ours = relative_effects(found).set_index(["treatment", "comparator"])
    for _, row in table.iterrows():
        one = ours.loc[(row[".trtb"], row[".trta"])]
        se = row["sd"] / np.sqrt(row["Bulk_ESS"])
        combined = float(np.hypot(se, one["se"] / np.sqrt(effective_sample_size(found.weights))))
        yield f"{row['.trtb']} vs {row['.trta']}", one["estimate"], row["mean"], 3 * combined + SLACK
        a, b = found.network.index(row[".trtb"]), found.network.index(row[".trta"])
        error = sd_error(found.d[:, a] - found.d[:, b], found.weights, (row["Bulk_ESS"], len(found.weights)))
        yield f"{row['.trtb']} vs {row['.trta']} sd", one["se"], row["sd"], 3 * error + SLACK


def section_new_values(peer: Peer, found: Fit) -> Found:
    """Effects at values of the covariate."""
    part = peer.raw.get("relative_effects_newdata")
    if not part:
        return
    centre = found.model.regression.centre
    name, values = next((k, v) for k, v in part["newdata"].items() if k != "label")
    beta = found.theta[:, found.theta_names.index("beta")]
    table = pd.DataFrame(part["summary"])
    if isinstance(values[0], str):
        values, centre = [float(f"{name}[{value}]" in found.network.covariates) for value in values], centre or 0.0
    for value, (_, row) in zip(values, table.iterrows(), strict=True):
        draws = found.d[:, found.network.index(row[".trtb"])] + beta * (value - centre)
        se = row["sd"] / np.sqrt(row["Bulk_ESS"])
        yield from compare_draws(f"effect at {name} {value}", draws, found.weights, row, se)


def section_predictive(peer: Peer, found: Fit) -> Found:
    table = peer.table("predictive_distribution")
    if table is None or ".study" in table:
        return
    ours = predictive_effects(found).set_index(["treatment", "comparator"])
    for _, row in table.iterrows():
        one = ours.loc[(row[".trtb"], row[".trta"])]
        se = float(np.hypot(row["sd"] / np.sqrt(row["Bulk_ESS"]), one["se"] / np.sqrt(len(found.weights))))
        yield f"new {row['.trtb']} mean", one["estimate"], row["mean"], 3 * se + SLACK
        draws = found.d[:, found.network.index(row[".trtb"])] + found.tau_draws * np.random.default_rng(1).normal(
            size=len(found.tau_draws)
        )
        error = sd_error(draws, found.weights, (row["Bulk_ESS"], len(draws)))
        yield f"new {row['.trtb']} sd", one["se"], row["sd"], 3 * error + SLACK
        for which, name, p in (("2.5%", "lower", 0.025), ("97.5%", "upper", 0.975)):
            allowed = quantile_allowance(draws, found.weights, p, (row["Tail_ESS"], len(draws)))
            yield f"new {row['.trtb']} {which}", one[name], row[which], allowed


def section_ranks(peer: Peer, found: Fit) -> Found:
    part = peer.table("rank_probs")
    if part is None or ".study" in part:
        return
    better = "lower" if peer.raw["ranks"]["lower_better"] else "higher"
    ours = ranks(found, better=better).set_index("treatment")
    for _, row in part.iterrows():
        for i in range(len(part)):
            yield f"rank {row['.trt']} {i + 1}", ours.loc[row[".trt"], f"rank_{i + 1}"], row[f"p_rank[{i + 1}]"], RANK
        yield f"SUCRA {row['.trt']}", ours.loc[row[".trt"], "sucra"], row["sucra"], RANK


def section_deviance(peer: Peer, found: Fit) -> Found:
    part = peer.raw.get("dic")
    if not isinstance(part, dict):
        return
    ours = dic(found, draws=DRAWS)
    for name, mine in (("resdev", "residual_deviance"), ("pd", "pD"), ("dic", "DIC")):
        yield mine, ours[mine], part[name], DEVIANCE


def section_absolute(peer: Peer, found: Fit) -> Found:
    part = peer.raw.get("extra")
    if not isinstance(part, dict) or "pred" not in part:
        return
    mean, sd = map(float, re.search(r"N\(([-0-9.]+), sd ([0-9.]+)\)", part["predict_note"]).groups())
    ours = absolute_effects(found, baseline=Normal(mean, sd)).set_index("treatment")
    for _, row in pd.DataFrame(part["pred"]).iterrows():
        for which, name in (("mean", "risk"), ("2.5%", "risk_lower"), ("97.5%", "risk_upper")):
            yield f"risk {row['.trt']} {which}", ours.loc[row[".trt"], name], row[which], SLACK


SECTIONS = (section_parameters, section_contrasts, section_new_values, section_predictive, section_ranks,
            section_deviance, section_absolute)  # fmt: skip


def node_split_results(peer: Peer, data: Path) -> Found:
    splits = peer.raw["splits"]
    reference = sorted(set(splits["trt1"]), key=lambda t: splits["trt1"].count(t))[-1]
    network = network_of(peer.name, data, reference)
    model = Model(heterogeneity=Exchangeable(sd=HalfNormal(5)))
    ours = node_split_table(network, model, draws=DRAWS)
    at = {frozenset(p): i for i, p in enumerate(zip(ours["treatment"], ours["comparator"], strict=True))}
    for a, b, p, summary in zip(splits["trt1"], splits["trt2"], splits["p_value"], peer.raw["summaries"], strict=True):
        row = ours.iloc[at[frozenset((a, b))]]
        sign = 1.0 if row["treatment"] == b else -1.0
        their = pd.DataFrame(summary).set_index("parameter")
        for label, kind in (("d_net", "network"), ("d_dir", "direct"), ("d_ind", "indirect"), ("omega", "difference")):
            line = their[their.index.str.startswith(label)].iloc[0]
            se = float(np.hypot(line["sd"] / np.sqrt(line["Bulk_ESS"]), row[f"{kind}_se"] / np.sqrt(DRAWS)))
            yield f"{kind} {b} vs {a}", sign * row[kind], line["mean"], 4 * se + SLACK
            # kurtosis from theirs: the interval of a heavy tail is narrow for its standard deviation
            wide = 2 * 1.96 * line["sd"] / (line["97.5%"] - line["2.5%"])
            yield f"{kind} {b} vs {a} sd", row[f"{kind}_se"], line["sd"], 4 * se * max(1.0, wide) ** 2 * 2 + SLACK
        yield f"p {b} vs {a}", row["p"], p, P_VALUE
        tau = their.loc["tau"]
        yield f"tau {b} vs {a}", row["tau"], tau["mean"], 4 * tau["sd"] / np.sqrt(tau["Bulk_ESS"]) + SLACK


def results(peer: Peer, data: Path) -> Found:
    """All comparisons of one file."""
    if "splits" in peer.raw:
        yield from node_split_results(peer, data)
        return
    network = network_of(peer.name, data, peer.raw["reference"])
    found = fit(network, model_of(peer, network), engine="laplace", draws=DRAWS)
    yield "status", float(found.status.ok), 1.0, 0.0
    for section in SECTIONS:
        if isinstance(found.model.consistency, UnrelatedMeanEffects) and section in (section_contrasts, section_ranks):
            continue
        for what, ours, theirs, tolerance in section(peer, found):
            yield f"{section.__name__[8:]}: {what}", ours, theirs, tolerance
    assert len(parameters(found))


if __name__ == "__main__":
    sys.exit(report("multinma", lambda path, data: results(Peer(path), data), skip=NOT_COMPARED))
