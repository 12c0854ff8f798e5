"""PRISMA: every count follows from facts or a stated number, what is unknown stays empty, the checklist is whole."""

import csv
import io
import json
from types import SimpleNamespace

import pytest

from enthesis.assess.prisma import KEYS, Settings, flow, read_settings
from enthesis.cli.main import run
from enthesis.errors import DataError
from enthesis.evidence import Store, bundled_evidence
from enthesis.evidence.screening import decide
from enthesis.living.prisma import counted
from enthesis.living.review import Review
from enthesis.report.plots import prisma_flow
from enthesis.report.prisma import as_json, boxes, limits, messages, sections, to_csv
from enthesis.report.prisma_checklist import Report, checklist
from enthesis.report.render.svg import draw, inline
from enthesis.report.values import Link

#: the keys of the package's own file
PACKAGE = {
    "previous_studies", "previous_reports", "database_results", "register_results", "website_results",
    "organisation_results", "citations_results", "duplicates", "excluded_automatic", "excluded_other",
    "records_screened", "records_excluded", "dbr_sought_reports", "dbr_notretrieved_reports", "other_sought_reports",
    "other_notretrieved_reports", "dbr_assessed", "dbr_excluded", "other_assessed", "other_excluded", "new_studies",
    "new_reports", "total_studies", "total_reports",
}  # fmt: skip


def record(store, id, kind="database", database="Embase", **more):
    cells = {"record_id": id, "kind": kind, "database": database, "title": f"Title {id}", **more}
    store.append("records", cells, extractor="test")


def judged(store, id, decision, stage="title-abstract", **more):
    decide(store, id, decision, reviewer="A", reason="test", stage=stage, **more)


@pytest.fixture
def screened():
    """Ten records: seven of databases, one of a register, two by citations; decisions at every stage."""
    with Store.open(":memory:") as store:
        for at in range(7):
            record(store, f"e:{at}")
        record(store, "r:1", "register", "CTGOV")
        record(store, "c:1", "citations", "Citations")
        record(store, "c:2", "citations", "Citations")
        judged(store, "e:6", "duplicate", "duplicate", of="e:0")
        judged(store, "e:5", "exclude", "automatic")
        for id in ("e:0", "e:1", "e:2", "r:1"):
            judged(store, id, "include")
        judged(store, "e:3", "exclude")
        judged(store, "e:2", "not-retrieved", "retrieval")
        judged(store, "e:0", "include", "full-text")
        judged(store, "e:1", "exclude", "full-text", exclusion="study-design")
        judged(store, "r:1", "exclude", "full-text", exclusion="no-results")
        judged(store, "c:1", "exclude", "full-text", exclusion="outcome")
        yield store


WANTED = {
    "database_results": 7, "register_results": 1, "citations_results": 2, "duplicates": 1, "excluded_automatic": 1,
    "records_screened": 5, "records_excluded": 1, "dbr_sought_reports": 4, "dbr_notretrieved_reports": 1,
    "dbr_assessed": 3, "dbr_excluded": 2, "other_sought_reports": 2, "other_notretrieved_reports": 0,
    "other_assessed": 1, "other_excluded": 1,
}  # fmt: skip


def test_counts_follow_from_records_and_decisions(screened):
    found = flow(screened.evidence())
    assert {key: found[key].n for key in WANTED} == WANTED
    assert found.reasons == (("no results", 1), ("study design", 1))
    assert found.other_reasons == (("outcome", 1),)


def test_no_record_is_lost_between_the_boxes(screened):
    found = flow(screened.evidence())
    n = {key: found[key].n for key in KEYS}
    waiting = 1  # e:4, on which nobody decided
    assert n["database_results"] + n["register_results"] == (
        n["duplicates"] + n["excluded_automatic"] + n["records_screened"] + waiting
    )
    assert n["records_screened"] == n["records_excluded"] + n["dbr_sought_reports"]
    assert n["dbr_sought_reports"] == n["dbr_notretrieved_reports"] + n["dbr_assessed"]
    assert any("1 records wait" in note for note in found.notes)


