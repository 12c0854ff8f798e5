"""Rules of place: what fires, what nearly fires and by how much, and what cannot be judged."""

from __future__ import annotations

import pytest

from enthesis.assess.place_rules import Rule, Silent, apply, read_rules, with_values
from enthesis.errors import DataError, UsageError


def functions(**more):
    def silent():
        raise Silent("the certainty is not rated")

    return {"evidence": lambda: "stratum", "studies": lambda: 2.0, "guideline": lambda: "option", "certainty": silent,
            **more}  # fmt: skip


def fired(when, near=0.1, **more):
    numbers = {k: v for k, v in more.items() if not callable(v)}
    rule = Rule(id="a", when=tuple(when), place="x", numbers=numbers)
    return apply((rule,), functions(**{k: v for k, v in more.items() if callable(v)}), {"drug": "d"}, near=near)[0]


def test_a_rule_fires_when_every_condition_holds():
    assert fired(["studies() >= 1", 'evidence() == "stratum"']).fired


def test_a_missed_number_tells_by_how_much():
    found = fired(["certainty() >= least"], certainty=lambda: 1.0, least=2)
    assert (found.fired, found.conditions[0].missed_by) == (False, 1.0)


def test_certainty_one_step_below_is_near():
    assert fired(["certainty() >= least"], certainty=lambda: 1.0, least=2).nearly


def test_certainty_two_steps_below_is_not_near():
    assert not fired(["certainty() >= least"], certainty=lambda: 1.0, least=3).nearly


def test_two_failing_conditions_are_not_near():
    assert not fired(["certainty() >= least", 'guideline() == "first"'], certainty=lambda: 1.0, least=2).nearly


def test_a_count_that_is_missed_is_not_near():
    assert not fired(["studies() >= 3"]).nearly


def test_what_is_not_known_does_not_hold_and_says_why():
    condition = fired(["certainty() >= 2"]).conditions[0]
    assert (condition.holds, condition.why) == (None, "the certainty is not rated")


def test_a_word_that_is_missed_tells_which_was_needed():
    condition = fired(['guideline() in ("first", "later")']).conditions[0]
    assert condition.why == "is option; needed first or later"


def test_draws_without_a_probability_are_no_statement():
    import numpy as np

    from enthesis.assess.expressions import Draws

    condition = fired(["gain() > 0"], gain=lambda: Draws(np.ones(3), np.full(3, 1 / 3))).conditions[0]
    assert "put P(...) around it" in condition.why


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({"id": "a", "place": "x", "when": ["evidense() == 1"]}, "Did you mean 'evidence'"),
        ({"id": "a", "place": "x", "when": ["studies() >= treshold"], "threshold": 1}, "Did you mean 'threshold'"),
        ({"id": "a", "place": "x", "when": ["studies() >> 1"]}, "cannot be read"),
        ({"id": "a", "when": ["studies() >= 1"]}, "one of the two"),
        ({"id": "a", "place": "x", "adds": "y", "when": ["studies() >= 1"]}, "one of the two"),
        ({"id": "a", "place": "x"}, "needs conditions"),
        ({"id": "a.b", "place": "x", "when": ["studies() >= 1"]}, "without a point"),
        ({"id": "a", "place": "x", "when": ["studies() >= 1"], "threshold": [1]}, "a number or a text"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_its_place(table, match):
    with pytest.raises(DataError, match=match):
        read_rules([table], "place.toml")


@pytest.mark.parametrize("text", ["exec('x') == 0", "__import__('os') == 0", "drug.__class__ == 0", "open('x') == 0"])
def test_a_rule_cannot_run_code(text):
    with pytest.raises(DataError, match=r"not known|cannot be read"):
        read_rules([{"id": "a", "place": "x", "when": [text]}], "place.toml")


def test_two_rules_of_one_name_are_refused():
    one = {"id": "a", "place": "x", "when": ["studies() >= 1"]}
    with pytest.raises(DataError, match="id of its own"):
        read_rules([one, one], "place.toml")


RULES = (Rule(id="a", when=("studies() >= threshold",), place="x", numbers={"threshold": 1.0, "who": "b"}),)


def test_another_number_changes_that_rule_only():
    assert with_values(RULES, {"a.threshold": 2.0})[0].numbers == {"threshold": 2.0, "who": "b"}


@pytest.mark.parametrize(
    ("values", "match"),
    [({"b.threshold": 1.0}, "rule 'b' is not known"), ({"a.treshold": 1.0}, "Did you mean 'threshold'"),
     ({"a.threshold": "x"}, "is a number"), ({"a.who": 1.0}, "is a text")],
)  # fmt: skip
def test_a_number_that_no_rule_has_is_refused(values, match):
    with pytest.raises(UsageError, match=match):
        with_values(RULES, values)
