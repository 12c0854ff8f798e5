"""Records from PubMed XML, RIS and NBIB: read whole, stored once, and nothing dropped silently."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enthesis.errors import DataError, EnthesisError, UsageError
from enthesis.evidence import Store
from enthesis.evidence.rows import TABLES
from enthesis.evidence.sources import nbib, pubmed, ris
from enthesis.evidence.sources.records import ReadRecords, store_records
from small_records import NBIB, RIS, article
from small_records import pubmed as document

FULL = article(
    "101", "A trial of <i>JAK</i><sub>1</sub> inhibition", doi="10.1000/EX.1", nct="NCT01234567",
    types="Journal Article|Retracted Publication", notices="RetractionIn=202|ErratumIn=203|UpdateIn=204|CommentIn=9",
)  # fmt: skip


def test_a_pubmed_record_is_read_with_its_registry_number_and_notices():
    (record,) = pubmed.parse(document(FULL)).records
    wanted = {
        "record_id": "pubmed:101", "database": "PubMed", "pmid": "101", "doi": "10.1000/ex.1", "nct_id": "NCT01234567",
        "title": "A trial of JAK1 inhibition", "abstract": "METHODS: Patients were randomised.", "year": "2021",
        "authors": "Example, Ann", "journal": "J Ex", "volume": "3", "pages": "10-19", "language": "eng",
        "publication_types": "Journal Article; Retracted Publication", "retracted_by": "RetractionIn PMID 202",
        "corrected_by": "ErratumIn PMID 203", "updated_by": "UpdateIn PMID 204",
        "locator": "/PubmedArticleSet/PubmedArticle[1]",
    }  # fmt: skip
    assert {key: record[key] for key in wanted} == wanted


def test_the_cells_of_every_reader_are_columns_of_the_dictionary():
    found = [pubmed.parse(document(FULL)), nbib.parse(NBIB.encode()), ris.parse(RIS.encode(), database="Embase")]
    assert {name for read in found for record in read.records for name in record} <= set(TABLES["records"].columns)


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("<PubmedArticle><MedlineCitation><PMID>5</PMID></MedlineCitation></PubmedArticle>", "no MedlineCitation with"),
        (article("x"), "is not a number"),
        (article("5", ""), "has no title"),
        ("<DeleteCitation><PMID>7</PMID><PMID>8</PMID></DeleteCitation>", "deleted these records: 7; 8"),
        ("<Surprise/>", "Surprise is not known"),
    ],
)
def test_what_pubmed_sends_and_is_no_record_is_told_with_its_place(inside, reason):
    read = pubmed.parse(document(article("1"), inside))
    assert len(read.records) == 1
    assert reason in read.unparsed[0].reason
    assert read.unparsed[0].locator.startswith("/PubmedArticleSet/")


BOMB = '<!DOCTYPE a [<!ENTITY x "{}">' + "".join(f'<!ENTITY x{i} "&x;&x;&x;&x;&x;">' for i in range(9)) + "]>"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (BOMB.format("ha").encode() + b"<PubmedArticleSet>&x8;</PubmedArticleSet>", "declares entities"),
        (BOMB.format("ha").encode("utf-16") + "<PubmedArticleSet/>".encode("utf-16-le"), "declares entities"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><PubmedArticleSet>&x;</PubmedArticleSet>', "entities"),
        (b'<!DOCTYPE a PUBLIC "-//x" "http://127.0.0.1:1/x"><PubmedArticleSet>&x;</PubmedArticleSet>', "entity &x;"),
        (b'<?xml version="1.0" encoding="UTF-7"?><PubmedArticleSet/>', "is encoded as UTF-7"),
        (b"<PubmedArticleSet>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</PubmedArticleSet>", "cannot be read as XML"),
        (document(FULL)[:-60], "cannot be read as XML"),
        (b"", "cannot be read as XML"),
        (b"PK\x03\x04", "cannot be read as XML"),
        (b"<html/>", "is not PubMed XML"),
        ("<PubmedArticleSet>ä</PubmedArticleSet>".encode("latin-1"), "cannot be read as XML"),
    ],
    ids=["bomb", "bomb in UTF-16", "external entity", "external type", "UTF-7", "deep", "cut", "empty", "zip", "html",
         "wrong encoding"],
)  # fmt: skip
def test_hostile_or_broken_xml_is_refused_in_a_sentence(content, what):
    with pytest.raises(DataError, match=what):
        pubmed.parse(content, "x.xml")


def test_a_ris_record_is_read_over_its_broken_lines():
    first, second = ris.parse(RIS.encode(), database="Embase").records
    assert first["abstract"] == "Patients were randomised and followed. IL-17 was measured."
    assert (first["record_id"], first["doi"], first["nct_id"]) == ("embase:L100", "10.1000/ex.1", "NCT01234567")
    assert (first["authors"], first["pages"], second["year"]) == ("Example, Ann; Other, Bo", "10-19", "2019")


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + RIS.encode(), RIS.encode("utf-16"), RIS.replace("\n", "\r\n").encode(), RIS.encode("cp1252")],
    ids=["BOM", "UTF-16", "CRLF", "Windows-1252"],
)
def test_a_ris_file_is_read_in_the_encodings_of_the_wild(content):
    wanted = ris.parse(RIS.encode(), database="Embase").records
    assert ris.parse(content, database="Embase").records == wanted


def test_letters_of_windows_are_read_and_said_so():
    read = ris.parse(RIS.replace("Bo", "Bó").encode("cp1252"), database="Embase")
    assert "Other, Bó" in read.records[0]["authors"]
    assert "windows-1252" in read.notes[0]


def test_a_cut_ris_record_is_told_and_not_taken():
    read = ris.parse(RIS.encode()[:-20], database="Embase")
    assert len(read.records) == 1
    assert "has no end (ER)" in read.unparsed[0].reason


def test_a_ris_file_that_does_not_say_its_database_asks_for_it():
    with pytest.raises(UsageError, match="--database"):
        ris.parse(RIS.encode())


@pytest.mark.parametrize("reader", [ris.parse, nbib.parse])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04x", b"%PDF-1.7", b"a\x00b", b"\xff\xfea"])
def test_a_file_of_another_kind_is_refused(reader, content):
    with pytest.raises(DataError):
        reader(content, "x")


def test_an_nbib_record_says_what_the_xml_says():
    retracted, notice = nbib.parse(NBIB.encode()).records
    assert retracted["retracted_by"] == "RetractionIn PMID 202"
    assert notice["notice_of"] == "RetractionOf PMID 101"
    assert (retracted["title"], retracted["nct_id"]) == ("A trial of a drug in a long title.", "NCT01234567")


def test_what_is_written_as_nbib_is_read_back():
    records = pubmed.parse(document(FULL, article("7"))).records
    text, left = nbib.write(records)
    read = nbib.parse(text.encode()).records
    dropped = {"locator"}
    assert left == 0
    assert [{k: v for k, v in r.items() if v and k not in dropped} for r in read] == [
        {k: v for k, v in r.items() if v and k not in dropped} for r in records
    ]


LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs",))
WORDS = st.text(LETTERS, min_size=1, max_size=60)


@settings(deadline=None)
@given(title=WORDS, abstract=WORDS, accession=st.text("AL0123", min_size=1, max_size=9))
def test_no_text_of_a_record_breaks_out_of_its_field(title, abstract, accession):
    record = {"record_id": f"embase:{accession}", "database": "Embase", "title": f"x {title}", "abstract": abstract,
              "year": "2020"}  # fmt: skip
    read = ris.parse(ris.write([record]).encode(), database="Embase")
    assert [r["record_id"] for r in read.records] == [record["record_id"]]
    assert read.unparsed == ()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60, deadline=None)
@given(data=st.data(), reader=st.sampled_from([pubmed.parse, nbib.parse, ris.parse]))
def test_damaged_bytes_give_records_or_a_sentence(data, reader):
    whole = {pubmed.parse: document(FULL), nbib.parse: NBIB.encode(), ris.parse: RIS.encode()}[reader]
    raw = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 5))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = reader(bytes(raw), "x", **({"database": "Embase"} if reader is ris.parse else {}))
    except EnthesisError:
        return
    with Store.open(":memory:") as store:
        report = store_records(store, read, extractor="test")
    assert report.read == report.added.stored + report.repeated + len(report.unparsed) - len(read.unparsed)


def test_the_same_records_again_add_nothing():
    read = pubmed.parse(document(FULL, article("7")), "a.xml")
    with Store.open(":memory:") as store:
        first = store_records(store, read, extractor="test")
        again = store_records(store, read, extractor="test")
        assert store.get_bytes(first.document) == read.content
    assert (first.added.stored, again.added.stored, again.added.unchanged) == (2, 0, 2)
    assert again.snapshot == first.snapshot


def test_a_changed_record_supersedes_and_keeps_the_search_that_found_it():
    search = {"search_id": "s1", "kind": "database", "database": "PubMed", "query": "jak", "found": "1"}
    with Store.open(":memory:") as store:
        store_records(store, pubmed.parse(document(article("7")), "a.xml"), extractor="test", search=search)
        changed = pubmed.parse(document(article("7", notices="RetractionIn=9")), "b.xml")
        report = store_records(store, changed, extractor="test", search=search | {"search_id": "s2"})
        (record,) = store.evidence().table("records").to_dict("records")
    assert report.added.superseded == 1
    assert (record["search_id"], record["retracted_by"]) == ("s1", "RetractionIn PMID 9")


def test_a_retraction_is_not_forgotten_when_a_poorer_file_is_read_later():
    """RIS has no notices."""
    with Store.open(":memory:") as store:
        store_records(store, pubmed.parse(document(FULL)), extractor="test")
        (known,) = store.evidence().table("records").to_dict("records")
        poor = ris.parse(b"TY  - JOUR\nTI  - A new title\nAN  - 101\nER  - \n", database="PubMed")
        report = store_records(store, poor, extractor="test")
        (record,) = store.evidence().table("records").to_dict("records")
    assert (report.added.superseded, record["title"]) == (1, "A new title")
    assert record["retracted_by"] == known["retracted_by"] != ""


def test_a_correction_by_a_person_stands_until_the_source_says_something_else():
    read = pubmed.parse(document(article("7", "Printed title")), "a.xml")
    with Store.open(":memory:") as store:
        store_records(store, read, extractor="test")
        (fact,) = store.evidence().facts
        store.supersede(fact.id, {**fact.cells(), "title": "Right title"}, extractor="A", reason="misprint")
        assert store_records(store, read, extractor="test").added.unchanged == 1
        assert store.evidence().table("records").title.tolist() == ["Right title"]


def test_a_dry_run_says_the_same_and_stores_nothing():
    read = pubmed.parse(document(FULL), "a.xml")
    with Store.open(":memory:") as store:
        report = store_records(store, read, extractor="test", dry_run=True)
        assert (report.added.stored, store.snapshot().number) == (1, 0)


def test_a_record_that_the_dictionary_refuses_is_told():
    read = ReadRecords("a", b"", ({"record_id": "a b", "kind": "database", "database": "X", "title": "t"},))
    with Store.open(":memory:") as store:
        report = store_records(store, read, extractor="test")
    assert "is not a key" in report.unparsed[0].reason


def test_numbers_of_a_library_are_no_numbers_of_a_database():
    first, second = (
        ris.parse(f"TY  - JOUR\nID  - 1\nTI  - {title}\nER  - \n".encode(), database="Embase")
        for title in ("A trial", "Quite another trial")
    )
    with Store.open(":memory:") as store:
        added = [store_records(store, found, extractor="t").added for found in (first, second)]
    assert [(a.stored, a.superseded) for a in added] == [(1, 0), (1, 0)]


def test_two_records_of_one_number_in_a_file_are_told():
    content = b"PMID- 7\nTI  - A trial\n\nPMID- 7\nTI  - A Trial.\n\nPMID- 7\nTI  - Quite another trial\n"
    with Store.open(":memory:") as store:
        report = store_records(store, nbib.parse(content), extractor="t")
    assert (report.added.stored, report.repeated) == (1, 1)
    assert [(u.locator, "'A trial'" in u.reason) for u in report.unparsed] == [("line 7", True)]


def test_a_pmid_in_other_digits_is_told():
    found = nbib.parse("PMID- ١٢\nTI  - A trial\n".encode())
    assert not found.records
    assert "is not a number" in found.unparsed[0].reason
