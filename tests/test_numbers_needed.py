"""Numbers needed to treat speak of one effect at a time."""

import numpy as np
import pytest

import enthesis as en
from enthesis.estimands import numbers_needed


def three(*difference):
    return tuple(float(x) for x in numbers_needed(*difference))


def test_a_clear_benefit_runs_from_the_larger_to_the_smaller_difference():
    assert three(100.0, 50.0, 200.0) == (10.0, 5.0, 20.0)


def test_a_clear_harm_does_so_too():
    assert three(-100.0, -200.0, -50.0) == (10.0, 5.0, 20.0)


@pytest.mark.parametrize(("estimate", "expected"), [(5.0, (200.0, 50.0, np.inf)), (-5.0, (200.0, 10.0, np.inf))])
def test_an_interval_with_none_ends_on_the_side_of_the_estimate(estimate, expected):
    # 100 fewer to 20 more per 1,000: one more event for every 50 at most, one fewer for every 10
    assert three(estimate, -100.0, 20.0) == expected


def test_the_number_needed_lies_between_its_ends():
    rows = [dict(study="1", treatment=t, events=r, n=n) for t, r, n in (("A", 6, 40), ("B", 7, 40), ("C", 5, 90))]
    result = en.fit(en.from_table(rows, reference="A", better="higher"), en.Model(heterogeneity=en.Common()))
    table = en.absolute_effects(result, 0.15)
    assert (table.nnt_lower <= table.nnt).all()
    assert (table.nnt <= table.nnt_upper).all()
