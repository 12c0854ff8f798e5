"""Expressions: what they mean, and that nothing outside their grammar runs."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enthesis.assess.expressions import Draws, Probability, Scope, parse
from enthesis.errors import UsageError

VALUES = np.array([0.7, 0.9, 1.1, 1.3, 2.0])
WEIGHTS = np.array([0.1, 0.2, 0.4, 0.2, 0.1])


def draws(*_):
    return Draws(VALUES, WEIGHTS, "one")


SCOPE = Scope(
    {"OR": draws, "other": lambda: Draws(VALUES, WEIGHTS, "two"), "certainty": {"upadacitinib": "high"}.get},
    {"drug": "upadacitinib", "limit": 1.0},
)


def value(text):
    return parse(text).evaluate(SCOPE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P(OR(a, b) > 1)", 0.7),
        ("P(OR(JAKi, IL-17A/Fi) > limit)", 0.7),
        ("P(0.8 < OR(a, b) < 1.25)", 0.6),
        ("P(OR(a, b) > 1 and not OR(a, b) > 1.2)", 0.4),
        ("P(OR(a, b) < 0.8 or OR(a, b) > 1.25)", 0.4),
        ("1 - P(OR(a, b) > 1)", 0.3),
        ("2 + 3 * 4 - -1", 15.0),
        ("(2 + 3) * 4 / 2", 10.0),
        ("1e3 + .5", 1000.5),
    ],
)
def test_an_expression_has_the_value_of_its_grammar(text, expected):
    assert value(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('certainty(drug) in ("high", "moderate")', True),
        ("certainty(drug) in (high, moderate)", True),
        ("certainty(drug) == low", False),
        ("P(OR(a, b) > 1) >= 0.7 and certainty(drug) == high", True),
        ("true and not false", True),
        ("false and missing(drug)", False),
    ],
)
def test_statements_about_texts_are_true_or_false(text, expected):
    assert value(text) is expected


def test_a_probability_carries_the_monte_carlo_error_of_its_weights():
    found = value("P(OR(a, b) > 1)")
    assert isinstance(found, Probability)
    held = VALUES > 1
    assert found.mcse == pytest.approx(np.sqrt(np.sum(WEIGHTS**2 * (held - 0.7) ** 2)))


def test_draws_of_two_fits_are_not_mixed_as_if_they_were_joint():
    with pytest.raises(UsageError, match="not joint"):
        value("P(OR(a, b) > other())")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("P(OR(a, b) > )", r"at '\)' \(sign 14\)"),
        ("OR(a, b", "closing bracket is missing"),
        ("P(OR(a, b) ? 1)", r"sign 12"),
        ("1 +", "to its end"),
        ("__import__('os')", "starts like this"),
        ("OR.__class__(a)", "starts like this|not known|nothing is expected"),
        ("1 / 0", "division by zero"),
        ("ORR(a, b) > 1", "Did you mean 'OR'"),
        ("P(OR(a, b))", "true or false"),
        ("P(nothing > 1)", "text"),
        ("limt > 1", "text"),
        ("limt + 1", "Did you mean 'limit'"),
        ("OR(a, b) in (1, 2)", "single values"),
        ("(" * 200 + "1", "nested too deeply"),
        ("-" * 3000 + "1", "at most"),
        ("1e999 > 1", "sign 1.*too large"),
        ("1e308 * 10 > 1", "too large"),
        ("OR(a, b) * 1e308 * 1e308 > 1", "too large"),
        ("P(1e308 * 10 - 1e308 * 10 > 1)", "too large"),
        ("-true", "takes numbers"),
        ("(1 < 2) - true", "takes numbers"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(text, said):
    with pytest.raises(UsageError, match=said):
        value(text)


def test_an_expression_tells_what_it_calls():
    assert parse("P(OR(JAKi, placebo) > 1) > 0.5").calls() == (("P", ()), ("OR", ("JAKi", "placebo")))


def test_spacing_does_not_change_the_identity():
    assert parse("P( OR(a,b)>1 )").content_hash == parse("P(OR(a, b) > 1)").content_hash


@given(st.text(alphabet="POR(a,b)<>=!.0123456789 +-*/'\"andotrue", max_size=60))
def test_any_text_is_a_value_or_a_sentence(text):
    with contextlib.suppress(UsageError):
        assert value(text) is not None


@given(st.floats(0.5, 2.5), st.floats(0.5, 2.5))
def test_a_statement_and_its_opposite_have_probabilities_that_sum_to_one(low, high):
    a = value(f"P({low:.6f} < OR(a, b) < {high:.6f})")
    b = value(f"P(not ({low:.6f} < OR(a, b) < {high:.6f}))")
    assert a + b == pytest.approx(1.0)
