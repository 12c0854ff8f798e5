"""A run as `results.json`: the content of the report as data.

Effects are on the model's scale (logarithms for ratios) unless a name says otherwise; missing numbers are null. The
schema is `enthesis/schemas/results.schema.json`, explained in docs/reference/results-json.md.
"""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enthesis.estimands import plain
from enthesis.living.parts import from_parts
from enthesis.report.behind import named_studies, records, source_address, used_rows
from enthesis.report.messages import key_messages, limits
from enthesis.report.tables import Reading, readings
from enthesis.report.values import Parts

if TYPE_CHECKING:
    from enthesis.inference.fit import Fit
    from enthesis.living.run import Run

#: name and version of the format; the number grows when a key changes its meaning or goes away
FORMAT = "enthesis-results/1"


def write(run: Run, path: Path | str, read: tuple[Reading, ...] | None = None) -> None:
    """Write `results.json`; the file is whole or not there.

    Parameters
    ----------
    run : Run
    path : path
    read : tuple of Reading, optional
        Of the run's answers, when they exist already.
    """
    path = Path(path)
    beside = path.with_name(path.name + ".part")
    text = json.dumps(results(run, read), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    beside.write_text(text + "\n", encoding="utf-8")
    os.replace(beside, path)


def schema() -> dict[str, Any]:
    """The JSON schema of `results.json`."""
    return json.loads(files("enthesis").joinpath("schemas", "results.schema.json").read_text(encoding="utf-8"))


def results(run: Run, read: tuple[Reading, ...] | None = None) -> dict[str, Any]:
    """The content of `results.json`.

    Parameters
    ----------
    run : Run
    read : tuple of Reading, optional

    Returns
    -------
    dict
        Plain values, ready for JSON.

    Examples
    --------
    >>> from enthesis.living.review import run_review
    >>> told = results(run_review("axspa", only="asas40-nr"))
    >>> told["format"], told["answers"][0]["question"]["id"]
    ('enthesis-results/1', 'asas40-nr')
    """
    from enthesis import __version__

    read = read if read is not None else readings(run)
    review, evidence = run.review, run.evidence
    studies, rows = _studies(run, read), _results(run, read)
    told = plain(
        {
            "format": FORMAT,
            "enthesis": __version__,
            "run": {"hash": run.content_hash},
            "review": {
                "id": review.id, "title": review.title, "asks": review.asks, "is_not": review.is_not,
                "focus_class": review.focus_class, "main_question": run.main.question.id, "hash": review.content_hash,
                "chapters": [{"title": c.title, "intro": c.intro, "questions": c.questions} for c in review.chapters],
            },
            "evidence": {
                **evidence.snapshot.to_dict(), "studies": len(evidence.studies), "results": len(evidence.outcomes),
                "sources": len(evidence.sources),
            },
            "key_messages": [words(m) for m in key_messages(run, read)],
            "limits": [words(m) for m in limits(run, read)],
            "answers": [_answer(r) for r in read],
            "studies": studies,
            "results": rows,
            "sources": _sources(run, (*studies, *rows)),
        }
    )  # fmt: skip
    for _, keys in from_parts(run, "json"):
        told |= plain(keys)
    if run.part_problems:
        told["part_problems"] = dict(run.part_problems)
    # the ledgers are long and hold plain text only
    for r, answer in zip(read, told["answers"], strict=True):
        answer["ledger"] = _ledger(r)
    return told


def words(parts: Parts) -> str:
    """A text without its links."""
    return "".join(p if isinstance(p, str) else p.text for p in parts)


def _answer(r: Reading) -> dict[str, Any]:
    a, q = r.answer, r.answer.question
    told: dict[str, Any] = {
        "question": {**q.to_dict(), "stratum": q.stratum, "label": q.asked.label, "better": q.asked.better,
                     "domain": q.asked.domain, "measure": q.scale, "mid": q.difference},
        "problem": a.problem,
        "network": None,
        "data": [
            {"study": c.study, "subgroup": c.subgroup, "week": c.week, "treatment": arm.node.name,
             **{name: getattr(arm, at) for name, at in _NUMBERS.items()}, "rows": [row.id for row in arm.rows]}
            for c in a.selection.choices for arm in c.arms
        ],
        "fits": [], "relative_effects": [], "comparisons": [], "ranks": [], "baselines": [], "absolute": [],
        "problems": a.problems,
        "flow": a.selection.flow().to_dict("records"),
        "studies_out": a.selection.studies_out().to_dict("records"),
        "ledger": None,
    }  # fmt: skip
    if r.fit is None:
        return told
    n = r.fit.network
    told["network"] = {
        "studies": n.n_studies, "arms": n.n_arms, "patients": n.n_patients, "reference": n.reference,
        "measure": n.measure.name, "scale": n.measure.scale, "unconnected": a.unconnected,
        "treatments": [{"name": t.name, "agent": t.agent, "dose": t.dose, "unit": t.unit, "drug_class": t.drug_class}
                       for t in n.treatments],
    }  # fmt: skip
    roles = {m.id: m.role for m in r.review.models}
    told["fits"] = [_fit(id, r, roles.get(id, ""), fit) for id, fit in a.fits.items()]
    told["relative_effects"] = r.pairs.to_dict("records")
    told["comparisons"] = r.comparisons.to_dict("records")
    told["ranks"] = [
        {"treatment": row["treatment"], "p_score": row["p_score"], "sucra": row["sucra"], "mean_rank": row["mean_rank"],
         "probabilities": [row[f"rank_{i + 1}"] for i in range(len(r.ranks))]}
        for row in r.ranks.to_dict("records")
    ]  # fmt: skip
    told["baselines"] = [{"label": b.label, "risk": b.risk, "how": b.how} for b in r.baselines]
    told["absolute"] = r.absolute.drop(columns=["strong", "baseline"], errors="ignore").to_dict("records")
    return told


def _ledger(r: Reading) -> list[dict[str, Any]]:
    a = r.answer
    return [
        {"action": e.action, "rule": e.rule, "reason": e.reason, "study": e.study, "arm": e.arm, "rows": list(e.rows)}
        for e in (a.network.ledger if a.network is not None else a.selection.ledger)
    ]


_NUMBERS = {"events": "r", "n": "n", "mean": "y", "se": "se", "sd": "sd", "time_at_risk": "E"}


def _fit(id: str, r: Reading, role: str, fit: Fit) -> dict[str, Any]:
    h = fit.heterogeneity
    return {
        "model": id, "title": r.titles[id], "role": role, "engine": fit.engine, "effects": fit.effects,
        "assumes": fit.model.describe() if fit.is_bayesian else f"{fit.effects} effects",
        "interval": "credible" if fit.is_bayesian else "confidence",
        "tau": {"estimate": fit.tau.estimate, "lower": fit.tau.lower, "upper": fit.tau.upper},
        "heterogeneity": {"Q": h.Q, "df": h.df, "p": h.p, "I2": h.I2},
        "against_reference": r.against[id].to_dict("records"),
        "new_study": r.new_study[id].to_dict("records"),
        "status": {"ok": fit.status.ok, "message": fit.status.message},
        "settings": fit.settings, "diagnostics": fit.diagnostics, "hash": fit.content_hash,
    }  # fmt: skip


def _studies(run: Run, read: tuple[Reading, ...]) -> list[dict[str, Any]]:
    frame = run.evidence.studies
    return records(frame[frame["study_id"].isin(named_studies(read))])


def _results(run: Run, read: tuple[Reading, ...]) -> list[dict[str, Any]]:
    used = used_rows(read)
    frame = run.evidence.outcomes
    told = []
    for row in records(frame[frame["result_id"].isin(used)]):
        fact = run.evidence.fact(row["result_id"])
        told.append({**row, "extractor": fact.extractor, "recorded_at": fact.recorded_at, "file": fact.file,
                     "fact_hash": fact.content_hash, "used_in": used[row["result_id"]]})  # fmt: skip
    return told


def _sources(run: Run, rows: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    wanted = {part.strip() for row in rows for part in row["source_id"].split(";")}
    frame = run.evidence.sources
    return [{**row, "address": source_address(row)} for row in records(frame[frame["source_id"].isin(wanted)])]