def test_a_difference_between_reviewers_is_screened_and_neither_in_nor_out(screened):
    decide(screened, "e:3", "include", reviewer="B", reason="test")
    found = flow(screened.evidence())
    assert (found["records_excluded"].n, found["dbr_sought_reports"].n) == (0, 4)
    assert any("no consensus" in note for note in found.notes)


def test_without_records_nothing_about_the_search_is_claimed():
    found = flow(bundled_evidence())
    known = {count.key for count in found.counts if count.n is not None}
    assert known == {"new_studies", "new_reports", "total_studies", "total_reports"}
    assert all(found[key].source == "unknown" for key in WANTED)


def test_a_trial_reported_by_populations_is_one_study():
    studies = [("T", ""), ("T-r", "T"), ("T-nr", "T"), ("U", "")]
    with Store.open(":memory:") as store:
        for id, whole in studies:
            cells = {"study_id": id, "design": "rct", "population": "axSpA", "part_of": whole, "source_id": "s"}
            store.append("studies", cells, extractor="t")
        for id in ("T-r", "T-nr"):
            cells = {"study_id": id, "arm_id": "a", "subgroup": "all", "outcome": "ASAS40", "measure": "binary",
                     "source_id": "s; t", "locator": "x", "check": "one-source", "preferred": "yes"}  # fmt: skip
            store.append("outcomes", cells, extractor="t")
        found = flow(store.evidence(), networks={"T-r", "T-nr"})
    assert (found["new_studies"].n, found["new_reports"].n, found["total_studies_ma"].n) == (1, 2, 1)


def test_a_stated_number_fills_a_gap_with_its_author_and_never_replaces_a_fact(screened):
    said = {"n": 99, "by": "A. Reader", "reason": "log of the search"}
    stated = [said | {"key": key} for key in ("excluded_other", "duplicates")]
    found = flow(screened.evidence(), settings=Settings(stated=stated))
    assert (found["excluded_other"].n, found["excluded_other"].source) == (99, "stated")
    assert "A. Reader" in found["excluded_other"].why
    assert found["duplicates"].n == 1
    assert any("is not used, since the facts tell 1" in note for note in found.notes)


def test_studies_of_an_earlier_version_are_counted_apart():
    stated = [{"key": "previous_studies", "n": 23, "by": "A", "reason": "first version"}]
    found = flow(bundled_evidence(), settings=Settings(stated=stated))
    assert found["new_studies"].n == found["total_studies"].n - 23


def test_a_search_that_found_more_than_is_stored_is_said(screened):
    search = {"search_id": "s1", "kind": "database", "database": "Embase", "found": "12", "query": "x"}
    screened.append("searches", search, extractor="t")
    assert any("s1 found 12 records; 0 are stored" in note for note in flow(screened.evidence()).notes)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("notes = 3", "notes"),
        ("[[stated]]\nkey = 'records'\nn = 1\nby='a'\nreason='b'", "stated.0.key"),
        ("[[stated]]\nkey = 'duplicates'\nn = -1\nby='a'\nreason='b'", "stated.0.n"),
        ("[[stated]]\nkey = 'duplicates'\nn = 1\nby='a'", "reason"),
        ("surprise = 1", "surprise"),
        ("a = ", "is not TOML"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, text, what):
    path = tmp_path / "prisma.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=what):
        read_settings(path)


# The diagram and the file


def test_the_file_has_the_columns_and_keys_of_the_package(screened):
    rows = list(csv.DictReader(io.StringIO(to_csv(flow(screened.evidence())))))
    assert list(rows[0]) == ["data", "node", "box", "description", "boxtext", "tooltips", "url", "n"]
    told = {row["data"]: row["n"] for row in rows if row["data"] != "NA"}
    assert set(told) == PACKAGE
    assert (told["database_results"], told["dbr_excluded"]) == ("7", "no results, 1; study design, 1")


def test_an_unknown_number_is_an_empty_cell_and_not_a_zero():
    rows = list(csv.DictReader(io.StringIO(to_csv(flow(bundled_evidence())))))
    told = {row["data"]: row["n"] for row in rows}
    assert (told["database_results"], told["records_excluded"], told["new_studies"]) == ("", "", "123")


