"""Anchors, addresses and words: what comes from outside cannot break out, and numbers read as they should."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enthesis.network.measures import MD, OR
from enthesis.report.values import anchor, web_address
from enthesis.report.wording import interval, number, patients_gain, verdict, whole


@given(st.text(min_size=1), st.text(min_size=1))
def test_anchors_are_plain_and_differ_for_different_names(a, b):
    assert set(anchor("x", a)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    assert (anchor("x", a) == anchor("x", b)) == (a == b)


@pytest.mark.parametrize(
    "text",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//host/x", "ftp://host/x", "http://", "https:x",
     'https://host/"onclick="x', "https://host/ x", "https://user:pw@host/", "\x01https://host", "http://[::1", ""],
)  # fmt: skip
def test_only_plain_web_addresses_are_links(text):
    assert web_address(text) == ""


@pytest.mark.parametrize("text", ["https://doi.org/10.1016/S0140-6736(19)32534-6", "http://host.org/a?b=c&d=e#f"])
def test_a_plain_web_address_is_kept(text):
    assert web_address(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (0.004, "<0.01"), (-0.004, ">−0.01"), (9.999, "10.00"), (1234.0, ">1,000"), (-1.234, "−1.23"),
     (math.nan, "–"), (math.inf, "∞")],
)  # fmt: skip
def test_numbers_have_as_many_digits_as_they_deserve(value, text):
    assert number(value) == text


def test_an_interval_names_its_ends():
    assert interval(3.0, 2.0, 40.0) == "3.00 (2.00 to 40.0)"
    assert whole(-0.2) == "0"


@pytest.mark.parametrize(
    ("lower", "upper", "code"),
    [
        (1.3, 2.0, "important"), (1.1, 2.0, "better"), (0.9, 2.0, "maybe-better"), (0.85, 1.2, "same"),
        (0.5, 2.0, "unclear"), (0.5, 1.1, "maybe-worse"), (0.5, 0.9, "worse"), (0.5, 0.7, "important-harm"),
        (0.85, 1.0, "same"), (1.0, 1.25, "same"), (0.9, 1.25, "same"),
    ],
)  # fmt: skip
def test_the_verdict_follows_the_whole_interval(lower, upper, code):
    assert verdict(math.log(lower), math.log(upper), OR, "higher", 1.25).code == code


@given(st.floats(-3, 3), st.floats(0, 3), st.sampled_from([None, 1.25]))
def test_the_verdict_turns_round_with_the_direction(lower, width, mid):
    up = verdict(lower, lower + width, OR, "higher", mid)
    down = verdict(-lower - width, -lower, OR, "lower", mid)
    assert up == down


def test_without_a_stated_difference_only_the_direction_is_said():
    assert "not stated" in verdict(-2.0, -1.0, MD, "lower", None).words


def test_a_gain_that_may_be_a_loss_says_so():
    assert patients_gain(20, -10, 50) == "20 more per 1,000 (10 fewer to 50 more)"
    assert patients_gain(-30, -50, -10) == "30 fewer per 1,000 (10 to 50 fewer)"
