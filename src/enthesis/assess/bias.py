"""Risk of bias: tools as versioned data, judgements as facts, and what rules may propose where nobody has judged.

A tool (`tools/*.toml`) is domains, levels and a rule for the overall judgement, with its citation; nothing about a tool
is code. A judgement has an author, a date and a reason and lies in the store (tables `rob` and `bias`). A proposal is
made by a rule of the review from recorded facts, such as an open-label design; it says which rule and which fact, and
it is never a low risk: what no rule speaks of has no information.

Formats of others: the table that R's robvis reads (Study, D1 ..., Overall, optional Weight).
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from enthesis.errors import DataError, UsageError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.evidence import Evidence

#: a table of judgements beyond this is not one
MOST_BYTES, MOST_ROWS, LONGEST_NAME = 5_000_000, 20_000, 200
OVERALL = "overall"
#: for every outcome of a study
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Level:
    """A word of a tool; `weight` is CINeMA's level (1 to 3), 0 for no information."""

    id: str
    name: str
    weight: int


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A domain of a tool; `column` is its column in the table `rob`, where it has one."""

    id: str
    name: str
    column: str = ""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool to judge risk of bias.

    Parameters
    ----------
    id, tool, version, citation : str
    suits : str
        The study type it is made for.
    domains : tuple of Domain
    levels : tuple of Level
        From the least to the most severe; "no information" last.
    overall : {"worst"}
        How the overall judgement follows from the domains when a person has not stated it.
    overall_words : str
        The tool's own rule in words.
    """

    id: str
    tool: str
    version: str
    citation: str
    suits: str
    domains: tuple[Domain, ...]
    levels: tuple[Level, ...]
    overall: str
    overall_words: str

    def level(self, word: str) -> Level:
        """The level of that id or name; case, spaces and hyphens do not matter.

        Raises
        ------
        UsageError
            When the tool has no such level.
        """
        known = {_plain(name): level for level in self.levels for name in (level.id, level.name)}
        known |= {_plain(level.name.split(" (")[0]): level for level in reversed(self.levels)} | known
        found = known.get(_plain(word)) or (_SYNONYMS.get(_plain(word)) and known.get(_SYNONYMS[_plain(word)]))
        if not found:
            raise unknown_name(f"level of {self.tool}", word, [level.name for level in self.levels])
        return found

    def worst(self, levels: Sequence[Level]) -> Level:
        """The overall judgement: the most severe level; no information when nothing more severe than low is known."""
        order = {level.id: at for at, level in enumerate(self.levels) if level.weight}
        known = [level for level in levels if level.weight]
        top = max(known, key=lambda level: order[level.id], default=self.levels[-1])
        return top if top.weight > 1 or (known and len(known) == len(levels)) else self.levels[-1]


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.casefold())


_SYNONYMS = {"unclear": "someconcerns", "lowrisk": "low", "highrisk": "high", "ni": "noinformation",
             "": "noinformation",
             "na": "noinformation", "moderaterisk": "moderate"}  # fmt: skip


@lru_cache(maxsize=1)
def tools() -> dict[str, Tool]:
    """Every tool by its id.

    Examples
    --------
    >>> list(tools())
    ['rob-me-2023', 'rob2-2019', 'rob2-cluster-2021', 'robins-i-2016', 'robins-i-v2-2025']
    >>> len(tools()["robins-i-2016"].domains), len(tools()["robins-i-v2-2025"].domains)
    (7, 6)
    """
    found = {}
    for path in sorted(files("enthesis.assess").joinpath("tools").iterdir(), key=lambda p: p.name):
        if path.name.endswith(".toml"):
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
            made = Tool(
                id=raw["id"], tool=raw["tool"], version=raw["version"], citation=raw["citation"], suits=raw["for"],
                domains=tuple(Domain(**d) for d in raw["domain"]), levels=tuple(Level(**v) for v in raw["level"]),
                overall=raw["overall"], overall_words=raw["overall_words"],
            )  # fmt: skip
            found[made.id] = made
    return found


