"""Compare pairwise analyses, rare-event networks and component networks with reference results; fail above tolerance.

    ENTHESIS_REFERENCE=<folder with golden/ and data/> python validation/metafor/run.py

Reads golden/metafor, golden/netmetabin, golden/netcomb, golden/netmetareg and golden/effect_sizes. Without
ENTHESIS_REFERENCE nothing is compared.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from enthesis.assess.components import combination_effects, component_effects
from enthesis.estimands import ranks
from enthesis.inference import rare
from enthesis.inference.fit import fit
from enthesis.inference.glmm import mixed_model
from enthesis.inference.locscale import location_scale
from enthesis.inference.metareg import MetaRegression, meta_regression
from enthesis.inference.metareg_tests import cluster_robust
from enthesis.inference.regression import log_likelihood
from enthesis.inference.stratified import mantel_haenszel, peto
from enthesis.models.effects import Components
from enthesis.models.heterogeneity import Common, Exchangeable
from enthesis.models.model import Model
from enthesis.network.comparison import cells, study_effects
from enthesis.network.measures import ContinuityCorrection
from enthesis.network.network import Network
from enthesis.network.tables import from_table

#: largest difference allowed, relative to max(1, |reference|)
EXACT = 1e-8
#: metafor's iterations stop when tau² moves by less than 1e-5, on the scale of the data sets with tau² below 1
ITERATED = 1e-4
#: lme4 and optim stop there
OPTIMISED = 1e-3
CLOSED = ("FE", "DL", "HE", "HS", "HSk", "SJ")
CI = {"z": "normal", "knha": "knapp-hartung", "adhoc": "knapp-hartung-truncated"}
ESCALC = {"RR": "RR", "OR": "OR", "RD": "RD", "AS": "ASD", "normand_MD": "MD", "normand_SMD": "SMDH",
          "normand_ROM": "ROM", "nielweise2008_IRR": "IRR", "nielweise2008_IRD": "IRD"}  # fmt: skip

Found = Iterator[tuple[str, float, float]]


def numbers(value) -> np.ndarray:
    value = value if isinstance(value, list) else [value]
    return np.array([np.nan if x is None else x for x in value], float)


def gap(ours, theirs) -> float:
    """Largest difference relative to max(1, |theirs|); places without a reference value do not count."""
    a, b = np.broadcast_arrays(np.asarray(ours, float), np.asarray(theirs, float))
    known = np.isfinite(b)
    if not known.any():
        return 0.0
    difference = np.abs(a - b)[known] / np.maximum(1, np.abs(b[known]))
    return float(np.max(np.where(np.isfinite(difference), difference, np.inf)))


def matrix(part: dict) -> tuple[list[str], np.ndarray]:
    return part["rows"], np.array([[np.nan if x is None else x for x in row] for row in part["values"]], float)


def square(estimate: np.ndarray, covariance: np.ndarray, at: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Effects and standard errors of row versus column."""
    variance = np.diag(covariance)
    se = np.sqrt(np.maximum(variance[:, None] + variance - 2 * covariance, 0))
    return (estimate[:, None] - estimate)[np.ix_(at, at)], se[np.ix_(at, at)]


# --------------------------------------------------------------------------------------------------- metafor


def regression_sections(name: str, ours: MetaRegression, peer: dict, allowed: float) -> Found:
    # H², QM and log likelihood move more than tau² does
    derived = allowed if allowed == EXACT else OPTIMISED
    pairs = {"beta": "beta", "se": "se", "statistic": "zval", "pvalue": "pval", "lower": "ci.lb", "upper": "ci.ub",
             "tau2": "tau2", "tau2_se": "se.tau2", "QE": "QE", "QE_p": "QEp", "QM": "QM", "QM_p": "QMp",
             "H2": "H2"}  # fmt: skip
    for mine, theirs in pairs.items():
        if peer.get(theirs) is not None:
            tolerance = derived if theirs in ("QM", "H2") else allowed
            yield f"{name}: {theirs}", gap(getattr(ours, mine), numbers(peer[theirs])), tolerance
    yield f"{name}: I2", gap(100 * ours.I2, peer["I2"]), 100 * allowed
    yield f"{name}: weights", gap(100 * ours.weights, numbers(peer["weights"])), 100 * allowed
    if peer.get("R2") is not None:
        yield f"{name}: R2", gap(100 * ours.R2, peer["R2"]), 100 * allowed
    full = log_likelihood(ours.y, ours.v, ours.X, ours.tau2, restricted=False)  # the first column of metafor's table
    yield f"{name}: log likelihood", gap(full, peer["ll"][0]), derived
    if ours.method != "REML":
        yield f"{name}: AIC, BIC, AICc", gap([ours.AIC, ours.BIC, ours.AICc], numbers(peer["ll"][2:])), derived
    if "predict" in peer:
        row = ours.predict().iloc[0]
        for mine, theirs in (("estimate", "pred"), ("se", "se"), ("lower", "ci.lb"), ("upper", "ci.ub"),
                             ("prediction_lower", "pi.lb"), ("prediction_upper", "pi.ub")):  # fmt: skip
            if peer["predict"].get(theirs) is not None:
                yield f"{name}: predict", gap(row[mine], peer["predict"][theirs]), allowed


