"""The protocol section becomes a source, a study and its arms, in the words of the evidence dictionary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from enthesis.evidence.sources.ctgov import words
from enthesis.evidence.sources.ctgov.context import Context
from enthesis.evidence.sources.ctgov.groups import ArmText
from enthesis.evidence.sources.ctgov.printed import whole
from enthesis.evidence.sources.ctgov.record import Log, Node

NCT = re.compile(r"NCT\d{8}\Z", re.ASCII)
_PHASES = {"EARLY_PHASE1": "1", "PHASE1": "1", "PHASE2": "2", "PHASE3": "3", "PHASE4": "4"}
_BLINDING = {"NONE": "open", "SINGLE": "single", "DOUBLE": "double", "TRIPLE": "double", "QUADRUPLE": "double"}
_STATUS = {
    "COMPLETED": "completed", "TERMINATED": "terminated", "WITHDRAWN": "terminated", "SUSPENDED": "ongoing",
    "RECRUITING": "ongoing", "ACTIVE_NOT_RECRUITING": "ongoing", "NOT_YET_RECRUITING": "ongoing",
    "ENROLLING_BY_INVITATION": "ongoing",
}  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """What the protocol section says, as rows."""

    nct_id: str
    source: dict[str, str]
    study: dict[str, str]
    arms: list[dict[str, str]]
    texts: list[ArmText]
    reads: tuple[str, ...]


def protocol(node: Node, log: Log, known: dict[str, str], known_arms: list[dict[str, str]], ask: Context) -> Protocol:
    """Read `protocolSection`.

    Parameters
    ----------
    node : Node
    log : Log
    known : dict
        The row of the study when the store has it already; its names are kept.
    known_arms : list of dict
        Its arms.
    ask : Context
        Gets the questions.
    """
    identity, status = node["identificationModule"], node["statusModule"]
    nct_id = identity["nctId"].text().upper()
    acronym, title = identity["acronym"].text(), identity["briefTitle"].text()
    official = identity["officialTitle"].text()
    posted = status["resultsFirstPostDateStruct"]["date"].text()
    updated = status["lastUpdatePostDateStruct"]["date"].text()
    design = node["designModule"]
    enrolled = design["enrollmentInfo"]
    count = whole(enrolled["count"].printed())
    reads = []
    if count is not None and enrolled["type"].text() == "ACTUAL":
        reads.append(enrolled["count"].pointer)
    elif enrolled["count"]:
        why = "planned, not enrolled" if count is not None else "not a count"
        log.unparsed(enrolled["count"].pointer, f"the enrolment {enrolled['count'].printed()[:40]!r} is {why}")
        count = None
    source = {
        "source_id": f"ctgov_{nct_id}",
        "kind": "registry_results",
        "title": f"{official or title} (ClinicalTrials.gov record)"[:1000],
        "year": posted[:4] if re.match(r"(19|20)\d\d", posted) else "",
        "nct_id": nct_id,
        "url": f"https://clinicaltrials.gov/study/{nct_id}",
        "note": "; ".join(
            filter(None, (f"results first posted {posted}" if posted else "", f"last update posted {updated}"))
        ),
    }
    conditions = node["conditionsModule"]["conditions"].texts()
    allocation = design["designInfo"]["allocation"].text()
    study = {
        "study_id": key(acronym) or nct_id,
        "nct_id": nct_id,
        "title": (title or official)[:1000],
        "design": _design(allocation, design["studyType"].text(), title, official),
        "phase": "/".join(dict.fromkeys(filter(None, (_PHASES.get(p, "") for p in design["phases"].texts())))),
        "blinding": _BLINDING.get(design["designInfo"]["maskingInfo"]["masking"].text(), ""),
        "population": _population(conditions, title, official, ask, node),
        "n_randomised": "" if count is None else str(count),
        "sponsor": node["sponsorCollaboratorsModule"]["leadSponsor"]["name"].text()[:300],
        "status": _STATUS.get(status["overallStatus"].text(), ""),
        "source_id": source["source_id"],
    }
    if known:
        study = {**study, "study_id": known["study_id"]}
    arms, texts = _arms(node["armsInterventionsModule"], study, known_arms, ask)
    return Protocol(nct_id, source, study, arms, texts, tuple(reads))


def key(text: str) -> str:
    """A text as a key of the dictionary: ASCII, no blanks; empty when nothing is left.

    Examples
    --------
    >>> key("C-axSpAnd"), key("COAST V"), key("été")
    ('C-axSpAnd', 'COAST-V', 't')
    """
    return re.sub(r"[^A-Za-z0-9._/-]+", "-", text.encode("ascii", "ignore").decode())[:100].strip("-./")


def _design(allocation: str, kind: str, *titles: str) -> str:
    low = " ".join(titles).lower()
    if kind == "OBSERVATIONAL":
        return "cohort"
    if re.search(r"\bextension\b|long\W?term follow", low) and allocation != "RANDOMIZED":
        return "extension"
    return "rct" if allocation == "RANDOMIZED" else "cohort"


def _population(conditions: list[str], title: str, official: str, ask: Context, node: Node) -> str:
    subject = "population of the study"
    decided = ask.decided("population", subject)
    if decided is not None:
        return decided
    by_title = words.population(title) or words.population(official)
    by_condition = {words.population(condition) for condition in conditions} - {""}
    found = by_title or (by_condition.pop() if len(by_condition) == 1 else "")
    if not found:
        where = node["conditionsModule"]["conditions"].pointer
        ask.ask("population", subject, "", f"no rule fits the conditions {', '.join(conditions)[:200]!r}", where)
    return found


def _arms(
    node: Node, study: dict[str, str], known: list[dict[str, str]], ask: Context
) -> tuple[list[dict[str, str]], list[ArmText]]:
    routes = {}
    for item in node["interventions"].items():
        name = item["name"].text()
        item["type"].text()
        item["armGroupLabels"].texts()
        item["otherNames"].texts()
        routes[name.lower()] = words.route(item["description"].text())
    arms: list[dict[str, str]] = []
    texts: list[ArmText] = []
    taken: set[str] = set()
    for item in node["armGroups"].items():
        label, description = item["label"].text(), item["description"].text()
        kind, given = item["type"].text(), item["interventionNames"].texts()
        drug, sure = _drug(label, description, given, kind)
        dose, unit = ("", "") if drug is not None and drug.name == "placebo" else _only(words.doses, label, description)
        often = _only(words.frequencies, label, description)
        row = {
            "study_id": study["study_id"],
            "arm_id": "",
            "treatment": drug.name if drug else label.lower()[:100] or "not named",
            "drug_class": drug.data["drug_class"] if drug else "other",
            "dose": dose,
            "dose_unit": unit,
            "frequency": often if often in _FREQUENCIES else "",
            "route": words.route(description) or (drug.data.get("route", "") if drug else "") or _first(routes, given),
            "regimen": description[:500],
            "source_id": study["source_id"],
            "locator": item.pointer,
            "note": f"registered as {label!r}",
        }
        decided = ask.decided("arm", label)
        old = [arm for arm in known if _same(arm, row) and arm["arm_id"] not in taken]
        if decided and decided != "new":
            old = [arm for arm in known if arm["arm_id"] == decided]
        row["arm_id"] = old[0]["arm_id"] if len(old) == 1 else _name(row, label, taken)
        taken.add(row["arm_id"])
        why = "" if sure else "the drug of the arm is not known, or it is not the only one"
        if known and len(old) != 1:
            why = f"the store has {len(old)} arms of the study with this drug, dose and frequency"
        if why and decided is None:
            ask.ask("arm", label, row["arm_id"], why, item.pointer)
            ask.unsure[row["arm_id"]] = why
        arms.append(row)
        texts.append(ArmText(row["arm_id"], label, description, row["treatment"], dose, unit, row["frequency"]))
    return arms, texts


_FREQUENCIES = {"QD", "BID", "TID", "QW", "BIW", "Q2W", "Q3W", "Q4W", "Q6W", "Q8W", "Q12W"}


def _drug(label: str, description: str, given: list[str], kind: str) -> tuple[words.Rule | None, bool]:
    """The drug of an arm, and whether it is sure: by its label, else by its interventions."""
    for text in (label, " ".join(given), description):
        found = words.drugs(text)
        active = [drug for drug in found if drug.name != "placebo"]
        if len(active) == 1:
            return active[0], kind != "PLACEBO_COMPARATOR"
        if len(active) > 1:
            others = [drug for drug in active if drug.data["drug_class"] != "csDMARD"]
            return (others[0], False) if others else (active[0], False)
        if found:
            return found[0], kind in ("PLACEBO_COMPARATOR", "SHAM_COMPARATOR", "")
    return None, False


def _only(read: Any, label: str, description: str) -> Any:
    """What the label says, else what the description says, when it says one thing only."""
    empty = "" if read is words.frequencies else ("", "")
    for text in (label, description):
        found = read(text)
        if found:
            return found[0] if len(found) == 1 else empty
    return empty


def _first(routes: dict[str, str], given: list[str]) -> str:
    return next((routes[n] for n in (g.partition(": ")[2].lower() for g in given) if routes.get(n)), "")


def _same(known: dict[str, str], row: dict[str, str]) -> bool:
    """Whether an arm of the store is the registered one: same drug, and no other dose or frequency."""
    if known.get("treatment") != row["treatment"]:
        return False
    dose = not known.get("dose") or not row["dose"] or float(known["dose"]) == float(row["dose"])
    return dose and (not known.get("frequency") or not row["frequency"] or known["frequency"] == row["frequency"])


def _name(row: dict[str, str], label: str, taken: set[str]) -> str:
    unit = {"mg/kg": "mgkg", "g": "g"}.get(row["dose_unit"], "")
    parts = [row["treatment"].split()[0], row["dose"] + unit if row["dose"] else "", row["frequency"].lower()]
    if row["treatment"] == "placebo":
        parts = ["placebo"]
    name = key("-".join(filter(None, parts))).lower() or "arm"
    if name in taken:
        name = key(label).lower() or name
    place = 2
    base = name
    while name in taken:
        name, place = f"{base}-{place}", place + 1
    return name