def tool(name: str) -> Tool:
    """The tool of that id; UsageError with the nearest otherwise."""
    if name not in tools():
        raise unknown_name("tool", name, tools())
    return tools()[name]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The judgement on one study, for one family of outcomes.

    Parameters
    ----------
    study, tool, family : str
        `family` is "all", a domain of outcomes or an outcome code.
    domains : dict of str to str
        Level ids by domain id.
    overall : str
        Level id.
    by : str
        Author, "published", or "rule" for a proposal.
    date, reason : str
    weight : float or None
        As imported; contributions replace it in plots of a network.
    """

    study: str
    tool: str
    family: str = ALL
    domains: Mapping[str, str] = field(default_factory=dict)
    overall: str
    by: str = ""
    date: str = ""
    reason: str = ""
    weight: float | None = None

    @property
    def proposed(self) -> bool:
        """Whether a rule made it."""
        return self.by == "rule"

    @property
    def level(self) -> int:
        """CINeMA's level, 1 to 3; 0 for no information."""
        return tool(self.tool).level(self.overall).weight


def judgements(evidence: Evidence) -> tuple[Judged, ...]:
    """Every judgement in the store, of the tables `rob` (RoB 2) and `bias` (any tool).

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    tuple of Judged
    """
    rob2 = tool("rob2-2019")
    made = []
    for r in evidence.rob.to_dict("records"):
        domains = {d.id: r[d.column] for d in rob2.domains if r.get(d.column)}
        made.append(
            Judged(study=r["study_id"], tool=rob2.id, family=r["outcome_family"], domains=domains, overall=r["overall"],
                   by=_author(r), date=str(r.get("recorded_at", ""))[:10], reason=r["reason"])
        )  # fmt: skip
    rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for r in evidence.table("bias").to_dict("records") if "bias" in evidence.tables else ():
        rows.setdefault((r["study_id"], r["tool"], r["outcome_family"]), []).append(r)
    for (study, name, family), its in rows.items():
        if name not in tools():
            raise DataError("is not a tool", file="bias", column="tool", value=name, fix=f"Use {', '.join(tools())}.")
        its_tool = tool(name)
        domains = {r["domain"]: its_tool.level(r["judgement"]).id for r in its if r["domain"] != OVERALL}
        stated = [r for r in its if r["domain"] == OVERALL]
        overall = (
            its_tool.level(stated[0]["judgement"]).id
            if stated
            else its_tool.worst([its_tool.level(word) for word in domains.values()]).id
        )
        made.append(
            Judged(study=study, tool=name, family=family, domains=domains, overall=overall, by=_author(its[0]),
                   date=str(its[0].get("recorded_at", ""))[:10], reason=(stated or its)[0]["reason"])
        )  # fmt: skip
    return tuple(made)


def _author(row: Mapping[str, Any]) -> str:
    return str(row.get("author") or row.get("judged_by") or "a person")


def for_outcome(found: Sequence[Judged], outcome: str, domain: str) -> dict[str, Judged]:
    """By study, the judgement that applies to an outcome: on the outcome itself, else its domain, else on all.

    Parameters
    ----------
    found : sequence of Judged
    outcome, domain : str
        Code of the outcome, and its domain in the dictionary of outcomes.

    Returns
    -------
    dict of str to Judged
    """
    order = {outcome: 0, domain: 1, ALL: 2}
    best: dict[str, Judged] = {}
    for j in found:
        at = order.get(j.family)
        if at is not None and (j.study not in best or at < order[best[j.study].family]):
            best[j.study] = j
    return best


def read_robvis(text: str, tool_id: str, *, file: str = "table", family: str = ALL) -> tuple[Judged, ...]:
    """The table that robvis reads: Study, one column per domain, Overall, optional Weight.

    Parameters
    ----------
    text : str
        CSV with a header. Columns of domains are D1, D2 ... (D1b for clusters), or the domains' names.
    tool_id : str
    file : str
        Its name, for messages.
    family : str
        Outcomes the judgements are for.

    Returns
    -------
    tuple of Judged

    Raises
    ------
    DataError
        For a missing, unknown or repeated column, an unknown level, or a study that comes twice.

    Examples
    --------
    >>> text = "Study,D1,D2,D3,D4,D5,Overall\\nA,Low,Low,Some concerns,Low,Low,Some concerns\\n"
    >>> found = read_robvis(text, "rob2-2019")
    >>> found[0].domains["D3"], found[0].overall
    ('some-concerns', 'some-concerns')
    """
    its = tool(tool_id)
    if len(text) > MOST_BYTES:
        raise DataError(
            f"is larger than {MOST_BYTES:,} characters", file=file, fix="Give the table of judgements only."
        )
    rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))
    if len(rows) < 2:
        raise DataError("has no judgements", file=file, fix="Write a header and one line per study.")
    if len(rows) > MOST_ROWS:
        raise DataError(f"has more than {MOST_ROWS:,} rows", file=file, fix="Give the table of judgements only.")
    columns = _columns(rows[0], its, file)
    made, seen = [], set()
    for number, cells in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        row = {columns[at]: cell.strip() for at, cell in enumerate(cells) if at < len(rows[0]) and at in columns}
        study = row.get("study", "")
        if not study or study in seen:
            raise DataError("comes twice" if study else "is empty", file=file, row=number, column="Study", value=study,
                            fix="Give each study one line, with its name.")  # fmt: skip
        if len(study) > LONGEST_NAME:
            raise DataError(f"is longer than {LONGEST_NAME} characters", file=file, row=number, column="Study",
                            value=study, fix="Name the study as figures should show it.")  # fmt: skip
        seen.add(study)
        levels = {d.id: _level(its, row.get(d.id, ""), d.id, file, number) for d in its.domains if d.id in row}
        stated = row.get(OVERALL, "")
        overall = _level(its, stated, "Overall", file, number) if stated else its.worst(list(levels.values()))
        made.append(
            Judged(study=study, tool=its.id, family=family, domains={d: v.id for d, v in levels.items()},
                   overall=overall.id, weight=_weight(row.get("weight", ""), file, number))
        )  # fmt: skip
    return tuple(made)


