"""Thresholds of the thrombolytics network beside nmathresh 0.1.6 (R 4.2.2), at both levels.

Both sides are closed forms of the same posterior mean and covariance, so agreement is to rounding of the recorded
15 digits. The social anxiety network, which is larger, is in validation/nmathresh.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from enthesis.assess.decision import Best
from enthesis.assess.threshold import influence_matrix, likelihood_variances, threshold

TOLD = json.loads((Path(__file__).parent / "nmathresh_thrombolytics.json").read_text(encoding="utf-8"))
EXAMPLES = dict(zip(("study", "comparison"), TOLD["examples"], strict=True))


@pytest.fixture(params=EXAMPLES)
def example(request):
    return {k: np.array(v) if isinstance(v, list) else v for k, v in EXAMPLES[request.param].items()}


@pytest.fixture
def found(example):
    """The smallest effect is best."""
    likelihood = example["likelihood"]
    H = influence_matrix(example["covariance"], example["design"], likelihood)
    H = np.vstack([np.zeros(H.shape[1]), H])
    return [threshold(-example["effects"], -column, Best()) for column in H.T]


@pytest.mark.parametrize("side", ["lo", "hi"])
def test_thresholds_are_those_of_the_package(example, found, side):
    ours = [f.low if side == "lo" else f.high for f in found]
    assert ours == pytest.approx(example["thresholds"][side], rel=1e-10)


@pytest.mark.parametrize("side", ["lo", "hi"])
def test_new_decisions_are_those_of_the_package(example, found, side):
    ours = [str((f.below if side == "lo" else f.above)[0] + 1) for f in found]
    assert ours == example["thresholds"][f"{side}.newkstar"]


def test_variances_of_comparisons_are_reconstructed_from_the_posterior():
    example = EXAMPLES["comparison"]
    ours = likelihood_variances(np.array(example["covariance"]), np.array(example["design"]), 1e-4)
    assert ours == pytest.approx(np.diag(example["likelihood"]), rel=1e-10)
