"""The ledger is complete: whatever is asked, every row of the outcome is used or excluded, exactly once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from enthesis.evidence import bundled_evidence
from enthesis.living.review import Review
from enthesis.network.build import network_of, select
from enthesis.network.outcomes import outcomes
from enthesis.network.question import Question

MAP = Review.load("axspa").treatments
MEASURE = {"binary": "OR", "continuous": "MD", "rate": "IRR"}


def some(*values: str):
    return st.lists(st.sampled_from(values), min_size=1, unique=True).map(tuple)


@st.composite
def questions(draw) -> Question:
    asked = draw(st.sampled_from(list(outcomes().values())))
    first, last = sorted(draw(st.tuples(st.integers(0, 60), st.integers(0, 300))))
    return Question(
        id="q",
        title="t",
        outcome=asked.code,
        measure=MEASURE[draw(st.sampled_from(asked.kinds))],
        populations=draw(some("r-axSpA", "nr-axSpA", "axSpA", "RA", "PsA", "mixed")),
        line=draw(st.sampled_from(["any", "naive", "inadequate-response"])),
        unknown_line=draw(st.sampled_from(["exclude", "include"])),
        weeks=(first, last),
        target_week=draw(st.integers(first, last)),
        only_estimators=draw(st.booleans()),
        preferred_only=draw(st.booleans()),
        include_deduced=draw(st.booleans()),
        nodes=draw(st.sampled_from(["dose", "drug", "class"])),
        doses=draw(st.sampled_from(["all", "except-unlicensed", "licensed"])),
        tiers=draw(some("primary", "sensitivity", "context")),
        designs=draw(some("rct", "extension", "cohort", "pooled")),
        randomised_only=draw(st.booleans()),
    )


@settings(max_examples=300, deadline=None)
@given(question=questions())
def test_used_and_excluded_rows_are_all_rows_each_once(question):
    found = select(bundled_evidence(), question, MAP)
    assert sorted(found.used + found.excluded) == sorted(found.rows)


@settings(max_examples=150, deadline=None)
@given(question=questions())
def test_any_question_gives_a_network_or_an_empty_selection(question):
    found = select(bundled_evidence(), question, MAP)
    if found.choices:
        assert network_of(found, MAP).n_arms == sum(len(c.arms) for c in found.choices)
