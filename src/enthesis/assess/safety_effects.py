"""Relative effects of the evidence that a review may borrow, each with what makes it a rate ratio.

A printed hazard or rate ratio is taken with its interval. Events and patient-years of both sides of one study give the
exact likelihood of their ratio. Events and patients of both sides do so when follow-up was equal, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from enthesis.assess.overlaps import apart
from enthesis.assess.safety_settings import EffectSource, OutcomeSettings, SafetySettings
from enthesis.assess.safety_values import Source
from enthesis.errors import DataError
from enthesis.inference.rates import rate_ratio_interval
from enthesis.models.borrowing import RelativeEffect
from enthesis.models.one_parameter import EffectEstimate, EventCounts
from enthesis.models.overlap import Overlap
from enthesis.network.candidates import candidates

if TYPE_CHECKING:
    from enthesis.evidence import Evidence

_RATIOS = {"hazard_ratio": "HR", "rate_ratio": "IRR", "risk_ratio": "RR"}
_EQUAL_FOLLOW_UP = "patients stand for time at risk: follow-up of both arms is taken as equal"


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The relative effects of one outcome and stratum.

    Parameters
    ----------
    own, external : tuple of RelativeEffect
    sources : tuple of Source
        All that were named, those left out with the reason.
    """

    own: tuple[RelativeEffect, ...]
    external: tuple[RelativeEffect, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class _Found:
    study_id: str
    asked: EffectSource
    effect: RelativeEffect
    source: Source


class EffectReader:
    """Reads the relative effects that settings name from one evidence, whose tables it looks up once.

    Parameters
    ----------
    evidence : Evidence
    settings : SafetySettings
    file : str
        What messages call the settings.
    """

    def __init__(self, evidence: Evidence, settings: SafetySettings, file: str = "safety.toml") -> None:
        self.settings, self.file = settings, file
        self.studies = {s.study_id: s for s in evidence.studies.itertuples()}
        self.rows = candidates(evidence)
        frame = evidence.contrasts
        use = evidence.eligibility("contrasts")["use"].to_numpy()
        frame = frame[frame.effect.isin(_RATIOS) & frame.ci_low.notna() & (use != "no")]
        self.contrasts: dict[tuple[str, ...], Any] = {}
        for row in frame.itertuples():
            key = row.study_id, row.arm_id, row.comparator_arm_id, row.subgroup, row.outcome
            self.contrasts.setdefault(key, row)

    def effects(self, asked: OutcomeSettings, stratum: str, overlaps: Sequence[Overlap]) -> Effects:
        """The relative effects of an outcome and stratum, without overlaps of patients.

        Own effects come first: what overlaps with them is not borrowed.

        Raises
        ------
        DataError
            When a named row is not in the evidence, was judged `no`, or has no interval.
        """
        found = [self._read(asked, e) for e in asked.effect if e.stratum == stratum]
        own = apart([f for f in found if f.asked.own], overlaps)
        mine = list(own.rows)
        sources = [f.source for f in mine]
        sources += [replace(d.row.source, left_out=d.why) for d in _dropped(found, own, mine)]
        left = []
        for row in (f for f in found if not f.asked.own):
            shared = next((o for f in mine for o in overlaps if {f.study_id, row.study_id} <= set(o.sources)), None)
            if shared:
                why = f"Its patients overlap with the own data of {mine[0].study_id}. {shared.reason}"
                sources.append(replace(row.source, left_out=why))
            else:
                left.append(row)
        kept = apart(left, overlaps)
        sources += [f.source for f in kept.rows]
        sources += [replace(d.row.source, left_out=d.why) for d in _dropped(left, kept, list(kept.rows))]
        return Effects(
            own=tuple(f.effect for f in mine), external=tuple(f.effect for f in kept.rows), sources=tuple(sources)
        )

    def _read(self, outcome: OutcomeSettings, asked: EffectSource) -> _Found:
        if asked.study not in self.studies:
            raise self._missing(asked, outcome, "the study is not in the evidence")
        study = self.studies[asked.study]
        read = {"contrast": self._contrast, "rates": self._rates, "counts": self._counts}[asked.kind]
        data, measure, rows, ratio, assumption = read(outcome, asked)
        s = self.settings
        effect = RelativeEffect(
            study=asked.study, treatment=s.treatment, comparator=s.comparator, outcome=outcome.code,
            indication=s.indication if asked.own else study.population, data=data, measure=measure,
            stratum=asked.stratum, design=study.design, source="; ".join(rows),
        )  # fmt: skip
        source = Source(
            study=asked.study, population=study.population, design=study.design, kind=asked.kind,
            subgroup=asked.subgroup, rows=rows, ratio=ratio, assumption=assumption, own=asked.own,
        )  # fmt: skip
        return _Found(asked.study, asked, effect, source)

    def _contrast(self, outcome: OutcomeSettings, asked: EffectSource) -> tuple:
        row = self.contrasts.get((asked.study, asked.arm, asked.against, asked.subgroup, outcome.code))
        if row is None:
            raise self._missing(asked, outcome, "no ratio with an interval is in contrasts.csv")
        level = float(row.ci_level) / 100 if np.isfinite(row.ci_level) else 0.95
        ratio = (float(row.estimate), float(row.ci_low), float(row.ci_high))
        data = EffectEstimate.from_interval(*ratio, level=level)
        return data, _RATIOS[row.effect], (str(row.result_id),), ratio, ""

    def _rates(self, outcome: OutcomeSettings, asked: EffectSource) -> tuple:
        sides = []
        for arm in (asked.arm, asked.against):
            rows = [r for r in self.rows.get(outcome.code, ()) if r.kind == "rate" and _is(r, asked, arm)
                    and r.events is not None and r.patient_years is not None]  # fmt: skip
            if not rows:
                raise self._missing(asked, outcome, f"the arm {arm!r} has no rate with a count and a time at risk")
            sides.append(max(rows, key=lambda r: r.week or 0))
        a, b = sides
        if a.rate_of != b.rate_of and 0 not in (a.events, b.events):
            raise self._missing(asked, outcome, f"{a.id} counts {a.rate_of}, {b.id} counts {b.rate_of}")
        return _from_counts(a.events, a.patient_years, b.events, b.patient_years, (a.id, b.id), "")

    def _counts(self, outcome: OutcomeSettings, asked: EffectSource) -> tuple:
        sides = []
        for arm in (asked.arm, asked.against):
            rows = [r for r in self.rows.get(outcome.code, ()) if r.kind == "binary" and _is(r, asked, arm)
                    and r.count is not None and r.n]  # fmt: skip
            if not rows:
                raise self._missing(asked, outcome, f"the arm {arm!r} has no count of patients with the event")
            sides.append(rows[0])
        a, b = sides
        return _from_counts(a.count, a.n, b.count, b.n, (a.id, b.id), _EQUAL_FOLLOW_UP)

    def _missing(self, asked: EffectSource, outcome: OutcomeSettings, why: str) -> DataError:
        return DataError(
            f"the effect of {asked.study} ({asked.arm} against {asked.against}, subgroup {asked.subgroup}) on "
            f"{outcome.code} cannot be read: {why}",
            file=self.file, column="effect", fix="Correct the names, or take the effect out of the settings.",
        )  # fmt: skip


@dataclass(frozen=True)
class _Drop:
    row: _Found
    why: str


def _dropped(rows: Sequence[_Found], kept: Any, left: Sequence[_Found]) -> list[_Drop]:
    told = {d.source: d.sentence for d in kept.dropped}
    return [_Drop(r, told[r.study_id]) for r in rows if r.study_id in told and r not in left]


def _is(row: Any, asked: EffectSource, arm: str) -> bool:
    return (row.study_id, row.arm_id, row.subgroup) == (asked.study, arm, asked.subgroup) and row.use != "no"


def _from_counts(r1: float, e1: float, r0: float, e0: float, rows: tuple[str, ...], assumption: str) -> tuple:
    data = EventCounts(events=r1, exposure=e1, comparator_events=r0, comparator_exposure=e0)
    return data, "IRR", rows, rate_ratio_interval(r1, e1, r0, e0), assumption
