"""One small Cochrane review in both shapes: a data package and a file of RevMan 5.

The dichotomous analysis holds the trials of aspirin after myocardial infarction of Fleiss (Stat Methods Med Res
1993;2:121-145, table 1); the others are made up.
"""

from __future__ import annotations

import csv
import io
import zipfile

#: study, year, deaths and patients with aspirin, with placebo
FLEISS = (
    ("MRC-1", "1974", 49, 615, 67, 624), ("CDP", "1976", 44, 758, 64, 771), ("MRC-2", "1979", 102, 832, 126, 850),
    ("GASP", "1979", 32, 317, 38, 309), ("PARIS", "1980", 85, 810, 52, 406), ("AMIS", "1980", 246, 2267, 219, 2257),
    ("ISIS-2", "1988", 1570, 8587, 1720, 8600),
)  # fmt: skip
ROWS = (
    "Analysis group", "Analysis number", "Analysis name", "Subgroup", "Applicability", "Study", "Study year",
    "GIV Mean", "GIV SE", "Experimental mean", "Experimental SD", "Experimental cases", "Experimental N",
    "Control mean", "Control SD", "Control cases", "Control N", "O-E", "Variance", "Weight", "Mean", "CI start",
    "CI end", "Footnotes",
)  # fmt: skip
SETTINGS = (
    "Analysis group", "Analysis number", "Analysis name", "Analysis group name", "Data type", "Log-scale data",
    "Experimental group label", "Control group label", "Statistical method", "Effect measure", "Analysis model",
    "Swap event and non-event",
)  # fmt: skip


def row(analysis: str, study: str, **cells: object) -> list[str]:
    """A data row; what is not given is 0.0, as in a package."""
    group, number = analysis.split(".")
    given = {"Analysis group": group, "Analysis number": number, "Study": study, "Analysis name": "", "Subgroup": "",
             "Applicability": "", "Footnotes": "", "Study year": "2000"}  # fmt: skip
    given |= {key.replace("_", " "): value for key, value in cells.items()}
    return [str(given.get(column, "0.0")) for column in ROWS]


def setting(analysis: str, kind: str, measure: str, labels: tuple[str, str], **cells: str) -> list[str]:
    """The settings of an analysis."""
    group, number = analysis.split(".")
    given = {"Analysis group": group, "Analysis number": number, "Analysis name": f"Outcome {number}",
             "Analysis group name": "Aspirin", "Data type": kind, "Log-scale data": "FALSE", "Effect measure": measure,
             "Experimental group label": labels[0], "Control group label": labels[1],
             "Swap event and non-event": "FALSE"}  # fmt: skip
    return [(given | cells).get(column, "#N/A") for column in SETTINGS]


DATA = [
    *(row("1.1", s, Study_year=y, Experimental_cases=r1, Experimental_N=n1, Control_cases=r2, Control_N=n2)
      for s, y, r1, n1, r2, n2 in FLEISS),
    row("1.2", "Ex 2001", Experimental_mean=-2.5, Experimental_SD=2.0, Experimental_N=50, Control_mean=-1.0,
        Control_SD=2.2, Control_N=48),
    row("1.2", "Ex 2002", Experimental_mean=-2.0, Experimental_SD=0.0, Experimental_N=50, Control_N=48),
    row("1.3", "Ex 2001", GIV_Mean=-0.25, GIV_SE=0.1),
    row("1.4", "Ex 2003", **{"O-E": -6.0, "Variance": 12.0}),
    row("2.1", "PARIS", Experimental_cases=60, Experimental_N=800, Control_cases=52, Control_N=406),
]  # fmt: skip
WANTED_SETTINGS = [
    setting("1.1", "Dichotomous", "Odds Ratio", ("Aspirin", "Placebo")),
    setting("1.2", "Continuous", "Mean Difference", ("Aspirin", "Placebo")),
    setting("1.3", "Contrast level", "Hazard Ratio", ("Aspirin", "Placebo"), **{"Log-scale data": "TRUE"}),
    setting("1.4", "O-E and variance", "Peto Odds Ratio", ("Aspirin", "#N/A")),
    setting("2.1", "Dichotomous", "Odds Ratio", ("Dipyridamole", "Placebo")),
]


