"""The safety part of a review: long-term rates, and rate ratios with what is borrowed, by stratum of risk.

For each outcome and stratum the own data are single arms of axSpA studies with exchangeable baselines (and own printed
ratios, where the settings name them). Relative effects of other indications become a robust meta-analytic-predictive
prior, which is combined with the own likelihood. Absolute numbers start from an own rate; nothing absolute is carried
over from another indication. Every sentence says what was own, what was borrowed, and whether the two agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from enthesis.assess.long_term import long_term_response, retention, stopping_ratios, structure
from enthesis.assess.overlaps import all_overlaps, apart
from enthesis.assess.rate_ratios import across
from enthesis.assess.rates import RateRow, by_study, last_follow_up, one_kind, pool_rates, rate_rows
from enthesis.assess.safety_effects import EffectReader, Effects
from enthesis.assess.safety_settings import OutcomeSettings, SafetySettings, read_safety
from enthesis.assess.safety_values import (
    Absolute,
    Anchor,
    DesignComparison,
    OutcomeRates,
    RateRatioValue,
    Safety,
    SafetyResult,
    Three,
)
from enthesis.assess.safety_words import anchor_sentence, design_sentence, result_sentence
from enthesis.errors import UsageError
from enthesis.inference.across_studies import AcrossStudies, predictive_p_value
from enthesis.inference.borrowing import Borrowed, BorrowingTable, borrowing_table, tipping_points
from enthesis.inference.borrowing_conflict import conflict_sentence
from enthesis.inference.borrowing_hierarchy import hierarchy
from enthesis.models.borrowing import Conclusion, RelativeEffect, RobustMap
from enthesis.models.designs import DESIGNS
from enthesis.models.overlap import Overlap
from enthesis.models.priors import Normal
from enthesis.network.candidates import candidates

if TYPE_CHECKING:
    from enthesis.evidence import Evidence
    from enthesis.network.treatments import TreatmentMap

Array = NDArray[np.float64]

DRAWS = 4000
WEIGHTS = tuple(float(w) for w in np.linspace(0, 1, 11).round(2))


def compute(run: Any, settings: Path, done: Mapping[str, Any]) -> Safety:
    """The safety part of a run.

    Parameters
    ----------
    run : Run
    settings : Path
        `safety.toml` of the review; `overlaps.toml` is read beside it.
    done : mapping
        Parts computed before; not used.

    Returns
    -------
    Safety
    """
    return safety(run.evidence, read_safety(settings), settings.parent / "overlaps.toml", run.review.treatments)


def safety(
    evidence: Evidence,
    settings: SafetySettings,
    overlaps: Path | Sequence[Overlap] = (),
    treatments: TreatmentMap | None = None,
    *,
    only: Sequence[str] = (),
) -> Safety:
    """Everything about safety that the settings ask, on an evidence.

    Parameters
    ----------
    evidence : Evidence
    settings : SafetySettings
    overlaps : Path or sequence of Overlap
        Declared overlaps, or their file; RCTs and their extensions are added.
    treatments : TreatmentMap, optional
    only : sequence of str
        Outcome codes; default all.

    Returns
    -------
    Safety
    """
    declared = all_overlaps(overlaps, evidence) if isinstance(overlaps, Path) else tuple(overlaps)
    reader = EffectReader(evidence, settings)
    every = rate_rows(evidence, treatments=treatments)
    results: list[SafetyResult] = []
    compared: list[DesignComparison | None] = []
    rates = []
    for asked in settings.outcome:
        if only and asked.code not in only:
            continue
        rows = own_rows(every, asked.code, settings)
        rates.append(outcome_rates(asked, rows, declared))
        own = own_data(evidence, asked, settings, rows, declared)
        results += [one_result(reader, asked, id, settings, own, declared) for id in asked.strata]
        compared.append(designs(reader, asked, declared))
    return Safety(
        settings=settings, results=tuple(results), rates=tuple(rates), designs=tuple(d for d in compared if d),
        response=() if only else long_term_response(evidence, settings.populations, treatments),
        retention=() if only else retention(evidence, (*settings.populations, "mixed"), treatments, declared),
        stopping=() if only else stopping_ratios(evidence, (*settings.populations, "mixed")),
        structure=() if only else structure(evidence, settings.populations, treatments, declared),
    )  # fmt: skip


def own_rows(every: Sequence[RateRow], outcome: str, settings: SafetySettings) -> tuple[RateRow, ...]:
    """Long-term rates of an outcome in the own populations, all patients, the longest follow-up of each study.

    Rows judged `no` are left out; those judged for context are kept, since single extension arms are judged so for the
    efficacy networks.
    """
    rows = [r for r in every if r.outcome == outcome and r.population in settings.populations
            and r.subgroup == "all" and r.use != "no"]  # fmt: skip
    # a zero stands for both kinds of rates, so a shorter one is not kept beside a longer follow-up of the other kind
    return last_follow_up(rows)


def outcome_rates(asked: OutcomeSettings, rows: Sequence[RateRow], overlaps: Sequence[Overlap]) -> OutcomeRates:
    """Rates of one outcome by drug and by class and study type, without overlaps; kinds stay apart."""
    pooled, by_class, dropped = [], [], []
    for kind in ("patients", "events"):
        counted = [r for r in rows if r.counted and r.rate_of == kind]
        kept = apart(counted, overlaps)
        dropped += [d.sentence for d in kept.dropped]
        pooled += pool_rates(kept.rows, ("drug_class", "treatment", "design"), rate_of=kind)
        by_class += pool_rates(kept.rows, ("drug_class",), rate_of=kind)
    silent = [r for r in rows if r.counted and r.rate_of == "unstated" and r.events == 0]
    if silent:
        kept = apart(silent, overlaps)
        pooled += pool_rates(kept.rows, ("drug_class", "treatment", "design"), rate_of="events")
        by_class += pool_rates(kept.rows, ("drug_class",), rate_of="events")
    return OutcomeRates(outcome=asked.code, name=asked.name, rows=tuple(rows), pooled=tuple(pooled),
                        by_class=tuple(by_class), dropped=tuple(dict.fromkeys(dropped)))  # fmt: skip


@dataclass(frozen=True)
class OwnData:
    """Own rates of one outcome: rows by class, what they count, the likelihood of their ratio, what else is known."""

    kind: str
    sides: dict[str, tuple[RateRow, ...]]
    likelihood: AcrossStudies | None
    anchor: Anchor | None
    further: tuple[str, ...]


def own_data(
    evidence: Evidence,
    asked: OutcomeSettings,
    settings: SafetySettings,
    rows: Sequence[RateRow],
    overlaps: Sequence[Overlap],
) -> OwnData:
    """The own data of an outcome.

    Parameters
    ----------
    evidence : Evidence
    asked : OutcomeSettings
    settings : SafetySettings
    rows : sequence of RateRow
        Own rates, as `own_rows` gives them.
    overlaps : sequence of Overlap

    Returns
    -------
    OwnData
    """
    counted = {name: tuple(r for r in rows if r.counted and r.drug_class == name)
               for name in (settings.treatment, settings.comparator)}  # fmt: skip
    kind, sides = _best_kind(counted, overlaps)
    return OwnData(kind, sides, _own_likelihood(sides, settings), _anchor(rows, overlaps, asked, settings),
                   without_time(evidence, asked.code, settings, overlaps))  # fmt: skip


def without_time(
    evidence: Evidence, outcome: str, settings: SafetySettings, overlaps: Sequence[Overlap]
) -> tuple[str, ...]:
    """Own counts of patients that print no time at risk, in words: they cannot enter a rate and are not hidden.

    The longest follow-up and the largest group of each extension and pooled analysis.
    """
    rows = [
        r for r in candidates(evidence).get(outcome, ())
        if r.kind == "binary" and r.subgroup == "all" and r.use != "no" and r.count is not None and r.n and r.arm
        and r.study.get("population") in settings.populations and r.study.get("design") in ("extension", "pooled")
        and r.arm["drug_class"] in (settings.treatment, settings.comparator)
    ]  # fmt: skip
    best: dict[tuple[str, str], Any] = {}
    for row in apart(rows, overlaps).rows:
        key = row.study_id, row.arm["drug_class"]
        if key not in best or (row.week or 0, row.n) > (best[key].week or 0, best[key].n):
            best[key] = row
    return tuple(
        f"{r.count:g} of {r.n:g} patients on {r.arm['treatment']} over {r.week or 0:g} weeks ({r.study_id}, {r.arm_id})"
        for r in best.values()
    )


def one_result(
    reader: EffectReader,
    asked: OutcomeSettings,
    stratum: str,
    settings: SafetySettings,
    own: OwnData,
    overlaps: Sequence[Overlap],
) -> SafetyResult:
    """One outcome in one stratum of risk.

    Parameters
    ----------
    reader : EffectReader
    asked : OutcomeSettings
    stratum : str
    settings : SafetySettings
    own : OwnData
    overlaps : sequence of Overlap

    Returns
    -------
    SafetyResult
    """
    effects = reader.effects(asked, stratum, overlaps)
    likelihoods: list[Any] = [*effects.own, *([own.likelihood] if own.likelihood is not None else [])]
    belief = RobustMap(weight=settings.borrowing.weight, tau=settings.borrowing.prior_tau)
    table: BorrowingTable | None = None
    chosen: Borrowed | None = None
    if likelihoods or effects.external:
        table = borrowing_table(likelihoods, effects.external, belief, weights=WEIGHTS if effects.external else (0.0,),
                                thresholds=(0.0, float(np.log(settings.relevant_ratio))))  # fmt: skip
        chosen = table.at(settings.borrowing.weight if effects.external else 0.0)
    ratio = _ratio(chosen)
    result = SafetyResult(
        outcome=asked.code, name=asked.name, comparison=(settings.treatment, settings.comparator),
        population=settings.indication, stratum=stratum, stratum_label=settings.stratum_of(stratum).label,
        own_events={name: float(by_study(its)[0].sum()) for name, its in own.sides.items()},
        own_patient_years={name: float(by_study(its)[1].sum()) for name, its in own.sides.items()},
        own_rate_of=own.kind, own_further=own.further,
        own_ratio=_exp(chosen.own) if chosen is not None and likelihoods else None,
        borrowed=_borrowed(chosen, table, effects, settings), conflict=_conflict(chosen, effects, own.likelihood),
        rate_ratio=ratio, anchor=own.anchor, per_1000=_absolute(own.anchor, ratio, settings.years),
        sources=effects.sources, tipping=_tipping(table), curves=_curves(chosen, likelihoods, effects),
        tipping_points=_tipping_points(table, effects),
    )  # fmt: skip
    return replace(result, sentence=result_sentence(result, settings))


def _best_kind(sides: Mapping[str, tuple[RateRow, ...]], overlaps: Sequence[Overlap]) -> tuple[str, dict]:
    """The kind of rate in which both sides have most patient-years, and the rows of it without overlaps."""
    tried = []
    for kind in ("events", "patients"):
        chosen = {}
        for name, rows in sides.items():
            _, kept, _ = one_kind(rows, kind) if rows else ("", (), ())
            chosen[name] = apart(kept, overlaps).rows
        time = [sum(r.exposure for r in its) for its in chosen.values()]
        tried.append((min(time), sum(time), kind, chosen))
    _, _, kind, chosen = max(tried, key=lambda t: t[:2])
    return (kind if any(chosen.values()) else ""), chosen


def _own_likelihood(sides: Mapping[str, tuple[RateRow, ...]], settings: SafetySettings) -> AcrossStudies | None:
    treated, comparator = sides.values()
    if not treated or not comparator:
        return None
    found = across(treated, comparator, settings.borrowing.prior_baselines)
    return found if found.total else None


def _exp(density: Any) -> Three:
    low, high = density.interval(0.95)
    return float(np.exp(density.median)), float(np.exp(low)), float(np.exp(high))


def _ratio(chosen: Borrowed | None) -> RateRatioValue | None:
    if chosen is None:
        return None
    estimate, lower, upper = chosen.rate_ratio
    return RateRatioValue(estimate=estimate, lower=lower, upper=upper, draws=np.exp(chosen.draws(DRAWS)))


def _borrowed(
    chosen: Borrowed | None, table: BorrowingTable | None, effects: Effects, settings: SafetySettings
) -> dict[str, Any]:
    if chosen is None or table is None or not effects.external:
        return {"weight": 0.0, "posterior_weight": None, "ess": 0.0, "ess_borrowed": 0.0, "source": (), "ratio": None,
                "average": None}  # fmt: skip
    return {
        "weight": settings.borrowing.weight, "posterior_weight": chosen.posterior_weight,
        "ess": float(chosen.ess_prior), "ess_borrowed": float(chosen.ess_borrowed),
        "source": tuple(f"{e.study} ({e.indication})" for e in effects.external), "ratio": _exp(chosen.informative),
        "average": _reported(effects) or _average(table.setup.hierarchy),
    }  # fmt: skip


def _conflict(chosen: Borrowed | None, effects: Effects, own: AcrossStudies | None) -> dict[str, Any]:
    if chosen is None:
        return {"p_value": None, "difference": None, "sentence": "There are no data, own or borrowed."}
    found = chosen.conflict
    if own is not None and not effects.own and effects.external:
        p = predictive_p_value(own, chosen.informative.x, chosen.informative.mass)
        sentence = conflict_sentence(p, found.difference, own.total, True, True)
        return {"p_value": p, "difference": found.difference, "sentence": sentence}
    return {"p_value": found.p_value, "difference": found.difference, "sentence": found.sentence}


def _reported(effects: Effects) -> Three | None:
    """The finite ratio of the only source that is borrowed, as it was reported; None when there are several."""
    if len(effects.external) != 1:
        return None
    ratio = next(s.ratio for s in effects.sources if s.study == effects.external[0].study and not s.left_out)
    return ratio if np.all(np.isfinite(ratio)) else None


def _average(found: Any) -> Three:
    """Median and 95 % interval of the mean of the sources, from its values and their probabilities."""
    x = np.concatenate([s.panels.nodes for s in found.slices])
    mass = np.concatenate([m * s.mass for m, s in zip(found.mass, found.slices, strict=True)])
    order = np.argsort(x)
    cdf = np.cumsum(mass[order]) / mass.sum()
    return tuple(float(np.exp(np.interp(p, cdf, x[order]))) for p in (0.5, 0.025, 0.975))  # type: ignore[return-value]


def designs(reader: EffectReader, asked: OutcomeSettings, overlaps: Sequence[Overlap]) -> DesignComparison | None:
    """The relative effects of an outcome by study type, each type by itself, and then compared.

    Every source counts once: by the first of its effects that the settings name. A type with one study is told as that
    study reports it; several are averaged with the spread between sources. (`inference.bias.synthesise` combines
    study types by stated or estimated bias.)

    Returns
    -------
    DesignComparison or None
        None when there are fewer than two study types.
    """
    first: dict[str, RelativeEffect] = {}
    ratios: dict[str, Three] = {}
    for stratum in asked.strata:
        found = reader.effects(asked, stratum, overlaps)
        for effect in (*found.own, *found.external):
            first.setdefault(effect.study, effect)
        for source in found.sources:
            ratios.setdefault(source.study, source.ratio)
    kept = [e for e in apart(list(first.values()), overlaps, key=lambda e: e.study).rows
            if np.all(np.isfinite(ratios[e.study]))]  # fmt: skip
    lines = []
    for design in DESIGNS:
        its = [e for e in kept if e.design == design]
        if not its:
            continue
        ratio = ratios[its[0].study]
        if len(its) > 1:
            prior = reader.settings.borrowing.prior_tau
            ratio = _average(hierarchy(tuple(e.data for e in its), mu=Normal(0, 2), tau=prior))
        lines.append((design, len(its), ratio))
    if len(lines) < 2:
        return None
    return DesignComparison(outcome=asked.code, name=asked.name, lines=tuple(lines), sentence=design_sentence(lines))


def _anchor(
    rows: Sequence[RateRow], overlaps: Sequence[Overlap], asked: OutcomeSettings, settings: SafetySettings
) -> Anchor | None:
    """The own rate of the comparator's class, else of a class that may stand for it, else of the treatment's.

    Of the kind with most patient-years.
    """
    order = [("comparator", settings.comparator), *(("comparator", name) for name in asked.baseline_instead),
             ("treatment", settings.treatment)]  # fmt: skip
    for side, name in order:
        kind, chosen = _best_kind({name: tuple(r for r in rows if r.counted and r.drug_class == name)}, overlaps)
        if not chosen[name]:
            continue
        r, E = by_study(chosen[name])
        studies = tuple(dict.fromkeys(row.study_id for row in chosen[name]))
        events, time = float(r.sum()), float(E.sum())
        return Anchor(side=side, drug_class=name, rate_of=kind, events=events, patient_years=time, studies=studies,
                      sentence=anchor_sentence(side, name, kind, events, time, studies, settings))  # fmt: skip
    return None


def _absolute(anchor: Anchor | None, ratio: RateRatioValue | None, years: Sequence[float]) -> dict[float, Absolute]:
    """Events per 1,000 patients on both sides, draw by draw; the anchor's rate has its Jeffreys posterior."""
    if anchor is None or ratio is None:
        return {}
    rng = np.random.default_rng(11)
    base = rng.gamma(anchor.events + 0.5, 1.0, DRAWS) / anchor.patient_years
    shuffled = rng.permutation(ratio.draws)
    other = base * shuffled if anchor.side == "comparator" else base / shuffled
    treated, comparator = (other, base) if anchor.side == "comparator" else (base, other)
    found = {}
    for t in years:
        each = [1000 * (t * x if anchor.rate_of == "events" else -np.expm1(-t * x)) for x in (treated, comparator)]
        found[float(t)] = Absolute(years=float(t), treatment=_middle(each[0]), comparator=_middle(each[1]),
                                   difference=_middle(each[0] - each[1]))  # fmt: skip
    return found


