"""Compare every section of every netmeta reference result with enthesis; fail where one exceeds its tolerance.

    ENTHESIS_REFERENCE=<folder with golden/ and data/> python validation/netmeta/run.py [name ...]

Names choose among the files of golden/netmeta by their beginning. Without ENTHESIS_REFERENCE nothing is compared.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from enthesis.assess.aggregate import by_comparison, contrast_fit
from enthesis.assess.consistency import decomposition
from enthesis.assess.contribution import contributions, evidence_flow, hat_matrix, study_importance
from enthesis.assess.net_heat import net_heat
from enthesis.assess.node_splitting import node_splits
from enthesis.errors import EnthesisError
from enthesis.estimands import predictive_effects, ranks, relative_effects
from enthesis.inference import gls
from enthesis.inference.fit import Fit, fit
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.models.target import contrast_target
from enthesis.network.tables import from_table

#: largest difference allowed, relative to max(1, |reference|)
EXACT = 1e-8
#: netmeta's iterative tau (metafor's optimiser) stops there
ITERATED = 1e-4
#: netmeta ignores a study by a standard error 100 times the largest one, which leaves this much of it
IGNORED = 1e-5
#: 4 Monte Carlo standard errors of 100,000 simulations, and ours of below 0.002
SIMULATED = 0.009
#: SUCRA equals the P-score for normal estimates; a simulation that misses its own P-scores by more drew from another
#: distribution
SAME_RANKING = 0.003

Found = Iterator[tuple[str, float, float]]


def gap(ours, theirs) -> float:
    """Largest difference relative to max(1, |theirs|); places without a reference value do not count."""
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    known = np.isfinite(b)
    if not known.any():
        return 0.0
    difference = np.abs(a - b)[known] / np.maximum(1, np.abs(b[known]))
    return float(np.max(np.where(np.isfinite(difference), difference, np.inf)))


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


def numbers(value) -> np.ndarray:
    return np.array([np.nan if x is None else x for x in listed(value)], float)


def matrix(peer: dict) -> tuple[list[str], list[str], np.ndarray]:
    values = np.array([[np.nan if x is None else x for x in row] for row in peer["values"]], float)
    return listed(peer["rows"]), listed(peer["cols"]), values


def usable(part) -> bool:
    return isinstance(part, dict) and "error" not in part


def lookup(names) -> dict[str, tuple[int, float]]:
    """Position and sign of "a : b" and of "b : a"."""
    found = {}
    for i, name in enumerate(names):
        a, b = name.split(" : ")[:2]
        found[f"{a} : {b}"], found[f"{b} : {a}"] = (i, 1.0), (i, -1.0)
    return found


def by_name(frame: pd.DataFrame, peer: dict, *, signed: bool) -> float:
    rows, cols, values = matrix(peer)
    at_row, at_col = lookup(frame.index), lookup(frame.columns)
    ours = np.full_like(values, np.nan)
    for r, row in enumerate(rows):
        for c, col in enumerate(cols):
            (i, s), (j, t) = at_row[row], at_col[col]
            ours[r, c] = frame.iat[i, j] * (s * t if signed else 1.0)
    return gap(ours, values)


def square(frame: pd.DataFrame, column: str, names: list[str], diagonal: float = np.nan) -> np.ndarray:
    out = np.full((len(names), len(names)), diagonal)
    at = {name: i for i, name in enumerate(names)}
    for row in frame.to_dict("records"):
        out[at[row["treatment"]], at[row["comparator"]]] = row[column]
    return out


# ---------------------------------------------------------------------------------------------------- sections


def effects(peer: dict, one: Fit, kind: str) -> Found:
    section, names = peer[kind], matrix(peer[kind]["TE"])[0]
    table = relative_effects(one)
    for theirs, ours in (("TE", "estimate"), ("seTE", "se"), ("lower", "lower"), ("upper", "upper")):
        yield f"{kind} {theirs}", gap(square(table, ours, names, 0.0), matrix(section[theirs])[2]), EXACT
    if kind == "random" and "predict_lower" in section:
        table = predictive_effects(one)
        off = ~np.eye(len(names), dtype=bool)
        for theirs, ours in (("predict_lower", "lower"), ("predict_upper", "upper")):
            yield f"random {theirs}", gap(square(table, ours, names)[off], matrix(section[theirs])[2][off]), EXACT


def at_their_tau(peer: dict, network) -> Found:
    target = contrast_target(network)
    now = gls.solve(target, peer["heterogeneity"]["tau2"])
    names = matrix(peer["random"]["TE"])[0]
    at = [network.index(name) for name in names]
    variance = np.diag(now.cov)[:, None] + np.diag(now.cov) - 2 * now.cov
    yield (
        "random TE at netmeta's tau",
        gap((now.d[:, None] - now.d)[np.ix_(at, at)], matrix(peer["random"]["TE"])[2]),
        EXACT,
    )
    yield (
        "random seTE at netmeta's tau",
        gap(np.sqrt(np.maximum(variance, 0))[np.ix_(at, at)], matrix(peer["random"]["seTE"])[2]),
        EXACT,
    )


def heterogeneity(peer: dict, one: Fit, method: str) -> Found:
    theirs = peer["heterogeneity"]
    split = decomposition(one)
    tests = {"Q": split.total, "Q_heterogeneity": split.within, "Q_inconsistency": split.between}
    for name, test in tests.items():
        if theirs.get(name) is not None:
            yield f"heterogeneity {name}", gap(test.Q, theirs[name]), EXACT
            yield f"heterogeneity df_{name}", gap(test.df, theirs[f"df_{name}"]), 0.0
    yield "heterogeneity pval_Q", gap(split.total.p, theirs["pval_Q"] if theirs["df_Q"] else np.nan), EXACT
    if one.heterogeneity.df:
        yield "heterogeneity I2", gap(one.heterogeneity.I2, numbers(theirs["I2"])[0]), EXACT
    if method == "DL":
        yield "heterogeneity tau", gap(one.tau.estimate, theirs["tau"]), EXACT
        return
    target = contrast_target(one.network)
    if any(g.k > 2 for g in target.groups):
        yield "tau, errors of multi-arm contrasts independent", gap(peer_tau(one, method), theirs["tau"]), ITERATED
    else:
        yield "heterogeneity tau (iterated)", gap(one.tau.estimate, theirs["tau"]), ITERATED


def peer_tau(one: Fit, method: str) -> float:
    """tau as netmeta finds it: contrasts with the study's first treatment, their sampling errors independent."""
    target = contrast_target(one.network)
    y, v, study, X = [], [], [], []
    for g in target.groups:
        order = np.argsort(g.arms, axis=1)
        for i, at in enumerate(order):
            for j in at[1:]:
                y.append(g.y[i, j, at[0]])
                v.append(g.v[i, j, at[0]])
                study.append(g.study[i])
                row = np.zeros(target.size)
                row[g.arms[i, j]], row[g.arms[i, at[0]]] = 1, -1
                X.append(row)
    y, v, study = np.array(y), np.array(v), np.array(study)
    X = np.delete(np.array(X), target.reference, axis=1)
    between = 0.5 * (study[:, None] == study) + 0.5 * np.eye(len(y))

    def minus_log_likelihood(tau2: float) -> float:
        W = np.linalg.inv(np.diag(v) + tau2 * between)
        information = X.T @ W @ X
        e = y - X @ np.linalg.solve(information, X.T @ W @ y)
        total = e @ W @ e - np.linalg.slogdet(W)[1]
        return float(total + (np.linalg.slogdet(information)[1] if method == "REML" else 0.0))

    found = minimize_scalar(minus_log_likelihood, bounds=(0, 10 * float(np.median(v)) + 1), method="bounded",
                            options={"xatol": 1e-10})  # fmt: skip
    return float(found.x) ** 0.5


