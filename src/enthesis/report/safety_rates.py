"""Long-term rates by drug, class and study type, and what lasts: response, retention, structure."""

from __future__ import annotations

import math

from enthesis.assess.long_term import OBSERVED_OR_NRI, SINGLE_ARM, Kept, LongTerm, Progression, Share
from enthesis.assess.rates import KIND_WORDS
from enthesis.assess.safety_values import OutcomeRates, Safety
from enthesis.report.plots import rates as plot
from enthesis.report.values import Block, Bullets, Cell, Column, Figure, Folded, Row, Section, Table, Text, anchor
from enthesis.report.wording import interval, number


def rates_section(value: Safety) -> Section | None:
    """Long-term rates of every outcome that has one."""
    found = [r for r in value.rates if r.rows]
    if not found:
        return None
    intro = Text(("Rates per 100 patient-years of patients with axSpA, by class, drug and study type. Rows of a study "
                  "that print a rate without its count are shown as printed and are not pooled. Rates of different "
                  "studies are no comparison of drugs: patients and years differ.",))  # fmt: skip
    folded = tuple(Folded(title=f"{r.name[:1].upper()}{r.name[1:]}: {len(r.rows)} row{'s' * (len(r.rows) != 1)}",
                          blocks=_rates(r), id=anchor("rates", r.outcome)) for r in found)  # fmt: skip
    return Section(id="safety-rates", title="Long-term rates", blocks=(intro, _by_class(found), *folded))


def _by_class(found: list[OutcomeRates]) -> Table:
    rows = []
    for outcome in found:
        for group in outcome.by_class:
            rows.append(Row((
                Cell((outcome.name,)), Cell((group.name[0],)), Cell((KIND_WORDS[group.rate_of],)),
                Cell((str(group.pooled.k),)), Cell((f"{group.pooled.events:g} / {group.pooled.exposure:,.0f}",)),
                Cell((interval(*group.per_100),)),
            )))  # fmt: skip
    return Table(
        id="safety-rates-table", caption="Rates per 100 patient-years by class (rows with a count and a time at risk)",
        columns=(Column("Outcome"), Column("Class"), Column("Counted"), Column("Studies", "number"),
                 Column("Events / patient-years", "number"), Column("Rate (95 % interval)")),
        rows=tuple(rows),
    )  # fmt: skip


def _rates(outcome: OutcomeRates) -> tuple[Block, ...]:
    rows = []
    for r in sorted(outcome.rows, key=lambda r: (r.drug_class, r.treatment, r.study_id)):
        rate, low, high = r.per_100
        limits = f" ({number(low, 2)} to {number(high, 2)})" if not math.isnan(low) else ""
        count = f"{r.events:g} / {r.exposure:,.0f}" if r.counted else "not printed"
        rows.append(Row((
            Cell((r.drug_class,)), Cell((r.treatment,)), Cell((r.study_id,)), Cell((r.design,)),
            Cell((KIND_WORDS[r.rate_of],)), Cell((count,)),
            Cell((f"{number(rate, 2)}{limits}" if not math.isnan(rate) else "not printed",)), Cell((r.id,)),
        )))  # fmt: skip
    table = Table(
        id=anchor("rates-table", outcome.outcome), caption=f"{outcome.name[:1].upper()}{outcome.name[1:]}: every rate",
        columns=(Column("Class"), Column("Drug"), Column("Study"), Column("Type"), Column("Counted"),
                 Column("Events / patient-years", "number"), Column("Rate per 100 (95 % interval)"), Column("Row")),
        rows=tuple(rows),
    )  # fmt: skip
    blocks: list[Block] = [table]
    if outcome.pooled:
        blocks.append(Figure(id=anchor("rates-forest", outcome.outcome), plot="rates",
                             table=plot.table_of(outcome.pooled), caption=f"{outcome.name}: rates by class, drug and "
                             "study type"))  # fmt: skip
    if outcome.dropped:
        blocks.append(Bullets(tuple((text,) for text in outcome.dropped)))
    return tuple(blocks)