def _columns(header: Sequence[str], its: Tool, file: str) -> dict[int, str]:
    names = {_plain(d.id): d.id for d in its.domains} | {_plain(d.name): d.id for d in its.domains}
    names |= {"study": "study", "overall": OVERALL, "weight": "weight", "weights": "weight"}
    found: dict[int, str] = {}
    for at, title in enumerate(header):
        name = names.get(_plain(title))
        if name is None:
            wanted = ", ".join(["Study", *(d.id for d in its.domains), "Overall", "Weight"])
            raise DataError(f"is not a column of a {its.tool} table", file=file, row=1, column=title,
                            fix=f"Use {wanted}; or name another tool.")  # fmt: skip
        if name in found.values():
            raise DataError("comes twice", file=file, row=1, column=title, fix="Keep one of them.")
        found[at] = name
    missing = [d.id for d in its.domains if d.id not in found.values()]
    if "study" not in found.values() or missing:
        lack = ["Study"] * ("study" not in found.values()) + missing
        raise DataError(f"lacks the columns {', '.join(lack)} of {its.tool}", file=file, row=1,
                        fix="Add them; a domain that was not judged is written No information.")  # fmt: skip
    return found


def _level(its: Tool, word: str, column: str, file: str, row: int) -> Level:
    try:
        return its.level(word)
    except UsageError as problem:
        raise DataError("is not a level of this tool", file=file, row=row, column=column, value=word,
                        fix=f"Use {', '.join(level.name for level in its.levels)}.") from problem  # fmt: skip


def _weight(text: str, file: str, row: int) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise DataError("is not a weight", file=file, row=row, column="Weight", value=text,
                        fix="Write a number from 0 upwards, or leave the cell empty.")  # fmt: skip
    return value


def to_robvis(found: Sequence[Judged], weights: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Judgements of one tool as the table that robvis reads.

    Parameters
    ----------
    found : sequence of Judged
    weights : dict of str to float, optional
        By study, for instance contributions to an estimate; default those imported, else 1.

    Returns
    -------
    pandas.DataFrame
        Study, one column per domain, Overall, Weight.

    Raises
    ------
    UsageError
        When the judgements are of several tools.
    """
    import pandas as pd

    names = {j.tool for j in found}
    if len(names) > 1:
        raise UsageError(f"the judgements are of several tools ({', '.join(sorted(names))}): write one table for each.")
    its = tool(next(iter(names), "rob2-2019"))
    rows = [
        {"Study": j.study,
         **{d.id: its.level(j.domains.get(d.id, "no-information")).name for d in its.domains},
         "Overall": its.level(j.overall).name,
         "Weight": (weights or {}).get(j.study, j.weight if j.weight is not None else 1.0)}
        for j in found
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["Study", *(d.id for d in its.domains), "Overall", "Weight"])


def as_rows(
    found: Sequence[Judged], *, reason: str, judged_by: str = "editor", source: str = ""
) -> list[dict[str, str]]:
    """Judgements as rows of the table `bias`, ready for `Store.judge`: one per domain, and the overall one."""
    rows = []
    for j in found:
        for domain, level in {**j.domains, OVERALL: j.overall}.items():
            rows.append({"study_id": j.study, "outcome_family": j.family, "tool": j.tool, "domain": domain,
                         "judgement": level, "judged_by": judged_by, "reason": reason,
                         "source_id": source})  # fmt: skip
    return rows