def direct_evidence(peer: dict, one: Fit, kind: str) -> Found:
    names = matrix(peer["direct"][f"{kind}_TE"])[0]
    table = node_splits(one, with_indirect_only=True)
    flip = table.rename(columns={"treatment": "comparator", "comparator": "treatment"})
    flip[["direct", "indirect"]] *= -1
    both = pd.concat([table, flip])
    for section, columns in (
        ("direct", {"TE": "direct", "seTE": "direct_se"}),
        ("indirect", {"TE": "indirect", "seTE": "indirect_se"}),
    ):
        for theirs, ours in columns.items():
            yield (
                f"{section} {theirs} ({kind})",
                gap(square(both, ours, names), matrix(peer[section][f"{kind}_{theirs}"])[2]),
                EXACT,
            )
    yield (
        f"prop_direct ({kind})",
        gap(square(both, "proportion", names), matrix(peer["prop_direct"][kind])[2]),
        EXACT,
    )


def electrical(peer: dict, common: Fit) -> Found:
    at = contrast_fit(common)
    names = matrix(peer["A_matrix"])[0]
    order = np.ix_([at.network.index(n) for n in names], [at.network.index(n) for n in names])
    found = by_comparison(at.target.groups, at.target.size)
    n, L = np.zeros((2, at.target.size, at.target.size))
    for i in range(len(found)):
        a, b = found.a[i], found.b[i]
        n[a, b] = n[b, a] = found.n_studies[i]
        L[a, b] = L[b, a] = -found.weight[i]
    np.fill_diagonal(L, -L.sum(axis=1))
    centre = np.eye(len(L)) - 1 / len(L)
    yield "A_matrix", gap(n[order], matrix(peer["A_matrix"])[2]), 0.0
    yield "L_matrix_common", gap(L[order], matrix(peer["L_matrix_common"])[2]), EXACT
    yield "Lplus_common", gap((centre @ at.cov @ centre)[order], matrix(peer["Lplus_common"])[2]), EXACT