def lasting(value: Safety) -> tuple[Section, ...]:
    """Long-term response, retention and structure."""
    made = []
    if value.response:
        made.append(
            Section(
                id="long-term-response", title="Response in extensions: as observed, and with drop-outs as failures",
                blocks=(Text((OBSERVED_OR_NRI,)), Text((SINGLE_ARM,), kind="note"), _response(value.response)),
            )
        )  # fmt: skip
    if value.retention:
        words = Text(("Patients still on the drug. Kaplan-Meier estimates of registries and completers of extensions "
                      "differ in who is counted and are not pooled.",))  # fmt: skip
        ratios = tuple(
            (f"{x.study}: hazard of stopping {x.arm} against {x.against} {interval(x.estimate, x.lower, x.upper)} "
             f"({x.design}; {x.definition}).",)
            for x in value.stopping
        )  # fmt: skip
        more = (Bullets(ratios),) if ratios else ()
        made.append(Section(id="retention", title="Staying on the drug",
                            blocks=(words, *more, _retention(value.retention))))  # fmt: skip
    if value.structure:
        words = Text(("Change of mSASSS and patients without progression. What counts as no progression differs "
                      "between studies (change below 2, at most 0.5, or the smallest detectable change), so rows are "
                      "not pooled; only differences between randomised arms compare drugs.",))  # fmt: skip
        made.append(Section(id="structure", title="New bone: progression of the spine",
                            blocks=(words, _structure(value.structure))))  # fmt: skip
    return tuple(made)


def _share(share: Share | None) -> Cell:
    if share is None:
        return Cell(("–",))
    limits = f" ({share.lower:.0f} to {share.upper:.0f})" if not math.isnan(share.lower) else ""
    count = f", {share.events:g} of {share.n:g}" if share.events is not None and share.n else ""
    return Cell((f"{share.percent:.1f} %{limits}{count}",))


def _response(found: tuple[LongTerm, ...]) -> Table:
    rows = [
        Row((Cell((x.study,)), Cell((x.arm,)), Cell((x.drug_class,)), Cell((x.outcome,)), Cell((f"{x.week:g}",)),
             _share(x.nri), _share(x.observed),
             Cell((f"{_share(x.other).text} ({x.other_estimator})" if x.other else "–",))))
        for x in found
    ]  # fmt: skip
    return Table(
        id="long-term-response-table", caption="Response of extension arms",
        columns=(Column("Study"), Column("Arm"), Column("Class"), Column("Outcome"), Column("Week", "number"),
                 Column("NRI"), Column("As observed"), Column("Another analysis")),
        rows=tuple(rows),
    )  # fmt: skip


def _retention(found: tuple[Kept, ...]) -> Table:
    rows = [
        Row((Cell((x.study,)), Cell((x.design,)), Cell((x.population,)), Cell((x.drug_class,)), Cell((x.arm,)),
             Cell((f"{x.week:g}",)), _share(x.share), Cell((x.how,))))
        for x in found
    ]  # fmt: skip
    return Table(
        id="retention-table", caption="Patients still on the drug",
        columns=(Column("Study"), Column("Type"), Column("Population"), Column("Class"), Column("Arm"),
                 Column("Week", "number"), Column("Still on it"), Column("How")),
        rows=tuple(rows),
    )  # fmt: skip


def _structure(found: tuple[Progression, ...]) -> Table:
    rows = []
    for x in found:
        limits = f" ({number(x.lower, 2)} to {number(x.upper, 2)})" if not math.isnan(x.lower) else ""
        unit = " points" if x.against and x.outcome == "mSASSS-noprog" else " %" if x.outcome == "mSASSS-noprog" else ""
        who = f"{x.arm} against {x.against} (randomised)" if x.against else x.arm
        rows.append(Row((
            Cell(("no progression" if x.outcome == "mSASSS-noprog" else "change of mSASSS",)), Cell((x.study,)),
            Cell((who,)), Cell((x.drug_class,)), Cell((x.design,)), Cell((f"{x.week:g}",)),
            Cell((f"{number(x.estimate, 2)}{unit}{limits}",)), Cell((x.definition,)),
        )))  # fmt: skip
    return Table(
        id="structure-table", caption="Progression of the spine",
        columns=(Column("What"), Column("Study"), Column("Arm"), Column("Class"), Column("Type"),
                 Column("Week", "number"), Column("Value (95 % interval)"), Column("As the source says", "long")),
        rows=tuple(rows),
    )  # fmt: skip
