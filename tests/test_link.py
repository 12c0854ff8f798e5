"""Duplicates, reports of studies, and the watch on retractions: proposed with a reason, decided by people."""

import pytest

from enthesis.evidence import Store
from enthesis.evidence.link import duplicates, kept_records, report_links
from enthesis.evidence.sources import pubmed
from enthesis.evidence.sources.records import store_records
from enthesis.evidence.watch import watch
from small_records import article
from small_records import pubmed as document

STUDY = {"study_id": "EXAMPLE-1", "nct_id": "NCT01234567", "design": "rct", "population": "r-axSpA",
         "n_randomised": "269", "source_id": "paper2020"}  # fmt: skip
SOURCE = {"source_id": "paper2020", "kind": "article", "title": "Examplinib in active spondylitis: a randomised trial",
          "pmid": "501", "doi": "10.1000/paper"}  # fmt: skip
ARM = {"study_id": "EXAMPLE-1", "arm_id": "drug", "treatment": "examplinib", "drug_class": "JAKi",
       "source_id": "paper2020"}  # fmt: skip
RESULT = {"study_id": "EXAMPLE-1", "arm_id": "drug", "subgroup": "all", "outcome": "ASAS40", "week": "12",
          "measure": "binary", "events": "5", "n": "10", "source_id": "paper2020; other2021", "locator": "Table 1",
          "check": "one-source", "preferred": "yes"}  # fmt: skip


@pytest.fixture
def store():
    with Store.open(":memory:") as made:
        for name, cells in (("sources", SOURCE), ("studies", STUDY), ("arms", ARM), ("outcomes", RESULT)):
            made.append(name, cells, extractor="test")
        yield made


def add(store, *records, **more):
    """Records with only the cells that matter; `more` are articles of PubMed."""
    for at, cells in enumerate(records):
        whole = {"record_id": f"embase:{at}", "kind": "database", "database": "Embase", "title": "A title"} | cells
        store.append("records", whole, extractor="test")
    if more:
        store_records(store, pubmed.parse(document(*more["articles"])), extractor="test")
    return store.evidence()


def test_the_same_doi_is_a_certain_duplicate_and_pubmed_is_kept(store):
    evidence = add(
        store,
        {"record_id": "pubmed:7", "pmid": "7", "doi": "10.1/a", "title": "Drug A in disease"},
        {"record_id": "embase:1", "doi": "10.1/A", "title": "Drug A in disease."},
    )
    (found,) = duplicates(evidence)
    assert (found.record, found.other, found.certainty) == ("embase:1", "pubmed:7", "certain")


def test_one_doi_of_a_supplement_with_different_titles_is_only_possible(store):
    evidence = add(
        store,
        {"record_id": "a:1", "doi": "10.1/s", "title": "Knee pain after surgery"},
        {"record_id": "a:2", "doi": "10.1/s", "title": "Uveitis under examplinib: pooled trials"},
    )
    assert [d.certainty for d in duplicates(evidence)] == ["possible"]


@pytest.mark.parametrize(
    ("a", "b", "certainty"),
    [
        ({"title": "Examplinib in spondylitis: week 52 results", "year": "2020"},
         {"title": "Examplinib in spondylitis - Week 52 results.", "year": "2021"}, "probable"),
        ({"title": "Examplinib in spondylitis: week 52 results", "year": "2015"},
         {"title": "Examplinib in spondylitis: week 52 results", "year": "2021"}, None),
        ({"title": "Efficacy of examplinib in active spondylitis over 52 weeks", "authors": "Ott, A"},
         {"title": "Efficacy of examplinib in active spondylitis over 104 weeks", "authors": "Ott, B"}, "possible"),
        ({"title": "Examplinib in spondylitis"}, {"title": "Surgery of the knee"}, None),
        ({"title": "Examplinib", "pmid": "1"}, {"title": "Examplinib", "pmid": "2"}, None),
    ],
    ids=["typography", "years apart", "one word apart", "other", "two PMIDs"],
)  # fmt: skip
def test_titles_make_a_duplicate_probable_at_most(store, a, b, certainty):
    found = duplicates(add(store, a, b))
    assert [d.certainty for d in found] == ([certainty] if certainty else [])


def decision(store, record, other, verdict, stage="duplicate"):
    cells = {"subject": record, "stage": stage, "decision": verdict, "of": other, "reviewer": "A"}
    store.judge("decisions", cells, author="A", reason="looked at both")


