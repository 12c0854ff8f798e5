"""Printed effects between arms: against the arms themselves, against their intervals, and against one another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import log
from statistics import NormalDist

from enthesis.evidence.lint.cells import Line, by, grouped, lines
from enthesis.evidence.lint.finding import Finding, finding
from enthesis.evidence.lint.spread import interval_findings
from enthesis.evidence.view import Evidence

_RATIO = ("odds_ratio", "risk_ratio", "hazard_ratio", "rate_ratio")


def intervals(evidence: Evidence) -> Iterator[Finding]:
    """Effects outside their interval or off its middle (on the log scale for ratios), or unlike their SE."""
    for row in lines(evidence, "contrasts"):
        estimate, low, high = (row.value(c) for c in ("estimate", "ci_low", "ci_high"))
        if estimate is None or low is None or high is None:
            continue
        z = NormalDist().inv_cdf(0.5 + (row.value("ci_level") or 95) / 200)
        if row["effect"] not in _RATIO:
            half = row.half("ci_low") + row.half("ci_high")
            yield from interval_findings(row, "estimate", estimate, low, high, row.value("se"), half=half, z=z)
            continue
        if min(estimate, low) <= 0:
            continue
        half = sum(log((row.value(c) + row.half(c)) / row.value(c)) for c in ("ci_low", "ci_high", "estimate"))
        yield from interval_findings(row, "estimate", log(estimate), log(low), log(high), None, half=half, z=z)


def recomputed(evidence: Evidence) -> Iterator[Finding]:
    """Effects that the arms' own rows contradict: the other direction, or outside the printed interval."""
    arms = grouped(
        (r for r in lines(evidence, "outcomes") if r["preferred"] == "yes"),
        by("study_id", "arm_id", "subgroup", "outcome", "week"),
    )
    for row in lines(evidence, "contrasts"):
        rest = (row["subgroup"], row["outcome"], row["week"])
        first = arms.get((row["study_id"], row["arm_id"], *rest), [])
        second = arms.get((row["study_id"], row["comparator_arm_id"], *rest), [])
        estimate, low, high = (row.value(c) for c in ("estimate", "ci_low", "ci_high"))
        if estimate is None or not first or not second:
            continue
        crude = crude_effect(row["effect"], first[0], second[0])
        if crude is None:
            continue
        ratio = row["effect"] in _RATIO
        logs = ratio and min(estimate, crude) > 0
        stated, own = (log(estimate), log(crude)) if logs else (estimate, crude)
        read = [(row.name, (row["estimate"], row["ci_low"], row["ci_high"]))] + [
            (r.name, tuple(r[c] for c in ("events", "n", "mean"))) for r in (first[0], second[0])
        ]
        shown = f"{row['effect'].replace('_', ' ')} {row['estimate']} is printed; the arms themselves give {crude:.3g}"
        far = abs(own) > 0.1 and abs(stated) > 0.1
        if far and stated * own < 0 and abs(stated + own) < 0.5 * abs(own):
            yield finding("other-direction", "error", row.where(), read, f"{shown}: the other direction.",
                          "Swap arm and comparator, or correct the sign.")  # fmt: skip
        elif low is not None and high is not None and _outside(row, crude):
            yield finding("recomputed", "warning", row.where(), read,
                          f"{shown}, outside the printed interval {low:g} to {high:g}.",
                          "Both can be right: an adjusted effect is another estimand. Say which in the column "
                          "estimator; else compare the counts with the source.")  # fmt: skip


def _outside(row: Line, value: float) -> bool:
    low, high = row.value("ci_low") - row.half("ci_low"), row.value("ci_high") + row.half("ci_high")
    return not low <= value <= high


def crude_effect(effect: str, first: Line, second: Line) -> float | None:
    """The effect that two arms' own rows give, on the scale that people read; None when they cannot.

    Risk differences are percentage points when the arms print percentages, as in the contrasts of the dictionary.
    """
    a, n1, c, n2 = first.value("events"), first.value("n"), second.value("events"), second.value("n")
    if effect == "difference":
        means = first.value("mean"), second.value("mean")
        return None if None in means else means[0] - means[1]
    if None in (a, n1, c, n2) or not n1 or not n2 or "binary" not in (first["measure"], second["measure"]):
        return None
    if effect == "risk_difference":
        return 100 * (a / n1 - c / n2)
    if effect == "risk_ratio" and a and c:
        return a / n1 / (c / n2)
    if effect == "odds_ratio" and 0 < a < n1 and 0 < c < n2:
        return a / (n1 - a) / (c / (n2 - c))
    return None


def multi_arm(evidence: Evidence) -> Iterator[Finding]:
    """Three effects among three arms that do not close, or whose variances no covariance matrix can have."""
    key = by("study_id", "subgroup", "outcome", "week", "effect", "estimator", "source_id")
    for group in grouped(lines(evidence, "contrasts"), key).values():
        pairs = {(r["arm_id"], r["comparator_arm_id"]): r for r in group if r.value("estimate") is not None}
        for a, b, c in combinations(sorted({arm for pair in pairs for arm in pair}), 3):
            rows = [_oriented(pairs, *pair) for pair in ((a, b), (b, c), (a, c))]
            if None in rows:
                continue
            ab, bc, ac = (row for row, _ in rows)
            x, y, z = (_scaled(r, sign) for r, sign in rows)
            if None in (x, y, z):
                continue
            read = [(r.name, (r["estimate"], r["se"])) for r in (ab, bc, ac)]
            room = sum(_room(r) for r in (ab, bc, ac))
            if abs(x + y - z) > room + 0.05 * max(abs(x), abs(y), abs(z)):
                yield finding("does-not-close", "warning", ac.where(), read,
                              f"{a} to {b} ({x:.3g}) and {b} to {c} ({y:.3g}) make {x + y:.3g}, but {a} to {c} is "
                              f"printed as {z:.3g}.",
                              "Compare signs and sets of patients with the source.")  # fmt: skip
            ses = [_se(r) for r in (ab, bc, ac)]
            if None not in ses and 2 * max(ses) ** 2 > sum(s**2 for s in ses) * (1 + 1e-6):
                yield finding("multi-arm-variance", "warning", ac.where(), read,
                              "The standard errors of the three effects among three arms contradict one another: one "
                              "arm would have a negative variance.",
                              "Give the arms' own results instead; effects adjusted in separate models cannot be used "
                              "together.")  # fmt: skip


def _oriented(pairs: dict[tuple[str, str], Line], a: str, b: str) -> tuple[Line, int] | None:
    if (a, b) in pairs:
        return pairs[a, b], 1
    return (pairs[b, a], -1) if (b, a) in pairs else None


def _scaled(row: Line, sign: int) -> float | None:
    value = row.value("estimate")
    if row["effect"] in _RATIO:
        return sign * log(value) if value and value > 0 else None
    return sign * value


def _room(row: Line) -> float:
    value, half = row.value("estimate"), row.half("estimate")
    return log(1 + half / value) if row["effect"] in _RATIO and value else half


def _se(row: Line) -> float | None:
    if row.value("se"):
        return row.value("se")
    low, high = row.value("ci_low"), row.value("ci_high")
    if low is None or high is None or (row["effect"] in _RATIO and low <= 0):
        return None
    z = NormalDist().inv_cdf(0.5 + (row.value("ci_level") or 95) / 200)
    return (log(high) - log(low) if row["effect"] in _RATIO else high - low) / (2 * z)


__all__ = ["crude_effect", "intervals", "multi_arm", "recomputed"]
