"""The safety part as plain values for `results.json`: the list `safety` and what stands beside it."""

from __future__ import annotations

import math
from typing import Any

from enthesis.assess.rates import RateGroup
from enthesis.assess.safety_values import Absolute, Safety, SafetyResult
from enthesis.assess.safety_words import BASELINE_WORDS


def safety_json(value: Safety) -> dict[str, Any]:
    """Keys `safety` (list), `safety_profiles`, `safety_rates`, `safety_long_term`.

    Parameters
    ----------
    value : Safety

    Returns
    -------
    dict
        Plain values; a number that is infinite or unknown is None.
    """
    return {
        "safety": [result_json(r) for r in value.results],
        "safety_profiles": [profile_json(value, p.id) for p in value.settings.profile],
        "safety_rates": [
            {"outcome": r.outcome, "pooled": [_group(g) for g in r.pooled], "by_class": [_group(g) for g in r.by_class],
             "left_out": list(r.dropped)}
            for r in value.rates
        ],
        "safety_long_term": {
            "stopping": [_plain(x) for x in value.stopping],
            "response": [_plain(x) for x in value.response],
            "retention": [_plain(x) for x in value.retention],
            "structure": [_plain(x) for x in value.structure],
            "study_types": [
                {"outcome": d.outcome, "sentence": d.sentence,
                 "ratios": [{"design": t, "studies": k, **_three(three)} for t, k, three in d.lines]}
                for d in value.designs
            ],
        },
    }  # fmt: skip


def result_json(r: SafetyResult) -> dict[str, Any]:
    """One outcome in one stratum of risk."""
    b, v = r.borrowed, r.rate_ratio
    treatment, comparator = r.comparison
    return {
        "outcome": r.outcome, "name": r.name, "treatment": treatment, "comparator": comparator,
        "population": r.population, "stratum": r.stratum, "stratum_label": r.stratum_label,
        "own": {
            "rate_of": r.own_rate_of or None,
            "events": {name: r.own_events[name] for name in r.comparison},
            "patient_years": {name: _finite(r.own_patient_years[name]) for name in r.comparison},
            "rate_ratio": _three(r.own_ratio) if r.own_ratio else None, "without_time_at_risk": list(r.own_further),
        },
        "borrowed": {
            "weight": b["weight"], "posterior_weight": _finite(b["posterior_weight"]),
            "effective_sample_size": _finite(b["ess"]), "events_gained": _finite(b["ess_borrowed"]),
            "sources": list(b["source"]), "average": _three(b["average"]) if b["average"] else None,
            "new_group": _three(b["ratio"]) if b["ratio"] else None,
        },
        "conflict": {"p_value": _finite(r.conflict["p_value"]), "log_difference": _finite(r.conflict["difference"]),
                     "sentence": r.conflict["sentence"]},
        "rate_ratio": None if v is None else {"estimate": _finite(v.estimate), "lower": _finite(v.lower),
                                              "upper": _finite(v.upper)},
        "per_1000": {f"{t:g}": _absolute(a) for t, a in r.per_1000.items()},
        "baseline": None if r.anchor is None else {
            "side": r.anchor.side, "drug_class": r.anchor.drug_class, "rate_of": r.anchor.rate_of,
            "events": r.anchor.events, "patient_years": _finite(r.anchor.patient_years),
            "studies": list(r.anchor.studies),
            "assumption": f"{r.anchor.sentence} {BASELINE_WORDS}",
        },
        "by_weight": [{k: _finite(x) for k, x in line.items()} for line in r.tipping],
        "tipping_points": list(r.tipping_points),
        "sources": [
            {"study": s.study, "population": s.population, "design": s.design, "kind": s.kind, "subgroup": s.subgroup,
             "rows": list(s.rows), "ratio": _three(s.ratio), "assumption": s.assumption, "left_out": s.left_out}
            for s in r.sources
        ],
        "sentence": r.sentence,
    }  # fmt: skip


def profile_json(value: Safety, id: str) -> dict[str, Any]:
    """Which result holds for each outcome of a profile."""
    p = value.settings.profile_of(id)
    return {
        "id": p.id, "label": p.label, "age_65": p.age_65, "ever_smoker": p.ever_smoker,
        "cardiovascular": p.cardiovascular,
        "results": [{"outcome": r.outcome, "stratum": r.stratum} for r in value.for_profile(p)],
    }  # fmt: skip


def _absolute(a: Absolute) -> dict[str, Any]:
    return {"years": a.years, "treatment": _three(a.treatment), "comparator": _three(a.comparator),
            "difference": _three(a.difference)}  # fmt: skip


def _group(g: RateGroup) -> dict[str, Any]:
    rate, lower, upper = g.per_100
    return {
        "group": list(g.name), "rate_of": g.rate_of, "studies": g.pooled.k, "events": g.pooled.events,
        "patient_years": _finite(g.pooled.exposure), "per_100": _three((rate, lower, upper)),
        "tau": _finite(g.pooled.tau), "model": g.pooled.model, "rows": [row.id for row in g.rows],
    }  # fmt: skip


def _plain(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    def clean(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: clean(v) for k, v in x.items()}
        return _finite(x) if isinstance(x, float) else x

    return clean(asdict(value))


def _three(three: tuple[float, float, float]) -> dict[str, Any]:
    return dict(zip(("estimate", "lower", "upper"), (_finite(x) for x in three), strict=True))


def _finite(x: float | None) -> float | None:
    return None if x is None or not math.isfinite(x) else float(x)