def test_what_a_person_decided_is_not_proposed_again(store):
    add(store, {}, {})
    decision(store, "embase:1", "embase:0", "distinct")
    assert duplicates(store.evidence()) == ()
    assert len(duplicates(store.evidence(), decided=True)) == 1


def test_duplicates_of_duplicates_stand_behind_one_record(store):
    add(store, {}, {}, {})
    decision(store, "embase:1", "embase:0", "duplicate")
    decision(store, "embase:2", "embase:1", "duplicate")
    assert set(kept_records(store.evidence()).values()) == {"embase:0"}


def test_a_circle_of_decisions_leaves_one_record(store):
    add(store, {}, {})
    decision(store, "embase:1", "embase:0", "duplicate")
    decision(store, "embase:0", "embase:1", "duplicate")
    assert len(set(kept_records(store.evidence()).values())) == 1


def test_a_later_decision_on_a_pair_replaces_the_earlier_one(store):
    add(store, {}, {})
    decision(store, "embase:1", "embase:0", "duplicate")
    decision(store, "embase:0", "embase:1", "distinct")
    assert kept_records(store.evidence()) == {"embase:0": "embase:0", "embase:1": "embase:1"}


@pytest.mark.parametrize(
    ("cells", "certainty", "reason"),
    [
        ({"nct_id": "NCT01234567"}, "certain", "registered as NCT01234567"),
        ({"abstract": "See NCT01234567."}, "probable", "NCT01234567 is named in the text"),
        ({"pmid": "501"}, "certain", "PMID of its source paper2020"),
        ({"doi": "10.1000/PAPER"}, "certain", "DOI of its source paper2020"),
        ({"title": "Examplinib in active spondylitis: a randomised trial."}, "probable", "the title of its source"),
        ({"title": "Week 52 of EXAMPLE-1", "abstract": "All 269 patients"}, "probable", "its 269 patients"),
        ({"title": "Week 52 of EXAMPLE-1"}, "possible", "its name is in the text"),
        ({"title": "Examplinib and uveitis", "abstract": "Of 269 patients"}, "possible", "examplinib in the title"),
    ],
)
def test_a_report_is_linked_to_its_study_with_the_reason(store, cells, certainty, reason):
    (link,) = report_links(add(store, cells))
    assert (link.study, link.certainty) == ("EXAMPLE-1", certainty)
    assert reason in link.reason


@pytest.mark.parametrize(
    "cells", [{}, {"nct_id": "NCT99999999"}, {"title": "Examplinib", "abstract": "in 26 patients"}]
)
def test_a_report_of_something_else_is_linked_to_nothing(store, cells):
    assert report_links(add(store, cells)) == ()


def test_a_registry_number_that_two_studies_share_is_certain_for_neither(store):
    store.append("studies", STUDY | {"study_id": "EXAMPLE-2"}, extractor="test")
    links = report_links(add(store, {"nct_id": "NCT01234567"}))
    assert {link.certainty for link in links} == {"probable"}
    assert "which 2 studies share" in links[0].reason


def test_a_decided_link_is_not_proposed_again(store):
    add(store, {"pmid": "501"})
    decision(store, "embase:0", "EXAMPLE-1", "report-of", "study")
    assert report_links(store.evidence()) == ()


@pytest.mark.parametrize(
    ("notice", "kind"),
    [("RetractionIn", "retracted"), ("ExpressionOfConcernIn", "expression of concern"), ("ErratumIn", "corrected"),
     ("UpdateIn", "updated")],
)  # fmt: skip
def test_a_notice_names_the_source_and_every_row_that_rests_on_it(store, notice, kind):
    evidence = add(store, articles=[article("501", notices=f"{notice}=502")])
    (found,) = watch(evidence).notices
    assert (found.kind, found.source, found.studies) == (kind, "paper2020", ("EXAMPLE-1",))
    assert set(evidence.outcomes.result_id) < set(found.rows)
    assert f"{notice} PMID 502" in found.told


def test_the_record_of_a_retraction_notice_is_enough(store):
    evidence = add(store, articles=[article("502", notices="RetractionOf=501", types="Retraction Notice")])
    assert [n.kind for n in watch(evidence).notices] == ["retracted"]


def test_a_comment_is_no_notice(store):
    found = watch(add(store, articles=[article("501", notices="CommentIn=502")]))
    assert (found.notices, found.watched, found.unwatched) == ((), 1, ())


def test_sources_without_a_record_are_named_as_unwatched(store):
    assert watch(store.evidence()).unwatched == ("paper2020",)
