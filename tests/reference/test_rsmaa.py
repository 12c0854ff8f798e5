"""SMAA-2 beside R's smaa 0.3-3: enoxaparin and heparin (Lynd LD, O'Brien BJ, J Clin Epidemiol 2004;57:795).

The package's answers are those of its reference pages, from 10,000 draws: four standard errors of both are allowed.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from enthesis.assess.benefit_risk import ValueFunction
from enthesis.assess.smaa import sample_weights, smaa

TOLD = json.loads((Path(__file__).parents[2] / "validation" / "smaa" / "examples.json").read_text(encoding="utf-8"))
EXAMPLE, DRAWS = TOLD["thrombolytics"], 40_000


def error(p):
    """Four standard errors of the difference of two shares."""
    return 4 * np.sqrt(p * (1 - p) * (1 / DRAWS + 1 / 10_000))


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(5)
    draws = [np.stack([rng.beta(a, b, DRAWS) for a, b in its], axis=-1) for its in EXAMPLE["beta"].values()]
    risks = np.stack(draws, axis=1)
    columns = [ValueFunction.linear(worst=w, best=b)(risks[:, :, k]) for k, (w, b) in enumerate(EXAMPLE["scales"])]
    return np.stack(columns, axis=-1)


@pytest.fixture(scope="module")
def result(values):
    return smaa(values, sample_weights(3, DRAWS, seed=6))


def test_rank_acceptabilities_are_those_of_the_package(result):
    theirs = np.array(EXAMPLE["theirs"]["acceptability"])
    assert (np.abs(result.acceptability - theirs) < error(theirs)).all()


def test_central_weights_are_those_of_the_package(result):
    """A weight among the draws in which an alternative is first has a standard deviation of about 0.2."""
    np.testing.assert_allclose(result.central, EXAMPLE["theirs"]["central"], atol=4 * 0.2 / np.sqrt(3504) + 0.004)


def test_confidence_factors_are_those_of_the_package(result):
    """Their central weights carry an error too, which moves the factor by about 0.01."""
    np.testing.assert_allclose(result.confidence, EXAMPLE["theirs"]["confidence"], atol=0.03)


def test_with_known_weights_the_first_rank_is_that_of_the_package(values):
    theirs = np.array(EXAMPLE["theirs"]["first_with_known_weights"])
    known = smaa(values, np.array(EXAMPLE["theirs"]["known_weights"]))
    assert (np.abs(known.acceptability[:, 0] - theirs) < error(theirs)).all()
