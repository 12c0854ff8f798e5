"""Keeping forecasts and scoring them when the trial has reported.

A trial has reported when a study with its registry number is in the network of its question. Its effect is then set
against the one that was expected, in standard deviations of the forecast, with the continuous ranked probability score
of a normal forecast,

    CRPS(N(m, s), y) = s [z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)],   z = (y - m) / s;

and the state that the conclusion has come to is scored by the Brier score over the three states, sum (p_k - 1{k})²,
from 0 (certain and right) to 2. Sources: Gneiting T, Raftery AE, J Am Stat Assoc 2007;102:359. Other evidence that
came in the meantime moves a conclusion too: a score of states is one of the review, not of the trial alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from enthesis.assess.conclusions import asked
from enthesis.assess.forecast import Forecasts
from enthesis.errors import EnthesisError

if TYPE_CHECKING:
    from enthesis.living.run import Run


def rows_to_keep(value: Forecasts, run: Run, made_on: str) -> list[dict[str, str]]:
    """The forecasts of a run as rows of the table `forecasts`, one per trial and conclusion.

    Parameters
    ----------
    value : Forecasts
    run : Run
    made_on : str
        The day, ISO 8601.

    Returns
    -------
    list of dict of str to str
    """
    concluded = {r.conclusion.id: r.conclusion for r in run.parts["conclusions"].results}
    told = []
    for t in value.trials:
        if t.problem:
            continue
        base = {
            "nct_id": t.nct_id, "question": t.question, "made_on": made_on,
            "basis": run.answer(t.question).fit.content_hash,
            "label": t.label, "arms": "; ".join(f"{name} {n}" for name, n in t.arms), "patients": str(t.patients),
            "treatment": t.arms[1][0], "comparator": t.arms[0][0], "measure": t.measure,
            "effect_mean": repr(t.scale_mean[0]), "effect_sd": repr(t.scale_sd[0]),
        }  # fmt: skip
        if not t.moved:
            told.append(base)
        for m in t.moved:
            told.append({**base, "conclusion": m.conclusion, "asked": asked(concluded[m.conclusion]), "state": m.state,
                         "probability": repr(m.probability), "holds": repr(m.holds), "open": repr(m.open),
                         "refuted": repr(m.refuted)})  # fmt: skip
    return told


def scores(run: Run) -> list[dict[str, Any]]:
    """Score every kept forecast whose trial has reported.

    Parameters
    ----------
    run : Run
        With the part `conclusions`; its evidence holds the table `forecasts`.

    Returns
    -------
    list of dict
        nct_id, label, question, made_on, study (None while it has not reported), observed, expected, expected_sd, z,
        inside (95 % predictive interval), crps; conclusion, state_then, state_now, brier, and `why_not` in words where
        something could not be scored.
    """
    table = run.evidence.table("forecasts")
    studies = run.evidence.studies
    numbers = dict(zip(studies["study_id"], studies["nct_id"], strict=True))
    answers = {a.question.id: a for a in run.answers}
    concluded = {r.conclusion.id: r for r in run.parts["conclusions"].results} if "conclusions" in run.parts else {}
    told = []
    for row in table.to_dict("records"):
        answer = answers.get(row["question"])
        network = answer.fitted if answer is not None else None
        names = [s for s in (network.studies if network else ()) if numbers.get(s) == row["nct_id"]]
        one: dict[str, Any] = {name: row[name] for name in ("nct_id", "label", "question", "made_on")}
        one |= {"study": names[0] if len(names) == 1 else None, "conclusion": row["conclusion"] or None}
        if len(names) != 1:
            several = f"the network holds {len(names)} studies with this number: {', '.join(names)}"
            one["why_not"] = several if names else "the trial is not in the network yet"
            told.append(one)
            continue
        one |= _effect(network, names[0], row)
        one |= _state(concluded.get(row["conclusion"]), row)
        told.append(one)
    return told


def _effect(network: Any, study: str, row: dict[str, Any]) -> dict[str, Any]:
    try:
        a, b = network.index(row["treatment"]), network.index(row["comparator"])
    except EnthesisError as problem:
        return {"why_not": str(problem)}
    for group in network.pairs.groups:
        for at in np.flatnonzero(group.study == network.studies.index(study)):
            arms = [int(x) for x in group.arms[at]]
            if a in arms and b in arms:
                observed = float(group.y[at, arms.index(a), arms.index(b)])
                mean, sd = float(row["effect_mean"]), float(row["effect_sd"])
                z = (observed - mean) / sd
                return {"observed": observed, "expected": mean, "expected_sd": sd, "z": z, "inside": abs(z) <= 1.959964,
                        "crps": crps(mean, sd, observed)}  # fmt: skip
    return {"why_not": f"{study} gives no effect of {row['treatment']} against {row['comparator']}"}


def _state(now: Any, row: dict[str, Any]) -> dict[str, Any]:
    if not row["conclusion"]:
        return {}
    if now is None or now.state == "unknown":
        return {"why_not": f"conclusion {row['conclusion']} has no state now"}
    if row["asked"] != asked(now.conclusion):
        return {"why_not": f"conclusion {row['conclusion']} asks something else now"}
    p = {k: float(row[k]) for k in ("holds", "open", "refuted")}
    return {"state_then": row["state"], "state_now": now.state, "expected_states": p,
            "brier": float(sum((p[k] - (k == now.state)) ** 2 for k in p))}  # fmt: skip


def crps(mean: float, sd: float, observed: float) -> float:
    """Continuous ranked probability score of a normal forecast; 0 is perfect, in units of what is forecast.

    Examples
    --------
    >>> round(crps(0.0, 1.0, 0.0), 4), round(crps(0.0, 1.0, 2.0), 4)
    (0.2337, 1.4528)
    """
    z = (observed - mean) / sd
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return float(sd * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi)))


__all__ = ["crps", "rows_to_keep", "scores"]
