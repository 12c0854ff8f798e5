"""Evidence: the tables as visible at one snapshot, read-only, each row with the facts behind it.

A frame has the dictionary's columns in its order (text as printed, "" for empty; numbers as float64, NaN for empty),
then columns that the dictionary does not know, then `result_id` (results and contrasts), `author` and `recorded_at`
(judgements), `fact_id` and `file_row`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from enthesis.errors import UsageError, unknown_name
from enthesis.evidence.facts import Fact, current, short_id
from enthesis.evidence.rows import TABLES, USES, number
from enthesis.evidence.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd


class Evidence:
    """Everything reported and judged, as visible at one snapshot.

    Made by `Store.evidence`. It holds its rows itself, so it outlives the store; frames are copies, so changing one
    changes nothing here.

    Attributes
    ----------
    snapshot : Snapshot
    facts : tuple of Fact
        The visible facts, in the order in which their rows first appeared.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> evidence = bundled_evidence()
    >>> evidence.arms.loc[evidence.arms.study_id == "SELECT-AXIS-1", "arm_id"].tolist()
    ['upadacitinib-15-qd', 'placebo']
    """

    def __init__(self, snapshot: Snapshot, history: list[Fact]) -> None:
        self.snapshot = snapshot
        self.facts: tuple[Fact, ...] = tuple(current(history))
        self._history = {fact.id: fact for fact in history}
        self._frames: dict[str, pd.DataFrame] = {}

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(facts)} {name}" for name, facts in self._by_table.items() if name in TABLES)
        return f"Evidence at snapshot {self.snapshot.number} ({self.content_hash[:10]}): {counts or 'empty'}"

    @property
    def content_hash(self) -> str:
        """The hash of everything visible."""
        return self.snapshot.content_hash

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables: those of the dictionary, then the others that have rows."""
        return (*TABLES, *(name for name in self._by_table if name not in TABLES))

    @cached_property
    def _by_table(self) -> dict[str, list[Fact]]:
        found: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            found[fact.table].append(fact)
        return dict(found)

    def table(self, name: str) -> pd.DataFrame:
        """The rows of a table; tables outside the dictionary are named `folder/file`, all their columns are text."""
        if name not in self.tables:
            raise unknown_name("table", name, self.tables)
        if name not in self._frames:
            self._frames[name] = _frame(name, self._by_table.get(name, []))
        return self._frames[name].copy()

    @property
    def sources(self) -> pd.DataFrame:
        """One row per document read."""
        return self.table("sources")

    @property
    def studies(self) -> pd.DataFrame:
        """One row per study."""
        return self.table("studies")

    @property
    def arms(self) -> pd.DataFrame:
        """One row per arm."""
        return self.table("arms")

    @property
    def outcomes(self) -> pd.DataFrame:
        """One row per arm, outcome, time and analysis, with its `result_id`."""
        return self.table("outcomes")

    @property
    def contrasts(self) -> pd.DataFrame:
        """One row per between-arm result, with its `result_id`."""
        return self.table("contrasts")

    @property
    def curation(self) -> pd.DataFrame:
        """Eligibility judgements, with `author` and `recorded_at`."""
        return self.table("curation")

    @property
    def rob(self) -> pd.DataFrame:
        """Risk-of-bias judgements, with `author` and `recorded_at`."""
        return self.table("rob")

    @property
    def overrides(self) -> pd.DataFrame:
        """Decisions of persons that replace computed ones, with `author` and `recorded_at`."""
        return self.table("overrides")

    @property
    def guidelines(self) -> pd.DataFrame:
        """Guideline statements."""
        return self.table("guidelines")

    @property
    def regulatory(self) -> pd.DataFrame:
        """Approvals and restrictions."""
        return self.table("regulatory")

    @property
    def ongoing(self) -> pd.DataFrame:
        """Registered studies without results."""
        return self.table("ongoing")

    def eligibility(self, name: str = "outcomes") -> pd.DataFrame:
        """Which rows to use, by the curation judgements.

        Returns
        -------
        DataFrame
            One row per row of the table, same order and index: result_id, use, reason, curation_fact_id (NaN when no
            line applies and the use is `primary`). The most specific line wins; between equals, the more restrictive.
        """
        import pandas as pd

        found = [self._use(fact.cells()) for fact in self._by_table.get(name, [])]
        ids = self.table(name)["result_id"] if name in ("outcomes", "contrasts") else None
        frame = pd.DataFrame(
            [(use, line.cells()["reason"], line.id) if line else (use, "", float("nan")) for use, line in found],
            columns=["use", "reason", "curation_fact_id"],
        )
        if ids is not None:
            frame.insert(0, "result_id", ids.to_numpy())
        return frame

    def explain(self, result_id: str) -> dict[str, Any]:
        """Everything behind a number.

        Parameters
        ----------
        result_id : str
            `R-...` of a result, `C-...` of a contrast, `FILE.csv:row N`, or `fact N`.

        Returns
        -------
        dict
            Plain values for JSON: result_id, table, row (cells as printed), fact (id, source, locator, extractor,
            author, reason, recorded_at, document, file, file_row, content_hash, supersedes: the earlier versions with
            what changed), sources (the documents), study, arms, curation (every line that applies, the one that
            decides first), use, risk_of_bias, snapshot.

        Raises
        ------
        UsageError
            When no visible row has that name.

        Examples
        --------
        >>> from enthesis.evidence import bundled_evidence
        >>> evidence = bundled_evidence()
        >>> told = evidence.explain(evidence.outcomes.result_id[0])
        >>> told["row"]["study_id"], told["fact"]["locator"][:15], told["sources"][0]["kind"]
        ('TOFA-AS-P2', 'Outcome measure', 'registry_results')
        """
        fact = self.fact(result_id)
        cells = fact.cells()
        study = cells.get("study_id", "")
        arms = {cells.get("arm_id", ""), cells.get("comparator_arm_id", "")} - {""}
        lines = self.curation_applying(cells) if fact.table in ("outcomes", "contrasts") else []
        return {
            "result_id": _result_id(fact) or f"fact {fact.id}",
            "table": fact.table,
            "row": cells,
            "fact": {**_provenance(fact), "supersedes": self._earlier(fact)},
            "sources": [row for row in self._cells("sources") if row["source_id"] in _sources_of(cells)],
            "study": next((row for row in self._cells("studies") if row["study_id"] == study), None),
            "arms": [row for row in self._cells("arms") if row["study_id"] == study and row["arm_id"] in arms],
            "curation": [{**line.cells(), **_provenance(line)} for line in lines],
            "use": lines[0].cells()["use"] if lines else "primary",
            "risk_of_bias": [row for row in self._cells("rob") if row["study_id"] == study] if study else [],
            "snapshot": self.snapshot.to_dict(),
        }

    def fact(self, result_id: str) -> Fact:
        """The visible fact that `R-...`, `C-...`, `FILE.csv:row N` or `fact N` names."""
        found = self._names.get(result_id.strip(), [])
        if not found:
            raise UsageError(
                f"No row is named {result_id[:80]!r} at snapshot {self.snapshot.number}. Names look like R-0123456789 "
                "(column result_id), outcomes.csv:row 12, or fact 12."
            )
        if len(found) > 1:
            listed = ", ".join(f"fact {fact.id}" for fact in found)
            raise UsageError(f"{result_id!r} names {len(found)} rows. Name one of: {listed}.")
        return found[0]

    @cached_property
    def _names(self) -> dict[str, list[Fact]]:
        found: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            names = {_result_id(fact), f"fact {fact.id}", f"{fact.file}:row {fact.file_row}" if fact.file else ""}
            for name in names - {""}:
                found[name].append(fact)
        return dict(found)

    def _cells(self, name: str) -> list[dict[str, str]]:
        return [fact.cells() for fact in self._by_table.get(name, [])]

    def _earlier(self, fact: Fact) -> list[dict[str, Any]]:
        chain = []
        while fact.supersedes is not None:
            earlier = self._history[fact.supersedes]
            before, after = earlier.cells(), fact.cells()
            columns = [name for name in dict.fromkeys([*before, *after]) if before.get(name, "") != after.get(name, "")]
            changed = {name: [before.get(name, ""), after.get(name, "")] for name in columns}
            chain.append(
                {**_provenance(earlier), "withdrawn": earlier.withdrawn, "changed": changed, "why": fact.reason}
            )
            fact = earlier
        return chain

    @cached_property
    def _curation(self) -> list[tuple[dict[str, str], Fact]]:
        """Curation lines with the cells that must match, the deciding ones first."""
        columns = ("study_id", "arm_id", "outcome", "source_id")
        lines = []
        for fact in self._by_table.get("curation", []):
            cells = fact.cells()
            lines.append(({name: cells[name] for name in columns if cells.get(name)}, fact, USES.index(cells["use"])))
        lines.sort(key=lambda line: (-len(line[0]), line[2]))
        return [(wanted, fact) for wanted, fact, _ in lines]

    def curation_applying(self, cells: Mapping[str, Any]) -> list[Fact]:
        """The curation lines that apply to a row (study_id, arm_id, outcome, source_id), the one that decides first."""
        return [fact for wanted, fact in self._curation if wanted.items() <= cells.items()]

    def _use(self, cells: dict[str, str]) -> tuple[str, Fact | None]:
        line = next(iter(self.curation_applying(cells)), None)
        return (line.cells()["use"], line) if line else ("primary", None)