def contrasts_network(y, v, measure: str = "EFFECT") -> Network:
    rows = [dict(study=f"{i:03d}", treat1="B", treat2="A", TE=a, seTE=b**0.5) for i, (a, b) in enumerate(zip(y, v))]
    return from_table(rows, measure=measure, reference="A")


def rma(golden: Path) -> Found:
    for file in ("bcg", "raudenbush1985", "normand1999", "nielweise2007"):
        peer = json.loads((golden / "metafor" / f"{file}.json").read_text())
        data = peer.get("data", peer)
        y, v = numbers(data["yi"]), numbers(data["vi"])
        network = contrasts_network(y, v)
        for key, part in peer["rma"].items():
            if key in ("regtest", "trimfill") or key.startswith("GENQ"):
                continue
            method, test = key.split()
            closed = method in CLOSED
            ours = meta_regression(y, v, effects="common" if method == "FE" else "random",
                                   tau="REML" if method == "FE" else method, ci=CI[test])  # fmt: skip
            name = f"rma {method if closed else 'ML, REML, EB, PM, ...'} {test}"
            yield from regression_sections(name, ours, part, EXACT if closed else ITERATED)
            if method != "FE":
                same = fit(network, engine="gls", tau=method, ci=CI[test])
                at = same.network.index("B")
                got = [same.estimate[at], same.covariance[at, at] ** 0.5, same.tau.estimate**2]
                yield "fit() of two treatments is rma", gap(got, [ours.beta[0], ours.se[0], ours.tau2]), EXACT


def bcg(golden: Path) -> Found:
    peer = json.loads((golden / "metafor" / "bcg.json").read_text())
    data = peer["data"]
    y, v = numbers(data["yi"]), numbers(data["vi"])
    one = meta_regression(y, v)
    for key, kind in (("confint_REML_QP", "Q-profile"), ("confint_REML_PL", "profile likelihood")):
        yield f"confint {kind}", gap(one.tau2_interval(kind), peer[key]["values"][0][1:]), ITERATED
    latitude, both = {"ablat": data["ablat"]}, {"ablat": data["ablat"], "alloc": data["alloc"]}
    for key, ours in (
        ("metareg_ablat", meta_regression(y, v, latitude)),
        ("metareg_ablat_knha", meta_regression(y, v, latitude, ci="knapp-hartung")),
        ("metareg_ablat_alloc", meta_regression(y, v, both, tau="ML")),
    ):
        yield from regression_sections("meta-regression", ours, peer[key], OPTIMISED)
    robust = cluster_robust(one, data["trial"])
    got = [robust.se[0], robust.statistic[0], robust.pvalue[0]]
    yield "robust", gap(got, [peer["robust"][x] for x in ("se", "tval", "pval")]), ITERATED
    scale = location_scale(y, v, latitude, latitude)
    theirs = peer["locscale"]
    yield "location-scale", gap([*scale.beta, *scale.alpha], [*theirs["beta"], *theirs["alpha"]]), ITERATED
    yield "location-scale: se", gap(np.sqrt(np.diag(scale.scale_cov)), theirs["se.alpha"]), OPTIMISED
    rows = []
    for i, trial in enumerate(data["trial"]):
        for treatment, arm in (("vaccine", "t"), ("control", "c")):
            cases, others = data[f"{arm}pos"][i], data[f"{arm}neg"][i]
            rows.append({"study": f"{trial:02d}", "treatment": treatment, "events": cases, "n": cases + others})
    tables = {m: cells(from_table(rows, measure=m, reference="control")) for m in ("OR", "RR", "RD")}
    found = [*((f"rma.mh {m}", mantel_haenszel(t), p) for (m, t), p in zip(tables.items(), peer["mh"], strict=True)),
             ("rma.peto", peto(tables["OR"]), peer["peto"])]  # fmt: skip
    for name, ours, theirs in found:
        got = [ours.estimate, ours.se, ours.lower, ours.upper, ours.pvalue, ours.Q, ours.Q_p]
        keys = ("beta", "se", "ci.lb", "ci.ub", "pval", "QE", "QEp")
        yield name, gap(got, [numbers(theirs[k])[0] for k in keys]), EXACT
    for kind, points in (("UM.FS", 7), ("CM.AL", 7), ("UM.RS", 1)):
        ours, theirs = mixed_model(tables["OR"], kind, points=points), peer[f"glmm_{kind}"]
        yield f"rma.glmm {kind}", gap([ours.estimate, ours.se, ours.tau**2],
                                      [theirs["beta"], theirs["se"], theirs["tau2"]]), OPTIMISED  # fmt: skip
        if kind == "UM.RS":
            yield f"rma.glmm {kind}: sigma²", gap(ours.sigma**2, theirs["sigma2"]), OPTIMISED


