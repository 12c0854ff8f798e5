import shutil

import pytest

from enthesis.errors import DataError, UsageError
from enthesis.evidence import TABLES, RowsRejected, Store, bundled_folder, load_tables
from enthesis.evidence.sources import csvfile
from enthesis.evidence.sources.csvfile import parse_csv
from small_tables import STUDY, edit, read, small_folder


@pytest.fixture
def store():
    with Store.open(":memory:") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    return small_folder(tmp_path / "tables")


def report_of(report, name):
    return next(table for table in report.tables if table.name == name)


# The bundled evidence


def test_every_bundled_row_is_stored_and_none_is_rejected(place):
    with Store.open(place) as store:
        report = load_tables(store, bundled_folder())
        stored = {name: len(store.evidence().table(name)) for name in store.evidence().tables}
    assert report.rejected == ()
    for path in bundled_folder().rglob("*.csv"):
        name = path.relative_to(bundled_folder()).with_suffix("").as_posix()
        lines = len(path.read_text(encoding="utf-8").splitlines()) - 1
        assert (name, stored[name], report_of(report, name).stored) == (name, lines, lines)


def test_every_bundled_cell_comes_back_as_printed(store):
    load_tables(store, bundled_folder())
    evidence = store.evidence()
    for path in bundled_folder().rglob("*.csv"):
        name = path.relative_to(bundled_folder()).with_suffix("").as_posix()
        printed = [{column: text.strip() for column, text in row.items() if text} for row in read(path)]
        kept = [{column: text for column, text in fact.cells().items() if text} for fact in evidence.facts
                if fact.table == name]  # fmt: skip
        assert kept == printed, name


def test_the_bundled_tables_have_the_columns_of_the_dictionary():
    for name, spec in TABLES.items():
        path = bundled_folder() / f"{name}.csv"
        if path.exists():
            more = ["author"] if spec.judgement and "author" in read(path)[0] else []
            assert sorted(read(path)[0]) == sorted([*spec.columns, *more]), name


def test_references_that_lead_nowhere_are_noted(store, folder):
    edit(folder / "outcomes.csv", lambda rows: [*rows[:-1], rows[-1] | {"arm_id": "adalimumab-4"}])
    notes = load_tables(store, folder).notes
    assert any(f"the arm 'adalimumab-4' of {STUDY} is not in arms.csv." in note for note in notes)


def test_the_bundled_tables_name_nothing_that_is_not_there(store):
    assert load_tables(store, bundled_folder()).notes == ()


# Loading again


def test_loading_again_stores_nothing(place, folder):
    with Store.open(place) as store:
        first = load_tables(store, folder)
        again = load_tables(store, folder)
        assert again.total("unchanged") == first.total("read")
        assert again.total("stored") == again.total("superseded") == 0
        assert again.snapshot == first.snapshot


def test_a_changed_row_supersedes_by_its_natural_key(store, folder):
    old = load_tables(store, folder).snapshot
    edit(folder / "studies.csv", lambda rows: rows[0].update(sponsor="Another sponsor"))
    report = load_tables(store, folder)
    assert (report.total("superseded"), report.total("stored")) == (1, 0)
    assert store.evidence().studies.sponsor.tolist() == ["Another sponsor"]
    assert store.evidence(old).studies.sponsor.tolist() == ["AbbVie"]


def test_a_vanished_row_is_kept_and_reported(store, folder):
    load_tables(store, folder)
    rows = len(store.evidence().outcomes)
    edit(folder / "outcomes.csv", lambda rows: rows[1:])
    report = load_tables(store, folder)
    assert len(report_of(report, "outcomes").missing) == 1
    assert "1 stored rows are not in outcomes.csv; they are kept." in report_of(report, "outcomes").notes
    assert len(store.evidence().outcomes) == rows


def test_a_vanished_row_is_withdrawn_when_asked_and_comes_back_with_the_file(store, folder):
    load_tables(store, folder)
    before = store.evidence()
    whole = (folder / "outcomes.csv").read_text()
    edit(folder / "outcomes.csv", lambda rows: rows[1:])
    load_tables(store, folder, withdraw_missing=True)
    assert len(store.evidence().outcomes) == len(before.outcomes) - 1
    (folder / "outcomes.csv").write_text(whole)
    assert load_tables(store, folder).total("stored") == 1
    assert store.evidence().content_hash == before.content_hash
    assert store.evidence().outcomes.result_id.tolist() == before.outcomes.result_id.tolist()


