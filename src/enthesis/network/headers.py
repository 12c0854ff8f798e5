"""Which column is what: header names of the field's packages, read without regard to case and punctuation.

A header means a *role* (`events`, `n`, ...) and perhaps a *slot*, the number of the arm in tables that hold several
arms per row: `r2`, `R.2`, `r[,2]` and `event_2` are all events of arm 2. Names come from netmeta, meta, metafor,
gemtc, multinma, MetaInsight, CINeMA, MBNMAdose, WinBUGS listings and Cochrane's data packages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from enthesis.errors import DataError, UsageError, unknown_name

#: header names of each role, the preferred first; written in lower case without punctuation
SYNONYMS: dict[str, tuple[str, ...]] = {
    "study": ("study", "studlab", "studyid", "studyname", "studylabel", "studyno", "trial", "trialid", "trialname",
              "s", "ns", "id", "nct", "nctid", "uniqueid", "author", "authors", "authoryear", "firstauthor", "paper",
              "studyc", "studyn", "studyorsubgroup"),
    "treatment": ("treatment", "trt", "treat", "t", "arm", "treatments", "intervention", "drug", "treatname", "therapy",
                  "treatmentname", "trtname", "node", "trtc", "trtn"),
    "comparator": ("comparator", "comp", "control", "ctrl", "versus", "vs"),
    "agent": ("agent",),
    "dose": ("dose",),
    "events": ("events", "event", "r", "responders", "xi", "x", "cases", "nevents", "numberofevents", "ri", "eventn"),
    "nonevents": ("nonevents", "nonresponders", "mi0"),
    "n": ("n", "samplesize", "ni", "total", "ntotal", "totaln", "size", "ss", "randomized", "randomised", "nrandomised",
          "nrandomized", "npatients", "patients", "participants", "sample", "narm"),
    "mean": ("mean", "y", "mi", "m", "means", "meanchange", "avg", "average"),
    "sd": ("sd", "stddev", "sdi", "standarddeviation", "stdev", "sdchange", "s.d"),
    "se": ("se", "stderr", "sei", "sem", "standarderror", "semean", "stderror"),
    "time_at_risk": ("timeatrisk", "exposure", "e", "ti", "personyears", "patientyears", "persontime", "pyears", "py",
                     "pyar", "tar", "exposuretime"),
    "effect": ("te", "effect", "effectsize", "diff", "lnor", "logor", "lnrr", "logrr", "lnhr", "loghr", "lnirr",
               "logirr", "yi", "d", "md", "smd", "hedgesg", "g", "rd", "contrast", "estimate", "est", "or", "rr",
               "hr", "irr", "oddsratio", "riskratio", "hazardratio", "rateratio", "logoddsratio", "logriskratio",
               "loghazardratio", "lograteratio"),
    "se_effect": ("sete", "selnor", "selogor", "selnrr", "selogrr", "selnhr", "seloghr", "selnirr", "selogirr",
                  "sediff", "seeffect", "sed", "semd", "sesmd", "serd", "secontrast", "seest", "sey"),
    "variance": ("vi", "variance", "vareffect"),
    "lower": ("lower", "lcl", "lci", "cilower", "cilow", "cil", "cistart", "lowerci", "ll", "l95", "ci95lower", "orlb",
              "hrlb", "rrlb", "lb", "low", "lowercl"),
    "upper": ("upper", "ucl", "uci", "ciupper", "cihigh", "ciu", "ciend", "upperci", "ul", "u95", "ci95upper", "orub",
              "hrub", "rrub", "ub", "high", "uppercl"),
    "statistic": ("statistic", "tstat", "tstatistic", "tvalue", "zstat", "zstatistic", "zvalue", "zval", "tval"),
    "p": ("p", "pvalue", "pval", "pvalues", "probability"),
    "df": ("df", "dof", "degreesoffreedom"),
    "followup": ("followup", "followuptime", "fu", "years", "duration", "yearsoffollowup"),
    "class": ("class", "trtclass", "drugclass", "treatmentclass", "treatclass", "classification"),
    "arms": ("na",),
}  # fmt: skip
#: roles that a user may name (an effect's own `se_effect` is called `se`, and only listings carry `arms`)
ROLES = tuple(role for role in SYNONYMS if role not in ("arms", "se_effect"))
#: `time` means time at risk to R's meta, follow-up to others: time at risk where no other column could be the size
_TIME = "time"
#: outcomes whose name may head the column of events; taken where the table has one of them and no `events`
_OUTCOMES = frozenset(
    ["death", "deaths", "died", "mortality", "stroke", "strokes", "exac", "exacerbations", "relapse", "relapses",
     "resp", "response", "responses", "remission", "remissions", "bleeding", "bleeds", "infection", "infections",
     "failures", "successes", "cured", "ae", "sae", "dropouts", "withdrawals", "discontinuations", "quit", "abstinent"]
)  # fmt: skip

#: names that mean a role and a slot only together: metafor, meta, metadat and Cochrane tables of two unnamed arms
SIGNATURES: tuple[dict[str, tuple[str, int]], ...] = (
    {"ai": ("events", 1), "n1i": ("n", 1), "ci": ("events", 2), "n2i": ("n", 2)},
    {"ai": ("events", 1), "bi": ("nonevents", 1), "ci": ("events", 2), "di": ("nonevents", 2)},
    {"tpos": ("events", 1), "tneg": ("nonevents", 1), "cpos": ("events", 2), "cneg": ("nonevents", 2)},
    {"xt": ("events", 1), "nt": ("n", 1), "xc": ("events", 2), "nc": ("n", 2)},
    {"x1i": ("events", 1), "t1i": ("time_at_risk", 1), "x2i": ("events", 2), "t2i": ("time_at_risk", 2)},
    {"m1i": ("mean", 1), "sd1i": ("sd", 1), "n1i": ("n", 1), "m2i": ("mean", 2), "sd2i": ("sd", 2), "n2i": ("n", 2)},
    {"evente": ("events", 1), "ne": ("n", 1), "eventc": ("events", 2), "nc": ("n", 2)},
    {"evente": ("events", 1), "timee": ("time_at_risk", 1), "eventc": ("events", 2), "timec": ("time_at_risk", 2)},
    {"meane": ("mean", 1), "sde": ("sd", 1), "ne": ("n", 1), "meanc": ("mean", 2), "sdc": ("sd", 2), "nc": ("n", 2)},
    {"me": ("mean", 1), "se": ("sd", 1), "ne": ("n", 1), "mc": ("mean", 2), "sc": ("sd", 2), "nc": ("n", 2)},
    {"experimentalcases": ("events", 1), "experimentaln": ("n", 1), "controlcases": ("events", 2),
     "controln": ("n", 2)},
    {"experimentalevents": ("events", 1), "experimentaltotal": ("n", 1), "controlevents": ("events", 2),
     "controltotal": ("n", 2)},
    {"experimentalmean": ("mean", 1), "experimentalsd": ("sd", 1), "experimentaln": ("n", 1),
     "controlmean": ("mean", 2), "controlsd": ("sd", 2), "controln": ("n", 2)},
    {"experimentalmean": ("mean", 1), "experimentalsd": ("sd", 1), "experimentaltotal": ("n", 1),
     "controlmean": ("mean", 2), "controlsd": ("sd", 2), "controltotal": ("n", 2)},
)  # fmt: skip
_SLOTTED = re.compile(r"(.*?[^0-9])[\s._\-\[,(]*([1-9][0-9]?)[\])]?")
_PERCENT = re.compile(r"%|per\s*cent|pct|proportion", re.IGNORECASE)

#: the measure that the name of an effect column tells, and whether the column holds the ratio itself
EFFECT_NAMES: dict[str, tuple[str, bool]] = {
    **{f"{log}{m.lower()}": (m, False) for m in ("OR", "RR", "HR", "IRR") for log in ("ln", "log")},
    **{m.lower(): (m, True) for m in ("OR", "RR", "HR", "IRR")},
    "oddsratio": ("OR", True), "riskratio": ("RR", True), "hazardratio": ("HR", True), "rateratio": ("IRR", True),
    "logoddsratio": ("OR", False), "logriskratio": ("RR", False), "loghazardratio": ("HR", False),
    "lograteratio": ("IRR", False),
    "md": ("MD", False), "smd": ("SMD", False), "hedgesg": ("SMD", False), "rd": ("RD", False),
}  # fmt: skip


def told_measure(header: str | None) -> tuple[str | None, bool]:
    """The measure that the name of an effect column tells, if any, and whether the column holds the ratio itself.

    Examples
    --------
    >>> told_measure("lnOR"), told_measure("HR"), told_measure("TE")
    (('OR', False), ('HR', True), (None, False))
    """
    return EFFECT_NAMES.get(plain(header or ""), (None, False))


def plain(header: str) -> str:
    """A header in lower case without punctuation: what synonyms are compared with.

    Examples
    --------
    >>> plain("Std.Err"), plain("time_at_risk")
    ('stderr', 'timeatrisk')
    """
    return re.sub(r"[^a-z0-9]", "", header.casefold())


@dataclass(frozen=True)
class Columns:
    """Headers by role and slot.

    Parameters
    ----------
    single : dict of role to header
    slotted : dict of role to (dict of slot to header)
    asked : frozenset of str
        Roles that the user named.
    levels : tuple of str
        Headers of the levels of nested responses, the easiest first.
    """

    single: dict[str, str] = field(default_factory=dict)
    slotted: dict[str, dict[int, str]] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    levels: tuple[str, ...] = ()

    def has(self, *roles: str) -> bool:
        """Whether each role has a column of its own."""
        return all(role in self.single for role in roles)

    def slots(self, *roles: str) -> tuple[int, ...]:
        """The slots in which each of the roles has a column, from 1 without gaps."""
        common = set.intersection(*(set(self.slotted.get(role, ())) for role in roles))
        found = []
        while len(found) + 1 in common:
            found.append(len(found) + 1)
        return tuple(found)


def read_headers(headers: tuple[str, ...], asked: Mapping[str, str], file: str) -> Columns:
    """What each header means.

    Parameters
    ----------
    headers : tuple of str
    asked : mapping of role to header
        The user's own choice, which comes first. A header without its number (`resp` where the table has `resp1`,
        `resp2`) stands for all its slots; a role with a number (`events1`) for one.
    file : str
        For messages.

    Returns
    -------
    Columns

    Raises
    ------
    UsageError
        When a named column or role does not exist.
    DataError
        When two headers mean the same.

    Examples
    --------
    >>> read_headers(("Study", "T.1", "T.2"), {}, "t.csv").slots("treatment")
    (1, 2)
    """
    single: dict[str, str] = {}
    slotted: dict[str, dict[int, str]] = {}
    roles = set()
    for key, header in asked.items():
        roles.add(_asked(key, str(header), headers, single, slotted))
    taken = set(single.values()) | {h for slots in slotted.values() for h in slots.values()}
    free = {h: plain(h) for h in headers if h not in taken and not _PERCENT.search(h)}
    _signatures(free, single, slotted)
    by_name: dict[str, list[str]] = {}
    for header, name in free.items():
        by_name.setdefault(name, []).append(header)
    for role, names in SYNONYMS.items():
        if role in single or (role in slotted and role in roles):
            continue
        for name in names:
            if name in by_name:
                if len(by_name[name]) > 1:
                    a, b = by_name[name][:2]
                    raise DataError(f"columns {a!r} and {b!r} have the same name but for case or punctuation",
                                    file=file, row=1, column=b,
                                    fix=f"Rename one, or say which is the {role}.")  # fmt: skip
                single[role] = by_name[name][0]
                break
    if _TIME in by_name and not {"time_at_risk", "n"} & single.keys():
        single["time_at_risk"] = by_name[_TIME][0]
    elif _TIME in by_name and "followup" not in single:
        single["followup"] = by_name[_TIME][0]
    _slots(free, roles, slotted)
    outcomes = [headers[0] for name, headers in by_name.items() if name in _OUTCOMES]
    known = roles | single.keys() | slotted.keys()
    if len(outcomes) == 1 and not {"events", "mean", "effect"} & known:
        single["events"] = outcomes[0]
    return Columns(single=single, slotted=slotted, asked=frozenset(roles))


def _asked(key: str, header: str, headers, single, slotted) -> str:
    """Put the user's own choice of a column in its place; returns the role."""
    match = re.fullmatch(r"([a-z_]+?)[_.]?([1-9][0-9]?)?", key.strip().casefold())
    role = match[1] if match else key
    if role not in ROLES:
        raise unknown_name("role of a column", role, ROLES)
    header = header.strip()
    exact = header if header in headers else next((h for h in headers if h.casefold() == header.casefold()), None)
    if exact is not None:
        if match[2]:
            slotted.setdefault(role, {})[int(match[2])] = exact
        else:
            single[role] = exact
        return role
    numbered = {
        int(m[2]): h for h in headers if (m := _SLOTTED.fullmatch(h.casefold())) and plain(m[1]) == plain(header)
    }
    if len(numbered) < 2:
        raise unknown_name("column", header, headers)
    slotted[role] = numbered
    return role