@pytest.mark.parametrize("known", [True, False])
def test_the_diagram_draws_and_says_every_box(screened, known):
    table = boxes(flow(screened.evidence() if known else bundled_evidence()))
    chart = prisma_flow.chart(table)
    chart.to_dict(validate=True)
    svg, width, height = inline(draw(lambda: chart), "a", "words")
    assert all(f">{title}<" in svg for title in table["title"])
    assert (400 < width < 1100, 300 < height < 1000) == (True, True)
    said = prisma_flow.alt_text(table)
    assert ("Records screened: not recorded" in said) is not known
    assert said.endswith(".")


def test_other_methods_have_a_column_only_when_there_are_any(screened):
    assert 2 in set(boxes(flow(screened.evidence()))["column"])
    assert 2 not in set(boxes(flow(bundled_evidence()))["column"])


def test_many_reasons_stay_inside_their_box(screened):
    reasons = tuple((f"a long reason of exclusion that needs more than one line {i}", 1) for i in range(12))
    table = boxes(flow(screened.evidence()))
    table.loc[table["box"] == "full-text", "text"] += "".join(f"\n{word}" for word, _ in reasons)
    placed = prisma_flow._placed(table)
    box = placed[placed["box"] == "full-text"].iloc[0]
    assert box["told"].count("\n") >= 24
    assert placed.loc[placed["row"] == 4, "y"].min() > box["y2"]


# The checklist

NUMBERS = [*map(str, range(1, 12)), "S1", *map(str, range(12, 15)), "S2", *map(str, range(15, 18)), "S3", "S4",
           *map(str, range(18, 22)), "S5", *map(str, range(22, 28))]  # fmt: skip


def items(value=None, **more):
    return checklist(value or flow(bundled_evidence()), Report(**({"main": ("q", "Q")} | more)))


def test_the_checklist_has_the_32_items_in_the_order_of_the_statement():
    assert [item.number for item in items()] == NUMBERS
    assert len(NUMBERS) == 32


def test_every_item_is_answered_or_asks_a_person():
    assert [i.number for i in items() if not (i.needs or i.places)] == []


@pytest.mark.parametrize("number", ["1", "3", "5", "27"])
def test_what_only_a_person_can_say_has_no_place_in_the_report(number):
    assert next(i for i in items() if i.number == number).state == "by a person"


def test_a_part_that_the_report_does_not_have_answers_no_item():
    with_it, without = items(parts=frozenset({"certainty"})), items()
    assert next(i for i in with_it if i.number == "S5").state == "by the software"
    assert next(i for i in without if i.number == "S5").state == "by a person"


def test_the_search_is_answered_only_when_it_is_in_the_store(screened):
    assert next(i for i in items() if i.number == "8").state == "by a person"
    screened.append("searches", {"search_id": "s", "kind": "database", "database": "X"}, extractor="t")
    found = items(flow(screened.evidence()))
    assert next(i for i in found if i.number == "8").state == "in part"


def test_a_persons_answer_stands_in_its_item():
    found = items(answers={"5": "Registered as X"})
    assert next(i for i in found if i.number == "5").answer == "Registered as X"


# In the report


@pytest.fixture
def small_run(screened):
    """A run without answers: what the part reads of one."""
    return SimpleNamespace(
        evidence=screened.evidence(), review=Review.load("axspa"), answers=(), parts={}, main=None
    )  # fmt: skip


def test_the_chapter_says_what_is_not_known():
    value, _ = counted(Review.load("axspa"), networks=False)
    made = SimpleNamespace(evidence=bundled_evidence(), review=Review.load("axspa"), answers=(), parts={}, main=None)
    (chapter,) = sections(value, made, ())
    warning = chapter.sections[0].blocks[0]
    assert warning.kind == "warning"
    assert "records from databases" in str(warning.parts)
    (limit,) = limits(value, made, ())
    assert "not recorded" in "".join(p if isinstance(p, str) else p.text for p in limit)


def test_a_recorded_search_is_no_limit(screened, small_run):
    assert limits(flow(screened.evidence()), small_run, ()) == ()