def test_rows_with_one_natural_key_are_all_kept(store, folder):
    edit(folder / "outcomes.csv", lambda rows: [*rows, {**rows[0], "note": "again"}, dict(rows[0])])
    report = load_tables(store, folder)
    outcomes = store.evidence().outcomes
    assert report_of(report, "outcomes").stored == report_of(report, "outcomes").read == len(outcomes)
    assert outcomes.result_id.is_unique
    assert load_tables(store, folder).total("unchanged") == report.total("read")


def test_changing_one_of_two_equal_keys_supersedes_that_one(store, folder):
    edit(folder / "outcomes.csv", lambda rows: [*rows, {**rows[0], "note": "again"}])
    load_tables(store, folder)
    edit(folder / "outcomes.csv", lambda rows: rows[-1].update(note="yet again"))
    report = load_tables(store, folder)
    assert (report.total("superseded"), report.total("stored")) == (1, 0)
    assert "yet again" in store.evidence().outcomes.note.tolist()


def test_a_judgement_in_the_store_stands_when_the_file_is_loaded_again(store, folder):
    load_tables(store, folder)
    line = {name: text for name, text in read(folder / "curation.csv")[0].items() if name not in ("use", "reason")}
    store.judge("curation", {**line, "use": "sensitivity"}, author="A. Reviewer", reason="checked with the authors")
    assert load_tables(store, folder).total("superseded") == 0
    assert store.evidence().curation.loc[0, ["use", "author"]].tolist() == ["sensitivity", "A. Reviewer"]


def test_a_judgement_in_the_store_yields_when_the_row_of_the_file_changes(store, folder):
    load_tables(store, folder)
    line = {name: text for name, text in read(folder / "curation.csv")[0].items() if name not in ("use", "reason")}
    store.judge("curation", {**line, "use": "sensitivity"}, author="A. Reviewer", reason="checked with the authors")
    edit(folder / "curation.csv", lambda rows: rows[0].update(use="context", reason="a new reason"))
    assert load_tables(store, folder).total("superseded") == 1
    assert store.evidence().curation.use[0] == "context"


def test_a_judgement_that_no_file_holds_is_not_withdrawn(store, folder):
    load_tables(store, folder)
    store.judge("curation", {"study_id": STUDY, "use": "context"}, author="A. Reviewer", reason="a reason")
    assert load_tables(store, folder, withdraw_missing=True).total("withdrawn") == 0


def test_the_bytes_of_every_file_are_kept(store, folder):
    load_tables(store, folder)
    document = store.evidence().facts[0].document
    assert store.get_bytes(document) == (folder / "sources.csv").read_bytes()


def test_progress_is_told_for_each_table(store, folder):
    told = []
    load_tables(store, folder, progress=lambda name, done, total: told.append((name, done, total)))
    assert told[0] == ("sources", 0, 5)
    assert told[-1] == ("", 5, 5)


# Columns, files and tables that the dictionary does not know


def test_an_unknown_column_is_kept_and_reported(store, folder):
    edit(folder / "arms.csv", lambda rows: [{**row, "smoker_fraction": "0.3"} for row in rows])
    report = load_tables(store, folder)
    assert store.evidence().arms.smoker_fraction.tolist() == ["0.3", "0.3"]
    assert "kept: smoker_fraction" in report_of(report, "arms").notes[0]


def test_an_unknown_table_is_kept_as_it_is_and_a_near_name_is_noted(store, folder):
    shutil.copy(folder / "outcomes.csv", folder / "outcome.csv")
    report = load_tables(store, folder)
    assert "Is it meant to be outcomes.csv?" in report_of(report, "outcome").notes[0]
    assert len(store.evidence().table("outcome")) == report_of(report, "outcome").read


def test_a_workbook_beside_the_tables_is_noted(store, folder):
    (folder / "arms.xlsx").write_bytes(b"PK\x03\x04")
    assert "arms.xlsx is not a CSV file and was not read." in load_tables(store, folder).notes


def test_a_link_out_of_the_folder_is_not_followed(store, folder, tmp_path):
    (tmp_path / "secret.csv").write_text("name\nsecret\n")
    (folder / "extra.csv").symlink_to(tmp_path / "secret.csv")
    assert "extra.csv is not a regular file and was not read." in load_tables(store, folder).notes
    assert "extra" not in store.evidence().tables


