"""What the comparisons with samplers share: Monte Carlo errors of both sides, and the report.

A number is allowed three standard errors of the difference, and 0.01.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from enthesis.inference.diagnostics import effective_sample_size, quantiles

SLACK = 0.01
#: (quantity, ours, theirs, tolerance)
Found = Iterator[tuple[str, float, float, float]]


def sd_error(draws: np.ndarray, weights: np.ndarray, sizes: tuple[float, ...]) -> float:
    """Monte Carlo standard error of the difference of two standard deviations, from the fourth moment.

    Where few studies tell of tau, its posterior has a long tail, and standard deviations settle slowly.
    """
    away = (draws - weights @ draws) ** 2
    variance = weights @ away
    spread = weights @ (away - variance) ** 2
    return float(np.sqrt(spread * sum(1 / n for n in sizes)) / (2 * np.sqrt(variance)))


def quantile_allowance(draws: np.ndarray, weights: np.ndarray, p: float, sizes: tuple[float, ...]) -> float:
    """How far two samples' quantiles may be apart: three standard errors, read off our draws."""
    error = 3 * np.sqrt(p * (1 - p) * sum(1 / n for n in sizes))
    around = quantiles(draws, weights, tuple(np.clip([p - error, p, p + error], 1e-4, 1 - 1e-4)))
    return float(np.abs(around - around[1]).max()) + SLACK


def compare_draws(
    label: str,
    draws: np.ndarray,
    weights: np.ndarray,
    row: Mapping[str, float],
    se_peer: float,
    tails: tuple[str, str] = ("2.5%", "97.5%"),
) -> Found:
    """Mean, standard deviation and the tails of a parameter."""
    mean = weights @ draws
    sd = np.sqrt(weights @ (draws - mean) ** 2)
    combined = float(np.hypot(se_peer, sd / np.sqrt(effective_sample_size(weights))))
    yield f"{label} mean", mean, row["mean"], 3 * combined + SLACK
    sizes = (effective_sample_size(weights), (row["sd"] / se_peer) ** 2)
    yield f"{label} sd", sd, row["sd"], 3 * sd_error(draws, weights, sizes) + SLACK
    for which, p in zip(tails, (0.025, 0.975), strict=True):
        ours = float(quantiles(draws, weights, (p,))[0])
        yield f"{label} {which}", ours, row[which], quantile_allowance(draws, weights, p, sizes)


def report(peer: str, results: Callable[[Path, Path], Found], *, skip: tuple[str, ...] = ()) -> int:
    """Compare every file of a peer that the command line chooses; 1 when a number exceeds its tolerance."""
    where = os.environ.get("ENTHESIS_REFERENCE")
    if not where:
        print("ENTHESIS_REFERENCE is not set: there is nothing to compare with.")
        return 0
    data = Path(where) / "data"
    failures = total = 0
    for path in sorted((Path(where) / "golden" / peer).glob("*.json")):
        if path.stem.startswith(skip or ("\0",)) or (sys.argv[1:] and not path.stem.startswith(tuple(sys.argv[1:]))):
            continue
        rows = [r for r in results(path, data) if np.isfinite(r[2])]
        bad = [r for r in rows if not abs(r[1] - r[2]) <= r[3]]
        worst = max(rows, key=lambda r: abs(r[1] - r[2]) / max(r[3], 1e-12))
        print(f"{path.stem:38} {len(rows):4} compared, {len(bad)} off; nearest to its tolerance: {worst[0]} "
              f"{worst[1]:.4f} ({worst[2]:.4f} +- {worst[3]:.4f})", flush=True)  # fmt: skip
        for what, ours, theirs, tolerance in bad:
            print(f"    {what}: {ours:.4f}, {peer} {theirs:.4f}, allowed {tolerance:.4f}")
        failures, total = failures + len(bad), total + len(rows)
    print(f"{total} numbers compared, {failures} outside their tolerance")
    return int(failures > 0)
