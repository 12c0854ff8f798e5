"""Tables written to files come back as they were, and no cell of them runs as a formula."""

from __future__ import annotations

import csv
import io
import math
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enthesis.errors import UsageError
from enthesis.report.export import FORMULA_STARTS, export, safe_text

TABLE = pd.DataFrame(
    {
        "treatment": ["upadacitinib 15 mg", "placebo", 'Größe; "x", y'],
        "estimate": [-1.5, 0.1 + 0.2, np.nan],
        "n": [10, 20, 30],
        "ok": [True, False, True],
        "message": ["", None, "two\nlines"],
    }
)
ATTACKS = ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", '=HYPERLINK("http://x","y")', "＝1"]


def read_csv(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def read_xlsx(path: Path) -> list[list]:
    from openpyxl import load_workbook

    return [[cell.value for cell in row] for row in load_workbook(path).active.iter_rows()]


def read_docx(path: Path) -> list[list[str]]:
    from docx import Document

    return [[cell.text for cell in row.cells] for row in Document(path).tables[0].rows]


def test_csv_holds_every_digit_of_every_number(tmp_path):
    rows = read_csv(export(TABLE, tmp_path / "t.csv"))
    assert float(rows[2][1]) == 0.1 + 0.2


def test_csv_holds_text_with_separators_quotes_and_line_ends(tmp_path):
    rows = read_csv(export(TABLE, tmp_path / "t.csv"))
    assert [rows[3][0], rows[3][4]] == ['Größe; "x", y', "two\nlines"]


def test_a_missing_number_is_an_empty_cell_in_csv(tmp_path):
    assert read_csv(export(TABLE, tmp_path / "t.csv"))[3][1] == ""


def test_negative_numbers_stay_numbers_in_csv(tmp_path):
    assert read_csv(export(TABLE, tmp_path / "t.csv"))[1][1] == "-1.5"


def test_xlsx_gives_back_the_values_with_their_types(tmp_path):
    rows = read_xlsx(export(TABLE, tmp_path / "t.xlsx"))
    assert rows[1][:4] == ["upadacitinib 15 mg", -1.5, 10, True]


def test_a_missing_number_is_an_empty_cell_in_xlsx(tmp_path):
    assert read_xlsx(export(TABLE, tmp_path / "t.xlsx"))[3][1] is None


def test_xlsx_keeps_its_title_as_the_name_of_the_sheet(tmp_path):
    from openpyxl import load_workbook

    path = export(TABLE, tmp_path / "t.xlsx", title="Effects: [ASAS40]/14 weeks, a name that is much too long")
    assert load_workbook(path).sheetnames == ["Effects ASAS4014 weeks, a name "[:31].strip()]


def test_docx_holds_every_row_with_its_header(tmp_path):
    rows = read_docx(export(TABLE, tmp_path / "t.docx", title="Effects"))
    assert [rows[0][0], rows[1][0], len(rows)] == ["treatment", "upadacitinib 15 mg", 4]


def test_docx_rounds_numbers_for_the_reader(tmp_path):
    assert read_docx(export(TABLE, tmp_path / "t.docx"))[2][1] == "0.30"


def test_docx_has_its_title_as_heading(tmp_path):
    from docx import Document

    path = export(TABLE, tmp_path / "t.docx", title="Effects against placebo")
    assert Document(path).paragraphs[0].text == "Effects against placebo"


@pytest.mark.parametrize("attack", ATTACKS)
def test_text_that_would_be_a_formula_starts_with_an_apostrophe_in_csv(tmp_path, attack):
    rows = read_csv(export(pd.DataFrame({"treatment": [attack]}), tmp_path / "t.csv"))
    assert rows[1][0] == "'" + attack


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_column_name_that_would_be_a_formula_is_neutralised(tmp_path, attack):
    assert read_csv(export(pd.DataFrame({attack: [1]}), tmp_path / "t.csv"))[0][0].startswith("'")


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_formula_is_in_the_xlsx_file(tmp_path, attack):
    path = export(pd.DataFrame({"treatment": [attack], attack: [1]}), tmp_path / "t.xlsx")
    sheet = zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml").decode()
    assert not re.search(r"<f[ >]", sheet)


@given(st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_no_text_starts_a_formula_after_it_is_made_safe(text):
    assert not safe_text(text).lstrip(" \u00a0\ufeff").startswith(FORMULA_STARTS)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_numbers_survive_csv_exactly(tmp_path_factory, values):
    path = export(pd.DataFrame({"x": values}), tmp_path_factory.mktemp("csv") / "t.csv")
    assert [float(row[0]) for row in read_csv(path)[1:]] == values


def test_infinity_is_a_word_not_a_broken_number(tmp_path):
    rows = read_xlsx(export(pd.DataFrame({"nnt": [math.inf]}), tmp_path / "t.xlsx"))
    assert rows[1][0] == "infinite"


def test_control_characters_do_not_reach_a_document(tmp_path):
    path = export(pd.DataFrame({"study": ["a\x00\x0bb"]}), tmp_path / "t.docx")
    assert read_docx(path)[1][0] == "a  b"


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r"must end in \.csv, \.xlsx, \.docx"):
        export(TABLE, tmp_path / "t.pdf")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        export(TABLE, tmp_path / "no" / "t.csv")


def test_a_document_too_long_for_a_word_processor_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"at most 5,000 rows"):
        export(pd.DataFrame({"x": range(5001)}), tmp_path / "t.docx")


def test_without_python_docx_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(UsageError, match="python-docx, which is missing"):
        export(TABLE, tmp_path / "t.docx")


def test_a_failed_export_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.docx"
    path.write_text("old")
    with pytest.raises(UsageError):
        export(pd.DataFrame({"x": range(5001)}), path)
    assert path.read_text() == "old"


def test_a_table_without_rows_has_its_header(tmp_path):
    assert read_csv(export(TABLE.iloc[:0], tmp_path / "t.csv")) == [list(TABLE.columns)]