def _signatures(free: dict[str, str], single, slotted) -> None:
    """Assign the sets of names that mean something only together, and take their headers out of `free`."""
    by_name = {name: header for header, name in free.items()}
    used = set()
    for signature in SIGNATURES:
        if all(name in by_name for name in signature):
            for name, (role, slot) in signature.items():
                if role not in single:
                    slotted.setdefault(role, {}).setdefault(slot, by_name[name])
                used.add(by_name[name])
    for header in used:
        del free[header]


def _slots(free: dict[str, str], asked: set[str], slotted) -> None:
    found: dict[tuple[str, int], list[tuple[int, str]]] = {}
    ranks = {name: (role, i) for role, names in SYNONYMS.items() for i, name in enumerate(names)}
    ranks[_TIME] = ("time_at_risk", len(SYNONYMS["time_at_risk"]))
    for header in free:
        match = _SLOTTED.fullmatch(header.casefold())
        if match and plain(match[1]) in ranks:
            role, rank = ranks[plain(match[1])]
            found.setdefault((role, int(match[2])), []).append((rank, header))
    for (role, slot), headers in found.items():
        if role not in asked:
            slotted.setdefault(role, {}).setdefault(slot, min(headers)[1])


def unused(headers: tuple[str, ...], used: set[str]) -> list[str]:
    """Headers that no role took, in table order."""
    return [h for h in headers if h not in used and not h.startswith("(unnamed")]