def test_headers_in_another_case_are_read(store, folder):
    path = folder / "studies.csv"
    head, rest = path.read_text().split("\n", 1)
    path.write_text(head.upper() + "\n" + rest)
    load_tables(store, folder)
    assert store.evidence().studies.study_id.tolist() == [STUDY]


@pytest.mark.parametrize("name", ["nothing", "studies.csv"])
def test_a_folder_that_is_none_is_a_sentence(store, folder, name):
    with pytest.raises(UsageError, match=r"does not exist|is a file"):
        load_tables(store, folder / name)


def test_a_folder_without_tables_is_a_sentence(store, tmp_path):
    with pytest.raises(UsageError, match=r"holds no CSV file\. Tables of evidence: sources\.csv"):
        load_tables(store, tmp_path)


# Bad rows

BAD_CELLS = [
    ("outcomes", "events", "52%", "is not a number", "without the percent sign"),
    ("outcomes", "events", "12.5", "is not a whole number", "percentage"),
    ("outcomes", "events", "-1", "is not a count", "from 0 upwards"),
    ("outcomes", "events", "9999", "is more than the 93 patients of column n", "column percent"),
    ("outcomes", "n", "NaN", "is not a number", "Leave the cell empty"),
    ("outcomes", "percent", "51,6", "is not a number", "decimal point"),
    ("outcomes", "percent", "151.6", "is not between 0 and 100", "from 0 to 100"),
    ("outcomes", "se", "-0.2", "is negative", "sign"),
    ("outcomes", "mean", "1e999", "is not a number", "plain number"),
    ("outcomes", "mean", "1_000", "is not a number", "plain number"),
    ("outcomes", "outcome", "ASAS-40", "is not one of", "Did you mean 'ASAS40'"),
    ("outcomes", "measure", "Binary", "is not one of: binary, continuous, rate", "Did you mean 'binary'"),
    ("outcomes", "check", "", "is empty; use one of", "Use a word of this list"),
    ("outcomes", "locator", "", "is empty", "must be filled"),
    ("outcomes", "source_id", "", "is empty", "must be filled"),
    ("arms", "drug_class", "JAK", "is not one of", "Did you mean 'JAKi'"),
    ("arms", "male_fraction", "71", "is not between 0 and 1", "57 % is 0.57"),
    ("studies", "study_id", "SELECT AXIS 1", "is not a key", "without spaces"),
    ("studies", "year", "19", "is not a year", "four digits"),
    ("curation", "use", "maybe", "is not one of: primary, sensitivity, context, no", "Use a word"),
]


@pytest.mark.parametrize(("table", "column", "value", "reason", "fix"), BAD_CELLS)
def test_a_bad_cell_is_named_with_reason_and_mend(store, folder, table, column, value, reason, fix):
    edit(folder / f"{table}.csv", lambda rows: rows[0].update({column: value}))
    with pytest.raises(RowsRejected) as caught:
        load_tables(store, folder)
    found = next(item for item in caught.value.report.rejected if item.column == column)
    assert (found.file, found.row, found.value) == (f"{table}.csv", 2, value)
    assert reason in found.reason
    assert fix in found.fix
    assert f"{table}.csv, row 2, column '{column}'" in str(found)


def test_one_bad_row_stores_nothing(store, folder):
    edit(folder / "curation.csv", lambda rows: rows[-1].update(use="maybe"))
    with pytest.raises(RowsRejected, match=r"Nothing was stored\."):
        load_tables(store, folder)
    assert store.snapshots() == ()


def test_the_error_counts_the_other_bad_cells(store, folder):
    edit(folder / "arms.csv", lambda rows: [row.update(drug_class="x", dose="y") for row in rows] and rows)
    with pytest.raises(RowsRejected, match="3 more cells cannot be stored either"):
        load_tables(store, folder)


def test_good_rows_are_stored_beside_a_rejected_one_when_asked(store, folder):
    edit(folder / "arms.csv", lambda rows: rows[0].update(drug_class="x"))
    table = report_of(load_tables(store, folder, partial=True), "arms")
    assert (table.read, table.stored, table.rejected_rows) == (2, 1, 1)
    assert len(store.evidence().arms) == 1