def test_results_json_meets_its_schema(screened, small_run, monkeypatch):
    import jsonschema

    from enthesis.report.render.json import schema

    monkeypatch.setattr("enthesis.report.tables.readings", lambda run: ())
    told = as_json(flow(screened.evidence()), small_run)
    jsonschema.validate(told["prisma"], schema()["properties"]["prisma"])


def test_a_retracted_source_is_a_key_message_with_its_rows(small_run):
    with Store.open(":memory:") as store:
        store.append("sources", {"source_id": "p", "kind": "article", "title": "A paper", "pmid": "7"}, extractor="t")
        study = {"study_id": "X-1", "design": "rct", "population": "r-axSpA", "source_id": "p"}
        store.append("studies", study, extractor="t")
        record(store, "pubmed:7", database="PubMed", pmid="7", retracted_by="RetractionIn PMID 8")
        value = flow(store.evidence())
    (message,) = messages(value, small_run, ())
    assert "".join(p if isinstance(p, str) else p.text for p in message) == (
        "Retracted source. A paper. It carries 1 row of X-1."
    )
    (chapter,) = sections(value, small_run, ())
    table = next(s for s in chapter.sections if s.id == "prisma.watch").blocks[1]
    assert [cell.text for cell in table.rows[0].cells][:4] == ["retracted", "A paper", "RetractionIn PMID 8", "X-1"]


def test_every_link_of_the_checklist_leads_to_a_section_of_the_report():
    from dataclasses import replace

    from enthesis.living.parts import PARTS
    from enthesis.living.review import run_review
    from enthesis.report.document import review_document

    if "prisma" not in {part.name for part in PARTS}:
        pytest.fail("prisma is no part of a review")
    review = Review.load("axspa")
    made = run_review(replace(review, main_question="asas40-nr"), only=["asas40-nr", "asas40-nr-naive"],
                      parts=("prisma",), roles=("primary",))  # fmt: skip
    document = review_document(made)
    ids = {section.id for section in document.walk()}
    table = next(s for s in document.walk() if s.id == "prisma.checklist").blocks[1]
    targets = {part.to[1:] for row in table.rows for part in row.cells[2].parts if isinstance(part, Link)}
    assert targets - ids == set()
    assert len(targets) > 10


def test_every_part_of_a_review_has_its_chapter_under_the_name_that_the_checklist_gives():
    from pathlib import Path

    import enthesis.report
    from enthesis.living.parts import PARTS as OF_REVIEW
    from enthesis.report.prisma_checklist import PARTS

    source = "".join(p.read_text() for p in Path(enthesis.report.__file__).parent.glob("*.py"))
    assert {part.name for part in OF_REVIEW} - {"prisma"} == set(PARTS)
    assert [p for p, (title, to) in PARTS.items() if f'Section(id="{to[1:]}", title="{title}"' not in source] == []


# The command


@pytest.fixture
def prisma(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        with pytest.raises(SystemExit) as stop:
            run(["prisma", *words])
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return call


def test_the_command_writes_page_file_and_document(prisma, tmp_path):
    code, out, err = prisma(
        "axspa", "--no-networks", "--json", "--html", "p.html", "--csv", "p.csv", "--docx", "p.docx"
    )
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert len(told["checklist"]) == 32
    assert {c["key"]: c["n"] for c in told["counts"]}["database_results"] is None
    page = (tmp_path / "p.html").read_text()
    assert "PRISMA-NMA checklist" in page
    assert 'href="#q-' not in page
    assert (tmp_path / "p.csv").read_text().startswith("data,node,box")
    from docx import Document

    word = Document(tmp_path / "p.docx")
    assert (len(word.tables[0].rows), len(word.inline_shapes)) == (33, 1)


def test_the_command_counts_a_store(prisma, tmp_path):
    with Store.open(tmp_path / "s.sqlite") as store:
        record(store, "e:1")
    _code, out, _err = prisma("axspa", "--store", "s.sqlite", "--no-networks", "--json")
    assert {c["key"]: c["n"] for c in json.loads(out)["counts"]}["database_results"] == 1


def test_a_wrong_ending_is_refused(prisma):
    code, _out, err = prisma("axspa", "--docx", "p.pdf")
    assert code == 2
    assert "must end in .docx" in err
