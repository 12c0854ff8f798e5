"""Time of the Bayesian core: full certified posteriors, node-splits and leave-one-out, beside multinma and gemtc.

    python benchmarks/bayesian.py [--small]

A posterior is 4,000 weighted draws with their certificate, all pairwise effects and rank probabilities. Every time is
the median of a few runs in one process, the quickest beside it, with the time of a `gls` fit of the same network as the
baseline of the same run; CPU seconds are shown too, since other work on the machine changes them less. `--small` leaves
out the network of 5,000 studies. Set OPENBLAS_NUM_THREADS=1 on a machine that has other work: threads that wait for one
another are counted as CPU. With ENTHESIS_REFERENCE set to a folder that has data/thrombolytics.csv, that table of 50
studies is read; otherwise a network of its shape is simulated.

The times of multinma 0.8.0 (rstan 2.32.7, 4 chains of 2,000 iterations, two cores) and gemtc 1.0-2 (JAGS 4.3.1, 4
chains of 20,000 iterations after 5,000) were taken on the same kind of machine (two cores, not idle), without the
seconds that R needs to start. Read ratios as orders of magnitude.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from frequentist import TABLES
from scipy.stats import norm

import enthesis as en
from enthesis.assess.leave_out import leave_one_study_out
from enthesis.assess.node_split_table import node_split_table
from enthesis.inference.diagnostics import quantiles

#: (network, task): seconds of (multinma, gemtc)
PEER = {
    ("smoking", "posterior"): (9.37, 10.10),
    ("smoking", "node-splits"): (86.98, 71.78),
    ("50 studies", "posterior"): (18.86, 11.15),
    ("50 studies", "posterior, common effects"): (6.56, None),
}
DRAWS = 4000
#: independent draws that the recorded runs of the smoking network are worth, from the Monte Carlo errors that multinma
#: and gemtc state for the worst of d and tau in longer runs: 40,000 draws worth 11,279; 400,000 iterations worth 34,700
PEER_WORTH = (1_128, 6_940)
#: other scramblings of the quasi-random points, over which the error of reported quantiles is measured
SEEDS = range(1, 21)


@cache
def network(name: str):
    """`smoking`, `50 studies`, or `treatments/studies` with `counts` or `contrasts`."""
    if name == "smoking":
        import pandas as pd

        table = pd.read_csv(TABLES / "hasselblad1998.csv")[["study", "trt", "xi", "ni"]]
        table.columns = ["study", "treatment", "events", "n"]
        return en.from_table(table, measure="OR", reference="no_contact")
    if name == "50 studies":
        return thrombolytics()
    size, kind = name.split()
    treatments, studies = (int(x.replace(",", "")) for x in size.split("/"))
    rows = simulated(treatments, studies)
    if kind == "counts":
        return en.from_table(rows, measure="OR", reference="T000")
    return en.from_table(log_odds(rows), measure="MD", reference="T000")


def thrombolytics():
    """The 50 trials of thrombolytic drugs where they are at hand, else a network of the same shape."""
    path = Path(os.environ.get("ENTHESIS_REFERENCE", ""), "data", "thrombolytics.csv")
    if "ENTHESIS_REFERENCE" in os.environ and path.exists():
        import pandas as pd

        table = pd.read_csv(path).rename(columns={"r": "events"})
        return en.from_table(table[["study", "treatment", "events", "n"]], measure="OR", reference="SK")
    rows = simulated(9, 50, seed=4, risk=-2.4, tau=0.05, largest=2000)
    return en.from_table(rows, measure="OR", reference="T000")


def simulated(
    treatments: int, studies: int, *, seed: int = 1, risk: float = -1.0, tau: float = 0.2, largest: int = 400
) -> list[dict]:
    """Counts in studies of two or three arms; a chain of studies links all treatments."""
    rng = np.random.default_rng(seed)
    d = np.r_[0.0, rng.normal(0, 0.4, treatments - 1)]
    rows = []
    for s in range(studies):
        if s < treatments - 1:
            arms = np.array([s, s + 1])
        else:
            arms = rng.choice(treatments, 2 if rng.random() < 0.88 else 3, replace=False)
        n = rng.integers(40, largest, len(arms))
        eta = rng.normal(risk, 0.4) + d[arms] + rng.normal(0, tau / np.sqrt(2), len(arms))
        events = rng.binomial(n, 1 / (1 + np.exp(-eta)))
        rows += [
            {"study": f"S{s:04d}", "treatment": f"T{t:03d}", "events": int(r), "n": int(k)}
            for t, r, k in zip(arms, events, n, strict=True)
        ]
    return rows


def log_odds(rows: list[dict]) -> list[dict]:
    """The same arms as log odds with their standard errors: a normal likelihood."""
    out = []
    for row in rows:
        yes, no = row["events"] + 0.5, row["n"] - row["events"] + 0.5
        se = (1 / yes + 1 / no) ** 0.5
        out.append({"study": row["study"], "treatment": row["treatment"], "mean": np.log(yes / no), "se": se})
    return out


def posterior(name: str, heterogeneity=None, *, pairs: bool = True):
    """Draws with their certificate, pairwise effects and ranks, from the network itself."""
    fit = en.fit(network(name).replace(), en.Model(heterogeneity=heterogeneity or en.Exchangeable()), draws=DRAWS)
    assert fit.status.ok, fit.status.message
    en.relative_effects(fit, None if pairs else fit.reference)
    en.ranks(fit, better="higher")
    return fit


@cache
def fitted(name: str):
    return en.fit(network(name), draws=DRAWS)


def tasks(small: bool) -> list[tuple[str, str, Callable[[], object], int]]:
    """(network, task, call, repeats) in the order of the table."""
    large = ["100/1,000"] + ([] if small else ["300/5,000"])
    return [
        ("smoking", "posterior", lambda: posterior("smoking"), 9),
        ("smoking", "node-splits", lambda: node_split_table(network("smoking"), draws=DRAWS), 1),
        ("smoking", "leave-one-out", lambda: leave_one_study_out(fitted("smoking")), 3),
        ("50 studies", "posterior", lambda: posterior("50 studies"), 5),
        ("50 studies", "posterior, common effects", lambda: posterior("50 studies", en.Common()), 5),
        ("50 studies", "leave-one-out", lambda: leave_one_study_out(fitted("50 studies")), 3),
        *(
            (f"{size} {kind}", "posterior", lambda s=size, k=kind: posterior(f"{s} {k}", pairs=False), 1)
            for size in large
            for kind in ("counts", "contrasts")
        ),
    ]


def worth(name: str) -> float:
    """Independent draws that would give the ends of 95 % intervals as precisely, for the worst effect.

    A quantile p of n independent draws of a normal distribution has the standard error
    sqrt(p (1 - p) / n) / density; ours is measured over scramblings.
    """
    fits = [en.fit(network(name), seed=seed, draws=DRAWS) for seed in SEEDS]
    others = [i for i in range(len(fits[0].treatments)) if fits[0].treatments[i] != fits[0].reference]
    ends = np.array([quantiles(f.d[:, others], f.weights, (0.025, 0.975)) for f in fits])
    error = ends.std(0, ddof=1).max(0) / np.sqrt(np.diag(fits[0].covariance))[others]
    return float(0.025 * 0.975 / (norm.pdf(norm.ppf(0.025)) * error.max()) ** 2)


def measured(call: Callable[[], object], repeat: int) -> tuple[float, float, float]:
    """Median and least seconds of wall clock, median of CPU."""
    wall, cpu = [], []
    for _ in range(repeat):
        start, used = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return statistics.median(wall), min(wall), statistics.median(cpu)


def per_precision(seconds: float) -> str:
    """The smoking network again, by precision instead of by number of draws."""
    ours = worth("smoking")
    rates = [n / s for n, s in zip(PEER_WORTH, PEER["smoking", "posterior"], strict=True)]
    faster = [ours / seconds / rate for rate in rates]
    return (
        f"For the same precision of interval ends, smoking: the 4,000 draws are worth {ours:,.0f} independent ones "
        f"(worst effect, {len(SEEDS)} scramblings), the recorded runs of multinma and gemtc {PEER_WORTH[0]:,} and "
        f"{PEER_WORTH[1]:,}: {faster[0]:,.0f} and {faster[1]:,.0f} times faster."
    )


def main(arguments: list[str]) -> int:
    posterior("smoking")  # imports and first use are not what is measured
    head = "| network | task | wall, s | least | CPU, s | times a gls fit | multinma, s | gemtc, s | faster, by CPU |"
    lines = [head, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    print("\n".join(lines))
    base: dict[str, float] = {}
    for name, task, call, repeat in tasks("--small" in arguments):
        if name not in base:
            base[name] = measured(lambda n=name: en.fit(network(n).replace(), engine="gls"), 3)[0]
        if task == "leave-one-out":
            fitted(name)
        wall, least, cpu = measured(call, repeat)
        peers = PEER.get((name, task), (None, None))
        known = [p for p in peers if p is not None]
        faster = f"{min(known) / cpu:.0f} to {max(known) / cpu:.0f}" if known else ""
        shown = ["" if p is None else f"{p:g}" for p in peers]
        cells = [name, task, f"{wall:.3f}", f"{least:.3f}", f"{cpu:.3f}", f"{wall / base[name]:.0f}", *shown, faster]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
        if (name, task) == ("smoking", "posterior"):
            precision = per_precision(cpu)
    remark = __doc__.split("\n\n")[-1].strip()
    told = f"\n{precision}\n\nLoad {os.getloadavg()[0]:.1f} at the end, {os.cpu_count()} cores. {remark}\n"
    build = Path(__file__).parents[1] / "build"
    build.mkdir(exist_ok=True)
    (build / "bayesian.md").write_text("\n".join(lines) + "\n" + told, encoding="utf-8")
    print(told)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
