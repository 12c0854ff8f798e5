"""The chapter on benefit and risk: measurements on one scale, ranks under each reader's preferences, net benefit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enthesis.assess.benefit_risk_part import BenefitRisk, Weighed
from enthesis.report.values import (
    Block,
    Bullets,
    Cell,
    Column,
    Figure,
    Folded,
    Link,
    Parts,
    Row,
    Section,
    Strong,
    Table,
    Text,
    anchor,
)
from enthesis.report.wording import listed, number, percent, whole

if TYPE_CHECKING:
    from enthesis.living.run import Run


def sections(value: BenefitRisk, run: Run, read: Any) -> tuple[Section, ...]:
    """The chapter.

    Parameters
    ----------
    value : BenefitRisk
    run : Run
    read : tuple of Reading

    Returns
    -------
    tuple of Section
    """
    ids = {r.id for r in read}
    intro = Text((
        "Each criterion is a question of this review, measured as an absolute risk at the pooled risk with "
        f"{value.measured.reference} and put on a scale from 0 (worst end) to 1 (best end). Outcomes are drawn "
        "independently of one another. Whose weights decide is open: where nothing is known of them, all weights are "
        "taken as equally likely (SMAA-2), and the table says how often each drug comes first, and for whom. Where "
        "events are few, the range of a risk is wide and ranks with it.",
    ))  # fmt: skip
    blocks: list[Block] = [intro, _measurements(value, ids)]
    if value.left_out:
        told = tuple((Strong(f"{_capital(n)}: "), f"{why}.") for n, why in value.left_out.items())
        blocks.append(
            Folded(title=f"Left out, because a criterion does not hold it: {len(told)}", blocks=(Bullets(told),))
        )
    net = value.net_benefit()
    if net is not None:
        blocks.append(_net(value, net))
    inner = tuple(_profile(value, w) for w in value.weighed)
    return (Section(id="benefit-risk", title="Benefit and risk", blocks=tuple(blocks), sections=inner),)


def _measurements(value: BenefitRisk, ids: set[str]) -> Table:
    m = value.measured
    frame = m.summary().set_index(["alternative", "criterion"])
    rows = []
    for a in m.alternatives:
        cells = [Cell((a,))]
        for c in m.criteria:
            x = frame.loc[(a, c.id)]
            cells.append(Cell((f"{percent(x['mean'], 1)} ({percent(x['lower'], 1)} to {percent(x['upper'], 1)}), value "
                               f"{number(x['value'])}",)))  # fmt: skip
        rows.append(Row(tuple(cells)))
    columns = [Column("Drug"), *(Column(c.title, "number") for c in m.criteria)]
    where: Parts = ("Scales: ",)
    for k, c in enumerate(m.criteria):
        name = Link(c.title, "#" + anchor("q", c.id)) if c.id in ids else c.title
        where += ("; " if k else "", name, f" from {percent(c.value.worst)} (worst) to {percent(c.value.best)} (best)")
    return Table(id="benefit-risk-table", caption="Risks with 95 % ranges, and their mean values on the common scale",
                 columns=tuple(columns), rows=tuple(rows), note=(*where, "."))  # fmt: skip


def _profile(value: BenefitRisk, w: Weighed) -> Section:
    table = value.table(w.profile.id)
    size = len(value.measured.alternatives)
    known = table["confidence"].isna().all()
    columns = [Column("Drug"), Column("Value (95 % range)", "number"), Column("P(first)", "number"),
               Column("P(among the first 3)", "number")]  # fmt: skip
    if not known:
        columns += [Column("Confidence", "number"), Column("First for a reader with the weights", "long")]
    rows = []
    for r in table.to_dict("records"):
        top = sum(r[f"rank_{k + 1}"] for k in range(min(3, size)))
        worth = f"{number(r['value'])} ({number(r['lower'])} to {number(r['upper'])})"
        cells = [Cell((r["alternative"],)), Cell((worth,)), Cell((percent(r["rank_1"]),)), Cell((percent(top),))]
        if not known:
            never = r["confidence"] != r["confidence"]
            weights = ", ".join(f"{c.title} {percent(r[f'weight_{c.id}'])}" for c in value.measured.criteria)
            cells += [Cell(("–" if never else percent(r["confidence"]),)), Cell(("never first" if never else weights,))]
        rows.append(Row(tuple(cells)))
    id = f"benefit-risk-{anchor('p', w.profile.id)}"
    titles = {c.id: c.title for c in value.measured.criteria}
    blocks: list[Block] = [
        Text((f"Preferences: {w.words}.",)),
        Figure(id=f"{id}.ranks", plot="rank_acceptability", table=table,
               caption=f"{w.profile.title}: how often each drug has each rank."),
        Table(id=f"{id}.table", caption=f"{w.profile.title}: value, ranks and central weights", columns=tuple(columns),
              rows=tuple(rows),
              note=("Confidence: how often a drug is first for a reader who has exactly those weights.",)
              if not known else ()),
    ]  # fmt: skip
    if not known:
        blocks.insert(2, Figure(id=f"{id}.weights", plot="central_weights", table=table, options={"titles": titles},
                                caption=f"{w.profile.title}: the typical weights of a reader for whom a drug comes "
                                "first."))  # fmt: skip
    return Section(id=id, title=w.profile.title, blocks=tuple(blocks), nav=False)


def _net(value: BenefitRisk, net: Any) -> Table:
    rates = listed([f"one {c.title} outweighs {value.settings.exchange[c.id]:g} patients with a response"
                    for c in value.measured.criteria if c.harm])  # fmt: skip
    rows = tuple(
        Row((Cell((r.alternative,)), Cell((f"{whole(r.net)} ({whole(r.lower)} to {whole(r.upper)})",)),
             Cell((percent(r.p_positive),))))
        for r in net.itertuples()
    )  # fmt: skip
    return Table(id="benefit-risk-net", caption=f"Net benefit per 1,000 patients against {value.measured.reference}",
                 columns=(Column("Drug"), Column("Net benefit (95 % range)", "number"),
                          Column("P(net benefit > 0)", "number")), rows=rows,
                 note=("Responses gained minus harms, at an exchange that is an editor's choice: ", rates,
                       "."))  # fmt: skip


def as_json(value: BenefitRisk, run: Run) -> dict[str, Any]:
    """The key `benefit_risk` of `results.json`."""
    return {"benefit_risk": record(value)}


def record(value: BenefitRisk) -> dict[str, Any]:
    """The part as plain values."""
    net = value.net_benefit()
    return {
        "reference": value.measured.reference,
        "criteria": [{"question": c.id, "title": c.title, "harm": c.harm, "worst": c.value.worst, "best": c.value.best}
                     for c in value.measured.criteria],
        "measurements": value.measured.summary().to_dict("records"),
        "left_out": dict(value.left_out),
        "profiles": [
            {"profile": w.profile.id, "title": w.profile.title, "preferences": w.words,
             "rows": value.table(w.profile.id).to_dict("records")}
            for w in value.weighed
        ],
        "exchange": dict(value.settings.exchange),
        "net_benefit": net.to_dict("records") if net is not None else [],
    }  # fmt: skip


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
