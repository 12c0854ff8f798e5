"""Compare SMAA-2 with two documented examples of R's smaa; fail when a difference is above its Monte Carlo error.

    python validation/smaa/run.py

Both examples were computed by the package from 10,000 draws of its own, so its numbers carry an error too: a difference
may be as large as four standard errors of both together.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from enthesis.assess.benefit_risk import ValueFunction
from enthesis.assess.smaa import sample_weights, smaa

#: draws of ours, and of the package
OURS, THEIRS = 200_000, 10_000


def thrombolytics(told: dict) -> np.ndarray:
    """Partial values from beta distributions of events and non-events."""
    rng = np.random.default_rng(1)
    draws = np.stack(
        [np.stack([rng.beta(a, b, OURS) for a, b in its], axis=-1) for its in told["beta"].values()], axis=1
    )
    values = [ValueFunction.linear(worst=w, best=b)(draws[:, :, k]) for k, (w, b) in enumerate(told["scales"])]
    return np.stack(values, axis=-1)


def antidepressants(told: dict) -> np.ndarray:
    """Partial values of risks: a normal log odds of placebo plus multivariate normal log odds ratios."""
    rng = np.random.default_rng(2)
    columns = []
    for criterion in told["criteria"]:
        base = rng.normal(*criterion["baseline"], OURS)
        effects = rng.multivariate_normal(criterion["mean"], criterion["cov"], OURS)
        risk = 1 / (1 + np.exp(-(base[:, None] + np.column_stack([np.zeros(OURS), effects]))))
        worst, best = (0.0, 1.0) if criterion["increasing"] else (1.0, 0.0)
        columns.append(ValueFunction.linear(worst=worst, best=best)(risk))
    return np.stack(columns, axis=-1)


def standardised(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference of shares in standard errors of both."""
    p = np.clip(ours, 1e-4, 1 - 1e-4)
    return float(np.max(np.abs(ours - theirs) / np.sqrt(p * (1 - p) * (1 / OURS + 1 / THEIRS))))


def main() -> int:
    """Compare both; 1 when the first is above four standard errors or the second above what it is allowed."""
    told = json.loads((Path(__file__).parent / "examples.json").read_text(encoding="utf-8"))
    bad = 0
    for name, make in (("thrombolytics", thrombolytics), ("antidepressants", antidepressants)):
        example = told[name]
        result = smaa(make(example), sample_weights(len(example["theirs"]["central"][0]), OURS, seed=3))
        share = standardised(result.acceptability, np.array(example["theirs"]["acceptability"]))
        ranks = float(np.abs(result.acceptability - np.array(example["theirs"]["acceptability"])).max())
        weights = float(np.abs(result.central - np.array(example["theirs"]["central"])).max())
        sure = float(np.abs(result.confidence - np.array(example["theirs"]["confidence"])).max())
        print(f"{name}: rank acceptability {ranks:.4f} ({share:.1f} standard errors), central weights {weights:.4f}, "
              f"confidence factors {sure:.4f}")  # fmt: skip
        allowed = example["allowed"]
        bad += ranks > allowed["acceptability"] or weights > allowed["central"] or sure > allowed["confidence"]
        if name == "thrombolytics":
            bad += share > 4
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