def escalc(golden: Path) -> Found:
    peer = json.loads((golden / "metafor" / "escalc.json").read_text())
    bcg_input, normand, nielweise = (peer[f"{n}_input"] for n in ("bcg", "normand", "nielweise"))
    columns = {
        "counts": (("tpos", "tneg"), ("cpos", "cneg"), bcg_input),
        "means": (("m1i", "sd1i", "n1i"), ("m2i", "sd2i", "n2i"), normand),
        "rates": (("x1i", "t1i"), ("x2i", "t2i"), nielweise),
    }
    names = {"counts": ("events", "nonevents"), "means": ("mean", "sd", "n"), "rates": ("events", "time_at_risk")}
    for key, measure in ESCALC.items():
        kind = "means" if key.startswith("normand") else "rates" if key.startswith("nielweise") else "counts"
        one, two, data = columns[kind]
        rows = [
            {"study": f"{i:03d}", "treatment": treatment} | {n: data[h][i] for n, h in zip(names[kind], headers)}
            for i in range(len(data[one[0]]))
            for treatment, headers in (("B", one), ("A", two))
        ]
        ours = study_effects(from_table(rows, measure=measure, reference="A"))
        theirs = peer["escalc"][key]
        yield f"escalc {measure}", gap([ours["effect"], ours["variance"]],
                                       [numbers(theirs["yi"]), numbers(theirs["vi"])]), EXACT  # fmt: skip


# --------------------------------------------------------------------------------------------------- netmeta


def effect_sizes(golden: Path, data: Path) -> Found:
    peer = json.loads((golden / "effect_sizes" / "pairwise_contrasts.json").read_text())["contrasts"]
    for key, theirs in peer.items():
        dataset, measure = key.rsplit(" ", 1)
        table = pd.read_csv(data / f"{dataset}.csv", dtype={"study": str, "treatment": str})
        names = {"r": "events", "y": "mean"} | ({"exposure": "time_at_risk"} if measure in ("IRR", "IRD") else {})
        wanted = ["study", "treatment", *{"IRR": ["r", "exposure"], "IRD": ["r", "exposure"]}.get(
            measure, ["y", "sd", "n"] if "y" in table else ["r", "n"])]  # fmt: skip
        network = from_table(table[wanted].rename(columns=names), measure=measure)
        ours = pair_lookup(network)
        at = network.index
        keys = [(str(s), at(a), at(b)) for s, a, b in zip(theirs["studlab"], theirs["treat1"], theirs["treat2"])]
        known = [k in ours for k in keys]
        events = {
            (network.studies[i], int(t)): r
            for b in network.blocks
            for i, t, r in zip(b.study, b.treatment, getattr(b, "r", np.ones(len(b.study))))
        }
        # pairs without an event in either arm are treated differently, as README.md explains
        spoken = np.array([events[s, a] + events[s, b] > 0 for s, a, b in keys])
        got = np.array([ours.get(k, (np.nan, np.nan)) for k in keys])
        wanted = np.stack([numbers(theirs["TE"]), numbers(theirs["seTE"])], 1)
        differ = spoken & (np.isfinite(wanted[:, 0]) != known)
        yield f"pairwise {measure}: contrasts that one side lacks", float(differ.sum()), 0
        yield f"pairwise {measure}", gap(got, np.where(np.array(known)[:, None], wanted, np.nan)), EXACT


