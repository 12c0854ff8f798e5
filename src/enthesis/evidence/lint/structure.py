"""Rows against other rows: patients by arm, rows that name what is not there, and rows preferred together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from enthesis.evidence.lint.cells import Line, by, grouped, lines, used
from enthesis.evidence.lint.finding import Finding, finding
from enthesis.evidence.view import Evidence


def patients(evidence: Evidence) -> Iterator[Finding]:
    """Arms that do not add up to the study, and results of more patients than the arm has."""
    arms = lines(evidence, "arms")
    by_study = grouped(arms, by("study_id"))
    for study in lines(evidence, "studies"):
        total, its = study.value("n_randomised"), by_study.get((study["study_id"],), [])
        its = [a for a in its if not _pooled(a, its)]
        sizes = [a.value("n_randomised") for a in its]
        if study["design"] != "rct" or not total or not its or None in sizes or sum(sizes) == total:
            continue
        yield finding("arms-and-randomised", "warning", study["study_id"],
                      [(study.name, study["n_randomised"])] + [(a.name, a["n_randomised"]) for a in its],
                      f"{total:g} patients were randomised, but the arms have "
                      f"{' + '.join(f'{s:g}' for s in sizes)} = {sum(sizes):g}.",
                      "Look for a missing arm, arms listed twice, and patients randomised but not treated.",
                      )  # fmt: skip
    size = {(a["study_id"], a["arm_id"]): a for a in arms}
    for row in lines(evidence, "outcomes"):
        arm = size.get((row["study_id"], row["arm_id"]))
        n, most = row.value("n"), arm.value("n_randomised") if arm else None
        if n and most and n > most and row["measure"] != "rate":
            yield finding("more-than-randomised", "warning", row.where(),
                          [(row.name, row["n"]), (arm.name, arm["n_randomised"])],
                          f"{n:g} patients analysed, {most:g} randomised to the arm.",
                          "Look whether patients of another arm joined this one, or the count is of another set."
                          )  # fmt: skip


def _pooled(arm: Line, arms: list[Line]) -> bool:
    """Whether an arm is as large as several others together, and so holds the patients of other rows."""
    size = arm.value("n_randomised")
    others = [n for a in arms if a is not arm and (n := a.value("n_randomised"))][:12]
    return any(sum(some) == size for k in range(2, len(others) + 1) for some in combinations(others, k))


def names(evidence: Evidence) -> Iterator[Finding]:
    """Studies, arms and sources that are named but not in their tables, and curation lines that apply to nothing."""
    studies = {s["study_id"] for s in lines(evidence, "studies")}
    arms = {(a["study_id"], a["arm_id"]) for a in lines(evidence, "arms")}
    sources = {s["source_id"] for s in lines(evidence, "sources")}
    for table in ("arms", "outcomes", "contrasts", "rob"):
        for row in lines(evidence, table):
            if row["study_id"] not in studies:
                yield _unknown(row.name, row.where(), "study_id", row["study_id"], "studies")
    for table, columns in (("outcomes", ("arm_id",)), ("contrasts", ("arm_id", "comparator_arm_id"))):
        for row in lines(evidence, table):
            for column in columns:
                if row["study_id"] in studies and (row["study_id"], row[column]) not in arms:
                    yield _unknown(row.name, row.where(), column, row[column], "arms")
    for row in lines(evidence, "studies"):
        for column in ("parent_study", "part_of"):
            for name in filter(None, (part.strip() for part in row[column].split(";"))):
                if name not in studies:
                    yield _unknown(row.name, row["study_id"], column, name, "studies")
    for table in ("studies", "arms", "outcomes", "contrasts", "regulatory", "guidelines", "ongoing", "rob"):
        for row in lines(evidence, table):
            for name in filter(None, (part.strip() for part in row["source_id"].split(";"))):
                if name not in sources:
                    yield _unknown(row.name, row.where(), "source_id", name, "sources")
    rows = [r for t in ("outcomes", "contrasts") for r in lines(evidence, t)]
    for line in lines(evidence, "curation"):
        wanted = {c: line[c] for c in ("study_id", "arm_id", "outcome", "source_id") if line[c]}
        if not any(wanted.items() <= r.cells.items() for r in rows):
            yield finding("curation-idle", "note", " ".join(wanted.values()), [(line.name, tuple(wanted.values()))],
                          "This eligibility judgement applies to no row.",
                          "Correct its key, or keep it for rows still to come.")  # fmt: skip


def _unknown(row: str, subject: str, column: str, value: str, table: str) -> Finding:
    return finding("unknown-name", "error", subject, [(row, (column, value))],
                   f"{column} {value!r} is not in the table {table}.",
                   f"Add it to {table}, or correct the name.")  # fmt: skip


def preference(evidence: Evidence) -> Iterator[Finding]:
    """Several preferred rows for one arm, outcome and week; arms of one study preferred by different estimators."""
    rows = [r for r in used(evidence, "outcomes") if r["preferred"] == "yes"]
    key = by("study_id", "arm_id", "subgroup", "outcome", "week", "measure", "rate_of")
    for group in grouped(rows, key).values():
        if len(group) > 1:
            columns = ("events", "n", "percent", "mean", "sd", "se", "rate_per_100py", "patient_years", "source_id")
            yield finding("preferred-twice", "warning", group[0].where(),
                          [(r.name, tuple(r[c] for c in columns)) for r in group],
                          f"{len(group)} rows are preferred for the same arm, outcome and week.",
                          "Prefer one; if they are different things (periods, definitions), say so in subgroup or note."
                          )  # fmt: skip
    for group in grouped(rows, by("study_id", "subgroup", "outcome", "week", "measure")).values():
        kinds = {r["estimator"] for r in group}
        if len(kinds) > 1 and len({r["arm_id"] for r in group}) > 1:
            named = ", ".join(sorted(u or "unstated" for u in kinds))
            yield finding("estimators-mixed", "warning", group[0].where(),
                          [(r.name, r["estimator"]) for r in group],
                          f"The arms are preferred by different estimators: {named}.",
                          "Prefer the same estimator in every arm: a difference between estimands is no effect."
                          )  # fmt: skip


def twins(evidence: Evidence) -> Iterator[Finding]:
    """Studies that continue the same trial, or carry the same registry number, and report the same outcomes."""
    rows = grouped(used(evidence, "outcomes"), by("study_id"))
    studies = lines(evidence, "studies")
    for first, second in combinations(studies, 2):
        shared = _parents(first) & _parents(second)
        same = first["nct_id"] and first["nct_id"] == second["nct_id"] and first["population"] == second["population"]
        if first["design"] != second["design"] or not (shared or same) or _declared(first, second):
            continue
        kept = [rows.get((s["study_id"],), []) for s in (first, second)]
        codes = {r["outcome"] for r in kept[0]} & {r["outcome"] for r in kept[1]}
        if codes:
            why = f"continue {', '.join(sorted(shared))}" if shared else f"carry the number {first['nct_id']}"
            yield finding("same-patients", "warning", f"{first['study_id']} and {second['study_id']}",
                          [(s.name, (s["study_id"], s["parent_study"], *sorted(codes))) for s in (first, second)],
                          f"Both {why} and report {', '.join(sorted(codes)[:6])}.",
                          "Judge the rows of one as not to be used (curation), or declare part_of.")  # fmt: skip


def _parents(study: Line) -> set[str]:
    return {name.strip() for name in study["parent_study"].split(";")} - {""}


def _declared(first: Line, second: Line) -> bool:
    """Whether one study is declared to be a part or the continuation of the other."""
    named = [{*_parents(s), *(p.strip() for p in s["part_of"].split(";"))} for s in (first, second)]
    siblings = first["part_of"] and first["part_of"] == second["part_of"]
    return bool(siblings) or second["study_id"] in named[0] or first["study_id"] in named[1]


__all__ = ["names", "patients", "preference", "twins"]
