"""Small registry records in the shape of the API v2. The trial, its groups and every number in them are made up."""

from __future__ import annotations

import copy
import json

ACTIVE = "Adalimumab 40 mg subcutaneously every 2 weeks."
CONTROL = "Matching placebo every 2 weeks."


def group(name, title, description=""):
    return {"id": name, "title": title, "description": description}


def denominators(*counts, prefix="OG"):
    values = [{"groupId": f"{prefix}{place:03d}", "value": str(n)} for place, n in enumerate(counts)]
    return [{"units": "Participants", "counts": values}]


def measurements(*values, prefix="OG"):
    """One class, one category; a value is text, or a dict with spread or limits."""
    items = [value if isinstance(value, dict) else {"value": value} for value in values]
    found = [{"groupId": f"{prefix}{place:03d}", **item} for place, item in enumerate(items)]
    return [{"categories": [{"measurements": found}]}]


def measure(title, param, unit, values, *, counts=(60, 62), frame="Week 12", groups=None, **more):
    """An outcome measure of two groups, placebo first."""
    return {
        "type": "SECONDARY",
        "title": title,
        "description": more.pop("description", ""),
        "populationDescription": more.pop("people", ""),
        "reportingStatus": "POSTED",
        "timeFrame": frame,
        "paramType": param,
        "unitOfMeasure": unit,
        "groups": groups or [group("OG000", "Placebo", CONTROL), group("OG001", "Adalimumab 40 mg Q2W", ACTIVE)],
        "denoms": denominators(*counts),
        "classes": values
        if values and isinstance(values[0], dict) and "categories" in values[0]
        else measurements(*values),
        **more,
    }


def asas40(placebo="11.7", active="41.9", **more):
    """7 of 60 and 26 of 62."""
    return measure("Percentage of Subjects With ASAS40 Response at Week 12", "NUMBER", "percentage of subjects",
                   (placebo, active), **more)  # fmt: skip


def analysis(**more):
    return {
        "groupIds": ["OG000", "OG001"], "groupDescription": "Adalimumab/Placebo, logistic regression with strata",
        "statisticalMethod": "Regression, Logistic", "paramType": "Odds Ratio (OR)", "paramValue": "5.72",
        "ciPctValue": "95", "ciNumSides": "TWO_SIDED", "ciLowerLimit": "2.24", "ciUpperLimit": "14.62",
        "pValue": "<0.001", **more,
    }  # fmt: skip


def flow(*, extension=True):
    groups = [group("FG000", "Placebo", CONTROL), group("FG001", "Adalimumab 40 mg Q2W", ACTIVE)]
    if extension:
        groups.append(group("FG002", "OL Adalimumab", "Everybody who went on with open-label adalimumab."))

    def counts(name, *numbers):
        return [{"groupId": f"FG{place:03d}", name: str(n)} for place, n in enumerate(numbers[: len(groups)])]

    def milestone(kind, *numbers):
        return {"type": kind, "achievements": counts("numSubjects", *numbers)}

    periods = [
        {
            "title": "Double-Blind (Week 0 - 12)",
            "milestones": [
                milestone("STARTED", 60, 62, 0), milestone("COMPLETED", 55, 59, 0), milestone("NOT COMPLETED", 5, 3, 0)
            ],
            "dropWithdraws": [{"type": "Adverse Event", "reasons": counts("numSubjects", 2, 3, 0)}],
        }
    ]  # fmt: skip
    if extension:
        periods.append(
            {"title": "Open-Label (Week 12 - 52)",
             "milestones": [milestone("STARTED", 0, 0, 110), milestone("COMPLETED", 0, 0, 101)]}
        )  # fmt: skip
    return {"groups": groups, "periods": periods}


def baseline():
    def values(*numbers):
        return [{"groupId": f"BG{place:03d}", **item} for place, item in enumerate(numbers)]

    return {
        "groups": [
            group("BG000", "Placebo", CONTROL), group("BG001", "Adalimumab 40 mg Q2W", ACTIVE), group("BG002", "Total")
        ],
        "denoms": denominators(60, 62, 122, prefix="BG"),
        "measures": [
            {
                "title": "Age, Continuous", "paramType": "MEAN", "dispersionType": "STANDARD_DEVIATION",
                "unitOfMeasure": "years",
                "classes": [{"categories": [{"measurements": values(
                    {"value": "38.1", "spread": "10.2"}, {"value": "37.6", "spread": "11.0"},
                    {"value": "37.8", "spread": "10.6"})}]}],
            },
            {
                "title": "Sex: Female, Male", "paramType": "COUNT_OF_PARTICIPANTS", "unitOfMeasure": "Participants",
                "classes": [{"categories": [
                    {"title": "Female", "measurements": values({"value": "27"}, {"value": "31"}, {"value": "58"})},
                    {"title": "Male", "measurements": values({"value": "33"}, {"value": "31"}, {"value": "64"})},
                ]}],
            },
        ],
    }  # fmt: skip