def pair_lookup(network: Network) -> dict[tuple[str, int, int], tuple[float, float]]:
    found = {}
    for g in network.pairs.groups:
        for s, arms, y, v in zip(g.study, g.arms, g.y, g.v, strict=True):
            for i, a in enumerate(arms):
                for j, b in enumerate(arms):
                    found[network.studies[s], int(a), int(b)] = (y[i, j], v[i, j] ** 0.5)
    return found


def netmetabin(golden: Path, data: Path) -> Found:
    for file in sorted((golden / "netmetabin").glob("*.json")):
        peer = json.loads(file.read_text())
        dataset, method, measure = file.stem.split("__")
        if measure != "OR":
            continue  # netmetabin gives the odds ratios of its OR file again; see README.md
        network = from_table(data / f"{dataset}.csv", measure="OR")
        rows, TE = matrix(peer["common"]["TE"])
        seTE = matrix(peer["common"]["seTE"])[1]
        if method == "MH":
            ours = fit(network, engine="mh")
            got = square(ours.estimate, ours.covariance, [ours.network.index(name) for name in rows])
            yield "netmetabin MH", gap(got, [TE, seTE]), EXACT
            yield "netmetabin MH: Q", gap([ours.heterogeneity.Q, ours.heterogeneity.df],
                                          [peer["Q_inconsistency"], peer["df_Q_inconsistency"]]), EXACT  # fmt: skip
            better = ranks(ours, better="lower" if dataset == "Gurusamy2011" else None).set_index("treatment").p_score
            scores = pd.Series(peer["pscore"])
            flip = max(gap(better[scores.index], scores), 0) > 0.5
            yield (
                "netmetabin MH: P-score",
                gap(1 - better[scores.index] if flip else better[scores.index], scores),
                EXACT,
            )
            continue
        names, arms = as_mantel_haenszel(network)
        ours = rare.conditional_multinomial(arms)
        got = square(ours.d, ours.cov, [names.index(name) for name in rows])
        yield "netmetabin NCH", gap(got, [TE, seTE]), OPTIMISED


def as_mantel_haenszel(network: Network) -> tuple[list[str], rare.Arms]:
    """The arms that Mantel-Haenszel can use: netmetabin gives its NCH no others."""
    b = network.blocks[0]
    arms = rare.Arms(study=b.study, treatment=b.treatment, r=b.r, n=b.n, size=network.n_treatments,
                     reference=network.index(network.reference))  # fmt: skip
    keep = ~rare.uninformative(arms, "mh")
    used = np.unique(b.treatment[keep])
    new = {t: i for i, t in enumerate(used)}
    names = [network.treatment_names[t] for t in used]
    return names, rare.Arms(
        study=b.study[keep], treatment=np.array([new[t] for t in b.treatment[keep]]), r=b.r[keep], n=b.n[keep],
        size=len(used), reference=new[arms.reference],
    )  # fmt: skip


def netcomb(golden: Path, data: Path) -> Found:
    columns = {"study": "study", "treatment1": "treat1", "treatment2": "treat2", "effect": "lnOR", "se": "selnOR"}
    network = from_table(data / "Linde2016.csv", measure="OR", columns=columns, reference="Placebo")
    for name, inactive in (
        ("netcomb", None),
        ("netcomb_placebo_inactive", "Placebo"),
        ("discomb_placebo_inactive", "Placebo"),
    ):
        peer = json.loads((golden / "netcomb" / f"Linde2016_{name}.json").read_text())
        effects = Components(inactive=inactive)
        order, C = peer["C_matrix"]["rows"], np.array(peer["C_matrix"]["values"], float)
        active = [list(effects.names(network)).index(c) for c in peer["C_matrix"].get("cols", peer["comps"])]
        ours = effects.incidence(network)[[network.index(t) for t in order]][:, active]
        yield "netcomb: components of each treatment", gap(ours, C), 0
        for heterogeneity, kind in ((Common(), "common"), (Exchangeable(), "random")):
            one = fit(network, Model(effects=effects, heterogeneity=heterogeneity), engine="gls", tau="DL")
            table = component_effects(one).set_index("component").loc[peer["comps"]]
            part = peer[f"components_{kind}"]
            for theirs, mine in (
                ("TE", "estimate"),
                ("seTE", "se"),
                ("lower", "lower"),
                ("upper", "upper"),
                ("p", "p"),
            ):
                yield f"netcomb components: {theirs}", gap(table[mine], numbers(part[theirs])), EXACT
            rows, TE = matrix(peer[f"TE_{kind}"])
            seTE = matrix(peer[f"seTE_{kind}"])[1]
            at = [one.network.index(t) for t in rows]
            yield "netcomb effects", gap(square(one.estimate, one.covariance, at), [TE, seTE]), EXACT
            both = combination_effects(one, rows)
            part = peer[f"combinations_{kind}"]
            yield "netcomb combinations", gap([both["estimate"], both["se"]],
                                              [numbers(part["TE"]), numbers(part["seTE"])]), EXACT  # fmt: skip
            yield "netcomb Q", gap(
                [one.heterogeneity.Q, one.heterogeneity.df, one.heterogeneity.p, *(one.diagnostics[f"additivity_{x}"]
                 for x in ("Q", "df", "p"))],
                [peer[x] for x in ("Q_additive", "df_Q_additive", "pval_Q_additive", "Q_diff", "df_Q_diff",
                                   "pval_Q_diff")]), EXACT  # fmt: skip
            if kind == "random":
                yield "netcomb tau", gap(one.tau.estimate, peer["tau"]), EXACT
            if inactive:
                complex_ = json.loads((golden / "netcomb" / "Linde2016_netcomplex.json").read_text())
                got = combination_effects(one, complex_["complex"])
                yield "netcomplex", gap([got["estimate"], got["se"]],
                                        [complex_[f"TE_{kind}"], complex_[f"seTE_{kind}"]]), EXACT  # fmt: skip
                pair = json.loads((golden / "netcomb" / "Linde2016_netcomparison.json").read_text())
                got = combination_effects(one, [pair["treat1"]], pair["treat2"]).iloc[0]
                yield "netcomparison", gap([got.estimate, got.se], [pair[f"TE_{kind}"], pair[f"seTE_{kind}"]]), EXACT


