"""Outcomes as data: every code has a direction, every synonym leads back, no difference without a source."""

import pytest

from enthesis.errors import UsageError
from enthesis.evidence import bundled_evidence
from enthesis.network.measures import MEASURES
from enthesis.network.outcomes import outcome, outcomes, outcomes_table

CODES = tuple(outcomes())


@pytest.mark.parametrize("code", CODES)
def test_every_synonym_leads_to_its_outcome(code):
    assert {outcome(name).code for name in (code, *outcomes()[code].synonyms)} == {code}


@pytest.mark.parametrize("code", CODES)
def test_every_outcome_has_a_direction(code):
    assert outcomes()[code].better in ("higher", "lower")


@pytest.mark.parametrize("code", CODES)
def test_the_measure_of_every_outcome_can_be_computed_from_its_data(code):
    assert outcomes()[code].reported_as(outcomes()[code].measure) is not None


@pytest.mark.parametrize("code", CODES)
def test_a_minimally_important_difference_comes_with_its_source(code):
    found = outcomes()[code]
    assert bool(found.mid) == bool(found.mid_source)
    assert set(found.mid) <= set(MEASURES)


def test_every_code_of_the_bundled_evidence_is_known():
    assert set(bundled_evidence().outcomes.outcome) <= set(outcomes())


def test_every_bundled_row_is_of_a_kind_that_its_outcome_allows():
    pairs = bundled_evidence().outcomes[["outcome", "measure"]].drop_duplicates()
    assert all(kind in outcomes()[code].kinds for code, kind in pairs.itertuples(index=False))


def test_case_spaces_and_hyphens_of_a_name_do_not_matter():
    assert outcome(" asas-40 ").code == "ASAS40"


def test_an_unknown_outcome_names_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'ASAS40'"):
        outcome("ASAS41")


def test_the_change_outcomes_have_no_invented_difference():
    assert [o.code for o in outcomes().values() if o.kinds == ("continuous",) and o.mid] == []


def test_the_table_lists_every_outcome_once():
    assert outcomes_table()["code"].tolist() == list(CODES)
