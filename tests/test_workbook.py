"""Templates and filled workbooks: what a person chose and typed becomes facts, what cannot be trusted is refused."""

import io
import zipfile

import pytest
from openpyxl import Workbook, load_workbook

from enthesis.errors import DataError
from enthesis.evidence import TABLES, Store, load_tables
from enthesis.evidence.sources.archive import read_archive
from enthesis.evidence.sources.tables import load_sheets
from enthesis.evidence.sources.workbook import choices, csv_templates, read_workbook, template


def filled(sheets, book=None) -> bytes:
    book = book or load_workbook(io.BytesIO(template()))
    for name, rows in sheets.items():
        for row in rows:
            book[name].append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_the_template_has_every_table_with_its_columns():
    book = load_workbook(io.BytesIO(template()))
    assert {name: tuple(c.value for c in book[name][1]) for name in TABLES} == {
        name: spec.columns for name, spec in TABLES.items()
    }


def test_every_closed_vocabulary_is_offered_whole():
    book = load_workbook(io.BytesIO(template()))
    offered = {}
    for name in TABLES:
        for rule in book[name].data_validations.dataValidation:
            letter = str(rule.sqref).split(":")[0].rstrip("0123456789")
            cells = book["vocabulary"][rule.formula1.split("!")[1].replace("$", "")]
            offered[name, book[name][f"{letter}1"].value] = tuple(c[0].value for c in cells)
    wanted = {(n, c): choices(s, c) for n, s in TABLES.items() for c in s.columns if choices(s, c)}
    assert offered == wanted
    assert len(wanted) > 20


def test_a_filled_workbook_becomes_facts_once():
    content = filled({"sources": [["s1", "article", "T", 2020]], "studies": [["X-1", "", "t", 2020.0, "rct"]]})
    sheets = read_workbook(content, "f.xlsx")
    with Store.open(":memory:") as store:
        first = load_sheets(store, sheets[:1])
        again = load_sheets(store, sheets[:1])
        evidence = store.evidence()
        assert store.get_bytes(evidence.facts[0].document) == content
    assert (first.total("stored"), again.total("unchanged")) == (1, 1)
    assert evidence.sources.year.tolist() == [2020]


def test_a_dry_run_reports_like_a_load_and_keeps_nothing():
    sheets = read_workbook(filled({"sources": [["s1", "article", "T", 2020]]}), "f.xlsx")
    with Store.open(":memory:") as store:
        assert load_sheets(store, sheets, dry_run=True).total("stored") == 1
        assert store.snapshot().number == 0


def test_a_wrong_word_names_sheet_row_and_column():
    sheets = read_workbook(filled({"sources": [["s1", "articel"]]}), "f.xlsx")
    with Store.open(":memory:") as store, pytest.raises(DataError, match=r"f\.xlsx:sources, row 2, column 'kind'"):
        load_sheets(store, sheets)


@pytest.mark.parametrize(
    ("sheets", "what"),
    [
        ({"sources": [["s1", "=A1"]]}, r"row 2, column 'B', value '=A1': is a formula"),
        ({"vocabulary": [["x"]], "read me": [["x"]]}, None),
    ],
    ids=["formula", "own sheets"],
)
def test_a_formula_is_refused_and_the_own_sheets_are_no_tables(sheets, what):
    content = filled(sheets)
    if what is None:
        assert read_workbook(content, "f.xlsx") == []
        return
    with pytest.raises(DataError, match=what):
        read_workbook(content, "f.xlsx")


def test_rows_on_an_unknown_sheet_are_not_dropped_silently():
    book = Workbook()
    book.active.title = "results"
    with pytest.raises(DataError, match="rows on the sheet 'results', which is no table"):
        read_workbook(filled({"results": [["a"], ["b"]]}, book), "f.xlsx")


@pytest.mark.parametrize(
    ("titles", "header", "what"),
    [
        (("sources", "Sources "), ("source_id", "kind"), "has two sheets 'sources'"),
        (("sources",), ("source_id", "kind", "Source_ID"), "names a column twice"),
    ],
)
def test_what_is_there_twice_does_not_hide_the_other(titles, header, what):
    book = Workbook()
    book.remove(book.active)
    for title in titles:
        sheet = book.create_sheet(title)
        sheet.append(header)
        sheet.append(("who2024", "article", "other")[: len(header)])
    stream = io.BytesIO()
    book.save(stream)
    with pytest.raises(DataError, match=what):
        read_workbook(stream.getvalue(), "t.xlsx")


def test_empty_csv_templates_can_be_filled_and_loaded(tmp_path):
    for name, text in csv_templates().items():
        (tmp_path / name).write_text(text)
    with (tmp_path / "sources.csv").open("a") as file:
        file.write("s1,article,,,,,,,\n")
    with Store.open(":memory:") as store:
        report = load_tables(store, tmp_path)
    assert (report.total("stored"), report.rejected) == (1, ())


def archive(files, method=zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made:
        for name, raw in files:
            made.writestr(name, raw)
    return stream.getvalue()


TYPES = ("[Content_Types].xml", "<Types/>")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "cannot be unpacked"),
        (b"PK\x03\x04rest", "cannot be unpacked"),
        (template()[:4000], "cannot be unpacked"),
        (archive([("a.txt", "x")]), "is not an Excel workbook"),
        (archive([TYPES]), "cannot be read as a workbook"),
        (archive([TYPES, ("xl/a.xml", '<!DOCTYPE a [<!ENTITY x "y">]><a/>')]), "declares entities"),
    ],
)
def test_a_file_that_is_no_sound_workbook_is_refused(content, what):
    with pytest.raises(DataError, match=what):
        read_workbook(content, "f.xlsx")


def test_a_zip_bomb_stops_at_the_limit():
    bomb = archive([("a.bin", b"\0" * (65 * 2**20))])
    assert len(bomb) < 2**20
    with pytest.raises(DataError, match="unpacks to more than"):
        read_archive(bomb, "b.zip")


def test_too_many_files_are_refused():
    with pytest.raises(DataError, match="holds 2,001 files"):
        read_archive(archive([(str(at), "") for at in range(2001)]), "b.zip")


def test_a_name_that_leads_out_of_the_archive_is_only_a_name():
    assert read_archive(archive([("../../etc/x.csv", "a")]), "b.zip") == {"../../etc/x.csv": b"a"}


def test_a_damaged_file_in_an_archive_is_refused():
    content = bytearray(archive([("a.csv", "x" * 5000)]))
    content[60] ^= 0xFF
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_archive(bytes(content), "b.zip")