def table(header: tuple[str, ...], rows: list[list[str]]) -> bytes:
    """A CSV file with the byte order mark of a package."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([header, *rows])
    return stream.getvalue().encode("utf-8-sig")


def package(**more: bytes) -> bytes:
    """The zip file; `more` replaces or adds files by the end of their name, with _ for -."""
    bias = ("Study", "Domain (judgement): Random sequence generation", "Domain (support): Random sequence generation")
    files = {
        "data-rows.csv": table(ROWS, DATA),
        "overall-estimates-and-settings.csv": table(SETTINGS, WANTED_SETTINGS),
        "risk-of-bias.csv": table(bias, [["CDP", "Low risk of bias", "By computer."], ["GASP", "", ""]]),
        "study-information.csv": table(("Study", "Year", "Char: Participants"), [["CDP", "1976", "Men.\nAfter MI."]]),
        "included.ris": b"TY  - JOUR\nTI  - A paper\nPY  - 1976\nER  - \n",
    }
    files |= {name.replace("_", "-").replace("-csv", ".csv"): raw for name, raw in more.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, raw in files.items():
            if raw:
                made.writestr(f"CD000001-analysis-data/CD000001-{name}", raw)
    return stream.getvalue()


def _escaped(name: str) -> str:
    return f"STD-{name.replace('-', '_x002d_').replace(' ', '-')}"


def revman() -> bytes:
    """The same review as a file of RevMan 5."""
    names = [(s, y) for s, y, *_ in FLEISS] + [("Ex 2001", "2001"), ("Ex 2002", "2002"), ("Ex 2003", "2003")]
    studies = "".join(
        f'<STUDY ID="{_escaped(s)}" NAME="{s}" YEAR="{y}"><REFERENCE TYPE="JOURNAL_ARTICLE"><AU>Ex A, Other B</AU>'
        f'<TI>Paper of {s}</TI><SO>J Ex</SO><YR>{y}</YR><IDENTIFIERS><IDENTIFIER TYPE="PUBMED" VALUE="1"/>'
        "</IDENTIFIERS></REFERENCE></STUDY>" for s, y in names
    )  # fmt: skip
    trials = "".join(
        f'<DICH_DATA STUDY_ID="{_escaped(s)}" EVENTS_1="{a}" TOTAL_1="{b}" EVENTS_2="{c}" TOTAL_2="{d}" SE="0.1"/>'
        for s, _, a, b, c, d in FLEISS
    )  # fmt: skip
    labels = "<GROUP_LABEL_1>Aspirin</GROUP_LABEL_1><GROUP_LABEL_2>Placebo</GROUP_LABEL_2>"
    return f"""<?xml version="1.0" encoding="ISO-8859-1" standalone="no"?>
<COCHRANE_REVIEW ID="CD000001"><COVER_SHEET><TITLE>Aspirin</TITLE></COVER_SHEET>
<STUDIES_AND_REFERENCES><STUDIES><INCLUDED_STUDIES>{studies}</INCLUDED_STUDIES></STUDIES></STUDIES_AND_REFERENCES>
<CHARACTERISTICS_OF_STUDIES><CHARACTERISTICS_OF_INCLUDED_STUDIES><INCLUDED_CHAR STUDY_ID="STD-CDP">
<CHAR_METHODS/><CHAR_PARTICIPANTS><P>Men.</P> <P>After MI.</P></CHAR_PARTICIPANTS></INCLUDED_CHAR>
</CHARACTERISTICS_OF_INCLUDED_STUDIES></CHARACTERISTICS_OF_STUDIES>
<QUALITY_ITEMS><QUALITY_ITEM><NAME>Random sequence generation</NAME><QUALITY_ITEM_DATA>
<QUALITY_ITEM_DATA_ENTRY RESULT="YES" STUDY_ID="STD-CDP"><DESCRIPTION><P>By computer.</P></DESCRIPTION>
</QUALITY_ITEM_DATA_ENTRY></QUALITY_ITEM_DATA></QUALITY_ITEM></QUALITY_ITEMS>
<ANALYSES_AND_DATA><COMPARISON NO="1"><NAME>Aspirin</NAME>
<DICH_OUTCOME NO="1" EFFECT_MEASURE="OR" EVENTS_1="2128"><NAME>Outcome 1</NAME>{labels}{trials}</DICH_OUTCOME>
<CONT_OUTCOME NO="2" EFFECT_MEASURE="MD"><NAME>Outcome 2</NAME>{labels}<CONT_SUBGROUP NO="1"><NAME>short</NAME>
<CONT_DATA STUDY_ID="STD-Ex-2001" MEAN_1="-2.5" SD_1="2.0" TOTAL_1="50" MEAN_2="-1.0" SD_2="2.2" TOTAL_2="48"/>
</CONT_SUBGROUP><CONT_SUBGROUP NO="2"><NAME>long</NAME>
<CONT_DATA STUDY_ID="STD-Ex-2001" MEAN_1="-2.7" SD_1="2.0" TOTAL_1="30" MEAN_2="-1.0" SD_2="2.2" TOTAL_2="28"/>
</CONT_SUBGROUP></CONT_OUTCOME>
<IV_OUTCOME NO="3" EFFECT_MEASURE="HR"><NAME>Outcome 3</NAME>{labels}
<IV_DATA STUDY_ID="STD-Ex-2001" ESTIMATE="-0.25" EFFECT_SIZE="0.7788" SE="0.1"/>
<IV_DATA STUDY_ID="STD-Ex-2002" EFFECT_SIZE="0.0" SE="0.1"/></IV_OUTCOME>
<IPD_OUTCOME NO="4" EFFECT_MEASURE="PETO_OR"><NAME>Outcome 4</NAME>
<IPD_DATA STUDY_ID="STD-Ex-2003" O_E="-6.0" VAR="12.0"/></IPD_OUTCOME>
<OTHER_OUTCOME NO="5"><NAME>Words</NAME></OTHER_OUTCOME></COMPARISON></ANALYSES_AND_DATA></COCHRANE_REVIEW>""".encode(
        "iso-8859-1"
    )
