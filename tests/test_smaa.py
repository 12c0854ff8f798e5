"""SMAA-2 and the sampling of weights: what is known of preferences is kept, and nothing else decides."""

from __future__ import annotations

import numpy as np
import pytest

from enthesis.assess.smaa import Preferences, sample_weights, smaa
from enthesis.errors import UsageError

N = 20_000


def test_unknown_weights_are_uniform_on_the_simplex():
    """The k-th moment of a weight of three is that of a beta(1, 2): mean 1/3, variance 1/18."""
    w = sample_weights(3, N)
    np.testing.assert_allclose(w.mean(axis=0), 1 / 3, atol=4 * np.sqrt(1 / 18 / N))
    np.testing.assert_allclose(w.var(axis=0), 1 / 18, rtol=0.05)


def test_ordered_weights_have_the_means_of_rank_order_centroids():
    """Barron FH, Barrett BE, Manage Sci 1996;42:1515: 11/18, 5/18, 2/18 for three criteria."""
    w = sample_weights(3, N, Preferences(order=((0,), (1,), (2,))))
    np.testing.assert_allclose(w.mean(axis=0), np.array([11, 5, 2]) / 18, atol=0.006)


def test_criteria_of_one_group_are_not_ordered_among_themselves():
    w = sample_weights(3, N, Preferences(order=((2,), (0, 1))))
    assert (w[:, 2] >= w[:, :2].max(axis=1)).all()
    assert 0.48 < (w[:, 0] > w[:, 1]).mean() < 0.52


def test_bounds_of_weights_and_ratios_are_kept():
    w = sample_weights(3, N, Preferences(between={0: (0.3, 0.5)}, ratios={(1, 2): (1.0, 2.0)}))
    assert ((w[:, 0] >= 0.3) & (w[:, 0] <= 0.5)).all()
    assert ((w[:, 1] >= w[:, 2]) & (w[:, 1] <= 2 * w[:, 2])).all()


def test_narrow_bounds_are_sampled_uniformly_by_hit_and_run():
    """Three weights in a box of width 0.01 around a point: each is symmetric about its middle."""
    middle = np.array([0.2, 0.3, 0.5])
    w = sample_weights(3, N, Preferences(between={k: (m - 0.005, m + 0.005) for k, m in enumerate(middle)}))
    assert np.abs(w - middle).max() <= 0.005 + 1e-9
    np.testing.assert_allclose(w.mean(axis=0), middle, atol=2e-4)
    np.testing.assert_allclose(w.sum(axis=1), 1.0)


def test_both_ways_of_sampling_agree(monkeypatch):
    wide = Preferences(between={0: (0.2, 0.6)}, order=((0,), (1,), (2,)))
    rejected = sample_weights(3, N, wide)
    monkeypatch.setattr("enthesis.assess.smaa.LEAST_KEPT", 2.0)
    walked = sample_weights(3, N, wide)
    np.testing.assert_allclose(walked.mean(axis=0), rejected.mean(axis=0), atol=0.005)
    np.testing.assert_allclose(walked.std(axis=0), rejected.std(axis=0), atol=0.005)


def test_the_same_seed_gives_the_same_weights():
    assert np.array_equal(sample_weights(4, 100, seed=3), sample_weights(4, 100, seed=3))


def test_preferences_that_nothing_satisfies_are_refused():
    with pytest.raises(UsageError, match="no weights satisfy"):
        sample_weights(2, 100, Preferences(between={0: (0.8, 0.9), 1: (0.8, 0.9)}))


@pytest.mark.parametrize(
    ("preferences", "match"),
    [
        (Preferences(weights=(1.0,)), "need 2 numbers"),
        (Preferences(weights=(0.0, 0.0)), "not all 0"),
        (Preferences(weights=(1.0, 1.0), order=((0,), (1,))), "not both"),
        (Preferences(order=((0,),)), "each of them once"),
        (Preferences(between={0: (0.9, 0.1)}), "lower first"),
        (Preferences(ratios={(0, 0): (1.0, 2.0)}), "lower first"),
    ],
)
def test_preferences_that_make_no_sense_are_refused(preferences, match):
    with pytest.raises(UsageError, match=match):
        sample_weights(2, 100, preferences)


def test_a_dominated_alternative_is_never_first():
    values = np.tile([[[0.9, 0.8], [0.5, 0.4]]], (N, 1, 1))
    result = smaa(values, sample_weights(2, N))
    assert result.acceptability.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert np.isnan(result.central[1]).all()
    assert np.isnan(result.confidence[1])


def test_equal_alternatives_share_their_ranks():
    values = np.tile([[[0.5, 0.5], [0.5, 0.5]]], (100, 1, 1))
    assert smaa(values, sample_weights(2, 100)).acceptability.tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_two_alternatives_that_win_one_criterion_each_split_the_simplex():
    """a is better where w0 > w1: half of the simplex, with mean weights 3/4 and 1/4 there."""
    values = np.tile([[[1.0, 0.0], [0.0, 1.0]]], (N, 1, 1))
    result = smaa(values, sample_weights(2, N))
    assert result.acceptability[0, 0] == pytest.approx(0.5, abs=0.015)
    np.testing.assert_allclose(result.central[0], [0.75, 0.25], atol=0.006)
    assert result.confidence.tolist() == [1.0, 1.0]


def test_weights_of_the_wrong_shape_are_refused():
    with pytest.raises(UsageError, match="a row per draw"):
        smaa(np.zeros((5, 2, 3)), np.ones((5, 2)) / 2)
