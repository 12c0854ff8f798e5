"""The figures of decisions: each draws for 2 and for 60 lines, says itself in words, and takes a table as it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from enthesis.report.plots import PLOTS
from enthesis.report.render.svg import draw

OURS = ("central_weights", "invariant_intervals", "rank_acceptability")


def invariant(n):
    rng = np.random.default_rng(1)
    y = rng.normal(0, 1, n)
    low, high = y - rng.exponential(1, n), y + rng.exponential(1, n)
    low[0], high[-1] = -np.inf, np.inf
    return pd.DataFrame({"what": [f"S{i}: B versus A" for i in range(n)], "estimate": np.exp(y),
                         "lower": np.exp(y - 0.8), "upper": np.exp(y + 0.8), "invariant_low": np.exp(low),
                         "invariant_high": np.exp(high), "low": low - y, "high": high - y, "below": "A",
                         "above": "B"})  # fmt: skip


def weighed(n):
    rng = np.random.default_rng(2)
    shares = np.eye(n) * 0.6 + 0.4 / n
    table = pd.DataFrame({"alternative": [f"drug {i}" for i in range(n)], "confidence": rng.random(n)})
    for r in range(n):
        table[f"rank_{r + 1}"] = shares[:, r]
    w = rng.dirichlet(np.ones(3), n)
    for k, name in enumerate(("gain", "harm", "burden")):
        table[f"weight_{name}"] = w[:, k]
    return table


MAKE = {
    "invariant_intervals": (invariant, {"log": True, "measure": "odds ratio"}),
    "rank_acceptability": (weighed, {}),
    "central_weights": (weighed, {"titles": {"gain": "response"}}),
}


@pytest.mark.parametrize("n", [2, 60])
@pytest.mark.parametrize("name", OURS)
def test_it_draws(name, n):
    make, options = MAKE[name]
    assert draw(lambda: PLOTS[name].chart(make(n), **options)).startswith("<svg")


@pytest.mark.parametrize("name", OURS)
def test_it_says_itself_in_words(name):
    make, options = MAKE[name]
    said = PLOTS[name].alt_text(make(5), **options)
    assert "All numbers are in the table" in said
    assert "nan" not in said


@pytest.mark.parametrize("name", OURS)
def test_it_leaves_its_table_as_it_is(name):
    make, options = MAKE[name]
    table = make(4)
    PLOTS[name].chart(table, **options)
    pd.testing.assert_frame_equal(table, make(4))


def test_a_data_point_that_could_be_anything_is_told_as_such():
    table = invariant(1).assign(invariant_low=0.0, invariant_high=np.inf, low=-np.inf, high=np.inf)
    assert "1 could be anything" in PLOTS["invariant_intervals"].alt_text(table, log=True)


def test_a_bias_without_an_interval_is_drawn():
    table = invariant(3).assign(lower=np.nan, upper=np.nan, estimate=1.0)
    assert draw(lambda: PLOTS["invariant_intervals"].chart(table, log=True)).startswith("<svg")


def test_differences_have_a_straight_axis():
    table = invariant(3)
    for name in ("estimate", "lower", "upper", "invariant_low", "invariant_high"):
        with np.errstate(divide="ignore"):
            table[name] = np.log(table[name])
    assert draw(lambda: PLOTS["invariant_intervals"].chart(table, measure="mean difference")).startswith("<svg")


def test_alternatives_that_are_never_first_have_no_central_weights():
    table = weighed(3)
    table.loc[1, ["confidence", "weight_gain", "weight_harm", "weight_burden"]] = np.nan
    assert "Central weights of 2 alternatives" in PLOTS["central_weights"].alt_text(table)


def test_names_from_outside_are_drawn_as_text():
    table = weighed(2).assign(alternative=["<script>x</script>", "b"])
    assert "<script" not in draw(lambda: PLOTS["rank_acceptability"].chart(table))
