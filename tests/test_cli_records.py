"""`enthesis import`, `records` and `screen` as a person types them."""

import json

import pytest

from enthesis.cli.main import run
from http_server import answer, serve, status
from small_records import NBIB, RIS, article
from small_records import pubmed as document


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Run a command in a folder with a store: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENTHESIS_STORE", str(tmp_path / "s.sqlite"))
    monkeypatch.setenv("ENTHESIS_REVIEWER", "A. Reader")

    def call(*words):
        with pytest.raises(SystemExit) as stop:
            run([str(word) for word in words])
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    call.folder = tmp_path
    return call


def read(cli, *words):
    code, out, err = cli(*words)
    assert code == 0, err
    return json.loads(out)


def test_records_of_every_format_are_imported_once(cli):
    (cli.folder / "a.xml").write_bytes(document(article("1"), article("2", "Another")))
    (cli.folder / "a.ris").write_text(RIS)
    (cli.folder / "a.nbib").write_text(NBIB)
    for words in (["pubmed", "a.xml"], ["ris", "a.ris", "--database", "Embase"], ["nbib", "a.nbib"]):
        first = read(cli, "import", *words, "--json", "-")["files"][0]
        again = read(cli, "import", *words, "--json", "-")["files"][0]
        assert (first["stored"], again["stored"], again["unchanged"]) == (2, 0, 2)
    told = read(cli, "records", "list", "--json")
    assert {row["database"]: row["records"] for row in told["databases"]} == {"PubMed": 4, "Embase": 2}


def test_a_dry_run_makes_no_store(cli):
    (cli.folder / "a.nbib").write_text(NBIB)
    assert read(cli, "import", "nbib", "a.nbib", "--dry-run", "--json", "-")["files"][0]["stored"] == 2
    assert not (cli.folder / "s.sqlite").exists()


def test_what_is_not_read_is_told_and_gives_exit_code_3(cli):
    (cli.folder / "a.ris").write_text(RIS[:-20])
    code, _out, err = cli("import", "ris", "a.ris", "--database", "Embase")
    assert code == 3
    assert "not read: a.ris, line" in err


@pytest.mark.parametrize(
    "words", [["import", "ris", "no.ris"], ["import", "nbib", "."], ["import", "table", "no.xlsx"]]
)
def test_a_file_that_is_not_there_is_one_sentence(cli, words):
    code, _out, err = cli(*words)
    assert code in (2, 3)
    assert err.startswith("enthesis: ")
    assert len(err.splitlines()) == 1


SEARCH = b"""<eSearchResult><Count>2</Count><IdList><Id>11</Id><Id>12</Id></IdList>
<QueryTranslation>jak[All Fields]</QueryTranslation></eSearchResult>"""


def test_a_search_of_pubmed_is_kept_with_what_it_found(cli):
    replies = {
        "/esearch.fcgi?": [status(429), answer(SEARCH, "text/xml")],
        "/efetch.fcgi?": [answer(document(article("11"), article("12", "Other")), "text/xml")],
    }
    with serve(replies) as server:
        told = read(cli, "import", "pubmed", "--query", "jak", "--server", server.url, "--json", "-")
        again = read(cli, "import", "pubmed", "--query", "jak", "--server", server.url, "--json", "-")
    assert (told["search"]["found"], told["files"][0]["stored"], told["missing"]) == ("2", 2, 0)
    assert again["files"][0]["unchanged"] == 2
    (kept,) = read(cli, "records", "list", "--json")["searches"]
    assert (kept["query"], kept["database"]) == ("jak", "PubMed")


def test_a_search_that_finds_nothing_is_kept_too(cli):
    told = b"<ErrorList><PhraseNotFound>xyz</PhraseNotFound></ErrorList>"
    nothing = b"<eSearchResult><Count>0</Count><IdList/>" + told + b"</eSearchResult>"
    with serve({"/esearch.fcgi?": [answer(nothing, "text/xml")]}) as server:
        read(cli, "import", "pubmed", "--query", "xyz", "--server", server.url, "--json", "-")
    (kept,) = read(cli, "records", "list", "--json")["searches"]
    assert (kept["found"], kept["note"]) == ("0", "phrase not found: xyz.")


def test_an_interrupted_import_goes_on_where_it_stopped(cli, monkeypatch):
    monkeypatch.setattr("enthesis.evidence.sources.eutils.BATCH", 1)
    one, two = (answer(document(article(id, f"Title {id}")), "text/xml") for id in ("11", "12"))
    with serve({"/esearch.fcgi?": [answer(SEARCH, "text/xml")], "/efetch.fcgi?": [one, status(404)]}) as server:
        code, _out, err = cli("import", "pubmed", "--query", "jak", "--server", server.url)
    assert code == 1
    assert "does not exist there" in err
    with serve({"/esearch.fcgi?": [answer(SEARCH, "text/xml")], "/efetch.fcgi?": [one, two]}) as server:
        told = read(cli, "import", "pubmed", "--query", "jak", "--server", server.url, "--json", "-")
    assert [(f["stored"], f["unchanged"]) for f in told["files"]] == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("replies", "what"),
    [
        ({"/esearch.fcgi?": [answer(b"<eSearchResult><ERROR>Empty term</ERROR></eSearchResult>", "text/xml")]},
         "refused the search: Empty term"),
        ({"/esearch.fcgi?": [answer(b"<html>busy</html>", "text/html")]}, "is not an answer of PubMed"),
        ({"/esearch.fcgi?": [answer(SEARCH)], "/efetch.fcgi?": [answer(b"<eFetchResult/>")]}, "is not PubMed XML"),
        ({"/esearch.fcgi?": [answer(SEARCH)], "/efetch.fcgi?": [answer(document(article("11"))[:-30])]}, "as XML"),
    ],
    ids=["error", "page", "other answer", "cut"],
)  # fmt: skip
def test_a_bad_answer_of_pubmed_is_one_sentence_and_stores_nothing(cli, replies, what):
    with serve(replies) as server:
        code, _out, err = cli("import", "pubmed", "--query", "x", "--server", server.url)
    assert code in (1, 3)
    assert what in err
    assert len(err.splitlines()) == 1


