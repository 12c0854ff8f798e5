"""Bad tables are refused with the cell and the mend, or read correctly; none gives a traceback or a silent change."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from enthesis.errors import DataError, EnthesisError
from enthesis.network import reading
from enthesis.network.tables import from_table

GOOD = "study,treatment,events,n\nA,placebo,4,50\nA,drug,9,52\nB,placebo,3,40\nB,drug,7,41\n"


@pytest.fixture
def table(tmp_path):
    """Writes text or bytes to a file and reads it as a network."""

    def read(content: str | bytes, name: str = "t.csv", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return from_table(path, **options)

    return read


def with_cell(row: int, column: str, value: str) -> str:
    """The good table with one cell changed (the header is row 1)."""
    lines = [line.split(",") for line in GOOD.splitlines()]
    lines[row - 1][lines[0].index(column)] = value
    return "\n".join(",".join(line) for line in lines) + "\n"


BAD_CELLS = [
    (3, "events", "17.3", "whole number of patients; it looks like a percentage", "percent / 100"),
    (3, "events", "0.17", "it looks like a", "times n"),
    (3, "events", "17%", "is a percentage", "number of patients"),
    (3, "events", "53", "more events than patients: 53 of 52", "Check both cells"),
    (3, "events", "-1", "cannot be negative", "number of patients with the event"),
    (3, "events", "nine", "is not a number", "leave the cell empty"),
    (3, "events", "inf", "is not a finite number", "Leave the cell empty"),
    (3, "events", "1e999", "larger than any number", "Check the number"),
    (3, "events", "<5", "is a bound", "leave the cell empty"),
    (3, "events", "9 (17)", "more than one number", "its own column"),
    (3, "events", "9/52", "more than one number or a date", "its own column"),
    (3, "events", "9*", "text after the number", "its own column"),
    (3, "events", "#DIV/0!", "error of the spreadsheet", "Mend the formula"),
    (3, "events", "=4+5", "is a formula", "Write the value"),
    (3, "events", "²", "is not a number", "Write a number"),
    (3, "n", "0", "must be above 0", "leave the arm's cells empty"),
    (3, "n", "-52", "must be above 0", "number analysed"),
    (3, "n", "52.5", "not a whole number of patients", "number of patients analysed"),
    (3, "n", '"1,052"', "thousands separator", "digits and a decimal point only"),
    (3, "n", "1 052", "thousands separator", "digits and a decimal point only"),
    (3, "n", '"52,5"', "decimal comma", "semicolons"),
    (3, "study", "", "the study has no name", "Name the study"),
    (3, "treatment", " ", "the treatment has no name", "Name the treatment"),
    (5, "treatment", "DRUG", "differs only in case or spaces from 'drug' at row 3", "Write both the same way"),
    (4, "study", "a", "differs only in case or spaces from 'A' at row 2", "Write both the same way"),
    (3, "treatment", "x" * 201, "201 letters", "short name"),
    (3, "treatment", "dr\x07ug", "control character", "Type the name anew"),
]


@pytest.mark.parametrize(("row", "column", "value", "what", "fix"), BAD_CELLS)
def test_a_bad_cell_is_named_with_its_mend(row, column, value, what, fix, table):
    with pytest.raises(DataError) as caught:
        table(with_cell(row, column, value))
    error, said = caught.value, str(caught.value)
    assert (error.file, error.row, error.column) == ("t.csv", row, column)
    assert what in said
    assert fix in said


def test_proportions_in_the_whole_column_are_called_proportions(table):
    with pytest.raises(DataError, match=r"row 2, column 'events', value '0\.08': .* looks like a proportion"):
        table("study,treatment,events,n\nA,p,0.08,50\nA,x,0.17,52\n")


def test_a_column_of_percentages_is_not_taken_as_events(table):
    with pytest.raises(DataError, match=r"events \(%\).* are not those of a known layout"):
        table("study,treatment,events (%),n\nA,p,8,50\nA,x,17,52\n")


MEANS = "study,treatment,mean,sd,n\nA,p,1.5,2,30\nA,x,2.5,{},30\n"


@pytest.mark.parametrize(("value", "what"), [("-2", "cannot be negative"), ("0", "must be above 0")])
def test_a_bad_standard_deviation_is_named(value, what, table):
    with pytest.raises(DataError, match=f"row 3, column 'sd', value '{value}'.*{what}"):
        table(MEANS.format(value))


CONTRAST = "studlab,treat1,treat2,TE,seTE\nA,x,p,0.5,0.2\nB,x,{},{},{}\n"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("p", "0.4", "-0.2"), "row 3, column 'seTE', value '-0.2': a standard error must be above 0"),
        (("p", "0.4", "0"), "row 3, column 'seTE', value '0': a standard error must be above 0"),
        (("x", "0.4", "0.2"), "row 3, column 'treat2', value 'x': a treatment cannot be compared with itself"),
        (("", "0.4", "0.2"), "row 3, column 'treat2', value '': the treatment has no name"),
    ],
)
def test_a_bad_contrast_is_named(cells, said, table):
    with pytest.raises(DataError) as caught:
        table(CONTRAST.format(*cells))
    assert said in str(caught.value)


def test_a_contrast_given_twice_is_refused_with_both_rows(table):
    with pytest.raises(DataError, match=r"twice \(rows 2 and 4\)"):
        table("studlab,treat1,treat2,TE,seTE\nA,x,p,0.5,0.2\nB,x,p,0.5,0.2\nA,p,x,-0.5,0.2\n")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A,x,p,0.7,0.98,0.5", "row 2, column 'upper', value '0.5': the upper end of the interval is not above"),
        ("A,x,p,1.7,0.5,0.98", "row 2, column 'lower', value '0.5': the effect is not inside its interval"),
        ("A,x,p,-0.7,0.5,0.98", "row 2, column 'HR', value '-0.7': a hazard ratio must be above 0"),
        ("A,x,p,0.7,0,0.98", "row 2, column 'lower', value '0': an end of the interval of a ratio must be above 0"),
    ],
)
def test_a_bad_interval_is_named(row, said, table):
    with pytest.raises(DataError) as caught:
        table(f"study,treat1,treat2,HR,lower,upper\n{row}\n")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,A,0.1,0.5\n1,B,0.2,0.6\n", "row 2, column 'diff', value '0.1': study '1' has no row with an empty 'diff'"),
        ("1,A,,0.5\n1,B,,0.6\n1,C,1,1\n", "row 3, column 'diff': study '1' has 2 rows with an empty 'diff'"),
        ("1,A,,\n1,B,1,0.6\n1,C,1,1\n", "row 2, column 'std.err'"),
        ("1,A,,0.5\n1,B,1,\n", "row 3, column 'std.err'"),
        ("1,A,,0.5\n1,B,1,0.6\n1,B,1,1\n", "lists treatment 'B' twice (rows 3 and 4)"),
    ],
)
def test_bad_baseline_contrasts_are_named(rows, said, table):
    with pytest.raises(DataError) as caught:
        table("study,treatment,diff,std.err\n" + rows)
    assert said in str(caught.value).replace(", value ''", "")


def test_an_arm_typed_twice_is_refused_with_both_rows(table):
    with pytest.raises(DataError, match=r"row 6, column 'treatment', value 'drug': .*same numbers \(rows 3 and 6\)"):
        table(GOOD + "A,drug,9,52\n")


def test_an_arm_with_two_counts_of_the_same_patients_is_refused(table):
    with pytest.raises(DataError, match=r"row 6, .* stands twice .*\(rows 3 and 6\), with different numbers"):
        table(GOOD + "A,drug,10,52\n")


def test_the_only_treatment_of_a_study_is_never_added_up(table):
    with pytest.raises(DataError, match=r"rows 6 and 7"):
        table(GOOD + "C,drug,10,52\nC,drug,11,60\n")


def test_rows_of_several_weeks_are_refused_with_the_column_that_tells_them_apart(table):
    with pytest.raises(DataError, match=r"rows 2 and 4\), told apart by column 'week'.*Keep the rows of one value"):
        table("study,treatment,week,events,n\nA,p,12,1,50\nA,x,12,2,50\nA,p,24,2,49\nA,x,24,3,48\n")


def test_a_study_with_one_arm_is_left_out_with_an_entry(table):
    network = table(GOOD + "C,drug,5,30\n")
    assert network.studies == ("A", "B")
    assert [(e.rule, e.study, e.rows) for e in network.ledger.excluded] == [("one arm", "C", ("t.csv:row 6",))]


def test_a_table_of_single_arms_is_refused(table):
    with pytest.raises(DataError, match=r"nothing to compare: 0 studies .* One arm gives no contrast"):
        table("study,treatment,events,n\nA,drug,1,10\nB,drug,2,10\n")


@pytest.mark.parametrize("empty", ["", "NA", "NaN", "n/a", "NR", "not reported", "-"])
def test_an_arm_without_numbers_is_left_out_with_an_entry_and_never_becomes_nan(empty, table):
    network = table(GOOD + f"B,other,{empty},44\n")
    assert [(e.rule, e.study, e.arm) for e in network.ledger.excluded] == [("numbers not reported", "B", "other")]
    assert np.isfinite(network.blocks[0].r).all()


def test_words_that_were_read_as_missing_are_noted(table):
    network = table(GOOD + "B,other,NR,44\n")
    assert any("'NR' in column 'events'" in e.reason and e.rows == ("t.csv:row 6",) for e in network.ledger)


def test_a_study_loses_its_place_when_its_second_arm_has_no_numbers(table):
    network = table(GOOD + "C,drug,5,30\nC,placebo,,30\n")
    assert [e.rule for e in network.ledger.excluded] == ["numbers not reported", "one arm"]


def test_a_file_with_a_byte_order_mark_is_read(table):
    assert table(b"\xef\xbb\xbf" + GOOD.encode()).content_hash == table(GOOD).content_hash


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_read(encoding, table):
    mark = {"utf-16": b"", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[encoding]
    assert table(mark + GOOD.encode(encoding)).content_hash == table(GOOD).content_hash


def test_latin_1_is_read_with_a_note(table):
    network = table(GOOD.replace("drug", "Müller").encode("latin-1"))
    assert "Müller" in network.treatment_names
    assert any(e.rule == "encoding" and "row 3" in e.reason for e in network.ledger)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_read(delimiter, table):
    assert table(GOOD.replace(",", delimiter)).content_hash == table(GOOD).content_hash


def test_semicolons_and_decimal_commas_are_read(table):
    block = table("study;treatment;mean;sd;n\nA;p;1,5;2,25;30\nA;x;-0,5;2;30\n").blocks[0]
    assert (block.y.tolist(), block.sd.tolist()) == ([1.5, -0.5], [2.25, 2.0])


def test_decimal_commas_beside_decimal_points_are_refused(table):
    with pytest.raises(DataError, match=r"row 3, column 'sd', value '2,5': has a comma, while .* Use one decimal sign"):
        table("study;treatment;mean;sd;n\nA;p;1.5;2;30\nA;x;0.5;2,5;30\n")


def test_excels_sep_line_is_read_and_counted(table):
    text = "sep=;\n" + GOOD.replace(",", ";")
    assert table(text).content_hash == table(GOOD).content_hash
    with pytest.raises(DataError, match="row 4, column 'events', value 'x'"):
        table(text.replace("A;drug;9", "A;drug;x"))


def test_headers_in_mixed_case_are_read(table):
    assert (
        table(GOOD.replace("study,treatment,events,n", "STUDY,Treatment,eVents,N")).content_hash
        == table(GOOD).content_hash
    )


def test_spaces_around_names_and_numbers_are_removed_with_a_note(table):
    network = table(GOOD.replace("A,drug,9", "A,drug\u00a0, 9 "))
    assert network.content_hash == table(GOOD).content_hash
    assert any(e.rule == "name tidied" and "'drug'" in e.reason for e in network.ledger)


def test_the_same_letters_composed_differently_are_one_name(table):
    network = table(GOOD.replace("A,drug", "A,Me\u0301dica").replace("B,drug", "B,M\u00e9dica"))
    assert network.treatment_names == ("M\u00e9dica", "placebo")


@pytest.mark.parametrize(
    "name",
    ["Трифтазин", "安慰剂", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "+1+1", "@SUM(A1)",
     "Robert'); DROP TABLE", "../../etc/passwd", "{{7*7}}", "💊", "None", "null", "True"],
)  # fmt: skip
def test_names_are_kept_as_text_whatever_they_look_like(name, table):
    assert name in table(GOOD.replace("drug", f'"{name}"')).treatment_names


def test_scientific_notation_and_quoted_newlines_are_read(table):
    network = table('study,treatment,events,n\n"A\n2001",p,1e0,5E1\n"A\n2001",x,2.0,+50\n')
    assert network.studies == ("A 2001",)
    assert network.blocks[0].n.tolist() == [50, 50]


def test_rows_are_counted_as_a_spreadsheet_shows_them(table):
    text = 'study,treatment,events,n\n"A\n2001",p,1,50\n\n,,,\nA2,x,bad,50\n'
    with pytest.raises(DataError, match="row 5, column 'events', value 'bad'"):
        table(text)


@pytest.mark.parametrize("content", ["", "\n\n", " \r\n", "\ufeff", ",,,\n,,,\n"])
def test_an_empty_file_is_named_so(content, table):
    with pytest.raises(DataError, match=r"t\.csv: the file is empty\."):
        table(content)


def test_a_header_without_rows_is_named_so(table):
    with pytest.raises(DataError, match="has a header and no rows"):
        table("study,treatment,events,n\n")


def test_a_header_that_stands_twice_is_refused(table):
    with pytest.raises(DataError, match=r"row 1, column 'n': columns 4 and 5 have the same name"):
        table("study,treatment,events,n,n\nA,p,1,50,51\n")


def test_headers_that_differ_only_in_case_are_refused(table):
    with pytest.raises(DataError, match=r"columns 'n' and 'N' have the same name but for case"):
        table("study,treatment,events,n,N\nA,p,1,50,51\n")


@pytest.mark.parametrize(("row", "cells"), [("A,x,2", 3), ("A,x,2,50,7", 5)])
def test_a_ragged_row_is_named(row, cells, table):
    with pytest.raises(DataError, match=f"row 3: has {cells} cells where the header has 4 columns"):
        table(f"study,treatment,events,n\nA,p,1,50\n{row}\n")


def test_empty_cells_beyond_the_header_are_no_matter(table):
    assert table(GOOD.replace("\n", ",,\n")).content_hash == table(GOOD).content_hash


def test_an_unclosed_quotation_mark_is_named(table):
    with pytest.raises(DataError, match=r"row 3: a quotation mark is opened and not closed"):
        table('study,treatment,events,n\nA,p,1,50\nA,"x,2,50\nB,p,1,50\n')


def test_unknown_columns_are_listed_with_what_is_needed(table):
    with pytest.raises(DataError) as caught:
        table("study,treatment,foo,bar\nA,p,1,50\nA,x,2,50\n")
    assert "'foo', 'bar'" in str(caught.value)
    assert "columns={'events': '...'}" in str(caught.value)


def test_a_measure_that_the_numbers_do_not_give_is_refused(table):
    with pytest.raises(DataError, match=r"MD \(mean difference\) cannot be computed from counts.*It needs mean"):
        table(GOOD, measure="MD")


def test_an_effect_named_after_another_measure_is_refused(table):
    with pytest.raises(DataError, match=r"RR .* cannot be computed from contrasts"):
        table("study,treat1,treat2,lnOR,selnOR\nA,x,p,0.4,0.2\n", measure="RR")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "spreadsheet or zip file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x1f\x8b\x08\x00", "a gzip file"),
        (b"SQLite format 3\x00", "a database"),
        (b"study,treatment\x00,events,n\n", "NUL byte"),
        (bytes(range(1, 256)) * 4, "control bytes"),
        (b"\xff\xfeA", "UTF-16"),
    ],
)
def test_a_binary_file_is_called_what_it_is(content, what, table):
    with pytest.raises(DataError, match=what):
        table(content)


def test_a_file_of_a_gigabyte_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(1024**3)  # sparse: takes no room on the disk
    with pytest.raises(DataError, match=r"has 1,074 MB; tables of up to 200 MB are read"):
        from_table(path)


def test_too_many_rows_are_refused(table, monkeypatch):
    monkeypatch.setattr(reading, "MAX_ROWS", 3)
    with pytest.raises(DataError, match="more than 3 rows"):
        table(GOOD)


def test_too_many_columns_are_refused(table):
    with pytest.raises(DataError, match="has 2,001 columns"):
        table(",".join(f"c{i}" for i in range(2001)) + "\n" + ",".join("1" * 2001) + "\n")


def test_a_cell_without_end_is_refused(table):
    with pytest.raises(DataError, match="a cell has more than 131,072 letters"):
        table(GOOD + "A," + "x" * 200_000 + ",1,2\n")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.csv: there is no such file"):
        from_table(tmp_path / "absent.csv")


def test_a_folder_is_not_a_table(tmp_path):
    with pytest.raises(DataError, match="is a folder, not a table"):
        from_table(tmp_path)


def test_a_device_is_not_opened():
    with pytest.raises(DataError, match="is not an ordinary file"):
        from_table(Path(os.devnull))


@pytest.mark.parametrize("path", ["a\0b.csv", "x" * 5000])
def test_an_impossible_path_is_a_sentence(path):
    with pytest.raises(DataError, match="Check the path"):
        from_table(path)


@pytest.mark.parametrize("value", [None, 7, object(), {"study": 1}, [1, 2], b"study"])
def test_something_that_is_no_table_is_a_sentence(value):
    with pytest.raises(EnthesisError):
        from_table(value)


def test_an_empty_frame_is_a_sentence():
    import pandas as pd

    with pytest.raises(DataError, match="the table is empty"):
        from_table(pd.DataFrame({"study": [], "treatment": []}))


def test_a_row_of_a_frame_is_counted_as_a_spreadsheet_would():
    rows = [{"study": "A", "treatment": t, "events": e, "n": 9} for t, e in (("p", 1), ("x", "bad"))]
    with pytest.raises(DataError, match="table, row 3, column 'events', value 'bad'"):
        from_table(rows)


def test_an_arm_with_numbers_and_no_treatment_is_refused(table):
    with pytest.raises(DataError, match=r"row 2, column 't2', value '': arm 2 has numbers and no treatment"):
        table("study,t1,r1,n1,t2,r2,n2\nA,p,1,50,,2,50\n")


def test_one_arm_with_two_counts_in_rows_of_comparisons_is_refused(table):
    with pytest.raises(DataError, match=r"rows 2 and 3\), with different numbers"):
        table("study,t1,r1,n1,t2,r2,n2\nA,p,1,50,x,2,50\nA,p,2,50,y,2,50\n")


def test_a_listing_with_more_arms_than_it_says_is_refused(table):
    with pytest.raises(DataError, match=r"row 2, column 'na', value '2': arm 3 has numbers"):
        table("study,t1,r1,n1,t2,r2,n2,t3,r3,n3,na\nA,p,1,50,x,2,50,y,3,50,2\n")


@pytest.mark.parametrize(
    "header", ["study,ai,n1i,ci,n2i\nA,1,9,2,9\nB,,,,\n", "study,t1,r1,n1,t2,r2,n2\nA,p,1,9,x,2,9\nB,,,,,,\n"]
)
def test_a_study_without_any_number_is_never_dropped_in_silence(header, table):
    network = table(header)
    assert network.studies == ("A",)
    assert {e.study for e in network.ledger.excluded} == {"B"}


def test_a_mistyped_header_is_asked_about(table):
    with pytest.raises(DataError, match="Is 'treatmnet' the treatment"):
        table(GOOD.replace("treatment", "treatmnet"))
