"""A small evidence made in a test: rows with only the cells that matter, the rest not reported."""

from __future__ import annotations

import pandas as pd

STUDY = {
    "study_id": "A", "year": 2020.0, "design": "rct", "part_of": "", "population": "r-axSpA", "prior_biologic": "naive",
    "prior_biologic_fraction": float("nan"), "crp_required": "", "n_randomised": 200.0, "primary_week": float("nan"),
    "placebo_until_week": float("nan"), "status": "completed",
}  # fmt: skip
ARM = {
    "study_id": "A", "arm_id": "placebo", "treatment": "placebo", "drug_class": "placebo", "dose": float("nan"),
    "dose_unit": "", "frequency": "",
}  # fmt: skip
NUMBERS = ("week", "events", "n", "percent", "mean", "sd", "se", "ci_low", "ci_high", "patient_years")
RESULT = {
    "study_id": "A", "arm_id": "placebo", "subgroup": "all", "outcome": "ASAS40", "measure": "binary",
    "events_derived": "no", "estimator": "NRI", "check": "one-source", "preferred": "yes",
}  # fmt: skip


class SmallEvidence:
    """What `select` reads of an Evidence: three frames and the eligibility of each result row."""

    def __init__(self, studies: list[dict], arms: list[dict], results: list[dict]) -> None:
        self.studies = pd.DataFrame([STUDY | s for s in studies])
        self.arms = pd.DataFrame([ARM | a for a in arms])
        numbers = dict.fromkeys(NUMBERS, float("nan"))
        rows = [RESULT | numbers | {"week": 12.0} | {"result_id": f"R{i}"} | r for i, r in enumerate(results, start=1)]
        self.outcomes = pd.DataFrame([{k: v for k, v in r.items() if k not in ("use", "reason")} for r in rows])
        self._use = pd.DataFrame([{"use": r.get("use", "primary"), "reason": r.get("reason", "")} for r in rows])

    def eligibility(self) -> pd.DataFrame:
        return self._use


def counts(arm: str, events: float, n: float, **more) -> dict:
    """A row of a binary outcome."""
    return {"arm_id": arm, "events": float(events), "n": float(n), **more}


def means(arm: str, mean: float, **more) -> dict:
    """A row of a continuous outcome."""
    return {"arm_id": arm, "outcome": "dBASDAI", "measure": "continuous", "estimator": "MMRM", "mean": mean, **more}


DRUG = {
    "arm_id": "drug-15",
    "treatment": "drug",
    "drug_class": "JAKi",
    "dose": 15.0,
    "dose_unit": "mg",
    "frequency": "QD",
}
HIGH = DRUG | {"arm_id": "drug-30", "dose": 30.0}
OTHER = {"arm_id": "other", "treatment": "other", "drug_class": "TNFi"}