def adjusted_errors(peer: dict, one: Fit, kind: str) -> Found:
    at = contrast_fit(one)
    found = by_comparison(at.target.groups, at.target.size, at.tau2)
    ours = {
        (at.network.studies[s], int(found.a[c]), int(found.b[c])): w**-0.5
        for s, c, w in zip(found.study, found.of_contrast, found.share, strict=True)
    }
    rows = peer["input"]
    keys = [
        (str(s), *sorted((at.network.index(a), at.network.index(b))))
        for s, a, b in zip(*(listed(rows[x]) for x in ("studlab", "treat1", "treat2")), strict=True)
    ]
    yield (
        f"multi-arm standard errors ({kind})",
        gap([ours[key] for key in keys], numbers(rows[f"seTE_adj_{kind}"])),
        EXACT,
    )


def ranking(peer: dict, one: Fit, kind: str) -> Found:
    table = ranks(one).set_index("treatment")
    if usable(peer.get("pscore")):
        theirs = peer["pscore"][kind]
        yield f"pscore ({kind})", gap(table.loc[list(theirs), "p_score"], list(theirs.values())), EXACT
    if usable(peer.get("rankogram")):
        simulated = peer["rankogram"][f"sucra_{kind}"]
        if max(abs(simulated[name] - x) for name, x in peer["pscore"][kind].items()) > SAME_RANKING:
            NOT_COMPARED.append(f"{peer['dataset']} {peer['sm']}: rankogram ({kind}) does not match its own P-scores")
            return
        rows, cols, values = matrix(peer["rankogram"][kind])
        yield (
            f"rankogram ({kind})",
            gap(table.loc[rows, [f"rank_{c}" for c in cols]].to_numpy(), values),
            SIMULATED,
        )
        theirs = peer["rankogram"][f"sucra_{kind}"]
        yield f"sucra ({kind})", gap(table.loc[list(theirs), "sucra"], list(theirs.values())), SIMULATED