def test_a_search_that_finds_too_many_asks_to_be_narrowed(cli):
    with serve({"/esearch.fcgi?": [answer(SEARCH.replace(b">2<", b">20000<"), "text/xml")]}) as server:
        code, _out, err = cli("import", "pubmed", "--query", "x", "--server", server.url)
    assert code == 2
    assert "finds 20,000 records" in err


def test_records_of_the_sources_are_fetched_and_a_retraction_is_reported_with_its_rows(cli):
    (cli.folder / "sources.csv").write_text("source_id,kind,title,pmid\npaper,article,A paper,501\n")
    (cli.folder / "studies.csv").write_text("study_id,design,population,source_id\nX-1,rct,r-axSpA,paper\n")
    for name in ("sources.csv", "studies.csv"):
        read(cli, "import", "table", name, "--json", "-")
    with serve({"/efetch.fcgi?": [answer(document(article("501", notices="RetractionIn=9")), "text/xml")]}) as server:
        read(cli, "import", "pubmed", "--sources", "--server", server.url, "--json", "-")
    code, out, _err = cli("records", "watch", "--json")
    (notice,) = json.loads(out)["notices"]
    assert code == 4
    assert (notice["kind"], notice["studies"], notice["rows"]) == ("retracted", ["X-1"], ["studies.csv:row 2"])


def test_a_filled_template_is_imported_through_the_command_line(cli):
    from openpyxl import load_workbook

    read(cli, "import", "template", "t.xlsx", "--json", "-")
    book = load_workbook("t.xlsx")
    book["sources"].append(["s1", "article"])
    book.save("t.xlsx")
    assert read(cli, "import", "table", "t.xlsx", "--dry-run", "--json", "-")["committed"] is False
    assert read(cli, "import", "table", "t.xlsx", "--json", "-")["total"]["stored"] == 1


def test_a_wrong_cell_of_a_template_stores_nothing(cli):
    (cli.folder / "sources.csv").write_text("source_id,kind\na,article\nb,articel\n")
    code, out, err = cli("import", "table", "sources.csv", "--json", "-")
    assert (code, json.loads(out)["committed"]) == (3, False)
    assert "sources.csv, row 3, column 'kind'" in err


@pytest.fixture
def screening(cli):
    """A store with six records, of which two are included and two excluded."""
    words = [
        "spondylitis trial",
        "spondylitis inhibitor",
        "knee surgery",
        "hip surgery",
        "spondylitis janus",
        "elbow surgery",
    ]
    (cli.folder / "a.xml").write_bytes(document(*(article(str(at), w, abstract=w) for at, w in enumerate(words))))
    cli("import", "pubmed", "a.xml")
    for at, decision in enumerate(["include", "include", "exclude", "exclude"]):
        cli("screen", "decide", f"pubmed:{at}", decision, "--reason", "test")
    return cli


def test_the_next_record_is_the_one_like_the_included_ones(screening):
    told = read(screening, "screen", "next", "--json")
    assert [r["record_id"] for r in told["records"]] == ["pubmed:4", "pubmed:5"]
    assert (told["waiting"], told["included"], told["excluded"]) == (2, 2, 2)


def test_a_decision_needs_a_reason_to_exclude(screening):
    code, _out, err = screening("screen", "decide", "pubmed:4", "exclude")
    assert code == 2
    assert "--reason" in err


def test_the_curve_and_the_advice_are_told_as_json(screening):
    told = read(screening, "screen", "curve", "--json")
    assert (told["curve"]["included"], len(told["curve"]["recall"])) == (2, 101)
    assert told["stopping"]["missed_upper"] is None
    screening("screen", "decide", "pubmed:4", "exclude", "--reason", "x", "--chosen", "random")
    assert read(screening, "screen", "curve", "--json")["stopping"]["sample"] == 1


def test_the_curve_is_drawn_into_a_file(screening):
    read(screening, "screen", "curve", "--figure", "c.svg", "--json")
    said = (screening.folder / "c.svg").read_text()
    assert "included records found" in said
    assert "reading 10 % finds" in said


@pytest.mark.parametrize("name", ["out.csv", "out.ris"])
def test_labels_go_to_asreview_and_come_back_as_decisions_of_another_reviewer(screening, name):
    assert read(screening, "screen", "export", name, "--json")["labelled"] == 4
    told = read(screening, "screen", "import", name, "--reviewer", "B", "--dry-run", "--json")
    assert told["stored"] == 4
    first = read(screening, "screen", "import", name, "--reviewer", "B", "--json")
    again = read(screening, "screen", "import", name, "--reviewer", "B", "--json")
    assert (first["stored"], again["stored"], again["unchanged"]) == (4, 0, 4)


def test_records_are_written_without_the_decided_duplicates(screening):
    read(screening, "screen", "decide", "pubmed:5", "duplicate", "--stage", "duplicate", "--of", "pubmed:3", "--json")
    assert read(screening, "records", "write", "out.nbib", "--json")["written"] == 5


@pytest.mark.parametrize("what", ["duplicates", "links", "watch", "list"])
def test_tables_of_an_empty_store_are_empty_and_no_error(cli, what):
    (cli.folder / "sources.csv").write_text("source_id,kind\na,article\n")
    cli("import", "table", "sources.csv")
    code, _out, err = cli("records", what)
    assert (code, "Traceback" in err) == (0, False)
