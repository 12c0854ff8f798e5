"""The tables of `tests/tables` as networks and columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from enthesis.network.network import Network
from enthesis.network.tables import from_table

TABLES = Path(__file__).parent / "tables"


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(TABLES / f"{name}.csv")


def bcg(measure: str = "RR") -> Network:
    """Vaccinated versus not, with absolute latitude and allocation as columns of `table("bcg")`."""
    rows = []
    for r in table("bcg").itertuples():
        name = f"{r.trial:02d} {r.author}"
        rows.append({"study": name, "treatment": "vaccine", "events": r.tpos, "n": r.tpos + r.tneg})
        rows.append({"study": name, "treatment": "control", "events": r.cpos, "n": r.cpos + r.cneg})
    return from_table(rows, measure=measure, reference="control")


def two_arms(name: str, one: tuple[str, str], two: tuple[str, str], size: str, measure: str) -> Network:
    """One row per study: (events, n or time) of treatment and comparator."""
    rows = []
    for i, r in table(name).iterrows():
        for treatment, (events, n) in (("treated", one), ("control", two)):
            rows.append({"study": f"{i + 1:02d}", "treatment": treatment, "events": r[events], size: r[n]})
    return from_table(rows, measure=measure, reference="control")


def normand() -> tuple[np.ndarray, np.ndarray]:
    """Mean differences and variances of length of stay."""
    t = table("normand1999")
    return (t.m1i - t.m2i).to_numpy(float), (t.sd1i**2 / t.n1i + t.sd2i**2 / t.n2i).to_numpy(float)
