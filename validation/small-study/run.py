"""Compare small-study effects and influence diagnostics with reference results; fail above tolerance.

    ENTHESIS_REFERENCE=<folder with golden/ and data/> python validation/small-study/run.py

Reads golden/metafor. Without ENTHESIS_REFERENCE nothing is compared.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import enthesis as en
from enthesis.assess.excess import excess_significance, fail_safe_n
from enthesis.assess.influence import influence
from enthesis.assess.leave_out import cumulative, leave_one_study_out
from enthesis.assess.selection import selection_model
from enthesis.assess.small_study import asymmetry_test
from enthesis.assess.trim_fill import trim_and_fill

#: largest difference allowed, relative to max(1, |reference|): closed forms, what follows from metafor's tau² (its
#: iteration stops when tau² moves by less than 1e-5), and what an optimiser ends at
EXACT, ITERATED, OPTIMISED = 1e-8, 1e-5, 1e-3

Found = Iterator[tuple[str, float, float]]


def gap(ours, theirs) -> float:
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    return float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)))) if a.shape == b.shape else np.inf


def bcg_network(data: dict):
    rows = []
    for i, trial in enumerate(data["trial"]):
        for arm, r, rest in (("vaccine", "tpos", "tneg"), ("control", "cpos", "cneg")):
            rows.append({"study": f"{trial:02d}", "treatment": arm, "events": data[r][i],
                         "n": data[r][i] + data[rest][i]})  # fmt: skip
    return en.from_table(rows, measure="RR", reference="control")


def bcg(golden: dict) -> Found:
    network = bcg_network(golden["data"])
    fit = en.fit(network, engine="gls", tau="REML")
    calls = {"rma_sei": ("egger-random", "se"), "lm_sei": ("egger", "se"), "rma_vi": ("egger-random", "variance"),
             "rma_ni": ("egger-random", "n"), "rma_ninv": ("egger-random", "inverse n")}  # fmt: skip
    for name, (method, predictor) in calls.items():
        found, there = asymmetry_test(network, method, predictor=predictor), golden[f"regtest_{name}"]
        ours, theirs = [found.statistic, found.p], [there["zval"], there["pval"]]
        if there["est"] is not None:
            ours += [found.limit, found.limit_lower, found.limit_upper]
            theirs += [there["est"], there["ci.lb"], there["ci.ub"]]
        yield f"regtest {name}", gap(ours, theirs), EXACT if method == "egger" else ITERATED
    found = asymmetry_test(network, "begg")
    yield "ranktest", gap([found.statistic, found.p], [golden["ranktest"]["tau"], golden["ranktest"]["pval"]]), EXACT
    for estimator in ("L0", "R0", "Q0"):
        found, there = trim_and_fill(network, estimator=estimator), golden[f"trimfill_{estimator}"]
        ours = [found.missing, found.missing_se, found.estimate, found.se, found.tau2]
        theirs = [there["k0"], there["se.k0"], there["beta"][0], there["se"], there["tau2"]]
        yield f"trimfill {estimator}", gap(ours, theirs), ITERATED
        yield f"trimfill {estimator} points", gap(sorted(found.studies.effect), sorted(there["yi.filled"])), ITERATED
    yield from selection(network, golden)
    yield from excess(network, golden)
    yield from left_out(fit, golden)


def selection(network, golden: dict) -> Found:
    there = golden["selmodel_3psm"]
    found = selection_model(network, "step", alternative="less")
    ours = [found.estimate, found.se, found.tau2, found.lrt, found.p, *found.weights.estimate, found.weights.se[1]]
    theirs = [
        there["beta"],
        there["se"],
        there["tau2"],
        there["LRT"],
        there["LRTp"],
        *there["delta"],
        there["se.delta"][1],
    ]
    yield "selmodel step", gap(ours, theirs), OPTIMISED
    kinds = {"beta": "beta", "halfnorm": "half-normal", "power": "power"}
    for there in golden["selmodel"]:
        if there["type"] in kinds:
            found = selection_model(network, kinds[there["type"]], alternative="greater")
            ours = [found.estimate, found.se, found.tau2, found.lrt, *found.weights.estimate]
            theirs = [there["beta"], there["se"], there["tau2"], there["LRT"], *np.atleast_1d(there["delta"])]
            yield f"selmodel {there['type']}", gap(ours, theirs), OPTIMISED


def excess(network, golden: dict) -> Found:
    found, there = excess_significance(network), golden["tes"]
    yield "tes", gap([found.observed, found.expected, found.p], [there["O"], there["E"], there["pval"]]), ITERATED
    numbers = {part["type"]: part["fsnum"] for part in golden["fsn"]}
    table = fail_safe_n(network).set_index("method").n
    yield "fsn", gap(list(table), [numbers[name] for name in table.index]), EXACT


def left_out(fit, golden: dict) -> Found:
    table, there = influence(fit), golden["influence"]
    names = {"rstudent": "rstudent", "dffits": "dffits", "cook_d": "cook.d", "cov_ratio": "cov.r", "hat": "hat",
             "Q_without": "QE.del"}  # fmt: skip
    for ours, theirs in names.items():
        yield f"influence {theirs}", gap(table[ours], there[theirs]), ITERATED
    yield "influence tau2.del", gap(table.tau_without**2, there["tau2.del"]), ITERATED
    order = [fit.network.studies[i] for i in np.argsort(golden["data"]["year"], kind="stable")]
    names = {"estimate": "estimate", "se": "se", "lower": "ci.lb", "upper": "ci.ub", "Q": "Q"}
    for title, table in (("leave1out", leave_one_study_out(fit)), ("cumul", cumulative(fit, order=order))):
        for ours, theirs in names.items():
            yield f"{title} {theirs}", gap(table[ours], golden[title][theirs]), ITERATED


def teachers(golden: dict, table: Path) -> Found:
    import pandas as pd

    data = pd.read_csv(table)
    rows = [{"study": f"{i:02d}", "treat1": "high", "treat2": "low", "TE": y, "seTE": v**0.5}
            for i, (y, v) in enumerate(zip(data["yi"], data["vi"], strict=True))]  # fmt: skip
    network = en.from_table(rows, measure="MD", reference="low")
    test, there = asymmetry_test(network, "egger-random"), golden["rma"]["regtest"]
    yield (
        "regtest teachers",
        gap([test.statistic, test.p, test.limit], [there["zval"], there["pval"], there["est"]]),
        1e-4,
    )
    filled, there = trim_and_fill(network), golden["rma"]["trimfill"]
    yield "trimfill teachers", gap([filled.missing, filled.estimate], [there["k0"], there["beta"][0]]), 1e-4


def main() -> int:
    folder = os.environ.get("ENTHESIS_REFERENCE")
    if not folder:
        print("ENTHESIS_REFERENCE names no folder: nothing to compare with.")
        return 0
    golden = Path(folder) / "golden" / "metafor"
    results = list(bcg(json.loads((golden / "bcg.json").read_text())))
    results += teachers(
        json.loads((golden / "raudenbush1985.json").read_text()), Path(folder) / "copyable" / "raudenbush1985.csv"
    )
    for name, worst, allowed in results:
        print(f"{'ok  ' if worst <= allowed else 'FAIL'} {name:28s} {worst:8.1e} (allowed {allowed:.0e})")
    return int(any(not worst <= allowed for _, worst, allowed in results))


if __name__ == "__main__":
    sys.exit(main())
