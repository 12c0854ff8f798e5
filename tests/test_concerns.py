"""CINeMA's rules, one by one: where they fire, where they do not, where they cannot tell."""

import math
from math import log

import pytest

from enthesis.assess.concerns import LEVELS, Scale, Untestable, heterogeneity, imprecision, incoherence, weighed
from enthesis.errors import UsageError
from enthesis.network.measures import MD, OR

SCALE = Scale(measure=OR, mid=1.25)


def logs(*values):
    return tuple(log(v) for v in values)


@pytest.mark.parametrize(
    ("estimate", "lower", "upper", "level"),
    [
        (2.0, 1.5, 3.0, "no concerns"),
        (2.0, 1.1, 3.0, "no concerns"),  # crosses the important difference on its own side only
        (1.3, 0.9, 2.0, "some concerns"),
        (1.3, 0.7, 2.0, "major concerns"),
        (1.0, 0.85, 1.2, "no concerns"),  # inside the range of equivalence
        (0.7, 0.5, 1.1, "some concerns"),
        (0.7, 0.5, 1.3, "major concerns"),
    ],
)
def test_imprecision_looks_at_the_side_opposite_to_the_estimate(estimate, lower, upper, level):
    assert imprecision(*logs(estimate, lower, upper), SCALE).level == level


def test_without_an_important_difference_imprecision_never_becomes_a_major_concern():
    found = imprecision(*logs(1.3, 0.1, 20), Scale(measure=OR))
    assert found.level == "some concerns"
    assert "not stated" in found.reason


def test_a_reason_has_the_numbers_on_the_scale_people_read():
    assert "0.90 to 2.00" in imprecision(*logs(1.3, 0.9, 2.0), SCALE).reason
    assert "-0.50 to 0.20" in imprecision(-0.2, -0.5, 0.2, Scale(measure=MD, mid=0.1)).reason


@pytest.mark.parametrize(
    ("interval", "new", "level"),
    [
        ((2.0, 1.5, 3.0), (1.1, 4.0), "no concerns"),
        ((2.0, 1.5, 3.0), (0.9, 4.0), "some concerns"),
        ((2.0, 1.5, 3.0), (0.7, 6.0), "major concerns"),
        ((1.3, 0.9, 2.0), (0.7, 2.5), "some concerns"),
        ((1.3, 0.7, 2.0), (0.5, 3.0), "no concerns"),
        ((1.0, 0.9, 1.1), (0.7, 1.4), "major concerns"),  # inside the range of equivalence: both its ends are limits
        ((1.0, 0.9, 1.1), (0.85, 1.4), "some concerns"),
    ],
)
def test_heterogeneity_sets_the_new_study_against_the_average(interval, new, level):
    assert heterogeneity(*logs(*interval), *logs(*new), SCALE).level == level


def test_a_prediction_interval_that_cannot_be_computed_is_some_concern():
    found = heterogeneity(*logs(2, 1.5, 3), math.nan, math.nan, SCALE)
    assert found.level == "some concerns"
    assert "cannot be estimated" in found.reason


AGREE = (logs(1.5, 3.0), logs(1.4, 2.8))
APART = (logs(1.5, 3.0), logs(0.3, 0.7))
PARTLY = (logs(1.5, 3.0), logs(1.1, 2.0))


@pytest.mark.parametrize(
    ("intervals", "p", "level"),
    [
        (APART, 0.2, "no concerns"),  # above 0.10 the intervals are not looked at
        (AGREE, 0.05, "no concerns"),
        (PARTLY, 0.05, "some concerns"),
        (APART, 0.001, "major concerns"),
    ],
)
def test_incoherence_by_p_and_by_the_areas_that_the_intervals_reach(intervals, p, level):
    direct, indirect = intervals
    assert incoherence(direct=direct, indirect=indirect, p=p, global_p=0.5, scale=SCALE).level == level


@pytest.mark.parametrize(("p", "level"), [(0.11, 0), (0.10, 1), (0.05, 1), (0.049, 2)])
@pytest.mark.parametrize("only", ["direct", "indirect"])
def test_without_a_local_test_the_global_one_decides(only, p, level):
    given = {"direct": None, "indirect": None, only: logs(1.5, 3)}
    assert incoherence(**given, p=math.nan, global_p=p, scale=SCALE).level == LEVELS[level]


def test_a_network_without_loops_is_a_major_concern_by_cinemas_rule_and_by_another_what_the_review_says():
    given = {"direct": logs(1.5, 3), "indirect": None, "p": math.nan, "global_p": math.nan, "scale": SCALE}
    assert incoherence(**given).level == "major concerns"
    said = Untestable(direct="no concerns", reason="Nothing to agree with.")
    found = incoherence(**given, untestable=said)
    assert (found.level, found.reason.endswith("Nothing to agree with.")) == ("no concerns", True)


def test_direct_evidence_alone_can_be_left_out_of_the_global_test():
    given = {"direct": logs(1.5, 3), "indirect": None, "p": math.nan, "global_p": 0.01, "scale": SCALE}
    assert incoherence(**given, untestable=Untestable(only_direct="no concerns")).level == "no concerns"


@pytest.mark.parametrize(
    ("shares", "rule", "level"),
    [
        ((0.5, 0.5, 0.0), "average", "some concerns"),  # 1.5 is rounded up
        ((0.51, 0.49, 0.0), "average", "no concerns"),
        ((0.4, 0.35, 0.25), "majority", "no concerns"),
        ((0.99, 0.0, 0.01), "highest", "major concerns"),
    ],
)
def test_levels_of_studies_are_weighed_by_contribution(shares, rule, level):
    names = dict(zip("abc", shares, strict=True))
    assert weighed("indirectness", {"a": 1, "b": 2, "c": 3}, names, rule).level == level


def test_an_unknown_rule_is_refused_by_name():
    with pytest.raises(UsageError, match="average"):
        weighed("indirectness", {"a": 1}, {"a": 1.0}, "mean")


def test_the_hash_of_inputs_ignores_noise_in_the_last_digits_and_sees_a_change():
    one = imprecision(*logs(1.3, 0.9, 2.0), SCALE)
    noise = imprecision(log(1.3) * (1 + 1e-12), log(0.9), log(2.0), SCALE)
    other = imprecision(*logs(1.31, 0.9, 2.0), SCALE)
    assert one.inputs_hash == noise.inputs_hash != other.inputs_hash