def splits(peer: dict, one: Fit, kind: str) -> Found:
    for section, method in (("netsplit_SIDE_backcalc", "back-calculation"), ("netsplit_SIDDE", "SIDDE")):
        if not usable(peer.get(section)):
            continue
        table = node_splits(one, method, with_indirect_only=True)
        where = lookup(table["treatment"] + " : " + table["comparator"])
        names = listed(peer[section]["comparison"])
        at = [where[name] for name in names]
        for part, columns in (
            ("network", {"TE": "network", "seTE": "network_se"}),
            ("direct", {"TE": "direct", "seTE": "direct_se"}),
            ("indirect", {"TE": "indirect", "seTE": "indirect_se"}),
            ("compare", {"TE": "difference", "seTE": "difference_se", "z": "z", "p": "p"}),
        ):
            for theirs, ours in columns.items():
                signed = theirs in ("TE", "z")
                values = [table[ours].iloc[i] * (s if signed else 1.0) for i, s in at]
                yield f"{section} {part} ({kind})", gap(values, numbers(peer[section][kind][part][theirs])), EXACT


def path_sections(peer: dict, one: Fit, kind: str) -> Found:
    for section, method in (("netcontrib_shortestpath", "shortest path"), ("netcontrib_randomwalk", "random walk")):
        if usable(peer.get(section)):
            yield f"{section} ({kind})", by_name(contributions(one, method), peer[section][kind], signed=False), EXACT
    if usable(peer.get("hatmatrix_Davies")):
        yield (
            f"hatmatrix_Davies ({kind})",
            by_name(hat_matrix(one), peer["hatmatrix_Davies"][kind], signed=True),
            EXACT,
        )
    if usable(peer.get("hatmatrix_Krahn")) and peer["hatmatrix_Krahn"][kind]:
        yield f"hatmatrix_Krahn ({kind})", krahn(peer["hatmatrix_Krahn"][kind], one), EXACT
    if usable(peer.get("hatmatrix_Ruecker")):
        yield f"hatmatrix_Ruecker ({kind})", ruecker(peer, one, kind), EXACT
    if usable(peer.get("netimpact")):
        yield f"netimpact ({kind})", importance(peer, one, kind), IGNORED


def krahn(peer: dict, one: Fit) -> float:
    frame = hat_matrix(one, "designs")
    rows, cols, values = matrix(peer)
    at_row, index = lookup(frame.index), one.network.index
    ours, seen = {}, {}
    for i, label in enumerate(frame.columns):
        comparison, _, design = label.partition(" (")
        t, c = comparison.split(" : ")
        key = design.removesuffix(")") or " : ".join(sorted((t, c), key=index))
        seen[key] = seen.get(key, -1) + 1
        # the peer's contrasts are first minus other treatment
        ours[key, seen[key]] = (i, -1.0 if key.startswith(f"{c} : ") else 1.0)
    counted: dict[str, int] = {}
    out = np.full_like(values, np.nan)
    for j, design in enumerate(cols):
        key = " : ".join(sorted(design.split(" : "), key=index))
        counted[key] = counted.get(key, -1) + 1
        i, sign = ours[key, counted[key]]
        out[:, j] = [frame.iat[at_row[r][0], i] * at_row[r][1] * sign for r in rows]
    return gap(out, values)


def ruecker(peer: dict, one: Fit, kind: str) -> float:
    frame = hat_matrix(one, "contrasts")
    rows = peer["input"]
    at = {}
    for i, name in enumerate(frame.index):
        study, _, pair = name.rpartition(": ") if name.count(": ") == 1 else split_study(name, one)
        a, b = pair.split(" : ")
        at[study, a, b], at[study, b, a] = (i, 1.0), (i, -1.0)
    wanted = [
        at[str(s), a, b] for s, a, b in zip(*(listed(rows[x]) for x in ("studlab", "treat1", "treat2")), strict=True)
    ]
    order, sign = np.array([i for i, _ in wanted]), np.array([s for _, s in wanted])
    theirs = matrix(peer["hatmatrix_Ruecker"][kind])[2]
    return gap(frame.to_numpy()[np.ix_(order, order)] * sign[:, None] * sign, theirs)


def split_study(name: str, one: Fit) -> tuple[str, str, str]:
    study = max((s for s in one.network.studies if name.startswith(f"{s}: ")), key=len)
    return study, ": ", name[len(study) + 2 :]


