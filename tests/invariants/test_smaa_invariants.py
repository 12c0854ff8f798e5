"""Properties of SMAA-2 for any measurements and weights."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from enthesis.assess.smaa import Preferences, sample_weights, smaa


@st.composite
def problems(draw):
    """Partial values (draws, alternatives, criteria), with ties among them, and weights."""
    n, size, K = draw(st.integers(1, 30)), draw(st.integers(2, 6)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.integers(0, 5, (n, size, K)) / 4 if draw(st.booleans()) else rng.random((n, size, K))
    return values, sample_weights(K, n, seed=draw(st.integers(0, 1000)))


@given(problems())
def test_rank_acceptabilities_sum_to_one_over_ranks_and_over_alternatives(problem):
    result = smaa(*problem)
    np.testing.assert_allclose(result.acceptability.sum(axis=0), 1.0)
    np.testing.assert_allclose(result.acceptability.sum(axis=1), 1.0)


@given(problems(), st.randoms(use_true_random=False))
def test_relabelling_the_alternatives_changes_nothing(problem, random):
    values, weights = problem
    order = list(range(values.shape[1]))
    random.shuffle(order)
    one, two = smaa(values, weights), smaa(values[:, order], weights)
    np.testing.assert_allclose(two.acceptability, one.acceptability[order])
    np.testing.assert_allclose(two.central, one.central[order])
    np.testing.assert_allclose(two.confidence, one.confidence[order])


@given(problems(), st.randoms(use_true_random=False))
def test_relabelling_the_criteria_changes_no_rank(problem, random):
    values, weights = problem
    order = list(range(values.shape[2]))
    random.shuffle(order)
    one, two = smaa(values, weights), smaa(values[:, :, order], weights[:, order])
    np.testing.assert_allclose(two.mean, one.mean)
    np.testing.assert_allclose(two.central, one.central[:, order])


@given(problems())
def test_central_weights_are_weights(problem):
    central = smaa(*problem).central
    known = ~np.isnan(central).any(axis=1)
    np.testing.assert_allclose(central[known].sum(axis=1), 1.0)


@given(problems())
def test_being_better_and_being_worse_and_ties_are_everything(problem):
    winning = smaa(*problem).winning
    assert (winning + winning.T <= 1 + 1e-12).all()


@given(st.integers(2, 6), st.randoms(use_true_random=False))
def test_an_order_of_the_criteria_is_kept_in_every_draw(criteria, random):
    order = list(range(criteria))
    random.shuffle(order)
    w = sample_weights(criteria, 50, Preferences(order=tuple((k,) for k in order)))
    assert (np.diff(w[:, order], axis=1) <= 0).all()
