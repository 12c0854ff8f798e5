"""CINeMA's files: its project (JSON, `.cnm`) read and written, its report as a table, and columns rob and indirectness.

A project holds the studies arm by arm with `rob` and `indirectness` (1 to 3), the analysis (hat matrix, network
results, study contributions in per cent) and, when CINeMA saved it, the judgements made so far. Written is what CINeMA
reads: studies, hat matrix, results and contributions. Its report has one row per comparison.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enthesis.assess.certainty import Ratings, StudyFacts
from enthesis.assess.concerns import DOMAINS
from enthesis.errors import DataError, UsageError
from enthesis.network.blocks import ArmCounts, ArmMeans

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.inference.fit import Fit
    from enthesis.network.network import Network

MOST_BYTES, MOST_ARMS = 50_000_000, 100_000
_LEVELS = {"1": 1, "2": 2, "3": 3, "l": 1, "low": 1, "u": 2, "m": 2, "unclear": 2, "moderate": 2, "some concerns": 2,
           "h": 3, "high": 3}  # fmt: skip
_RESULTS = (
    "Direct", "DirectL", "DirectU", "Indirect", "IndirectL", "IndirectU", "SideIF", "SideIFlower", "SideIFupper",
    "SideZ", "SidePvalue", "PropDir", "NMA treatment effect", "se treat effect", "lower CI", "upper CI", "lower PrI",
    "upper PrI", "PropDirNetmeta", "_row",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Project:
    """What a project of CINeMA says.

    Parameters
    ----------
    network : Network
    facts : dict of str to StudyFacts
        Risk of bias and indirectness by study.
    effects : {"random", "common"}
    mid : float or None
        The clinically important size of effect, where it was set.
    contributions : dict of (treatment, comparator) to dict of str to float
        By study, as fractions; empty when the project has no analysis.
    judgements : dict of (treatment, comparator) to dict of str to int
        CINeMA's rules for within-study bias (`average`, `majority`, `highest`) and its levels (1 to 3) of other
        domains, where the project has them.
    """

    network: Network
    facts: Mapping[str, StudyFacts]
    effects: str
    mid: float | None
    contributions: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    judgements: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)


def read_project(text: str, *, file: str = "project") -> Project:
    """A project of CINeMA.

    Parameters
    ----------
    text : str
        JSON.
    file : str
        Its name, for messages.

    Returns
    -------
    Project

    Raises
    ------
    DataError
        When it is no JSON, has no studies, or an arm cannot be read: with row, column, value and mend.
    """
    from enthesis.network.tables import from_table

    if len(text) > MOST_BYTES:
        raise DataError(f"is larger than {MOST_BYTES:,} characters", file=file, fix="Give one project.")
    try:
        raw = json.loads(text)
        project = raw["project"]
        arms = project["studies"]["long"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError("is not a project of CINeMA with studies in long format", file=file,
                        fix="Save the project in CINeMA, or give a table of studies.") from None  # fmt: skip
    if not isinstance(arms, list) or not arms or len(arms) > MOST_ARMS:
        raise DataError("has no arms, or too many", file=file, column="project.studies.long", fix="Check the file.")
    names = _study_names(arms, file)
    rows, facts = [], {}
    for at, arm in enumerate(arms, start=1):
        study = names[str(arm["id"])]
        row = {"study": study, "treatment": str(arm.get("t", ""))}
        for ours, theirs in (("events", "r"), ("n", "n"), ("mean", "mean"), ("mean", "y"), ("sd", "sd")):
            if theirs in arm:
                row[ours] = arm[theirs]
        rows.append(row)
        facts[study] = StudyFacts(bias=_level(arm, "rob", file, at), indirectness=_level(arm, "indirectness", file, at))
    found = _analysis(project)
    hat = found.get("hatmatrix", {}) if isinstance(found.get("hatmatrix"), dict) else {}
    measure = _one(hat.get("sm")) or _param(found, "sm") or ("OR" if "events" in rows[0] else "MD")
    model = _one(hat.get("model")) or _param(found, "MAModel") or "random"
    network = from_table(rows, measure=measure)
    clinical = project.get("clinImp")
    base = clinical.get("baseValue") if isinstance(clinical, dict) and clinical.get("status") == "ready" else None
    return Project(
        network=network, facts=facts, effects="random" if model == "random" else "common",
        mid=float(base) if isinstance(base, int | float) and base else None,
        contributions=_shares(found.get("studycontributions"), names), judgements=_judgements(project),
    )  # fmt: skip


def _study_names(arms: list[Any], file: str) -> dict[str, str]:
    names: dict[str, str] = {}
    for at, arm in enumerate(arms, start=1):
        if not isinstance(arm, dict) or "id" not in arm or "t" not in arm:
            raise DataError("lacks id or t", file=file, row=at, column="project.studies.long",
                            fix="Each arm needs id, t and its numbers.")  # fmt: skip
        names.setdefault(str(arm["id"]), str(arm.get("study") or arm["id"]))
    if len(set(names.values())) < len(names):
        names = {id: f"{name} ({id})" for id, name in names.items()}
    return names


def _level(arm: Mapping[str, Any], column: str, file: str, row: int) -> int:
    word = str(arm.get(column, "")).strip().lower()
    if word not in _LEVELS:
        raise DataError("is not a level", file=file, row=row, column=column, value=arm.get(column),
                        fix="Write 1, 2 or 3, or L, M or H.")  # fmt: skip
    return _LEVELS[word]


def _analysis(project: Mapping[str, Any]) -> dict[str, Any]:
    matrices = project.get("CM")
    if not isinstance(matrices, dict):
        return {}
    found = matrices.get("currentCM") or next(iter(matrices.get("contributionMatrices") or ()), {})
    return found if isinstance(found, dict) else {}


def _one(value: Any) -> str:
    value = value[0] if isinstance(value, list) and value else value
    return value if isinstance(value, str) else ""


def _param(found: Mapping[str, Any], name: str) -> str:
    params = found.get("params")
    return _one(params.get(name)) if isinstance(params, dict) else ""


def _shares(raw: Any, names: Mapping[str, str]) -> dict[tuple[str, str], dict[str, float]]:
    made = {}
    for pair, shares in (raw or {}).items() if isinstance(raw, dict) else ():
        a, _, b = pair.partition(":")
        made[a, b] = {
            names.get(str(id), str(id)): float(v) / 100 for id, v in shares.items() if isinstance(v, int | float)
        }
    return made


def _judgements(project: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, int]]:
    made: dict[tuple[str, str], dict[str, int]] = {}
    rules = {"majRule": "majority", "meanRule": "average", "maxRule": "highest"}
    places = {"imprecision": ("imprecision",), "heterogeneity": ("heterogeneity", "heters"),
              "incoherence": ("incoherence",), "reporting bias": ("pubbias",)}  # fmt: skip
    for box in _boxes(project, ("netRob", "studyLimitations")):
        for rule in box.get("rules", ()):
            if rule.get("id") in rules and isinstance(rule.get("value"), int):
                made.setdefault(_pair(box), {})[rules[rule["id"]]] = rule["value"]
    for domain, path in places.items():
        for box in _boxes(project, path):
            if isinstance(box.get("judgement"), int) and box["judgement"] in (1, 2, 3):
                made.setdefault(_pair(box), {})[domain] = box["judgement"]
    return made


def _boxes(project: Any, path: tuple[str, ...]) -> list[dict[str, Any]]:
    for name in path:
        project = project.get(name) if isinstance(project, dict) else None
    boxes = project.get("boxes") if isinstance(project, dict) else None
    return [b for b in boxes or () if isinstance(b, dict) and ":" in str(b.get("id", ""))]


def _pair(box: Mapping[str, Any]) -> tuple[str, str]:
    a, _, b = str(box["id"]).partition(":")
    return a, b


def project_json(fit: Fit, ratings: Ratings, facts: Mapping[str, StudyFacts]) -> str:
    """A project that CINeMA reads: studies, hat matrix, results and study contributions.

    Parameters
    ----------
    fit : Fit
    ratings : Ratings
        Of that fit.
    facts : dict of str to StudyFacts
        An unknown risk of bias is written as 2, some concerns.

    Returns
    -------
    str

    Raises
    ------
    UsageError
        When the network is not of counts or means by arm, which is what a project can hold.
    """
    from enthesis.assess.contribution import hat_matrix, study_contributions
    from enthesis.assess.node_splitting import node_splits
    from enthesis.estimands import predictive_effects, relative_effects

    network = fit.network
    ids = {study: at for at, study in enumerate(network.studies, start=1)}
    pairs = [(r.treatment, r.comparator) for r in ratings.all]
    hat = hat_matrix(fit, comparisons=pairs)
    shares = study_contributions(fit, comparisons=pairs)
    effects = {(r.treatment, r.comparator): r for r in relative_effects(fit).itertuples()}
    new = {(r.treatment, r.comparator): r for r in predictive_effects(fit).itertuples()}
    splits = {}
    for r in node_splits(fit, with_indirect_only=True).itertuples():
        splits[r.treatment, r.comparator] = (r, 1.0)
        splits[r.comparator, r.treatment] = (r, -1.0)
    results = [_result(p, effects[p], new[p], *splits[p]) for p in pairs]
    names = [f"{a}:{b}" for a, b in pairs]
    contributions = {
        name: {str(ids[s]): 100 * float(v) for s, v in zip(shares.columns, row, strict=True)}
        for name, row in zip(names, shares.to_numpy(), strict=True)
    }
    columns = [name.replace(" : ", ":") for name in hat.columns]
    matrix = {
        "colNames": columns, "colNamesNMAresults": list(_RESULTS), "H": hat.to_numpy().tolist(),
        "model": "fixed" if fit.effects == "common" else "random", "NMAresults": results, "rowNames": names,
        "rowNamesNMAresults": names, "sm": network.measure.name,
    }  # fmt: skip
    arms, kind = _arms(network, ids, facts)
    told = {
        "project": {
            "CM": {"contributionMatrices": [{"hatmatrix": matrix, "studycontributions": contributions}]},
            "format": "long", "type": kind, "studies": {"long": arms},
        }
    }  # fmt: skip
    return json.dumps(_finite(told), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _arms(network: Network, ids: Mapping[str, int], facts: Mapping[str, StudyFacts]) -> tuple[list[dict], str]:
    kinds = {type(b) for b in network.blocks}
    if kinds not in ({ArmCounts}, {ArmMeans}):
        raise UsageError("a project of CINeMA holds counts or means by arm; this network has other data.")
    binary = kinds == {ArmCounts}
    rows = []
    for r in network.arms_table().to_dict("records"):
        known = facts.get(r["study"], StudyFacts())
        own = {"r": r["events"]} if binary else {"mean": r["mean"], "sd": r["sd"]}
        rows.append({"study": r["study"], "id": ids[r["study"]], "t": r["treatment"], "n": r["n"], **own,
                     "rob": known.bias or 2, "indirectness": known.indirectness})  # fmt: skip
    return rows, "binary" if binary else "continuous"


def _result(pair: tuple[str, str], effect: Any, new: Any, split: Any, sign: float) -> dict[str, Any]:
    from enthesis.assess.certainty import Z95

    made: dict[str, Any] = {}
    for name, column in (("Direct", "direct"), ("Indirect", "indirect"), ("SideIF", "difference")):
        mid, se = sign * getattr(split, column), getattr(split, f"{column}_se")
        low, high = ("lower", "upper") if name == "SideIF" else ("L", "U")
        made |= {name: mid, f"{name}{low}": mid - Z95 * se, f"{name}{high}": mid + Z95 * se}
    made |= {"SideZ": sign * split.z, "SidePvalue": split.p, "PropDir": split.proportion,
             "NMA treatment effect": effect.estimate, "se treat effect": effect.se, "lower CI": effect.lower,
             "upper CI": effect.upper, "lower PrI": new.lower, "upper PrI": new.upper,
             "PropDirNetmeta": split.proportion, "_row": f"{pair[0]}:{pair[1]}"}  # fmt: skip
    # CINeMA leaves out what does not exist, such as the direct estimate of an indirect comparison
    return {k: v for k, v in made.items() if not (isinstance(v, float) and not math.isfinite(v))}


def _finite(value: Any) -> Any:
    from enthesis.estimands import plain

    return plain(value)


def report_table(ratings: Ratings) -> pd.DataFrame:
    """CINeMA's report: one row per comparison.

    Returns
    -------
    pandas.DataFrame
        Comparison, Number of studies, the six domains, Confidence rating, Reason(s) for downgrading.
    """
    import pandas as pd

    titles = {d: d[0].upper() + d[1:] for d in DOMAINS}
    rows = []
    for r in ratings.all:
        levels = {titles[c.domain]: _word(c) for c in r.concerns}
        why = [titles[c.domain] for c in r.concerns if c.steps]
        rows.append({"Comparison": f"{r.treatment}:{r.comparator}", "Number of studies": r.n_studies, **levels,
                     "Confidence rating": r.level.capitalize(),
                     "Reason(s) for downgrading": "; ".join(why)})  # fmt: skip
    columns = ["Comparison", "Number of studies", *titles.values(), "Confidence rating", "Reason(s) for downgrading"]
    return pd.DataFrame(rows, columns=columns)


def _word(concern: Any) -> str:
    if concern.domain == "reporting bias":
        return ("Low risk", "Some concerns", "High risk")[concern.steps]
    return concern.level.capitalize()


def facts_of_table(path: Path | str) -> dict[str, StudyFacts]:
    """Risk of bias and indirectness from the columns `rob` and `indirectness` of a table of studies, where it has them.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to StudyFacts

    Raises
    ------
    DataError
        When a level is none, or two rows of a study differ.
    """
    from enthesis.network.reading import read_table

    sheet = read_table(path)
    lower = {name.strip().lower(): name for name in sheet.header}
    study = next((lower[n] for n in ("study", "studlab", "trial", "id", "study_id", "studyid") if n in lower), None)
    told = [name for name in ("rob", "indirectness") if name in lower]
    if study is None or not told:
        return {}
    columns = [list(sheet.cells(lower[name])) for name in told]
    made: dict[str, StudyFacts] = {}
    for name, line, *values in zip(sheet.cells(study), sheet.lines, *columns, strict=True):
        own = {column: value.strip() for column, value in zip(told, values, strict=True) if value.strip()}
        facts = StudyFacts(bias=_cell(own, "rob", path, line), indirectness=_cell(own, "indirectness", path, line) or 1)
        if made.setdefault(name, facts) != facts:
            raise DataError("differs between the rows of one study", file=Path(path).name, row=line, value=name,
                            column="rob, indirectness", fix="Write the same in each row of a study.")  # fmt: skip
    return made


def _cell(row: Mapping[str, str], column: str, path: Path | str, at: int) -> int | None:
    if column not in row:
        return None
    text = row[column].removesuffix(".0")
    return _level({column: text}, column, Path(path).name, at)
