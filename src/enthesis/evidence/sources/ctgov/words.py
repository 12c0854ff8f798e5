"""What the words of a record mean: outcome codes, weeks, analyses, drugs, doses. The rules are data, in `words.toml`.

A rule that is not sure says so: its answer carries a doubt, and a doubt goes to a person.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

#: Longest title that patterns are searched in; and longest description.
MAX_TITLE, MAX_DESCRIPTION = 500, 5000


@dataclass(frozen=True)
class Rule:
    """A rule of `words.toml`: holds where all patterns of `wanted` and none of `unwanted` are found."""

    name: str
    wanted: tuple[re.Pattern[str], ...]
    unwanted: tuple[re.Pattern[str], ...] = ()
    data: dict[str, Any] = field(default_factory=dict)

    def holds(self, text: str) -> bool:
        """Whether it holds in a text in lower case."""
        return all(p.search(text) for p in self.wanted) and not any(p.search(text) for p in self.unwanted)


@dataclass(frozen=True)
class Words:
    """The rules of `words.toml`."""

    outcomes: tuple[Rule, ...]
    near: tuple[re.Pattern[str], ...]
    estimators: tuple[Rule, ...]
    effects: tuple[Rule, ...]
    not_an_arm: tuple[re.Pattern[str], ...]
    populations: tuple[Rule, ...]
    baseline: tuple[dict[str, Any], ...]
    drugs: tuple[Rule, ...]


@cache
def words() -> Words:
    """The rules, read once.

    Examples
    --------
    >>> len(words().outcomes) > 25
    True
    """
    data = tomllib.loads(files(__package__).joinpath("words.toml").read_text(encoding="utf-8"))

    def rules(name: str, key: str = "name") -> tuple[Rule, ...]:
        return tuple(Rule(r[key], _compiled(r.get("all", ())), _compiled(r.get("none", ())), r) for r in data[name])

    return Words(
        outcomes=rules("outcome", "code"),
        near=_compiled(data["near"]["patterns"]),
        estimators=rules("estimator"),
        effects=rules("effect"),
        not_an_arm=_compiled(data["not_an_arm"]["patterns"]),
        populations=rules("population"),
        baseline=tuple(data["baseline"]),
        drugs=tuple(
            Rule(
                r["name"],
                (re.compile(r"(?<![a-z0-9])(" + "|".join(map(re.escape, r["names"])) + r")(?![a-z0-9])"),),
                data=r,
            )
            for r in data["drug"]
        ),
    )


def _compiled(patterns: Any) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


@dataclass(frozen=True)
class Meaning:
    """What a text was taken to mean; `doubt` says why a person should look, and is empty when the rule is sure."""

    value: str = ""
    doubt: str = ""


def outcome(title: str, part: str, kind: str) -> Meaning:
    """The outcome code that a title, or the title of a part of it, stands for.

    Parameters
    ----------
    title, part : str
        Title of the outcome measure, and of its class or category.
    kind : {"binary", "continuous"}
        Of the data.

    Returns
    -------
    Meaning
        `value` is empty when no rule holds; with a doubt it is what a person might confirm.

    Examples
    --------
    >>> outcome("Change From Baseline to Week 12 in the BASFI", "", "continuous").value
    'dBASFI'
    >>> outcome("ASAS20 and ASAS40 response", "", "binary").doubt
    'the title fits several outcomes: ASAS20, ASAS40'
    """
    for text in (part, title):
        low = text[:MAX_TITLE].lower()
        found = [rule for rule in words().outcomes if rule.holds(low)]
        of_kind = [rule.name for rule in found if rule.data["kind"] == kind]
        if len(of_kind) == 1:
            return Meaning(of_kind[0])
        if len(of_kind) > 1:
            return Meaning("", f"the title fits several outcomes: {', '.join(of_kind)}")
        if found:
            return Meaning("", f"the title fits {found[0].name}, but the data are {kind or 'of another kind'}")
    low = title[:MAX_TITLE].lower()
    if any(pattern.search(low) for pattern in words().near):
        return Meaning("", "the title fits no rule, but speaks of an outcome of the dictionary")
    return Meaning()


def scale_of(code: str, description: str) -> tuple[float, float] | None:
    """The range of a score: as the description prints it, else that of the instrument; None when neither is known."""
    found = re.search(
        r"(?:rang\w*|scor\w*|scale)\W+(?:\w+\W+){0,4}?(?:from|of|is)?\W*(\d{1,3})\W*(?:\([^)]{0,60}\)\W*)?"
        r"(?:to|-|through)\W*(\d{1,3})\b",
        description[:MAX_DESCRIPTION].lower(),
    )
    if found and float(found[1]) < float(found[2]):
        return float(found[1]), float(found[2])
    rule = next((rule for rule in words().outcomes if rule.name == code), None)
    known = rule.data.get("range") if rule else None
    return (float(known[0]), float(known[1])) if known else None


def strange_unit(code: str, unit: str) -> str:
    """Why a unit is not that of a continuous outcome; empty when it may be.

    Examples
    --------
    >>> strange_unit("dCRP", "mg/L"), strange_unit("dCRP", "ratio"), strange_unit("dBASFI", "percent change")
    ('', "the unit 'ratio' is not that of dCRP", "the unit 'percent change' is not that of dBASFI")
    """
    rule = next((rule for rule in words().outcomes if rule.name == code), None)
    low = unit[:MAX_TITLE].lower()
    wanted = rule.data.get("unit") if rule else None
    wrong = not re.search(wanted, low) if wanted else re.search(r"%|percent", low)
    return f"the unit {unit[:60]!r} is not that of {code}" if wrong else ""


_NUMBER_LIST = r"\d{1,3}(?:\s*(?:,|and|&|or|to|through|-|–)\s*(?:and\s*)?(?:weeks?\s*)?\d{1,3})*"
_WEEKS = re.compile(rf"\b(?:weeks?|wks?)\s*({_NUMBER_LIST})\b|\b(\d{{1,3}})(?:\s|-)?(?:weeks?|wks?)\b", re.ASCII)


def weeks(text: str) -> list[int]:
    """Every week that a text names, without week 0 when there is another.

    Examples
    --------
    >>> weeks("From Baseline to Week 12"), weeks("Baseline (Week 0)"), weeks("Weeks 2, 4 and 12"), weeks("24-week")
    ([12], [0], [2, 4, 12], [24])
    """
    low = text[:MAX_TITLE].lower()
    found = {int(n) for a, b in _WEEKS.findall(low) for n in re.findall(r"\d{1,3}", a or b)}
    return sorted(found - {0}) or sorted(found)


def week(part: str, time_frame: str, title: str) -> Meaning:
    """The week of a result: of its part when that names one, else where time frame and title agree.

    Examples
    --------
    >>> week("", "Week 52", "ASAS40 at Week 52").value
    '52'
    >>> week("Week 8", "Weeks 2, 4, 8 and 12", "BASFI").value
    '8'
    >>> week("", "Baseline, Week 12, Week 24", "BASFI").doubt
    "the time frame 'Baseline, Week 12, Week 24' names several weeks: 12, 24"
    """
    own, frame, named = weeks(part), weeks(time_frame), weeks(title)
    if len(own) == 1:
        return Meaning(str(own[0]))
    if len(frame) > 1 and re.search(r"\bup to\b|\bthrough\b", time_frame.lower()):
        frame = frame[-1:]
    if len(frame) == 1:
        if len(named) == 1 and named != frame:
            return Meaning(str(frame[0]), f"the title names week {named[0]}, the time frame week {frame[0]}")
        return Meaning(str(frame[0]))
    if len(named) == 1 and (not frame or named[0] in frame):
        return Meaning(str(named[0]))
    if frame:
        return Meaning("", f"the time frame {time_frame[:80]!r} names several weeks: {', '.join(map(str, frame))}")
    if re.search(r"\bbaseline\b", time_frame.lower()) and not re.search(r"month|year|day|end", time_frame.lower()):
        return Meaning("0")
    return Meaning("", f"the time frame {time_frame[:80]!r} names no week")


def estimator(kind: str, *texts: str) -> str:
    """How missing data were handled or the model, in the dictionary's words; empty when the texts do not say.

    Examples
    --------
    >>> estimator("binary", "Missing values were imputed by NRI."), estimator("continuous", "ANCOVA")
    ('NRI', 'ANCOVA')
    """
    low = " ".join(text[:MAX_DESCRIPTION] for text in texts).lower()
    return next((r.name for r in words().estimators if r.data["kind"] in ("", kind) and r.holds(low)), "")


def effect(text: str) -> str:
    """What an analysis estimates, in the dictionary's words; empty when it is none of them.

    Examples
    --------
    >>> effect("Odds Ratio (OR)"), effect("LS Mean Difference"), effect("Slope")
    ('odds_ratio', 'difference', '')
    """
    low = text[:MAX_TITLE].lower()
    return next((rule.name for rule in words().effects if rule.holds(low)), "")


_SETS = {
    "safety set": r"\bsafety (analysis )?(set|population)\b|\bss\b|\bsaf\b",
    "full analysis set": r"\bfull analysis (set|population)\b|\bfas\b",
    "intention to treat": r"\b(modified )?inten(t|tion)\W?to\W?treat\b|\bm?itt\b",
    "per protocol": r"\bper\W?protocol\b|\bpps?\b",
    "randomised set": r"\brandomi[sz]ed (set|population)\b|\brs\b",
}


def analysis_set(*texts: str) -> str:
    """The analysis set that the first of the texts names, such as "safety set"; empty when none does.

    Examples
    --------
    >>> analysis_set("CZP 200 mg Q2W (SS)"), analysis_set("Placebo", "The FAS consisted of all subjects in the RS")
    ('safety set', 'full analysis set')
    """
    for text in texts:
        low = text[:MAX_DESCRIPTION].lower()
        places = {name: m.start() for name, pattern in _SETS.items() if (m := re.search(pattern, low))}
        if places:
            return min(places, key=places.__getitem__)
    return ""


def population(*texts: str) -> str:
    """The population of the dictionary that conditions and title describe; empty when no rule is sure.

    Examples
    --------
    >>> population("Nonradiographic Axial Spondyloarthritis"), population("Lupus")
    ('nr-axSpA', '')
    """
    low = " ".join(text[:MAX_TITLE] for text in texts).lower()
    return next((rule.name for rule in words().populations if rule.holds(low)), "")


def drugs(text: str) -> list[Rule]:
    """The drugs that a text names, in the order of the rules.

    Examples
    --------
    >>> [drug.name for drug in drugs("CZP 200 mg Q2W, matching placebo")]
    ['placebo', 'certolizumab pegol']
    """
    low = text[:MAX_DESCRIPTION].lower()
    return [rule for rule in words().drugs if rule.holds(low)]


_DOSE = re.compile(r"(?<![\d.])(\d{1,5}(?:\.\d{1,3})?)\s?(mg/kg|mg|g)\b", re.ASCII)


def doses(text: str) -> list[tuple[str, str]]:
    """Every dose in a text, as (number, unit), each once.

    Examples
    --------
    >>> doses("400 mg at weeks 0 and 2, then 200 mg"), doses("2 mg/kg")
    ([('400', 'mg'), ('200', 'mg')], [('2', 'mg/kg')])
    """
    return list(dict.fromkeys(_DOSE.findall(text[:MAX_DESCRIPTION].lower())))


_COUNT_WORDS = {"other": 2, "two": 2, "three": 3, "four": 4, "six": 6, "eight": 8, "twelve": 12}
_FREQUENCIES = {
    "BID": r"\bbid\b|\bb\.i\.d|\btwice (a |per )?da(y|ily)\b|\btwice daily\b",
    "QD": r"\bqd\b|\bq\.d\b|\bonce (a |per )?da(y|ily)\b|\bonce daily\b",
    "BIW": r"\bbiw\b|\btwice (a |per )?week(ly)?\b",
    "QW": r"\bqw\b|\bonce (a |per )?week(ly)?\b|\bevery week\b",
}
_EVERY = re.compile(r"\bq\s?(\d{1,2})\s?w(?:ks?|eeks?)?\b|\bevery (\d{1,2}|[a-z]{3,6}) weeks?\b", re.ASCII)


def frequencies(text: str) -> list[str]:
    """Every dosing frequency in a text, in the dictionary's words.

    Examples
    --------
    >>> frequencies("200 mg every two weeks"), frequencies("15 mg once daily"), frequencies("Q4W")
    (['Q2W'], ['QD'], ['Q4W'])
    """
    low = text[:MAX_DESCRIPTION].lower()
    found = [name for name, pattern in _FREQUENCIES.items() if re.search(pattern, low)]
    for digits, word in _EVERY.findall(low):
        count = int(digits) if digits else int(word) if word.isdigit() else _COUNT_WORDS.get(word)
        if count is not None:
            found.append(f"Q{count}W" if count > 1 else "QW")
    return list(dict.fromkeys(found))


_ROUTES = {
    "sc": r"\bsubcutaneous|\bs\.?c\.?\b",
    "iv": r"\bintravenous|\bi\.?v\.?\b|\binfusion",
    "oral": r"\boral|\btablet|\bcapsule|\bp\.?o\.?\b",
}


def route(text: str) -> str:
    """How a drug is given; empty when the text names no way or several.

    Examples
    --------
    >>> route("200 mg subcutaneous (sc)"), route("an infusion, then sc"), route("")
    ('sc', '', '')
    """
    low = text[:MAX_DESCRIPTION].lower()
    found = [name for name, pattern in _ROUTES.items() if re.search(pattern, low)]
    return found[0] if len(found) == 1 else ""
