"""Time and memory of the frequentist core: published networks beside netmeta, simulated ones of up to 100,000 studies.

    python benchmarks/frequentist.py [--small]

Every network runs in a process of its own, so that peak memory is its own, and on one thread of the linear algebra
library, so that other processes disturb it least. `--small` leaves out the two largest. With
ENTHESIS_REFERENCE set to a folder that has data/, its data sets are timed as well.

The times of netmeta 3.4-0 (meta 8.4-0, R 4.2.2) that are printed beside were taken on the same kind of machine (two
cores) while other processes ran on it, without the 2.4 s that R needs to start. Read ratios as orders of magnitude.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

TABLES = Path(__file__).parents[1] / "tests" / "tables"
STEPS = ("read", "fit DL", "fit REML", "splits", "SIDDE", "designs", "contribution", "leave out")

#: network: step: seconds of netmeta; its fit gives common and random effects, and includes checks and league tables
PEER = {
    "Hasselblad 1998 (smoking)": {"fit DL": 3.184, "fit REML": 3.272, "splits": 0.068, "SIDDE": 28.895,
                                  "designs": 1.84, "contribution": 0.158, "leave out": 121.465},
    "Senn 2013": {"fit DL": 8.587, "fit REML": 7.067, "splits": 0.087, "designs": 2.793, "contribution": 2.505,
                  "leave out": 181.06},
    "Linde 2016": {"fit DL": 20.555, "fit REML": 21.949, "splits": 0.244, "designs": 8.534, "contribution": 97.544},
    "Woods2010": {"fit DL": 2.926, "splits": 0.076, "designs": 0.696, "contribution": 0.143},
    "Franchini2012": {"fit DL": 2.854, "splits": 0.068, "designs": 0.844, "contribution": 0.251},
    "thrombolytics": {"fit DL": 8.156, "splits": 0.083, "designs": 3.545, "contribution": 3.477},
    "depression_gemtc": {"fit DL": 25.469, "splits": 0.133, "designs": 9.573, "contribution": 30.695},
    "Dong2013": {"fit DL": 4.956, "splits": 0.073},
    "sim_50trt_300studies": {"fit DL": 137.739, "splits": 0.941},
    "sim_100trt_1000studies": {"fit DL": "not done in 600"},
    "sim_300trt_5000studies": {"fit DL": "not done in 300"},
}  # fmt: skip


def simulated(n_treatments: int, n_studies: int, *, seed: int = 1, tau: float = 0.2) -> dict[str, list]:
    """Arm means of studies of two to four arms on treatments drawn at random; a chain of studies links them all."""
    rng = np.random.default_rng(seed)
    d = rng.normal(0, 0.5, n_treatments)
    k = rng.choice([2, 3, 4], n_studies, p=[0.88, 0.1, 0.02])
    arms = rng.integers(0, n_treatments, (n_studies, 4))
    while (twice := (np.diff(np.sort(arms, axis=1), axis=1) == 0).any(axis=1)).any():
        arms[twice] = rng.integers(0, n_treatments, (twice.sum(), 4))
    links = n_treatments - 1
    arms[:links, 0], arms[:links, 1], k[:links] = np.arange(links), np.arange(1, links + 1), 2
    variance = rng.uniform(0.02, 0.4, (n_studies, 4))
    mean = d[arms] + rng.normal(0, tau / 2**0.5, (n_studies, 4)) + rng.normal(size=(n_studies, 4)) * np.sqrt(variance)
    study, arm = np.nonzero(np.arange(4) < k[:, None])
    return {
        "study": [f"s{i}" for i in study],
        "treatment": [f"T{t:04d}" for t in arms[study, arm]],
        "mean": mean[study, arm].tolist(),
        "se": np.sqrt(variance[study, arm]).tolist(),
    }


def published(name: str) -> tuple[dict | object, dict]:
    """A table and the arguments of from_table."""
    import pandas as pd

    if name.startswith("Hasselblad"):
        table = pd.read_csv(TABLES / "hasselblad1998.csv")[["study", "trt", "xi", "ni"]]
        return table.set_axis(["study", "treatment", "events", "n"], axis=1), {"measure": "OR"}
    if name.startswith("Senn"):
        table = pd.read_csv(TABLES / "senn2013.csv")[["study", "treatment", "mi", "sdi", "ni"]]
        return table.set_axis(["study", "treatment", "mean", "sd", "n"], axis=1), {"measure": "MD"}
    if name.startswith("Linde"):
        table = pd.read_csv(TABLES / "linde2016.csv")
        table.columns = ["study", "effect", "se", "treatment", "comparator"]
        return table, {"measure": "OR"}
    table = pd.read_csv(Path(os.environ["ENTHESIS_REFERENCE"]) / "data" / f"{name}.csv")
    if "TE" in table:
        table = table.set_axis(["study", "treatment", "comparator", "effect", "se"], axis=1)
        return table, {"measure": "MD"}
    measure = "OR" if "r" in table else "MD"
    table = table.rename(columns={"r": "events", "y": "mean"})
    columns = ("study", "treatment", "events", "n", "mean", "sd", "se")
    return table[[c for c in columns if c in table]], {"measure": measure}


def steps(network, *, large: bool) -> dict[str, Callable[[], object]]:
    """What is timed, in order; for large networks only what is linear in studies, and ten of the network estimates."""
    import enthesis as en
    from enthesis.assess.aggregate import by_comparison, contrast_fit
    from enthesis.assess.consistency import decomposition
    from enthesis.assess.contribution import contributions
    from enthesis.assess.leave_out import leave_one_study_out
    from enthesis.assess.node_splitting import node_splits

    held = {}

    def fit(method: str) -> object:
        held["fit"] = en.fit(network, engine="gls", tau=method)
        return held["fit"]

    def contribution() -> object:
        if not large:
            return contributions(held["fit"])
        at = contrast_fit(held["fit"])
        found, names = by_comparison(at.target.groups, at.target.size, at.tau2), network.treatment_names
        pairs = [(names[a], names[b]) for a, b in zip(found.a[:10], found.b[:10], strict=True)]
        # one shortest path per comparison that runs dry: beyond 10,000 comparisons the random walk is the quicker one
        return contributions(held["fit"], "shortest path" if len(found) < 10_000 else "random walk", pairs)

    return {
        "fit DL": lambda: fit("DL"),
        "fit REML": lambda: fit("REML"),
        "splits": lambda: node_splits(held["fit"]),
        **({} if large else {"SIDDE": lambda: node_splits(held["fit"], "SIDDE")}),
        "designs": lambda: decomposition(held["fit"]),
        "contribution": contribution,
        **({} if large else {"leave out": lambda: leave_one_study_out(held["fit"])}),
    }


def measured(name: str) -> dict:
    """Seconds of each step and peak memory in MB."""
    import enthesis as en

    if name.startswith("simulated"):
        n_treatments, n_studies = (int(x.replace(",", "")) for x in name.split()[1].split("/"))
        table, arguments = simulated(n_treatments, n_studies), {"measure": "MD", "reference": "T0000"}
    else:
        table, arguments = published(name)
    en.fit(en.from_table({"study": [1, 1], "treatment": ["A", "B"], "mean": [0, 1], "se": [1, 1]}), engine="gls")
    start = time.perf_counter()
    network = en.from_table(table, **arguments)
    seconds = {"read": time.perf_counter() - start}
    large = network.n_treatments > 60
    repeat = 1 if network.n_studies > 200 else 3
    for step, run in steps(network, large=large).items():
        best = np.inf
        for _ in range(repeat):
            start = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - start)
        seconds[step] = best
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "memory": memory, "studies": network.n_studies, "treatments": network.n_treatments}


def networks(small: bool) -> list[str]:
    """Names of the networks, in the order of the table."""
    names = [name for name in PEER if " " in name]
    folder = os.environ.get("ENTHESIS_REFERENCE")
    if folder:
        names += [n for n in PEER if " " not in n and Path(folder, "data", f"{n}.csv").exists()]
    names.append("simulated 100/1,000")
    return names if small else [*names, "simulated 300/5,000", "simulated 1,000/100,000"]


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--one"]:
        print(json.dumps(measured(arguments[1])))
        return 0
    print(f"{'seconds (netmeta in brackets)':28}{'studies':>8}" + "".join(f"{s:>26}" for s in STEPS) + f"{'MB':>7}")
    failed = 0
    for name in networks("--small" in arguments):
        done = subprocess.run(
            [sys.executable, __file__, "--one", name],
            capture_output=True,
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        if done.returncode:
            failed += 1
            print(f"{name:28} failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        told = json.loads(done.stdout.splitlines()[-1])
        cells = []
        for step in STEPS:
            ours, theirs = told["seconds"].get(step), PEER.get(name, {}).get(step)
            cells.append(("" if ours is None else f"{ours:.3f}") + ("" if theirs is None else f" ({theirs})"))
        print(f"{name:28}{told['studies']:8d}" + "".join(f"{c:>26}" for c in cells) + f"{told['memory']:7.0f}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
