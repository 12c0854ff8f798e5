"""A folder of CSV tables becomes facts: all of them or none, and none is lost.

Tables of the dictionary are checked cell by cell and matched to the store by natural key: an equal row is unchanged, a
changed row supersedes, a row that is gone from the file is reported (and withdrawn only when asked). Rows that share a
natural key are kept beside each other. Unknown columns and unknown tables are kept as they are, and said so. A
correction or judgement that a person recorded in the store stands until the file's own row changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from enthesis.errors import DataError, UsageError
from enthesis.evidence.facts import NewRow
from enthesis.evidence.rows import TABLES, Table
from enthesis.evidence.snapshot import Snapshot
from enthesis.evidence.sources.adding import add, planned
from enthesis.evidence.sources.csvfile import Sheet, read_csv
from enthesis.evidence.store import Store, Writer

EXTRACTOR = "enthesis.evidence.sources.tables"

#: A folder of evidence has a dozen tables; more files than this is another kind of folder.
MAX_FILES = 200


@dataclass(frozen=True)
class Rejection:
    """A cell for which a row cannot be stored."""

    file: str
    row: int
    column: str
    value: str
    reason: str
    fix: str

    def error(self) -> DataError:
        """As an error whose text names the cell."""
        return DataError(
            self.reason,
            file=self.file,
            row=self.row,
            column=self.column or None,
            value=self.value or None,
            fix=self.fix,
        )

    def __str__(self) -> str:
        return str(self.error())


@dataclass(frozen=True)
class TableReport:
    """What became of the rows of one table: read = stored + unchanged + superseded + rejected rows."""

    name: str
    read: int = 0
    stored: int = 0
    unchanged: int = 0
    superseded: int = 0
    rejected: tuple[Rejection, ...] = ()
    missing: tuple[int, ...] = ()
    withdrawn: int = 0
    notes: tuple[str, ...] = ()

    @property
    def rejected_rows(self) -> int:
        """How many rows have at least one rejected cell."""
        return len({item.row for item in self.rejected})


@dataclass(frozen=True)
class LoadReport:
    """What a load did, table by table.

    Attributes
    ----------
    tables : tuple of TableReport
    snapshot : Snapshot
        The state of the store afterwards.
    notes : tuple of str
        What a reader should know about references between tables and about files that are not tables.
    """

    tables: tuple[TableReport, ...]
    snapshot: Snapshot
    notes: tuple[str, ...] = ()

    @property
    def rejected(self) -> tuple[Rejection, ...]:
        """Every rejected cell."""
        return tuple(item for report in self.tables for item in report.rejected)

    def total(self, what: str) -> int:
        """The sum over tables of read, stored, unchanged, superseded, rejected_rows or withdrawn."""
        return sum(getattr(report, what) for report in self.tables)

    def to_dict(self) -> dict[str, object]:
        """As plain values for JSON."""
        tables = [{**asdict(report), "rejected_rows": report.rejected_rows} for report in self.tables]
        names = ("read", "stored", "unchanged", "superseded", "rejected_rows", "withdrawn")
        return {
            "tables": tables,
            "total": {name: self.total(name) for name in names},
            "snapshot": self.snapshot.to_dict(),
            "notes": list(self.notes),
        }


class RowsRejected(DataError):
    """Rows that cannot be stored, so nothing was; `report` lists every cell.

    The text names the first cell and how many more there are.
    """

    def __init__(self, report: LoadReport) -> None:
        first, more = report.rejected[0], len(report.rejected) - 1
        rest = f" {more} more cell{'s' if more > 1 else ''} cannot be stored either." if more else ""
        super().__init__(
            first.reason,
            file=first.file,
            row=first.row,
            column=first.column or None,
            value=first.value or None,
            fix=f"{first.fix}{rest} Nothing was stored.",
        )
        self.report = report


class _TakenBack(Exception):
    """Ends a dry run: what was written in it is not kept."""


@dataclass
class _Reading:
    """A table as read from its file: good rows and rejected cells."""

    name: str
    sheet: Sheet
    rows: list[NewRow] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def load_tables(
    store: Store,
    folder: str | Path,
    *,
    extractor: str = EXTRACTOR,
    partial: bool = False,
    withdraw_missing: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> LoadReport:
    """Load every CSV table of a folder and its subfolders into a store, in one transaction.

    Parameters
    ----------
    store : Store
    folder : str or Path
        Holds `studies.csv`, `outcomes.csv`, ...; tables that the dictionary does not know are kept as they are, under
        `subfolder/name`.
    extractor : str
        Who or what took the rows out of their sources.
    partial : bool
        Store the good rows although others are rejected. Without it, a rejected row stops the load: nothing is stored.
    withdraw_missing : bool
        Withdraw the rows of the store that came from a file and are no longer in it.
    progress : callable, optional
        Called with (table, tables done, tables in all).

    Returns
    -------
    LoadReport

    Raises
    ------
    RowsRejected
        When a row cannot be stored and `partial` is false.
    DataError
        When a file cannot be read as a table at all.
    StoreError
        When the store cannot be written.

    Examples
    --------
    >>> from enthesis.evidence import Store, bundled_folder
    >>> with Store.open(":memory:") as store:
    ...     first = load_tables(store, bundled_folder())
    ...     again = load_tables(store, bundled_folder())
    >>> first.total("read") == first.total("stored"), again.total("unchanged") == first.total("read")
    (True, True)
    """
    root = Path(folder)
    paths, notes = _files(root)
    sheets = []
    for done, (name, path) in enumerate(paths):
        if progress:
            progress(name, done, len(paths))
        sheets.append((name, _sheet(path, path.relative_to(root).as_posix())))
    report = load_sheets(
        store, sheets, extractor=extractor, partial=partial, withdraw_missing=withdraw_missing, notes=notes
    )
    if progress:
        progress("", len(paths), len(paths))
    return report


def load_sheets(
    store: Store,
    sheets: Iterable[tuple[str, Sheet]],
    *,
    extractor: str = EXTRACTOR,
    partial: bool = False,
    withdraw_missing: bool = False,
    notes: Iterable[str] = (),
    dry_run: bool = False,
) -> LoadReport:
    """Load tables that were read already, each with the name of its table; see `load_tables`.

    Parameters
    ----------
    store : Store
    sheets : iterable of (str, Sheet)
        The `content` of a sheet is kept as the document that its rows were read from.
    extractor, partial, withdraw_missing
        As for `load_tables`.
    notes : iterable of str
        Added to those of the report.
    dry_run : bool
        Do all of it, and take it back: the report is that of a load.

    Returns
    -------
    LoadReport

    Examples
    --------
    >>> from enthesis.evidence.sources.csvfile import parse_csv
    >>> sheet = parse_csv(b"source_id,kind\\nwho2024,article\\n", "sources.csv")
    >>> with Store.open(":memory:") as store:
    ...     load_sheets(store, [("sources", sheet)]).total("stored")
    1
    """
    readings, notes = [_read(name, sheet) for name, sheet in sheets], list(notes)
    if not partial and any(reading.rejected for reading in readings):
        reports = tuple(_report(reading) for reading in readings)
        raise RowsRejected(LoadReport(reports, store.snapshot(), tuple(notes)))
    try:
        with store.writing(extractor=extractor) as writer:
            reports = tuple(_store(writer, reading, withdraw_missing) for reading in readings)
            notes += _dangling(writer, readings)
            if dry_run:
                raise _TakenBack
    except _TakenBack:
        return LoadReport(reports, store.snapshot(), tuple(notes))
    return LoadReport(reports, writer.snapshot, tuple(notes))


# Files


def _files(root: Path) -> tuple[list[tuple[str, Path]], list[str]]:
    if not root.is_dir():
        what = "is a file; name the folder that holds the tables" if root.exists() else "does not exist"
        raise UsageError(f"The folder {root} {what}.")
    found, notes = {}, []
    for path in sorted(
        [*root.iterdir(), *(inner for sub in sorted(root.iterdir()) if sub.is_dir() for inner in sub.iterdir())]
    ):
        if path.is_dir() or path.name.startswith("."):
            continue
        name = path.relative_to(root).as_posix()
        if path.suffix.lower() != ".csv":
            if path.suffix.lower() in {".xlsx", ".xls", ".tsv", ".txt"}:
                notes.append(f"{name} is not a CSV file and was not read.")
            continue
        if not path.is_file() or path.is_symlink():
            notes.append(f"{name} is not a regular file and was not read.")
            continue
        found[name[: -len(path.suffix)]] = path
    if len(found) > MAX_FILES:
        raise UsageError(
            f"{root} holds {len(found)} CSV files; the limit is {MAX_FILES}. Name the folder with the tables."
        )
    if not found:
        raise UsageError(
            f"{root} holds no CSV file. Tables of evidence: {', '.join(f'{name}.csv' for name in TABLES)}."
        )
    order = [name for name in TABLES if name in found] + [name for name in found if name not in TABLES]
    return [(name, found[name]) for name in order], notes


def _sheet(path: Path, file: str) -> Sheet:
    try:
        return read_csv(path, file)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=file) from None


def _read(name: str, sheet: Sheet) -> _Reading:
    reading, file = _Reading(name, sheet), sheet.name
    spec = TABLES.get(name)
    header = _columns(spec, sheet, reading) if spec else sheet.header
    if spec is None and "/" not in name:
        close = get_close_matches(name, TABLES, n=1, cutoff=0.8)
        hint = f" Is it meant to be {close[0]}.csv?" if close else ""
        reading.notes.append(f"{file} is not a table of the dictionary; its rows are kept as they are.{hint}")
    for number, cells in sheet.rows:
        if len(cells) != len(header) and any(cells[len(header) :] or [len(cells) < len(header)]):
            reading.rejected.append(_ragged(file, number, len(cells), len(header)))
            continue
        row = NewRow(name, dict(zip(header, cells)), file=file, file_row=number)
        problems = spec.problems(row.cells) if spec else ()
        if problems:
            reading.rejected += [Rejection(file, number, p.column, p.value, p.reason, p.fix) for p in problems]
        else:
            reading.rows.append(row)
    return reading


def _columns(spec: Table, sheet: Sheet, reading: _Reading) -> tuple[str, ...]:
    by_fold = {column.casefold(): column for column in spec.columns}
    header = tuple(by_fold.get(column.casefold(), column) for column in sheet.header)
    for column in spec.required:
        if column not in header:
            close = get_close_matches(column, [name for name in header if name not in spec.columns], n=1)
            hint = f" Rename the column {close[0]!r}?" if close else ""
            raise DataError(
                f"has no column {column!r}",
                file=sheet.name,
                row=1,
                fix=f"The table {spec.name} needs: {', '.join(spec.required)}.{hint}",
            )
    judged = {"author"} if spec.judgement else set()
    extra = [column for column in header if column not in spec.columns and column not in judged]
    if extra:
        reading.notes.append(f"{sheet.name}: columns that the dictionary does not know are kept: {', '.join(extra)}.")
    return header


def _ragged(file: str, row: int, cells: int, columns: int) -> Rejection:
    return Rejection(
        file, row, "", "", f"has {cells} cells, the header has {columns}",
        "Put a cell that holds a comma into quotation marks, and write a comma for every empty cell.",
    )  # fmt: skip


# Facts


def _report(reading: _Reading) -> TableReport:
    return TableReport(
        reading.name, read=len(reading.sheet.rows), rejected=tuple(reading.rejected), notes=tuple(reading.notes)
    )


def _store(writer: Writer, reading: _Reading, withdraw_missing: bool) -> TableReport:
    document = writer.put_bytes(reading.sheet.content, name=reading.sheet.name)
    plan = planned(writer.chains(reading.name), reading.rows)
    added = add(writer, plan, document)
    missing = tuple(fact.id for fact in plan.missing)
    if withdraw_missing:
        for fact in plan.missing:
            writer.withdraw(fact, reason="the row is no longer in the file", file=reading.sheet.name)
    report = _report(reading)
    notes = list(report.notes)
    if missing and not withdraw_missing:
        notes.append(f"{len(missing)} stored rows are not in {reading.sheet.name}; they are kept.")
    return replace(
        report,
        stored=added.stored,
        superseded=added.superseded,
        unchanged=added.unchanged,
        missing=missing,
        withdrawn=len(missing) if withdraw_missing else 0,
        notes=tuple(notes),
    )


def _dangling(writer: Writer, readings: list[_Reading]) -> list[str]:
    """Notes on rows that point to a source, study or arm that no table describes."""
    rows = {reading.name: reading.rows for reading in readings}

    def known(name: str, *columns: str) -> set[tuple[str, ...]]:
        cells = [fact.cells() for fact in writer.current(name)] if name not in rows else [r.cells for r in rows[name]]
        return {tuple(cell.get(column, "") for column in columns) for cell in cells}

    sources, studies, arms = (
        known("sources", "source_id"),
        known("studies", "study_id"),
        known("arms", "study_id", "arm_id"),
    )
    notes = []
    for name in (name for name in rows if name in TABLES):
        for row in rows[name]:
            cells, where = row.cells, f"{row.file}, row {row.file_row}"
            for source in filter(None, (part.strip() for part in cells.get("source_id", "").split(";"))):
                if (source,) not in sources:
                    notes.append(f"{where}: the source {source!r} is not in sources.csv.")
            study = cells.get("study_id", "")
            if study and name != "studies" and (study,) not in studies:
                notes.append(f"{where}: the study {study!r} is not in studies.csv.")
            for column in ("arm_id", "comparator_arm_id"):
                arm = cells.get(column, "")
                if arm and study and name != "arms" and (study, arm) not in arms:
                    notes.append(f"{where}: the arm {arm!r} of {study} is not in arms.csv.")
    return notes
