"""Every measure: its null, its inverse, its sign, and its variance against the delta method done numerically."""

import numpy as np
import pytest

import catalogue
from enthesis.errors import UsageError
from enthesis.network.measures import measure

ALL = [pytest.param(m, id=m.name) for m in catalogue.MEASURES]
COMPUTED = [pytest.param(m, id=m.name) for m in catalogue.MEASURES if m.pair]


def arms(kind, *, same=False):
    """Treatment and comparator, large enough for the small-sample terms of SMDH to vanish."""
    sizes = np.array([900.0]), np.array([1100.0])
    if kind == "counts":
        a, b = ({"r": r * n, "n": n} for r, n in zip((0.3, 0.3 if same else 0.2), sizes))
    elif kind == "followup":
        a, b = ({"r": r * n, "n": n, "E": np.array([2.5])} for r, n in zip((0.3, 0.3 if same else 0.2), sizes))
    elif kind == "rates":
        a, b = ({"r": r * n, "E": n} for r, n in zip((0.3, 0.3 if same else 0.2), sizes))
    else:
        means = (5.0, 5.0) if same else (5.0, 4.2)
        a, b = (
            {"y": np.array([y]), "sd": np.array([sd]), "se": sd / np.sqrt(n), "n": n}
            for y, sd, n in zip(means, (2.0, 2.3), sizes)
        )
        pooled = np.sqrt(sum((x["n"] - 1) * x["sd"] ** 2 for x in (a, b)) / (sum(sizes) - 2))
        for x in (a, b):
            x.update(study_sd=pooled, study_n=sum(sizes))
    return a, b


#: the variance of each estimated number of an arm; for SMD the pooled deviation is one number of both arms
VARIANCES = {
    "counts": {"r": lambda x: x["r"] * (1 - x["r"] / x["n"])},
    "followup": {"r": lambda x: x["r"] * (1 - x["r"] / x["n"])},
    "rates": {"r": lambda x: x["r"]},
    "means": {"y": lambda x: x["sd"] ** 2 / x["n"], "sd": lambda x: x["sd"] ** 2 / (2 * x["n"])},
}


def numeric_variance(measure_, a, b):
    numbers = dict(VARIANCES[measure_.kind])
    if measure_.name in ("SMD", "SMDH"):  # these assume one deviation for all arms
        for x in (a, b):
            x["sd"] = x["study_sd"]
    terms = [(arm, name, numbers[name](arm)) for arm in (a, b) for name in numbers]
    if measure_.name == "SMD":
        terms = [t for t in terms if t[1] != "sd"] + [(None, "study_sd", a["study_sd"] ** 2 / (2 * a["study_n"]))]
    total = 0.0
    for arm, name, variance in terms:
        moved = []
        for sign in (1, -1):
            both = [dict(a), dict(b)]
            for old, new in zip((a, b), both):
                if arm is None or arm is old:
                    new[name] = old[name] * (1 + sign * 1e-5)
            moved.append(measure_.pair(*both, np.zeros(1))[0])
        step = 2e-5 * (a if arm is None else arm)[name]
        total += ((moved[0] - moved[1]) / step) ** 2 * variance
    return float(total[0])


@pytest.mark.parametrize("m", ALL)
def test_the_transform_undoes_the_back_transform(m):
    x = np.array([-1.5, 0.0, 0.7])
    assert np.allclose(m.transform(m.back_transform(x)), x, atol=1e-15)


@pytest.mark.parametrize("m", ALL)
def test_no_difference_is_zero_on_the_scale_of_the_model(m):
    assert m.back_transform(0.0) == m.null


@pytest.mark.parametrize("m", ALL)
def test_a_measure_is_found_by_its_name_in_any_case(m):
    assert measure(m.name.lower()) is m


@pytest.mark.parametrize("m", COMPUTED)
def test_equal_arms_have_no_effect(m):
    assert m.pair(*arms(m.kind, same=True), np.zeros(1))[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("m", COMPUTED)
def test_more_in_the_treatment_arm_is_a_positive_effect(m):
    assert m.pair(*arms(m.kind), np.zeros(1))[0] > 0


@pytest.mark.parametrize("m", COMPUTED)
def test_swapping_the_arms_changes_the_sign_and_nothing_else(m):
    a, b = arms(m.kind)
    (y, v), (minus_y, same_v) = m.pair(a, b, np.zeros(1)), m.pair(b, a, np.zeros(1))
    assert (minus_y, same_v) == (pytest.approx(-y), pytest.approx(v))


@pytest.mark.parametrize("m", COMPUTED)
def test_the_variance_is_that_of_the_delta_method(m):
    a, b = arms(m.kind)
    expected = numeric_variance(m, *(dict(x) for x in arms(m.kind)))
    close = 2e-3 if m.name == "SMDH" else 1e-6  # SMDH: Hedges' formula keeps 1/n1 + 1/n2 without the factor J²
    assert m.pair(a, b, np.zeros(1))[1] == pytest.approx(expected, rel=close)


def test_an_unknown_measure_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="'IRR'"):
        measure("IRRR")