def netmetareg(golden: Path, data: Path) -> Found:
    for file in sorted((golden / "netmetareg").glob("*.json")):
        peer = json.loads(file.read_text())
        table = pd.read_csv(data / f"{peer['dataset']}.csv", dtype={"study": str})
        network = from_table(table[["study", "treatment", "r", "n"]], measure=peer["sm"], reference=peer["ref"])
        covariate = table.drop_duplicates("study").set_index("study")[peer["covariate"]]
        effects = study_effects(network)
        x = covariate.loc[effects["study"]]
        ours = meta_regression(effects["effect"], effects["variance"], {"x": x.to_numpy()})
        theirs = peer["results"]["common"]
        got = [*ours.beta, *ours.se, *ours.lower, *ours.upper, ours.tau2, ours.QE, ours.QM]
        wanted = [*theirs["coef"].values(), *theirs["se"], *theirs["ci.lb"], *theirs["ci.ub"], theirs["tau2"],
                  theirs["QE"], theirs["QM"]]  # fmt: skip
        yield "netmetareg of two treatments", gap(got, wanted), OPTIMISED


def corrected(golden: Path) -> Found:
    """A study without events, which metafor's escalc corrects and we leave out unless told."""
    peer = json.loads((golden / "metafor" / "nielweise2007.json").read_text())
    y = numbers(peer["yi"])
    silent = int(np.argmax(numbers(peer["vi"])))
    rows = [dict(study="1", treatment=t, events=0, n=n) for t, n in (("B", 118), ("A", 105))]
    rows += [dict(study="2", treatment=t, events=3, n=40) for t in "BA"]
    network = from_table(rows, measure="OR", reference="A", correction=ContinuityCorrection(double_zero="corrected"))
    yield "escalc OR of a study without events", gap(study_effects(network)["effect"][0], y[silent]), EXACT


def main() -> int:
    folder = os.environ.get("ENTHESIS_REFERENCE")
    if not folder:
        print("ENTHESIS_REFERENCE is not set: there are no reference results to compare with.")
        return 0
    golden, data = Path(folder, "golden"), Path(folder, "data")
    worst: dict[str, tuple[float, float, int]] = {}
    for section in (
        rma(golden), bcg(golden), escalc(golden), corrected(golden), effect_sizes(golden, data),
        netmetabin(golden, data), netcomb(golden, data), netmetareg(golden, data),
    ):  # fmt: skip
        for name, difference, allowed in section:
            before = worst.get(name, (0.0, allowed, 0))
            worst[name] = (max(before[0], difference), allowed, before[2] + 1)
    failed = 0
    print(f"{'what':58} {'n':>4} {'worst':>9} {'allowed':>9}")
    for name, (difference, allowed, n) in worst.items():
        bad = difference > allowed
        failed += bad
        print(f"{name:58} {n:4d} {difference:9.1e} {allowed:9.0e}{'  FAILED' if bad else ''}")
    print(f"{failed} of {len(worst)} comparisons above their tolerance")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