def importance(peer: dict, one: Fit, kind: str) -> float:
    frame = study_importance(one)
    rows, cols, values = matrix(peer["netimpact"][kind])
    at = lookup(frame.columns)
    ours = frame.loc[[str(r) for r in rows]].to_numpy()[:, [at[c][0] for c in cols]]
    return gap(ours, values)


def designs(peer: dict, one: Fit) -> Found:
    theirs, split, index = peer["decomp_design"], decomposition(one), one.network.index

    def key(design: str) -> str:
        return " : ".join(sorted(design.split(" : "), key=index))

    for section, frame in (("Q.het.design", split.designs), ("Q.inc.detach", split.detached)):
        part = theirs.get(section)
        if usable(part) and part.get("design"):
            ours = frame.set_index("design").loc[[key(d) for d in listed(part["design"])]]
            for column, name in (("Q", "Q"), ("df", "df"), ("p", "pval")):
                yield f"decomp_design {section} {name}", gap(ours[column], numbers(part[name])), EXACT
    part = theirs.get("Q.inc.random")
    if usable(part) and part.get("Q") is not None:
        test = split.interaction
        yield (
            "decomp_design Q.inc.random",
            gap([test.Q, test.df, test.p], numbers([part["Q"], part["df"], part["pval"]])),
            EXACT,
        )
        yield "decomp_design tau.within", gap(split.tau_within, numbers(part["tau.within"])[0]), EXACT


def heat(peer: dict, one: Fit, kind: str) -> Found:
    section = peer.get(f"netheat_{kind}")
    if not usable(section):
        return
    frame, index = net_heat(one), one.network.index
    rows, cols, values = matrix(section["heat_t1_minus_diff"])

    def key(design: str) -> str:
        return " : ".join(sorted(design.split(" : "), key=index))

    seen: dict[str, int] = {}
    order = []
    for design in rows:
        seen[design] = seen.get(design, -1) + 1
        order.append(np.flatnonzero(frame["design"] == key(design))[seen[design]])
    ours = frame.iloc[order]
    yield f"netheat ({kind})", gap(-ours[[key(c) for c in cols]].to_numpy(float), values), EXACT
    yield f"netheat Q_inc_design ({kind})", gap(ours["Q"], list(section["Q_inc_design"].values())), EXACT


def flow(peer: dict, one: Fit) -> Found:
    frame = evidence_flow(one)
    where = lookup(frame["treatment"] + " : " + frame["comparator"])
    for theirs, ours in (
        ("proportion", "proportion"),
        ("meanpath", "mean_path"),
        ("minpar", "parallelism"),
        ("minpar.study", "parallelism_study"),
    ):
        part = peer["netmeasures"].get(theirs)
        if isinstance(part, dict):
            values = [frame[ours].iloc[where[c][0]] for c in part]
            yield f"netmeasures {theirs}", gap(values, numbers(list(part.values()))), EXACT


def contrasts(peer: dict, data: Path) -> Found:
    """Effects and standard errors computed from the arms, where the data set has arms."""
    file = data / f"{peer['dataset']}.csv"
    if not file.exists():
        return
    table = pd.read_csv(file, dtype={"study": str, "treatment": str})
    means = {"sd", "se"} & set(table.columns)
    if "treatment" not in table or table.duplicated(["study", "treatment"]).any():
        return
    names = {"r": "events", "y": "mean"}
    columns = ["study", "treatment", *(["y", *sorted(means), "n"] if peer["outcome"] == "y" else ["r", "n"])]
    if not set(columns) <= set(table.columns):
        return
    network = from_table(table[columns].rename(columns=names), measure=peer["sm"], reference=peer["treatments"][0])
    ours = {}
    for g in network.pairs.groups:
        for s, arms, y, v in zip(g.study, g.arms, g.y, g.v, strict=True):
            for i, a in enumerate(arms):
                for j, b in enumerate(arms):
                    ours[network.studies[s], int(a), int(b)] = (y[i, j], v[i, j] ** 0.5)
    rows = peer["input"]
    keys = [
        (str(s), network.index(str(a)), network.index(str(b)))
        for s, a, b in zip(*(listed(rows[x]) for x in ("studlab", "treat1", "treat2")), strict=True)
    ]
    yield "contrasts TE from arms", gap([ours[k][0] for k in keys], numbers(rows["TE"])), EXACT
    yield "contrasts seTE from arms", gap([ours[k][1] for k in keys], numbers(rows["seTE"])), EXACT