def level_headers(asked: object, headers: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of nested responses that the user named, the easiest first.

    Parameters
    ----------
    asked : None, str or sequence of str
        A text is split at its commas.
    headers : tuple of str

    Returns
    -------
    tuple of str
        Empty for None.

    Raises
    ------
    UsageError
        When a column does not exist, or there are fewer than two.

    Examples
    --------
    >>> level_headers("ASAS20, ASAS40", ("study", "asas20", "asas40"))
    ('asas20', 'asas40')
    """
    if asked is None:
        return ()
    parts = asked.split(",") if isinstance(asked, str) else list(asked) if isinstance(asked, list | tuple) else []
    names = [part.strip() for part in parts if isinstance(part, str)]
    if len(names) < 2 or len(names) != len(parts):
        raise UsageError("levels must be two or more columns, the easiest first: levels=['pasi50', 'pasi75'].")
    found = []
    for name in names:
        header = next((h for h in headers if h == name), None)
        header = header or next((h for h in headers if h.casefold() == name.casefold()), None)
        if header is None:
            raise unknown_name("column", name, headers)
        found.append(header)
    if len(set(found)) < len(found):
        raise UsageError(f"levels name the same column twice: {', '.join(found)}.")
    return tuple(found)


def check_roles(asked: Mapping[str, object]) -> dict[str, str]:
    """The user's choices as text, without the ones left open.

    Raises
    ------
    UsageError
        When a choice is not the name of a column.
    """
    out = {}
    for role, header in asked.items():
        if header is None:
            continue
        if not isinstance(header, str | int):
            raise UsageError(f"columns[{role!r}] must be the name of a column, not {type(header).__name__}")
        out[str(role)] = str(header)
    return out
