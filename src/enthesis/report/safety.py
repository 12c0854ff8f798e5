"""The safety chapter: for each outcome what axSpA data say, what was borrowed, whether they agree, and what it means.

The chapter reads the values of `assess.safety`; it computes nothing. Profiles of readers are a table and a folded part
each, so that the report needs no script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from enthesis.assess.safety_settings import Profile
from enthesis.assess.safety_values import Safety, SafetyResult
from enthesis.assess.safety_words import (
    BASELINE_WORDS,
    difference_words,
    left_open,
    own_words,
    per_1000_words,
    ratio_words,
    span,
    verdict,
)
from enthesis.report.safety_rates import lasting, rates_section
from enthesis.report.tables import Reading
from enthesis.report.values import (
    Axis,
    Block,
    Bullets,
    Cell,
    Column,
    Figure,
    Folded,
    Interval,
    Link,
    Parts,
    Row,
    Section,
    Strong,
    Table,
    Text,
    anchor,
)

if TYPE_CHECKING:
    from enthesis.living.run import Run


def sections(value: Safety, run: Run, read: tuple[Reading, ...]) -> tuple[Section, ...]:
    """The chapter.

    Parameters
    ----------
    value : Safety
    run : Run
    read : tuple of Reading

    Returns
    -------
    tuple of Section
    """
    s = value.settings
    blocks: list[Block] = [
        Text((f"Adverse events are rare, and trials in {s.indication} are short. This chapter sets beside each other "
              f"what {s.indication} data say on {s.treatment} against {s.comparator}, what other patients say, and how "
              "much of an answer is borrowed from them.",), kind="lead"),
        _how(value),
        _glance(value),
    ]  # fmt: skip
    inner = [_profiles(value)]
    inner += [_outcome(value, o.code) for o in s.outcome if any(r.outcome == o.code for r in value.results)]
    inner += [_period(value, run, read), rates_section(value), _study_types(value), *lasting(value)]
    return (Section(id="safety", title="Safety", blocks=tuple(blocks), sections=tuple(x for x in inner if x)),)


def _how(value: Safety) -> Block:
    s = value.settings
    b = s.borrowing
    return Folded(title="How it is done", blocks=(Bullets((
        (Strong("Own data. "), f"Single arms of {s.indication} studies, events over patient-years, exact Poisson "
         "likelihood without a continuity correction. Arms of different studies were not randomised against each "
         f"other: beside the drug their baseline rates may differ by chance ({b.baselines} on the sd of log rates)."),
        (Strong("What is counted. "), "Rates of events and rates of patients with an event are never pooled; rates "
         "that do not say are not pooled at all."),
        (Strong("Borrowed. "), "Hazard and rate ratios of other indications, never their absolute rates, by stratum of "
         f"risk. They form a robust meta-analytic-predictive prior (spread between sources {b.tau}) that is believed "
         f"with a weight of {b.weight:g}; the rest is a vague prior that is worth one event. The figures show the "
         "result for every weight."),
        (Strong("Conflict. "), "The probability, if own and borrowed data agreed, of own data as unlikely as those "
         "seen (Box). With few own events it cannot be small."),
        (Strong("Patients count once. "), "Sources that may hold the same patients are declared in overlaps.toml; of "
         "each group one is used, and what is left out is listed with the reason."),
        (Strong("Absolute numbers. "), BASELINE_WORDS),
    )),))  # fmt: skip


def _glance(value: Safety) -> Table:
    s = value.settings
    last = float(max(s.years))
    rows = []
    for code in dict.fromkeys(r.outcome for r in value.results):
        r = value.result(code)
        if r is None:
            continue
        rows.append(
            Row((
                Cell((Link(_title(r), "#" + anchor("safety", code)),)),
                Cell((_side(r, r.comparison[0]),)), Cell((_side(r, r.comparison[1]),)),
                _ratio_cell(r), Cell((ratio_words(r.borrowed["average"]) if r.borrowed["average"] else "nothing",)),
                Cell((_agree(r),)), Cell((_per_1000(r, last),)),
            ))
        )  # fmt: skip
    t, c = s.treatment, s.comparator
    return Table(
        id="safety-table", caption=f"{t} against {c} in {s.indication}: own data, borrowed data, and both together",
        columns=(Column("Outcome"), Column(f"Own {t}: events / patient-years", "number"),
                 Column(f"Own {c}: events / patient-years", "number"), Column("Rate ratio, together", "interval"),
                 Column("Ratio in other patients"), Column("Do they agree?"),
                 Column(f"Per 1,000 over {span(last)}: {c}; {t}", "words")),
        rows=tuple(rows), axis=_axis(t, c),
        note=("For patients not selected for cardiovascular risk; the strata of risk follow for each outcome. An "
              "interval that is mostly open says that little is known.",),
    )  # fmt: skip


def _axis(treatment: str, comparator: str) -> Axis:
    return Axis(lower=0.05, upper=20.0, log=True, null=1.0, left=f"fewer on {treatment}", right=f"more on {treatment}")


def _ratio_cell(r: SafetyResult) -> Cell:
    v = r.rate_ratio
    if v is None:
        return Cell(("no data",))
    clear = v.lower > 1 or v.upper < 1
    return Cell((ratio_words((v.estimate, v.lower, v.upper)),),
                interval=Interval(estimate=v.estimate, lower=v.lower, upper=v.upper, strong=clear))  # fmt: skip


def _side(r: SafetyResult, name: str) -> str:
    time = r.own_patient_years[name]
    return f"{r.own_events[name]:g} / {time:,.0f}" if time else "none"


def _agree(r: SafetyResult) -> str:
    p = r.conflict["p_value"]
    if not r.borrowed["source"]:
        return "nothing borrowed"
    if r.own_ratio is None:
        return "no own comparison"
    if p is None:
        return "cannot be seen"
    return f"{'no' if p < 0.05 else 'perhaps not' if p < 0.2 else 'no conflict'} (p = {p:.2f})"


def _per_1000(r: SafetyResult, years: float) -> str:
    a = r.per_1000.get(years)
    if a is None:
        return "–"
    return "; ".join("not known" if left_open(side) else per_1000_words(side) for side in (a.comparator, a.treatment))


def _title(r: SafetyResult) -> str:
    return r.name[:1].upper() + r.name[1:]


# profiles


def _profiles(value: Safety) -> Section | None:
    s = value.settings
    if not s.profile:
        return None
    blocks: list[Block] = [
        Text((f"The profile decides which relative effects are borrowed: those of patients at that risk. The "
              f"{s.indication} rate that absolute numbers start from is the same for all, since the evidence has none "
              "by profile. For another patient, or a known baseline rate: enthesis safety NAME --age 70 --smoking ever "
              "--baseline MACE=0.6.",)),
        _profile_table(value),
        Text((BASELINE_WORDS,), kind="note"),
    ]  # fmt: skip
    blocks += [Folded(title=p.label, id=anchor("profile", p.id), blocks=_profile_blocks(value, p)) for p in s.profile]
    return Section(id="safety-profiles", title="For whom: three profiles", blocks=tuple(blocks))


def _profile_table(value: Safety) -> Table:
    s = value.settings
    by_profile = {p.id: {r.outcome: r for r in value.for_profile(p)} for p in s.profile}
    rows = []
    for code in dict.fromkeys(r.outcome for r in value.results):
        its = [by_profile[p.id].get(code) for p in s.profile]
        name = next(r for r in its if r is not None)
        cells = [Cell((Link(_title(name), "#" + anchor("safety", code)),))]
        for r in its:
            v = None if r is None else r.rate_ratio
            told = "no data" if v is None else ratio_words((v.estimate, v.lower, v.upper))
            cells.append(Cell((told, "" if r is None or r.stratum == "average" else f" ({r.stratum_label})")))
        rows.append(Row(tuple(cells)))
    return Table(
        id="safety-profile-table", caption=f"Rate ratio {s.treatment} against {s.comparator} by profile",
        columns=(Column("Outcome"), *(Column(p.label, "words") for p in s.profile)), rows=tuple(rows),
        note=("In brackets the patients whose effects are borrowed, where they are those of a stratum of risk.",),
    )  # fmt: skip


def _profile_blocks(value: Safety, profile: Profile) -> tuple[Block, ...]:
    s = value.settings
    rows, drawn = [], None
    for r in value.for_profile(profile):
        cells = [Cell((_title(r),)), _ratio_cell(r)]
        for t in s.years:
            a = r.per_1000.get(float(t))
            cells.append(Cell((_per_1000(r, float(t)),)))
            cells.append(Cell((difference_words(a, *r.comparison) if a else "–",)))
        rows.append(Row(tuple(cells)))
        drawn = drawn or _icons(value, r, profile)
    heads = [c for t in s.years for c in (Column(f"Per 1,000 over {span(t)}: {s.comparator}; {s.treatment}", "words"),
                                          Column(f"Difference over {span(t)}", "words"))]  # fmt: skip
    table = Table(id=anchor("profile-table", profile.id), caption=f"Absolute numbers: {profile.label}",
                  columns=(Column("Outcome"), Column("Rate ratio", "interval"), *heads), rows=tuple(rows),
                  axis=_axis(s.treatment, s.comparator))  # fmt: skip
    return (table, drawn) if drawn else (table,)


def _icons(value: Safety, r: SafetyResult, profile: Profile) -> Figure | None:
    """Icons for the first outcome with own patients on both sides."""
    a = r.per_1000.get(float(max(value.settings.years)))
    if a is None or r.anchor is None or r.own_ratio is None or not all(r.own_patient_years.values()):
        return None
    sides = zip((r.comparison[1], r.comparison[0]), (a.comparator, a.treatment), strict=True)
    frame = pd.DataFrame([(name, *three) for name, three in sides], columns=["side", "per_1000", "lower", "upper"])
    return Figure(
        id=anchor("icons", profile.id, r.outcome), caption=f"{_title(r)} over {span(a.years)}: {profile.label}",
        plot="icon_array", table=frame, options={"title": f"{_title(r)} over {span(a.years)}"},
    )  # fmt: skip


# one outcome


def _outcome(value: Safety, code: str) -> Section:
    its = [r for r in value.results if r.outcome == code]
    first = its[0]
    blocks: list[Block] = [Text((first.sentence,), kind="lead")]
    own: list[Parts] = [(Strong("Own data: "), own_words(first) + ".")]
    own += [(Strong("Own patients without a time at risk: "), "; ".join(first.own_further) + ".")] if (
        first.own_further) else []  # fmt: skip
    own.append((Strong("Borrowed: "), _borrowed_words(first)))
    own.append((Strong("Agreement: "), first.conflict["sentence"]))
    if first.anchor is not None and first.per_1000:
        own.append((Strong("Absolute numbers: "), first.anchor.sentence))
    blocks.append(Bullets(tuple(own)))
    if len(its) > 1:
        blocks.append(Bullets(tuple((Strong(f"{r.stratum_label[:1].upper()}{r.stratum_label[1:]}. "), r.sentence)
                                    for r in its[1:])))  # fmt: skip
    blocks.append(_strata(value, its))
    blocks += _figures(value, first)
    blocks.append(Folded(title="The relative effects behind it, and what was left out",
                         blocks=(_sources(code, its),)))  # fmt: skip
    return Section(id=anchor("safety", code), title=_title(first), blocks=tuple(blocks), nav=False)


def _borrowed_words(r: SafetyResult) -> str:
    b = r.borrowed
    if not b["source"]:
        return "nothing."
    posterior = "" if b["posterior_weight"] is None else f", {100 * b['posterior_weight']:.0f} % after own data"
    return (
        f"{', '.join(b['source'])}. Believed with a weight of {100 * b['weight']:.0f} %{posterior}. The prior is worth "
        f"{b['ess']:.0f} events; borrowing adds {max(b['ess_borrowed'], 0):.0f} to what own data say. Ratio for a new "
        f"group of such patients {ratio_words(b['ratio'])}."
    )


def _strata(value: Safety, its: list[SafetyResult]) -> Table:
    s = value.settings
    rows = []
    for r in its:
        b = r.borrowed
        after = f" → {b['posterior_weight']:.2f}" if b["posterior_weight"] is not None else ""
        rows.append(Row((
            Cell((r.stratum_label,)), Cell((ratio_words(r.own_ratio) if r.own_ratio else "none",)),
            Cell((ratio_words(b["average"]) if b["average"] else "none",)),
            Cell((f"{b['weight']:g}{after}",)),
            Cell((f"{b['ess']:.0f}",)), _ratio_cell(r), Cell((_agree(r),)),
            *(Cell((_per_1000(r, float(t)),)) for t in s.years),
        )))  # fmt: skip
    return Table(
        id=anchor("safety-strata", its[0].outcome), caption=f"{_title(its[0])} by stratum of risk",
        columns=(Column("Patients"), Column("Ratio, own data"), Column("Ratio, other patients"),
                 Column("Weight before → after", "number"), Column("Prior worth, events", "number"),
                 Column("Together", "interval"), Column("Do they agree?"),
                 *(Column(f"Per 1,000 over {span(t)}: {s.comparator}; {s.treatment}", "words") for t in s.years)),
        rows=tuple(rows), axis=_axis(s.treatment, s.comparator),
    )  # fmt: skip


def _figures(value: Safety, r: SafetyResult) -> list[Block]:
    found: list[Block] = []
    if r.borrowed["source"] and r.curves:
        import numpy as np

        frame = pd.concat([pd.DataFrame({"curve": name, "ratio": np.exp(x[::2]), "density": y[::2]})
                           for name, (x, y) in r.curves.items()])  # fmt: skip
        found.append(Figure(id=anchor("safety-density", r.outcome), plot="borrowed_own", table=frame,
                            caption=f"{_title(r)}: own data, borrowed, and together"))  # fmt: skip
    if r.tipping:
        found.append(Figure(id=anchor("safety-weight", r.outcome), plot="borrowing_weight",
                            table=pd.DataFrame(r.tipping), options={"weight": value.settings.borrowing.weight},
                            caption=f"{_title(r)}: the result for every weight of what is borrowed"))  # fmt: skip
    return (
        [Folded(title="Figures: own against borrowed, and the borrowing weight", blocks=tuple(found))] if found else []
    )


def _sources(code: str, its: list[SafetyResult]) -> Block:
    rows = []
    for r in its:
        for source in r.sources:
            where = "; ".join(source.rows)
            rows.append(Row((
                Cell((r.stratum_label,)), Cell((source.study,)), Cell((source.population,)), Cell((source.design,)),
                Cell((ratio_words(source.ratio),)), Cell((source.kind,)), Cell((where,)),
                Cell((source.left_out or source.assumption or "used as printed",)),
            )))  # fmt: skip
    if not rows:
        return Text(("The evidence has no relative effect on this outcome.",))
    return Table(
        id=anchor("safety-sources", code), caption="Relative effects",
        columns=(Column("Patients"), Column("Study"), Column("Indication"), Column("Type"), Column("Ratio"),
                 Column("Read from"), Column("Rows"), Column("Use", "long")),
        rows=tuple(rows),
    )  # fmt: skip


# beside


def _period(value: Safety, run: Run, read: tuple[Reading, ...]) -> Section | None:
    by_id = {r.id: r for r in read}
    rows = []
    for id in value.settings.period_questions:
        r = by_id.get(id)
        if r is None or r.fit is None:
            continue
        mine = r.effects[r.effects["strong"]]
        told = "; ".join(f"{e.treatment} {ratio_words((e.estimate, e.lower, e.upper))}" for e in mine.itertuples())
        rows.append(Row((Cell((Link(r.answer.question.title, "#" + anchor("q", id)),)),
                         Cell((r.fit.network.measure.name,)), Cell((told or "none",)))))  # fmt: skip
    if not rows:
        return None
    table = Table(
        id="safety-period", caption=f"{value.settings.treatment} while the comparison is randomised",
        columns=(Column("Question"), Column("Measure"), Column("By drug", "long")), rows=tuple(rows),
    )  # fmt: skip
    words = Text(("Patients with an event in the randomised period, without a continuity correction. These weeks are "
                  "too short for most of the events of this chapter.",))  # fmt: skip
    return Section(id="safety-randomised", title="While the comparison is randomised", blocks=(words, table))


def _study_types(value: Safety) -> Section | None:
    if not value.designs:
        return None
    rows = [
        Row((Cell((d.name,)), Cell((design,)), Cell((str(k),)), Cell((ratio_words(three),),
             interval=Interval(estimate=three[0], lower=three[1], upper=three[2]))))
        for d in value.designs for design, k, three in d.lines
    ]  # fmt: skip
    s = value.settings
    table = Table(
        id="safety-types-table", caption="Ratio by study type, over all strata of risk and indications",
        columns=(Column("Outcome"), Column("Study type"), Column("Studies", "number"), Column("Ratio", "interval")),
        rows=tuple(rows), axis=_axis(s.treatment, s.comparator),
        note=("Each type is pooled by itself; a trial in patients at risk and a registry of all patients differ in "
              "more than their type.",),
    )  # fmt: skip
    said = Bullets(
        tuple((Strong(f"{d.name[:1].upper()}{d.name[1:]}. "), d.sentence) for d in value.designs if d.sentence)
    )
    return Section(id="safety-types", title="Do trials and registries agree?", blocks=(table, said))


def messages(value: Safety, run: Run, read: tuple[Reading, ...]) -> tuple[Parts, ...]:
    """What is shown to differ, and how little own data there are."""
    s = value.settings
    own = [r for r in value.results if r.stratum == "average"]
    clear = [r for r in own if r.rate_ratio and (r.rate_ratio.lower > 1 or r.rate_ratio.upper < 1)]
    elsewhere = [r for r in own if r not in clear and r.borrowed["average"]
                 and (r.borrowed["average"][1] > 1 or r.borrowed["average"][2] < 1)]  # fmt: skip
    said: list[Parts] = []
    for r in (*clear, *elsewhere):
        said.append((Link("Safety", "#" + anchor("safety", r.outcome)), f": {verdict(r, s)}"))
    time = {n: max((r.own_patient_years[n] for r in own), default=0.0) for n in (s.treatment, s.comparator)}
    said.append((
        Link("Safety", "#safety"),
        f": long-term {s.indication} data on {s.treatment} are few (at most {time[s.treatment]:,.0f} patient-years in "
        f"a comparison), so most answers on cardiovascular events, thrombosis and cancer are borrowed from other "
        "patients; the chapter says how much.",
    ))  # fmt: skip
    return tuple(said)


def limits(value: Safety, run: Run, read: tuple[Reading, ...]) -> tuple[Parts, ...]:
    """What the safety chapter cannot tell."""
    s = value.settings
    return (
        (f"No {s.indication} study compares {s.treatment} with {s.comparator} for rare events; single arms of "
         "different studies are no randomised comparison.",),
        (BASELINE_WORDS,),
    )  # fmt: skip


def as_json(value: Safety, run: Run) -> dict[str, Any]:
    """The keys of `results.json`; see `report.safety_json`."""
    from enthesis.report.safety_json import safety_json

    return safety_json(value)
