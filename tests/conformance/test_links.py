"""Every link: forward and inverse undo each other, and the derivatives are those of the inverse."""

import numpy as np
import pytest

import catalogue

ALL = [pytest.param(link, id=link.name) for link in catalogue.LINKS]
ETA = np.linspace(-3, 2, 21)
STEP = 1e-5


@pytest.mark.parametrize("link", ALL)
def test_forward_undoes_inverse(link):
    assert np.allclose(link.forward(link.inverse(ETA)[0]), ETA, atol=1e-9)


@pytest.mark.parametrize("link", ALL)
def test_a_larger_predictor_gives_a_larger_mean(link):
    assert np.all(np.diff(link.inverse(ETA)[0]) > 0)


@pytest.mark.parametrize("link", ALL)
@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_are_those_of_the_inverse(link, order):
    above, below = link.inverse(ETA + STEP)[order - 1], link.inverse(ETA - STEP)[order - 1]
    assert np.allclose(link.inverse(ETA)[order], (above - below) / (2 * STEP), atol=1e-8, rtol=1e-6)


def test_names_are_unique():
    assert len({link.name for link in catalogue.LINKS}) == len(catalogue.LINKS)