def _frame(name: str, facts: list[Fact]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    spec = TABLES.get(name)
    rows = [fact.cells() for fact in facts]
    known = list(spec.columns) if spec else []
    extra = [column for column in dict.fromkeys(c for row in rows for c in row) if column not in known]
    data: dict[str, Any] = {}
    for column in [*known, *extra]:
        texts = [row.get(column, "") for row in rows]
        if spec and column in spec.numeric:
            data[column] = np.array([number(text) for text in texts], dtype=float)
        else:
            data[column] = pd.Series(texts, dtype=_text_type())
    if spec and spec.prefix:
        data["result_id"] = pd.Series([_result_id(fact) for fact in facts], dtype=_text_type())
    if spec and spec.judgement:
        data["author"] = pd.Series([fact.author for fact in facts], dtype=_text_type())
        data["recorded_at"] = pd.Series([fact.recorded_at for fact in facts], dtype=_text_type())
    data["fact_id"] = np.array([fact.id for fact in facts], dtype=np.int64)
    data["file_row"] = np.array([fact.file_row for fact in facts], dtype=np.int64)
    return pd.DataFrame(data)


def _text_type() -> Any:
    """The type that pandas itself gives to a column of text."""
    import pandas as pd

    return pd.Series([""]).dtype


def _result_id(fact: Fact) -> str:
    spec = TABLES.get(fact.table)
    return short_id(spec.prefix, fact.key, fact.ordinal) if spec and spec.prefix else ""


def _sources_of(cells: dict[str, str]) -> set[str]:
    return {part.strip() for part in cells.get("source_id", "").split(";")} - {""}


def _provenance(fact: Fact) -> dict[str, Any]:
    return {
        "id": fact.id,
        "source": fact.source_id,
        "locator": fact.locator,
        "extractor": fact.extractor,
        "author": fact.author,
        "reason": fact.reason,
        "recorded_at": fact.recorded_at,
        "document": fact.document,
        "file": fact.file,
        "file_row": fact.file_row,
        "content_hash": fact.content_hash,
    }
