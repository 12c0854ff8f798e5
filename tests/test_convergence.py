"""Convergence diagnostics agree with ArviZ and see what they are for."""

import json
from pathlib import Path

import numpy as np
import pytest

from enthesis.inference.convergence import bulk_ess, e_bfmi, mean_ess, r_hat, tail_ess

RECORDED = json.loads((Path(__file__).parent / "recorded" / "arviz_diagnostics.json").read_text(encoding="utf-8"))


def chains(name: str) -> np.ndarray:
    """The chains that the recorded values are of, made again from their recipe."""
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((4, 500))
    match name:
        case "independent":
            return noise
        case "correlated":
            x = np.zeros((4, 500))
            for i in range(1, 500):
                x[:, i] = 0.9 * x[:, i - 1] + noise[:, i]
            return x
        case "antithetic":
            x = np.zeros((4, 500))
            for i in range(1, 500):
                x[:, i] = -0.5 * x[:, i - 1] + noise[:, i]
            return x
        case "apart":
            return noise + np.array([[0.0], [0.0], [0.0], [1.0]])
        case "heavy":
            return noise / np.abs(rng.standard_normal((4, 500)))
    raise KeyError(name)


@pytest.mark.parametrize("name", sorted(RECORDED["values"]))
@pytest.mark.parametrize(
    ("key", "ours"), [("rhat", r_hat), ("ess_bulk", bulk_ess), ("ess_tail", tail_ess), ("ess_mean", mean_ess)]
)
def test_diagnostics_are_those_of_arviz(name, key, ours):
    assert ours(chains(name)) == pytest.approx(RECORDED["values"][name][key], rel=1e-6)


def test_energy_that_moves_freely_has_e_bfmi_near_two_and_energy_that_creeps_near_zero():
    rng = np.random.default_rng(1)
    free = rng.standard_normal((2, 2000))
    creeping = np.cumsum(rng.standard_normal((2, 2000)), axis=1)
    assert e_bfmi(free) == pytest.approx(2.0, abs=0.2)
    assert (e_bfmi(creeping) < 0.1).all()


def test_r_hat_of_a_constant_is_not_a_number():
    assert np.isnan(r_hat(np.ones((4, 100))))
