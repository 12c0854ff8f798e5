"""Facts of a record as rows of the evidence dictionary: results, contrasts, and everything as posted."""

from __future__ import annotations

from enthesis.evidence.sources.ctgov.posted import Fact, Parsed


def outcome_rows(parsed: Parsed) -> list[dict[str, str]]:
    """Rows of `outcomes`: facts of arms with an outcome code, on which there is no doubt.

    Parameters
    ----------
    parsed : Parsed

    Returns
    -------
    list of dict of str to str
        `preferred` is not decided yet and empty.
    """
    return [
        {
            **_named(parsed, fact),
            "arm_id": fact.arm,
            "week": fact.week,
            "measure": fact.measure,
            "events": fact.events,
            "n": fact.n,
            "percent": fact.percent,
            "events_derived": ("yes" if fact.derived else "no") if fact.measure == "binary" else "",
            "mean": fact.mean,
            "sd": fact.sd,
            "se": fact.se,
            "ci_low": fact.ci_low,
            "ci_high": fact.ci_high,
            "estimator": fact.estimator,
            "preferred": "",
        }
        for fact in parsed.facts
        if _sure(fact) and fact.measure in ("binary", "continuous") and fact.week and (fact.mean or fact.events)
    ]


def contrast_rows(parsed: Parsed) -> list[dict[str, str]]:
    """Rows of `contrasts`: posted analyses between two arms on an outcome of the dictionary, without doubt."""
    return [
        {
            **_named(parsed, fact),
            "arm_id": fact.arm,
            "comparator_arm_id": fact.comparator,
            "week": fact.week,
            "effect": fact.effect,
            "estimate": fact.estimate,
            "ci_low": fact.ci_low,
            "ci_high": fact.ci_high,
            "ci_level": fact.ci_level,
            "se": fact.se,
            "estimator": fact.method[:300],
            "p_value": fact.p_value,
        }
        for fact in parsed.facts
        if _sure(fact) and fact.measure == "contrast" and fact.comparator
    ]


def posted_rows(parsed: Parsed) -> list[dict[str, str]]:
    """Rows of `posted`: every fact, as it stands in the record."""
    same = (
        "locator", "section", "title", "part", "outcome", "week", "measure", "events", "n", "percent",
        "number_of_events", "mean", "sd", "se", "ci_low", "ci_high", "ci_level", "value", "low", "high", "spread",
        "param", "dispersion", "unit", "effect", "estimate", "p_value", "method", "time_frame", "analysis_set",
        "estimator", "doubt", "note",
    )  # fmt: skip
    return [
        {
            "source_id": parsed.source_id,
            "study_id": parsed.study["study_id"],
            **{name: getattr(fact, name) for name in same},
            "posted_group": fact.group,
            "arm_id": fact.arm,
            "comparator_arm_id": fact.comparator,
            "derived": "yes" if fact.derived else "",
        }
        for fact in parsed.facts
    ]


def _sure(fact: Fact) -> bool:
    return bool(fact.arm and fact.outcome) and not fact.doubt


def _named(parsed: Parsed, fact: Fact) -> dict[str, str]:
    note = "; ".join(filter(None, (fact.note, fact.analysis_set)))
    return {
        "study_id": parsed.study["study_id"],
        "subgroup": "all",
        "outcome": fact.outcome,
        "source_id": parsed.source_id,
        "locator": fact.locator,
        "check": "one-source",
        "note": note[:1000],
    }
