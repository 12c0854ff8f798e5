"""Compare thresholds with nmathresh's recorded answers for its documented examples; fail above tolerance.

    ENTHESIS_REFERENCE=<folder with golden/> python validation/nmathresh/run.py

Reads golden/nmathresh: the arguments of each call as R prints them, and its answer. Without ENTHESIS_REFERENCE nothing
is compared.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import numpy as np

from enthesis.assess.decision import Best
from enthesis.assess.threshold import influence_matrix, likelihood_variances, threshold

#: largest difference allowed, relative to max(1, |reference|): both sides are closed forms of the same numbers
EXACT = 1e-9
#: prior precision of the effects that the example of the package states for the thrombolytics
PRIOR_PRECISION = 1e-4

_NUMBER = re.compile(r"-?Inf|-?\d+\.?\d*(?:e[-+]?\d+)?")


def numbers(text: str) -> np.ndarray:
    """The numbers of an R vector as `deparse` prints it; names in backticks are left out."""
    plain = re.sub(r"`[^`]*`", "", text.replace("\n", " "))
    return np.array([float(n.replace("Inf", "inf")) for n in _NUMBER.findall(plain)])


def square(text: str) -> np.ndarray:
    """A square matrix: a plain vector by columns, or a sparse one with its slots i, p and x."""
    if not text.startswith("new("):
        values = numbers(text)
        size = round(len(values) ** 0.5)
        return values.reshape(size, size).T
    slots = {s: numbers(re.search(rf"\b{s} = c\(([^)]*)\)", text.replace("\n", " ")).group(1)) for s in "ipx"}
    start, row = slots["p"].astype(int), slots["i"].astype(int)
    size = len(start) - 1
    matrix = np.zeros((size, size))
    column = np.repeat(np.arange(size), np.diff(start))
    matrix[row, column] = slots["x"]
    return matrix


def case(told: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Effects, posterior covariance, design and likelihood covariance of an example."""
    mean, likelihood, post = numbers(told["call_info"][0]), square(told["call_info"][1]), square(told["call_info"][2])
    if told["call_info"][3] == "random":  # the joint posterior of effects and study effects; the data are the latter
        points = len(likelihood)
        X = np.hstack([np.zeros((points, len(mean))), np.eye(points)])
    else:
        X = np.array(told["X"]["values"], dtype=float)
    return np.r_[0.0, mean], post, X, likelihood


def gap(ours, theirs) -> float:
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    if a.shape != b.shape or (np.isinf(a) != np.isinf(b)).any():
        return np.inf
    finite = np.isfinite(b)
    return float(np.max(np.abs(a[finite] - b[finite]) / np.maximum(1, np.abs(b[finite])), initial=0.0))


def compared(told: dict):
    """(what, worst difference) for each part of an answer."""
    effects, post, X, likelihood = case(told)
    V = np.diag(likelihood) if np.array_equal(likelihood, np.diag(np.diag(likelihood))) else likelihood
    T = len(effects)
    H = np.vstack([np.zeros(len(X)), influence_matrix(post, X, V)[: T - 1]])
    yield "influence matrix", gap(H[1:], told["H"]["values"])
    found = [threshold(-effects, -H[:, m], Best()) for m in range(H.shape[1])]  # the smallest effect is best
    want = told["thresholds"]
    for side, never in (("lo", -np.inf), ("hi", np.inf)):
        theirs = [never if v is None else v for v in want[side]]
        yield f"thresholds {side}", gap([f.low if side == "lo" else f.high for f in found], theirs)
        ours = [(f.below if side == "lo" else f.above) for f in found]
        names = [str(o[0] + 1) if o else "NA" for o in ours]
        yield f"new decisions {side}", float(sum(a != str(b) for a, b in zip(names, want[f"{side}.newkstar"])))
    yield "decision", float(int((-effects).argmax()) + 1 != told["kstar"])
    if told["example"] == 2:
        yield "reconstructed variances", gap(likelihood_variances(post, X, PRIOR_PRECISION), np.diag(likelihood))


def main() -> int:
    """Compare every example; 1 when a difference is above tolerance."""
    root = os.environ.get("ENTHESIS_REFERENCE")
    if not root:
        print("ENTHESIS_REFERENCE is not set: nothing to compare with.")
        return 0
    bad = 0
    for path in sorted((Path(root) / "golden" / "nmathresh").glob("example_*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        for what, worst in compared(told):
            bad += worst > EXACT
            print(f"{path.stem:12} {what:24} {worst:.1e}{'' if worst <= EXACT else '  ABOVE'}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
