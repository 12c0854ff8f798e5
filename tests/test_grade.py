"""From concerns to a level, and treatments into groups."""

import pytest

from enthesis.assess.concerns import Concern
from enthesis.assess.grade import minimally_contextualised, overall


def concerns(**steps):
    levels = ("no concerns", "some concerns", "major concerns")
    return [Concern(domain=d.replace("_", " "), level=levels[n], reason="") for d, n in steps.items()]


@pytest.mark.parametrize(
    ("steps", "level"),
    [
        ({"imprecision": 0}, "high"),
        ({"imprecision": 1}, "moderate"),
        ({"imprecision": 1, "heterogeneity": 1}, "low"),
        ({"imprecision": 2, "reporting_bias": 2}, "very low"),
        ({"indirectness": 1, "incoherence": 1}, "moderate"),
        ({"indirectness": 1, "incoherence": 2}, "low"),
    ],
)
def test_a_level_goes_down_by_the_sum_of_concerns_with_related_domains_counted_once(steps, level):
    assert overall(concerns(**steps))[0] == level


def test_other_study_types_start_lower_and_the_reason_says_so():
    level, reason = overall(concerns(imprecision=1), start="low", why="cohorts")
    assert level == "very low"
    assert reason == "Starts low (cohorts); down 1 for imprecision."


def test_every_treatment_worse_than_the_reference_is_named_so():
    found = minimally_contextualised("PA", "P", lambda a, b: (a, b) == ("P", "A"), {"A": "low"})
    assert (found[0].category, found[0].group, found[0].certain) == (-1, "worse than P", False)


def test_a_treatment_that_beats_one_of_the_first_category_goes_up_and_only_it():
    beats = {("A", "P"), ("B", "P"), ("C", "P"), ("A", "B")}
    found = minimally_contextualised("PABC", "P", lambda a, b: (a, b) in beats, dict.fromkeys("ABC", "high"))
    assert [(p.treatment, p.category) for p in found] == [("A", 2), ("B", 1), ("C", 1)]


def test_treatments_that_beat_one_another_in_a_circle_end():
    beats = {(a, "P") for a in "ABC"} | {("A", "B"), ("B", "C"), ("C", "A")}
    found = minimally_contextualised("PABC", "P", lambda a, b: (a, b) in beats, dict.fromkeys("ABC", "high"))
    assert {p.category for p in found} == {1}