def adverse():
    def of(name, title, text, deaths, serious, other, n):
        return {
            **group(name, title, text), "deathsNumAffected": deaths, "deathsNumAtRisk": n, "seriousNumAtRisk": n,
            "seriousNumAffected": serious, "otherNumAffected": other, "otherNumAtRisk": n,
        }  # fmt: skip

    def stats(*rows):
        return [
            {"groupId": f"EG{place:03d}", "numEvents": e, "numAffected": a, "numAtRisk": n}
            for place, (e, a, n) in enumerate(rows)
        ]

    return {
        "frequencyThreshold": "5",
        "timeFrame": "From Baseline up to Week 52",
        "eventGroups": [
            of("EG000", "Placebo (SS)", CONTROL, 0, 2, 9, 60),
            of("EG001", "Adalimumab 40 mg Q2W (SS)", ACTIVE, 1, 3, 14, 62),
            of("EG002", "Placebo->OL Adalimumab (SS)", "Placebo, then open-label adalimumab", 0, 1, 4, 30),
        ],
        "seriousEvents": [
            {"term": "Pneumonia", "organSystem": "Infections and infestations", "sourceVocabulary": "MedDRA19.0",
             "assessmentType": "SYSTEMATIC_ASSESSMENT", "stats": stats((1, 1, 60), (2, 1, 62), (0, 0, 30))}
        ],
        "otherEvents": [
            {"term": "Headache", "organSystem": "Nervous system disorders", "sourceVocabulary": "MedDRA19.0",
             "assessmentType": "SYSTEMATIC_ASSESSMENT", "stats": stats((12, 5, 60), (7, 6, 62), (1, 1, 30))}
        ],
    }  # fmt: skip


def protocol(nct_id="NCT00000001", acronym="SMALL"):
    return {
        "identificationModule": {"nctId": nct_id, "acronym": acronym, "briefTitle": "A made-up trial in nr-axSpA"},
        "statusModule": {
            "overallStatus": "COMPLETED",
            "resultsFirstPostDateStruct": {"date": "2020-01-02", "type": "ACTUAL"},
            "lastUpdatePostDateStruct": {"date": "2021-03-04", "type": "ACTUAL"},
        },
        "sponsorCollaboratorsModule": {"leadSponsor": {"name": "Nobody"}},
        "conditionsModule": {"conditions": ["Nonradiographic Axial Spondyloarthritis"]},
        "designModule": {
            "studyType": "INTERVENTIONAL", "phases": ["PHASE3"],
            "designInfo": {"allocation": "RANDOMIZED", "maskingInfo": {"masking": "QUADRUPLE"}},
            "enrollmentInfo": {"count": 122, "type": "ACTUAL"},
        },
        "armsInterventionsModule": {
            "armGroups": [
                {"label": "Adalimumab 40 mg Q2W", "type": "EXPERIMENTAL", "description": ACTIVE,
                 "interventionNames": ["Biological: Adalimumab"]},
                {"label": "Placebo", "type": "PLACEBO_COMPARATOR", "description": CONTROL,
                 "interventionNames": ["Other: Placebo"]},
            ],
            "interventions": [{"type": "BIOLOGICAL", "name": "Adalimumab", "otherNames": ["Humira"]}],
        },
        "contactsLocationsModule": {"locations": [{"city": "Nowhere", "geoPoint": {"lat": 1.5, "lon": 2.5}}]},
    }  # fmt: skip


def record(*measures, nct_id="NCT00000001", acronym="SMALL", **results):
    """A whole record; give `outcomes` as positional, other modules by name (None leaves one out)."""
    modules = {
        "participantFlowModule": flow(),
        "baselineCharacteristicsModule": baseline(),
        "outcomeMeasuresModule": {"outcomeMeasures": list(measures) or [asas40(analyses=[analysis()])]},
        "adverseEventsModule": adverse(),
        "moreInfoModule": {"certainAgreement": {"piSponsorEmployee": False}},
        **results,
    }
    return copy.deepcopy(
        {
            "protocolSection": protocol(nct_id, acronym),
            "resultsSection": {name: module for name, module in modules.items() if module is not None},
            "derivedSection": {"miscInfoModule": {"versionHolder": "2024-01-01"}},
            "hasResults": True,
        }
    )


def as_bytes(value) -> bytes:
    return json.dumps(value).encode()