def with_rate(result: SafetyResult, per_100: float, settings: SafetySettings) -> SafetyResult:
    """The same result with absolute numbers from a rate that a reader states, taken as known.

    Parameters
    ----------
    result : SafetyResult
    per_100 : float
        Patients with an event per 100 patient-years on the comparator.
    settings : SafetySettings

    Returns
    -------
    SafetyResult

    Raises
    ------
    UsageError
        When it is not a rate.
    """
    if not (np.isfinite(per_100) and 0 < per_100 <= 200):
        raise UsageError(f"a rate per 100 patient-years lies above 0 and up to 200, not {per_100:g}.")
    scale = 1e8  # so many patient-years that the stated rate has no uncertainty of its own
    anchor = Anchor(
        side="comparator", drug_class=result.comparison[1], rate_of="patients", events=per_100 / 100 * scale,
        patient_years=scale, studies=(),
        sentence=f"Absolute numbers start from a stated rate of {per_100:g} patients with an event per 100 "
        f"patient-years on {result.comparison[1]}, taken as known.",
    )  # fmt: skip
    changed = replace(result, anchor=anchor, per_1000=_absolute(anchor, result.rate_ratio, settings.years))
    return replace(changed, sentence=result_sentence(changed, settings))


def _middle(values: Array) -> Three:
    return tuple(float(x) for x in np.quantile(values, (0.5, 0.025, 0.975)))  # type: ignore[return-value]


def _tipping(table: BorrowingTable | None) -> tuple[dict[str, float], ...]:
    if table is None or len(table.weights) == 1:
        return ()
    zero, relevant = table.thresholds
    return tuple(
        {"weight": w, **dict(zip(("estimate", "lower", "upper"), r.rate_ratio, strict=True)),
         "above": r.probability_above(zero), "relevant": r.probability_above(relevant)}
        for w, r in zip(table.weights, table.results, strict=True)
    )  # fmt: skip


def _tipping_points(table: BorrowingTable | None, effects: Effects) -> tuple[float, ...]:
    if table is None or not effects.external:
        return ()
    found = [tipping_points(table, Conclusion(threshold=0.0, side=side)) for side in ("above", "below")]
    return tuple(sorted(x for points in found for x in points))


def _curves(chosen: Borrowed | None, own: Sequence[Any], effects: Effects) -> dict[str, tuple[Array, Array]]:
    if chosen is None:
        return {}
    x = np.linspace(np.log(0.05), np.log(20), 160)
    curves = {"posterior": (x, chosen.posterior.density(x))}
    if own:
        curves["own"] = (x, chosen.own.density(x))
    if effects.external:
        curves["borrowed"] = (x, chosen.informative.density(x))
    return curves
