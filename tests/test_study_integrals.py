"""The likelihood of a study with its own parameters integrated out does not depend on where the search starts."""

import numpy as np
import pytest

import enthesis as en
from enthesis.inference.integrals import Centres, by_study, default_centres
from enthesis.inference.modes import conditional_modes
from enthesis.models.compile import compile_target


def test_a_study_of_four_very_different_arms_is_integrated_from_a_start_far_away():
    rows = [dict(study="1", treatment=t, events=r, n=50) for t, r in zip("ABCD", (1, 20, 35, 45), strict=True)]
    target = compile_target(en.Model(), en.from_table(rows, measure="OR", reference="A"))
    theta, h = np.array([[3.5, 4.7, 6.0], [2.8, 4.1, 5.5]]), np.array([[0.1], [0.8]])
    modes = conditional_modes(target, h)
    exact = by_study(target, theta, h, Centres(mu=modes.mu, b=modes.b, steps=50), (31, 21))[0]
    found = by_study(target, theta, h, default_centres(target, 2), (13, 9))[0]
    assert found == pytest.approx(exact, abs=2e-3)
