"""Licences and guideline positions are read by the wording that the review states, and nothing is guessed."""

from __future__ import annotations

import pytest

from enthesis.assess.licence import Position, Wording, indication_terms, licence, positions
from enthesis.assess.place_settings import read_settings
from enthesis.evidence import bundled_evidence, bundled_folder

READ = Wording(licensed=("approved",), recommended=("NICE recommended",), refused=("not approved",),
               after_biologic=("after TNF",), measures=("measures in force",), dropped=("(current)",))  # fmt: skip


def row(**cells):
    return {"drug": "drug", "drug_class": "JAKi", "region": "EU", "indication": "AS", "status": "approved",
            "date": "2020", "line_restriction": "", "source_id": "s1;s2", "fact": "row 2", **cells}  # fmt: skip


def read(*rows, drug="drug", line="naive", general=()):
    return licence(rows, drug, "JAKi", indications=["AS"], line=line, wording=READ, general=general)


def test_an_approval_without_restriction_is_for_this_line():
    assert read(row()).at("EU") == "this line"


def test_an_approval_after_a_biologic_is_for_a_later_line_before_one():
    restricted = row(line_restriction="Adults after TNF blockers")
    assert read(restricted).at("EU") == "later line"


def test_an_approval_after_a_biologic_is_for_this_line_after_one():
    restricted = row(line_restriction="Adults after TNF blockers")
    assert read(restricted, line="inadequate-response").at("EU") == "this line"


def test_over_all_regions_the_one_that_allows_most_counts():
    assert read(row(line_restriction="after TNF", region="US"), row()).at() == "this line"


def test_a_region_without_a_row_is_not_stated():
    assert read(row()).at("US") == "not stated"


def test_another_indication_says_nothing():
    assert read(row(indication="nr-axSpA")).rows == ()


def test_a_status_that_no_wording_matches_decides_nothing():
    assert read(row(status="review opened")).rows == ()


def test_a_drug_with_its_code_in_brackets_is_the_drug():
    assert read(row(drug="drug (X-1)")).at("EU") == "this line"


def test_two_drugs_in_one_cell_are_neither():
    assert read(row(drug="drug and other")).rows == ()


def test_a_measure_on_the_class_reaches_its_drugs():
    measure = row(drug="JAK inhibitors (class)", status="measures in force", indication="all uses")
    found = read(row(), measure, general=["all uses"])
    assert len(found.measures) == 1
    assert found.at("EU") == "this line"


def test_a_measure_on_another_drug_does_not():
    measure = row(drug="other", status="measures in force")
    assert read(measure).measures == ()


def test_a_refusal_is_told_as_one():
    assert read(row(status="not approved")).in_words() == "not licensed (not approved) in EU"


def test_a_body_that_decides_on_payment_recommends_and_does_not_license():
    assert read(row(region="UK", status="NICE recommended (TA1)")).in_words() == "recommended at this line in UK"


def test_an_indication_in_brackets_stays_one_with_its_brackets():
    assert indication_terms("RA, PsA (AS text not visible)") == {"RA", "PsA (AS text not visible)"}


def test_a_position_without_its_statement_in_the_evidence_is_left_out():
    stated = Position(guideline="G", statement_id="1", lines=("naive",), of=("JAKi",), position="first", words="first")
    assert positions([stated], []) == ()


def test_a_position_carries_the_row_behind_it():
    stated = Position(guideline="G", statement_id="1", lines=("naive",), of=("JAKi",), position="first", words="first")
    rows = [{"guideline": "G", "statement_id": "1", "statement": "JAKi first", "year": 2020.0, "source_id": "s",
             "fact": "guidelines.csv:row 3"}]  # fmt: skip
    found = positions([stated], rows)[0]
    assert (found.fact, found.year, found.sources) == ("guidelines.csv:row 3", "2020", ("s",))


@pytest.fixture(scope="module")
def settings():
    return read_settings(bundled_folder().parent / "place.toml")


def test_every_position_of_the_flagship_has_its_statement(settings):
    rows = bundled_evidence().guidelines.assign(fact="x").to_dict("records")
    assert len(positions(settings.positions, rows)) == len(settings.positions)


@pytest.mark.parametrize(
    ("cell", "region", "line"),
    [("r-naive", "EU", "this line"), ("r-naive", "US", "later line"), ("r-after", "US", "this line"),
     ("nr-naive", "CA", "later line"), ("nr-naive", "CN", "this line")],
)  # fmt: skip
def test_the_flagship_reads_a_licence_as_its_row_says(settings, cell, region, line):
    """Rows of upadacitinib in regulatory.csv, read by a person."""
    rows = bundled_evidence().regulatory.assign(fact="x").to_dict("records")
    where = settings.cell(cell)
    found = licence(rows, "upadacitinib", "JAKi", indications=where.indications, line=where.line,
                    wording=settings.wording, general=settings.general)  # fmt: skip
    assert found.at(region) == line