def test_a_row_with_too_many_cells_is_rejected(store, folder):
    with (folder / "arms.csv").open("a") as stream:
        stream.write(f"{STUDY},x," + "," * 40 + "one, two\n")
    with pytest.raises(RowsRejected, match=r"arms\.csv, row 4: has 44 cells, the header has 31"):
        load_tables(store, folder)


def test_a_row_with_too_few_cells_is_rejected(store, folder):
    with (folder / "arms.csv").open("a") as stream:
        stream.write(f"{STUDY},x,placebo\n")
    with pytest.raises(RowsRejected, match="has 3 cells, the header has 31"):
        load_tables(store, folder)


def test_script_and_formula_in_a_text_are_kept_as_text(store, folder):
    nasty = '=HYPERLINK("http://x")<script>alert(1)</script>{{7*7}}'
    edit(folder / "studies.csv", lambda rows: rows[0].update(title=nasty, sponsor="Ωmega ☃"))
    load_tables(store, folder)
    assert store.evidence().studies[["title", "sponsor"]].values.tolist() == [[nasty, "Ωmega ☃"]]


# Bad files

GOOD = b"source_id,kind,title\nwho2024,article,A report\n"
BAD_FILES = [
    (b"", "is empty"),
    (b"\n\n", "is empty"),
    (b"PK\x03\x04rest", "Excel workbook"),
    (b"%PDF-1.7", "is a PDF"),
    (b"\x1f\x8b\x08", "compressed"),
    (GOOD + b"\x00\x01", "row 3: is a binary file"),
    (GOOD.decode().encode("utf-16"), "UTF-16"),
    (GOOD + "müller,article,x\n".encode("latin-1"), "row 3, value 'fc': is not UTF-8 text"),
    (GOOD.replace(b",", b";"), "is separated by semicolons"),
    (GOOD.replace(b",", b"\t"), "is separated by tabs"),
    (b"source_id,kind,kind\n", "column 'kind': names a column twice"),
    (b"source_id,,kind\n", "has no name for column 2"),
    (GOOD + b'who,article,"open\n', "row 3: cannot be read as CSV"),
    (GOOD + b'who,article,"a"b\n', "row 3: cannot be read as CSV"),
    (b"title,kind\nx,article\n", "has no column 'source_id'"),
    (b"source_id,kinds\nx,article\n", "Rename the column 'kinds'"),
]


@pytest.mark.parametrize(("content", "sentence"), BAD_FILES)
def test_a_bad_file_is_a_sentence(store, tmp_path, content, sentence):
    (tmp_path / "sources.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_tables(store, tmp_path)
    assert str(caught.value).startswith("sources.csv")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\n", b"\r\n"), GOOD.replace(b"\n", b"\n\n")]
)
def test_a_byte_order_mark_windows_lines_and_empty_lines_are_read(store, tmp_path, content):
    (tmp_path / "sources.csv").write_bytes(content)
    load_tables(store, tmp_path)
    assert store.evidence().sources.title.tolist() == ["A report"]


def test_rows_are_numbered_as_a_spreadsheet_shows_them():
    content = b'a,b\n"two\nlines",1\n\nx,2\n'
    assert [row for row, _ in parse_csv(content, "t.csv").rows] == [2, 4]


def test_a_file_above_the_limit_is_refused_without_reading_it(store, tmp_path):
    with (tmp_path / "sources.csv").open("wb") as stream:
        stream.truncate(2**30)
    with pytest.raises(DataError, match=r"is 1,024 MB; the limit is 64 MB"):
        load_tables(store, tmp_path)


def test_a_cell_above_the_limit_is_refused():
    content = b"a,b\n1," + b"x" * (csvfile.MAX_CELL + 1) + b"\n"
    with pytest.raises(DataError, match="more than 100,000 characters"):
        parse_csv(content, "t.csv")


def test_too_many_columns_are_refused():
    with pytest.raises(DataError, match="the limit is 500"):
        parse_csv(",".join(f"c{i}" for i in range(600)).encode(), "t.csv")


def test_too_many_files_are_refused(store, tmp_path):
    for number in range(201):
        (tmp_path / f"t{number}.csv").write_text("a\n1\n")
    with pytest.raises(UsageError, match="holds 201 CSV files"):
        load_tables(store, tmp_path)