# ---------------------------------------------------------------------------------------------------- one file


def compare(peer: dict, data: Path) -> Found:
    rows = peer["input"]
    names = ("studlab", "treat1", "treat2", "TE", "seTE")
    keys = ("study", "treatment", "comparator", "effect", "se")
    table = [dict(zip(keys, row, strict=True)) for row in zip(*(listed(rows[n]) for n in names), strict=True)]
    better = "lower" if peer["settings"]["small.values"] == "desirable" else "higher"
    network = from_table(
        [{**r, "study": str(r["study"])} for r in table],
        measure=peer["sm"], reference=str(peer["treatments"][0]), better=better,
    )  # fmt: skip
    method = peer["settings"]["method.tau"]
    random = fit(network, engine="gls", tau=method)
    common = fit(network, Model(heterogeneity=Common()), engine="gls")
    yield from contrasts(peer, data)
    yield from effects(peer, common, "common")
    yield from heterogeneity(peer, random, method)
    yield from at_their_tau(peer, network)
    if method != "DL":
        return
    yield from effects(peer, random, "random")
    yield from electrical(peer, common)
    yield from designs(peer, random)
    if usable(peer.get("netmeasures")):
        yield from flow(peer, random)
    parts: tuple[Callable[[dict, Fit, str], Found], ...] = (
        adjusted_errors, direct_evidence, ranking, splits, path_sections, heat,
    )  # fmt: skip
    for kind, one in (("common", common), ("random", random)):
        for part in parts:
            yield from part(peer, one, kind)


#: what is known not to agree, with the reason in README.md; anything else above its tolerance fails
KNOWN = {
    ("smoking__r__OR__tauDL", "netimpact (common)"),
    ("Linde2016__r__OR__tauREML", "tau, errors of multi-arm contrasts independent"),
}
#: sections that were left out, and why; printed at the end
NOT_COMPARED: list[str] = []


def main(chosen: list[str]) -> int:
    folder = os.environ.get("ENTHESIS_REFERENCE")
    if not folder:
        print("ENTHESIS_REFERENCE is not set: there are no reference results to compare with.")
        return 0
    files = sorted(Path(folder, "golden", "netmeta").glob("*__*.json"))
    files = [f for f in files if not chosen or any(f.stem.startswith(c) for c in chosen)]
    if not files:
        print(f"no file of golden/netmeta begins with {' or '.join(chosen)}", file=sys.stderr)
        return 1
    worst: dict[str, tuple[float, float, str, int]] = {}
    failed = 0
    for file in files:
        peer = json.loads(file.read_text())
        try:
            found = list(compare(peer, Path(folder, "data")))
        except EnthesisError as error:
            print(f"FAILED {file.stem}: {error}")
            failed += 1
            continue
        for section, difference, tolerance in found:
            if (file.stem, section) in KNOWN:
                NOT_COMPARED.append(f"{file.stem}: {section} differs by {difference:.2g}, as README.md explains")
                continue
            if difference > tolerance:
                failed += 1
                print(f"FAILED {file.stem}: {section} differs by {difference:.2g}, more than {tolerance:g}")
            before = worst.get(section)
            n = before[3] + 1 if before else 1
            if before is None or difference >= before[0]:
                worst[section] = (difference, tolerance, file.stem, n)
            else:
                worst[section] = (*before[:3], n)
    print(f"\n{'section':52} {'files':>5} {'worst':>9} {'allowed':>9}  in")
    for section, (difference, tolerance, where, n) in worst.items():
        print(f"{section:52} {n:5d} {difference:9.1e} {tolerance:9.0e}  {where}")
    print("\n".join(["", *NOT_COMPARED]))
    print(f"\n{len(files)} files, {len(worst)} sections, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
