"""A small review on a store of its own: two questions, two models that fit in no time, two conclusions."""

from __future__ import annotations

from pathlib import Path

from enthesis.evidence import Store
from enthesis.evidence.store import checked

FILES = {
    "review.toml": """
id = "small"
title = "A small review"
main_question = "r"
focus_class = "JAKi"
""",
    "questions/q.toml": """
outcome = "ASAS40"
weeks = [12, 16]
[[question]]
id = "r"
title = "ASAS40, radiographic"
populations = ["r-axSpA"]
[[question]]
id = "nr"
title = "ASAS40, non-radiographic"
populations = ["nr-axSpA"]
""",
    "models/random.toml": """
id = "random"
title = "Bayesian"
engine = "laplace"
prior_tau = "half-normal(0.5)"
draws = 500
""",
    "models/reml.toml": """
id = "reml"
title = "REML"
role = "twin"
engine = "gls"
""",
    "conclusions.toml": """
[[conclusion]]
id = "K1"
statement = "drug works in radiographic disease"
question = "r"
probability = "P(OR(drug, placebo) > 1)"
threshold = 0.95
[[conclusion]]
id = "K2"
statement = "drug works in non-radiographic disease"
question = "nr"
probability = "P(OR(drug, placebo) > 1)"
threshold = 0.95
""",
}

#: study, year of its source, population, responders of 100 with drug and with placebo
STUDIES = (
    ("R-1", 2015, "r-axSpA", 45, 20),
    ("R-2", 2018, "r-axSpA", 40, 22),
    ("R-3", 2021, "r-axSpA", 50, 25),
    ("NR-1", 2019, "nr-axSpA", 30, 24),
    ("NR-2", 2022, "nr-axSpA", 28, 22),
)


def review_folder(folder: Path, **changed: str) -> Path:
    """The review in a folder; files are changed by name, with __ for / and the ending left out."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.get(name.removesuffix(".toml").replace("/", "__"), text), encoding="utf-8")
    return folder


def add_study(
    store: Store,
    study: str,
    year: int | str,
    population: str,
    drug: int,
    placebo: int,
    *,
    cells: dict[str, str] | None = None,
    published: str = "",
) -> None:
    """One placebo-controlled study of 100 patients per arm, with a source of its own."""
    source = f"src-{study}"
    rows = [
        ("sources", {"source_id": source, "kind": "article", "title": study, "year": year, "published": published}),
        ("studies", {"study_id": study, "title": study, "year": year, "design": "rct", "population": population,
                     "prior_biologic": "naive", "n_randomised": 200, "placebo_until_week": 16, "status": "completed",
                     "source_id": source}),
    ]  # fmt: skip
    for arm, name, of, events in (("d", "drug", "JAKi", drug), ("p", "placebo", "placebo", placebo)):
        rows.append(("arms", {"study_id": study, "arm_id": arm, "treatment": name, "drug_class": of,
                              "n_randomised": 100, "source_id": source}))  # fmt: skip
        rows.append(("outcomes", {"study_id": study, "arm_id": arm, "subgroup": "all", "outcome": "ASAS40", "week": 14,
                                  "measure": "binary", "events": events, "n": 100, "estimator": "NRI",
                                  "source_id": source, "locator": "Table 2", "check": "one-source",
                                  "preferred": "yes"} | (cells or {})))  # fmt: skip
    with store.writing(extractor="test") as writer:
        for table, row in rows:
            writer.append(checked(table, {name: str(value) for name, value in row.items()}))


def filled(place: str | Path, studies=STUDIES) -> Path:
    """A store in a file with these studies, each a snapshot of its own."""
    with Store.open(place) as store:
        for study in studies:
            add_study(store, *study)
    return Path(place)
