"""What the safety part of a review found, as frozen values: the report, the JSON and other parts read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enthesis.assess.rates import RateGroup, RateRow
from enthesis.assess.safety_settings import Profile, SafetySettings

Array = NDArray[np.float64]
Three = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A relative effect that was used or left out.

    Parameters
    ----------
    study, population, design, kind, subgroup : str
    rows : tuple of str
        The evidence rows.
    ratio : (float, float, float)
        As printed or computed, with a 95 % interval.
    assumption : str
        What makes it a rate ratio, in words; empty for a printed hazard or rate ratio.
    left_out : str
        Why it is not used; empty when it is.
    own : bool
        Whether it is a result of the own indication.
    """

    study: str
    population: str
    design: str
    kind: str
    subgroup: str
    rows: tuple[str, ...]
    ratio: Three
    assumption: str = ""
    left_out: str = ""
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class RateRatioValue:
    """A rate ratio with its draws (equal weights, ratio scale)."""

    estimate: float
    lower: float
    upper: float
    draws: Array = field(repr=False, compare=False)

    def probability_above(self, ratio: float) -> float:
        """P(rate ratio > ratio)."""
        return float(np.mean(self.draws > ratio))


@dataclass(frozen=True, kw_only=True)
class Absolute:
    """Events per 1,000 patients over some years.

    Parameters
    ----------
    years : float
    treatment, comparator, difference : (float, float, float)
        Estimate with 95 % interval; difference is treatment minus comparator.
    """

    years: float
    treatment: Three
    comparator: Three
    difference: Three


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The own rate from which absolute numbers start.

    Parameters
    ----------
    side : {"comparator", "treatment"}
    drug_class, rate_of : str
    events, patient_years : float
    studies : tuple of str
    sentence : str
        What it is and what it assumes.
    """

    side: str
    drug_class: str
    rate_of: str
    events: float
    patient_years: float
    studies: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class SafetyResult:
    """One outcome in one stratum of risk.

    Parameters
    ----------
    outcome, name : str
    comparison : (str, str)
        Treatment, comparator.
    population : str
    stratum, stratum_label : str
    own_events, own_patient_years : dict of str to float
        By class; 0 where there is none.
    own_rate_of : str
        What own rates count; empty without.
    own_further : tuple of str
        Own counts without a time at risk, in words.
    own_ratio : (float, float, float) or None
        From own data alone, under the vague prior.
    borrowed : dict
        weight (prior), posterior_weight, ess (events the prior is worth), ess_borrowed (events gained), source
        (studies), average (mean ratio of the sources, with interval), ratio (for a new group of such patients, wider).
    conflict : dict
        p_value, difference (log ratio), sentence.
    rate_ratio : RateRatioValue or None
        None when neither own nor borrowed data say anything.
    per_1000 : dict of float to Absolute
        By years; empty when there is no own rate to start from.
    anchor : Anchor or None
    sources : tuple of Source
    tipping : tuple of dict
        weight, estimate, lower, upper (ratio), above (P(ratio > 1)), relevant (P(ratio > relevant)).
    curves : dict of str to (x, density)
        own, borrowed, posterior on the log scale.
    tipping_points : tuple of float
        Weights at which P(ratio > 1) crosses 0.975 or 0.025.
    sentence : str
        For a rheumatologist.
    """

    outcome: str
    name: str
    comparison: tuple[str, str]
    population: str
    stratum: str
    stratum_label: str
    own_events: dict[str, float]
    own_patient_years: dict[str, float]
    own_rate_of: str
    own_further: tuple[str, ...]
    own_ratio: Three | None
    borrowed: dict[str, Any]
    conflict: dict[str, Any]
    rate_ratio: RateRatioValue | None
    per_1000: dict[float, Absolute]
    anchor: Anchor | None
    sources: tuple[Source, ...] = ()
    tipping: tuple[dict[str, float], ...] = ()
    curves: dict[str, tuple[Array, Array]] = field(default_factory=dict, repr=False, compare=False)
    tipping_points: tuple[float, ...] = ()
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class OutcomeRates:
    """Own long-term rates of one outcome.

    Parameters
    ----------
    outcome, name : str
    rows : tuple of RateRow
        Every row of all patients, the ones that print no count included.
    pooled : tuple of RateGroup
        By drug, class, study type and kind, of the rows with a count and no overlap.
    dropped : tuple of str
        Sentences on rows whose patients are in another source.
    """

    outcome: str
    name: str
    rows: tuple[RateRow, ...]
    pooled: tuple[RateGroup, ...]
    by_class: tuple[RateGroup, ...]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DesignComparison:
    """Relative effects of one outcome by study type, over all strata and indications.

    Parameters
    ----------
    outcome, name : str
    lines : tuple of (study type, number of studies, (ratio, lower, upper))
    sentence : str
        Whether the types agree.
    """

    outcome: str
    name: str
    lines: tuple[tuple[str, int, Three], ...]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Safety:
    """The safety part of a review.

    Parameters
    ----------
    settings : SafetySettings
    results : tuple of SafetyResult
        By outcome, then stratum.
    rates : tuple of OutcomeRates
    designs : tuple of DesignComparison
    response : tuple of LongTerm
        Long-term response, as observed beside non-responder imputation.
    retention, stopping, structure : tuple
        Patients still on the drug, printed ratios of the hazard of stopping, progression: see `assess.long_term`.
    notes : tuple of str
    """

    settings: SafetySettings
    results: tuple[SafetyResult, ...]
    rates: tuple[OutcomeRates, ...] = ()
    designs: tuple[DesignComparison, ...] = ()
    response: tuple[Any, ...] = ()
    retention: tuple[Any, ...] = ()
    stopping: tuple[Any, ...] = ()
    structure: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()

    def result(self, outcome: str, stratum: str = "average") -> SafetyResult | None:
        """The result of an outcome in a stratum, or None."""
        return next((r for r in self.results if (r.outcome, r.stratum) == (outcome, stratum)), None)

    def for_profile(self, profile: str | Profile) -> tuple[SafetyResult, ...]:
        """One result per outcome: of the first stratum of the profile that the outcome has."""
        chosen = self.settings.profile_of(profile) if isinstance(profile, str) else profile
        found = []
        for outcome in self.settings.outcome:
            its = (self.result(outcome.code, stratum) for stratum in chosen.strata)
            found.append(next((r for r in its if r is not None), None))
        return tuple(r for r in found if r is not None)
